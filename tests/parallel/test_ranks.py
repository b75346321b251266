"""Ranks of MPI: whatever their number, the same to the bit; and they end together."""

from pathlib import Path

import pytest
from parallel.under_mpi import alone, needed, run

pytestmark = [pytest.mark.slow, needed]
PROGRAM = Path(__file__).with_name("gradients_of_ranks.py")


@pytest.mark.parametrize("micro_batch", (50, 8, 3))
@pytest.mark.parametrize("part", ("all", "head"))
def test_gradients_do_not_depend_on_the_number_of_ranks_or_lanes(micro_batch, part):
    """More micro-batches than ranks, fewer, and ranks that have none."""
    _, expected, _ = alone(PROGRAM, micro_batch, 1, part, "cpu")
    assert len(expected) == 65
    for ranks, threads in ((2, 1), (3, 2), (5, 1)):
        code, out, err = run(ranks, PROGRAM, micro_batch, threads, part, "cpu")
        assert code == 0, err
        assert out == expected * ranks


def test_a_mistake_that_all_see_is_told_once(tmp_path):
    code, out, err = run(3, "-m", "vitnp.evaluate", tmp_path / "nothing")
    told = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and out == "" and len(told) == 1 and "Traceback" not in err
    assert told == [line for line in alone("-m", "vitnp.evaluate", tmp_path / "nothing")[2]
                    .splitlines() if line.startswith("error: ")]


@pytest.mark.parametrize(("what", "code", "words"), (
    ("raise Error('its disk is full')", 2, "error: rank 1: its disk is full"),
    ("raise MemoryError('too much')", 2, "error: rank 1: memory ran out (too much)"),
    ("1 / 0", 1, "ZeroDivisionError")))
def test_a_rank_that_fails_ends_all_with_its_sentence(what, code, words):
    """The others wait for it in a step meanwhile."""
    program = ("import sys\nfrom vitnp.common import command\nfrom vitnp.errors import Error\n"
               "from vitnp.parallel import ranks\ndef main(arguments):\n"
               f"    if ranks.world().rank == 1:\n        {what}\n"
               "    ranks.world().agree(0)\ncommand.run(main)\n")
    ended, _, err = run(3, "-c", program, seconds=60)
    assert ended == code and words in err, err


def test_a_missing_mpi4py_is_said():
    program = ("import sys\nsys.modules['mpi4py'] = None\nfrom vitnp import evaluate\n"
               "from vitnp.common import command\ncommand.run(evaluate.main)\n")
    code, _, err = run(2, "-c", program)
    assert code == 2 and "pip install 'vitnp[mpi]'" in err


def test_only_the_first_rank_prints():
    program = ("from vitnp.common import command, progress\ndef main(arguments):\n"
               "    print('result')\n    progress.say('message')\n    return 0\n"
               "command.run(main)\n")
    assert run(3, "-c", program)[:2] == (0, "result\n")
    assert run(3, "-c", program)[2].count("message") == 1


def test_a_study_deals_its_runs_to_the_ranks(tmp_path):
    code, _, err = run(2, "-m", "vitnp.study", "transfer", "--small", "--threads", "1", "--out",
                         tmp_path / "study")
    assert code == 0, err
    lines = (tmp_path / "study" / "results.jsonl").read_text().splitlines()
    again = run(2, "-m", "vitnp.study", "transfer", "--small", "--out", tmp_path / "study")
    assert again[0] == 0 and "run 1" not in again[2]            # all are there
    assert (tmp_path / "study" / "results.jsonl").read_text().splitlines() == lines
    assert len(set(lines)) == len(lines) and not list(tmp_path.glob("study/results-*"))
