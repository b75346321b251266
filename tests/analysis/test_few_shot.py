"""Linear models on frozen features: against fitting anew, and on features of known answers."""

import numpy as np
import pytest

import vitnp
from vitnp import data, evaluate, model
from vitnp.analysis import few_shot
from vitnp.runs.recipe import Recipe
from vitnp.training import loop

rng = np.random.default_rng(0)
FEATURES, TARGETS = 3.0 + rng.standard_normal((12, 5)), rng.standard_normal((12, 3))


def fitted(features, targets, strength):
    """Return weight and offset by the normal equations of the whole problem, offset included."""
    bordered = np.hstack([features, np.ones((len(features), 1))])
    penalty = strength * np.diag([1.0] * features.shape[1] + [0.0])
    solution = np.linalg.solve(bordered.T @ bordered + penalty, bordered.T @ targets)
    return solution[:-1], solution[-1]


@pytest.mark.parametrize("count", (12, 4))          # more images than features, and fewer
@pytest.mark.parametrize("strength", (0.1, 30.0))
def test_weight_and_errors_left_out_are_those_of_fitting_anew(count, strength):
    x, t = FEATURES[:count], TARGETS[:count]
    decomposed = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    weight, _ = fitted(x, t, strength)
    centred = t - t.mean(axis=0)
    np.testing.assert_allclose(few_shot.solve(decomposed, centred, strength), weight, atol=1e-10)
    errors = few_shot.left_out(decomposed, centred, strength)
    for i in range(count):
        others = np.arange(count) != i
        weight, offset = fitted(x[others], t[others], strength)
        np.testing.assert_allclose(errors[i], t[i] - (x[i] @ weight + offset), atol=1e-9)


def test_features_in_groups_are_told_apart_and_noise_is_not():
    labels = np.repeat(np.arange(4), 30)
    centres = rng.standard_normal((4, 8))
    groups = 50.0 + centres[labels] + 0.1 * rng.standard_normal((120, 8))
    few = np.concatenate([np.arange(5) + 30 * k for k in range(4)])
    assert (few_shot.predict(groups[few], labels[few], 4, groups) == labels).mean() == 1.0
    noise = rng.standard_normal((120, 8))
    assert (few_shot.predict(noise[few], labels[few], 4, noise[30:]) == labels[30:]).mean() < 0.5


def test_many_noisy_directions_are_held_down():
    """Without regularisation 200 features and 40 images fit the noise."""
    labels = np.tile(np.arange(2), 320)
    features = np.hstack([2.0 * labels[:, None] - 1.0 + 0.3 * rng.standard_normal((640, 1)),
                          0.3 * rng.standard_normal((640, 200))])
    found = few_shot.predict(features[:40], labels[:40], 2, features[40:])
    assert (found == labels[40:]).mean() > 0.95


def test_draws_have_the_same_number_of_each_class_and_no_image_twice():
    labels = np.tile(np.arange(3), 20)
    indices = np.arange(10, 60)
    drawn = few_shot.draw(labels, indices, 7, 3, 0)
    assert np.bincount(labels[drawn]).tolist() == [7, 7, 7]
    assert len(set(drawn)) == 21 and set(drawn) <= set(indices)
    assert (drawn == few_shot.draw(labels, indices, 7, 3, 0)).all()
    assert (drawn != few_shot.draw(labels, indices, 7, 3, 1)).any()
    with pytest.raises(vitnp.Error, match="--few-shot asks for 18 images of each class"):
        few_shot.draw(labels, indices, 18, 3, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run on the digits."""
    folder = tmp_path_factory.mktemp("few") / "run"
    return loop.train(Recipe(model="micro/4", epochs=2, threads=1), folder)[0]


def test_accuracies_are_those_of_the_models_of_each_draw(run):
    trained, digits = model.load(run), data.load("digits")
    indices = np.arange(0, 360, 2)
    results = few_shot.measure(trained, digits, [5, 3], digits.test_images, digits.test_labels,
                               indices, draws=2)
    assert [result.shots for result in results] == [5, 3]
    training_part, _ = data.split_validation(digits.train_labels)
    for result in results:
        for seed, accuracy in enumerate(result.accuracies):
            few = few_shot.draw(digits.train_labels, training_part, result.shots, 10, seed)
            found = few_shot.predict(
                trained.features(digits.train_images[few]).astype(np.float64),
                digits.train_labels[few], 10, trained.features(digits.test_images[indices]))
            assert accuracy == (found == digits.test_labels[indices]).mean()
            assert accuracy > 0.3


def test_the_command_prints_a_line_for_each_number_and_draws_nothing(run, capsys):
    before = sorted(run.iterdir())
    evaluate.main([str(run), "--few-shot", "2,10", "--part", "validation"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("2 images a class: validation accuracy ") and "of 5 draws" in first
    assert second.startswith("10 images a class: ") and sorted(run.iterdir()) == before


@pytest.mark.parametrize("given", ("0,5", "5,x", "", "-1", "5,,10"))
def test_other_numbers_are_refused(run, given):
    with pytest.raises(vitnp.Error, match="--few-shot is .* it must be numbers of images above 0"):
        evaluate.main([str(run), f"--few-shot={given}"])


@pytest.mark.parametrize("options", [[], ["--few-shot", "5"]])
def test_colours_for_a_network_of_greys_are_one_sentence(run, tmp_path, options):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 8, 8, 3), np.uint8), np.arange(40) % 10
    np.savez(tmp_path / "colours.npz", train_images=images, train_labels=labels,
             test_images=images, test_labels=labels)
    with pytest.raises(vitnp.Error, match="images of npz have 3 channels, but the network takes 1"):
        evaluate.main([str(run), "--data", "npz", "--data-dir", str(tmp_path / "colours.npz"),
                       *options])


def test_any_checkpoint_is_evaluated_on_any_data_of_its_classes(run, tmp_path, capsys):
    evaluate.main([str(run)])
    own = capsys.readouterr().out.splitlines()
    model.load(run, "best").save(tmp_path / "model.npz", "google")
    digits = data.load("digits")
    names = {"train_images": digits.train_images, "train_labels": digits.train_labels,
             "test_images": digits.test_images, "test_labels": digits.test_labels}
    np.savez(tmp_path / "same.npz", **names, class_names=np.array(digits.class_names))
    np.savez(tmp_path / "fewer.npz", **names | {
        "train_labels": digits.train_labels % 9, "test_labels": digits.test_labels % 9},
        class_names=np.array(list("abcdefghi")))
    options = [str(tmp_path / "model.npz"), "--heads", "2", "--data", "npz", "--data-dir"]
    evaluate.main([*options, str(tmp_path / "same.npz"), "--out", str(tmp_path / "pictures")])
    other = capsys.readouterr().out.splitlines()
    assert other[0] == own[0] and other[3:-2] == own[2:-2]
    assert "taken by number" in other[2]
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"confusion.png",
                                                                         "mistakes.png"}
    before = sorted(run.iterdir())
    evaluate.main([str(run), *options[3:], str(tmp_path / "same.npz")])
    assert len(capsys.readouterr().out.splitlines()) == len(own) - 2
    assert sorted(run.iterdir()) == before
    with pytest.raises(vitnp.Error, match="has 10 classes, but .* has 9: the .*; fine-tune"):
        evaluate.main([*options, str(tmp_path / "fewer.npz")])
    with pytest.raises(vitnp.Error, match="is no run folder, .* give a data set with --data: dig"):
        evaluate.main(options[:3])
