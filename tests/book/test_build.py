"""The web book is complete, its links lead somewhere, and what is wrong stops it in one sentence.

Slow, because Sphinx takes seconds, and because it is no part of the extra `test`.
"""

import re
import urllib.parse
from html.parser import HTMLParser

import pytest

import vitnp
from tutorials import build, run

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """What a page shows: its links, what it loads, its anchors, and its text outside of code."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.loads, self.text = path, [], [], ""
        self.ids, self.open, self.next = {""}, [], None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.open.append(tag)
        self.ids.add(attributes.get("id"))
        for name in ("href", "src", "srcset", "action"):
            if attributes.get(name):
                anchor = tag == "a" or attributes.get("rel") in ("next", "prev")
                (self.links if anchor else self.loads).append(attributes[name])
        if attributes.get("rel") == "next":
            self.next = attributes["href"]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"pre", "code", "script", "style"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def pages(book):
    return {path.relative_to(book).as_posix(): Page(path) for path in book.rglob("*.html")}


def test_each_chapter_and_appendix_is_a_page_and_next_leads_through_them_in_order(pages):
    place, order = "index.html", []
    while pages[place].next:
        place = urllib.parse.urljoin(place, pages[place].next)
        order.append(place.removesuffix(".html"))
    chapters = [name for name in order if name[:2].isdigit()]
    assert {path.stem for path in run.choose()} <= set(chapters)
    assert order[:len(chapters)] == sorted(chapters)
    assert order[len(chapters):len(chapters) + 3] == ["training", "speed", "files"]


def test_every_link_and_anchor_leads_somewhere(pages, book):
    for name, page in pages.items():
        for link in page.links + page.loads:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme:
                continue
            target = (page.path.parent / urllib.parse.unquote(parts.path or page.path.name))
            assert target.resolve().is_file(), f"{name}: {link}"
            found = pages.get(target.resolve().relative_to(book.resolve()).as_posix())
            if parts.fragment and found:
                assert urllib.parse.unquote(parts.fragment) in found.ids, f"{name}: {link}"


def test_nothing_is_loaded_from_another_host(pages, book):
    for name, page in pages.items():
        foreign = [link for link in page.loads if urllib.parse.urlsplit(link).netloc]
        assert foreign == [], name
    for path in book.rglob("*.css"):
        loaded = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s]+)", path.read_text())
        assert [url for url in loaded if re.match(r"(https?:)?//", url)] == [], path.name


def test_all_formulas_became_mathml(pages):
    for path in run.choose():
        page = pages[f"{path.stem}.html"]
        assert not re.search(r"\$|\\[a-z]", page.text), path.name
        assert "math" not in page.text or "<math" in page.path.read_text()


def test_a_quotation_leads_to_the_page_of_its_file(pages):
    assert "vitnp/layers/layernorm.py.html" in pages["05_layernorm.html"].links
    source = (run.LIBRARY / "vitnp/layers/layernorm.py").read_text()
    shown = re.sub(r"<[^>]+>", "", pages["vitnp/layers/layernorm.py.html"].path.read_text())
    line = "centred = x - x.mean(axis=-1, keepdims=True)"
    assert line in source and line in shown


def chapters(folder, text):
    """Write a book of one chapter."""
    pytest.importorskip("sphinx", reason="the web book needs: pip install -e '.[book]'")
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text("# The book\n\n[One](01_one.md)\n")
    (folder / "01_one.md").write_text(f"# 1. One\n\nWords.\n\n{text}\n")
    return folder


@pytest.mark.parametrize(("text", "words"), [
    (r"A formula $x + \unknown$.", r"^01_one\.md:5: .*unknown.*not known"),
    ("[Chapter](02_two.md)", r"^01_one\.md:5: .*02_two\.md"),
    ("![Figure](figures/01_none.png)", r"^01_one\.md:5: .*01_none\.png"),
    ("[File](../vitnp/nothing.py)", "links or quotes vitnp/nothing.py, but there is no such"),
])
def test_what_is_wrong_stops_the_build_and_the_old_book_is_kept(tmp_path, text, words):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/.buildinfo").write_text("")
    (tmp_path / "site/old.html").write_text("")
    with pytest.raises(vitnp.Error, match=words):
        build.build(chapters(tmp_path / "chapters", text), tmp_path / "site")
    assert (tmp_path / "site/old.html").exists()


def test_a_new_book_replaces_the_old_one_but_nothing_else(tmp_path):
    one = chapters(tmp_path / "chapters", "% This is text,\n(so)= is this.")
    site = tmp_path / "site"
    build.build(one, site)
    assert "% This is text," in (site / "01_one.html").read_text()
    assert "(so)= is this." in (site / "01_one.html").read_text()
    (site / "old.html").write_text("")
    build.build(one, site)
    assert not (site / "old.html").exists()
    with pytest.raises(vitnp.Error, match="not a web book; choose another --out"):
        build.build(one, one)


def test_formulas_that_latex2mathml_would_write_wrong_are_refused():
    pytest.importorskip("latex2mathml", reason="the web book needs: pip install -e '.[book]'")
    from tutorials.web.formulas import to_mathml

    for tex in (r"\unknown x", r"\text{a\_b}", "x_{i", "x}", r"\frac{1}", "x_", r"\left( x",
                r"\begin{eqnarray} x &= 1 \end{eqnarray}"):
        with pytest.raises(vitnp.Error):
            to_mathml(tex)
    assert "<mtable" in to_mathml(r"\begin{aligned} x &= 1 \\ y &= \{2\} \end{aligned}")
    assert r"\mathrm" not in to_mathml(r"\tfrac12\,\mathrm{d}x \le \lVert x\rVert")
