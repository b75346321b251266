"""Tries to undo its isolation: mounts, other namespaces, the old root, the first user."""

import ctypes
import os

import numpy as np

libc = ctypes.CDLL(None, use_errno=True)


def forward(x, gamma, beta, eps):
    return x, None


def found():
    if os.getuid() == 0:                        # nothing of this is tried as the machine's root
        return np.array([True])
    gained = []
    for become in (os.setuid, os.seteuid):
        try:
            become(0)
            gained.append(True)
        except OSError:
            gained.append(False)
    gained.append(libc.umount2(b"/", 2) == 0)
    gained.append(libc.mount(None, b"/", None, ctypes.c_ulong(0x20 | 0x1000), None) == 0)
    gained.append(libc.sethostname(b"mine", 4) == 0)
    # In a namespace of its own it may call itself root; what was read-only has to stay so
    if libc.unshare(0x10000000 | 0x20000) == 0:
        gained.append(libc.mount(None, b"/", None, ctypes.c_ulong(0x20 | 0x1000), None) == 0)
        for path in ("/", os.path.dirname(__file__)):
            libc.umount2(path.encode(), 2)
        gained.append(os.path.exists("{clone}/setup.cfg"))
    for path in ("/", os.path.dirname(__file__), os.path.dirname(np.__file__)):
        try:
            with open(f"{path}/mine", "w"):
                gained.append(True)
        except OSError:
            pass
    return np.array(gained)
