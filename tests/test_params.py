"""The tree of views and its flat buffer."""

import numpy as np
import pytest

from vitnp import params

SHAPES = {"blocks/0/a/weight": (2, 3), "blocks/1/a/weight": (2, 3), "head/bias": (4,),
          "blocks/0/b": (5,), "blocks/1/b": (5,)}


def test_tree_and_buffer_share_memory_and_cover_it_once():
    flat = params.allocate(SHAPES, np.float32, np)
    tree = params.views(flat, SHAPES)
    assert flat.dtype == np.float32 and flat.size == 26
    for number, array in enumerate(params.flatten(tree).values(), start=1):
        array += number
    assert (flat > 0).all() and set(flat) == {1, 2, 3, 4, 5}
    flat[:] = 7
    assert (tree["blocks"][1]["a"]["weight"] == 7).all()


def test_order_in_the_buffer_is_that_of_the_shapes():
    """The optimiser's groups rely on it."""
    assert params.slices(SHAPES)["head/bias"] == slice(12, 16)
    flat = np.arange(26.0)
    np.testing.assert_array_equal(params.views(flat, SHAPES)["blocks"][0]["b"], flat[16:21])


def test_flatten_undoes_nest_and_blocks_stay_in_order_beyond_ten():
    tensors = {f"blocks/{i}/x": np.array(i) for i in range(12)} | {"norm/gamma": np.array(1.0)}
    tree = params.nest(tensors)
    assert [int(block["x"]) for block in tree["blocks"]] == list(range(12))
    assert params.flatten(tree) == tensors
    assert params.find(tree, "blocks/11")["x"] == 11


def test_add_reaches_the_buffer_and_refuses_to_broadcast():
    """A gradient (1, 3) on a bias (3,), or one not summed over the batch, would train silently."""
    flat = np.zeros(26)
    tree = params.views(flat, SHAPES)
    params.add(tree["head"], {"bias": np.ones(4)})
    params.add(tree["head"], {"bias": np.ones(4)})
    assert flat.sum() == 8 and (flat[12:16] == 2).all()
    for wrong in (np.ones((1, 4)), np.ones((3, 4)), np.ones(1), np.array(1.0)):
        with pytest.raises(ValueError, match="head|bias"):
            params.add(tree["head"], {"bias": wrong})
