"""The time of the parts, and the growth of the time."""

import dataclasses

import numpy as np
import pytest

from vitnp import params
from vitnp.bench import cases, profiling, scaling
from vitnp.layers import gelu
from vitnp.parallel import lanes
from vitnp.training import steps

SETTING = cases.Setting("vitnp", "digits", "train", threads=1, batch_size=4, micro_batch=2)


def test_the_times_of_the_parts_sum_to_the_step():
    profile = profiling.profile(SETTING, seconds=0.1)
    rows = {row["part"]: row for row in profile["parts"]}
    total = sum(row["milliseconds"] for row in rows.values())
    assert total == pytest.approx(profile["milliseconds"], rel=0.05)
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1.0)
    for part in ("linear 64x256", "linear 256x64", "layernorm", "gelu", "heads", "cross_entropy"):
        assert rows[part]["forward_ms"] > 0 and rows[part]["backward_ms"] > 0, part
    for part in ("adding gradients", "clipping and AdamW", "the whole network"):
        assert rows[part]["milliseconds"] > 0 == rows[part]["forward_ms"], part
    assert "linear" not in rows
    times = [row["milliseconds"] for row in profile["parts"]]
    assert times == sorted(times, reverse=True)


def test_prediction_has_no_backward_pass():
    profile = profiling.profile(dataclasses.replace(SETTING, mode="predict"), seconds=0.05)
    assert {row["backward_ms"] for row in profile["parts"]} == {0.0}
    assert not {"adding gradients", "cross_entropy"} & {row["part"] for row in profile["parts"]}


def test_nothing_is_timed_afterwards():
    before = lanes.loss_and_gradients, lanes.logits, params.add, steps.update
    profiling.profile(SETTING, seconds=0.01)
    assert before == (lanes.loss_and_gradients, lanes.logits, params.add, steps.update)


def test_a_part_has_its_own_time_only():
    """A clock that moves by the work alone: outer 1 + 2 s, the split within it 4 s."""
    time = [0.0]

    def work(seconds):
        time[0] += seconds

    timed = profiling.timer(lambda: time[0])
    split = timed(lambda: work(4.0), "heads", None)

    def outer():
        work(1.0)
        split()
        work(2.0)

    timed(outer, "attention", "backward")()
    split()
    assert timed.table == {("attention", "backward"): 3.0, ("heads", "backward"): 4.0,
                           ("heads", "forward"): 4.0}


def test_only_a_layers_own_public_functions_are_timed():
    stand_in = profiling.timed_layer(profiling.timer(lambda: 0.0), "gelu", gelu)
    assert stand_in.forward is not gelu.forward and stand_in.backward is not gelu.backward
    assert stand_in.get_xp is gelu.get_xp and stand_in.__doc__ == gelu.__doc__
    x = np.linspace(-1.0, 1.0, 5)
    np.testing.assert_array_equal(stand_in.forward(x)[0], gelu.forward(x)[0])


def test_scaling_measures_each_size():
    rows = scaling.scaling(dataclasses.replace(SETTING, batch_size=1), seconds=0.01)
    values = {}
    for row in rows:
        values.setdefault(row["varied"], []).append(row["value"])
        assert row["milliseconds"] > 0 and row["gflops"] > 0
    assert values == {"batch": [1, 2, 4], "depth": [2, 4, 8], "tokens": [17, 37, 65],
                      "threads": [1]}
    assert [row["growth"] for row in rows if row["value"] in (17, 2) and row["varied"] != "batch"
            ] == [1.0, 1.0]


@pytest.mark.parametrize(("most", "counts"), [
    (1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_threads_are_doubled_up_to_all(most, counts):
    assert scaling.thread_counts(most) == counts


def test_a_gpu_has_no_threads_to_vary():
    on_gpu = dataclasses.replace(SETTING, device="gpu")
    assert {varied for varied, *_ in scaling.variants(on_gpu)} == {"batch", "depth", "tokens"}
