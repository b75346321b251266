"""The pictures of runs: whole PNG files whose words are neither cut off nor in each other's way."""

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp.analysis.drawing import figures
from vitnp.layers import cross_entropy

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
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -1e-9, box


def check_no_words_meet(texts):
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("count", [1, 60])
def test_curves_are_a_whole_png(tmp_path, count):
    figures.curves(records(count), tmp_path / "curves.png", "tiny/2 on digits")
    size, colours = picture(tmp_path / "curves.png")
    assert size == (960, 768) and colours > 100
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_without_smoothing_the_train_loss_has_no_floor(drawn):
    figures.curves(records(3), None, "tiny/2 on digits")
    assert [line.get_label() for line in drawn[0].axes[0].lines] == ["train", "validation"]


@pytest.mark.parametrize(("smoothing", "classes"), [(0.1, 10), (0.3, 2), (0.9, 1000)])
def test_the_least_loss_is_that_of_the_targets_themselves(smoothing, classes):
    logits = np.full((1, classes), np.log(smoothing / classes))
    logits[0, 1] = np.log(1 - smoothing + smoothing / classes)
    losses, _ = cross_entropy.forward(logits, np.array([1]), smoothing)
    assert figures.least_loss(smoothing, classes) == pytest.approx(losses[0], rel=1e-9)
    assert figures.least_loss(0.0, classes) is None


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_curves_show_every_epoch_at_a_whole_number(drawn, count):
    """One epoch makes no line: it needs a mark."""
    figures.curves(records(count), None, "tiny/2 on digits", 0.5)
    figure = drawn[0]
    check_nothing_is_cut_off(figure)
    words = [figure._suptitle]
    for axes in figure.axes:
        words += [axes.title, axes.xaxis.label, axes.yaxis.label]
        words += [axes.yaxis.get_offset_text(), *labels(axes.xaxis), *labels(axes.yaxis)]
        for line in axes.lines[:2]:
            assert list(line.get_xdata()) == list(range(1, count + 1))
            assert (line.get_marker() == "o") is (count == 1)
        assert all(float(tick).is_integer() for tick in axes.get_xticks())
    check_no_words_meet(words)
    loss, accuracy, rate, norm = figure.axes
    assert [line.get_label() for line in loss.lines] == [
        "train, with smoothed labels", "validation", "the least that they allow"]
    assert list(loss.lines[2].get_ydata()) == [0.5, 0.5]
    assert loss.lines[1].get_ydata()[0] == 2.2 and accuracy.lines[0].get_ydata()[0] == 50
    assert rate.lines[0].get_ydata()[-1] == 1e-3 / count
    assert norm.lines[0].get_ydata()[-1] == 2.0


@pytest.mark.parametrize("names", ["a", FASHION])
def test_a_confusion_matrix_is_a_whole_png(tmp_path, names):
    figures.confusion(counts_of(names), names, tmp_path / "c.png", "tiny/2 on digits, test part")
    size, colours = picture(tmp_path / "c.png")
    assert min(size) > 300 and max(size) < 1500 and colours > 50


@pytest.mark.parametrize("names", ["0123456789", FASHION, LONG, ["cat", "Übergröße"],
                                   [f"no. {i}" for i in range(250)]])
def test_a_confusion_matrix_names_rows_and_columns(drawn, names):
    title = "mini/4 on fashion-mnist, validation part, last checkpoint"
    figures.confusion(counts_of(names), names, None, title)
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


@pytest.mark.parametrize("count", [1, 2, 20])
def test_runs_are_compared_by_lines_that_differ(drawn, count):
    compared = [(f"run-{i}", records(3 + i)) for i in range(count)]
    figures.compare(compared, None)
    figure = drawn[0]
    check_nothing_is_cut_off(figure)
    legend = figure.legends[0]
    words = [text for axes in figure.axes for text in
             (axes.title, axes.xaxis.label, axes.yaxis.label, *labels(axes.xaxis),
              *labels(axes.yaxis))]
    check_no_words_meet([*words, *legend.get_texts(), legend.get_title()])
    looks = [(line.get_color(), line.get_linestyle()) for line in legend.get_lines()]
    assert len(set(looks)) == count
    for axes, key, factor in zip(figure.axes, ("validation_accuracy", "validation_loss",
                                               "train_loss"), (100, 1, 1), strict=True):
        lines = [line for line in axes.lines if line.get_marker() != "o"]
        assert [(line.get_color(), line.get_linestyle()) for line in lines] == looks
        for line, (_, expected) in zip(lines, compared, strict=True):
            numbers = [factor * record[key] for record in expected[:-1]]
            np.testing.assert_array_equal(line.get_data(), [range(1, len(numbers) + 1), numbers])


def test_the_best_of_a_run_is_marked_and_named(drawn):
    """The last epoch, or the lowest accuracy, in its place would tell another story."""
    accuracies = (0.25, 0.75, 0.5, 0.75, 0.5)
    run = [{"epoch": i, "train_loss": 1.0, "validation_accuracy": accuracy}
           for i, accuracy in enumerate(accuracies, start=1)]
    young = [{"epoch": 1, "train_loss": 2.0}]
    figures.compare([("_a$b$", run), ("young", young)], None)
    marks = [line.get_data() for line in drawn[0].axes[0].lines if line.get_marker() == "o"]
    assert marks == [([4], [75])]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [
        "75.00 %  _a$b$", "not validated yet  young"]


def test_names_are_cut_to_the_width_that_there_is():
    for name in ("cat", "W" * 1000, "a class with quite a long name", "i" * 1000):
        for kept in ("", " (99.9 %)"):
            shown = figures.fitting(name, 80, 8, kept)
            assert figures.width_of(shown, 8) <= 80
            assert shown == name + kept or figures.width_of(shown, 8) > 65
            start, dots, end = shown.partition("…")
            assert name.startswith(start) and end == kept if dots else shown == name + kept


def test_names_with_dollars_and_foreign_letters_are_drawn_as_they_are(tmp_path):
    """Matplotlib takes what stands between dollars for a formula, and warns about letters."""
    names = ["$\\frac$", "猫", "x_1$ and $y"]
    figures.confusion(counts_of(names), names, tmp_path / "c.png", "title")
    figures.compare([(name, records(2)) for name in names], tmp_path / "d.png")
    assert picture(tmp_path / "c.png")[1] > 50 and picture(tmp_path / "d.png")[1] > 50


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for draw in (lambda path: figures.curves(records(2), path, "title"),
                 lambda path: figures.compare([("run", records(2))], path),
                 lambda path: figures.confusion(counts_of("ab"), "ab", path, "title")):
        with pytest.raises(vitnp.Error, match="cannot be written"):
            draw(tmp_path / "file" / "a.png")
