"""From what users have to what the network takes: arrays, files, and what is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp.data.preprocess import Preprocess

COLOUR = Preprocess((6, 4), (0.4, 0.5, 0.6), (0.2, 0.25, 0.5))
GREY = Preprocess((6, 4), (0.5,), (0.25,))
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


@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic"])
def test_files_are_resized_in_the_way_asked_for(tmp_path, resample):
    path = png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8))
    expected = Image.open(path).resize((4, 6), getattr(Image.Resampling, resample.upper()))
    preprocess = Preprocess((6, 4), (0.5,), (0.5,), resample)
    np.testing.assert_array_equal(preprocess.batch(path)[0, ..., 0], expected)


@pytest.mark.parametrize(("images", "words"), [
    (np.zeros((4, 6, 3), np.uint8), "(4, 6, 3), but this model takes (height, width, channels) = "),
    (np.zeros((2, 6, 4, 1), np.uint8), "(2, 6, 4, 1), but this model takes"),
    (np.zeros((6, 4), np.uint8), "(6, 4), but"),
    (np.zeros((1, 1, 6, 4, 3), np.uint8), "(1, 1, 6, 4, 3), but"),
    (np.uint8(3), "the shape ()"), (None, "the shape ()"), (7, "the shape ()"),
    ({"a": 1}, "the shape ()"), ([None], "the shape ()"),
    ([[1.0, 2.0], [3.0]], "the shape (2,)"), ([[[1.0, 2.0], [3.0]]], "neither paths nor arrays"),
    ([PIXELS[0], PIXELS[0, :3]], "(3, 4, 3), but"),
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
    announcing(folder / "half_a_bomb.png", 12_000, 10_000)
    return sorted([*folder.iterdir(), folder / "missing.png", folder / "text.png" / "a.png"])


def test_files_that_are_no_pictures_are_refused(tmp_path):
    paths = broken_files(tmp_path)
    assert len(paths) == 9
    for path in paths:
        assert refusal(COLOUR.batch, [path]).startswith(f"{path} cannot be read as a picture: ")
    message = refusal(COLOUR.batch, tmp_path / "missing.png")
    assert message.endswith("missing.png cannot be read as a picture: No such file or directory")


def test_a_picture_too_large_for_comfort_is_refused_not_warned_about(tmp_path, monkeypatch):
    """Pillow only warns between one and two times its limit."""
    path = png(tmp_path / "a.png")
    for limit in (23, 12, 11):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert "exceeds limit" in refusal(COLOUR.batch, path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24)
    assert COLOUR.batch(path).shape == (1, 6, 4, 3)


def test_pictures_have_no_channels_but_one_or_three(tmp_path):
    preprocess = Preprocess((6, 4), (0.5,) * 4, (0.5,) * 4)
    assert "4 channels" in refusal(preprocess.batch, png(tmp_path / "a.png"))


@pytest.mark.parametrize(("arguments", "words"), [
    (((6, 4), (0.5,), (0.5, 0.5)), "one number for each channel"),
    (((6, 4), (0.5,), (0.0,)), "std must be above 0"),
    (((6, 4), (0.5,), (float("nan"),)), "std must be above 0"),
    (((6, 4), (0.5,), (0.5,), "lanczos"), "possible are nearest, bilinear, bicubic"),
    (((6,), (0.5,), (0.5,)), "height and width"), (((6, 0), (0.5,), (0.5,)), "height and width"),
    (((6, 4.0), (0.5,), (0.5,)), "height and width"),
])
def test_preprocessing_that_is_impossible_is_refused(arguments, words):
    assert words in refusal(Preprocess, *arguments)
