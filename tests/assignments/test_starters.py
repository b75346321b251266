"""Starter files: what is taken out of them, what stays, and what the student is told."""

import ast

import pytest

from tutorials.assignments import __main__ as command_line
from tutorials.assignments import checking, starter, tasks
from tutorials.assignments.checking import faults, oracles
from vitnp import Error

every_task = pytest.mark.parametrize("task", tasks.TASKS, ids=lambda task: task.name)
SLOW = ("06-gelu", "07-one-head", "08-many-heads", "09-block")     # seconds of differences


def library(task):
    """Return the library's own files as a submission."""
    return {task.file_of(module): starter.library_text(module) for module in task.modules}


def starters(task):
    return {task.file_of(module): starter.text_of(task, module) for module in task.modules}


def main(*words):
    parser_input = [str(word) for word in words]
    return command_line.main(parser_input)


@pytest.mark.parametrize("task", [
    pytest.param(task, id=task.name, marks=pytest.mark.slow if task.name in SLOW else ())
    for task in tasks.TASKS])
def test_a_starter_fails_in_a_friendly_way_and_the_library_passes(task):
    """Each with the files of its own task alone: no other task has to be solved."""
    report = checking.check_task(task.name, starters(task))
    assert report.status == "unwritten", report.message
    assert f"{task.name}: " in report.message and "is yours to write" in report.message
    report = checking.check_task(task.name, library(task))
    assert report.passed and report.share == 1.0, report.message
    assert report.printed == ""


@every_task
def test_a_starter_holds_no_line_of_the_solution(task):
    for module in task.modules:
        source, text = starter.library_text(module), starter.text_of(task, module)
        lines, solution = source.splitlines(), set()
        for function in starter.functions_of(source):
            if function.name in task.functions_of(module):
                inside = range(function.body[0].end_lineno, function.end_lineno)
                solution |= {lines[i].strip() for i in inside}
                lines = ["" if i in inside else line for i, line in enumerate(lines)]
        elsewhere = {line.strip() for line in lines}
        long = {line for line in solution - elsewhere if len(line) > 12}
        assert long, module
        assert long & {line.strip() for line in text.splitlines()} == set()


@every_task
def test_signatures_docstrings_and_the_rest_of_the_file_stay(task):
    for module in task.modules:
        cut = {node.name: node for node in starter.functions_of(starter.text_of(task, module))}
        for whole in starter.functions_of(starter.library_text(module)):
            found = cut[whole.name]
            assert ast.unparse(found.args) == ast.unparse(whole.args)
            assert ast.get_docstring(found).split()[:4] == ast.get_docstring(whole).split()[:4]
            if whole.name not in task.functions_of(module):
                assert ast.unparse(found) == ast.unparse(whole)


def test_equations_leave_the_docstring_of_a_backward_alone():
    task = tasks.find("05-layernorm")
    forward, backward = starter.functions_of(starter.text_of(task, "layers.layernorm"))
    assert "Equation: y = (x - mean)" in ast.get_docstring(forward)
    assert ast.get_docstring(backward).startswith(
        "Return dx (…, D), dgamma (D,) and dbeta (D,) for dy (…, D).\n\nChecked in the cases: ")
    assert " = " not in ast.get_docstring(backward)
    _, backward, _ = starter.functions_of(starter.text_of(tasks.find("06-gelu"), "layers.gelu"))
    assert ast.get_docstring(backward).startswith("Return dx for dy, of the same shape.\n\nCheck")
    text = starter.text_of(tasks.find("03-class-token"), "layers.class_token")
    assert "An absent part has the gradient None." in text


@every_task
def test_what_is_checked_stands_in_the_docstring_word_for_word(task):
    for module in task.modules:
        told = {node.name: " ".join(ast.get_docstring(node).split())
                for node in starter.functions_of(starter.text_of(task, module))}
        for question in oracles.questions(module):
            names = ["forward", "backward"] if question.backward else [question.judged[1]]
            for name in names:
                assert question.title in told[name]
                for form in question.forms:
                    assert faults.FORM_WORDS[form].removeprefix(", ") in told[name]
            for entry in question.entry:
                assert f'["{entry}"]' in told["forward"]


def test_only_one_function_is_taken_out(tmp_path):
    (path,) = starter.start("05-layernorm", tmp_path / "a", only="backward")
    assert path.read_text().count("raise NotImplementedError") == 1
    report = checking.check_task("05-layernorm", {path.name: path.read_text()})
    assert [verdict.passed for verdict in report.verdicts] == [True, None]
    assert "not written yet" in report.verdicts[1].message
    with pytest.raises(Error, match="10-adamw has no function backward; it has adamw"):
        starter.start("10-adamw", tmp_path, only="backward")
    with pytest.raises(Error, match="drawn as a whole; leave --only away"):
        starter.start("05-layernorm-bug", tmp_path, only="backward", student="ada")


def test_the_text_of_a_task_says_what_is_left_to_write(tmp_path, capsys):
    command_line.main(["start", "05-layernorm", "--into", str(tmp_path), "--only", "backward"])
    assert "Only backward is left to you" in capsys.readouterr().out


def test_a_students_file_is_never_written_over(tmp_path, capsys):
    assert main("start", "06-gelu", "--into", tmp_path) == 0
    told = capsys.readouterr().out
    assert "About 60 minutes" in told and "Hint" not in told and "check" in told
    (tmp_path / "gelu.py").write_text("mine")
    (tmp_path / "mlp.py").unlink()
    with pytest.raises(Error, match="gelu.py is there already and is not written over"):
        main("start", "06-gelu", "--into", tmp_path)
    assert (tmp_path / "gelu.py").read_text() == "mine"
    assert not (tmp_path / "mlp.py").exists()


@every_task
def test_each_task_has_a_text_and_three_hints(task, capsys):
    assert tasks.text(task).startswith(f"# {task.name}: ")
    assert f"About {task.minutes} minutes" in tasks.text(task)
    hints = []
    for level in (1, 2, 3):
        assert main("hint", task.name, "--level", level) == 0
        hints.append(capsys.readouterr().out)
        assert len(hints[-1]) > 80 and "## " not in hints[-1]
    assert len(set(hints)) == 3


def test_what_cannot_be_started_or_hinted_at_is_told_in_a_sentence(tmp_path):
    with pytest.raises(Error, match="no task '5-LayerNorm'; did you mean 05-layernorm"):
        tasks.find("5-LayerNorm")
    for name, told in (("05", "did you mean 05-layernorm or 05-variant"), ("5", "05-layernorm"),
                       ("layernorm", "05-layernorm"), ("xyz", "possible are 01-checker, ")):
        with pytest.raises(Error, match=f"no task '{name}'; .*{told}"):
            main("start", name, "--into", tmp_path)
    with pytest.raises(Error, match="drawn for each student; say for whom: --student NAME"):
        main("start", "05-variant", "--into", tmp_path)
    with pytest.raises(Error, match="no hint of level 4; possible are 1, 2 and 3"):
        main("hint", "05-layernorm", "--level", 4)
    with pytest.raises(Error, match="has no hints"):
        main("hint", "05-layernorm-bug")


def test_the_table_of_points_has_every_exercise_and_no_other(tmp_path, capsys):
    assert list(tasks.points()) == [task.name for task in tasks.EXERCISES]
    assert main("start", "list") == 0
    assert capsys.readouterr().out.count("\n") == len(tasks.EXERCISES)
    for text, told in (("05-layernorm,12\n", "task,points"),
                       ("task,points\n05-layernorms,1\n", "no task"),
                       ("task,points\n05-layernorm,many\n", "not a task and its points"),
                       ("task,points\n05,1\n", "did you mean 05-layernorm")):
        table = tmp_path / "points.csv"
        table.write_text(text)
        with pytest.raises(Error, match=told):
            tasks.points(table)
    table.write_bytes("\ufefftask;points\r\n05-layernorm;2,5\r\n\r\n".encode())
    assert tasks.points(table) == {"05-layernorm": 2.5}


@every_task
def test_the_place_in_the_book_is_a_heading_that_is_there(task):
    chapters = sorted(tasks.CHAPTERS.glob(f"{task.name[:2]}_*.md"))
    for function in task.functions if chapters else ():
        assert ", line " in tasks.place(task, function), function


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "notes").write_text("mine")
    for place in (tmp_path / "notes", tmp_path / "notes" / "my_work"):
        with pytest.raises(Error, match="nothing can be written to .*notes.*choose another folder"):
            starter.start("05-layernorm", place)
