"""layers/layernorm.py: with mean, var and std, D multiplied out in the backward."""

import numpy as np


def forward(x, gamma, beta, eps=1e-6):
    mu = x.mean(axis=-1, keepdims=True)
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - mu) / std
    return gamma * x_hat + beta, (x_hat, std, gamma)


def backward(dy, cache):
    x_hat, std, gamma = cache
    D = x_hat.shape[-1]
    axes = tuple(range(dy.ndim - 1))
    dgamma = (dy * x_hat).sum(axis=axes)
    dbeta = dy.sum(axis=axes)
    dx_hat = dy * gamma
    dx = (D * dx_hat - dx_hat.sum(axis=-1, keepdims=True)
          - x_hat * (dx_hat * x_hat).sum(axis=-1, keepdims=True)) / (D * std)
    return dx, dgamma, dbeta
