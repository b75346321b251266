"""The web book in headless Chromium: loads, fits a phone, draws its formulas, can be searched."""

import functools
import http.server
import shutil
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
def browser():
    api = pytest.importorskip("playwright.sync_api",
                              reason="browser tests need: pip install -e '.[browser]'")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("browser tests need Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        # Chromium's sandbox does not start for root, as which CI runs; the pages are our own
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(book):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=book)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def opened(browser):
    """Return what opens a window of a width; at the end nothing may have gone wrong in one."""
    wrong, windows = [], []

    def hears(message):
        if message.type in ("error", "warning"):
            wrong.append(f"console: {message.text}")

    def requests(request):
        if not request.url.startswith(("http://127.0.0.1", "file://", "data:")):
            wrong.append(f"request: {request.url}")

    def fails(request):
        # Leaving a page breaks off what it still loads
        if request.failure != "net::ERR_ABORTED":
            wrong.append(f"failed: {request.url}")

    def opens(width, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", hears)
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("request", requests)
        page.on("requestfailed", fails)
        windows.append(page)
        return page
    yield opens
    for page in windows:
        page.close()
    assert wrong == []


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
