"""Calls of AdamW, which works in place. The child process gets this file beside the student's."""

from vitnp import optim


def adamw(params, gradients, moment1, moment2, first_step, learning_rate, groups,
          *beta1_beta2_eps):
    """Take a step of optim.adamw for each row of gradients; return what was moved in place.

    groups: a list of (start, stop, rate multiplier, decay).
    """
    groups = [(slice(start, stop), multiplier, decay) for start, stop, multiplier, decay in groups]
    for i, row in enumerate(gradients):
        optim.adamw(params, row, moment1, moment2, first_step + i, learning_rate, groups,
                    *beta1_beta2_eps)
    return params, moment1, moment2, gradients
