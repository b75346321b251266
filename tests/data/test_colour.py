"""The colour operations against Pillow's, and the promises at the ends of their scales."""

import numpy as np
import pytest
import strict_cupy

from vitnp.data import colour

FACTORS = np.array([0.0, 0.1, 0.55, 1.0, 1.3, 1.9, 2.5])
B = len(FACTORS)
ENHANCERS = {"brightness": "Brightness", "contrast": "Contrast", "saturation": "Color",
             "sharpness": "Sharpness"}
OPERATIONS = {
    **{name: lambda images, name=name: getattr(colour, name)(images, FACTORS[:len(images)])
       for name in ENHANCERS},
    "autocontrast": colour.autocontrast,
    "equalize": colour.equalize,
    "invert": colour.invert,
    "posterize": lambda images: colour.posterize(images, np.arange(len(images)) % 9),
    "solarize": lambda images: colour.solarize(images, 40.0 * np.arange(len(images))),
}
ALL = pytest.mark.parametrize("name", OPERATIONS)
CHANNELS = pytest.mark.parametrize("channels", (1, 3))


def pictures(channels, height=11, width=14, seed=0):
    """Return B images of different ranges, so that the histograms differ between them."""
    rng = np.random.default_rng(seed)
    low, spread = rng.integers(0, 100, (B, 1, 1, 1)), rng.integers(20, 156, (B, 1, 1, channels))
    return (low + rng.random((B, height, width, channels)) ** 2 * spread).astype(np.uint8)


def with_pillow(images, operation):
    """Return the images after operation(picture, number) on each as a Pillow picture."""
    from PIL import Image

    grey = images.shape[-1] == 1
    results = [operation(Image.fromarray(image[..., 0] if grey else image), i)
               for i, image in enumerate(images)]
    return np.stack([np.asarray(result).reshape(images.shape[1:]) for result in results])


def difference(a, b):
    return abs(a.astype(int) - b.astype(int)).max()


@ALL
@pytest.mark.parametrize("shape", ((11, 14, 3), (6, 9, 1), (1, 2, 3), (2, 5, 1)), ids=str)
def test_both_devices_give_the_same_and_the_images_are_not_changed(name, shape):
    for batch in (B, 1):
        images = np.random.default_rng(0).integers(0, 256, (batch, *shape), np.uint8)
        kept = images.copy()
        changed = OPERATIONS[name](images)
        assert changed.shape == images.shape and changed.dtype == np.uint8
        np.testing.assert_array_equal(images, kept)
        with strict_cupy.forbid_host_reads():
            theirs = OPERATIONS[name](strict_cupy.asarray(images))
        assert theirs.dtype == np.uint8 and difference(theirs.get(), changed) <= 1


@CHANNELS
@pytest.mark.parametrize("name", ENHANCERS)
def test_enhancements_are_pillows_but_for_one_level(name, channels):
    """Pillow cuts the mixture off to a whole number, and here it is rounded: at most one level."""
    from PIL import ImageEnhance

    images = pictures(channels)
    enhance = getattr(ImageEnhance, ENHANCERS[name])
    expected = with_pillow(images, lambda picture, i: enhance(picture).enhance(FACTORS[i]))
    # A grey value that Pillow's whole numbers round the other way counts (factor − 1) times
    bound = 2 if channels == 3 and name in ("saturation", "contrast") else 1
    assert difference(getattr(colour, name)(images, FACTORS), expected) <= bound


@CHANNELS
def test_autocontrast_is_pillows_but_for_one_level(channels):
    from PIL import ImageOps

    images = pictures(channels)
    images[2] = 77                                              # a single value stays
    expected = with_pillow(images, lambda picture, i: ImageOps.autocontrast(picture))
    changed = colour.autocontrast(images)
    assert difference(changed, expected) <= 1
    assert (changed[2] == 77).all()
    assert (changed[3].min(axis=(0, 1)) == 0).all() and (changed[3].max(axis=(0, 1)) == 255).all()


@CHANNELS
@pytest.mark.parametrize("side", (4, 11, 40))
def test_equalize_is_pillows_exactly(channels, side):
    """Also where there are fewer pixels than levels, and where one value takes up nearly all."""
    from PIL import ImageOps

    images = pictures(channels, side, side)
    images[1] = 200
    images[2, 1:] = 3
    images[3] = np.where(images[3] > 60, 255, 0)
    expected = with_pillow(images, lambda picture, i: ImageOps.equalize(picture))
    np.testing.assert_array_equal(colour.equalize(images), expected)


@CHANNELS
def test_posterize_solarize_and_invert_are_pillows_exactly(channels):
    from PIL import ImageOps

    images = pictures(channels)
    bits, thresholds = np.array([1, 2, 3, 4, 5, 7, 8]), np.array([0, 1, 60, 128, 200, 255, 256])
    for changed, operation in (
        (colour.posterize(images, bits), lambda p, i: ImageOps.posterize(p, int(bits[i]))),
        (colour.solarize(images, thresholds), lambda p, i: ImageOps.solarize(p, thresholds[i])),
        (colour.invert(images), lambda p, i: ImageOps.invert(p)),
    ):
        np.testing.assert_array_equal(changed, with_pillow(images, operation))


@CHANNELS
def test_the_neutral_strength_is_the_identity(channels):
    images = pictures(channels)
    ones = np.ones(B)
    for name in ENHANCERS:
        np.testing.assert_array_equal(getattr(colour, name)(images, ones), images)
    np.testing.assert_array_equal(colour.posterize(images, 8 * ones), images)
    np.testing.assert_array_equal(colour.solarize(images, 256 * ones), images)


def test_saturation_leaves_grey_images_as_they_are_and_takes_all_colour_for_0():
    grey, colourful = pictures(1), pictures(3)
    np.testing.assert_array_equal(colour.saturation(grey, FACTORS), grey)
    without = colour.saturation(colourful, np.zeros(B))
    assert (without == without[..., :1]).all()


@ALL
def test_an_image_does_not_depend_on_those_beside_it(name):
    images = pictures(3)
    others = images.copy()
    others[1:] = 255 - others[1:]
    np.testing.assert_array_equal(OPERATIONS[name](images)[0], OPERATIONS[name](others)[0])


def test_histogram_counts_every_level():
    planes = np.random.default_rng(0).integers(0, 256, (2, 3, 500), np.uint8)
    counts = colour.histogram(planes)
    for i in range(2):
        for channel in range(3):
            expected = np.bincount(planes[i, channel], minlength=256)
            np.testing.assert_array_equal(counts[i, channel], expected)
