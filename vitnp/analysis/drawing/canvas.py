"""Figures that are laid out in inches: pictures, maps over them, words and colour bars."""

import numpy as np

from vitnp.analysis.drawing import figures
from vitnp.data import picture

LONGEST = 600                   # pixels of a photograph that is drawn
SMALL = 64                      # pixels up to which a picture is enlarged without smoothing
WORDS, TITLE = 8, 12            # points
TITLE_HEIGHT = 0.7              # inches, of two lines


def page(across, high, title, words):
    """Return a figure of `across` x `high` inches with a title and words below it, and its axes.

    The axes cover the figure and count in inches from its top left corner.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(across, high))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, across), ylim=(high, 0))
    axes.set_axis_off()
    for text, size, y in ((title, TITLE, 0.22), (words, WORDS + 1, 0.5)):
        # Letters are moved to whole pixels, which makes long lines a little longer
        text = figures.fitting(text, 72 * (0.97 * across - 0.2), size)
        axes.text(across / 2, y, text, size=size, ha="center", va="center", parse_math=False)
    return figure, axes


def write(axes, x, y, text, width, **looks):
    """Write a text with its centre at (x, y), cut short where it is wider than `width` inches."""
    looks = {"size": WORDS, "ha": "center", "va": "center"} | looks
    axes.text(x, y, figures.fitting(text, 72 * width, looks["size"]), parse_math=False, **looks)


def sides(image, width, height):
    """Return width and height in inches of an image that fills a box and keeps its proportions."""
    scale = min(width / image.shape[1], height / image.shape[0])
    return scale * image.shape[1], scale * image.shape[0]


def draw(axes, array, box, **looks):
    """Draw an array in a box (left, top, width, height), and return matplotlib's image."""
    left, top, width, height = box
    return axes.imshow(array, extent=(left, left + width, top + height, top), aspect="auto",
                       **looks)


def draw_picture(axes, image, box):
    """Draw an image, uint8 (height, width, C), in colours where C is 3, else in greys."""
    image = image if image.shape[2] == 3 else image.mean(axis=2)
    kind = "nearest" if max(image.shape[:2]) <= SMALL else "antialiased"
    return draw(axes, image, box, cmap="gray", vmin=0, vmax=255, interpolation=kind)


def draw_rollout(axes, image, rollout, box):
    """Draw a rollout (rows, columns) in colours over an image in greys, and return its image.

    The colours go from 0 to its largest share, which is written below the box. With one scale for
    several pictures, the one that has the largest would leave the others dark.
    """
    # The greys are made lighter: over black no colour can be told from another
    draw_picture(axes, 80 + 0.69 * image.mean(axis=2, keepdims=True), box)
    left, top, width, height = box
    write(axes, left + width / 2, top + height + 0.11,
          f"largest: {rollout.max() * rollout.size:.2f} times an even share", max(width, 2.0))
    return draw(axes, rollout / rollout.max(), box, cmap="inferno", vmin=0, vmax=1, alpha=0.6,
                interpolation="bilinear")


def rollout_bar(figure, image, box):
    """Draw the colour bar of a rollout's image in a box."""
    colour_bar(figure, image, box, "share in the output relative to the picture's largest")


def colour_bar(figure, image, box, label):
    """Draw the colour bar of an image in a box (left, top, width, height), with ticks outside."""
    across, high = figure.get_size_inches()
    left, top, width, height = box
    axes = figure.add_axes((left / across, 1 - (top + height) / high, width / across,
                            height / high))
    direction = "horizontal" if width > height else "vertical"
    bar = figure.colorbar(image, cax=axes, orientation=direction)
    bar.set_label(label, size=WORDS + 1)
    bar.ax.tick_params(labelsize=WORDS)
    return bar


def shown(path):
    """Return the picture in a file as uint8 (height, width, 3), at most 600 pixels long.

    It keeps its proportions.
    """
    whole = picture.load(path)
    scale = min(1.0, LONGEST / max(whole.size))
    width, height = (max(1, round(scale * side)) for side in whole.size)
    return np.asarray(picture.resized(whole, height, width, "bilinear"))
