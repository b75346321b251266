"""How a child process is shut off from the rest of the machine.

    bwrap    bubblewrap: a file system of its own, no network, none of the machine's processes; for
             root, a user without rights besides
    user     for root alone: a user without rights, with files and network as far as those go
    none     limits on time, memory and output alone, for a student's own code

TEACHING.md says what each contains. A level that does not work here is refused, never replaced.
"""

import functools
import itertools
import os
import random
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from glob import glob
from pathlib import Path

import numpy as np

import vitnp
from vitnp.errors import Error

LEVELS = ("bwrap", "user", "none")
SENTENCES = {
    "bwrap": "in a file system of its own without network (bubblewrap)",
    "user": "as a user without rights; the network and what all may read are within its reach",
    "none": "with limits on time and memory alone",
}
CURE = ("grade on Linux with bubblewrap (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf "
        "install bubblewrap), in a virtual machine where this one forbids it; see TEACHING.md, "
        "What is contained")
PYTHON = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
SITE = str(Path(np.__file__).parent.parent)     # the folder NumPy is imported from
SCRATCH_SIZE = 2**26
# What systemd calls dynamic users, who belong to nobody; by turns, since children run side by side
USERS = itertools.cycle(random.sample(range(61184, 65520), 4336))
SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives",
          "/nix/store", "/gnu/store", "/dev/null", "/dev/zero", "/dev/urandom")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1",
               "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PASSED_ON = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
BECOME = ("import os, sys; u = int(sys.argv[1]); os.setgroups([]); os.setresgid(u, u, u); "
          "os.setresuid(u, u, u); ")


def is_root():
    """Tell whether this process may do anything on this machine."""
    return hasattr(os, "getuid") and os.getuid() == 0


def choose(trust, guarded=()):
    """Return the strongest level that grading may use here.

    trust: whether "user" is enough where bubblewrap does not work; guarded: the paths that such a
    user may neither read nor change. Raises Error, with the cure, where no level is to be had.
    """
    reason = reason_against("bwrap")
    if reason is None:
        return "bwrap"
    told = f"students' code cannot be shut off from this machine: bubblewrap: {reason}"
    if not is_root():
        raise Error(f"{told}; {CURE}")
    if not trust:
        raise Error(f"{told}; {CURE}; or, in a container that holds one student's work, pass "
                    f"--trust to run it {SENTENCES['user']}")
    if other := reason_against("user"):
        raise Error(f"{told}; as another user: {other}; students' code never runs as root: {CURE}")
    refuse_reachable(guarded)
    return "user"


def refuse_reachable(paths):
    """Raise Error where a user without rights may read or change one of these paths."""
    groups, user = os.getgroups(), next(USERS)
    os.setgroups([])
    os.setegid(user)
    os.seteuid(user)
    try:
        found = [(path, os.access(path, os.R_OK, effective_ids=True),
                  os.access(path, os.W_OK, effective_ids=True)) for path in dict.fromkeys(paths)]
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
    for path, read, write in found:
        if read or write:
            raise Error(f"students' code, which runs as a user without rights, could "
                        f"{'change' if write else 'read'} {path}; chmod 700 it, or the folder that "
                        "it is in, and keep the Python environment elsewhere")


@functools.cache
def reason_against(level):
    """Return why a level does not work here, or None where it does, by trying it."""
    if level not in LEVELS:
        raise Error(f"there is no isolation {level!r}; possible are {', '.join(LEVELS)}")
    if level == "none":
        return None
    if sys.platform != "linux":
        return "only Linux has it"
    if level == "user" and not is_root():
        return "only root can become another user"
    if level == "bwrap" and not shutil.which("bwrap"):
        return "it is not installed"
    user = other_user(level)
    program = f"{BECOME if user else 'import sys; '}sys.path.append({SITE!r}); import numpy"
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        try:
            done = subprocess.run(command(level, folder, ["-c", program, str(user)]),
                                  env=environment(), capture_output=True, text=True, timeout=60,
                                  check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if done.returncode == 0:
        return None
    told = (done.stderr.strip().splitlines() or ["it fails"])[-1]
    if "uid map: Permission denied" in told:
        told += " (AppArmor forbids it: sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
    if other_user(level) and ("No module" in told or "Permission denied" in told):
        told += f" (other users cannot read {PYTHON} or {SITE}; use a Python that all can read)"
    return told


def other_user(level):
    """Return the number of a user without rights to become, or None to stay who we are."""
    if not is_root() or level == "none":
        return None
    running = {owner for _, owner in owners("/proc/[0-9]*")}
    return next(user for user in USERS if user not in running)


def owners(pattern):
    """Yield (path, number of its owner) of what fits a pattern; what ends meanwhile is left out."""
    for path in glob(pattern):
        try:
            yield path, os.lstat(path).st_uid
        except OSError:
            pass


def command(level, folder, arguments):
    """Return the command that starts Python with these arguments at a level.

    folder: the one folder of ours that is seen. Where root starts it, the child is to become
    another user before it does anything else.
    """
    python = [PYTHON, "-I", "-S", "-B", "-X", "utf8", *arguments]
    return [*bwrap(folder), "--", *python] if level == "bwrap" else python


def bwrap(folder):
    """Return bubblewrap's command line, without what it is to start."""
    line = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
            "--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    # Root leaves root by becoming another user: in a namespace of users it would stay root outside
    line += (["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if is_root()
             else ["--unshare-user", "--uid", "1000", "--gid", "1000"])
    planned = steps(folder)
    # Made here, since bubblewrap makes those of a private file private, and the user is another one
    for parent in sorted({str(parent) for _, path in planned for parent in Path(path).parents}):
        line += ["--perms", "0755", "--dir", parent]
    for what, path in planned:
        if what == "hide":
            line += ["--perms", "0755", "--tmpfs", path]
        elif os.path.islink(path):
            line += ["--symlink", os.readlink(path), path]
        elif path.startswith("/dev/"):
            line += ["--dev-bind", path, path]
        else:
            line += ["--ro-bind", path, path]
    return [*line, "--perms", "1777", "--size", str(SCRATCH_SIZE), "--tmpfs", "/scratch",
            "--remount-ro", "/", "--chdir", "/scratch"]


def steps(folder):
    """Return what is shown and hidden, in order, as [what, path]: Python, NumPy and `folder`.

    Folders of installed packages are hidden, vitnp may be among them; NumPy is shown again.
    """
    base = Path(sys.base_prefix)
    library = sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix})
    wanted = [*SYSTEM, PYTHON, *glob(f"{base}/lib*"), library]
    shown = []
    for path in wanted:
        if os.path.exists(path) and not any(is_within(path, other) for other in shown):
            shown.append(path)
    packages = [SITE, *site.getsitepackages([sys.base_prefix, sys.base_exec_prefix])]
    others = [path for path in glob("/usr/lib/python3*") if path != library]
    clone = Path(vitnp.__file__).parent.parent
    hidden = [path for path in {*packages, *others, str(clone), str(clone / "vitnp")}
              if os.path.isdir(path) and any(is_within(path, other) for other in shown)]
    libraries = [path for path in (f"{SITE}/numpy", f"{SITE}/numpy.libs", f"{SITE}/numpy/.dylibs")
                 if os.path.isdir(path)]
    return ([["show", path] for path in shown] + [["hide", path] for path in sorted(hidden)]
            + [["show", path] for path in (*libraries, folder)])


def is_within(path, folder):
    """Tell whether a path is a folder or lies in it."""
    return Path(folder) in (Path(path), *Path(path).parents)


def environment(scratch="/scratch"):
    """Return the child's environment: one thread, and nothing of ours."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return ENVIRONMENT | kept | {"HOME": scratch, "TMPDIR": scratch}
