"""Reads JSON with Python's strict parser and compares it with the bytes of the same message.

Argument: the image of `buf build`. Stdin: one line of JSON for each message: its type, its
proto3 JSON, its bytes in base64. Prints how many were the same; fails on the first that is not.
"""

import base64
import json
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

with open(sys.argv[1], "rb") as image:
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read())
pool = descriptor_pool.DescriptorPool()
for file in files.file:
    pool.Add(file)

count = 0
for line in sys.stdin:
    sample = json.loads(line)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName(sample["type"]))
    read = json_format.Parse(json.dumps(sample["json"]), message(), descriptor_pool=pool)
    sent = message.FromString(base64.b64decode(sample["bytes"]))
    if read != sent:
        sys.exit(f"{sample['type']}: {sample['json']}\nread as\n{read}\ninstead of\n{sent}")
    count += 1
print(count)
