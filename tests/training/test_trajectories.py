"""Twenty training steps against the authors' libraries: losses, norms, rates, final weights."""

import json

import google_reader
import numpy as np
import pytest

from vitnp import optim, params, vit
from vitnp.parallel import lanes

SETTINGS = json.loads((google_reader.DATA / "trajectories.json").read_text())["optimizers"]


def learning_rate(settings, step):
    if "schedule" not in settings:
        return settings["learning_rate"]
    return optim.schedule(step, settings["peak_value"], settings["warmup_steps"],
                          settings["decay_steps"], settings["end_value"])


@pytest.mark.parametrize("name", SETTINGS)
def test_trajectory(name):
    settings, reference = SETTINGS[name], np.load(google_reader.DATA / "trajectories.npz")
    config, start, _ = google_reader.load("google_vit_small")
    shapes = vit.shapes(config)
    flat, gradients, moment1, moment2 = (
        params.allocate(shapes, np.float64, np) for _ in range(4))
    tree = params.views(flat, shapes)
    params.add(tree, start)
    groups = [(slice(0, flat.size), 1.0, settings["weight_decay"])]
    for step, batch in enumerate(reference["batch_indices"]):
        gradients.fill(0)
        losses, _ = lanes.loss_and_gradients(
            reference["data_images"][batch].astype(np.float64), reference["data_labels"][batch],
            tree, params.views(gradients, shapes), config)
        norm = optim.global_norm(gradients)
        rate = learning_rate(settings, step)
        assert abs(losses.mean() - reference[f"{name}/loss"][step]) < 1e-10
        assert abs(norm - reference[f"{name}/grad_norm"][step]) < 1e-9
        assert abs(rate - reference[f"{name}/lr"][step]) < 1e-15
        if "clip_global_norm" in settings:
            optim.clip_by_global_norm(gradients, norm, settings["clip_global_norm"])
        if settings["kind"] == "adamw":
            optim.adamw(flat, gradients, moment1, moment2, step + 1, rate, groups,
                        beta2=settings["b2"])
        else:
            optim.sgd(flat, gradients, moment1, rate, groups)
    expected = params.flatten(google_reader.to_tree(reference, config, f"{name}/final/"))
    for path, tensor in params.flatten(tree).items():
        assert np.abs(tensor - expected[path]).max() < 1e-9, path
    logits, _ = vit.forward(reference["data_images"].astype(np.float64), tree, config)
    assert np.abs(logits - reference[f"{name}/final_logits"]).max() < 1e-8
