"""From images to tokens through a convolutional stem, where there is one: a hybrid."""


def forward(images, p, config, ops, rng=None):
    """Make a map of each image, and cut that into patches; see layers/embedding.py.

    Source: Dosovitskiy et al. 2021, section 3.1, "Hybrid Architecture".

    images: (B, height, width, C); p: as the embedding's, and stem. Returns x (B, T, D), the cache.
    """
    cache = {"ops": ops}
    if "stem" in p:
        images, cache["stem"] = ops.stem.forward(images, p["stem"], ops)        # the map
    x, cache["embedding"] = ops.patch_embedding.forward(images, p, config, ops, rng)
    return x, cache                                                             # (B, T, D)


def backward(dx, cache):
    """Return dimages (B, height, width, C) and the gradients of p for dx (B, T, D)."""
    ops = cache["ops"]
    dimages, dp = ops.patch_embedding.backward(dx, cache["embedding"])
    if "stem" in cache:
        # images = stem(images)
        dimages, dp["stem"] = ops.stem.backward(dimages, cache["stem"])
    return dimages, dp
