"""Figures that are laid out in inches: pictures, maps over them, words and colour bars."""

import numpy as np

from vitnp.analysis.drawing import even_share, figures
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


def draw_rollout(axes, rollout, box):
    """Draw a rollout (rows, columns) as colours around an even share, and return its image.

    One scale serves all pictures; the largest share is written below the box.
    """
    left, top, width, height = box
    shares = rollout * rollout.size                         # in multiples of an even share
    write(axes, left + width / 2, top + height + 0.11,
          f"largest: {shares.max():.2f} times an even share", max(width, 2.0))
    image = draw(axes, even_share.levels(shares, even_share.OCTAVES["rollout"]), box,
                 cmap=even_share.colour_map(), vmin=0, vmax=1, interpolation="nearest")
    image.axes.add_patch(outline(box))
    return image


def outline(box):
    """Return a thin frame around a box, for maps that are as light as the page at their border."""
    from matplotlib.patches import Rectangle

    left, top, width, height = box
    return Rectangle((left, top), width, height, fill=False, edgecolor="#c8ccd0", linewidth=0.6)


def rollout_bar(figure, image, box):
    """Draw the colour bar of a rollout's image in a box."""
    bar = colour_bar(figure, image, box, "share in the output")
    places, words = even_share.ticks(even_share.OCTAVES["rollout"])
    bar.set_ticks(places, labels=words)


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
