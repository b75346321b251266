"""layers/layernorm.py: mean and variance in one pass that keeps its digits (Welford)."""

import numpy as np


def forward(x, gamma, beta, eps=1e-6):
    mean, squares = np.zeros_like(x[..., 0]), np.zeros_like(x[..., 0])
    for d in range(x.shape[-1]):
        away = x[..., d] - mean
        mean = mean + away / (d + 1)
        squares = squares + away * (x[..., d] - mean)
    rstd = 1.0 / np.sqrt(squares / x.shape[-1] + eps)
    return (x - mean[..., None]) * rstd[..., None] * gamma + beta, (x, mean, rstd, gamma)


def backward(dy, cache):
    x, mean, rstd, gamma = cache
    normalised = (x - mean[..., None]) * rstd[..., None]
    dgamma, dbeta = dy * normalised, dy
    for _ in range(dy.ndim - 1):
        dgamma, dbeta = dgamma.sum(axis=0), dbeta.sum(axis=0)
    g = gamma * dy
    g = g - g.mean(axis=-1, keepdims=True)
    dx = rstd[..., None] * (g - normalised * np.mean(g * normalised, -1, keepdims=True))
    return dx, dgamma, dbeta
