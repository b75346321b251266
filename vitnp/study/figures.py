"""What the studies' figures have in common: panels, means of seeds, the same colours."""

from vitnp.analysis.drawing.figures import BLUE, GREEN, ORANGE, VERMILION, save

__all__ = ["means", "panels", "save"]

STYLES = {"ViT": (BLUE, "o"), "hybrid": (GREEN, "s"), "ResNet": (ORANGE, "^")}


def panels(count, width=4.6):
    """Return a figure and a list of `count` panels beside each other, each `width` inches wide."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, 3.8), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def means(axes, records, key, name, style=None, line="-"):
    """Draw the mean test accuracy in percent against records[key], with the range of the seeds."""
    colour, marker = style or STYLES.get(name, (VERMILION, "D"))
    places = sorted({record[key] for record in records})
    found = [[100 * record["test_accuracy"] for record in records if record[key] == place]
             for place in places]
    middle = [sum(values) / len(values) for values in found]
    below = [mean - min(values) for mean, values in zip(middle, found, strict=True)]
    above = [max(values) - mean for mean, values in zip(middle, found, strict=True)]
    axes.errorbar(places, middle, (below, above), color=colour, marker=marker, linestyle=line,
                  label=name, capsize=3)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
