"""Drawn exercises: planted mistakes in a network, and variants that are in no chapter."""

import numpy as np
import pytest

from tutorials.assignments import checking, tasks
from tutorials.assignments.checking import faults, oracles
from tutorials.assignments.tasks import drawing, planting
from vitnp import params
from vitnp.gradcheck import numeric_gradient

NAMES, MISTAKES = planting.planted()
VARIANTS = [module for task in tasks.VARIANTS for module in task.modules]


def drawn(task, student, course=""):
    """Return the file's name and the text that a student gets."""
    module, text = drawing.drawn_text(task, student, course)
    return task.file_of(module), text


def mended(task, student):
    """Return the network of a student without its mistake."""
    def choose(what, count):
        return drawing.number("", student, f"{task.name} {what}", count)
    return drawing.header(task.name, student, "") + drawing.renamed(
        tasks.source_of("network"), NAMES, choose)


@pytest.mark.parametrize("name", MISTAKES)
def test_every_planted_mistake_is_wrong_and_keeps_the_shapes(name):
    """In the numbers of the network itself; a mistake that changes none could not be found."""
    (answer,) = oracles.answers("network")
    for pairs in MISTAKES[name]:
        text = planting.plant(tasks.source_of("network"), pairs)
        found = oracles.backward(answer.question, oracles.library(answer.question, text), answer.dy)
        assert all(found[path].shape == right.shape for path, right in answer.gradients.items())
        assert any(faults.is_wrong(found[path], right)
                   for path, right in answer.gradients.items())
    assert len(MISTAKES[name]) >= 3


def test_the_network_is_right():
    (answer,) = oracles.answers("network")
    question = answer.question
    functions = oracles.library(question)

    def loss():
        return float((oracles.forward(question, functions)[0]["losses"] * answer.dy).sum())

    for path, array in params.flatten(question.arguments).items():
        numeric = numeric_gradient(loss, array)
        assert np.abs(numeric - answer.gradients[f"d{path}"]).max() < 1e-6, path


@pytest.mark.parametrize("name", ["05-layernorm-bug", "09-block-bug"])
def test_only_the_drawn_file_mended_is_an_answer(name):
    task = tasks.find(name)
    file, text = drawn(task, "Ada")
    report = checking.check_task(name, {file: text})
    assert report.status == "wrong" and "likely" not in report.message
    assert checking.check_task(name, {file: mended(task, "ada ")}).status in ("passed", "wrong")
    assert checking.check_task(name, {file: mended(task, "Ada")}).passed
    public = drawing.header(name, "Ada", "") + tasks.source_of("network")
    for wrong in (tasks.source_of("network"), public, mended(task, "Ada").partition("\n")[2],
                  tasks.source_of("layers.layernorm")):
        report = checking.check_task(name, {file: wrong})
        assert report.status == "wrong" and report.share == 0.0, report
    others = {drawn(task, f"student {number}")[1].partition("\n")[2] for number in range(30)}
    assert len(others) > 25


def test_what_is_drawn_follows_from_name_course_and_task_alone():
    task = tasks.find("05-variant")
    assert drawn(task, "Ada") == drawn(task, "Ada")
    assert drawn(task, "Ada")[1].partition("\n")[2] == drawn(task, " ada")[1].partition("\n")[2]
    files = {drawn(task, f"student {number}", "spring")[0] for number in range(20)}
    assert files == set(task.files)


@pytest.mark.parametrize("module", VARIANTS)
def test_a_variant_is_given_with_its_forward_alone(module):
    task = next(task for task in tasks.VARIANTS if module in task.modules)
    student = next(f"s{number}" for number in range(99)
                   if drawing.drawn_text(task, f"s{number}", "")[0] == module)
    file, text = drawn(task, student)
    report = checking.check_task(task.name, {file: text})
    assert report.status == "unwritten", report.message
    assert report.share == 0.0 and len(report.verdicts) == 1
    other = next(other for other in task.files if other != file)
    report = checking.check_task(task.name, {other: text})
    assert report.status == "wrong" and "not what is drawn for" in report.message


def test_a_right_backward_of_a_variant_passes_and_a_chapters_does_not():
    task = tasks.find("06-variant")
    student = next(f"s{number}" for number in range(99)
                   if drawing.drawn_text(task, f"s{number}", "")[0] == "drawn.quick_gelu")
    file, text = drawn(task, student)
    stub = '    raise NotImplementedError("backward is yours to write")\n'
    right = text.replace(stub, "    x, share = cache\n    return dy * share * (1.0 + 1.702 * x * "
                               "(1.0 - share))\n")
    report = checking.check_task("06-variant", {file: right})
    assert report.passed and report.share == 1.0, report.message
    wrong = text.replace(stub, "    x, share = cache\n    return dy * share * (1.0 + x * "
                               "(1.0 - share))\n")
    assert checking.check_task("06-variant", {file: wrong}).status == "wrong"
