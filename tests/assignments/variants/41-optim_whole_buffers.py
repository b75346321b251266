"""optim.py: the function of the task only, on fresh arrays, group by group, no pieces."""


def adamw(params, gradients, moment1, moment2, step, learning_rate, groups,
          beta1=0.9, beta2=0.999, eps=1e-8):
    for where, multiplier, decay in groups:
        alpha = learning_rate * multiplier
        gradient, before = gradients[where], params[where]
        mean = beta1 * moment1[where] + (1 - beta1) * gradient
        square = beta2 * moment2[where] + (1 - beta2) * gradient**2
        corrected = mean / (1 - beta1**step)
        size = (square / (1 - beta2**step)) ** 0.5 + eps
        moment1[where], moment2[where] = mean, square
        params[where] = before - alpha * (corrected / size + decay * before)
