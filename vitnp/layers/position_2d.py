"""Position embeddings made of a learned row and a learned column."""

from vitnp.backend import get_xp


def forward(row, column, class_token):
    """Add the embedding of each patch's row to that of its column.

    Equation: position[r · columns + c] = row[r] + column[c]. Where there is a class token, its
    position is 0: the token itself is learned, and needs no second vector.
    Source: Dosovitskiy et al. 2021, appendix D.4; there each half of the width is one axis, here
    both axes have the whole width and are added.

    row: (rows, D); column: (columns, D); class_token: True where tokens start with one.
    Returns position (T, D) and the cache.
    """
    xp = get_xp(row, column)
    position = row[:, None] + column[None]                      # (rows, columns, D)
    position = position.reshape(-1, row.shape[1])               # (N, D)
    if class_token:
        position = xp.concatenate([xp.zeros_like(position[:1]), position])  # (T, D)
    return position, (row.shape[0], column.shape[0], class_token)


def backward(dposition, cache):
    """Return drow (rows, D) and dcolumn (columns, D) for dposition (T, D)."""
    rows, columns, class_token = cache
    # position = concatenate([zeros, position])
    dgrid = dposition[1:] if class_token else dposition         # (N, D)
    # position = row[:, None] + column[None]: each row meets every column, and so each is a sum
    dgrid = dgrid.reshape(rows, columns, -1)                    # (rows, columns, D)
    return dgrid.sum(axis=1), dgrid.sum(axis=0)                 # (rows, D), (columns, D)
