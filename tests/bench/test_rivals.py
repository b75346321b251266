"""The rivals are the same network and take the same step."""

import functools

import numpy as np
import pytest

from vitnp import optim, params, vit
from vitnp.bench import cases
from vitnp.config import ViTConfig
from vitnp.parallel import lanes
from vitnp.training import steps

# What these libraries warn of while they are imported is not ours
pytestmark = pytest.mark.filterwarnings("ignore")

CONFIG = ViTConfig(image_size=(6, 4), patch_size=2, channels=3, width=12, depth=3, heads=3,
                   mlp_width=20, classes=5)
SHAPES = vit.shapes(CONFIG)
IMAGES, LABELS = cases.inputs(CONFIG, 6)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def weights():
    """Return a flat buffer of weights none of which is zero."""
    flat = vit.init(CONFIG, np.random.default_rng(0))
    return flat + 0.2 * np.random.default_rng(1).standard_normal(flat.shape, dtype=np.float32)


def tree_of(flat):
    return params.flatten(params.views(flat, SHAPES))


def our_logits():
    return lanes.logits(IMAGES, params.views(weights(), SHAPES), CONFIG)


def our_state_after_a_step():
    """Return the State after one step; its gradients are those that were clipped."""
    state = steps.State(weights(), *(np.zeros_like(weights()) for _ in range(3)))
    tree, gradients = (params.views(flat, SHAPES) for flat in (state.params, state.gradients))
    lanes.loss_and_gradients(IMAGES, LABELS, tree, gradients, CONFIG)
    assert np.linalg.norm(state.gradients) > cases.CLIP_NORM
    groups = steps.groups(CONFIG, cases.WEIGHT_DECAY)
    norm = optim.global_norm(state.gradients)
    steps.update(state, groups, cases.LEARNING_RATE, norm, cases.CLIP_NORM)
    return state


def test_pytorch_is_the_same_network():
    torch = pytest.importorskip("torch")
    from vitnp.bench import torch_vit

    model = torch_vit.ViT(CONFIG)
    model.load_state_dict(torch_vit.state_dict(CONFIG, params.views(weights(), SHAPES)))
    with torch.inference_mode():
        theirs = model(torch.from_numpy(IMAGES).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(theirs, our_logits(), **CLOSE)


def test_pytorch_takes_the_same_step():
    torch = pytest.importorskip("torch")
    from vitnp.bench import torch_vit

    state = our_state_after_a_step()
    model, after, gradients = (torch_vit.ViT(CONFIG) for _ in range(3))
    for network, flat in ((model, weights()), (after, state.params), (gradients, state.gradients)):
        network.load_state_dict(torch_vit.state_dict(CONFIG, params.views(flat, SHAPES)))
    images, labels = torch.from_numpy(IMAGES).permute(0, 3, 1, 2), torch.from_numpy(LABELS)
    torch_vit.trainer(model, model, images, labels, lambda: None)()
    wanted = zip(after.named_parameters(), gradients.parameters(), strict=True)
    for p, ((name, our_p), our_gradient) in zip(model.parameters(), wanted, strict=True):
        # The first step has the size of the rate, whatever the gradient's: rounding must not count
        our_gradient, certain = our_gradient.detach(), our_gradient.detach().abs() > 1e-4
        torch.testing.assert_close(p.grad, our_gradient, rtol=1e-3, atol=1e-5, msg=name)
        torch.testing.assert_close(p.detach()[certain], our_p.detach()[certain], rtol=0, atol=2e-6,
                                   msg=name)


def test_jax_is_the_same_network():
    jax = pytest.importorskip("jax")
    from vitnp.bench import jax_vit

    tree = jax.tree.map(jax.numpy.asarray, params.views(weights(), SHAPES))
    theirs = jax.jit(functools.partial(jax_vit.forward, CONFIG))(tree, IMAGES)
    np.testing.assert_allclose(theirs, our_logits(), **CLOSE)


def test_jax_takes_the_same_step():
    jax = pytest.importorskip("jax")
    from vitnp.bench import jax_vit

    tree = jax.tree.map(jax.numpy.asarray, params.views(weights(), SHAPES))
    zeros = jax.tree.map(jax.numpy.zeros_like, tree)
    train_step = jax.jit(functools.partial(jax_vit.train_step, CONFIG))
    stepped, moment1, moment2 = train_step(tree, zeros, zeros, 0, IMAGES, LABELS)
    state = our_state_after_a_step()
    for theirs, ours in ((moment1, state.moment1), (moment2, state.moment2)):
        ours = tree_of(ours)
        for name, moment in params.flatten(theirs).items():
            np.testing.assert_allclose(moment, ours[name], rtol=2e-3, atol=1e-6, err_msg=name)
    after, gradients = tree_of(state.params), tree_of(state.gradients)
    for name, p in params.flatten(stepped).items():
        certain = np.abs(gradients[name]) > 1e-4
        np.testing.assert_allclose(np.asarray(p)[certain], after[name][certain], rtol=0, atol=2e-6,
                                   err_msg=name)
