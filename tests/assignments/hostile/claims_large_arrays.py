"""Announces arrays that would fill the parent's memory, and types that would run code there."""

import json
import os

FORGED = ([["<f8", [10**12]]], [["|O", [1]]], [["<f8", [-1]]], [["V1000000000", [1]]],
          [["<f8", [0, 10**30]]], [["<f8", "xx"]])

for descriptor in range(64):
    try:
        os.lseek(descriptor, 0, 0)
        os.ftruncate(descriptor, 0)
        for arrays in FORGED[os.getpid() % len(FORGED):]:
            record = {"status": "started", "message": "", "arrays": arrays}
            os.write(descriptor, json.dumps(record).encode() + b"\n" + b"\x80\x04." * 100)
    except OSError:
        pass
os._exit(0)
