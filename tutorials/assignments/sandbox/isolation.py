"""How far a child process is shut off from the rest of the machine.

    bwrap        bubblewrap, where it is installed: namespaces, no network, a file system of its own
    namespaces   the same by Linux's own means (launcher.py), and for root another user
    limits       limits on time, memory, processes and output; for root, where possible, another
                 user; files and network of this machine are within reach
    none         limits on time, memory and output alone, for a student's own code

TEACHING.md says what each contains.
"""

import functools
import itertools
import json
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

LEVELS = ("bwrap", "namespaces", "limits", "none")
STRONG = ("bwrap", "namespaces")
SENTENCES = {
    "bwrap": "in a file system of its own without network (bubblewrap)",
    "namespaces": "in a file system of its own without network (Linux namespaces)",
    "limits": "with limits on time, memory and processes, but this machine's files and network "
              "within reach",
    "none": "with limits on time and memory alone",
}
HERE = Path(__file__).parent
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


def is_root():
    """Tell whether this process may do anything on this machine."""
    return hasattr(os, "getuid") and os.getuid() == 0


def describe(level):
    """Return in words how a child runs at a level, after "it runs"."""
    as_root = is_root() and level in ("limits", "none") and other_user(level) is None
    return SENTENCES[level] + (", and as root" if as_root else "")


@functools.cache
def best():
    """Return the strongest level that works here."""
    # bwrap cannot leave root, whose processes no limit counts
    order = ("namespaces", "bwrap", "limits") if is_root() else LEVELS
    return next((level for level in order if reason_against(level) is None), "none")


@functools.cache
def reason_against(level):
    """Return why a level does not work here, or None where it does, by trying it."""
    if level not in LEVELS:
        raise Error(f"there is no isolation {level!r}; possible are {', '.join(LEVELS)}")
    if level == "none":
        return None
    if level == "limits":
        return None if hasattr(os, "setsid") else "this system has no limits on processes"
    if sys.platform != "linux":
        return "only Linux has it"
    if level == "bwrap" and not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    with tempfile.TemporaryDirectory() as folder:
        program = f"import sys; sys.path.append({SITE!r}); import numpy"
        os.chmod(folder, 0o755)
        os.mkdir(Path(folder) / "root")
        try:
            done = subprocess.run(
                command(level, folder, ["-c", program], other_user(level)), env=environment(),
                capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it fails"])[-1]


def other_user(level):
    """Return the number of a user without rights to become, or None to stay who we are."""
    if not is_root() or level == "none" or (level == "limits" and not python_is_for_all()):
        return None
    return next(USERS)


@functools.cache
def python_is_for_all():
    """Tell whether every user of this machine can read this Python and NumPy."""
    paths = [PYTHON, sysconfig.get_path("stdlib"), SITE]
    return all(os.stat(folder).st_mode & 0o001 for path in paths
               for folder in (Path(path), *Path(path).parents))


def command(level, folder, arguments, uid=None):
    """Return the command that starts Python with these arguments at a level.

    folder: the one folder of ours that is seen; it holds an empty folder "root".
    """
    python = [PYTHON, "-I", "-S", "-B", "-X", "utf8", *arguments]
    if level == "namespaces":
        plan = {"steps": steps(folder), "root": f"{folder}/root", "uid": uid}
        return [PYTHON, "-I", "-S", str(HERE / "launcher.py"), json.dumps(plan), *python]
    if level == "bwrap":
        return [*bwrap(folder), "--", *python]
    return python


def bwrap(folder):
    """Return bubblewrap's command line, without what it is to start."""
    line = ["bwrap", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000",
            "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for what, path in steps(folder):
        if what == "hide":
            line += ["--tmpfs", path]
        elif os.path.islink(path):
            line += ["--symlink", os.readlink(path), path]
        elif path.startswith("/dev/"):
            line += ["--dev-bind", path, path]
        else:
            line += ["--ro-bind", path, path]
    return [*line, "--size", str(SCRATCH_SIZE), "--tmpfs", "/scratch", "--remount-ro", "/",
            "--chdir", "/scratch"]


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
