"""Starter files, cut from the library: what is to be written is taken out, the rest stays."""

import ast
import re
import textwrap
from pathlib import Path

from tutorials.assignments import tasks
from tutorials.assignments.checking import faults, oracles
from tutorials.assignments.checking.questions import FORMS
from tutorials.assignments.sandbox.package_copy import library_text
from tutorials.assignments.tasks import drawing
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
        module, text = drawing.drawn_text(task, student, course)
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


def text_of(task, module, only=None):
    """Return the starter of one module of a task."""
    source = library_text(module)
    names = [name for name in task.functions_of(module) if only in (None, name)]
    if not names:
        raise Error(f"{task.name} has no function {only}; it has "
                    f"{', '.join(task.functions_of(module))}")
    checked = {name: what_is_checked(module, name) for name in names}
    return cut(source, names, task.name, chapter(task), checked)


def what_is_checked(module, name):
    """Return lines that tell what is checked of a function, from the questions themselves."""
    judged = (module, "forward" if name == "backward" else name)
    asked = [one for one in oracles.questions(module) if one.judged == judged]
    told = "Checked in the cases: " + "; ".join(question.title for question in asked) + "."
    forms = {form for question in asked for form in question.forms}
    words = [faults.FORM_WORDS[form].removeprefix(", ") for form in FORMS[1:] if form in forms]
    if words:
        told += f" One of them also with {', '.join(words)}"
        told += ", where float32 is returned." if "float32" in forms else "."
    told += (f" Numbers are right to {asked[0].tolerance:.0e} of the largest of an array (float32: "
             f"{faults.FLOAT32_TOLERANCE:.0e}).").replace("e-0", "e-")
    if name == "backward":
        told += " It is called again with the same cache, and after another forward."
    elif not asked[0].called:
        told += " Arguments stay as they are, and so does what an earlier call returned."
    for entry in dict.fromkeys(one.entry for one in asked if one.entry and name != "backward"):
        told += " The cache holds cache" + "".join(f'["{part}"]' for part in entry) + "."
    return textwrap.wrap(told, 95, initial_indent="    ", subsequent_indent="    ",
                         break_long_words=False, break_on_hyphens=False)


def chapter(task):
    """Return the file of the task's chapter, or the book where it is not written."""
    found = sorted(tasks.CHAPTERS.glob(f"{task.name[:2]}_*.md"))
    return f"tutorials/{found[0].name}" if found else "the book"


def cut(source, names, task, chapter, checked):
    """Return a source in which the bodies of some functions are left out; their docstrings stay.

    The docstring of a backward loses its equations: they are what is to be derived. checked: a dict
    function → lines on what is checked, which are added.
    """
    lines = source.splitlines()
    for function in reversed(functions_of(source)):
        if function.name in names:
            start, end = function.body[0].lineno - 1, function.body[0].end_lineno
            docstring = lines[start:end] if ast.get_docstring(function) is not None else []
            if function.name == "backward":
                docstring = without_equations(docstring)
            docstring = with_lines(docstring, checked[function.name])
            lines[start:function.end_lineno] = docstring + [
                "    raise NotImplementedError(",
                f'        "{task}: {function.name} is yours to write; see {chapter}")']
    return "\n".join(lines) + "\n"


def with_lines(docstring, lines):
    """Return a docstring's lines with a paragraph of others at its end."""
    text = "\n".join(docstring).rstrip().removesuffix('"""').rstrip()
    return [*text.split("\n"), "", *lines, '    """']


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
