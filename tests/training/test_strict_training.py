"""The GPU's path on a machine without one: everything runs on the strict stand-in for CuPy.

A NumPy call on a device array, a mixture of arrays, an argument that CuPy does not know or a
read back to the host inside a step raises there.
"""

from dataclasses import replace

import numpy as np
import pytest
import strict_cupy

import vitnp
from vitnp import backend, data, gradcheck, model, params, vit
from vitnp.backend import to_host
from vitnp.gradcheck import cases
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import labels, loop, steps

QUICK = Recipe(model="micro/4", epochs=1, batch_size=20, device="gpu", dropout=0.1,
               stochastic_depth=0.1, ops="textbook")


@pytest.fixture(autouse=True)
def strict_gpu(monkeypatch):
    """Let the device "gpu" be the stand-in."""
    monkeypatch.setattr(backend, "load_cupy", lambda: strict_cupy)


@pytest.mark.parametrize("case", cases.all_cases(strict_cupy), ids=lambda case: case.name)
def test_gradient_check(case):
    if not case.sampled and case.name.startswith(("attention", "block", "mlp")):
        case = replace(case, sampled=True)                      # the stand-in is slow
    results = gradcheck.check(case, np.random.default_rng(1))
    assert results and [result for result in results if not result.passed] == []


@pytest.mark.parametrize("case", cases.all_cases(strict_cupy), ids=lambda case: case.name)
def test_forward_and_backward_read_nothing_back(case):
    with strict_cupy.forbid_host_reads():
        y, cache = case.forward(case.arguments)
        gradients = case.backward(strict_cupy.ones_like(y), cache)
    assert {type(g) for g in params.flatten(gradients).values()} == {strict_cupy.ndarray}


def started(recipe, xp):
    """Return (state, model) before the first step on the library xp."""
    config, preprocess = recipe.configure(data.load("digits"))
    state = steps.start(config, recipe.seed, xp)
    state.average = state.params.copy() if recipe.ema else None
    tree = params.views(state.params, vit.shapes(config))
    return state, model.Model(config, tree, preprocess)


@pytest.mark.parametrize("pooling", ("token", "gap", "avg"))
def test_steps_read_nothing_back_and_give_the_same_as_on_the_cpu(pooling):
    """Without masks, which each library draws from a stream of its own."""
    recipe = replace(QUICK, pooling=pooling, positions="2d", gelu="erf", dropout=0.0,
                     stochastic_depth=0.0, micro_batch=10, ema=0.9)
    digits = data.load("digits")
    weights = []
    for xp in (strict_cupy, np):
        state, trained = started(recipe, xp)
        for i in range(3):
            batch = slice(20 * i, 20 * i + 20)
            images, labels = digits.train_images[batch], digits.train_labels[batch]
            with strict_cupy.forbid_host_reads():
                steps.train_step(state, trained, images, labels, recipe, 10)
        weights.append(to_host(state.params))
    assert np.abs(weights[0] - weights[1]).max() < 1e-6 and weights[0].dtype == np.float32


def test_augmentation_runs_on_the_device_and_draws_as_on_the_cpu(tmp_path, monkeypatch):
    """One epoch with everything; the pictures may differ by a rounding, the targets not."""
    recipe = replace(QUICK, randaugment=2, magnitude=5.0, erase=0.5, mixup=0.5, cutmix=1.0,
                     flip=0.5, resized_crop=0.5, dropout=0.0, stochastic_depth=0.0)
    few, seen, take = data.load("digits"), [], steps.train_step
    few = replace(few, train_images=few.train_images[:50], train_labels=few.train_labels[:50])
    monkeypatch.setattr(data, "load", lambda *arguments: few)

    def spy(state, trained, images, targets, *others):
        seen.append((images, targets))
        return take(state, trained, images, targets, *others)

    monkeypatch.setattr(steps, "train_step", spy)
    for device in ("cpu", "gpu"):
        loop.train(replace(recipe, device=device), tmp_path / device)
    assert len(seen) == 6
    for (images, targets), (on_device, device_targets) in zip(seen[:3], seen[3:], strict=True):
        assert isinstance(on_device, strict_cupy.ndarray)
        difference = np.abs(to_host(on_device).astype(int) - images)
        assert difference.max() <= 1 and (difference > 0).mean() < 0.01
        np.testing.assert_array_equal(to_host(device_targets), targets)


def test_a_step_with_masks_reads_nothing_back():
    digits = data.load("digits")
    state, trained = started(QUICK, strict_cupy)
    with strict_cupy.forbid_host_reads():
        steps.train_step(state, trained, digits.train_images[:9], digits.train_labels[:9],
                            QUICK, 10)
    assert state.step == 1


@pytest.mark.parametrize("number", (2, 5))
def test_after_a_step_that_is_not_finite_the_weights_stay_those_before_it(monkeypatch, number):
    """Nothing is read back, and so the steps go on, but none of them changes anything."""
    compute, digits = steps.compute_gradients, data.load("digits")
    recipe = replace(QUICK, ema=0.9)
    state, trained = started(recipe, strict_cupy)

    def worse(state, *others):
        losses, hits = compute(state, *others)
        if state.step == number - 1:
            state.gradients[:] = strict_cupy.full_like(state.gradients, strict_cupy.nan)
        return losses, hits

    monkeypatch.setattr(steps, "compute_gradients", worse)
    kept = []
    for i in range(6):
        kept.append({name: to_host(b).copy() for name, b in state.buffers().items()})
        batch = slice(9 * i, 9 * i + 9)
        with strict_cupy.forbid_host_reads(), np.errstate(invalid="ignore"):
            steps.train_step(state, trained, digits.train_images[batch],
                             digits.train_labels[batch], recipe, 10)
    with pytest.raises(steps.NotFinite):
        steps.check_failed(state)
    assert state.step == number - 1
    for name, buffer in state.buffers().items():
        np.testing.assert_array_equal(to_host(buffer), kept[number - 1][name])


def test_a_run_that_stops_on_the_gpu_names_the_step_and_saves_the_state_before(
        tmp_path, monkeypatch):
    compute = steps.compute_gradients

    def worse(state, *others):
        losses, hits = compute(state, *others)
        if state.step == 3:
            state.gradients[:] = strict_cupy.full_like(state.gradients, strict_cupy.inf)
        return losses, hits

    monkeypatch.setattr(labels, "compute_gradients", worse)
    few = data.load("digits")
    few = replace(few, train_images=few.train_images[:200], train_labels=few.train_labels[:200])
    monkeypatch.setattr(data, "load", lambda *arguments: few)
    with pytest.raises(vitnp.Error, match="step 4 was not taken: .* tensors are not finite"):
        loop.train(QUICK, tmp_path / "run")
    tensors, facts, _ = run_folder.last_checkpoint(tmp_path / "run")
    assert facts["step"] == 3 and all(np.isfinite(tensor).all() for tensor in tensors.values())


def test_a_whole_run_and_its_evaluation(tmp_path, monkeypatch):
    digits = data.load("digits")
    few = replace(digits, train_images=digits.train_images[:60],
                  train_labels=digits.train_labels[:60], test_images=digits.test_images[:30],
                  test_labels=digits.test_labels[:30])
    monkeypatch.setattr(data, "load", lambda *arguments: few)
    folder, trained, score = loop.train(QUICK, tmp_path / "run")
    assert type(trained.params["norm"]["gamma"]) is strict_cupy.ndarray
    on_host = model.load(folder, "best")
    on_device = on_host.to("gpu", "textbook")
    for found in (on_host, on_device):
        logits = found.logits(few.test_images)
        assert isinstance(logits, np.ndarray)
        np.testing.assert_allclose(logits, trained.logits(few.test_images), atol=1e-6)
        assert all(isinstance(a, np.ndarray) for a in found.attention(few.test_images[:2]))
        assert found.features(few.test_images[:2]).shape == (2, 32)
    loss, gradients = on_device.loss_and_gradients(few.test_images, few.test_labels)
    again, _ = on_host.loss_and_gradients(few.test_images, few.test_labels)
    assert abs(loss - again) < 1e-6
    assert type(gradients["norm"]["gamma"]) is strict_cupy.ndarray
    on_device.save(tmp_path / "copy.safetensors")
    assert model.load(tmp_path / "copy.safetensors").config == trained.config
    assert 0.0 <= score.accuracy <= 1.0


def test_the_stand_in_would_see_a_numpy_call():
    case = next(case for case in cases.all_cases(strict_cupy) if case.name == "softmax")
    with pytest.raises(TypeError):
        np.exp(case.arguments["x"])
