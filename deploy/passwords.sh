#!/usr/bin/env bash
# Prints new passwords for docker-compose.yml: deploy/passwords.sh > .env
# They begin with a letter: of a variable nats-server would read digits alone as a number.
set -euo pipefail
for user in MONGODB_{ADMIN,ORG,PROJECT,TOKEN,BILLING} NATS_{ADMIN,ORG,PROJECT,TOKEN,BILLING,GUARD,SUBSCRIBER}; do
  echo "${user}_PASSWORD=p$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')"
done
