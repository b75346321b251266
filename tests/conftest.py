"""What all tests share: one BLAS thread for each of pytest's workers, and a browser."""

import shutil

import pytest
import threadpoolctl

threadpoolctl.threadpool_limits(1, user_api="blas")


@pytest.fixture(scope="session")
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

    def opens(width, scheme="light", **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme,
                                **options)
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
