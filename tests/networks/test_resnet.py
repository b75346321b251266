"""The residual network: loops, PyTorch, the contract of vit, and its configuration."""

from dataclasses import replace

import naive
import naive_convolutional as loops
import numpy as np
import pytest
import strict_cupy
import torch_reference
from convolutional_cases import SIZES, parameters

from vitnp import params
from vitnp.backend import to_device
from vitnp.config import ViTConfig
from vitnp.errors import Error
from vitnp.gradcheck.cases import drawing
from vitnp.networks import resnet
from vitnp.networks.resnet import ResNetConfig
from vitnp.study import compute

draw = drawing(np)
LARGE = replace(SIZES, root="large", image_size=(19, 13))
IMAGES = draw((3, 5, 7, 3))
FIXTURE = np.load(torch_reference.FIXTURE)


@pytest.mark.parametrize("config", (SIZES, LARGE, replace(SIZES, classes=None)))
def test_forward_equals_loops(config):
    p, images = parameters(config, draw), draw((2, *config.image_size, 3))
    naive.close(resnet.forward(images, p, config)[0], loops.resnet(images, p, config), atol=1e-10)


def same_as(name, tensors, images, dlogits, logits, dimages, gradients):
    config = torch_reference.CONFIGS[name]
    actual, cache = resnet.forward(images, params.nest(tensors), config)
    naive.close(actual, logits, atol=1e-10)
    actual_dimages, tree = resnet.backward(dlogits, cache)
    naive.close(actual_dimages, dimages, atol=1e-10)
    found = params.flatten(tree)
    assert found.keys() == gradients.keys() == resnet.shapes(config).keys()
    for path, gradient in gradients.items():
        naive.close(found[path], gradient, atol=1e-10)


@pytest.mark.parametrize("name", torch_reference.CONFIGS)
def test_the_same_as_pytorchs_fixture(name):
    paths = resnet.shapes(torch_reference.CONFIGS[name])
    tensors, gradients = ({path: FIXTURE[f"{name}/{part}/{path}"] for path in paths}
                          for part in ("params", "gradients"))
    parts = (FIXTURE[f"{name}/{part}"] for part in ("images", "dlogits", "logits", "dimages"))
    images, dlogits, logits, dimages = parts
    same_as(name, tensors, images, dlogits, logits, dimages, gradients)


@pytest.mark.parametrize("name", torch_reference.CONFIGS)
def test_the_same_as_the_pytorch_that_is_installed(name):
    pytest.importorskip("torch", reason="compared with PyTorch where it is installed")
    tensors, images, dlogits = torch_reference.drawn(torch_reference.CONFIGS[name])
    results = torch_reference.results(torch_reference.CONFIGS[name], tensors, images, dlogits)
    same_as(name, tensors, images, dlogits, *results)


def test_parts_are_handed_over_as_soon_as_they_exist_and_are_the_tree():
    p = parameters(SIZES, draw)
    logits, cache = resnet.forward(IMAGES, p, SIZES)
    parts, dlogits = {}, draw(logits.shape)
    dimages, expected = resnet.backward(dlogits, cache)
    again, tree = resnet.backward(dlogits, cache, parts.__setitem__)
    assert tree is None and list(parts) == ["head", "norm", "blocks/2", "blocks/1", "blocks/0",
                                            "root"]
    np.testing.assert_array_equal(again, dimages)
    found, expected = params.flatten(params.nest(params.flatten(parts))), params.flatten(expected)
    assert found.keys() == expected.keys() == params.flatten(p).keys()
    for path, gradient in expected.items():
        np.testing.assert_array_equal(found[path], gradient)


def test_the_pieces_are_the_whole():
    p = parameters(SIZES, draw)
    x, _ = resnet.embed(IMAGES, p, SIZES)
    shapes = [x.shape]
    for features, _ in resnet.encode(x, p, SIZES):
        shapes.append(features.shape)
    assert shapes == [(3, 5, 7, 4), (3, 5, 7, 4), (3, 3, 4, 8), (3, 3, 4, 8)]
    logits, cache = resnet.head(features, p, SIZES)
    np.testing.assert_array_equal(logits, resnet.forward(IMAGES, p, SIZES)[0])
    naive.close(cache["features"] @ p["head"]["weight"] + p["head"]["bias"], logits)


def test_images_do_not_know_each_other():
    p = parameters(SIZES, draw)
    logits, cache = resnet.forward(IMAGES, p, SIZES)
    dlogits = draw(logits.shape)
    dimages, gradients = resnet.backward(dlogits, cache)
    sums = {path: 0.0 for path in params.flatten(gradients)}
    for i in range(3):
        one, cache = resnet.forward(IMAGES[i:i + 1], p, SIZES)
        naive.close(one[0], logits[i], atol=1e-11)
        done, tree = resnet.backward(dlogits[i:i + 1], cache)
        naive.close(done[0], dimages[i], atol=1e-11)
        sums = {path: sums[path] + part for path, part in params.flatten(tree).items()}
    for path, gradient in params.flatten(gradients).items():
        naive.close(sums[path], gradient, atol=1e-11)


@pytest.mark.parametrize("config", (SIZES, LARGE))
def test_on_a_device_nothing_is_read_back_and_all_is_the_same(config):
    """The stand-in for CuPy refuses each of NumPy's functions and conversions."""
    p, images = parameters(config, draw), draw((2, *config.image_size, 3))
    logits, cache = resnet.forward(images, p, config)
    dlogits = draw(logits.shape)
    dimages, gradients = resnet.backward(dlogits, cache)
    there = params.nest({path: to_device(array, strict_cupy)
                         for path, array in params.flatten(p).items()})
    with strict_cupy.forbid_host_reads():
        found, cache = resnet.forward(to_device(images, strict_cupy), there, config)
        done, tree = resnet.backward(to_device(dlogits, strict_cupy), cache)
    naive.close(found.get(), logits)
    naive.close(done.get(), dimages)
    for path, gradient in params.flatten(gradients).items():
        naive.close(params.flatten(tree)[path].get(), gradient)


def test_a_few_steps_of_gradient_descent_learn_six_images():
    config = ResNetConfig(image_size=8, width=8, depths=(1, 1), classes=3, groups=4)
    flat = resnet.init(config, np.random.default_rng(0))
    tree, labels = params.views(flat, resnet.shapes(config)), np.array([0, 1, 2, 0, 1, 2])
    images = np.random.default_rng(1).standard_normal((6, 8, 8, 3)).astype(np.float32)
    for _ in range(40):
        logits, cache = resnet.forward(images, tree, config)
        losses, loss_cache = cache["ops"].cross_entropy.forward(logits, labels)
        dlosses = np.full(6, 1 / 6, np.float32)
        _, gradients = resnet.backward(cache["ops"].cross_entropy.backward(dlosses, loss_cache),
                                       cache)
        for path, gradient in params.flatten(gradients).items():
            params.flatten(tree)[path][...] -= 0.5 * gradient
    assert losses.mean() < 0.1


def test_shapes_of_a_small_one():
    shapes = resnet.shapes(ResNetConfig(width=8, depths=(1, 1), classes=5))
    weights = {path: shape for path, shape in shapes.items() if path.endswith("weight")}
    assert list(shapes)[:len(weights)] == list(weights)
    assert weights == {
        "root/convolution/weight": (3, 3, 3, 8),
        "blocks/0/convolution1/weight": (3, 3, 8, 8), "blocks/0/convolution2/weight": (3, 3, 8, 8),
        "blocks/1/convolution1/weight": (3, 3, 8, 16),
        "blocks/1/convolution2/weight": (3, 3, 16, 16), "blocks/1/shortcut/weight": (1, 1, 8, 16),
        "head/weight": (16, 5)}
    assert shapes["blocks/1/norm1/gamma"] == (8,) and shapes["blocks/1/norm2/beta"] == (16,)
    assert shapes["norm/gamma"] == (16,) and shapes["head/bias"] == (5,)
    assert resnet.shapes(ResNetConfig(root="large"))["root/convolution/weight"] == (7, 7, 3, 16)
    assert "head/weight" not in resnet.shapes(ResNetConfig(classes=None))


def test_initial_values():
    config = ResNetConfig(width=32, depths=(1, 1))
    flat = resnet.init(config, np.random.default_rng(0))
    assert flat.dtype == np.float32
    tensors = params.flatten(params.views(flat, resnet.shapes(config)))
    for path, tensor in tensors.items():
        if tensor.ndim == 4:
            fan_in = np.prod(tensor.shape[:3])
            assert abs(tensor.std() / np.sqrt(2 / fan_in) - 1) < 0.1, path
            assert abs(tensor.mean()) < 4 * tensor.std() / np.sqrt(tensor.size), path
        else:
            assert (tensor == float(path.endswith("gamma"))).all(), path
    again = resnet.init(config, np.random.default_rng(0), np.float64)
    np.testing.assert_array_equal(again.astype(np.float32), flat)


def multiplications(config):
    """Count them by the loops: each convolution on the map that it really makes."""
    counted, real = [], loops.convolution

    def counting(x, weight, stride=1):
        counted.append(weight.size * int(np.prod(loops.output_sides(x, stride))))
        return np.zeros((1, *loops.output_sides(x, stride), weight.shape[3]))

    loops.convolution = counting
    try:
        p = params.nest({path: np.zeros(shape) for path, shape in resnet.shapes(config).items()})
        loops.resnet(np.zeros((1, *config.image_size, config.channels)), p, config)
    finally:
        loops.convolution = real
    return sum(counted) + config.features * (config.classes or 0)


@pytest.mark.parametrize("config", (SIZES, LARGE, replace(SIZES, depths=(1, 1, 2), classes=None)))
def test_multiplications_are_those_of_the_loops(config):
    assert compute.multiplications(config) == multiplications(config)


@pytest.mark.parametrize(("name", "vit"), (
    ("resnet-8", "tiny/4"), ("resnet-12", "mini/4"), ("resnet-16", "midi/4"),
    ("resnet-20", "small/4")))
def test_named_sizes_have_the_compute_of_a_vit(name, vit):
    for image_size, channels in ((32, 3), (28, 1)):
        c = ViTConfig.named(vit, image_size=image_size, channels=channels, classes=10)
        T, D, patches = c.tokens, c.width, c.grid[0] * c.grid[1]
        block = T * (4 * D * D + 2 * D * c.mlp_width) + 2 * T * T * D
        of_vit = patches * c.patch_size**2 * channels * D + c.depth * block + D * 10
        ours = compute.multiplications(ResNetConfig.named(name, image_size=image_size,
                                                          channels=channels))
        assert 0.8 < ours / of_vit < 1.2


def test_the_number_in_a_name_is_the_number_of_layers():
    for name in resnet.VARIANTS:
        config = ResNetConfig.named(name, image_size=28, channels=1, classes=7)
        assert name == f"resnet-{2 + 2 * len(config.blocks)}"
        assert (config.image_size, config.channels, config.classes) == ((28, 28), 1, 7)


def test_blocks_and_grids():
    config = ResNetConfig(image_size=(32, 30), width=8, depths=[1, 2, 1])
    assert config.blocks == [(8, 8, 1), (8, 16, 2), (16, 16, 1), (16, 32, 2)]
    assert config.features == 32 and config.grid == (32, 30) and config.depths == (1, 2, 1)
    assert replace(config, root="large", image_size=(225, 30)).grid == (57, 8)


def test_the_widest_array_of_the_blocks_is_the_windows_of_the_first():
    p = parameters(SIZES, draw)
    _, cache = resnet.forward(IMAGES, p, SIZES)
    _, _, (_, windows, _, _) = cache["blocks"][0]["convolution1"]
    assert windows.size == 3 * SIZES.widest
    sizes = [array.size for block in cache["blocks"] for name in ("convolution1", "convolution2")
             for array in block[name][2] if isinstance(array, np.ndarray)]
    assert max(sizes) == windows.size


@pytest.mark.parametrize(("changes", "said"), (
    ({"width": 20}, "width 20 cannot be divided among 8 groups"),
    ({"root": "tiny"}, "root is 'tiny'; possible are small, large"),
    ({"depths": 3}, "depths is 3; give the number of blocks of each stage"),
    ({"depths": ()}, "depths is ()"), ({"depths": (1, 0)}, "depth of stage 2 is 0"),
    ({"classes": 0}, "classes is 0"), ({"channels": True}, "channels is True"),
    ({"groups": 0}, "groups is 0"), ({"eps": 0.0}, "eps is 0.0"),
    ({"eps": float("nan")}, "eps is nan"), ({"image_size": (1, 2, 3)}, "image_size has 3 numbers"),
    ({"image_size": (32, 0)}, "image width is 0"), ({"width": 16.0}, "width is 16.0"),
))
def test_impossible_sizes_are_one_sentence(changes, said):
    with pytest.raises(Error) as caught:
        ResNetConfig(**changes)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(Error, match="unknown model 'resnet-50'; possible are resnet-8, resnet-12"):
        ResNetConfig.named("resnet-50")
