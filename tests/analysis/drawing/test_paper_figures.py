"""The paper's figures: each number in its place, and words neither cut off nor over each other."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from test_figures import check_no_words_meet, check_nothing_is_cut_off, drawn, labels, picture

from vitnp.analysis.drawing import canvas, even_share, paper_figures, prediction_figure

__all__ = ["drawn"]     # the fixture, which ruff takes for a name that is not used
rng = np.random.default_rng(0)
TITLE = "mini/4 on fashion-mnist, with a name that is longer than the figure is wide " * 3


def words_of(figure):
    """Return all texts of a figure that is laid out in inches, and of its axes' ticks."""
    page, *others = figure.axes
    words = list(page.texts)
    for axes in others:
        words += [axes.xaxis.label, axes.yaxis.label, *labels(axes.xaxis), *labels(axes.yaxis)]
    return words


def check_layout(figure):
    """Check that words and pictures all have room of their own."""
    check_nothing_is_cut_off(figure)
    words = [word for word in words_of(figure) if word.get_text()]
    check_no_words_meet(words)
    boxes = [image.get_window_extent() for axes in figure.axes for image in axes.images]
    places = [word.get_window_extent() for word in words]
    assert not any(place.overlaps(box) for place in places for box in boxes)


def images_of(*sizes):
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in sizes]


SIZES = ((600, 400, 3), (20, 600, 3), (600, 20, 3), (28, 28, 1), (8, 8, 2), (300, 300, 3),
         (1, 1, 3), (50, 60, 3))
LONG = ["a name of a picture that is too long.jpg", "$x$", "é.png", "d", "e", "f", "g", "h"]


@pytest.mark.parametrize("shape", [(28, 16, 16, 3), (16, 4, 4, 1), (1, 1, 1, 1), (9, 2, 2, 4)])
def test_filters_are_drawn_around_mid_grey(drawn, shape):
    components, shares = rng.standard_normal(shape), np.full(shape[0], 1 / shape[0])
    paper_figures.filters(components, shares, None, TITLE)
    check_layout(drawn[0])
    shown = drawn[0].axes[0].images
    assert len(shown) == shape[0]
    for image, component in zip(shown, components, strict=True):
        found, expected = np.asarray(image.get_array()), component
        if shape[3] != 3:
            expected = component.mean(axis=2)
        np.testing.assert_allclose(2 * found - 1, expected / abs(expected).max(), atol=1e-12)
    assert drawn[0].axes[0].texts[2].get_text() == f"1: {100 / shape[0]:.1f} %"


@pytest.mark.parametrize("grid", [(7, 7), (1, 1), (1, 9), (8, 3), (37, 37), (16, 4)])
def test_each_map_of_positions_lies_at_its_patch(drawn, grid):
    """Rows and columns exchanged, or maps counted by column, tell of other patches."""
    rows, columns = grid
    # Which patch is asked stands in the whole part of its cosines, which one is told behind it
    N = rows * columns
    similarity = -(np.arange(N)[:, None] + np.arange(N) / N).reshape(*grid, *grid)
    paper_figures.positions(similarity, None, TITLE)
    figure = drawn[0]
    check_layout(figure)
    axes = figure.axes[1]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("column", "row")
    mosaic = np.asarray(axes.images[0].get_array().filled(np.nan))
    down = [int(label.get_text()) - 1 for label in axes.get_yticklabels()]
    across = [int(label.get_text()) - 1 for label in axes.get_xticklabels()]
    assert len(down) <= 14 and len(across) <= 14
    assert len(down) == rows or rows > 14
    for row, middle in zip(down, axes.get_yticks(), strict=True):
        for column, centre in zip(across, axes.get_xticks(), strict=True):
            top, left = round(middle - (rows - 1) / 2), round(centre - (columns - 1) / 2)
            np.testing.assert_array_equal(mosaic[top:top + rows, left:left + columns],
                                          similarity[row, column])
    assert (~np.isnan(mosaic)).sum() == len(down) * len(across) * N
    box = axes.get_window_extent()
    for side, cells in ((box.width, mosaic.shape[1]), (box.height, mosaic.shape[0])):
        pixels = side * 120 / figure.dpi / cells
        assert pixels == pytest.approx(round(pixels)) and pixels >= 1
    said = figure.axes[0].texts[1].get_text()
    assert said.endswith(" (13 x 13 of the maps)") is (grid == (37, 37))


@pytest.mark.parametrize(("depth", "heads"), [(1, 1), (4, 3), (12, 12), (32, 16)])
def test_distances_stand_over_their_depth(drawn, depth, heads):
    distance = rng.random((depth, heads)) * 100
    paper_figures.attention_distance(distance, 70.0, 5, None, TITLE)
    figure = drawn[0]
    check_nothing_is_cut_off(figure)
    axes = figure.axes[0]
    even, mean, points = axes.lines
    assert set(even.get_ydata()) == {70.0}
    np.testing.assert_array_equal(mean.get_data(), [range(1, depth + 1), distance.mean(axis=1)])
    found = np.stack(points.get_data(), axis=1)
    np.testing.assert_array_equal(found, [(block + 1, distance[block, head])
                                          for block in range(depth) for head in range(heads)])
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > max(70, distance.max())
    assert axes.get_ylabel() == "mean distance in pixels"
    assert axes.title.get_text() == "mean of 5 pictures"
    check_no_words_meet([figure._suptitle, axes.title, axes.xaxis.label, axes.yaxis.label,
                         *labels(axes.xaxis), *labels(axes.yaxis), *figure.legends[0].get_texts()])
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


@pytest.mark.parametrize("count", [1, 3, 8])
def test_rollouts_lie_below_their_pictures(drawn, count):
    images = images_of(*SIZES[:count])
    rollouts = rng.random((count, 3, 5))
    rollouts /= rollouts.sum(axis=(1, 2), keepdims=True)
    paper_figures.rollout(images, rollouts, LONG[:count], None, TITLE)
    check_layout(drawn[0])
    check_rollouts(drawn[0].axes[0], images, rollouts, below=True)


def check_rollouts(axes, images, rollouts, below):
    """Check picture and colours of each, one below or beside the other."""
    shown = axes.images
    assert len(shown) == 2 * len(images)
    largest = [text.get_text() for text in axes.texts if text.get_text().startswith("largest")]
    for i, (image, rollout) in enumerate(zip(images, rollouts, strict=True)):
        plain, colours = shown[2 * i:2 * i + 2]
        expected = image if image.shape[2] == 3 else image.mean(axis=2)
        np.testing.assert_array_equal(plain.get_array(), expected)
        np.testing.assert_allclose(colours.get_array(),
                                   np.clip(0.5 + np.log2(rollout * rollout.size) / 4, 0, 1))
        # Nothing shines through: what is drawn are the colours of the bar
        assert colours.get_clim() == (0, 1) and colours.get_alpha() is None
        a, b = plain.get_window_extent(), colours.get_window_extent()
        assert (a.width, a.height) == pytest.approx((b.width, b.height))
        assert a.width / a.height == pytest.approx(image.shape[1] / image.shape[0])
        apart = (abs(a.x0 - b.x0), a.y0 - b.y1) if below else (abs(a.y0 - b.y0), b.x0 - a.x1)
        assert apart[0] < 1e-6 and 0 < apart[1]
        assert f" {rollout.max() * rollout.size:.2f} times" in largest[i]


def test_the_middle_of_the_scale_is_an_even_share_and_light_falls_along_it():
    assert even_share.levels(np.array([1, 4, 1 / 4, 2, 100, 0]), 2).tolist() == [
        0.5, 1, 0, 0.75, 1, 0]
    for colours, sign in ((even_share.ON_LIGHT, -1), (even_share.ON_DARK, 1)):
        light = [np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) for colour in colours]
        assert (sign * np.diff(light) > 0).all(), light


def test_colours_of_a_rollout_are_the_right_way_up(drawn):
    image = images_of((40, 40, 3))
    paper_figures.rollout(image, [np.array([[0.7, 0.1], [0.1, 0.1]])], ["a"], None, TITLE)
    for shown in drawn[0].axes[0].images:
        left, right, _, top = shown.get_extent()
        assert shown.origin == "upper" and left < right
        assert shown.axes.transData.transform((0, top))[1] == pytest.approx(
            shown.get_window_extent().y1)


@pytest.mark.parametrize(("sizes", "queries", "heads"), [
    (SIZES[:1], [(0, 0)], 1), (SIZES[:4], [(2, 4), (1, 0), (0, 3)], 12), (SIZES[:2], [(1, 2)], 3)])
def test_queries_are_framed_and_heads_stand_beside_them(drawn, sizes, queries, heads):
    images, maps = images_of(*sizes), rng.random((len(sizes), len(queries), heads, 3, 5)) / 15
    names = [f"head {i + 1}" for i in range(heads)]
    paper_figures.query_attention(images, maps, queries, LONG[:len(sizes)], names, None, TITLE)
    figure = drawn[0]
    check_layout(figure)
    axes = figure.axes[0]
    shown, frames = axes.images, [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    words = [text.get_text() for text in axes.texts]
    assert words[2:2 + heads] == names
    assert len(shown) == len(sizes) * len(queries) * (1 + heads) == len(frames) / 2
    place = 0
    for row in maps:
        for query, by_head in zip(queries, row, strict=True):
            for head in range(-1, heads):
                left, right, bottom, top = shown[place].get_extent()
                x, y = frames[2 * place].get_xy()
                assert (x - left) / (right - left) == pytest.approx(query[1] / 5)
                assert (y - top) / (bottom - top) == pytest.approx(query[0] / 3)
                assert frames[2 * place].get_width() == pytest.approx((right - left) / 5)
                if head >= 0:
                    np.testing.assert_allclose(shown[place].get_array(),
                                               by_head[head] / by_head[head].max())
                    assert f"{100 * by_head[head].max():.1f} %" in words
                place += 1


@pytest.mark.parametrize("count", [1, 8, 20])
def test_predictions_stand_beside_their_pictures(drawn, count):
    sizes = SIZES if count == 8 else SIZES[3:5]
    images = images_of(*(sizes[i % len(sizes)] for i in range(count)))
    rollouts = [rng.random((3, 5)) for _ in images]
    said = [[(LONG[i % 8] * 2, 0.5 / (i + 1)) for i in range(1 + place % 13)]
            for place in range(count)]
    said[0] = [("sure", 1.0), ("not", 0.0)]
    prediction_figure.draw(images, rollouts, said, [LONG[i % 8] * 5 for i in range(count)], None,
                           TITLE)
    figure = drawn[0]
    check_layout(figure)
    check_rollouts(figure.axes[0], images, rollouts, below=False)
    bars = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    assert len(bars) == sum(min(len(classes), 10) for classes in said)
    widths = [bar.get_width() / prediction_figure.BARS for bar in bars]
    np.testing.assert_allclose(widths, [p for classes in said for _, p in classes[:10]])
    assert figure.get_size_inches()[1] < 70


def test_names_and_bars_of_predictions_stand_close_to_the_maps(drawn):
    prediction_figure.draw(images_of((40, 40, 3)), [rng.random((3, 5))], [[("cat", 1.0)]], ["a"],
                           None, TITLE)
    axes = drawn[0].axes[0]
    name = next(text for text in axes.texts if text.get_text() == "cat").get_window_extent()
    inch = drawn[0].dpi
    edge = prediction_figure.LEFT + 2 * prediction_figure.BOX[0] + prediction_figure.GAP
    assert 0 < name.x0 / inch - edge < 0.6


def test_the_figures_are_whole_png_files(tmp_path):
    similarity = np.eye(6).reshape(2, 3, 2, 3)
    paper_figures.positions(similarity, tmp_path / "a.png", "title")
    paper_figures.rollout(images_of((28, 28, 1)), rng.random((1, 2, 3)), ["猫 $x$"],
                          tmp_path / "b.png", "title")
    for name in ("a.png", "b.png"):
        size, colours = picture(tmp_path / name)
        assert min(size) > 300 and colours > 50


def test_large_grids_are_thinned_out_evenly():
    for count in (1, 2, 13, 14, 15, 28, 37, 100):
        chosen = paper_figures.thinned(count)
        assert len(chosen) == min(count, 14) or 7 <= len(chosen) <= 14
        assert abs(chosen[0] - (count - 1 - chosen[-1])) <= 1 and 0 <= chosen[0] <= chosen[-1]


def test_titles_are_cut_to_the_width_of_the_figure(drawn):
    figure, axes = canvas.page(4, 3, TITLE, "words")
    figure.draw_without_rendering()
    assert axes.texts[0].get_text().endswith("…")
    check_nothing_is_cut_off(figure)
