"""The positions that an embedding adds, of whichever kind it has."""


def forward(p, ops):
    """Return the positions (T, D) of an embedding, or None where it has none, and the cache.

    They are learned one by one, as in the paper, or made of rows and columns (see position_2d).

    p: the embedding's parameters.
    """
    if "position_row" not in p:
        return p.get("position"), {}
    position, cache = ops.position_2d.forward(
        p["position_row"], p["position_column"], "class_token" in p)            # (T, D)
    return position, {"ops": ops, "position_2d": cache}


def backward(dposition, cache):
    """Return the gradients of those of p that the positions are made of, for dposition (T, D)."""
    if "position_2d" in cache:
        # position = position_2d(row, column)
        drow, dcolumn = cache["ops"].position_2d.backward(dposition, cache["position_2d"])
        return {"position_row": drow, "position_column": dcolumn}
    return {} if dposition is None else {"position": dposition}
