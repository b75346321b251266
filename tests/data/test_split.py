"""Choosing a data set, checking its parts, and splitting off the validation part."""

import dataclasses

import numpy as np
import pytest

from vitnp.data import NAMES, Dataset, dataset, load, split_validation
from vitnp.data.dataset import check_part, statistics
from vitnp.errors import Error

CLASS_NAMES = ("cat", "dog", "cow")


def check(image_count, labels):
    images = np.zeros((image_count, 4, 5, 1), dtype=np.uint8)
    check_part(images, np.array(labels, dtype=np.int64), CLASS_NAMES, "images.bin", "labels.bin")


def test_an_unknown_name_lists_the_possible_ones():
    with pytest.raises(Error) as caught:
        load("minst")
    for name in ("minst", *NAMES):
        assert name in str(caught.value)


def test_a_data_set_cannot_be_changed_by_accident():
    empty = np.zeros(0)
    data = Dataset("none", empty, empty, empty, empty, CLASS_NAMES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"


def test_a_right_part_passes():
    check(3, [0, 2, 1])


@pytest.mark.parametrize(("image_count", "labels", "words"), [
    (0, [], ["images.bin", "no images"]),
    (3, [0, 1], ["images.bin", "3 images", "labels.bin", "2 labels"]),
    (2, [0, 1, 2], ["2 images", "3 labels"]),
    (3, [0, 3, 1], ["labels.bin", "label 3", "position 1", "0 to 2"]),
    (3, [0, 1, -1], ["label -1", "position 2"]),
])
def test_a_wrong_part_is_one_sentence_with_files_and_numbers(image_count, labels, words):
    with pytest.raises(Error) as caught:
        check(image_count, labels)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("count", [2, 3, 9, 10, 1437])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5, 0.999])
def test_each_image_is_on_one_side_and_no_side_is_empty(count, fraction):
    train, validation = split_validation(np.zeros(count), fraction, seed=3)
    assert len(train) > 0 and len(validation) > 0
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(count))


def test_by_default_a_tenth_is_for_validation():
    train, validation = split_validation(np.zeros(1437))
    assert len(train) == 1293 and len(validation) == 144


def test_the_split_is_shuffled_and_follows_the_seed():
    # Files are often sorted by class: unshuffled, the last tenth would be one class.
    labels = np.repeat(np.arange(10), 100)
    _, first = split_validation(labels, 0.1, seed=0)
    _, again = split_validation(labels, 0.1, seed=0)
    _, other = split_validation(labels, 0.1, seed=1)
    assert set(labels[first]) == set(range(10))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_split_of_a_seed_never_changes():
    # A run that goes on after an update must not train on its validation images.
    train, validation = split_validation(np.zeros(1437), 0.1, seed=0)
    assert train[:6].tolist() == [1267, 883, 924, 160, 114, 78]
    assert validation[:6].tolist() == [14, 1328, 77, 191, 1106, 1187]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_refused(count):
    with pytest.raises(Error, match=f"training part of {count} images cannot be split"):
        split_validation(np.zeros(count))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 10, float("nan")])
def test_an_impossible_fraction_is_refused(fraction):
    with pytest.raises(Error, match="must lie between 0 and 1"):
        split_validation(np.zeros(100), fraction)


def test_statistics_are_those_of_the_training_part_by_channel():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (50, 4, 5, 3), np.uint8), np.zeros(50, int)
    images[..., 1] = 17
    training, _ = split_validation(labels)
    pixels = images[training].reshape(-1, 3) / 255
    mean, std = statistics(images, labels)
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std[::2], pixels.std(axis=0)[::2], rtol=1e-12)
    assert std[1] == 1 / 255                                    # not zero, to be divided by


def test_of_many_images_statistics_read_some_from_everywhere(monkeypatch):
    monkeypatch.setattr(dataset, "MOST_IN_STATISTICS", 10)
    images, labels = np.zeros((100, 2, 2, 1), np.uint8), np.zeros(100, int)
    training, _ = split_validation(labels)
    images[training[::9]] = 200
    assert statistics(images, labels)[0] == (200 / 255,)
