"""The convolutional layers once more, slow and obvious: loops over places, channels and filters.

Written in float64 from the equations. `seen` says which number of an image a window holds, by the
window's centre, and not by padding.
"""

import math

import numpy as np
from naive import linear, mean_and_deviation


def seen(image, row, column, i, j, size, stride, outside=0.0):
    """Return what the window of the output's place (row, column) has at (i, j): a vector."""
    centre_row, centre_column = row * stride, column * stride
    down = centre_row + i - (size[0] - 1) // 2
    across = centre_column + j - (size[1] - 1) // 2
    if 0 <= down < image.shape[0] and 0 <= across < image.shape[1]:
        return image[down, across]
    return np.full(image.shape[2], outside)


def output_sides(x, stride):
    """Return (rows, columns): how many multiples of stride are places of the image."""
    return len(range(0, x.shape[1], stride)), len(range(0, x.shape[2], stride))


def windows(x, size, stride, outside=0.0):
    """Look at each place of each window."""
    rows, columns = output_sides(x, stride)
    y = np.full((len(x), rows, columns, *size, x.shape[3]), np.nan)
    for b, r, c, i, j in np.ndindex(y.shape[:5]):
        y[b, r, c, i, j] = seen(x[b], r, c, i, j, size, stride, outside)
    return y


def convolution(x, weight, stride=1):
    """Σ over the kernel of pixel · weight, for each place and filter."""
    h, w, _, F = weight.shape
    rows, columns = output_sides(x, stride)
    y = np.zeros((len(x), rows, columns, F))
    for b, r, c, f, i, j in np.ndindex(*y.shape, h, w):
        pixel = seen(x[b], r, c, i, j, (h, w), stride)
        y[b, r, c, f] += sum(p * q for p, q in zip(pixel, weight[i, j, :, f], strict=True))
    return y


def weight_standardisation(weight, eps=1e-10):
    """(weight - mean) / √(variance + eps), for each filter."""
    y = np.zeros(weight.shape)
    for f in range(weight.shape[3]):
        mean, deviation = mean_and_deviation(weight[..., f].ravel(), eps)
        y[..., f] = (weight[..., f] - mean) / deviation
    return y


def group_norm(x, gamma, beta, groups, eps):
    """(x - mean) / √(variance + eps) · gamma + beta, for each image and group of channels."""
    y, C = np.zeros(x.shape), x.shape[3]
    for b in range(len(x)):
        for group in np.arange(C).reshape(groups, -1):
            mean, deviation = mean_and_deviation(x[b][:, :, group].ravel(), eps)
            for d in group:
                y[b, :, :, d] = (x[b, :, :, d] - mean) / deviation * gamma[d] + beta[d]
    return y


def relu(x):
    """x where it is positive, else 0."""
    return np.array([max(float(value), 0.0) for value in x.flat]).reshape(x.shape)


def max_pool(x, size=(3, 3), stride=2):
    """The largest number that each window has, in each channel."""
    rows, columns = output_sides(x, stride)
    y = np.full((len(x), rows, columns, x.shape[3]), -math.inf)
    for b, r, c, i, j in np.ndindex(*y.shape[:3], *size):
        pixel = seen(x[b], r, c, i, j, size, stride, -math.inf)
        y[b, r, c] = [max(pair) for pair in zip(y[b, r, c], pixel, strict=True)]
    return y


def mean_pool(x):
    """The sum over all places, divided by their number."""
    return np.array([[math.fsum(image[:, :, d].ravel()) / image[:, :, d].size
                      for d in range(image.shape[2])] for image in x])


def standardised_convolution(x, weight, stride=1):
    """Standardise, then convolve."""
    return convolution(x, weight_standardisation(weight), stride)


def norm_relu(x, p, groups, eps):
    """ReLU of the group norm."""
    return relu(group_norm(x, p["gamma"], p["beta"], groups, eps))


def residual_block(x, p, config, stride):
    """x, or its shortcut, plus two convolutions behind norm and ReLU."""
    a = norm_relu(x, p["norm1"], config.groups, config.eps)
    branch = standardised_convolution(a, p["convolution1"]["weight"], stride)
    branch = norm_relu(branch, p["norm2"], config.groups, config.eps)
    branch = standardised_convolution(branch, p["convolution2"]["weight"])
    if "shortcut" in p:
        x = standardised_convolution(a, p["shortcut"]["weight"], stride)
    return x + branch


def root(images, p, config):
    """One convolution, and for large images max pooling."""
    if config.root == "large":
        return max_pool(standardised_convolution(images, p["convolution"]["weight"], 2))
    return standardised_convolution(images, p["convolution"]["weight"])


def pooled_head(x, p, config):
    """Norm, ReLU, mean, linear."""
    y = mean_pool(norm_relu(x, p["norm"], config.groups, config.eps))
    return linear(y, p["head"]["weight"], p["head"]["bias"]) if "head" in p else y


def stem(x, p):
    """Strided convolutions, each before norm and ReLU."""
    for name in sorted(p):
        x = standardised_convolution(x, p[name]["convolution"]["weight"], 2)
        x = norm_relu(x, p[name]["norm"], 8, 1e-5)
    return x


def resnet(images, p, config):
    """Root, blocks with stride 2 where the channels double, head."""
    x = root(images, p["root"], config)
    for block in p["blocks"]:
        C, F = block["convolution1"]["weight"].shape[2:]
        stride = 2 if F == 2 * C else 1
        x = residual_block(x, block, config, stride)
    return pooled_head(x, p, config)
