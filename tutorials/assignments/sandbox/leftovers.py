"""Leave nothing for the next student: no process, key, shared memory or file of a child's user.

    python -I -S leftovers.py UID [everywhere]

Root starts it when a child with a user of its own has ended; it becomes that user first. The child
itself begins with `fresh_keyring`. It imports nothing but Python's own library.
"""

import ctypes
import os
import platform
import sys

PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock", "/var/crash")
KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "loongarch64": 219, "ppc64le": 271,
          "s390x": 280, "i686": 288, "armv7l": 311}
JOIN, CLEAR, USER_RINGS = 1, 7, (-4, -5)
REMOVE = 0                      # IPC_RMID
SHARED = {"shm": ("shmctl", (REMOVE, None)), "msg": ("msgctl", (REMOVE, None)),
          "sem": ("semctl", (0, REMOVE, None))}
NOT_HERE = (1, 38)              # EPERM, ENOSYS: a container that forbids keys forbids them to all
libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def keyctl(*numbers):
    """Call Linux's keyctl(2); raises OSError where it fails and keys could be had all the same."""
    number = KEYCTL.get(platform.machine())
    if number is None:
        raise OSError(f"the keyrings of {platform.machine()} are not known")
    if libc.syscall(number, *map(ctypes.c_long, numbers)) < 0:
        error = ctypes.get_errno()
        if error not in NOT_HERE:
            raise OSError(error, os.strerror(error))


def fresh_keyring():
    """Join a session keyring of one's own, in place of the one that all processes here share."""
    if sys.platform == "linux":
        keyctl(JOIN, 0)


def main(user, everywhere):
    """Become the user, end its processes, clear its keys, and remove what else it left."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    try:
        os.kill(-1, 9)
    except ProcessLookupError:
        pass
    for ring in USER_RINGS:
        keyctl(CLEAR, ring)
    if everywhere:
        remove_shared(user)
        remove_files(user)


def remove_shared(user):
    """Remove shared memory, semaphores and message queues of the user."""
    for kind, (function, arguments) in SHARED.items():
        with open(f"/proc/sysvipc/{kind}") as table:
            names = next(table).split()
            for row in (dict(zip(names, line.split(), strict=False)) for line in table):
                if int(row["uid"]) == user:
                    getattr(libc, function)(int(row[f"{kind}id"]), *arguments)


def remove_files(user):
    """Remove the user's files and empty folders from the places that all may write to."""
    for place in PLACES:
        for folder, folders, files in os.walk(place, topdown=False, onerror=None):
            for name in files + folders:
                path = os.path.join(folder, name)
                try:
                    if os.lstat(path).st_uid == user:
                        (os.rmdir if name in folders and not os.path.islink(path)
                         else os.unlink)(path)
                except OSError:
                    pass


if __name__ == "__main__":
    main(int(sys.argv[1]), "everywhere" in sys.argv[2:])
