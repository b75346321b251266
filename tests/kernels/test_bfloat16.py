"""bfloat16 on a CPU: factors rounded as a GPU takes them, sums in float32."""

import numpy as np
import pytest

import vitnp
from vitnp import kernels, networks
from vitnp.config import ViTConfig
from vitnp.kernels.products import lengthen, product, shorten
from vitnp.layers import textbook
from vitnp.runs.recipe import Recipe
from vitnp.training import loop


@pytest.mark.parametrize(("number", "short"), (
    (0.0, 0.0), (-0.0, -0.0), (1.0, 1.0), (1 + 2**-8, 1.0), (1 + 3 * 2**-8, 1 + 2**-6),
    (1 + 2**-8 + 2**-20, 1 + 2**-7), (-1 - 2**-7, -1 - 2**-7), (np.inf, np.inf),
    (-np.inf, -np.inf), (3.4e38, np.inf), (1e-40, 1e-40)))
def test_numbers_are_rounded_to_the_nearest_and_ties_to_even(number, short):
    found = lengthen(shorten(np.float32([number])))[0]
    assert found == pytest.approx(short, rel=2e-2 if abs(number) == 1e-40 else 0)
    assert np.signbit(found) == np.signbit(short)


def test_nan_stays_nan_whatever_its_bits():
    bits = np.uint32([0x7F800001, 0x7FFFFFFF, 0xFFC00000, 0xFF80FFFF])
    assert np.isnan(lengthen(shorten(bits.view(np.float32)))).all()


def test_sums_are_float32():
    """In bfloat16 a sum of ones would end at 256."""
    ones = shorten(np.ones((1, 5000), np.float32))
    assert product(ones, ones.T)[0, 0] == 5000


def test_layers_are_near_the_textbook_and_differ_in_their_products_alone():
    rng, ops = np.random.default_rng(0), kernels.ops("bfloat16")
    x = rng.standard_normal((4, 3, 64), np.float32)
    weight = rng.standard_normal((64, 9), np.float32)
    found, expected = [], []
    for layers, results in ((ops, found), (textbook, expected)):
        y, cache = layers.linear.forward(x, weight, np.ones(9, np.float32))
        results += [y, *layers.linear.backward(np.ones_like(y), cache)]
        q = x.reshape(2, 2, 3, 64)
        y, cache = layers.dot_product_attention.forward(q, q, q, layers)
        results += [y, *layers.dot_product_attention.backward(q, cache)]
    for a, b in zip(found, expected, strict=True):
        error = np.linalg.norm(a - b) / np.linalg.norm(b)
        assert a.dtype == np.float32 and error < 1e-2
    assert (found[0] != expected[0]).any()
    np.testing.assert_array_equal(found[3], expected[3])            # dbias is no product
    np.testing.assert_array_equal(ops.softmax.forward(x)[0], textbook.softmax.forward(x)[0])


def test_a_network_learns_as_in_float32(tmp_path):
    recipe = Recipe(model="micro/4", epochs=4, warmup_epochs=1, train_images=600, batch_size=32,
                    learning_rate=4e-3, threads=1)
    losses = []
    for precision in ("float32", "bfloat16"):
        changed = vars(recipe) | {"precision": precision}
        _, trained, score = loop.train(Recipe(**changed), tmp_path / precision)
        assert trained.ops is networks.layers_of(trained.config, "textbook", precision)
        losses.append(score.loss)
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.05)


def test_what_is_not_possible_is_refused():
    with pytest.raises(vitnp.Error, match="--precision is 'half'; it must be float32 or bfloat16"):
        Recipe(precision="half")
    with pytest.raises(vitnp.Error, match="without a stem"):
        networks.layers_of(ViTConfig.named("micro/4", stem=(8, 16), image_size=32), "textbook",
                           "bfloat16")
    with pytest.raises(vitnp.Error, match="leave out --ops textbook"):
        kernels.choose("textbook", object(), "bfloat16")
    assert kernels.choose(None, np, "bfloat16") == "textbook"
