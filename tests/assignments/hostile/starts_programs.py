"""Starts a shell, another Python and whatever would give it another user's rights."""

import glob
import os
import stat
import subprocess


def forward(x, gamma, beta, eps):
    lines = [["/bin/sh", "-c", "id"], ["/usr/bin/python3", "-c", "import vitnp"], ["su"],
             ["sudo", "-n", "id"]]
    lines += [[path] for path in glob.glob("/usr/*bin/*")
              if os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)][:20]
    for line in lines:
        try:
            subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=1,
                           check=False)
        except (OSError, subprocess.SubprocessError):
            pass
    return x, None
