"""What a recipe does to a batch of training images."""

from vitnp.data import geometry, mixing
from vitnp.data.randaugment import randaugment


def augmented(images, labels, classes, recipe, rng):
    """Return uint8 images (B, height, width, C) changed at random, and their targets.

    The targets are the labels (B,), or probabilities (B, K) where images are mixed: with mixup and
    cutmix both asked for, each batch takes one of them. recipe: a Recipe; rng: a NumPy Generator.
    """
    if recipe.resized_crop < 1:
        images = geometry.random_resized_crop(images, recipe.resized_crop, rng)
    if recipe.rotate or recipe.rescale:
        images = geometry.random_affine(images, recipe.rotate, recipe.rescale, rng)
    if recipe.crop_padding:
        images = geometry.random_crop(images, recipe.crop_padding, rng)
    if recipe.flip:
        images = geometry.random_flip(images, rng, recipe.flip)
    if recipe.randaugment:
        images = randaugment(images, recipe.randaugment, recipe.magnitude, rng)
    if recipe.erase:
        images = mixing.random_erase(images, recipe.erase, rng)
    if not (recipe.mixup or recipe.cutmix):
        return images, labels
    targets = mixing.one_hot(labels, classes)                       # (B, K)
    if recipe.mixup and (not recipe.cutmix or rng.random() < 0.5):
        return mixing.mixup(images, targets, recipe.mixup, rng)
    return mixing.cutmix(images, targets, recipe.cutmix, rng)
