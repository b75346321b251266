"""Positions for another grid, as the authors, transformers and timm resize them."""

from pathlib import Path

import numpy as np
import pytest

import vitnp
from vitnp import ViTConfig, params, positions, vit
from vitnp.checkpoint import google

DATA = Path(__file__).with_name("fixtures")
RNG = np.random.default_rng(0)


def grid_of(tag):
    return tuple(int(side) for side in tag.split("x"))


def surgery():
    return np.load(DATA / "google_surgery.npz")


CASES = sorted({key.partition("/")[0] for key in surgery().files} - {"finetune"})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_the_authors_way(case, dtype, bound):
    cases = surgery()
    result = positions.resize(
        cases[f"{case}/in"][0].astype(dtype), cases[f"{case}/old_grid"], cases[f"{case}/new_grid"],
        bool(cases[f"{case}/num_class_tokens"]), "google")
    assert result.dtype == dtype and len(CASES) == 6
    assert np.abs(result - cases[f"{case}/out"][0]).max() < bound


def test_the_authors_fine_tuning_starts_with_these_logits():
    """Positions from 4 x 4 to 6 x 6, and a new head; their positions are of float32."""
    cases, old = surgery(), dict(np.load(DATA / "google_vit_small.npz"))
    name = "Transformer/posembed_input/pos_embedding"
    resized = positions.resize(old[name][0].astype(np.float64), (4, 4), (6, 6))
    assert np.abs(resized - cases["finetune/pos_embedding"][0]).max() < 1e-6
    arrays = old | {name: cases["finetune/pos_embedding"]} | {
        key: cases[f"finetune/{key}"] for key in ("head/kernel", "head/bias")}
    config = ViTConfig(image_size=24, patch_size=4, width=24, depth=3, heads=4, mlp_width=36,
                       classes=7)
    tree = google.to_ours({key: array.astype(np.float64) for key, array in arrays.items()}, config)
    logits, _ = vit.forward(cases["finetune/images"].astype(np.float64), tree, config)
    assert np.abs(logits - cases["finetune/logits"]).max() < 1e-10


@pytest.mark.parametrize("tag", ["24x20", "8x8", "8x32"])
def test_the_way_of_transformers_and_its_logits(tag):
    model, reference = vitnp.load(DATA / "hf_vit"), np.load(DATA / "hf_vit_ref.npz")
    height, width = grid_of(tag)
    tensors = {path: array.astype(np.float64)
               for path, array in params.flatten(model.params).items()}
    resized = positions.resize(tensors["embedding/position"], (4, 4), (height // 4, width // 4),
                               method="huggingface")
    assert np.abs(resized - reference[f"interp/{tag}/pos_embed"][0]).max() < 1e-12
    config = ViTConfig(**vars(model.config) | {"image_size": (height, width)})
    tree = params.nest(tensors | {"embedding/position": resized})
    images = reference[f"interp/{tag}/pixel_values"].transpose(0, 2, 3, 1)
    logits, _ = vit.forward(images, tree, config)
    assert np.abs(logits - reference[f"interp/{tag}/logits"]).max() < 1e-10


@pytest.mark.parametrize("tag", ["6x6", "3x5", "2x2", "7x4"])
def test_the_way_of_timm(tag):
    cases = np.load(DATA / "timm_pos_resample.npz")
    result = positions.resize(cases["in"][0].astype(np.float64), (4, 4), grid_of(tag),
                              method="timm")
    assert np.abs(result - cases[f"{tag}/torch_f64"][0]).max() < 1e-12
    result = positions.resize(cases["in"][0], (4, 4), grid_of(tag), method="timm")
    assert result.dtype == np.float32
    assert np.abs(result - cases[f"{tag}/timm_f32"][0]).max() < 2e-6


@pytest.mark.parametrize("method", positions.METHODS)
@pytest.mark.parametrize(("old", "new"), [((3, 5), (3, 5)), ((3, 5), (7, 2)), ((1, 4), (6, 1)),
                                          ((5, 2), (1, 9)), ((2, 3), (4, 6))])
def test_every_way_keeps_constants_and_the_class_token_and_the_same_grid(method, old, new):
    position = RNG.standard_normal((old[0] * old[1] + 1, 4))
    before = position.copy()
    result = positions.resize(position, old, new, True, method)
    assert result.shape == (new[0] * new[1] + 1, 4)
    np.testing.assert_array_equal(position, before)
    np.testing.assert_array_equal(result[0], position[0])
    if old == new:
        np.testing.assert_array_equal(result, position)
    position[1:] = [1.0, -2.0, 0.5, 7.0]
    result = positions.resize(position, old, new, True, method)
    np.testing.assert_allclose(result[1:], np.broadcast_to(position[1], result[1:].shape),
                               rtol=1e-14)
    without = positions.resize(before[1:], old, new, False, method)
    np.testing.assert_array_equal(without, positions.resize(before, old, new, True, method)[1:])


@pytest.mark.parametrize("method", positions.METHODS)
def test_rows_and_columns_are_not_exchanged_or_turned_round(method):
    """Positions that are a function of the row alone must stay so, and rise as it does."""
    rows = np.repeat(np.arange(4.0), 3)[:, None]
    result = positions.resize(rows, (4, 3), (8, 9), False, method).reshape(8, 9)
    assert np.ptp(result, axis=1).max() < 1e-13
    assert (np.diff(result[:, 0])[1:-1] > 0).all()
    assert result[0, 0] < 0.5 and result[-1, 0] > 2.5


def test_what_does_not_fit_is_refused():
    for wrong, words in (({"method": "nearest"}, "'nearest' to resize positions; possible are"),
                         ({"old_grid": (4, 4)}, "(13, 2) are not one for each of 4 x 4 patches"),
                         ({"class_token": False}, "each of 4 x 3 patches"),
                         ({"position": np.zeros(13)}, "(13,) are not one")):
        given = {"position": np.zeros((13, 2)), "old_grid": (4, 3), "new_grid": (2, 2)} | wrong
        with pytest.raises(vitnp.Error) as caught:
            positions.resize(**given)
        assert words in str(caught.value)
