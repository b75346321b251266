"""The pictures of runs: whole PNG files whose words are neither cut off nor in each other's way."""

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp import figures

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag", "Ankle boot")
LONG = [f"a class with quite a long name, {i}" for i in range(20)]


def records(count):
    """Return the records of `count` epochs and of the test, as metrics.jsonl has them."""
    epochs = [{"epoch": i + 1, "step": 9 * i, "learning_rate": 1e-3 / (i + 1), "gradient_norm": 2.0,
               "train_loss": 2 / (i + 1), "validation_loss": 2.2 / (i + 1),
               "train_accuracy": 1 - 1 / (i + 2), "validation_accuracy": 0.95 - 1 / (i + 2)}
              for i in range(count)]
    return [*epochs, {"test_loss": 0.1, "test_accuracy": 0.98}]


def counts_of(names):
    size = len(names)
    counts = np.random.default_rng(0).integers(0, 30, (size, size))
    return counts + 9_970 * np.eye(size, dtype=int)


def picture(path):
    """Return the size and the number of colours of a PNG, after reading all of it."""
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with Image.open(path) as image:
        return image.size, len(image.convert("RGB").getcolors(10**6))


@pytest.fixture
def drawn(monkeypatch):
    """Let figures be drawn without a file, and return the list that they are kept in."""
    kept = []

    def keep(figure, path):
        figure.draw_without_rendering()
        kept.append(figure)

    monkeypatch.setattr(figures, "save", keep)
    return kept


def labels(axis):
    """Return the tick labels of an axis that are drawn: those within its limits."""
    low, high = sorted(axis.get_view_interval())
    return [label for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            if low <= place <= high]


def check_nothing_is_cut_off(figure):
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, box


def check_no_words_meet(texts):
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("count", [1, 60])
def test_curves_are_a_whole_png(tmp_path, count):
    figures.curves(records(count), tmp_path / "curves.png", "tiny/2 on digits")
    size, colours = picture(tmp_path / "curves.png")
    assert size == (1800, 432) and colours > 100
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_curves_show_every_epoch_at_a_whole_number(drawn, count):
    """One epoch makes no line: it needs a mark."""
    figures.curves(records(count), None, "tiny/2 on digits")
    figure = drawn[0]
    check_nothing_is_cut_off(figure)
    words = [figure._suptitle]
    for axes in figure.axes:
        words += [axes.title, axes.xaxis.label, axes.yaxis.label]
        words += labels(axes.xaxis) + labels(axes.yaxis)
        for line in axes.lines:
            assert list(line.get_xdata()) == list(range(1, count + 1))
            assert (line.get_marker() == "o") is (count == 1)
        assert all(float(tick).is_integer() for tick in axes.get_xticks())
    check_no_words_meet(words)
    loss, accuracy, rate, norm = figure.axes
    assert [line.get_label() for line in loss.lines] == ["train, as minimised", "validation"]
    assert loss.lines[1].get_ydata()[0] == 2.2 and accuracy.lines[0].get_ydata()[0] == 50
    assert rate.lines[0].get_ydata()[-1] == 1e-3 / count
    assert norm.lines[0].get_ydata()[-1] == 2.0


@pytest.mark.parametrize("names", ["a", FASHION])
def test_a_confusion_matrix_is_a_whole_png(tmp_path, names):
    figures.confusion(counts_of(names), names, tmp_path / "c.png", "tiny/2 on digits, test part")
    size, colours = picture(tmp_path / "c.png")
    assert min(size) > 300 and max(size) < 1500 and colours > 50


@pytest.mark.parametrize("names", ["0123456789", FASHION, LONG, [f"no. {i}" for i in range(250)]])
def test_a_confusion_matrix_names_rows_and_columns(drawn, names):
    figures.confusion(counts_of(names), names, None, "tiny/2 on digits, test part")
    figure = drawn[0]
    check_nothing_is_cut_off(figure)
    axes = figure.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("label", "prediction")
    for axis in (axes.xaxis, axes.yaxis):
        shown = {place: label.get_text() for place, label in
                 zip(axis.get_ticklocs(), labels(axis), strict=True)}
        assert all(text == names[place] for place, text in shown.items())
        assert len(shown) == len(names) if len(names) <= 100 else 50 < len(shown) <= 100
    check_no_words_meet([axes.yaxis.label, *labels(axes.yaxis)])
    if len(names[0]) == 1:
        check_no_words_meet([axes.xaxis.label, *labels(axes.xaxis)])
    assert max(figure.get_size_inches()) < 25


def test_cells_hold_counts_and_colours_shares(drawn):
    """Rows are labels: a matrix drawn the other way round blames the wrong class."""
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 8]])
    figures.confusion(counts, "abc", None, "title")
    axes = drawn[0].axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "3", (1, 0): "1", (1, 2): "2", (2, 2): "8"}
    shares = [[75, 25, 0], [0, 0, 0], [0, 20, 80]]
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), shares)


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for draw in (lambda path: figures.curves(records(2), path, "title"),
                 lambda path: figures.confusion(counts_of("ab"), "ab", path, "title")):
        with pytest.raises(vitnp.Error, match="cannot be written"):
            draw(tmp_path / "file" / "a.png")
