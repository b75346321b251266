"""From what users have to what the network takes: arrays, files, and what is refused."""

import io
import json
import struct
import zlib
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp.data import picture as picture_files
from vitnp.data.preprocess import Preprocess

COLOUR = Preprocess((6, 4), (0.4, 0.5, 0.6), (0.2, 0.25, 0.5))
GREY = Preprocess((6, 4), (0.5,), (0.25,))
CUT = Preprocess((6, 4), (0.5,), (0.5,), "lanczos", (9, 6), True, "even")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 6, 4, 3), dtype=np.uint8)
GREY_PIXELS = PIXELS[..., 0]


def refusal(call, *arguments):
    with pytest.raises(vitnp.Error) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def png(path, pixels=PIXELS[0], **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def announcing(path, width, height):
    """Write a PNG whose header announces that size, with next to no pixels after it."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                     + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b""))
    return path


def test_scaling_is_by_channel_and_the_same_for_both_types_of_pixels():
    expected = (PIXELS / 255.0 - np.array([0.4, 0.5, 0.6])) / np.array([0.2, 0.25, 0.5])
    scaled = COLOUR.scale(PIXELS, np.float64)
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(COLOUR.scale(PIXELS / 255.0, np.float64), scaled, atol=1e-14)
    np.testing.assert_allclose(COLOUR.scale(PIXELS), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("given", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("wanted", [np.float32, np.float64])
def test_the_dtype_is_the_one_asked_for(given, wanted):
    images = PIXELS if given is np.uint8 else (PIXELS / 255.0).astype(given)
    assert COLOUR.scale(COLOUR.batch(images), wanted).dtype == wanted


@pytest.mark.parametrize(("preprocess", "images", "count"), [
    (COLOUR, PIXELS, 5), (COLOUR, PIXELS[0], 1), (COLOUR, PIXELS[:1], 1), (COLOUR, list(PIXELS), 5),
    (COLOUR, tuple(PIXELS), 5), (COLOUR, [PIXELS[:2], PIXELS[2], PIXELS[3:]], 5),
    (COLOUR, PIXELS[:, ::-1], 5), (GREY, GREY_PIXELS, 5), (GREY, GREY_PIXELS[0], 1),
    (GREY, GREY_PIXELS[..., None], 5), (GREY, GREY_PIXELS[0][..., None], 1),
    (GREY, list(GREY_PIXELS), 5),
])
def test_one_image_or_many_as_arrays(preprocess, images, count):
    """No image may be lost or repeated on the way."""
    expected = np.concatenate([np.reshape(part, (-1, *preprocess.shape)) for part in images]
                              if isinstance(images, list | tuple) else
                              [np.reshape(images, (-1, *preprocess.shape))])
    batch = preprocess.batch(images)
    assert batch.shape == (count, *preprocess.shape) and batch.dtype == np.uint8
    np.testing.assert_array_equal(batch, expected)


def test_nested_lists_of_numbers_are_images():
    images = (PIXELS[0] / 255.0).tolist()
    np.testing.assert_array_equal(COLOUR.batch([images]), PIXELS[:1] / 255.0)


def test_files_of_the_right_size_keep_their_pixels(tmp_path):
    paths = [png(tmp_path / f"{i}.png", PIXELS[i]) for i in range(3)]
    np.testing.assert_array_equal(COLOUR.batch(paths), PIXELS[:3])
    np.testing.assert_array_equal(COLOUR.batch(str(paths[1])), PIXELS[1:2])
    np.testing.assert_array_equal(COLOUR.batch([paths[2], PIXELS[0]]), PIXELS[[2, 0]])
    grey = png(tmp_path / "grey.png", GREY_PIXELS[0])
    np.testing.assert_array_equal(GREY.batch(grey), GREY_PIXELS[:1, ..., None])
    np.testing.assert_array_equal(COLOUR.batch(grey)[..., 1], GREY_PIXELS[:1])


def picture(mode):
    pixels = np.random.default_rng(1).integers(0, 256, (10, 14, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "CMYK", "P with alpha"])
@pytest.mark.parametrize("preprocess", [COLOUR, GREY])
def test_files_of_any_kind_and_size_are_read(tmp_path, preprocess, mode):
    """Pillow warns at some of them, and a warning is an error here."""
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    options = {"transparency": bytes(range(200))} if "alpha" in mode else {}
    picture(mode.split()[0]).save(path, **options)
    batch = preprocess.batch(path)
    assert batch.shape == (1, *preprocess.shape) and batch.dtype == np.uint8
    assert batch.min() < batch.max()


def test_sixteen_bits_become_eight(tmp_path):
    """Pillow's convert() would make everything above 255 white."""
    path = png(tmp_path / "a.png", GREY_PIXELS[0].astype(np.uint16) * 257)
    np.testing.assert_array_equal(GREY.batch(path)[0, ..., 0], GREY_PIXELS[0])
    np.testing.assert_array_equal(COLOUR.batch(path)[0, ..., 2], GREY_PIXELS[0])
    real = png(tmp_path / "a.tiff", np.linspace(0, 1, 24, dtype=np.float32).reshape(6, 4))
    assert "no known range" in refusal(GREY.batch, real)


def test_an_animation_gives_its_first_picture(tmp_path):
    frames = [Image.new("L", (4, 6), value) for value in (200, 90, 10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (GREY.batch(tmp_path / "a.gif") == 200).all()


@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_files_are_resized_in_the_way_asked_for(tmp_path, resample):
    path = png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8))
    expected = Image.open(path).resize((4, 6), getattr(Image.Resampling, resample.upper()))
    preprocess = Preprocess((6, 4), (0.5,), (0.5,), resample)
    np.testing.assert_array_equal(preprocess.batch(path)[0, ..., 0], expected)


@pytest.mark.parametrize(("images", "words"), [
    (np.zeros((4, 6, 5), np.uint8), "(4, 6, 5), but this model takes pictures (height, width, ch"),
    (np.zeros((2, 6, 4, 0), np.uint8), "(2, 6, 4, 0), but this model takes"),
    (np.zeros((0, 4), np.uint8), "(0, 4), but"), (np.zeros((6, 0, 3), np.uint8), "(6, 0, 3), but"),
    (np.zeros((2, 0, 4, 3), np.uint8), "(2, 0, 4, 3), but"),
    (np.zeros(6, np.uint8), "(6,), but"),
    (np.zeros((1, 1, 6, 4, 3), np.uint8), "(1, 1, 6, 4, 3), but"),
    (np.uint8(3), "the shape ()"), (None, "the shape ()"), (7, "the shape ()"),
    ({"a": 1}, "the shape ()"), ([None], "the shape ()"),
    ([[1.0, 2.0], [3.0]], "the shape (2,)"), ([[[1.0, 2.0], [3.0]]], "neither paths nor arrays"),
    ([PIXELS[0], PIXELS[0, 0, 0]], "(3,), but"),
    (PIXELS.astype(np.int64), "type int64; possible are uint8 (0 to 255) and floats (0 to 1)"),
    (PIXELS > 3, "type bool"), (PIXELS * 1j, "type complex128"),
    (PIXELS.astype(str), "type <U"), (PIXELS.astype(object), "type object"),
    (PIXELS.astype(np.float32), "from 0.0 to 255.0, but must lie between 0 and 1; divide by 255"),
    (np.full((6, 4, 3), 1 + 1e-9), "to 1.000000001, but"),
    (np.full((6, 4, 3), -1e-9), "from -1e-09"),
    (np.full((6, 4, 3), np.nan), "values from nan to nan"),
    (np.where(PIXELS == PIXELS.max(), np.inf, 0.5), "to inf"),
    ([PIXELS[0], PIXELS[1] / 255.0], "uint8 (0 to 255; files are read so) and floats"),
    ([], "no images were given"), ((), "no images were given"),
    (np.zeros((0, 6, 4, 3)), "no images were given"), ([PIXELS[:0]], "no images were given"),
])
def test_arrays_that_are_no_images_are_refused(images, words):
    assert words in refusal(COLOUR.batch, images)


def test_one_wrong_float_among_many_is_found():
    images = PIXELS / 255.0
    images[3, 2, 1, 0] = np.nan
    assert "nan" in refusal(COLOUR.batch, images)


def broken_files(folder):
    """Return the paths of files that cannot be read as pictures, by what is wrong."""
    whole = io.BytesIO()
    picture("RGB").save(whole, "png")
    whole = whole.getvalue()
    (folder / "text.png").write_text("no picture\n")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(whole[:len(whole) // 2])
    (folder / "flipped.png").write_bytes(whole.replace(b"IDAT", b"\xff\xfe\xfd\xfc"))
    (folder / "folder.png").mkdir()
    announcing(folder / "bomb.png", 50_000, 50_000)
    announcing(folder / "small_bomb.png", 20_000, 10_001)
    return sorted([*folder.iterdir(), folder / "missing.png", folder / "text.png" / "a.png"])


def test_files_that_are_no_pictures_are_refused(tmp_path):
    paths = broken_files(tmp_path)
    assert len(paths) == 9
    for path in paths:
        assert refusal(COLOUR.batch, [path]).startswith(f"{path} cannot be read as a picture: ")
    message = refusal(COLOUR.batch, tmp_path / "missing.png")
    assert message.endswith("missing.png cannot be read as a picture: No such file or directory")


def test_a_picture_too_large_is_refused_in_our_words_whatever_pillow_thinks(tmp_path, monkeypatch):
    path = png(tmp_path / "a.png")
    monkeypatch.setattr(picture_files, "LARGEST", 23)
    assert "it announces 4 x 6 pixels, in all 24, but at most 23 are" in refusal(COLOUR.batch, path)
    with Image.open(path) as opened:
        assert "announces 4 x 6" in refusal(COLOUR.batch, opened)
    monkeypatch.setattr(picture_files, "LARGEST", 24)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)          # Pillow warns or raises
    assert COLOUR.batch(path).shape == (1, 6, 4, 3)
    assert Image.MAX_IMAGE_PIXELS == 11


def test_pictures_have_no_channels_but_one_or_three(tmp_path):
    preprocess = Preprocess((6, 4), (0.5,) * 4, (0.5,) * 4)
    assert "4 channels" in refusal(preprocess.batch, png(tmp_path / "a.png"))


@pytest.mark.parametrize(("arguments", "words"), [
    (((6, 4), (0.5,), (0.5, 0.5)), "one number for each channel"),
    (((6, 4), (0.5,), (0.0,)), "std must be above 0"),
    (((6, 4), (0.5,), (float("nan"),)), "std must be above 0"),
    (((6, 4), (0.5,), (0.5,), "box"), "possible are nearest, bilinear, bicubic, lanczos"),
    (((6, 4), (0.5,), (0.5,), "nearest", (3,)), "resize is (3,); it must be height and width"),
    (((6, 4), (0.5,), (0.5,), "nearest", (3, 3), True, "up"), "possible are floor, even"),
    (((6,), (0.5,), (0.5,)), "height and width"), (((6, 0), (0.5,), (0.5,)), "height and width"),
    (((6, 4.0), (0.5,), (0.5,)), "height and width"),
])
def test_preprocessing_that_is_impossible_is_refused(arguments, words):
    assert words in refusal(Preprocess, *arguments)


# Cutting out the centre

SHORTEST = {"resize": (8, 8), "keep_ratio": True}


def pattern(height, width):
    """Return uint8 (height, width, 3) in which no two neighbours are alike."""
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("rounding", ["floor", "even"])
@pytest.mark.parametrize(("height", "width", "top", "left"), [
    (6, 4, (0, 0), (0, 0)), (7, 5, (0, 0), (0, 0)), (9, 7, (1, 2), (1, 2)), (8, 6, (1, 1), (1, 1)),
    (13, 15, (3, 4), (5, 6)), (11, 4, (2, 2), (0, 0)),
])
def test_half_of_an_odd_margin_is_rounded_as_the_library_does(rounding, height, width, top, left):
    """transformers cuts (side - cut) // 2 off, torchvision and so timm round(… / 2), to even."""
    preprocess = Preprocess((6, 4), (0.5,) * 3, (0.5,) * 3, resize=(height, width),
                            rounding=rounding)
    pixels, kind = pattern(height, width), rounding == "even"
    expected = pixels[top[kind]:top[kind] + 6, left[kind]:left[kind] + 4]
    np.testing.assert_array_equal(preprocess.batch([pixels])[0], expected)


@pytest.mark.parametrize(("rounding", "top", "left"), [("floor", 2, 1), ("even", 1, 0)])
def test_what_is_smaller_than_the_cut_gets_a_black_border(rounding, top, left):
    preprocess = Preprocess((6, 4), (0.5,) * 3, (0.5,) * 3, resize=(3, 3), rounding=rounding)
    pixels = 1 + pattern(3, 3) % 255
    expected = np.zeros((6, 4, 3), np.uint8)
    expected[top:top + 3, left:left + 3] = pixels
    np.testing.assert_array_equal(preprocess.batch([pixels])[0], expected)


def test_a_border_on_one_axis_and_a_cut_on_the_other():
    preprocess = Preprocess((6, 4), (0.5,) * 3, (0.5,) * 3, resize=(4, 8))
    pixels = 1 + pattern(4, 8) % 255
    expected = np.zeros((6, 4, 3), np.uint8)
    expected[1:5] = pixels[:, 2:6]
    np.testing.assert_array_equal(preprocess.batch([pixels])[0], expected)


@pytest.mark.parametrize(("height", "width", "resized"), [
    (40, 40, (8, 8)), (40, 71, (8, 14)), (71, 40, (14, 8)), (3, 100, (8, 266)), (100, 3, (266, 8)),
    (5, 7, (8, 11)), (8, 9, (8, 9)),
])
def test_the_shorter_side_is_resized_and_the_longer_one_loses_its_decimals(height, width, resized):
    preprocess = Preprocess((6, 4), (0.5,) * 3, (0.5,) * 3, "bicubic", **SHORTEST)
    assert preprocess.resized_sides(height, width) == resized
    pixels = pattern(height, width)
    whole = np.asarray(Image.fromarray(pixels).resize(resized[::-1], Image.Resampling.BICUBIC))
    top, left = (resized[0] - 6) // 2, (resized[1] - 4) // 2
    np.testing.assert_array_equal(preprocess.batch([pixels])[0],
                                  whole[top:top + 6, left:left + 4])


def test_sides_that_differ_are_covered_and_rounded_as_timm_does():
    preprocess = Preprocess((6, 4), (0.5,) * 3, (0.5,) * 3, resize=(9, 6), keep_ratio=True)
    assert preprocess.resized_sides(40, 71) == (9, 16)
    assert preprocess.resized_sides(71, 40) == (11, 6)          # 10.65
    assert preprocess.resized_sides(18, 12) == (9, 6)


def test_a_picture_too_long_for_its_proportions_is_refused(tmp_path):
    preprocess = Preprocess((224, 224), (0.5,) * 3, (0.5,) * 3, resize=(256, 256), keep_ratio=True)
    path = tmp_path / "a.png"
    Image.new("RGB", (1, 20_000)).save(path)
    message = refusal(preprocess.batch, path)
    assert message.startswith(f"{path} cannot be read as a picture: with sides of 1 and 20000")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("changes", [{}, SHORTEST, {"resize": (7, 5), "rounding": "even"}])
@pytest.mark.parametrize("size", [(6, 4), (5, 9), (16, 3)])
def test_one_picture_gives_one_answer_however_it_comes(tmp_path, mode, channels, changes, size):
    """Files, Pillow's pictures and arrays, of the network's own size too, go one way."""
    preprocess = Preprocess((6, 4), (0.5,) * channels, (0.5,) * channels, **changes)
    whole = picture(mode).resize(size[::-1])
    whole.save(tmp_path / "a.png")
    expected = preprocess.batch(tmp_path / "a.png")
    array = np.asarray(whole)
    for given in (whole, [whole], array, [array]):
        np.testing.assert_array_equal(preprocess.batch(given), expected)
    floats = preprocess.batch([array / 255.0])
    floats = 255.0 * floats if floats.dtype.kind == "f" else floats
    np.testing.assert_allclose(floats, expected, atol=1e-9)
    if array.ndim == 3 and (size != (6, 4) or not changes):
        np.testing.assert_array_equal(preprocess.batch(np.stack([array] * 2))[1:], expected)


def test_a_batch_of_the_networks_own_size_is_ready():
    """As data sets give it, whose pictures were cut when they were read."""
    preprocess = Preprocess((6, 4), (0.5,) * 3, (0.5,) * 3, **SHORTEST)
    np.testing.assert_array_equal(preprocess.batch(PIXELS), PIXELS)
    assert (preprocess.batch(list(PIXELS)) != PIXELS).any()


def test_pillows_pictures_are_set_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = Image.fromarray(pattern(5, 9))
    whole.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(COLOUR.batch(opened),
                                      COLOUR.batch(whole.rotate(-90, expand=True)))


def test_one_of_pillows_pictures_that_is_cut_short_is_refused(tmp_path):
    path = png(tmp_path / "a.png", pattern(50, 50))
    path.write_bytes(path.read_bytes()[:2000])
    with Image.open(path) as opened:
        assert refusal(COLOUR.batch, opened).startswith("a picture cannot be decoded: ")


def test_another_size_cuts_out_the_same_share():
    preprocess = Preprocess((32, 32), (0.5,), (0.5,), "bicubic", (36, 36), True, "even")
    assert preprocess.with_size((64, 48)) == Preprocess((64, 48), (0.5,), (0.5,), "bicubic",
                                                        (72, 54), True, "even")
    assert GREY.with_size((3, 3)) == Preprocess((3, 3), (0.5,), (0.25,))
    assert Preprocess([6, 4], [0.5], [0.5], resize=[6, 4], rounding="even") == Preprocess(
        (6, 4), (0.5,), (0.5,))


def test_what_older_versions_saved_means_what_it_meant():
    """The whole picture, resized with the filter that they named."""
    old = {"size": [6, 4], "mean": [0.5], "std": [0.25], "resample": "bicubic"}
    assert Preprocess(**old) == Preprocess((6, 4), (0.5,), (0.25,), "bicubic", None, False, "floor")
    assert Preprocess(**json.loads(json.dumps(asdict(CUT)))) == CUT
