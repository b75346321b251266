"""How many operations the matrix products of a step take: two for each multiply-add.

Means and sums do not count, even where a layer computes them as the product with a vector.
"""

from vitnp.bench import cases


def products(config, batch_size, shortcut=True):
    """Return (times, rows, inner, columns) of each matrix product of the forward pass.

    The first one is the projection of the patches. With the shortcut, and token pooling, the last
    block has queries, output and MLP for the class token alone, but keys and values for all tokens.
    """
    B, T, D, F, H = batch_size, config.tokens, config.width, config.mlp_width, config.heads
    N, Dh = config.grid[0] * config.grid[1], config.width // config.heads
    result = [(1, B * N, config.patch_size**2 * config.channels, D)]
    for i in range(config.depth):
        last = i == config.depth - 1
        Tq = 1 if shortcut and last and config.pooling == "token" else T
        result += [(1, B * Tq, D, D), (1, B * T, D, 2 * D),                 # queries; keys, values
                   (B * H, Tq, Dh, T), (B * H, Tq, T, Dh), (1, B * Tq, D, D),
                   (1, B * Tq, D, F), (1, B * Tq, F, D)]
    features = config.pre_logits or D
    if config.pre_logits:
        result.append((1, B, D, features))
    if config.classes:
        result.append((1, B, features, config.classes))
    return result


def count(config, batch_size, mode, shortcut=True, image_gradient=True):
    """Return the operations of a step, "train" or "predict".

    A backward pass has two products for each of the forward pass, one for either factor. Without
    image_gradient the projection of the patches has one only.
    """
    forward = [2 * times * rows * inner * columns
               for times, rows, inner, columns in products(config, batch_size, shortcut)]
    if mode == "predict":
        return sum(forward)
    return 3 * sum(forward) - (0 if image_gradient else forward[0])


def of_engine(engine, config, batch_size, mode):
    """Return the operations of a step that an engine really executes."""
    ours = engine in cases.STAGES
    return count(config, batch_size, mode, shortcut=ours, image_gradient=ours)
