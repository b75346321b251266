"""The web book of the real chapters, made once for all tests that look at it."""

import shutil

import pytest

from tutorials import build


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    for name in ("sphinx", "myst_parser", "furo", "latex2mathml"):
        pytest.importorskip(name, reason="the web book needs: pip install -e '.[book]'")
    folder = tmp_path_factory.mktemp("book")
    shutil.copytree(build.TUTORIALS, folder / "chapters")
    build.build(folder / "chapters", folder / "site")
    return folder / "site"
