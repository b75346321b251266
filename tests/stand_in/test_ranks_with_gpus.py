"""Ranks whose arrays are on GPUs: through the host, and by the calls of NCCL."""

import sys
from pathlib import Path

import pytest
from parallel.under_mpi import needed, run

pytestmark = [pytest.mark.slow, needed, pytest.mark.skipif(
    "stand_in" not in sys.modules, reason="they run by python tests/stand_in")]
HERE = Path(__file__).parent


@pytest.mark.parametrize("way", ("nccl", "MPI"))
def test_gradients_do_not_depend_on_the_number_of_ranks(way, tmp_path):
    """The stand-in for NCCL is put where CuPy has its own, before anyone asks."""
    program = tmp_path / "program.py"
    lines = ["import sys", f"sys.path.insert(0, {str(HERE.parent)!r})", "import stand_in, cupy",
             "from cupy.cuda import nccl as missing", "from stand_in import nccl",
             f"cupy.cuda.nccl = nccl if {way == 'nccl'} else missing", "sys.argv = sys.argv[1:]",
             "import runpy", "runpy.run_path(sys.argv[0])",
             "print(len(nccl.called) > 0, file=sys.stderr)"]
    program.write_text("\n".join(lines))
    arguments = (program, HERE.parent / "parallel" / "gradients_of_ranks.py", 17, 1, "all", "gpu")
    code, expected, err = run(1, *arguments)
    assert code == 0 and len(expected) == 65, err
    for ranks in (2, 4):
        code, out, err = run(ranks, *arguments)
        assert code == 0, err
        assert out == expected * ranks and err.count("True") == ranks * (way == "nccl")
