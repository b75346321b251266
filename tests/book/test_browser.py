"""The web book in headless Chromium: loads, fits a phone, draws its formulas, can be searched."""

import functools
import http.server
import threading

import pytest

pytestmark = pytest.mark.slow

# Text and figures that are wider than their place, and cannot be scrolled
TOO_WIDE = """() => [...document.querySelectorAll("article :is(p, li, h1, h2, h3, img)")].filter(
    element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
               && getComputedStyle(element).overflowX != "auto"
               && !element.closest(".table-wrapper")
).map(element => element.innerText.slice(0, 60))"""
# Formulas that have no size, and fractions whose numerator is not above their denominator
BADLY_DRAWN = """() => [...document.querySelectorAll("math, mfrac")].filter(element => {
    if (element.tagName == "math") return element.getBoundingClientRect().width < 2;
    const [above, below] = [...element.children].map(part => part.getBoundingClientRect());
    return above.bottom > below.top + 1;
}).map(element => element.outerHTML)"""


@pytest.fixture(scope="module")
def address(book):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=book)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("width", [400, 1280])
def test_every_page_loads_and_fits_and_its_formulas_are_drawn(book, address, opened, width):
    page, formulas = opened(width), 0
    for path in sorted(book.rglob("*.html")):
        name = path.relative_to(book).as_posix()
        page.goto(address + name)
        page.evaluate("for (const hint of document.querySelectorAll('details')) hint.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate(TOO_WIDE) == [], name
        assert page.evaluate(BADLY_DRAWN) == [], name
        formulas += page.locator("math").count()
    assert formulas > 100


@pytest.mark.parametrize("served", [True, False])
def test_search_finds_a_word(book, address, opened, served):
    page = opened(1280)
    page.goto(address if served else (book / "index.html").as_uri())
    page.get_by_placeholder("Search").fill("unbiased")
    page.keyboard.press("Enter")
    page.locator("ul.search a", has_text="5. LayerNorm").first.click()
    page.wait_for_url("**/05_layernorm.html*")


def test_the_page_is_dark_where_the_reader_wants_it(address, opened):
    page = opened(1280, "dark")
    page.goto(address + "05_layernorm.html")
    background = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(page.evaluate(background)) < 60
    page.locator(".theme-toggle:visible").first.click()
    assert min(page.evaluate(background)) > 200


def test_the_page_to_explore_a_network_stands_in_its_chapter(address, opened):
    page = opened(1280)
    page.goto(address + "12_looking_inside.html")
    frame = page.frame_locator("iframe.explore")
    page.locator("iframe.explore").scroll_into_view_if_needed()
    frame.locator(".picture").nth(1).hover(position={"x": 5, "y": 5})
    assert frame.locator(".sentence").nth(1).inner_text().startswith("Patch row 1, column 1 in ")
