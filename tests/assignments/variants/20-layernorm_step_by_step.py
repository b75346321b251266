"""layers/layernorm.py: each step differentiated by itself, with a class as the cache."""

import numpy as np


class Kept:
    pass


def forward(x, gamma, beta, eps=1e-6):
    kept = Kept()
    kept.gamma = gamma
    kept.centred = x - x.mean(-1, keepdims=True)
    kept.variance = (kept.centred**2).mean(-1, keepdims=True) + eps
    kept.inverse = kept.variance**-0.5
    return kept.centred * kept.inverse * gamma + beta, kept


def backward(dy, cache):
    rows = dy.reshape(-1, dy.shape[-1])
    n = cache.centred * cache.inverse
    dgamma = np.sum(rows * n.reshape(rows.shape), axis=0)
    dbeta = np.sum(rows, axis=0)
    dn = dy * cache.gamma
    dinverse = (dn * cache.centred).sum(-1, keepdims=True)
    dvariance = dinverse * -0.5 * cache.inverse / cache.variance
    dcentred = dn * cache.inverse + dvariance * 2 * cache.centred / dy.shape[-1]
    return dcentred - dcentred.mean(-1, keepdims=True), dgamma, dbeta
