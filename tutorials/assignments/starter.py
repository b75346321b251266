"""Starter files, cut from the library: what is to be written is taken out, the rest stays."""

import ast
import re
from pathlib import Path

from tutorials.assignments import tasks
from tutorials.assignments.sandbox.package_copy import library_text
from tutorials.assignments.tasks import planting
from vitnp.common.files import refusing
from vitnp.errors import Error

BUGS = tasks.HERE / "bugs.txt"


def start(name, folder, only=None):
    """Write the files of a task into a folder, and return their paths.

    only: "forward" or "backward", to leave the other one as the library has it. Raises Error where
    a file is there already: a student's work is never written over.
    """
    task = tasks.find(name)
    if only and task.bug:
        raise Error(f"{name} is written already, with one mistake in it; leave --only away")
    folder = Path(folder)
    texts = {folder / task.file_of(module): text_of(task, module, only)
             for module in task.modules}
    there = [path for path in texts if path.exists()]
    if there:
        raise Error(f"{there[0]} is there already and is not written over; move it away, or choose "
                    "another folder with --into")
    with refusing(f"nothing can be written to {folder}", "choose another folder with --into"):
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    return list(texts)


def text_of(task, module, only=None):
    """Return the starter of one module of a task."""
    source = library_text(module)
    if task.bug:
        return planting.plant(source, planted()[task.name])
    names = [name for name in task.functions_of(module) if only in (None, name)]
    if not names:
        raise Error(f"{task.name} has no function {only}; it has "
                    f"{', '.join(task.functions_of(module))}")
    return cut(source, names, task.name, chapter(task))


def planted():
    """Return the planted mistakes, a dict exercise → pairs (right text, wrong text)."""
    return dict(planting.read(BUGS.read_text(encoding="utf-8")))


def chapter(task):
    """Return the file of the task's chapter, or the book where it is not written."""
    found = sorted(tasks.CHAPTERS.glob(f"{task.name[:2]}_*.md"))
    return f"tutorials/{found[0].name}" if found else "the book"


def cut(source, names, task, chapter):
    """Return a source in which the bodies of some functions are left out; their docstrings stay.

    The docstring of a backward loses its equations: they are what is to be derived.
    """
    lines = source.splitlines()
    for function in reversed(functions_of(source)):
        if function.name in names:
            start, end = function.body[0].lineno - 1, function.body[0].end_lineno
            docstring = lines[start:end] if ast.get_docstring(function) is not None else []
            if function.name == "backward":
                docstring = without_equations(docstring)
            lines[start:function.end_lineno] = docstring + [
                "    raise NotImplementedError(",
                f'        "{task}: {function.name} is yours to write; see {chapter}")']
    return "\n".join(lines) + "\n"


def functions_of(source):
    """Return the functions of a module, as ast has them."""
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def without_equations(docstring):
    """Return a docstring's lines without paragraphs that hold an equation.

    Of the first paragraph, only what stands after a colon is left out.
    """
    text = "\n".join(docstring).rstrip().removesuffix('"""')
    first, *others = re.split(r"\n\s*\n", text)
    kept = [paragraph.rstrip() for paragraph in others if " = " not in paragraph]
    if " = " in first:
        first = first.partition(": ")[0] + "."
    if not kept:
        return (first.rstrip() + '"""').split("\n")
    return ("\n\n".join([first.rstrip(), *kept]) + '\n    """').split("\n")
