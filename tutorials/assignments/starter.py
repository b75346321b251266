"""Starter files, cut from the library: what is to be written is taken out, the rest stays."""

import ast
import re
from pathlib import Path

from tutorials.assignments import tasks
from tutorials.assignments.sandbox.package_copy import library_text
from tutorials.assignments.tasks import drawing, planting
from vitnp.common.files import refusing
from vitnp.errors import Error


def start(name, folder, only=None, student="", course=""):
    """Write the files of a task into a folder, and return their paths.

    only: "forward" or "backward", to leave the other one as the library has it; student, course:
    for whom an exercise is drawn. Raises Error where a file is there already: a student's work is
    never written over.
    """
    task = tasks.find(name)
    if only and task.drawn:
        raise Error(f"{name} is drawn as a whole; leave --only away")
    if task.drawn and not student:
        raise Error(f"{name} is drawn for each student; say for whom: --student NAME, with the "
                    "name under which you hand in")
    folder = Path(folder)
    if task.drawn:
        module, text = drawn_text(task, student, course)
        texts = {folder / task.file_of(module): text}
    else:
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


def drawn_text(task, student, course):
    """Return the module that is drawn for a student, and the file that is handed out."""
    def choose(what, count):
        return drawing.number(course, student, f"{task.name} {what}", count)

    module = task.modules[choose("variant", len(task.modules))]
    text = tasks.source_of(module)
    if task.bug:
        names, mistakes = planting.planted()
        mistake = mistakes[task.name][choose("mistake", len(mistakes[task.name]))]
        text = drawing.renamed(planting.plant(text, mistake), names, choose)
    return module, drawing.header(task.name, student, course) + text


def text_of(task, module, only=None):
    """Return the starter of one module of a task."""
    source = library_text(module)
    names = [name for name in task.functions_of(module) if only in (None, name)]
    if not names:
        raise Error(f"{task.name} has no function {only}; it has "
                    f"{', '.join(task.functions_of(module))}")
    return cut(source, names, task.name, chapter(task))


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
