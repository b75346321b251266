"""Every planted mistake must fail a test."""

import mutations
import pytest


def test_there_are_enough_mistakes_each_is_new_and_every_layer_has_some():
    mistakes = mutations.read_mistakes()
    assert len(mistakes) >= 80
    assert len({(mistake.file, mistake.old, mistake.new) for mistake in mistakes}) == len(mistakes)
    layers = {path.name for path in (mutations.PACKAGE / "layers").glob("*.py")} - {"__init__.py"}
    assert layers <= {mistake.file.removeprefix("layers/") for mistake in mistakes}


def test_each_mistake_can_be_planted(tmp_path):
    """The texts must follow the code: each right one occurs once, and the wrong one parses."""
    for number, mistake in enumerate(mutations.read_mistakes()):
        folder = tmp_path / str(number)
        mutations.plant(mistake, folder)
        compile((folder / "vitnp" / mistake.file).read_text(), mistake.file, "exec")


@pytest.mark.slow
def test_no_planted_mistake_survives():
    outcomes = mutations.run()
    assert [outcome.mistake for outcome in outcomes if not outcome.killed_by] == []
