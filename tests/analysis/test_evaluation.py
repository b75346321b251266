"""Scores on logits whose answers are known."""

import math

import numpy as np
import pytest

from vitnp.analysis import evaluation


def test_a_score_by_hand():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.3, 0.6, 0.1]]))
    score = evaluation.score_of(logits, np.array([0, 1, 2, 2]))
    assert score.accuracy == 0.5 and score.top5 is None
    assert math.isclose(score.loss, -np.log([0.7, 0.4, 0.6, 0.1]).mean())
    assert score.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 1]]
    assert score.class_accuracies.tolist() == [1.0, 0.0, 0.5]


def test_labels_without_images_have_no_share_of_right_answers():
    score = evaluation.score_of(np.eye(3)[[0, 1]], np.array([0, 1]))
    assert score.class_accuracies[:2].tolist() == [1, 1] and np.isnan(score.class_accuracies[2])


def test_top_5_counts_the_five_likeliest():
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((200, 12)), rng.integers(0, 12, 200)
    better = (logits > logits[np.arange(200), labels][:, None]).sum(axis=1)
    assert evaluation.score_of(logits, labels).top5 == (better < 5).mean()


@pytest.mark.parametrize(("confidences", "right", "expected"), [
    ([1.0, 1.0], [True, True], 0.0), ([1.0, 1.0], [True, False], 0.5),
    ([0.9, 0.9, 0.2, 0.2], [True, True, False, True], 0.5 * 0.1 + 0.5 * 0.3),
    ([0.74, 0.69], [True, False], 0.5 * 0.26 + 0.5 * 0.69),     # two bins: nothing cancels
])
def test_calibration_error_by_hand(confidences, right, expected):
    found = evaluation.calibration_error(np.array(confidences), np.array(right))
    assert math.isclose(found, expected, abs_tol=1e-12)
