"""optim.py: the function of the task only, one weight after the other, as in the paper."""

import math


def adamw(params, gradients, moment1, moment2, step, learning_rate, groups,
          beta1=0.9, beta2=0.999, eps=1e-8):
    for part, multiplier, decay in groups:
        for i in range(part.start, part.stop):
            g = float(gradients[i])
            m = beta1 * float(moment1[i]) + (1 - beta1) * g
            v = beta2 * float(moment2[i]) + (1 - beta2) * g * g
            moment1[i], moment2[i] = m, v
            m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
            change = m_hat / (math.sqrt(v_hat) + eps) + decay * float(params[i])
            params[i] -= learning_rate * multiplier * change
