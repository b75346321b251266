"""The real CuPy, on a driver that is not real.

    python tests/stand_in pytest -n 0 -m slow tests/stand_in

What a GPU alone would show is found here as far as it can be: what CuPy does with each call, how
many programs a step starts, and that none waits.
"""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from vitnp import backend, data, gradcheck, kernels, model, params, vit
from vitnp.bench import cases as sizes
from vitnp.bench import ours
from vitnp.common.randomness import generator
from vitnp.data import augment, colour, geometry, randaugment
from vitnp.gradcheck import cases
from vitnp.kernels import layers, products
from vitnp.layers import textbook
from vitnp.networks import masked
from vitnp.runs.recipe import Recipe
from vitnp.training import steps

stand_in = sys.modules.get("stand_in")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    stand_in is None, reason="they run by python tests/stand_in")]
if stand_in:
    import cupy
    from cupy.cuda import cublas

WAITS = ("wait", "copy to the host")


def test_numbers_are_cupys():
    a = cupy.asarray(np.arange(6, dtype="f").reshape(2, 3))
    assert (a @ a.T).get().tolist() == [[5, 14], [14, 50]] and a.sum().item() == 15
    with pytest.raises(TypeError):
        np.asarray(a)
    with pytest.raises(TypeError):
        a + np.ones(3)


@pytest.mark.parametrize("ops", ("textbook", "fused"))
def test_gradient_check(ops, monkeypatch):
    monkeypatch.setattr(gradcheck, "DIRECTIONS", 1)
    monkeypatch.setattr(gradcheck, "ENTRIES", 2)
    chosen = kernels.ops() if ops == "fused" else textbook
    results = [result for case in cases.all_cases(cupy, chosen) for result in gradcheck.check(
        replace(case, sampled=True), np.random.default_rng(1))]
    assert len(results) >= 362 and [result for result in results if not result.passed] == []


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("batch", ((), (2, 3)), ids=("one", "many"))
def test_products_take_factors_as_they_lie(batch, dtype):
    """Each as it is, transposed, and one of them cut out of a wider matrix; nothing is copied."""
    rng = np.random.default_rng(0)
    wide = [rng.standard_normal((*batch, 5, 7)).astype(dtype) for _ in range(2)]
    a, b = (cupy.asarray(x) for x in wide)
    turned = partial(np.swapaxes, axis1=-1, axis2=-2)
    pairs = [(a, products.transposed(b), wide[0] @ turned(wide[1])),
             (products.transposed(a), b, turned(wide[0]) @ wide[1])]
    if not batch:
        pairs += [(a[:, 2:], b.T[2:], wide[0][:, 2:] @ wide[1].T[2:]),
                  (a.T[1:4], b[:, :3], wide[0].T[1:4] @ wide[1][:, :3]),
                  (a[:1], b.T[:, :1], wide[0][:1] @ wide[1].T[:, :1])]
    for left, right, expected in pairs:
        y, done = stand_in.counted(partial(products.product, left, right, 0.5))
        assert sum(done.values()) == 1
        np.testing.assert_allclose(y.get(), 0.5 * expected, rtol=1e-5, atol=1e-6)
    strange = a[..., ::2, ::3]                              # neither rows nor columns lie together
    np.testing.assert_allclose(
        products.product(strange, products.transposed(strange)).get(),
        wide[0][..., ::2, ::3] @ turned(wide[0][..., ::2, ::3]), rtol=1e-5, atol=1e-6)


def test_bfloat16_is_on_a_gpu_what_it_is_in_the_emulation():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3, 40), np.float32)
    x[0, 0, :4] = np.inf, -np.inf, np.nan, 1e-40
    np.testing.assert_array_equal(products.shorten(cupy.asarray(x)).get(), products.shorten(x))
    ops, results = kernels.ops("bfloat16"), []
    x = rng.standard_normal((4, 3, 40), np.float32)
    weight = rng.standard_normal((40, 9), np.float32)
    q = rng.standard_normal((2, 3, 5, 8), np.float32)
    for xp in (np, cupy):
        move = partial(backend.to_device, xp=xp)
        y, cache = ops.linear.forward(move(x), move(weight), xp.ones(9, "float32"))
        found = [y, *ops.linear.backward(y, cache)]
        y, cache = ops.dot_product_attention.forward(move(q), move(q), move(q), ops)
        results.append([backend.to_host(array) for array in (
            *found, y, *ops.dot_product_attention.backward(y, cache))])
    for a, b in zip(*results, strict=True):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5)


def step_of(case, batch, ops, mode="train", precision="float32"):
    """Return what a step of a bench case makes the GPU do; nothing is computed."""
    config, _ = sizes.CASES[case]
    setting = sizes.Setting("vitnp", case, mode, 1, batch, None, "gpu", ops, precision=precision)
    with stand_in.only_counting():
        step, _, _ = ours.prepare(config, *sizes.inputs(config, batch), setting)
        step()
        return stand_in.counted(step)[1]


def test_a_fused_step_of_b16_starts_at_most_700_programs():
    done = step_of("b16-224", 64, "fused")
    assert sum(done.values()) <= 700, done.most_common()
    assert done["product float32"] == 153 and done["products float32"] == 72
    assert not [name for name in done if "pointers" in name or "to the GPU" in name]
    assert sum(done[name] for name in WAITS) == 1           # the bench's own
    assert sum(step_of("b16-224", 64, "fused", precision="bfloat16").values()) <= 1000


def test_a_textbook_step_sends_and_reads_nothing():
    done = step_of("ti16-224", 2, "textbook")
    assert sum(done.values()) < 2200 and done["copy to the GPU"] == 0
    assert sum(done[name] for name in WAITS) == 1


def test_rows_beyond_65535_blocks_are_launched():
    with stand_in.only_counting():
        ones = cupy.ones(1, "f")
        y, cache = layers.layernorm_forward(cupy.ones((600_000, 1), "f"), ones, ones)
        layers.layernorm_backward(y, cache)
        layers.softmax_backward(y, layers.softmax_forward(y)[1])


def started(recipe, xp, dtype="float64"):
    """Return (state, model) before the first step on the library xp."""
    config, preprocess = recipe.configure(data.load("digits"))
    flat = vit.init(config, np.random.default_rng(0)).astype(dtype)
    state = steps.start_from(xp.asarray(flat), averaged=True)
    ops = kernels.ops() if recipe.ops == "fused" else textbook
    return state, model.Model(config, params.views(state.params, vit.shapes(config)), preprocess,
                              ops=ops)


@pytest.mark.parametrize("pooling", ("token", "gap", "avg"))
@pytest.mark.parametrize("ops", ("textbook", "fused"))
def test_steps_are_those_of_the_cpu_and_nothing_waits(ops, pooling):
    digits, found = data.load("digits"), []
    recipe = Recipe(model="micro/4", pooling=pooling, batch_size=8, micro_batch=5, ops=ops)
    for xp in (cupy, np):
        state, trained = started(replace(recipe, ops=ops if xp is cupy else "textbook"), xp)
        for i in range(3):
            batch = slice(8 * i, 8 * i + 8)
            images, labels = (backend.to_device(array[batch], xp) for array in (
                digits.train_images, digits.train_labels))
            _, done = stand_in.counted(partial(steps.train_step, state, trained, images, labels,
                                               recipe if xp is cupy else replace(
                                                   recipe, ops="textbook"), 10))
            assert sum(done[name] for name in WAITS) == 0
            assert done["copy to the GPU"] <= 2             # the scale of the images
        found.append(backend.to_host(state.params))
    assert np.abs(found[0] - found[1]).max() < 1e-8


def test_tf32_is_that_of_the_thread_that_computes():
    digits = data.load("digits")
    recipe = Recipe(model="micro/4", ops="fused", batch_size=4)
    state, trained = started(recipe, cupy, "float32")
    handle = cupy.cuda.device.get_cublas_handle()
    backend.use_tf32(cupy)
    try:
        _, done = stand_in.counted(partial(
            steps.train_step, state, trained, digits.train_images[:4], digits.train_labels[:4],
            recipe, 10))
    finally:
        cublas.setMathMode(handle, 0)
    found = {name for name in done if name.startswith("product")}
    assert found == {"product float32 TF32", "products float32 TF32"}


def test_augmentation_is_that_of_the_cpu():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 12, 12, 3), np.uint8)
    labels = rng.integers(0, 4, 6)
    fields = {"crop_padding": 2, "rotate": 30.0, "rescale": 0.2, "flip": 0.5, "erase": 0.5,
              "magnitude": 9.0, "randaugment": 3}
    for seed, mixed in enumerate(({"mixup": 0.5}, {"cutmix": 1.0}, {"resized_crop": 0.5}, {}, {})):
        recipe, found = Recipe(**fields | mixed), []
        for xp in (np, cupy):
            result = augment.augmented(xp.asarray(images), xp.asarray(labels), 4, recipe,
                                       generator(seed, "augment"))
            found.append([backend.to_host(array) for array in result])
        for a, b in zip(*found, strict=True):
            assert a.dtype == b.dtype
            if a.dtype == np.uint8:
                apart = np.abs(a.astype(int) - b)           # a rounding where a number is a half
                assert apart.max() <= 1 and (apart > 0).mean() < 0.01
            else:
                np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", (*randaugment.OPERATIONS, "invert", "flip"))
def test_each_operation_on_pictures_is_that_of_the_cpu(name):
    """Also where a kernel writes to what it reads, or makes an integer of a float beyond it."""
    operations = randaugment.OPERATIONS | {
        "invert": lambda images, s: colour.invert(images),
        "flip": lambda images, s: geometry.random_flip(images, np.random.default_rng(0))}
    images = np.random.default_rng(1).integers(0, 256, (6, 12, 12, 3), np.uint8)
    strength = np.array([1.0, -1.0, 0.5, -0.5, 0.9, 0.0])
    expected = operations[name](images, strength)
    found = operations[name](cupy.asarray(images), strength).get()
    apart = np.abs(expected.astype(int) - found)            # a rounding where a number is a half
    assert found.dtype == np.uint8 and apart.max() <= 1 and (apart > 0).mean() < 0.01


def test_masked_patches_are_those_of_the_cpu():
    config = masked.MaskedConfig.named("micro/4", image_size=8, channels=1, classes=None)
    images = np.random.default_rng(0).random((3, 8, 8, 1))
    found = []
    for xp in (np, cupy):
        flat = masked.init(config, np.random.default_rng(0), np.float64)
        flat = xp.asarray(flat + 0.1 * np.random.default_rng(1).standard_normal(flat.shape))
        tree = params.views(flat, masked.shapes(config))
        corruption = masked.corrupt(3, 4, generator(0, "mask"), xp)
        logits, cache = masked.forward(xp.asarray(images), corruption, tree, config, textbook)
        gradients = xp.zeros_like(flat)
        whole = params.views(gradients, masked.shapes(config))

        def add(name, part, whole=whole):
            params.add(params.find(whole, name), part, first=True)

        masked.backward(logits, cache, add)
        found.append([backend.to_host(logits), backend.to_host(gradients)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
