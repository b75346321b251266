"""Make a web book of the chapters, with search, formulas and figures, that needs no network.

    python -m tutorials.build [--out site]

It needs the extra `book`: pip install -e '.[book]'. The pages can be opened as files, or handed out
by any web server. Files of the library that a chapter links or quotes become pages, too.
"""

import argparse
import importlib.util
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tutorials.run import LIBRARY, QUOTATION, TUTORIALS
from vitnp.common import command
from vitnp.errors import Error

WEB = TUTORIALS / "web"
APPENDICES = ["training", "speed"]
TO_FILE = re.compile(r"\]\(((?:\.\./|assignments/|runs/)[^)#\s]+)\)")
CONTENTS = """
```{{toctree}}
:hidden:
:caption: {title}
{pages}
```
"""
FILES = """# Files of the library

Those that the chapters quote or link.

```{{toctree}}
{pages}
```
"""
# A longer fence than any in the file
FILE = """# `{name}`

``````{{code-block}} {language}
:linenos:

{text}
``````
"""


def main(arguments):
    """Make the web book and print where it begins."""
    parser = command.Parser(prog="python -m tutorials.build", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="site", metavar="FOLDER",
                        help="folder of the pages; the book that is there is replaced")
    out = Path(parser.parse_args(arguments).out)
    began = time.perf_counter()
    pages = build(TUTORIALS, out)
    print(f"{out / 'index.html'}: {len(pages)} pages, {time.perf_counter() - began:.0f} s")
    return 0


def build(chapters, out):
    """Make the web book of a folder of chapters in `out`; return the names of its pages.

    Raises Error for a formula that cannot be rendered, a broken link, or an `out` that holds
    something else. What is in `out` is replaced once the new book is ready, and not before.
    """
    missing = [name for name in ("sphinx", "myst_parser", "furo", "latex2mathml")
               if importlib.util.find_spec(name) is None]
    if missing:
        raise Error(f"the web book needs {', '.join(missing)}; "
                    "install what it needs with: pip install -e '.[book]'")
    if out.exists() and not (out / ".buildinfo").exists() and any(out.iterdir()):
        raise Error(f"{out} holds something that is not a web book; choose another --out")
    with tempfile.TemporaryDirectory() as folder:
        source, pages = Path(folder, "source"), Path(folder, "pages")
        source.mkdir()
        names = write_sources(chapters, source)
        run_sphinx(source, pages)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(pages, out, ignore=shutil.ignore_patterns(".doctrees"))
    return names


def write_sources(chapters, source):
    """Write the pages in the form that Sphinx reads, line for line; return their names."""
    book = sorted(path.stem for path in chapters.glob("[0-9][0-9]_*.md"))
    book += [name for name in APPENDICES if (chapters / f"{name}.md").exists()]
    texts = {name: (chapters / f"{name}.md").read_text() for name in ["README", *book]}
    files = sorted({file for text in texts.values() for file in files_shown(text)})
    pages = {name: with_links_to_pages(text) for name, text in texts.items()}
    pages["index"] = pages.pop("README") + contents(book)
    # With the ending that Sphinx takes off: a file's own may be .md too
    pages["files"] = FILES.format(pages="\n".join(f"{file}.md" for file in files))
    pages |= {file: page_of(file) for file in files}
    for name, text in pages.items():
        (source / f"{name}.md").parent.mkdir(parents=True, exist_ok=True)
        (source / f"{name}.md").write_text(text)
    if (chapters / "figures").exists():
        shutil.copytree(chapters / "figures", source / "figures")
    return sorted(pages)


def contents(book):
    """Return the lines at the end of the contents page that give the pages their order."""
    chapters = [name for name in book if name not in APPENDICES]
    appendices = [name for name in book if name in APPENDICES]
    return (CONTENTS.format(title="Chapters", pages="\n".join(chapters))
            + CONTENTS.format(title="Appendices", pages="\n".join([*appendices, "files"])))


def files_shown(text):
    """Return the files of the repository that a chapter links or quotes."""
    linked = {in_repository(target) for target in TO_FILE.findall(text)}
    return linked | {file for file, _, _ in QUOTATION.findall(text)}


def in_repository(target):
    """Return the path in the repository of what a chapter links, such as ../vitnp/vit.py."""
    return posixpath.normpath(f"{TUTORIALS.name}/{target}")


def with_links_to_pages(text):
    """Return a chapter with its links to files turned into links to their pages."""
    text = TO_FILE.sub(lambda link: f"](/{in_repository(link[1])}.md)", text)
    return text.replace("](README.md", "](index.md")


def page_of(file):
    """Return the page that shows a file of the repository."""
    path = LIBRARY / file
    if not path.is_file():
        raise Error(f"a chapter links or quotes {file}, but there is no such file")
    language = {".py": "python", ".md": "markdown"}.get(path.suffix, "text")
    return FILE.format(name=file, language=language, text=path.read_text())


def run_sphinx(source, pages):
    """Make the pages, or raise Error with the first complaint."""
    # -W: a warning is a mistake; --keep-going: but say all that Sphinx has to say first
    line = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "--no-color",
            "-c", str(WEB), str(source), str(pages)]
    paths = [str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    result = subprocess.run(line, check=False, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        first = result.stderr.strip().splitlines()[0].removeprefix(f"{source}{os.sep}")
        raise Error(first.replace("WARNING: ", "").replace("index.md", "README.md"))


if __name__ == "__main__":
    command.run(main)
