"""Take the functions of a task out of a Jupyter notebook."""

import ast
import json
import re

KEPT = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
NAMED = re.compile(r"\s*(?:%%writefile\s+|#\s*)(?:\S*/)?(\w+\.py)\b")


def sources(data, stem, wanted):
    """Return the files that a notebook holds, a dict file name → text.

    A cell that begins with `%%writefile NAME.py` or `# NAME.py` is that file; all cells of a
    notebook that has a task's name are its file: their functions, imports and constants.
    """
    try:
        cells = ["".join(cell["source"]) for cell in json.loads(data)["cells"]
                 if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    found = {}
    for cell in cells:
        named = NAMED.match(cell)
        if named and named[1] in wanted:
            found.setdefault(named[1], []).append(definitions(cell))
    whole = f"{stem.lower()}.py"
    if whole in wanted and whole not in found:
        found[whole] = [definitions(cell) for cell in cells]
    return {name: text for name, parts in found.items()
            if "def " in (text := "\n\n".join(part for part in parts if part))}


def definitions(cell):
    """Return a cell's imports, constants, functions and classes; what it tries out is left."""
    lines = ["" if line.lstrip().startswith(("%", "!", "?")) else line
             for line in cell.splitlines()]
    try:
        nodes = ast.parse("\n".join(lines)).body
    except (SyntaxError, ValueError):
        return "\n".join(lines)                 # the check tells what is wrong with it
    return "\n".join(line for node in nodes if isinstance(node, KEPT)
                     for line in lines[node.lineno - 1:node.end_lineno])
