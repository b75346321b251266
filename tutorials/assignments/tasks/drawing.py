"""Exercises that are drawn for each student: a variant of a layer, a planted mistake, its names.

What is drawn follows from the course's word, the student's name and the exercise, and nothing else.
The first line of the file that is handed out says for whom it was drawn.
"""

import hashlib
import re

from tutorials.assignments import tasks
from tutorials.assignments.tasks import planting

HEADER = re.compile(r"# (?P<task>\S+), drawn for (?P<student>.+?)(?:, course (?P<course>.+))?")


def number(course, student, what, count):
    """Return a number below `count` that follows from the texts alone."""
    text = "\0".join((course or "", " ".join(student.casefold().split()), what))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % count


def header(task, student, course):
    """Return the first line of a drawn file."""
    return f"# {task}, drawn for {student}" + (f", course {course}" if course else "") + "\n"


def read_header(text):
    """Return what the first line says, a dict task, student, course (or None), or None."""
    found = HEADER.fullmatch(text.lstrip("\ufeff").partition("\n")[0].strip())
    return found and found.groupdict()


def renamed(text, names, choose):
    """Return a text with each name, and what begins with it or d and it, in its drawn form.

    names: tuples of names for one thing, the first as it stands in the text; choose: a function
    (first name, count) → number.
    """
    for choices in names:
        new = choices[choose(choices[0], len(choices))]
        text = re.sub(rf"\b(d?){choices[0]}(s?|[12]?)\b", rf"\g<1>{new}\g<2>", text)
    return text


def drawn_text(task, student, course):
    """Return the module that is drawn for a student, and the file that is handed out."""
    def choose(what, count):
        return number(course, student, f"{task.name} {what}", count)

    module = task.modules[choose("variant", len(task.modules))]
    text = tasks.source_of(module)
    if task.bug:
        names, mistakes = planting.planted()
        mistake = mistakes[task.name][choose("mistake", len(mistakes[task.name]))]
        text = renamed(planting.plant(text, mistake), names, choose)
    return module, header(task.name, student, course) + text


def drawn_modules(task, sources):
    """Return the modules that were drawn for a student, and why the file is no answer, or ""."""
    there = [module for module in task.modules if task.file_of(module) in sources]
    for module in there:
        drawn = read_header(sources[task.file_of(module)])
        if not drawn or drawn["task"] != task.name:
            return [], (f"{task.file_of(module)} does not begin with the line that `start "
                        f"{task.name}` writes: change the file that was drawn for you")
        right = drawn_text(task, drawn["student"], drawn["course"])
        if right[0] == module and names_of(right[1]) <= names_of(sources[task.file_of(module)]):
            return [module], ""
    if there:
        return [], (f"{task.file_of(there[0])} is not what is drawn for {drawn['student']}: "
                    f"change the file that `start {task.name}` writes")
    return task.modules[:1], ""


def names_of(text):
    """Return the names for which others could have been drawn."""
    words, names = set(re.findall(r"\w+", text)), planting.planted()[0]
    return words & {name for choices in names for name in choices}
