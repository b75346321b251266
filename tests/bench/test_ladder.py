"""The ladder: a short run of all stages writes a picture and its numbers."""

import json

import pytest

from vitnp.bench import cases, ladder
from vitnp.errors import Error


def test_a_short_run_writes_picture_and_numbers(tmp_path):
    ladder.main([str(tmp_path / "v1.5"), "--mode", "predict", "--cases", "digits",
                 "--seconds", "0.01", "--repeats", "1"])
    assert (tmp_path / "v1.5.png").read_bytes()[:4] == b"\x89PNG"
    (measured,) = json.loads((tmp_path / "v1.5.json").read_text())
    found = {result["engine"]: result for result in measured["results"]}
    assert set(cases.STAGES) <= set(found) and measured["case"] == "digits"
    # Without lanes the whole batch goes through at once
    assert [found[name]["micro_batch"] for name in cases.STAGES] == [128, 128, 64]
    assert min(result["gflops"] for result in found.values()) > 0


@pytest.mark.parametrize("arguments", (["x", "--cases", "huge"], ["x", "--seconds", "0"],
                                       ["x", "--seconds", "inf"], ["x", "--repeats", "0"],
                                       ["missing/x"]))
def test_what_is_impossible_is_one_sentence_before_anything_is_measured(monkeypatch, arguments):
    monkeypatch.setattr(ladder, "measure", lambda *options: pytest.fail("it measured"))
    with pytest.raises(Error) as raised:
        ladder.main(arguments)
    assert "\n" not in str(raised.value)


def test_every_engine_has_a_label_and_a_colour():
    assert set(ladder.LABELS) == {*cases.STAGES, "torch", "jax"}
    assert len(ladder.COLOURS) == len(ladder.LABELS)
