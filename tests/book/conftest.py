"""The web book of the real chapters, made once for all tests that look at it."""

import re
import shutil

import pytest

from tutorials import build, run


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    for name in ("sphinx", "myst_parser", "furo", "latex2mathml"):
        pytest.importorskip(name, reason="the web book needs: pip install -e '.[book]'")
    folder = tmp_path_factory.mktemp("book")
    shutil.copytree(build.TUTORIALS, folder / "chapters")
    stand_in_for_what_is_not_yet_written(folder / "chapters")
    build.build(folder / "chapters", folder / "site")
    return folder / "site"


def stand_in_for_what_is_not_yet_written(chapters):
    for name in re.findall(r"\]\((\d\d_\w+)\.md\)", (chapters / "README.md").read_text()):
        path = chapters / f"{name}.md"
        shown = run.FIGURE.findall(path.read_text()) if path.exists() else [("", "")]
        if not all((chapters / figure).is_file() for _, figure in shown):
            path.write_text(f"# {int(name[:2])}. {name[3:]}\n")
