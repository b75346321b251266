"""Run a module with CuPy on the stand-in: python tests/stand_in vitnp.train --device gpu …"""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import stand_in  # noqa: F401

sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
