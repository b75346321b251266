"""Sheets of pictures: the right ones, in the right order, with the right words below them."""

import numpy as np
import pytest
from test_figures import check_no_words_meet, check_nothing_is_cut_off, drawn, picture

from vitnp.analysis.drawing import figures, sheets

__all__ = ["drawn"]     # the fixture, which ruff takes for a name that is not used
NAMES = ("cat", "dog", "W" * 60, "a class with quite a long name, $5$")


class Recorder:
    """Images that remember which of them were read, as Pictures would decode them."""

    def __init__(self, images):
        self.images, self.shape, self.read = images, images.shape, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, key):
        assert isinstance(key, np.ndarray) and key.dtype.kind == "i"
        self.read.extend(key.tolist())
        return self.images[key]


def images_of(count, shape=(8, 8, 1)):
    """Return images, all of whose pixels are the number of the image."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, *shape))


def answers(predictions, certainties):
    """Return logits (B, 4) whose softmax gives each prediction its certainty."""
    logits = np.full((len(predictions), 4), 0.0)
    certainties = np.asarray(certainties)
    logits[np.arange(len(predictions)), predictions] = np.log(3 * certainties / (1 - certainties))
    return logits


def words_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def numbers_of(figure):
    """Return the one number in all pixels of each picture that was drawn."""
    shown = [np.unique(image.get_array()) for image in figure.axes[0].images]
    assert all(len(numbers) == 1 for numbers in shown)
    return [int(numbers[0]) for numbers in shown]


def test_the_most_confident_mistakes_come_first(drawn):
    """Also where the part is chosen by indices, and only these pictures are read."""
    labels, predictions = np.array([0, 1, 0, 1, 0]), np.array([1, 1, 1, 0, 0])
    logits = answers(predictions, [0.5, 0.9, 0.875, 0.75, 0.9])
    for indices, expected in ((None, [2, 3, 0]), (np.array([9, 7, 5, 3, 1]), [5, 3, 9])):
        images = Recorder(images_of(10))
        sheets.mistakes(images, labels, logits, NAMES, None, "title", indices)
        assert numbers_of(drawn[-1]) == expected == images.read
        assert words_of(drawn[-1]) == [
            "title\nmistakes on 3 of 5 images, with prediction (probability) and label",
            "dog (87.5 %)", "cat", "cat (75.0 %)", "dog", "dog (50.0 %)", "cat"]


def test_forty_of_many_mistakes_are_drawn(drawn):
    certainties = np.linspace(0.3, 0.9, 50)
    images = Recorder(images_of(50))
    sheets.mistakes(images, np.zeros(50, int), answers([1] * 50, certainties), NAMES, None, "title")
    assert numbers_of(drawn[0]) == list(range(49, 9, -1)) == images.read
    assert "\nmistakes on 50 of 50 images, the 40 most confident ones, w" in words_of(drawn[0])[0]


def test_where_there_is_no_mistake_a_sentence_is_drawn(tmp_path, drawn, monkeypatch):
    labels = np.array([0, 1, 3])
    sheets.mistakes(images_of(3), labels, answers(labels, [0.5] * 3), NAMES, None, "title")
    assert words_of(drawn[0]) == ["title\nmistakes on 0 of 3 images"]
    check_nothing_is_cut_off(drawn[0])
    monkeypatch.undo()
    sheets.mistakes(images_of(3), labels, answers(labels, [0.5] * 3), NAMES, tmp_path / "m.png", "")
    assert picture(tmp_path / "m.png")[0][1] > 50


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (224, 224, 3), (40, 10, 3),
                                   (10, 60, 2), (1, 1, 3)])
def test_every_size_fills_its_place_and_keeps_its_proportions(drawn, shape):
    labels = np.arange(10) % 4
    logits = answers((labels + 1) % 4, [0.9] * 10)
    title = "mini/4 on fashion-mnist, validation part, last checkpoint"
    images = images_of(10, shape)
    sheets.mistakes(images, labels, logits, NAMES, None, title)
    sheets.batch(images, images, labels, np.full((10, 4), 0.25, np.float32), NAMES, None, title)
    for figure, sides in zip(drawn, (shape[1], 2 * shape[1] + max(1, shape[1] // 16)), strict=True):
        check_nothing_is_cut_off(figure)
        boxes = [image.get_window_extent() for image in figure.axes[0].images]
        check_no_words_meet(figure.axes[0].texts)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert not any(text.get_window_extent().overlaps(box)
                       for text in figure.axes[0].texts for box in boxes)
        for box in boxes:
            assert box.width / box.height == pytest.approx(sides / shape[0])
        assert max(box.width for box in boxes) > 100 or max(box.height for box in boxes) > 100


def test_small_pictures_keep_their_pixels(drawn):
    for side, expected in ((8, "nearest"), (32, "nearest"), (224, None)):
        sheets.mistakes(images_of(1, (side, side, 1)), np.array([0]), answers([1], [0.9]), NAMES,
                        None, "title")
        kind = drawn[-1].axes[0].images[0].get_interpolation()
        assert (kind == "nearest") is (expected == "nearest")


def test_colours_and_greys_are_drawn_as_they_are(drawn):
    """Grey pixels stay from 0, black, to 255, white, whatever the darkest one of a picture is."""
    colours = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    for images in (colours, colours[..., :1]):
        sheets.mistakes(images, np.array([0, 0]), answers([1, 1], [0.9, 0.8]), NAMES, None, "title")
        for image, pixels in zip(drawn[-1].axes[0].images, images, strict=True):
            np.testing.assert_array_equal(image.get_array(), pixels.squeeze())
            assert image.get_clim() == (0, 255)
            top = image.axes.transData.transform((0, image.get_extent()[3]))[1]
            assert image.origin == "upper" and top == pytest.approx(image.get_window_extent().y1)


def test_a_batch_is_drawn_in_pairs(drawn):
    before, after = images_of(70, (4, 32, 3)), 200 - images_of(70, (4, 32, 3))
    labels = np.arange(70) % 2
    sheets.batch(before, after, labels, labels, NAMES, None, "title")
    shown = drawn[0].axes[0].images
    assert len(shown) == 64
    for i, image in enumerate(shown):
        pixels = np.asarray(image.get_array())
        assert (pixels[:, :32] == i).all() and (pixels[:, -32:] == 200 - i).all()
        assert pixels.shape == (4, 66, 3) and (pixels[:, 32:34] == 255).all()
    assert words_of(drawn[0])[1:] == ["cat", "dog"] * 32


def test_mixed_targets_are_named_by_their_shares(drawn):
    """The label first, even where it is the smaller share; nothing that was not mixed in."""
    targets = np.array([[0.7, 0.3, 0, 0], [0.7, 0.3, 0, 0], [1, 0, 0, 0]], np.float32)
    sheets.batch(images_of(3), images_of(3), np.array([0, 1, 0]), targets, NAMES, None, "title")
    assert words_of(drawn[0])[1:] == ["cat 0.70", "dog 0.30", "dog 0.30", "cat 0.70", "cat 1.00"]
    assert [text.get_color() for text in drawn[0].axes[0].texts[1:3]] == ["black",
                                                                          figures.VERMILION]


def test_a_part_is_drawn_as_two_files(tmp_path):
    labels = np.array([0, 1, 2])
    logits = answers([1, 1, 1], [0.9, 0.9, 0.9])
    paths = sheets.draw_part(tmp_path, "", images_of(3), labels, logits, NAMES, ending="-train")
    assert paths == [tmp_path / "confusion-train.png", tmp_path / "mistakes-train.png"]
    assert sorted(tmp_path.iterdir()) == paths
    assert all(picture(path)[1] > 20 for path in paths)
