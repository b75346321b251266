"""Few-shot linear accuracy: how well frozen features tell new classes apart, in closed form.

A linear model is fitted to the features of a few images of each class, by least squares instead of
training. Source: Dosovitskiy et al. 2021, section 4.1, "Metrics".
"""

from dataclasses import dataclass

import numpy as np

from vitnp.analysis.evaluation import in_chunks
from vitnp.common.randomness import generator
from vitnp.errors import Error

STRENGTHS = 10.0 ** np.arange(-4.0, 2.5, 0.5)   # times the mean square of the singular values


@dataclass(frozen=True)
class FewShot:
    """The accuracies (draws,) of linear models that each saw `shots` images of every class."""

    shots: int
    accuracies: np.ndarray


def measure(model, dataset, shots, images, labels, indices, draws, world=None):
    """Return a FewShot for each number of `shots`: accuracies on the images at the indices.

    The few images are drawn from the training part, without its validation part; the classes of
    the dataset need not be the model's. world: see evaluation.in_chunks.
    """
    classes, (training, _) = len(dataset.class_names), dataset.parts()
    chosen = {(count, seed): draw(dataset.train_labels, training, count, classes, seed)
              for count in shots for seed in range(draws)}
    seen, places = np.unique(np.concatenate(list(chosen.values())), return_inverse=True)
    features = in_chunks(model.features, dataset.train_images, seen, world)            # (N, D)
    others = in_chunks(model.features, images, indices, world)                  # (B, D)
    results, start = {count: [] for count in shots}, 0
    for (count, _), drawn in chosen.items():
        few = features[places[start:start + len(drawn)]]
        found = predict(few, dataset.train_labels[drawn], classes, others)
        results[count].append((found == labels[indices]).mean())
        start += len(drawn)
    return [FewShot(count, np.array(results[count])) for count in shots]


def draw(labels, indices, shots, classes, seed):
    """Return the indices of `shots` images of each class, drawn among `indices` without repetition.

    labels: (count,), of all images. Raises Error where a class has fewer images.
    """
    rng, chosen = generator(seed, "few-shot", shots), []
    for k in range(classes):
        of_class = indices[labels[indices] == k]
        if len(of_class) < shots:
            raise Error(f"--few-shot asks for {shots} images of each class, but class {k} has "
                        f"{len(of_class)} to train on; give a smaller number")
        chosen.append(rng.choice(of_class, shots, replace=False))
    return np.concatenate(chosen)


def predict(features, labels, classes, others):
    """Return the classes (B,) that a linear model fitted to features (N, D) gives to `others`.

    Equation: W, b minimise Σ |x W + b - t|² + λ |W|², with t = 1 for the image's class and -1 for
    all others. Each image's error, had it been left out, follows from the same decomposition; λ is
    the one with the smallest sum of their squares.

    labels: (N,); others: (B, D).
    """
    targets = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)        # (N, K)
    mean, offset = features.mean(axis=0), targets.mean(axis=0)
    decomposed = np.linalg.svd(features - mean, full_matrices=False)
    strengths = STRENGTHS * (decomposed.S**2).mean() + np.finfo(np.float64).tiny
    errors = [(left_out(decomposed, targets - offset, each) ** 2).sum() for each in strengths]
    weight = solve(decomposed, targets - offset, strengths[np.argmin(errors)])  # (D, K)
    return ((others - mean) @ weight + offset).argmax(axis=1)


def solve(decomposed, targets, strength):
    """Return the weight (D, K) of the least squares, for X = U S Vᵀ and centred targets (N, K).

    Equation: W = (XᵀX + λ 1)⁻¹ Xᵀ T = V · S / (S² + λ) · Uᵀ T.
    """
    U, S, Vh = decomposed
    return Vh.T @ ((S / (S**2 + strength))[:, None] * (U.T @ targets))


def left_out(decomposed, targets, strength):
    """Return the errors (N, K) of the images, each by the model that was fitted without it.

    Equation: (t_i - p_i) / (1 - h_i), p = H T with H = X (XᵀX + λ 1)⁻¹ Xᵀ + 1/N.
    Source: Golub, Heath, Wahba 1979, section 1.
    """
    U, S, _ = decomposed
    shares = S**2 / (S**2 + strength)
    fitted = U @ (shares[:, None] * (U.T @ targets))                            # (N, K)
    own = (U**2) @ shares + 1.0 / len(U)                                        # (N,)
    return (targets - fitted) / (1.0 - own)[:, None]
