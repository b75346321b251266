"""Writes records that are nested too deeply to be read, and shapes whose product overflows."""

import json
import os


def forward(x, gamma, beta, eps):
    record = {"number": 0, "kind": "tuple", "message": "\x1b[2Jpassed</failure>", "value": None,
              "inputs_changed": False, "arrays": [["<f8", [2**31, 2**31, 2**31]]]}
    for text in (json.dumps(record), "[" * 10**5, '{"a":' * 10**5):
        for descriptor in range(64):
            try:
                os.lseek(descriptor, 0, 2)
                os.write(descriptor, text.encode() + b"\n")
            except OSError:
                pass
    print("\x1b]0;passed\x07\x1b[31m<testcase name='passed'/>")
    raise ValueError("\x1b[2J<system-out>passed</system-out>")
