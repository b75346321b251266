"""Training with fused kernels and a GPU's options, on the stand-in for CuPy; see on_host.py."""

from dataclasses import replace

import numpy as np
import pytest
import strict_cupy
from kernels import on_host

import vitnp
from vitnp import backend, data, kernels, model, params, vit
from vitnp.backend import to_host
from vitnp.bench import cases, ours, profiling
from vitnp.layers import textbook
from vitnp.parallel import lanes
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import loop, steps

QUICK = Recipe(model="micro/4", epochs=1, batch_size=20, device="gpu", ema=0.9)

compiled = pytest.mark.skipif(on_host.COMPILER is None, reason="there is no g++ to compile with")


@pytest.fixture(autouse=True)
def compiled_on_host(monkeypatch):
    """Let the device "gpu" be the stand-in, whose kernels a C++ compiler compiles."""
    on_host.use(monkeypatch)
    monkeypatch.setattr(backend, "load_cupy", lambda: strict_cupy)


def started(recipe, xp, ops):
    """Return (state, model) before the first step on the library xp, in float64.

    In float32 AdamW makes whole steps of the rounding errors of gradients that are almost 0.
    """
    config, preprocess = recipe.configure(data.load("digits"))
    flat = vit.init(config, np.random.default_rng(0)).astype(np.float64)
    state = steps.start_from(xp.asarray(flat), averaged=True)
    tree = params.views(state.params, vit.shapes(config))
    return state, model.Model(config, tree, preprocess, ops=ops)


@compiled
@pytest.mark.parametrize(("pooling", "gelu"), (("token", "erf"), ("gap", "tanh"), ("avg", "tanh")))
def test_steps_read_nothing_back_and_give_the_same_as_the_textbook_on_the_cpu(pooling, gelu):
    recipe, digits = replace(QUICK, pooling=pooling, gelu=gelu, micro_batch=12), data.load("digits")
    found = []
    for xp, name, ops in ((strict_cupy, "fused", kernels.ops()), (np, "textbook", textbook)):
        state, trained = started(recipe, xp, ops)
        for i in range(3):
            batch = slice(20 * i, 20 * i + 20)
            images, labels = digits.train_images[batch], digits.train_labels[batch]
            with strict_cupy.forbid_host_reads():
                steps.train_step(state, trained, images, labels, replace(recipe, ops=name), 10)
        found.append({name: to_host(buffer) for name, buffer in state.buffers().items()})
    for name, buffer in found[1].items():
        assert np.abs(found[0][name] - buffer).max() < 1e-9, name


@compiled
def test_after_a_step_that_is_not_finite_nothing_changes_any_more(monkeypatch):
    compute, digits = steps.compute_gradients, data.load("digits")
    state, trained = started(QUICK, strict_cupy, kernels.ops())

    def worse(state, *others):
        losses, hits = compute(state, *others)
        if state.step == 1:
            state.gradients[3:4] = strict_cupy.nan
        return losses, hits

    monkeypatch.setattr(steps, "compute_gradients", worse)
    kept = []
    for _ in range(3):
        kept.append({name: to_host(buffer) for name, buffer in state.buffers().items()})
        with strict_cupy.forbid_host_reads():
            steps.train_step(state, trained, digits.train_images[:9], digits.train_labels[:9],
                             replace(QUICK, ops="fused"), 10)
    with pytest.raises(steps.NotFinite):
        steps.check_failed(state)
    assert state.step == 1
    for name, buffer in state.buffers().items():
        np.testing.assert_array_equal(to_host(buffer), kept[1][name])


def few_digits(monkeypatch):
    few = data.load("digits")
    few = replace(few, train_images=few.train_images[:60], train_labels=few.train_labels[:60],
                  test_images=few.test_images[:9], test_labels=few.test_labels[:9])
    monkeypatch.setattr(data, "load", lambda *arguments: few)
    return few


@compiled
def test_a_gpu_trains_with_fused_layers_and_its_model_works_on_either_device(
        tmp_path, monkeypatch):
    few = few_digits(monkeypatch)
    folder, trained, _ = loop.train(QUICK, tmp_path / "run")
    assert run_folder.read_recipe(folder).ops == "fused"
    assert trained.ops is kernels.ops()
    moved = trained.to("cpu")
    assert moved.ops is textbook
    assert moved.to("gpu").ops is kernels.ops() and moved.to("gpu", "textbook").ops is textbook
    own = replace(textbook)
    assert replace(moved, ops=own).to("gpu").ops is own
    for images in (few.test_images, few.test_images[0]):
        probabilities = trained.probabilities(images)
        np.testing.assert_allclose(moved.probabilities(images), probabilities, atol=1e-6)


def test_a_run_that_goes_on_elsewhere_chooses_its_layers_anew():
    recipe = replace(QUICK, ops="fused", tf32=True)
    assert loop.with_changes(recipe, {"threads": 1}) == replace(recipe, threads=1)
    moved = loop.with_changes(recipe, {"device": "cpu"})
    assert (moved.device, moved.ops, moved.tf32) == ("cpu", None, False)


def test_layers_are_chosen_by_option_then_device():
    assert kernels.choose(None, np) == kernels.choose("textbook", np) == "textbook"
    assert kernels.choose(None, strict_cupy) == kernels.choose("fused", strict_cupy) == "fused"
    assert kernels.choose("textbook", strict_cupy) == "textbook"


@pytest.mark.parametrize(("options", "words"), (
    ({"ops": "fused"}, "--ops fused needs a GPU"), ({"tf32": True}, "--tf32 is for products on a")))
def test_what_a_cpu_cannot_do_is_refused_before_the_folder_is_made(tmp_path, options, words):
    with pytest.raises(vitnp.Error, match=words):
        loop.train(Recipe(epochs=1, **options), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", (
    {"ops": "quick"}, {"tf32": 1}, {"tf32": True, "precision": "bfloat16"}), ids=str)
def test_impossible_options_are_refused(options):
    with pytest.raises(vitnp.Error, match="^--(ops|tf32) is "):
        Recipe(**options)


def test_tf32_is_told_to_cublas(monkeypatch):
    told, cublas = [], type("cublas", (), {})
    cublas.setMathMode = staticmethod(lambda handle, mode: told.append((handle, mode)))
    device = type("device", (), {"get_cublas_handle": staticmethod(lambda: 7)})
    cuda = type("cuda", (), {"cublas": cublas, "device": device})
    monkeypatch.setattr(strict_cupy, "cuda", cuda, raising=False)
    backend.use_tf32(strict_cupy)
    assert told == [(7, 3)]


@pytest.mark.parametrize(("fits", "words"), (
    (7, "^20 images at a time do not fit into memory, but 5 do: .* --micro-batch 5"),
    (0, "not even one image at a time")))
def test_too_large_a_batch_is_answered_with_one_that_fits(tmp_path, monkeypatch, fits, words):
    few_digits(monkeypatch)
    compute = lanes.loss_and_gradients

    def within_memory(images, *others, **options):
        if (others[7] or len(images)) > fits:
            raise MemoryError("Out of memory allocating 1,073,741,824 bytes")
        return compute(images, *others, **options)

    monkeypatch.setattr(lanes, "loss_and_gradients", within_memory)
    with pytest.raises(vitnp.Error, match=words):
        loop.train(replace(QUICK, device="cpu", micro_batch=20), tmp_path / "run")


@compiled
@pytest.mark.parametrize("mode", cases.MODES)
def test_the_bench_measures_the_layers_that_a_gpu_trains_with(monkeypatch, mode):
    device = type("Device", (), {"synchronize": lambda self: None})
    cuda = type("cuda", (), {"Device": device})
    pool = type("pool", (), {"total_bytes": lambda: 1})
    monkeypatch.setattr(strict_cupy, "cuda", cuda, raising=False)
    monkeypatch.setattr(strict_cupy, "get_default_memory_pool", lambda: pool, raising=False)
    setting = cases.Setting("vitnp", "digits", mode, threads=1, batch_size=2, device="gpu")
    config, _ = cases.CASES["digits"]
    step, facts, _ = ours.prepare(config, *cases.inputs(config, 2), setting)
    step()
    assert facts["ops"] == "fused"
    names = {row["part"] for row in profiling.profile(setting, 0.01)["parts"]}
    assert {"layernorm", "softmax", "gelu"} <= names
