"""Which process this is, by what launchers tell; the processes themselves are in tests/parallel."""

import os

import pytest

from vitnp.common import mpi


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Let no launcher have started the tests."""
    mpi.communicator.cache_clear()
    for name in (*mpi.TOLD, *mpi.LOCAL, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    yield
    monkeypatch.undo()
    mpi.communicator.cache_clear()


def test_a_process_alone_is_the_first_and_keeps_its_output(capsys):
    mpi.quiet()
    print("told")
    assert (mpi.communicator(), mpi.rank(), mpi.local_rank()) == (None, 0, None)
    assert capsys.readouterr().out == "told\n"
    with pytest.raises(SystemExit) as left:
        mpi.end(3, "error: it broke")
    assert left.value.code == 3 and capsys.readouterr().err == "error: it broke\n"


@pytest.mark.parametrize(("told", "visible", "expected"), (
    ({}, None, None), ({}, "2,3", "2,3"),
    ({"OMPI_COMM_WORLD_LOCAL_RANK": "3"}, None, "3"),
    ({"SLURM_LOCALID": "1"}, "4,7", "7"),
    ({"MPI_LOCALRANKID": "2"}, "GPU-5f", "GPU-5f")))       # the launcher gave each its own
def test_each_process_of_a_machine_sees_a_gpu_of_its_own(monkeypatch, told, visible, expected):
    monkeypatch.setattr(mpi, "communicator", lambda: told or None)
    for name, value in (told | ({"CUDA_VISIBLE_DEVICES": visible} if visible else {})).items():
        monkeypatch.setenv(name, value)
    mpi.own_gpu()
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == expected
