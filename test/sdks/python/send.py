"""send.py v0|v0-gzip|v1-gzip HOST TOKEN story|COUNT: sends events with posthog-python until its standard input ends.

Prints how many events the SDK reported as lost.
"""

import json
import logging
import sys

from posthog import Posthog

mode, host, token, what = sys.argv[1:]
count = 0 if what == "story" else int(what)
lost = 0


def on_error(_error, batch):
    global lost
    lost += len(batch)


logging.disable(logging.CRITICAL)
client = Posthog(
    token,
    host=host,
    on_error=on_error,
    super_properties={"plan": "free"},
    flush_at=count or 100,
    **{
        "v0": {},
        "v0-gzip": {"gzip": True},
        "v1-gzip": {"capture_mode": "v1", "capture_compression": "gzip"},
    }[mode],
)
if what == "story":
    for name in ("www", "app"):
        client.capture(
            "seen", distinct_id="ada", properties={"$host": f"{name}.example.com", "n": 1.5}
        )
    client.capture("grouped", distinct_id="ada", groups={"company": "c1"})
    client.set(distinct_id="ada", properties={"email": "ada@example.com"})
    client.alias("ada", "countess")
    client.group_identify("company", "c1", {"size": 3})
for index in range(count):
    client.capture(f"seen {index}", distinct_id="ada")
sys.stdin.read()
client.shutdown()
print(json.dumps({"lost": lost}))
