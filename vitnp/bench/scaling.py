"""How the time of a step grows with the batch, the depth, the tokens and the threads."""

import dataclasses
import statistics

from vitnp.bench import cases, operations, ours, timing

TOKEN_FACTORS = (1.0, 2.0**0.5, 2.0)        # of the image's sides: the patches grow by 1, 2 and 4


def scaling(setting, seconds):
    """Return a row for each size: its milliseconds, and their growth by that of the size.

    The growth is 1 where the time is proportional to the size, or for threads to 1 / their number;
    above 1 it is slower than that. GFLOP/s tell how much of it is work: the last block, which
    computes the class token alone, takes less than the others, and attention's work is quadratic.
    """
    points, rows, first = variants(setting), [], {}
    for varied, value, size, config, changed in points:
        images, labels = cases.inputs(config, changed.batch_size)
        step, _, _ = ours.prepare(config, images, labels, changed)
        step(), step()
        taken = 1000 * statistics.median(timing.take_steps(step, seconds / len(points)))
        first_taken, first_size = first.setdefault(varied, (taken, size))
        executed = operations.of_engine("vitnp", config, changed.batch_size, changed.mode)
        rows.append({"varied": varied, "value": value, "milliseconds": taken,
                     "growth": taken / first_taken / (size / first_size),
                     "gflops": executed / taken / 1e6})
    return rows


def variants(setting):
    """Return (what varies, its value, its size, ViTConfig, Setting) of each measurement."""
    config, _ = cases.CASES[setting.case]
    replace, rows = dataclasses.replace, []
    for batch_size in (setting.batch_size * factor for factor in (1, 2, 4)):
        rows.append(("batch", batch_size, batch_size, config,
                     replace(setting, batch_size=batch_size)))
    for depth in sorted({max(1, config.depth // 2), config.depth, 2 * config.depth}):
        rows.append(("depth", depth, depth, replace(config, depth=depth), setting))
    for factor in TOKEN_FACTORS:
        sides = tuple(round(patches * factor) * config.patch_size for patches in config.grid)
        larger = replace(config, image_size=sides)
        rows.append(("tokens", larger.tokens, larger.tokens, larger, setting))
    if setting.device == "cpu":
        for threads in thread_counts(setting.threads):
            rows.append(("threads", threads, 1.0 / threads, config,
                         replace(setting, threads=threads)))
    return rows


def thread_counts(most):
    """Return 1, 2, 4, … and the largest number of threads itself."""
    return sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most})
