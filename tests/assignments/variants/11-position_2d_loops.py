"""layers/position_2d.py: a loop over the grid."""

import numpy as np


def forward(row, column, class_token):
    vectors = [0 * row[0]] if class_token else []
    for r in range(row.shape[0]):
        for c in range(column.shape[0]):
            vectors.append(row[r] + column[c])
    return np.array(vectors), {"row": row, "column": column, "class_token": class_token}


def backward(dposition, cache):
    drow, dcolumn = np.zeros_like(cache["row"]), np.zeros_like(cache["column"])
    n = 1 if cache["class_token"] else 0
    for r in range(len(drow)):
        for c in range(len(dcolumn)):
            drow[r] += dposition[n]
            dcolumn[c] += dposition[n]
            n += 1
    return drow, dcolumn
