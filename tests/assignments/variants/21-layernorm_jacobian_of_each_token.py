"""layers/layernorm.py: a loop over the tokens, each with its whole Jacobian."""

import numpy as np


def forward(x, gamma, beta, eps=1e-6):
    y = np.empty_like(x)
    for index in np.ndindex(x.shape[:-1]):
        token = x[index]
        y[index] = (token - token.mean()) / np.sqrt(token.var() + eps) * gamma + beta
    return y, [x.copy(), gamma.copy(), eps]


def backward(dy, cache):
    x, gamma, eps = cache
    D = len(gamma)
    dx, dgamma, dbeta = np.zeros_like(x), np.zeros_like(gamma), np.zeros_like(gamma)
    for index in np.ndindex(x.shape[:-1]):
        token, upstream = x[index], dy[index]
        rstd = 1 / np.sqrt(token.var() + eps)
        n = (token - token.mean()) * rstd
        jacobian = (np.eye(D, dtype=x.dtype) - 1 / D - np.outer(n, n) / D) * rstd
        dx[index] = jacobian @ (upstream * gamma)
        dgamma += upstream * n
        dbeta += upstream
    return dx, dgamma, dbeta
