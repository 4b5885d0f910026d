"""A subscriber with a cache of access: writes a line for each thing that the cache must forget.

See docs/events.md. NATS_URL=nats://subscriber:...@host:4222 python3 subscriber.py STATE_FILE
Needs nats-py (2.16).
"""

import asyncio
import json
import os
import signal
import sys
from urllib.parse import unquote, urlsplit

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

RECENT_IDS_MAX = 1_000
CONSUMER = "access-cache-python"


def member(body):
    return [f"member {body['accountId']} {body['organizationId']}"]


def organization(body):
    return [f"organization {body['organizationId']}"]


def project(body):
    return [f"project {body['projectId']}"]


def token(body):
    fingerprints = [body.get("fingerprint"), body.get("newFingerprint")]
    return [f"token {each}" for each in fingerprints if each]


def key(body):
    return [f"key {body['keyId']}"]


def nothing(_body):
    return []


# What each event ends, by service and name. An event that is not here ends all of its service.
ENDS = {
    "org.member_added": member,
    "org.member_updated": member,
    "org.member_removed": member,
    "org.organization_created": organization,
    "org.organization_updated": organization,
    "org.organization_deleted": organization,
    "org.account_created": nothing,
    "org.account_updated": nothing,
    "org.invite_created": nothing,
    "org.invite_deleted": nothing,
    "org.invite_accepted": nothing,
    "project.created": project,
    "project.updated": project,
    "project.moved": project,
    "project.deleted": project,
    "project.undeleted": project,
    "project.held": project,
    "project.released": project,
    "project.migrated": project,
    "project.events_deleted": project,
    "project.move_finalized": nothing,
    "project.slots_changed": nothing,
    "token.created": token,
    "token.revoked": token,
    "token.key_created": key,
    "token.key_updated": key,
    "token.key_revoked": key,
}


def apply(state, headers, data):
    """Brings the state to an event, and returns what the cache must forget."""
    event_id = headers["ce-id"]
    _, _, service, name, _ = headers["ce-type"].split(".")
    incarnation = headers.get("ce-incarnation", "")
    sequence = int(headers["ce-sequence"])
    position = state["positions"].get(service)
    # A log of before a restored backup.
    if position and incarnation < position["incarnation"]:
        return []
    is_continued = not position or incarnation == position["incarnation"]
    # After a restored backup its events come again.
    if not is_continued:
        state["recentIds"] = []
    if event_id in state["recentIds"]:
        return []
    is_gap = bool(position) and is_continued and sequence > position["sequence"] + 1
    if not position or not is_continued or sequence > position["sequence"]:
        state["positions"][service] = {"incarnation": incarnation, "sequence": sequence}
    state["recentIds"] = [*state["recentIds"], event_id][-RECENT_IDS_MAX:]
    end = nothing if service == "billing" else ENDS.get(f"{service}.{name}")
    if is_gap or not is_continued or end is None:
        return [f"all {service}"]
    return end(json.loads(data))


def read_state(file):
    try:
        with open(file, encoding="utf-8") as stored:
            return json.load(stored)
    except FileNotFoundError:
        return {"positions": {}, "recentIds": []}


def write_state(file, state):
    """Replaces the file in one step: a process that is killed leaves the state before or after."""
    with open(f"{file}.new", "w", encoding="utf-8") as stored:
        json.dump(state, stored)
    os.replace(f"{file}.new", file)


async def main(state_file, nats_url):
    server = urlsplit(nats_url)
    connection = await nats.connect(
        f"nats://{server.hostname}:{server.port}",
        user=server.username,
        password=unquote(server.password or ""),
        # The user may subscribe to no other inbox.
        inbox_prefix=f"_INBOX.{server.username}".encode(),
        max_reconnect_attempts=-1,
    )
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    jetstream = connection.jetstream()
    # The same request finds the consumer that an earlier run has made, and where that has stopped.
    await jetstream.add_consumer(
        "SILO",
        ConsumerConfig(
            # Without the name the client sends an older request, which the user may not.
            name=CONSUMER,
            durable_name=CONSUMER,
            filter_subject="silo.v1.>",
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            max_ack_pending=100,
        ),
    )
    consumer = await jetstream.pull_subscribe_bind(durable=CONSUMER, stream="SILO")
    state = read_state(state_file)
    while not stopping.is_set():
        try:
            messages = await consumer.fetch(100, timeout=1)
        # Not only nats.errors.TimeoutError, its subclass: `fetch` also raises the bare one.
        except asyncio.TimeoutError:
            continue
        for message in messages:
            for line in apply(state, message.headers, message.data):
                print(f"forget {line}", flush=True)
            # Only then: what is not acknowledged comes again.
            write_state(state_file, state)
            await message.ack()
    await connection.flush()
    await connection.close()


if len(sys.argv) != 2 or "NATS_URL" not in os.environ:
    sys.exit("Usage: NATS_URL=nats://subscriber:PASSWORD@HOST:4222 python3 subscriber.py STATE_FILE")
asyncio.run(main(sys.argv[1], os.environ["NATS_URL"]))
