"""Masked patch prediction: gradients, the network from its parts, and what the corruption is."""

from dataclasses import replace

import numpy as np
import pytest
import strict_cupy

import vitnp
from vitnp import gradcheck, networks, params, vit
from vitnp.backend import to_device, to_host
from vitnp.common.randomness import generator
from vitnp.gradcheck import Case
from vitnp.layers import textbook
from vitnp.networks import masked
from vitnp.networks.masked import MaskedConfig

SIZES = MaskedConfig(image_size=(6, 8), patch_size=2, channels=3, width=12, depth=2, heads=3,
                     mlp_width=10, classes=None, eps=0.01)
N = 12
rng = np.random.default_rng(0)


def example(config, xp=np, images=3):
    """Return images, a Corruption and parameters, all random, in float64."""
    draws = np.random.default_rng(1)
    corruption = masked.corrupt(images, N, np.random.default_rng(2), xp)
    tree = params.nest({path: to_device(0.7 * draws.standard_normal(shape), xp)
                        for path, shape in masked.shapes(config).items()})
    pictures = draws.standard_normal((images, *config.image_size, config.channels))
    return to_device(pictures, xp), corruption, tree


@pytest.mark.parametrize("xp", (np, strict_cupy), ids=("numpy", "stand-in"))
@pytest.mark.parametrize("changes", [{"pooling": "token"}, {"pooling": "gap", "positions": "2d"},
                                     {"pooling": "avg", "positions": "none", "dropout": 0.1}])
def test_backward_is_the_derivative_of_forward(changes, xp):
    config = replace(SIZES, channels=1, **changes)
    images, corruption, tree = example(config, xp)

    def forward(arguments):
        masks = generator(0, "gradcheck", xp=xp) if config.dropout else None
        return masked.forward(images, corruption, arguments, config, textbook, masks)

    case = Case("masked", tree, forward, masked.backward, sampled=True)
    results = gradcheck.check(case, np.random.default_rng(3))
    assert len(results) >= len(masked.shapes(config))
    assert [result for result in results if not result.passed] == []


def test_forward_is_the_network_on_the_corrupted_tokens():
    """From the whole embedding of replaced pixels, with hidden tokens exchanged one by one."""
    config = replace(SIZES, pooling="token")
    images, corruption, tree = example(config)
    patches, cache = textbook.patches.forward(images, 2)
    moved = np.stack([each[order] for each, order in zip(patches, corruption.source, strict=True)])
    pictures = textbook.patches.backward(moved, cache)          # puts each patch in its place
    x, _ = vit.embed(pictures, tree, config)
    for i, n in np.argwhere(corruption.hidden):
        x[i, 1 + n] = tree["mask"]["token"] + tree["embedding"]["position"][1 + n]
    for tokens, _ in vit.encode(x, tree, config):
        x = tokens
    logits, _ = masked.forward(images, corruption, tree, config)
    assert logits.shape == (3, 6, 512)
    for i in range(3):
        for m, n in enumerate(corruption.chosen[i]):
            normed, _ = textbook.layernorm.forward(x[i, 1 + n], **tree["norm"], eps=config.eps)
            expected = normed @ tree["colour"]["weight"] + tree["colour"]["bias"]
            np.testing.assert_allclose(logits[i, m], expected, atol=1e-10)


def test_dropout_is_where_training_with_labels_has_it(monkeypatch):
    """Once on the tokens with their positions, then in the blocks."""
    config = replace(SIZES, pooling="token", dropout=0.3)
    images, corruption, tree = example(config)
    counts, drop = [], textbook.dropout.forward

    def spy(x, *others, **options):
        counts.append(x.shape)
        return drop(x, *others, **options)

    monkeypatch.setattr(textbook.dropout, "forward", spy)
    masked.forward(images, corruption, tree, config, rng=np.random.default_rng(0))
    found, counts[:] = list(counts), []
    vit.forward(images, params.nest({path: array for path, array in params.flatten(tree).items()
                                     if path in vit.shapes(config)}), config,
                rng=np.random.default_rng(0))
    assert found == counts and found[0] == (3, 1 + N, 12)


def test_hidden_patches_and_other_images_have_no_influence():
    images, corruption, tree = example(SIZES)
    corruption = corruption._replace(source=np.tile(np.arange(N), (3, 1)))      # none is replaced
    before, _ = masked.forward(images, corruption, tree, SIZES)
    patches, cache = textbook.patches.forward(images, 2)
    patches = np.where(corruption.hidden[..., None], 9.0, patches)
    after, _ = masked.forward(textbook.patches.backward(patches, cache), corruption, tree, SIZES)
    np.testing.assert_array_equal(after, before)
    other = images.copy()
    other[1] += 1.0
    changed, _ = masked.forward(other, corruption, tree, SIZES)
    np.testing.assert_array_equal(changed[::2], before[::2])
    assert (changed[1] != before[1]).any()


def test_half_of_the_patches_are_corrupted_in_the_papers_shares():
    corruption = masked.corrupt(3000, 16, np.random.default_rng(0))
    chosen, source, hidden = corruption
    rows = np.arange(3000)[:, None]
    assert chosen.shape == (3000, 8) and all(len(set(row)) == 8 for row in chosen)
    is_chosen = np.zeros((3000, 16), bool)
    is_chosen[rows, chosen] = True
    own = source == np.arange(16)
    assert own[~is_chosen].all() and not hidden[~is_chosen].any()
    assert abs(hidden[is_chosen].mean() - 0.8) < 0.01
    assert abs((~own)[is_chosen].mean() - 0.1) < 0.004
    assert not (hidden & ~own).any()
    np.testing.assert_allclose(is_chosen.mean(axis=0), 0.5, atol=0.03)
    moved = (source - np.arange(16))[~own] % 16
    np.testing.assert_allclose(np.bincount(moved, minlength=16)[1:] / len(moved), 1 / 15, atol=0.02)


def test_colours_by_hand():
    image = np.zeros((1, 2, 4, 3), np.uint8)
    image[0, :, :2] = [[[255, 31, 32], [255, 31, 32]], [[255, 31, 32], [255, 31, 32]]]
    image[0, :, 2:, 1] = [[0, 127], [128, 255]]                 # mean 127.5: level 3
    assert masked.colours(image, 2).tolist() == [[7 * 64 + 0 * 8 + 1, 3 * 8]]
    grey = np.array([[0, 255], [64, 65]], np.uint8).reshape(1, 2, 2, 1)
    assert masked.colours(grey, 2).tolist() == [[3]] and masked.colours(grey, 1).max() == 7
    assert SIZES.colours == 512 and replace(SIZES, channels=1).colours == 8


def test_colours_on_a_device_are_those_on_the_host():
    images = rng.integers(0, 256, (4, 6, 8, 3)).astype(np.uint8)
    device = masked.colours(strict_cupy.asarray(images), 2)
    np.testing.assert_array_equal(to_host(device), masked.colours(images, 2))


def test_the_start_is_the_plain_networks_with_a_small_mask_and_colours_of_zero():
    flat = masked.init(SIZES, np.random.default_rng(5))
    tree = params.flatten(params.views(flat, masked.shapes(SIZES)))
    plain = params.views(vit.init(SIZES, np.random.default_rng(5)), vit.shapes(SIZES))
    for path, array in params.flatten(plain).items():
        np.testing.assert_array_equal(tree[path], array)
    assert not tree["colour/weight"].any() and not tree["colour/bias"].any()
    assert 0 < np.abs(tree["mask/token"]).max() < 0.1


def test_the_configuration_finds_its_network_and_the_plain_one():
    assert networks.of(SIZES) is masked and networks.of(SIZES.plain) is vit
    assert type(SIZES.plain) is vitnp.ViTConfig and SIZES.plain.width == 12
    with pytest.raises(vitnp.Error, match="at least two patches"):
        replace(SIZES, image_size=2)
    for wrong in ({"stem": (8,), "patch_size": 1}, {"classes": 3}, {"pre_logits": 4}):
        with pytest.raises(vitnp.Error, match="masked patch prediction is for"):
            replace(SIZES, **wrong)
