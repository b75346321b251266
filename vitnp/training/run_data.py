"""The data of a run: loaded, described and looked at before anything starts."""

from vitnp import data
from vitnp.common.progress import say
from vitnp.data import check, fingerprint
from vitnp.data.pictures import Pictures
from vitnp.errors import Error
from vitnp.parallel import lanes


def load(recipe, preprocess=None, folder=None):
    """Return the Dataset that a recipe names, and say what was found.

    preprocess: how pictures are read, by default whole; folder: that of a run which goes on, whose
    pictures keep their parts. For a new run the headers of all pictures are read: raises Error
    where some cannot be, so that this is not found after the last epoch.
    """
    parts = {}
    if folder is not None and recipe.data in data.FOLDERS:
        parts["kept"] = fingerprint.read(folder) or data.OLD
    dataset = data.load(recipe.data, recipe.data_dir, recipe.image_size,
                        recipe.workers or lanes.cores(), preprocess, **parts)
    for note in dataset.notes:
        say(note)
    if folder is None and isinstance(dataset.train_images, Pictures):
        paths = (*dataset.train_images.paths, *dataset.test_images.paths)
        sizes, complaints = check.check(paths, dataset.train_images.decoders)
        check.refuse(complaints, recipe.data_dir or data.folder_of(recipe.data, None))
        say(check.describe(sizes))
    return dataset


def threads(dataset):
    """Return how many threads prepare batches: two for files, one decodes while one augments."""
    return 2 if isinstance(dataset.train_images, Pictures) else 1


def some_of(training, count):
    """Return the first `count` of the shuffled training images, all of them for None."""
    if count is not None and count > len(training):
        raise Error(f"--train-images is {count:,}, but there are {len(training):,} images to train "
                    "on")
    return training[:count]
