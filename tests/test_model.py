"""Model: what a user holds. One image is as good as many, and every mistake is a sentence."""

import dataclasses
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp import ViTConfig, params, vit
from vitnp.data.preprocess import Preprocess
from vitnp.model import Model

CONFIG = ViTConfig(image_size=(6, 4), patch_size=2, channels=3, width=12, depth=3, heads=3,
                   mlp_width=10, classes=5)
KINDS = [{"pooling": "token"}, {"pooling": "gap"}, {"pooling": "avg", "positions": "2d"},
         {"pre_logits": 7, "gelu": "erf"}, {"depth": 1, "positions": "none"}]
IMAGES = np.random.default_rng(1).integers(0, 256, (4, 6, 4, 3), dtype=np.uint8)
LABELS = np.array([4, 0, 2, 0])


def make(dtype=np.float64, threads=1, **changes):
    """Return a model with random parameters, a head that is not zero among them."""
    config = dataclasses.replace(CONFIG, **changes)
    shapes = vit.shapes(config)
    flat = params.allocate(shapes, dtype, np)
    flat[:] = 0.3 * np.random.default_rng(0).standard_normal(flat.shape)
    names = tuple("abcde") if config.classes else None
    return Model(config, params.views(flat, shapes),
                 Preprocess((6, 4), (0.4, 0.5, 0.6), (0.2, 0.25, 0.5)), names, threads=threads)


def refusal(call, *arguments, **named):
    with pytest.raises(vitnp.Error) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("changes", KINDS)
def test_each_image_of_many_gets_what_it_gets_alone(changes):
    model = make(**changes)
    for function in (model.logits, model.probabilities, model.features):
        together = function(IMAGES)
        assert together.shape[0] == 4 and np.ptp(together, axis=0).min() > 1e-6
        for i in range(4):
            np.testing.assert_allclose(function(IMAGES[i]), together[i:i + 1], atol=1e-12)


def test_arrays_lists_floats_and_files_give_the_same(tmp_path):
    model = make()
    expected = model.logits(IMAGES)
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for image, path in zip(IMAGES, paths, strict=True):
        Image.fromarray(image).save(path)
    for images in (list(IMAGES), IMAGES / 255.0, paths, [str(path) for path in paths]):
        np.testing.assert_allclose(model.logits(images), expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(model.logits(paths[2]), model.logits(IMAGES[2]))


@pytest.mark.parametrize("count", [1, 2, 3, 64, 131])
def test_more_images_than_fit_into_one_batch_are_cut_and_joined(count):
    model = make(depth=1, threads=2)
    images = np.random.default_rng(2).integers(0, 256, (count, 6, 4, 3), dtype=np.uint8)
    logits = model.logits(images)
    assert logits.shape == (count, 5)
    for i in {0, count // 2, count - 1}:
        np.testing.assert_allclose(logits[i:i + 1], model.logits(images[i]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("changes", KINDS)
def test_probabilities_logits_and_features_belong_together(changes):
    model = make(**changes)
    logits, probabilities = model.logits(IMAGES), model.probabilities(IMAGES)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=0, atol=1e-14)
    ratios = np.log(probabilities[:, 1:] / probabilities[:, :1])
    np.testing.assert_allclose(ratios, logits[:, 1:] - logits[:, :1], rtol=0, atol=1e-12)
    head = model.params["head"]
    features = model.features(IMAGES)
    assert features.shape == (4, model.config.pre_logits or model.config.width)
    np.testing.assert_allclose(features @ head["weight"] + head["bias"], logits, atol=1e-12)


@pytest.mark.parametrize("changes", KINDS)
def test_attention_is_that_of_every_block_and_token(changes):
    """Prediction may leave tokens out of the last block; attention must not."""
    model = make(**changes)
    maps = model.attention(IMAGES)
    T = model.config.tokens
    assert len(maps) == model.config.depth
    for weights in maps:
        assert isinstance(weights, np.ndarray) and weights.shape == (4, 3, T, T)
        np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=0, atol=1e-12)
        assert np.ptp(weights, axis=0).max() > 1e-3
    np.testing.assert_allclose(model.attention(IMAGES[2])[-1], maps[-1][2:3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_dtype_of_the_parameters(dtype):
    model = make(dtype)
    loss, gradients = model.loss_and_gradients(IMAGES, LABELS)
    results = [model.logits(IMAGES), model.probabilities(IMAGES / 255.0), model.features(IMAGES),
               *model.attention(IMAGES), *params.flatten(gradients).values()]
    assert type(loss) is float and {result.dtype for result in results} == {np.dtype(dtype)}


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_mean_cross_entropy_of_the_images(smoothing):
    model = make()
    loss, gradients = model.loss_and_gradients(IMAGES, LABELS, smoothing)
    probabilities = model.probabilities(IMAGES)
    targets = (1 - smoothing) * np.eye(5)[LABELS] + smoothing / 5
    np.testing.assert_allclose(loss, -(targets * np.log(probabilities)).sum(axis=1).mean())
    singles = [model.loss_and_gradients(image, [label], smoothing)
               for image, label in zip(IMAGES, LABELS, strict=True)]
    np.testing.assert_allclose(loss, np.mean([single[0] for single in singles]))
    for path, gradient in params.flatten(gradients).items():
        mean = np.mean([params.flatten(single[1])[path] for single in singles], axis=0)
        np.testing.assert_allclose(gradient, mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("changes", KINDS)
def test_gradients_are_those_of_the_loss_along_a_direction(changes):
    model, rng, h = make(**changes), np.random.default_rng(3), 1e-6
    _, gradients = model.loss_and_gradients(IMAGES, LABELS)
    tensors = params.flatten(model.params)
    direction = {path: rng.standard_normal(array.shape) for path, array in tensors.items()}

    def loss(step):
        moved = {path: array + step * direction[path] for path, array in tensors.items()}
        there = dataclasses.replace(model, params=params.nest(moved))
        return there.loss_and_gradients(IMAGES, LABELS)[0]

    slope = (loss(h) - loss(-h)) / (2 * h)
    product = sum((g * direction[path]).sum() for path, g in params.flatten(gradients).items())
    assert abs(slope) > 1e-3 and abs(slope - product) < 1e-7 * max(1, abs(slope))


def test_asking_changes_neither_model_nor_images():
    model, images, labels = make(), IMAGES.copy(), LABELS.copy()
    before = {path: array.copy() for path, array in params.flatten(model.params).items()}
    first = model.logits(images)
    model.attention(images)
    model.features(images)
    _, gradients = model.loss_and_gradients(images, labels)
    _, again = model.loss_and_gradients(images, labels)
    np.testing.assert_array_equal(model.logits(images), first)
    np.testing.assert_array_equal(images, IMAGES)
    for path, array in params.flatten(model.params).items():
        np.testing.assert_array_equal(array, before[path])
        np.testing.assert_array_equal(params.find(gradients, path), params.find(again, path))


@pytest.mark.parametrize(("labels", "words"), [
    (LABELS / 1.0, "type float64"), (LABELS > 0, "type bool"), (["a", "b", "c", "d"], "type <U1"),
    (LABELS[:3], "shape (3,)"), (3, "shape ()"), (np.eye(4, 5), "shape (4, 5)"), ([], "shape (0,)"),
    (LABELS[:, None], "4 images need 4 whole numbers"), ([0, 1, 2, 5], "from 0 to 5"),
    ([0, 1, 2, -1], "from -1 to 2, but the model's classes are 0 to 4"),
])
def test_labels_that_do_not_fit_are_refused(labels, words):
    assert words in refusal(make().loss_and_gradients, IMAGES, labels)


@pytest.mark.parametrize("name", ["logits", "probabilities", "features", "attention"])
def test_wrong_images_are_refused_by_every_method(name, tmp_path):
    for images in (IMAGES[:0], [], IMAGES[..., :0], IMAGES.astype(int), tmp_path / "none.png"):
        refusal(getattr(make(), name), images)
        refusal(make().loss_and_gradients, images, [])


def test_a_network_without_a_head_has_features_alone():
    model, whole = make(classes=None), make()
    for path, array in params.flatten(model.params).items():
        array[:] = params.find(whole.params, path)
    np.testing.assert_array_equal(model.features(IMAGES), whole.features(IMAGES))
    for call in (model.logits, model.probabilities):
        assert "no head, and so no logits; ask for features" in refusal(call, IMAGES)
    assert "no head" in refusal(model.loss_and_gradients, IMAGES, LABELS)


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_saved_model_comes_back_to_the_bit(tmp_path, dtype, changes):
    model = make(dtype, **changes)
    model.save(tmp_path / "a.safetensors")
    loaded = vitnp.load(str(tmp_path / "a.safetensors"))
    assert (loaded.config, loaded.preprocess) == (model.config, model.preprocess)
    assert loaded.class_names == tuple("abcde")
    ours, theirs = params.flatten(model.params), params.flatten(loaded.params)
    assert list(theirs) == list(ours)
    for path, array in ours.items():
        assert theirs[path].dtype == dtype and theirs[path].tobytes() == array.tobytes()
    np.testing.assert_array_equal(loaded.logits(IMAGES), model.logits(IMAGES))


def test_a_model_without_head_or_names_comes_back_too(tmp_path):
    for model in (make(classes=None), dataclasses.replace(make(), class_names=None)):
        model.save(tmp_path / "a.safetensors")
        loaded = vitnp.load(tmp_path / "a.safetensors")
        assert loaded.class_names is None and loaded.config.classes == model.config.classes
        np.testing.assert_array_equal(loaded.features(IMAGES), model.features(IMAGES))


def test_a_run_folder_is_as_good_as_its_checkpoint(tmp_path):
    model = make()
    model.save(tmp_path / "checkpoint.safetensors")
    np.testing.assert_array_equal(vitnp.load(str(tmp_path)).logits(IMAGES), model.logits(IMAGES))
    assert "best.safetensors" in refusal(vitnp.load, tmp_path, "best")
    assert "which is 'first'; possible are last, best" in refusal(vitnp.load, tmp_path, "first")


def test_a_damaged_last_checkpoint_is_never_replaced_in_silence(tmp_path):
    model = make()
    model.save(tmp_path / "previous.safetensors")
    model.save(tmp_path / "checkpoint.safetensors")
    data = (tmp_path / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(data[:-3])
    message = refusal(vitnp.load, tmp_path)
    assert "is damaged" in message and "previous.safetensors" in message and "--resume" in message


def test_moving_to_the_cpu_gives_an_equal_model(monkeypatch):
    model = make()
    for moved in (model.to("cpu"), fake_gpu(monkeypatch, model).to("cpu")):
        assert (moved.config, moved.class_names) == (model.config, model.class_names)
        np.testing.assert_array_equal(moved.logits(IMAGES), model.logits(IMAGES))
    assert "unknown device 'tpu'" in refusal(model.to, "tpu")


def fake_gpu(monkeypatch, model):
    """Return model.to("gpu") where a GPU's arrays are boxes round NumPy's."""
    library = SimpleNamespace(asarray=lambda array: SimpleNamespace(get=lambda: array))
    monkeypatch.setattr(sys.modules["vitnp.model"], "pick_device",
                        lambda name: {"cpu": np, "gpu": library}[name] if name != "tpu"
                        else vitnp.backend.pick_device(name))
    return model.to("gpu")


def test_parts_that_do_not_belong_together_are_refused():
    model = make()
    message = refusal(dataclasses.replace, model, preprocess=Preprocess((4, 6), (0.5,), (0.5,)))
    assert "(4, 6, 1)" in message and "(6, 4, 3)" in message
    assert "2 class names, but 5 classes" in refusal(dataclasses.replace, model, class_names="ab")
