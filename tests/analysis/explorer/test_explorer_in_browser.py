"""The page to explore attention in headless Chromium: numbers under the pointer, sizes, keys."""

import re

import numpy as np
import pytest
from analysis.explorer.networks import make_model
from data.picture_files import picture_bytes

from vitnp.analysis import interpret
from vitnp.analysis.explorer import page

pytestmark = pytest.mark.slow
NUMBER = re.compile(r"To row (\d+), column (\d+): ([\d.]+) %, ([\d.]+) times an even share")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with pages of one, two and three pictures, and their model."""
    folder = tmp_path_factory.mktemp("explorer")
    files = [folder / name for name in ("a.png", "b.jpg", "c.png")]
    files[0].write_bytes(picture_bytes("PNG", "RGB", (400, 300)))
    files[1].write_bytes(picture_bytes("JPEG", "L", (9, 70)))
    files[2].write_bytes(picture_bytes("PNG", "RGBA", (16, 12)))
    model = make_model()
    for count in (1, 2, 3):
        page.write(model, files[:count], folder / f"{count}.html", "micro/4 on noise")
    even = make_model(1, pooling="gap", positions="none")
    page.write(even, files[:1], folder / "gap.html", "gap")
    return folder, model, files


@pytest.fixture
def shown(made, opened):
    """Return what opens a page and waits until it is drawn."""
    def shows(name, width=1280, scheme="light", **options):
        requests = []
        window = opened(width, scheme, **options)
        window.on("request", lambda request: requests.append(request.url))
        address = (made[0] / f"{name}.html").as_uri()
        window.goto(address)
        window.wait_for_selector(".stage")
        assert [url for url in requests if not url.startswith("data:")] == [address]
        return window
    return shows


def middle(window, panel, row, column, stage=0):
    """Return where in the window the middle of a patch is; the grid has 3 rows of 4 patches."""
    place = window.locator(panel).nth(stage)
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    return (box["x"] + (column + 0.5) / 4 * box["width"],
            box["y"] + (row + 0.5) / 3 * box["height"])


def reading(window, stage=0):
    """Return the patch under the pointer and its number, as the page says it."""
    said = window.locator(".reading").nth(stage).inner_text()
    row, column, percent, _ = NUMBER.match(said).groups()
    return int(row) - 1, int(column) - 1, float(percent) / 100


def test_numbers_under_the_pointer_are_the_models(made, shown):
    _, model, files = made
    window, rng = shown("2"), np.random.default_rng(0)
    for stage in (0, 1):
        attention = np.concatenate(model.attention(files[stage]))       # (L, H, T, T)
        for head in (0, 1, None):
            for block in (0, 1):
                window.locator("input[name=block]").fill(str(block))
                window.locator("input[name=head]").fill("0" if head is None else str(head + 1))
                (qr, kr), (qc, kc) = rng.integers(0, 3, 2), rng.integers(0, 4, 2)
                window.keyboard.press("Escape")
                window.mouse.move(*middle(window, ".picture", qr, qc, stage))
                window.mouse.down()
                window.mouse.up()
                window.mouse.move(*middle(window, ".map", kr, kc, stage))
                weights = attention[block]
                weights = weights.mean(axis=0) if head is None else weights[head]
                row, column, value = reading(window, stage)
                assert (row, column) == (kr, kc)
                assert value == pytest.approx(weights[1 + qr * 4 + qc, 1 + kr * 4 + kc],
                                              abs=1 / 255 + 5e-5)
                window.mouse.move(*middle(window, ".picture", qr, qc, stage))
                window.mouse.down()
                window.mouse.up()


def test_the_patch_under_the_pointer_looks_until_a_click_holds_one(shown):
    window = shown("1")
    said = window.locator(".sentence")
    window.mouse.move(*middle(window, ".picture", 0, 3))
    assert said.inner_text().startswith("Patch row 1, column 4 in block 2, mean of the heads")
    window.mouse.move(*middle(window, ".picture", 2, 1))
    assert said.inner_text().startswith("Patch row 3, column 2")
    window.mouse.down()
    window.mouse.up()
    window.mouse.move(*middle(window, ".picture", 0, 0))
    assert said.inner_text().startswith("Patch row 3, column 2")
    window.mouse.move(*middle(window, ".picture", 2, 1))
    window.mouse.down()
    window.mouse.up()
    window.mouse.move(*middle(window, ".picture", 0, 0))
    assert said.inner_text().startswith("Patch row 1, column 1")


def test_class_token_rollout_and_positions_are_the_models(made, shown):
    _, model, files = made
    window = shown("1")
    attention = np.concatenate(model.attention(files[0]))
    window.get_by_text("class token", exact=True).click()
    window.mouse.move(*middle(window, ".map", 1, 2))
    expected = attention[-1].mean(axis=0)[0, 1 + 6]
    assert reading(window)[2] == pytest.approx(expected, abs=1 / 255 + 5e-5)
    window.get_by_text("rollout", exact=True).click()
    window.mouse.move(*middle(window, ".map", 1, 2))
    rollout = interpret.attention_rollout(model.attention(files[0]), (3, 4))[0]
    assert reading(window)[2] == pytest.approx(rollout[1, 2], abs=2 / 255)
    window.get_by_text("positions", exact=True).click()
    assert "no position among these" in window.locator(".sentence").inner_text()
    window.mouse.move(*middle(window, ".picture", 2, 0))
    window.locator(".picture").press("ArrowRight")          # of the patch that was shown before
    window.mouse.move(*middle(window, ".map", 1, 2))
    row, column = map(int, re.match(r"Patch row (\d), column (\d)",
                                    window.locator(".sentence").inner_text()).groups())
    similarity = interpret.similarity_of_positions(model)[row - 1, column - 1, 1, 2]
    said = re.match(r"To row 2, column 3: cosine (-?\d\.\d+)",
                    window.locator(".reading").inner_text())
    assert float(said[1]) == pytest.approx(similarity, abs=1 / 127 + 0.005)


def test_the_mean_of_all_patches_is_the_models(made, shown):
    files = made[2]
    model = make_model(1, pooling="gap", positions="none")
    window = shown("gap")
    assert window.get_by_text("class token", exact=True).is_hidden()
    assert window.get_by_text("positions", exact=True).is_hidden()
    window.get_by_text("all patches", exact=True).click()
    window.mouse.move(*middle(window, ".map", 2, 3))
    expected = model.attention(files[0])[-1][0].mean(axis=(0, 1))[11]
    assert reading(window)[2] == pytest.approx(expected, abs=1 / 255 + 5e-5)
    window.get_by_text("rollout", exact=True).click()
    window.mouse.move(*middle(window, ".map", 0, 3))
    rollout = interpret.attention_rollout(model.attention(files[0]), (3, 4))[0]
    assert reading(window)[2] == pytest.approx(rollout[0, 3], abs=2 / 255)


def test_all_can_be_reached_by_keys(shown):
    window = shown("1")
    said = window.locator(".sentence")
    window.locator(".picture").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):     # not beyond the border
        window.keyboard.press(key)
    assert said.inner_text().startswith("Patch row 3, column 4 in block 2, mean")
    window.keyboard.press("b")
    window.keyboard.press("h")
    assert said.inner_text().startswith("Patch row 3, column 4 in block 1, head 1")
    window.keyboard.press("Shift+H")
    window.keyboard.press("c")
    assert said.inner_text().startswith("The class token in block 1, mean of the heads")
    window.locator(".map").focus()
    window.keyboard.press("ArrowUp")
    assert reading(window)[:2] == (1, 3)
    window.locator(".grid canvas[tabindex='0']").focus()
    window.keyboard.press("ArrowDown")
    window.keyboard.press("ArrowLeft")
    assert said.inner_text().startswith("The class token in block 2, head 2")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert window.evaluate(focused) == "block 2, head 2"
    window.locator("input[name=view]:checked").press("ArrowRight")
    assert said.inner_text().startswith("The class token after all blocks holds most of")


def test_a_finger_chooses_a_patch(shown):
    window = shown("1", 400, has_touch=True, is_mobile=True)
    window.touchscreen.tap(*middle(window, ".picture", 2, 1))
    assert window.locator(".sentence").inner_text().startswith("Patch row 3, column 2")
    window.touchscreen.tap(*middle(window, ".map", 0, 1))
    assert reading(window)[:2] == (0, 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1280])
@pytest.mark.parametrize("name", ["1", "2", "3", "gap"])
def test_the_page_fits_and_is_dark_where_the_reader_wants_it(shown, name, width, scheme):
    window = shown(name, width, scheme)
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    background = window.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert max(background) < 60 if scheme == "dark" else min(background) > 200
    cut = """() => [...document.querySelectorAll("h1, h2, p, legend, .ticks span, .segments span")]
        .filter(each => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0)
        .map(each => each.innerText)"""
    assert window.evaluate(cut) == []
    assert window.locator(".stage").count() == min(int(name) if name.isdigit() else 1, 2)


def test_two_of_three_pictures_are_shown_side_by_side(shown):
    window = shown("3")
    names = window.locator("h2")
    assert names.all_inner_texts() == ["a.png", "b.jpg"]
    left, right = (window.locator(".picture").nth(i).bounding_box() for i in (0, 1))
    assert left["y"] == pytest.approx(right["y"], abs=1) and left["x"] < right["x"]
    window.locator("#strip button").nth(2).click()
    assert names.all_inner_texts() == ["b.jpg", "c.png"]
    window.locator("#strip button").nth(1).click()
    assert names.all_inner_texts() == ["c.png"]
    window.locator("#strip button").nth(2).click()          # one always stays
    assert names.all_inner_texts() == ["c.png"]


def test_everything_has_a_name_for_a_screen_reader(shown):
    window = shown("3")
    nameless = """() => [...document.querySelectorAll("[tabindex], button, input, [role=grid]")]
        .filter(each => each.checkVisibility() && !each.getAttribute("aria-label")
                && !each.closest("label") && !each.querySelector("img[alt]:not([alt=''])"))
        .map(each => each.outerHTML)"""
    assert window.evaluate(nameless) == []
    assert window.locator(".sentence[role=status]").count() == 2
