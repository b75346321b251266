"""Tell the library's own text, and texts that are alike, by their syntax trees."""

import ast
import hashlib

from tutorials.assignments import checking, starter, tasks

SHORTEST = 3            # statements of a function that is somebody's own
SMALLEST = 40           # nodes of a file: shorter ones are alike by chance


def of_library(text, module, names):
    """Return which of these functions of a text are the library's, comments and blanks apart.

    A function of one or two statements is anybody's.
    """
    own, library = functions(text), functions(tasks.source_of(module))
    return [name for name in names if name in own and len(library[name].body) >= SHORTEST
            and ast.dump(own[name]) == ast.dump(library[name])]


def of_task(task, sources):
    """Return which functions of a task are the library's, such as "linear:forward"."""
    return [] if task.drawn else [
        checking.short(f"{module}:{name}") for module in task.modules
        if task.file_of(module) in sources
        for name in of_library(sources[task.file_of(module)], module, task.functions_of(module))]


def functions(text):
    """Return the functions of a text without docstrings, a dict name → node; empty if damaged."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return {node.name: without_docstrings(node) for node in tree.body
            if isinstance(node, ast.FunctionDef)}


def without_docstrings(tree):
    """Return a tree whose functions have lost their docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def shape(text):
    """Return a hash of a text's functions with all names exchanged for numbers, or None.

    It is equal for texts that differ in names, comments and layout alone.
    """
    numbers, parts, count = {}, [], 0
    for name, tree in sorted(functions(text).items()):
        parts.append(name)
        for node in ast.walk(tree):
            count += 1
            for field in ("id", "arg"):
                if isinstance(value := getattr(node, field, None), str):
                    setattr(node, field, str(numbers.setdefault(value, len(numbers))))
        parts.append(ast.dump(tree))
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest() if (
        count >= SMALLEST) else None


def alike(shapes):
    """Return rows (file, students) of files that several handed in alike; starters are left out.

    shapes: a dict student → dict file → shape. The library is a student of the name "(library)".
    """
    known, groups = {}, {}
    for task in tasks.TASKS:
        for module in task.modules:
            file = task.file_of(module)
            known[file] = shape(starter.text_of(task, module))
            groups[file, shape(tasks.source_of(module))] = ["(library)"]
    for student, files in shapes.items():
        for file, found in files.items():
            if found and found != known.get(file):
                groups.setdefault((file, found), []).append(student)
    return sorted((file, students) for (file, _), students in groups.items() if len(students) > 1)
