"""A copy of vitnp with other files in it, and no more of it than these files and calls need."""

import ast
from pathlib import Path

import vitnp

PACKAGE = Path(vitnp.__file__).parent


def write_copy(folder, files, modules, helpers):
    """Write to folder/vitnp the submitted files, and of the library what they and the calls need.

    files: path inside the package → text. modules: the names that are called, as "vitnp.optim";
    helpers: files of ours that stand beside them.
    What nobody imports is left out, so that no other file (a fused kernel, a bench of the same
    layers) tells the solution of a submitted one.
    """
    start = [path_of(name) for name in modules] + list(files) + list(helpers)
    for path in needed(start, files, helpers):
        target = Path(folder) / "vitnp" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path in files | helpers:
            target.write_bytes((files | helpers)[path].encode("utf-8", "replace"))
        else:
            target.write_bytes((PACKAGE / path).read_bytes())
    for parent in {target.parent for target in (Path(folder) / "vitnp").rglob("*.py")}:
        for package in (parent, *parent.parents):
            if package == Path(folder):
                break
            # An empty one: the library's would import all of the package
            (package / "__init__.py").touch()


def needed(paths, files, helpers):
    """Return the files of the library that these paths import, at once or in the end, and they.

    A submitted file's own imports are never followed: a student is not to choose what is there. In
    their place stand those of the library's file of the same name, if there is one.
    """
    found, waiting = set(), list(paths)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            if path in helpers:
                waiting += imported(helpers[path], helpers)
            elif path not in files or (PACKAGE / path).is_file():
                waiting += imported((PACKAGE / path).read_text(), helpers)
    return found


def imported(source, own):
    """Return the paths of the package's files that a source imports when it is loaded."""
    paths = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            paths += [path_of(alias.name) for alias in node.names if is_ours(alias.name)]
        elif isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            for alias in node.names:
                path = path_of(f"{node.module}.{alias.name}")
                is_module = path in own or (PACKAGE / path).is_file()
                paths.append(path if is_module else path_of(node.module))
    return paths


def library_text(module):
    """Return the library's text of a module, such as "layers.linear"."""
    return (PACKAGE / path_of(f"vitnp.{module}")).read_text(encoding="utf-8")


def is_ours(name):
    """Tell whether a module belongs to the package."""
    return name.split(".")[0] == "vitnp"


def path_of(name):
    """Return the path inside the package of a module such as "vitnp.layers" or "vitnp.optim"."""
    path = "/".join(name.split(".")[1:])
    is_package = not path or (PACKAGE / path).is_dir()
    return f"{path}/__init__.py".lstrip("/") if is_package else f"{path}.py"
