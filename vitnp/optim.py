"""SGD with momentum, AdamW, clipping and schedules, on flat buffers.

A step changes the parameters and its own buffers in place. `groups` says what is treated alike: a
list of (slice, rate multiplier, decay), together covering the buffer.
"""

import math

from vitnp.backend import get_xp
from vitnp.errors import Error

# Pieces of a few float32 buffers stay in the cache, so that a step reads memory once. Measured best
# for 86 million numbers, in one thread and in two: smaller pieces need more calls, between which
# threads wait for each other, and larger ones leave the cache.
PIECE = 262144


def pieces(params, groups):
    """Yield (slice, rate multiplier, decay), each slice within one group and small on a CPU."""
    on_host = get_xp(params).__name__ == "numpy"
    for part, multiplier, decay in groups:
        size = PIECE if on_host else max(part.stop - part.start, 1)
        for start in range(part.start, part.stop, size):
            yield slice(start, min(start + size, part.stop)), multiplier, decay


def sgd(params, gradients, momentum_buffer, learning_rate, groups, momentum=0.9):
    """Take one step of SGD with momentum and decoupled weight decay, in place.

    Equations: m = momentum · m + g;  w = w - rate · (m + decay · w).
    Source: Dosovitskiy et al. 2021, appendix B.1.1 (fine-tuning).

    params, gradients, momentum_buffer: flat buffers of one length.
    """
    for part, multiplier, decay in pieces(params, groups):
        rate = learning_rate * multiplier
        w, m = params[part], momentum_buffer[part]
        m *= momentum
        m += gradients[part]
        w -= rate * (m + decay * w)


def adamw(params, gradients, moment1, moment2, step, learning_rate, groups,
          beta1=0.9, beta2=0.999, eps=1e-8):
    """Take one step of AdamW, in place; `step` counts from 1.

    Equations: m = β₁ m + (1 - β₁) g;  v = β₂ v + (1 - β₂) g²;  both started at zero, so that their
    means are divided by 1 - βᵗ;  w = w - rate · (m̂ / (√v̂ + eps) + decay · w). The decay is of the
    weights before the step.
    Source: Loshchilov, Hutter 2019, algorithm 2; Kingma, Ba 2015, section 3, for the correction.

    params, gradients, moment1, moment2: flat buffers of one length.
    """
    xp = get_xp(params)
    correction1, correction2 = 1.0 - beta1**step, 1.0 - beta2**step
    for part, multiplier, decay in pieces(params, groups):
        rate = learning_rate * multiplier
        w, g, m, v = params[part], gradients[part], moment1[part], moment2[part]
        m *= beta1
        m += (1.0 - beta1) * g
        v *= beta2
        v += (1.0 - beta2) * g * g
        w *= 1.0 - rate * decay
        w -= rate / correction1 * m / (xp.sqrt(v / correction2) + eps)


def global_norm(gradients):
    """Return the length √Σg² of a flat buffer, as a scalar of its library: nothing is read back."""
    xp = get_xp(gradients)
    return xp.sqrt(xp.dot(gradients, gradients))


def clip_by_global_norm(gradients, norm, max_norm):
    """Shorten a flat buffer of length `norm` to max_norm where it is longer, in place.

    Equation: g = g · min(1, max_norm / norm).
    Source: Pascanu, Mikolov, Bengio 2013, algorithm 1.
    """
    xp = get_xp(gradients)
    gradients *= max_norm / xp.maximum(norm, max_norm)


def average(mean, params, decay, groups):
    """Move a moving average of the parameters towards them, in place.

    Equation: mean = decay · mean + (1 - decay) · params.
    Source: Polyak, Juditsky 1992, in its exponential form.

    mean, params: flat buffers of one length.
    """
    for part, _, _ in pieces(params, groups):
        mean[part] += (1.0 - decay) * (params[part] - mean[part])


def schedule(step, peak, warmup_steps, total_steps, end=0.0, decay="cosine"):
    """Return the learning rate of `step`, counted from 0.

    It rises in a straight line from 0 to `peak` at warmup_steps, and falls to `end` at total_steps
    along half a cosine or a straight line (decay "linear"). Step 0 of a warm-up has the rate 0, as
    in the authors' code.
    Source: Dosovitskiy et al. 2021, appendix B.1 (linear in training, cosine in fine-tuning).
    Raises Error for another decay.
    """
    if decay not in ("cosine", "linear"):
        raise Error(f"there is no decay {decay!r} of the learning rate; possible are cosine and "
                    "linear")
    if step < warmup_steps:
        return peak * step / warmup_steps
    done = min((step - warmup_steps) / max(total_steps - warmup_steps, 1), 1.0)
    remaining = 0.5 * (1.0 + math.cos(math.pi * done)) if decay == "cosine" else 1.0 - done
    return end + (peak - end) * remaining
