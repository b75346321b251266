"""The paper's figures of a trained network, as PNG files; the numbers are those of interpret.py.

Source: Dosovitskiy et al. 2021, figures 6 and 7, and appendix D.7 and D.8.
"""

import math

import numpy as np

from vitnp.analysis.drawing import canvas, figures

MOST_MAPS = 14                  # position maps down and across
ACROSS = 4                      # pictures beside each other
CELL, GAP = 2.0, 0.15           # inches, of a picture or map and between two
DPI = 120                       # of figures.save
COMPONENT, HEAD = 1.0, 1.2      # inches, of a filter and of a head's map


def filters(components, shares, path, title):
    """Draw principal components of the patch filters (count, P, P, C), with their shares (count,).

    With three channels they are drawn in colours, else the mean of the channels in greys.
    """
    count, C = len(components), components.shape[3]
    rows, cell = math.ceil(count / 7), COMPONENT + GAP
    words = ("with the share of the variance that each explains; mid-grey is 0, and each is scaled "
             "by its largest weight")
    across, top = 7 * cell + GAP, canvas.TITLE_HEIGHT + 0.1
    high = top + rows * (cell + 0.2)
    figure, axes = canvas.page(across, high, f"Principal components of the patch filters: {title}",
                               words)
    for i, component in enumerate(components):
        left, y = GAP + i % 7 * cell, top + i // 7 * (cell + 0.2)
        component = component if C == 3 else component.mean(axis=2)
        component = 0.5 + 0.5 * component / max(abs(component).max(), np.finfo(np.float32).tiny)
        canvas.draw(axes, component, (left, y, COMPONENT, COMPONENT), cmap="gray", vmin=0, vmax=1,
                    interpolation="nearest")
        canvas.write(axes, left + COMPONENT / 2, y + COMPONENT + 0.12,
                     f"{i + 1}: {100 * shares[i]:.1f} %", cell)
    figures.save(figure, path)


def thinned(count, most=MOST_MAPS):
    """Return at most `most` of the numbers from 0 to count - 1, in equal steps."""
    step = math.ceil(count / most)
    return range((count - 1) % step // 2, count, step)


def mosaic(similarity):
    """Return the maps of similarity (rows, columns, rows, columns) side by side, NaN between them.

    Of large grids not all maps. Returns the picture, and for both axes the numbers of the patches
    that it has and the places of their maps' centres.
    """
    rows, columns = similarity.shape[2:]
    gap = max(1, max(rows, columns) // 14)
    down, across = thinned(rows), thinned(columns)
    tiles = np.full((len(down), rows + gap, len(across), columns + gap), np.nan)
    tiles[:, :rows, :, :columns] = similarity[np.ix_(down, across)].swapaxes(1, 2)
    picture = tiles.reshape(len(down) * (rows + gap), -1)[:-gap, :-gap]
    places = [(numbers, [i * (count + gap) + (count - 1) / 2 for i in range(len(numbers))])
              for numbers, count in ((down, rows), (across, columns))]
    return picture, *places


def positions(similarity, path, title):
    """Draw for each patch the cosines of its position with all, (rows, columns, rows, columns)."""
    picture, (down, down_places), (across, across_places) = mosaic(similarity)
    # Pixels of a cell, a whole number: all cells are alike
    pixels = max(1, round(900 / max(picture.shape)))
    tall, wide = (pixels * side / DPI for side in picture.shape)
    bar_tall = max(1.5, 0.7 * tall)
    width, high = max(wide + 2.0, 7.0), max(tall, bar_tall) + canvas.TITLE_HEIGHT + 0.6
    whole = (len(down), len(across)) == similarity.shape[:2]
    some = "" if whole else f" ({len(down)} x {len(across)} of the maps)"
    figure, _ = canvas.page(width, high, f"Similarity of position embeddings: {title}",
                            "one map for each patch: the cosines with all patches" + some)
    left, top = (width - wide - 1.0) / 2 + 0.1, canvas.TITLE_HEIGHT
    axes = figure.add_axes((left / width, 1 - (top + tall) / high, wide / width, tall / high))
    image = axes.imshow(picture, cmap="viridis", vmin=min(similarity.min(), 0), vmax=1,
                        aspect="auto", interpolation="nearest")
    axes.set_xticks(across_places, [i + 1 for i in across], size=canvas.WORDS)
    axes.set_yticks(down_places, [i + 1 for i in down], size=canvas.WORDS)
    axes.set(xlabel="column", ylabel="row")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    canvas.colour_bar(figure, image, (left + wide + 0.2, top + max(0, tall - bar_tall) / 2, 0.15,
                                      bar_tall), "cosine similarity")
    figures.save(figure, path)


def attention_distance(distance, even, count, path, title):
    """Draw the distances (depth, H) in pixels, means over `count` pictures, of heads by depth.

    even: the distance of a head that looks at all patches alike.
    """
    from matplotlib.figure import Figure

    depth, H = distance.shape
    blocks = np.arange(1, depth + 1)
    width = max(6.4, min(2.0 + 0.45 * depth, 14.0))
    figure = Figure(figsize=(width, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(even, color="black", linestyle=":", label="attention spread evenly")
    axes.plot(blocks, distance.mean(axis=1), color=figures.ORANGE, label="mean of the heads")
    axes.plot(np.repeat(blocks, H), distance.ravel(), "o", color=figures.BLUE, alpha=0.6,
              markersize=5, label="one head")
    name = figures.fitting(f"Attention distance: {title}", 72 * (width - 0.3), canvas.TITLE)
    figure.suptitle(name, size=canvas.TITLE, parse_math=False)
    axes.set_title(f"mean of {count} {'picture' if count == 1 else 'pictures'}",
                   size=canvas.WORDS + 1)
    axes.set(xlabel="depth (block)", ylabel="mean distance in pixels", xlim=(0.5, depth + 0.5),
             ylim=(0, 1.08 * max(distance.max(), even, 1e-6)))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    figures.save(figure, path)


def rollout(images, rollouts, names, path, title):
    """Draw images, and below each its attention rollout (rows, columns).

    images: a list of uint8 (height, width, C), of any sizes; names: one for each.
    """
    width = ACROSS * (CELL + GAP) + GAP
    lines = [range(i, min(i + ACROSS, len(images))) for i in range(0, len(images), ACROSS)]
    heights = [max(canvas.sides(images[i], CELL, CELL)[1] for i in line) for line in lines]
    high = canvas.TITLE_HEIGHT + sum(2 * height + 0.7 for height in heights) + 0.6
    figure, axes = canvas.page(width, high, f"Attention rollout: {title}",
                               "how much of each patch reaches the output through all blocks")
    top = canvas.TITLE_HEIGHT
    for line, height in zip(lines, heights, strict=True):
        for place, i in enumerate(line):
            wide, tall = canvas.sides(images[i], CELL, CELL)
            centre = width / 2 + (place - (len(line) - 1) / 2) * (CELL + GAP)
            left, y = centre - wide / 2, top + 0.25 + height - tall
            canvas.write(axes, centre, top + 0.15, names[i], CELL)
            canvas.draw_picture(axes, images[i], (left, y, wide, tall))
            shown = canvas.draw_rollout(axes, rollouts[i], (left, top + 0.3 + height, wide, tall))
        top += 2 * height + 0.7
    canvas.rollout_bar(figure, shown, (width / 2 - 2.0, high - 0.6, 4.0, 0.12))
    figures.save(figure, path)


def query_attention(images, maps, queries, names, heads, path, title):
    """Draw for images and query patches how each head's attention is spread over the patches.

    images, names: as of rollout; maps: (B, Q, H, rows, columns); queries: Q pairs (row, column) of
    patches, from 0; heads: the names of the H heads.
    """
    cell, grid = HEAD + GAP, maps.shape[-2:]
    width = max((1 + len(heads)) * cell + 2 * GAP, 7.0)
    talls = [canvas.sides(image, HEAD, HEAD)[1] for image in images]
    high = canvas.TITLE_HEIGHT + 0.25 + len(queries) * sum(tall + 0.6 for tall in talls) + 0.6
    figure, axes = canvas.page(width, high, f"Attention of a query patch: {title}",
                               "the patch that asks is framed; each map goes from 0 to its largest "
                               "weight, which stands below it")
    left = (width - (1 + len(heads)) * cell + GAP) / 2
    top = canvas.TITLE_HEIGHT + 0.25
    for i, name in enumerate(heads, start=1):
        canvas.write(axes, left + i * cell + HEAD / 2, top - 0.12, name, HEAD, size=9)
    for image, name, rows, tall in zip(images, names, maps, talls, strict=True):
        wide, _ = canvas.sides(image, HEAD, HEAD)
        for query, row in zip(queries, rows, strict=True):
            for i in range(1 + len(heads)):
                box = (left + i * cell + (HEAD - wide) / 2, top + 0.2, wide, tall)
                words = f"row {query[0] + 1}, column {query[1] + 1}"
                if i == 0:
                    canvas.draw_picture(axes, image, box)
                    canvas.write(axes, left + HEAD / 2, top + 0.1, name, HEAD)
                else:
                    largest = max(float(row[i - 1].max()), np.finfo(np.float32).tiny)
                    drawn = canvas.draw(axes, row[i - 1] / largest, box, cmap="viridis", vmin=0,
                                        vmax=1, interpolation="nearest")
                    words = f"{100 * largest:.1f} %"
                frame(axes, box, query, grid)
                canvas.write(axes, left + i * cell + HEAD / 2, top + 0.32 + tall, words, HEAD)
            top += tall + 0.6
    canvas.colour_bar(figure, drawn, (width / 2 - 2.0, high - 0.6, 4.0, 0.12),
                      "attention relative to the map's largest")
    figures.save(figure, path)


def frame(axes, box, query, grid):
    """Draw a frame around one patch of a picture in a box."""
    from matplotlib.patches import Rectangle

    wide, tall = box[2] / grid[1], box[3] / grid[0]
    corner = (box[0] + query[1] * wide, box[1] + query[0] * tall)
    for colour, width in (("white", 2.2), (figures.VERMILION, 1.2)):
        axes.add_patch(Rectangle(corner, wide, tall, fill=False, edgecolor=colour, linewidth=width))
