"""Each layer once more, slow and obvious: loops over images, tokens, heads and single numbers.

Written in float64 from the papers' equations, not from the layers' code, so that the two agree only
where both are right. Nothing here is shifted, cached or reused.
"""

import math

import numpy as np


def close(actual, expected, atol=1e-12):
    """Assert equal shapes, and values equal up to atol · max(1, largest expected value)."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol * scale)


def patches(images, side):
    """Send each pixel to its place in its patch."""
    B, height, width, C = images.shape
    across = width // side
    y = np.full((B, height // side * across, side * side * C), np.nan)
    for b, row, column, channel in np.ndindex(images.shape):
        patch = row // side * across + column // side
        place = (row % side * side + column % side) * C + channel
        y[b, patch, place] = images[b, row, column, channel]
    return y


def linear(x, weight, bias):
    """y_j = Σ_i x_i W_ij + b_j, for each row."""
    inputs, outputs = weight.shape
    y = np.zeros((*x.shape[:-1], outputs))
    for row in np.ndindex(x.shape[:-1]):
        for j in range(outputs):
            y[row][j] = sum(float(x[row][i] * weight[i, j]) for i in range(inputs)) + bias[j]
    return y


def mean_and_deviation(values, eps):
    """Return the mean and √(biased variance + eps)."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    return mean, math.sqrt(variance + eps)


def layernorm(x, gamma, beta, eps):
    """y_j = (x_j - mean) / √(variance + eps) · gamma_j + beta_j, for each token."""
    y = np.zeros(x.shape)
    for token in np.ndindex(x.shape[:-1]):
        mean, deviation = mean_and_deviation(x[token], eps)
        for j in range(len(gamma)):
            y[token][j] = (x[token][j] - mean) / deviation * gamma[j] + beta[j]
    return y


def gelu(x, form):
    """x Φ(x) of each number, Φ by math.erf or by the tanh form."""
    y = np.zeros(x.shape)
    for index, value in np.ndenumerate(x):
        if form == "erf":
            cdf = (1 + math.erf(value / math.sqrt(2))) / 2
        else:
            cdf = (1 + math.tanh(math.sqrt(2 / math.pi) * (value + 0.044715 * value**3))) / 2
        y[index] = value * cdf
    return y


def softmax(x):
    """exp(x_i) / Σ_j exp(x_j), for each row."""
    y = np.zeros(x.shape)
    for row in np.ndindex(x.shape[:-1]):
        powers = [math.exp(value) for value in x[row]]
        for i, power in enumerate(powers):
            y[row][i] = power / sum(powers)
    return y


def class_token(x, token, position):
    """Write the token first, then the patches, and add to each the position with its number."""
    B, N, D = x.shape
    first = 0 if token is None else 1
    z = np.zeros((B, N + first, D))
    for b, t, j in np.ndindex(z.shape):
        z[b, t, j] = token[j] if t < first else x[b, t - first, j]
        if position is not None:
            z[b, t, j] += position[t, j]
    return z


def position_2d(row, column, with_token):
    """row[r] + column[c], row by row, after a zero for the class token."""
    sums = [[float(a) + float(b) for a, b in zip(of_row, of_column, strict=True)]
            for of_row in row for of_column in column]
    return np.array([[0.0] * row.shape[1]] * with_token + sums)


def cross_entropy(logits, targets, smoothing=0.0):
    """Return losses and the gradient of their sum, softmax(logits) - smoothed target."""
    B, K = logits.shape
    losses, dlogits, probabilities = np.zeros(B), np.zeros((B, K)), softmax(logits)
    for b, k in np.ndindex(B, K):
        target = float(k == targets[b]) if targets.ndim == 1 else targets[b, k]
        smoothed = (1 - smoothing) * target + smoothing / K
        losses[b] -= smoothed * math.log(probabilities[b, k])
        for j in range(K):      # d(-t_k log p_k)/dz_j = -t_k / p_k · p_k (δ_kj - p_j)
            dlogits[b, j] -= smoothed * ((k == j) - probabilities[b, j])
    return losses, dlogits


def dot_product_attention(q, k, v, factor=1.0):
    """Return y and weights; y_t = Σ_s factor · w_ts v_s, w_t = softmax over s of q_t·k_s / √Dh."""
    Dh = q.shape[-1]
    y, weights = np.zeros(q.shape), np.zeros((*q.shape[:-1], k.shape[-2]))
    for b, h, t in np.ndindex(q.shape[:-1]):
        scores = [sum(q[b, h, t, i] * key[i] for i in range(Dh)) / math.sqrt(Dh) for key in k[b, h]]
        weights[b, h, t] = softmax(np.array(scores))
        for s in range(k.shape[-2]):
            y[b, h, t] += factor * weights[b, h, t, s] * v[b, h, s]
    return y, weights


def attention(x, p, heads, factor=1.0):
    """Let one head after another attend, each with its own columns of the packed qkv."""
    weight, bias = p["qkv"]["weight"], p["qkv"]["bias"]
    D = x.shape[-1]
    Dh = D // heads
    merged = np.zeros(x.shape)
    for head in range(heads):
        q, k, v = (
            linear(x, weight[:, start:start + Dh], bias[start:start + Dh])[:, None]
            for start in (head * Dh, D + head * Dh, 2 * D + head * Dh))
        mixed, _ = dot_product_attention(q, k, v, factor)
        merged[:, :, head * Dh:head * Dh + Dh] = mixed[:, 0]
    return linear(merged, p["out"]["weight"], p["out"]["bias"])


def mlp(x, p, form, factors=(1.0, 1.0)):
    """Two linear layers with the GELU between them."""
    hidden = gelu(linear(x, p["in"]["weight"], p["in"]["bias"]), form) * factors[0]
    return linear(hidden, p["out"]["weight"], p["out"]["bias"]) * factors[1]


def block(x, p, config, factors=(1.0,) * 6):
    """Norm, attention, residual; norm, MLP, residual. The factors stand for the dropouts."""
    normed = layernorm(x, p["norm1"]["gamma"], p["norm1"]["beta"], config.eps)
    branch = attention(normed, p["attention"], config.heads, factors[0])
    x = x + branch * factors[1] * factors[2]
    normed = layernorm(x, p["norm2"]["gamma"], p["norm2"]["beta"], config.eps)
    return x + mlp(normed, p["mlp"], config.gelu, factors[3:5]) * factors[5]


def embedding(images, p, config):
    """Patches, their projection, class token and positions."""
    x = patches(images, config.patch_size)
    x = linear(x, p["projection"]["weight"], p["projection"]["bias"])
    position = p.get("position")
    if "position_row" in p:
        position = position_2d(p["position_row"], p["position_column"], "class_token" in p)
    return class_token(x, p.get("class_token"), position)


def head(x, p, config):
    """Pool each image to one vector, then score the classes."""
    features = []
    for tokens in x:
        if config.pooling != "gap":
            pooled = tokens[0] if config.pooling == "token" else sum(tokens[1:]) / len(tokens[1:])
            tokens = pooled[None]
        normed = layernorm(tokens, p["norm"]["gamma"], p["norm"]["beta"], config.eps)
        features.append(sum(normed) / len(normed))
    y = np.array(features)
    if "pre_logits" in p:
        y = linear(y, p["pre_logits"]["weight"], p["pre_logits"]["bias"])
        y = np.array([[math.tanh(value) for value in row] for row in y])
    return linear(y, p["head"]["weight"], p["head"]["bias"]) if "head" in p else y


class ScalingDropout:
    """A stand-in for vitnp.layers.dropout: its nth call multiplies by n + 1, and is noted."""

    def __init__(self):
        self.calls = []

    def forward(self, x, rate, rng, per_image=False):
        self.calls.append((x.shape, rate, rng, per_image))
        return x * (len(self.calls) + 1.0), (len(self.calls) + 1.0,)

    def backward(self, dy, cache):
        return dy * cache[0]
