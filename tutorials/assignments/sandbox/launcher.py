"""Start a command in Linux namespaces of its own, where it sees only what it needs.

    python -I -S launcher.py PLAN COMMAND …

PLAN is JSON: "steps", a list of [what, path] in order, what being "show" (read-only) or "hide" (an
empty folder in its place); "root", an empty folder; "uid", the user to become, or null to stay who
starts it, who then needs a user namespace. The command runs in /scratch, the one place where
anything can be written, without network and as none of the machine's processes.
"""

import ctypes
import json
import os
import signal
import sys

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
READ_ONLY, NO_SUID, NO_DEVICES, REMOUNT, BIND, RECURSIVE, PRIVATE = (
    0x1, 0x2, 0x4, 0x20, 0x1000, 0x4000, 0x40000)
DETACH, PARENT_DEATH, NO_NEW_PRIVILEGES = 2, 1, 38
KEPT_FLAGS = 0x1 | 0x2 | 0x4 | 0x8 | 0x400 | 0x800    # ro, nosuid, nodev, noexec, noatime, …
libc = ctypes.CDLL(None, use_errno=True)


def main():
    """Enter the namespaces, wait for the command, and exit as it did (128 + signal)."""
    plan, command = json.loads(sys.argv[1]), sys.argv[2:]
    me, group = os.getuid(), os.getgid()
    spaces = NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS
    check(libc.unshare(spaces | (NEWUSER if plan["uid"] is None else 0)), "unshare")
    if plan["uid"] is None:
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"1000 {me} 1")
        write("/proc/self/gid_map", f"1000 {group} 1")
    first = os.fork()
    if first:
        leave(first)
    # Process 1 of its namespace: when it dies, all in there die, and it dies with its parent
    libc.prctl(PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
    make_root(plan)
    second = os.fork()
    if second:
        leave(second)
    check(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
    if plan["uid"] is not None:
        os.setgroups([])
        os.setresgid(plan["uid"], plan["uid"], plan["uid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    # The user not being 0 here, exec gives up all capabilities
    os.execv(command[0], command)


def leave(process):
    """Wait for the process, and exit as it did."""
    while True:
        ended, status = os.wait()
        if ended == process:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def make_root(plan):
    """Make a file system of the plan's steps the only one that is seen."""
    root = plan["root"]
    mount(None, "/", None, RECURSIVE | PRIVATE)
    mount("tmpfs", root, "tmpfs", NO_SUID | NO_DEVICES, "size=1m,mode=755")
    for what, path in plan["steps"]:
        target = root + path
        if what == "hide":
            mount("tmpfs", target, "tmpfs", NO_SUID | NO_DEVICES, "size=1m,mode=755")
        elif os.path.islink(path):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(os.readlink(path), target)
        else:
            show(path, target, plan["uid"] is None)
    os.mkdir(root + "/scratch")
    mount("tmpfs", root + "/scratch", "tmpfs", NO_SUID | NO_DEVICES, "size=64m,mode=1777")
    mount(None, root, None, REMOUNT | BIND | READ_ONLY | NO_SUID | NO_DEVICES)
    os.chdir(root)
    check(libc.pivot_root(b".", b"."), "pivot_root")
    check(libc.umount2(b".", DETACH), "umount")
    os.chdir("/scratch")


def show(path, target, in_user_namespace):
    """Make a file or folder visible at `target`, read-only."""
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "a").close()
    # In a user namespace, what is mounted inside may not be uncovered
    mount(path, target, None, BIND | (RECURSIVE if in_user_namespace else 0))
    kept = os.statvfs(target).f_flag & KEPT_FLAGS
    devices = 0 if path.startswith("/dev/") else NO_DEVICES
    mount(None, target, None, REMOUNT | BIND | READ_ONLY | NO_SUID | devices | kept)


def mount(source, target, kind, flags, options=None):
    """Call mount(2), or raise OSError."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    data = None if options is None else options.encode()
    check(libc.mount(*encoded, ctypes.c_ulong(flags), data), f"mount {target}")


def check(result, what):
    """Raise OSError with the reason where a call to the C library failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def write(path, text):
    """Write to a file of the kernel's."""
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
