"""How the layers are run: micro-batches, lanes, and the settings of the process."""

import dataclasses
import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from vitnp import optim, params, vit
from vitnp.common.randomness import generator
from vitnp.config import ViTConfig
from vitnp.errors import Error
from vitnp.layers import block, textbook
from vitnp.parallel import lanes
from vitnp.training import steps

CONFIG = ViTConfig(image_size=(6, 4), patch_size=2, channels=3, width=12, depth=3, heads=3,
                   mlp_width=10, classes=5, dropout=0.2, stochastic_depth=0.2)
SHAPES = vit.shapes(CONFIG)
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.standard_normal((9, 6, 4, 3)), RNG.integers(0, 5, 9)


def weights(dtype=np.float64):
    flat = np.random.default_rng(1).standard_normal(sum(map(np.prod, SHAPES.values()))) / 3
    return params.views(flat.astype(dtype), SHAPES)


def gradients_of(micro_batch, threads, draw=None, ops=textbook, dtype=np.float64):
    """Return losses, logits and the flat gradients, written over a buffer full of NaN."""
    flat = np.full(sum(map(np.prod, SHAPES.values())), np.nan, dtype)
    losses, logits = lanes.loss_and_gradients(
        IMAGES.astype(dtype), LABELS, weights(dtype), params.views(flat, SHAPES), CONFIG, ops, 0.1,
        draw, micro_batch, threads)
    return losses, logits, flat


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("micro_batch", [1, 2, 4, 8, 100])
def test_micro_batches_give_the_loss_and_gradients_of_the_whole_batch(micro_batch, threads):
    """Over a short last one too, whose images must not weigh more."""
    for found, whole in zip(gradients_of(micro_batch, threads), gradients_of(9, 1), strict=True):
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-13)


def masks(first):
    return generator(0, "dropout", 3, first)


def test_no_result_depends_on_the_number_of_threads_to_the_bit():
    for _ in range(10):
        one = gradients_of(2, 1, masks, dtype=np.float32)
        for threads in (2, 3, 7):
            many = gradients_of(2, threads, masks, dtype=np.float32)
            assert [a.tobytes() for a in many] == [a.tobytes() for a in one]


def test_each_micro_batch_has_masks_of_its_own():
    firsts = []
    gradients_of(4, 1, lambda first: firsts.append(first) or masks(first))
    assert firsts == [0, 4, 8]


def test_gradients_are_added_in_order_even_where_the_first_lane_is_the_slowest():
    order = []

    def work(part, turn):
        time.sleep(0.02 * (3 - part.start))
        for name in ("head", "blocks/1", "blocks/0"):
            with turn(name):
                order.append((name, part.start))
        return part.start

    assert lanes.in_micro_batches(work, 4, 1, 4) == [0, 1, 2, 3]
    for name in ("head", "blocks/1", "blocks/0"):
        assert [start for part, start in order if part == name] == [0, 1, 2, 3]


@pytest.mark.parametrize("failing", [0, 1, 3])
def test_an_error_in_one_lane_ends_the_others_and_is_raised(failing):
    class Broken(Exception):
        pass

    def work(part, turn):
        if part.start == failing:
            raise Broken
        with turn("head"):
            pass

    before = threading.active_count()
    with pytest.raises(Broken):
        lanes.in_micro_batches(work, 5, 1, 3)
    assert threading.active_count() == before


def test_lanes_keep_the_callers_treatment_of_overflow():
    with np.errstate(over="ignore"):
        lanes.in_micro_batches(lambda part, turn: np.float32(1e38) * np.float32(10), 4, 1, 2)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        lanes.in_micro_batches(lambda part, turn: np.float32(1e38) * np.float32(10), 4, 1, 2)


def test_optimiser_gives_the_same_bits_in_one_share_or_many(monkeypatch):
    monkeypatch.setattr(optim, "PIECE", 50)
    config = ViTConfig.named("micro/4", image_size=8, channels=1, classes=10)
    groups = steps.groups(config, 0.1)
    results = []
    for threads in (1, 2, 5, 1000):
        state = steps.start(config, 0, np)
        state.gradients[:] = np.random.default_rng(0).standard_normal(len(state.gradients))
        steps.update(state, groups, 0.1, optim.global_norm(state.gradients), 1.0, threads=threads)
        results.append((state.params.tobytes(), state.moment1.tobytes(), state.step))
    assert len(set(results)) == 1


def test_predictions_are_those_of_the_whole_batch():
    logits = vit.forward(IMAGES, weights(), CONFIG)[0]
    for micro_batch, threads in ((None, 1), (2, 1), (2, 3), (100, 2)):
        features, found = lanes.features_and_logits(
            IMAGES * 2, weights(), CONFIG, prepare=lambda x: x / 2, micro_batch=micro_batch,
            threads=threads)
        np.testing.assert_allclose(found, logits, rtol=0, atol=1e-12)
        assert features.shape == (9, 12)


def test_a_prediction_keeps_the_cache_of_the_running_block_alone():
    caches = []

    class Watched:
        @staticmethod
        def forward(*arguments):
            gc.collect()
            assert [cache() for cache in caches] == [None] * len(caches)
            x, cache = block.forward(*arguments)
            caches.append(weakref.ref(cache["norm1"][0]))
            return x, cache

    ops = dataclasses.replace(textbook, block=Watched)
    lanes.logits(IMAGES, weights(), CONFIG, ops, micro_batch=100)
    assert len(caches) == CONFIG.depth


def test_the_size_of_micro_batches_follows_from_the_shapes():
    small = ViTConfig.named("tiny/4", image_size=8, channels=1, classes=10)
    for config in (small, ViTConfig.named("Ti/16"), ViTConfig.named("H/14")):
        for batch_size in (1, 2, 3, 8, 64, 1000):
            size = lanes.micro_batch_size(config, batch_size)
            assert 1 <= size <= max(1, (batch_size + 1) // 2)
    assert lanes.micro_batch_size(ViTConfig.named("H/14"), 64) == 1


def test_preparing_a_process_gives_blas_one_thread_and_importing_does_not():
    code = ("import numpy, threadpoolctl, vitnp, vitnp.model\n"
            "from vitnp.parallel import lanes\n"
            "count = lambda: [p['num_threads'] for p in threadpoolctl.threadpool_info()]\n"
            "before = count(); lanes.prepare_process(); print(before, count())\n")
    environment = {"OPENBLAS_NUM_THREADS": "2", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment, check=True)
    assert done.stdout == "[2] [1]\n"


def test_a_batch_of_no_images_is_refused():
    with pytest.raises(Error, match="^there are no images; give at least one$"):
        lanes.joined(None, 0, None, np, 1)
