"""Pictures with what a network says of them and where it looks, one row a picture."""

from vitnp.analysis.drawing import canvas, figures

MOST = 20                       # pictures in a figure
MOST_BARS = 10
LEFT, GAP, BOX = 0.2, 0.25, (3.0, 2.3)          # inches; BOX: width, height of a picture
MOST_NAMES, BARS, AFTER = 1.9, 1.8, 0.55        # inches, of the classes, bars and percentages


def draw(images, rollouts, predictions, names, path, title):
    """Draw each image, its attention rollout beside it, and its likeliest classes as bars.

    images: a list of uint8 (height, width, 3), of any sizes; rollouts: (rows, columns) for
    each; predictions: for each a list of (name, probability), of which ten are drawn; names: of the
    pictures.
    """
    # As wide as the longest name
    aside = min(MOST_NAMES, 0.15 + max(figures.width_of(name, 9) / 72 for classes in predictions
                                       for name, _ in classes[:MOST_BARS]))
    across = LEFT + 2 * (BOX[0] + GAP) + aside + BARS + AFTER
    talls = [max(canvas.sides(image, *BOX)[1], 0.22 * min(len(classes), MOST_BARS))
             for image, classes in zip(images, predictions, strict=True)]
    top = canvas.TITLE_HEIGHT + 0.6
    high = top + sum(tall + 0.5 for tall in talls) + 0.05
    figure, axes = canvas.page(across, high, title, "pictures, attention rollout (how much of each "
                               "patch reaches the output), and probabilities of the classes")
    for image, rollout, classes, name, tall in zip(images, rollouts, predictions, names, talls,
                                                   strict=True):
        canvas.write(axes, LEFT, top + 0.12, name, 2 * BOX[0], ha="left", size=9)
        wide, high_here = canvas.sides(image, *BOX)
        inset, y = (BOX[0] - wide) / 2, top + 0.25 + (tall - high_here) / 2
        canvas.draw_picture(axes, image, (LEFT + inset, y, wide, high_here))
        shown = canvas.draw_rollout(axes, rollout,
                                    (LEFT + BOX[0] + GAP + inset, y, wide, high_here))
        bars(axes, classes[:MOST_BARS], LEFT + 2 * (BOX[0] + GAP), aside, top + 0.25, tall)
        top += tall + 0.5
    canvas.rollout_bar(figure, shown,
                       (LEFT + BOX[0] + GAP, canvas.TITLE_HEIGHT + 0.05, BOX[0], 0.12))
    figures.save(figure, path)


def bars(axes, classes, left, aside, top, tall):
    """Draw (name, probability) pairs as bars in a box `tall` inches high, `aside` for the names."""
    from matplotlib.patches import Rectangle

    step = min(tall / len(classes), 0.4)
    first, x = top + (tall - step * len(classes)) / 2, left + aside
    axes.plot([x, x], [first, first + step * len(classes)], color="black", linewidth=0.8)
    for i, (name, probability) in enumerate(classes):
        y = first + (i + 0.5) * step
        axes.add_patch(Rectangle((x, y - 0.32 * step), BARS * probability, 0.64 * step,
                                 color=figures.BLUE))
        canvas.write(axes, x - 0.08, y, name, aside - 0.1, ha="right", size=9)
        canvas.write(axes, x + BARS * probability + 0.05, y, f"{100 * probability:.1f} %", AFTER,
                     ha="left")
