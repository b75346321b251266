"""What runs the chapters finds what is wrong with one: here on small chapters made for it."""

import shutil

import pytest

import vitnp
from tutorials import run

GOOD = """# 1. A chapter

```python
x = 2
print("x is", x)
```

```text
x is 2
```

Words.

```text
a drawing
```

```python
from pathlib import Path

for i in range(x):
    print(0.1 + i)
Path("figures/99_a.png").write_bytes(b"a picture")
```

```text
0.1…
1.1
```

![A picture](figures/99_a.png) and ![another chapter's](figures/01_b.png)

```python vitnp/layers/linear.py forward
rows = x.reshape(-1, x.shape[-1])                           # (rows, in)
```
"""


def chapter(folder, text):
    path = folder / "99_chapter.md"
    path.write_text(text)
    return path


def test_a_good_chapter_runs_in_one_namespace_and_makes_its_figures(tmp_path):
    path = chapter(tmp_path, GOOD)
    run.check_quotations(path)
    assert run.run(path, tmp_path) == ["figures/99_a.png"]
    assert run.run(path, tmp_path) == ["figures/99_a.png"]      # made anew, not only there
    assert (tmp_path / "figures" / "99_a.png").read_bytes() == b"a picture"


@pytest.mark.parametrize(("old", "new", "words"), [
    ("x is 2", "x is 3", "the chapter says\nx is 3\n\nbut its code prints\nx is 2"),
    ("print(0.1 + i)", "print(0.1 / 0)", "the block at line 18: ZeroDivisionError"),
    ('Path("figures', '# ("figures', "shows figures/99_a.png, but its code does not make it"),
    ("0.1…\n1.1", "0.1…\n1.1\n2.1", "but its code prints"),
    ("x = 2", "import not_there", "ModuleNotFoundError"),
])
def test_what_is_wrong_is_named(tmp_path, old, new, words):
    assert old in GOOD
    with pytest.raises(vitnp.Error) as caught:
        run.run(chapter(tmp_path, GOOD.replace(old, new)), tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize("change", [
    ("rows = x.reshape", "lines = x.reshape"), ("linear.py forward", "linear.py backwards"),
])
def test_a_quotation_that_is_not_the_function_is_refused(tmp_path, change):
    with pytest.raises(vitnp.Error, match="quotes forward|has no function backwards"):
        run.check_quotations(chapter(tmp_path, GOOD.replace(*change)))


def test_chapters_are_chosen_by_number():
    numbers = [path.name[:2] for path in run.choose()]
    assert numbers == sorted(set(numbers)) and "05" in numbers
    assert [path.name for path in run.choose(["05"])] == ["05_layernorm.md"]
    with pytest.raises(vitnp.Error, match="there is no chapter '77'; possible are .*05"):
        run.choose(["77"])


@pytest.mark.parametrize("path", run.choose(), ids=lambda path: path.stem)
def test_quotations_of_the_library_are_its_lines(path):
    run.check_quotations(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", run.choose(), ids=lambda path: path.stem)
def test_a_chapter_runs_and_prints_what_it_says(path, tmp_path):
    shutil.copytree(run.TUTORIALS / "runs", tmp_path / "runs")      # the chapters read them
    run.run(path, tmp_path)
