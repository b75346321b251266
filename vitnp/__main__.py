"""List the commands, or run one: `vitnp train …`."""

import ast
import importlib
from pathlib import Path

from vitnp.common import command
from vitnp.errors import Error

PACKAGE = Path(__file__).parent


def main(arguments):
    """Run the command that the first argument names, or list all where there is none."""
    paths = find()
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print("\n".join(listed(paths)))
        return 0
    if name not in paths:
        raise Error(f"there is no command {name!r}; possible are {', '.join(paths)}")
    module = ".".join(paths[name].relative_to(PACKAGE).with_suffix("").parts)
    return importlib.import_module(f"vitnp.{module}").main(rest)


def find():
    """Return the files of the commands, name → path: train.py is one, data/__main__.py another."""
    paths = {path.stem: path for path in PACKAGE.glob("[!_]*.py") if parse(path)[1]}
    rooms = {path.parent.name: path for path in PACKAGE.glob("*/__main__.py")}
    return dict(sorted((paths | rooms).items()))


def parse(path):
    """Return the first line of a file's docstring, and whether it has a main; nothing is run."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return (ast.get_docstring(tree) or "").split("\n")[0], "main" in functions


def listed(paths):
    """Return the lines of --help."""
    width = max(map(len, paths))
    return ["usage: vitnp COMMAND …  (or python -m vitnp.COMMAND …)", "",
            *(f"  {name:<{width}}  {parse(path)[0]}" for name, path in paths.items()), "",
            "vitnp COMMAND --help says more about a command."]


def script():
    """Run the command line, and exit with its code; the console script `vitnp` calls this."""
    command.run(main)


if __name__ == "__main__":
    script()
