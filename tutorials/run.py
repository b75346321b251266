"""Run chapters of the book from start to end, and make their figures anew.

    python -m tutorials.run [CHAPTER …]

CHAPTER is a number such as 05; without one all are run. The Python blocks of a chapter run in order
in one namespace. What a block prints must be the `text` block after it, with … for what may differ.
Blocks that name a file of vitnp and a function are quotations: they must be the function's lines.
"""

import argparse
import ast
import contextlib
import doctest
import io
import os
import re
import textwrap
import time
from pathlib import Path

import vitnp
from vitnp.common import command
from vitnp.errors import Error

TUTORIALS = Path(__file__).parent
LIBRARY = Path(vitnp.__file__).parent.parent
QUOTATION = re.compile(r"^```python ((?:vitnp|tutorials)/\S+\.py) (\w+)\n(.*?)^```$",
                       re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"!\[([^\]]*)\]\((figures/[^)]+\.png)\)")


def main(arguments):
    """Run the chapters that are named; print the seconds and figures of each, and the total."""
    parser = command.Parser(prog="python -m tutorials.run", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="numbers (default: all)")
    start = time.perf_counter()
    for path in choose(parser.parse_args(arguments).chapters):
        began = time.perf_counter()
        check_quotations(path)
        made = run(path, TUTORIALS)
        print(f"{path.name}: {time.perf_counter() - began:.0f} s, {len(made)} figures", flush=True)
    print(f"total: {time.perf_counter() - start:.0f} s")
    return 0


def choose(numbers=()):
    """Return the paths of the chapters with these numbers, by default of all, in order."""
    paths = sorted(TUTORIALS.glob("[0-9][0-9]_*.md"))
    unknown = [number for number in numbers if number not in {path.name[:2] for path in paths}]
    if unknown:
        raise Error(f"there is no chapter {unknown[0]!r}; possible are "
                    f"{', '.join(path.name[:2] for path in paths)}")
    return [path for path in paths if not numbers or path.name[:2] in numbers]


def run(path, folder):
    """Run a chapter in a folder, in which `figures/` receives its figures; return those it shows.

    Raises Error for a block that raises or prints something else than the chapter says, and for a
    figure that is shown but not made by the chapter.
    """
    from sybil import Sybil
    from sybil.parsers.markdown import CodeBlockParser

    figures = [name for _, name in FIGURE.findall(path.read_text())]
    own = [name for name in figures if name.startswith(f"figures/{path.name[:2]}_")]
    (Path(folder) / "figures").mkdir(exist_ok=True)
    before = {name: stamp(Path(folder) / name) for name in own}
    document = Sybil(parsers=[CodeBlockParser("python", run_block),
                              CodeBlockParser("text", compare)]).parse(path)
    with working_in(folder):
        for example in document.examples():
            example.evaluate()
    missing = [name for name in own if stamp(Path(folder) / name) == before[name]]
    if missing:
        raise Error(f"{path.name} shows {missing[0]}, but its code does not make it")
    return own


def run_block(example):
    """Run one Python block, and keep what it prints for the text block after it."""
    printed = io.StringIO()
    # Empty lines before the code make the line numbers of a traceback those of the chapter
    source = "\n" * example.line + example.parsed
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(source, example.path, "exec"), example.namespace)  # noqa: S102
    except Exception as error:
        raise Error(f"{example.path}, the block at line {example.line}: "
                    f"{type(error).__name__}: {error}") from error
    example.namespace["__printed__"] = printed.getvalue()


def compare(example):
    """Compare a text block with what the Python block before it printed."""
    printed = example.namespace.pop("__printed__", None)
    if printed is None:
        return                                  # a drawing or a table in letters
    wanted, flags = example.parsed.replace("…", "..."), doctest.ELLIPSIS
    if not doctest.OutputChecker().check_output(wanted, printed, flags):
        raise Error(f"{example.path}, line {example.line}: the chapter says\n{example.parsed}\n"
                    f"but its code prints\n{printed}")


def check_quotations(path):
    """Raise Error for a quotation that is not the body of the function it names."""
    for file, name, quoted in QUOTATION.findall(path.read_text()):
        if quoted.strip() not in body_of(LIBRARY / file, name):
            raise Error(f"{path.name} quotes {name} of {file}, but the function has other lines")


def body_of(file, name):
    """Return the lines of a function's body without its docstring, moved to the left."""
    source = file.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            lines = source.splitlines()
            first = node.body[1] if ast.get_docstring(node) is not None else node.body[0]
            return textwrap.dedent("\n".join(lines[first.lineno - 1:node.end_lineno]))
    raise Error(f"{file} has no function {name}")


@contextlib.contextmanager
def working_in(folder):
    """Make a folder the current one for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def stamp(path):
    """Return the time at which a file was last written, or None where it is not there."""
    return path.stat().st_mtime_ns if path.exists() else None


if __name__ == "__main__":
    command.run(main)
