"""Colours for shares: cool below an even share, warm above it, the darker the more.

A share is drawn by its logarithm, with an even share, as of attention spread over all patches
alike, in the middle: as many times more or less stand equally far from it. So colours mean the same
in every map, and a map with nothing in it is of one colour.
"""

import numpy as np

# From the least to the most, the middle one for an even share; each step has less light than the
# one before it (on a dark page more), so that they can be told apart without colours too.
ON_LIGHT = ("#fcfcfb", "#eaf0f5", "#d5e1ec", "#c3d3e2", "#b3c4d4",
            "#eba766", "#d9691f", "#a33a0d", "#561605")
ON_DARK = ("#0c1017", "#121d2b", "#1a2c40", "#243b53", "#324c66",
           "#a3602a", "#e08a2e", "#ffc064", "#fff3d2")
OCTAVES = {"attention": 4, "rollout": 2}        # of the scale, above and below an even share


def levels(shares, octaves):
    """Return where shares, in multiples of an even share, stand on the scale, from 0 to 1."""
    least = 2.0 ** -(2 * octaves)
    return np.clip(0.5 + np.log2(np.maximum(shares, least)) / (2 * octaves), 0, 1)


def colour_map():
    """Return the colours on a light page as a matplotlib colormap."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("even share", ON_LIGHT)


def ticks(octaves):
    """Return places on the scale from 0 to 1 and their words, for a colour bar."""
    words = [f"1/{2**octaves} or less", f"1/{2**(octaves // 2)}", "even share",
             f"{2**(octaves // 2)} x", f"{2**octaves} x or more"]
    return [0, 0.25, 0.5, 0.75, 1], words
