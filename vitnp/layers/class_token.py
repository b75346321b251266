"""Prepend the class token and add the position embedding."""

from vitnp.backend import get_xp


def forward(x, class_token, position):
    """Prepend one learned token to the patches of each image, then add each token's position.

    Equation: z₀ = [x_class; x¹; x²; …; xᴺ] + E_pos.
    Source: Dosovitskiy et al. 2021, equation 1.

    x: (B, N, D); class_token: (D,), or None for no class token; position: (T, D), or None for no
    positions. Returns z (B, T, D), T = N + 1 with a class token, else N, and the cache.
    """
    xp = get_xp(x)
    z = x
    if class_token is not None:
        first = xp.broadcast_to(class_token, (x.shape[0], 1, x.shape[2]))
        z = xp.concatenate([first, x], axis=1)                  # (B, T, D)
    if position is not None:
        z = z + position
    return z, (class_token is not None, position is not None)


def backward(dz, cache):
    """Return dx (B, N, D), dclass_token (D,) and dposition (T, D) for dz (B, T, D).

    Every image uses the same token and positions, so their gradients are sums over the images.
    An absent part has the gradient None.
    """
    has_class_token, has_position = cache
    # z = z + position
    dposition = dz.sum(axis=0) if has_position else None        # (T, D)
    if not has_class_token:
        return dz, None, dposition
    # z = concatenate([class token of each image, x])
    return dz[:, 1:], dz[:, 0].sum(axis=0), dposition           # (B, N, D), (D,), (T, D)
