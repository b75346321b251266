"""python -m vitnp.predict: the right classes, names and order, and nothing half done."""

import csv
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from data.picture_files import announcing_png, picture_bytes, turned_bytes
from PIL import Image

import vitnp
from vitnp import params, predict, vit
from vitnp.analysis import interpret
from vitnp.analysis.drawing import canvas, prediction_figure
from vitnp.checkpoint import class_names
from vitnp.data.preprocess import Preprocess

NAMES = ("zebra", "apple", "$x$ a name that is long enough to be cut short in a small figure", "猫",
         "Übergröße", "b", "c")


def make_model(seed=0, names=NAMES, **options):
    """Return a small random model whose head is not zero."""
    sizes = {"image_size": (8, 12), "classes": 7, "pooling": "token"} | options
    config = vitnp.ViTConfig.named("micro/4", **sizes)
    rng = np.random.default_rng(seed)
    tree = params.views(vit.init(config, rng), vit.shapes(config))
    if config.classes:
        tree["head"]["weight"][:] = rng.standard_normal(tree["head"]["weight"].shape)
    half = (0.5,) * config.channels
    return vitnp.Model(config, tree, Preprocess(config.image_size, half, half), names)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Work in a folder with a checkpoint, a run and pictures."""
    monkeypatch.chdir(tmp_path)
    make_model().save("model.safetensors")
    (tmp_path / "run").mkdir()
    make_model(1).save("run/checkpoint.safetensors")
    make_model(2).save("run/best.safetensors")
    (tmp_path / "a.png").write_bytes(picture_bytes("PNG", "RGB", (40, 30)))
    (tmp_path / "b.jpg").write_bytes(picture_bytes("JPEG", "RGB", (9, 70)))
    (tmp_path / "turned.jpg").write_bytes(turned_bytes(6))
    (tmp_path / "text.png").write_text("no picture")
    return tmp_path


PICTURES = ["a.png", "b.jpg", "turned.jpg"]


def call(words):
    """Call the command with these words as its arguments."""
    return predict.main(words.split())


def answers(capsys, words):
    """Return the JSON that the command prints."""
    assert call(f"{words} --json") == 0
    return json.loads(capsys.readouterr().out)


def test_json_holds_the_models_probabilities_largest_first(work, capsys):
    found = answers(capsys, f"model.safetensors {' '.join(PICTURES)} --top 3 --threads 2")
    expected = vitnp.load("model.safetensors").probabilities(PICTURES)
    assert [entry["file"] for entry in found] == PICTURES
    for entry, row in zip(found, expected, strict=True):
        best = sorted(range(7), key=lambda k: -row[k])[:3]
        assert entry["predictions"] == [
            {"class": k, "name": NAMES[k], "probability": float(row[k])} for k in best]


def test_classes_that_are_alike_come_in_the_order_of_their_numbers(work, capsys):
    """A head of zeros, as of a network that was never trained, says nothing: 1/K each."""
    model = make_model()
    model.params["head"]["weight"][:] = 0
    model.save("zeros.safetensors")
    found = answers(capsys, "zeros.safetensors a.png")[0]["predictions"]
    assert [entry["class"] for entry in found] == [0, 1, 2, 3, 4]
    assert all(entry["probability"] == pytest.approx(1 / 7) for entry in found)


def test_the_table_says_the_same(work, capsys):
    found = answers(capsys, "model.safetensors a.png b.jpg --top 20")
    assert call("model.safetensors a.png b.jpg --top 20") == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["picture", "probability", "class"] and len(lines) == 14
    for entry, rows in zip(found, (lines[:7], lines[7:]), strict=True):
        assert rows[0].startswith(entry["file"]) and all(row.startswith("   ") for row in rows[1:])
        for row, said in zip(rows, entry["predictions"], strict=True):
            assert row.endswith(f" {100 * said['probability']:.2f} %  {said['name']}")


def test_of_a_run_the_best_checkpoint_answers(work, capsys):
    def found(words):
        return [entry["probability"] for entry in answers(capsys, words)[0]["predictions"]]

    def expected(seed):
        return sorted(make_model(seed).probabilities("a.png")[0].tolist(), reverse=True)[:5]

    assert found("run a.png") == found("run a.png --which best") == expected(2)
    assert found("run a.png --which last") == expected(1) == found("run/checkpoint.safetensors "
                                                                   "a.png")
    (work / "run" / "best.safetensors").unlink()
    assert found("run a.png") == expected(1)


def test_names_are_the_models_then_imagenets_then_numbers():
    thousand = make_model(classes=1000, names=None)
    names = class_names.names_of(thousand)
    assert len(names) == 1000 and all(name.strip() == name != "" for name in names)
    assert (names[0], names[281], names[504], names[999]) == (
        "tench", "tabby", "coffee mug", "toilet tissue")
    own = tuple(f"name {i}" for i in range(1000))
    assert class_names.names_of(replace(thousand, class_names=own)) == own
    assert class_names.names_of(make_model(names=None)) == tuple("0123456")


def test_pictures_are_read_a_few_at_a_time(work, capsys, monkeypatch):
    """Thousands of photographs, read at once, would not fit into memory."""
    counts, logits = [], vitnp.Model.logits
    monkeypatch.setattr(predict, "CHUNK", 6 * 8 * 12 * 3)
    monkeypatch.setattr(vitnp.Model, "logits",
                        lambda self, images: counts.append(len(images)) or logits(self, images))
    found = answers(capsys, "model.safetensors " + "a.png b.jpg " * 20)
    assert len(found) == sum(counts) == 40 and max(counts) <= 6
    for i, entry in enumerate(found):
        for said, first in zip(entry["predictions"], found[i % 2]["predictions"], strict=True):
            assert said["name"] == first["name"]
            assert said["probability"] == pytest.approx(first["probability"], rel=1e-5)


def test_a_folder_gives_its_pictures_in_order_and_says_what_it_leaves_out(work, capsys):
    for name in ("z.png", "inner/10.JPG", "inner/2.jpg", ".hidden.png", ".git/a.png"):
        path = work / "many" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes((work / "b.jpg").read_bytes())
    (work / "many" / "notes.txt").write_text("")
    assert call("model.safetensors many a.png --json") == 0
    out, messages = capsys.readouterr()
    assert [entry["file"] for entry in json.loads(out)] == [
        "many/z.png", "many/inner/10.JPG", "many/inner/2.jpg", "a.png"]
    assert messages == "1 files in many do not end as pictures do, and are left out\n"


@pytest.mark.parametrize("form", ["", "--json", "--csv"])
def test_a_bad_picture_is_a_line_and_the_others_go_on(work, capsys, monkeypatch, form):
    monkeypatch.setattr(predict, "CHUNK", 2 * 8 * 12 * 3)
    code = call(f"model.safetensors text.png a.png nowhere.png run b.jpg {form} --top 1")
    out, messages = capsys.readouterr()
    first, *others = messages.splitlines()
    assert code == 1 and first.startswith("run is a folder without pictures (files whose names end")
    assert others == [
        "text.png cannot be read as a picture: cannot identify image file 'text.png'",
        "nowhere.png cannot be read as a picture: No such file or directory"]
    assert call(f"model.safetensors a.png b.jpg {form} --top 1") == 0
    alone = capsys.readouterr().out
    assert out == alone or form == ""           # the table is as wide as the longest name
    assert out.split() == alone.split()


def test_where_no_picture_can_be_read_the_list_is_empty(work, capsys):
    assert call("model.safetensors text.png nowhere.png --json") == 1
    assert json.loads(capsys.readouterr().out) == []


def test_csv_has_a_line_a_class(work, capsys):
    (work / 'a, "b".png').write_bytes((work / "a.png").read_bytes())
    assert predict.main(["model.safetensors", 'a, "b".png', "b.jpg", "--csv", "--top", "2"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    expected = vitnp.load("model.safetensors").probabilities(["a.png", "b.jpg"])
    assert [row["file"] for row in rows] == ['a, "b".png'] * 2 + ["b.jpg"] * 2
    assert [row["rank"] for row in rows] == ["1", "2"] * 2
    for i, row in enumerate(rows):
        assert row["name"] == NAMES[int(row["class"])]
        assert float(row["probability"]) == pytest.approx(expected[i // 2, int(row["class"])])


def test_avif_is_read_and_heic_named_with_the_cure(work, capsys):
    features = pytest.importorskip("PIL.features")
    heic = b"\0\0\0\x18ftypheic" + bytes(50)
    (work / "a.heic").write_bytes(heic)
    if importlib.util.find_spec("pillow_heif") is None:
        assert call("model.safetensors a.png a.heic") == 1
        assert "format HEIF, which needs pip install pillow-heif" in capsys.readouterr().err
    if features.check("avif"):
        Image.open("a.png").save("a.avif")
        assert call("model.safetensors a.avif") == 0


def test_a_reader_that_has_enough_ends_it_without_a_traceback(work):
    """As `| head -1` does."""
    words = [sys.executable, "-m", "vitnp.predict", "model.safetensors", *["a.png"] * 3000,
             "--top", "7"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("picture")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_the_figure_shows_each_picture_with_its_rollout(work, capsys, monkeypatch):
    drawn, draw = [], prediction_figure.draw
    monkeypatch.setattr(prediction_figure, "draw",
                        lambda *arguments: drawn.append(arguments) or draw(*arguments))
    found = answers(capsys, f"run {' '.join(PICTURES)} --top 2 --figure out.png")
    images, rollouts, predictions, names, path, title = drawn[0]
    assert [image.shape for image in images] == [(30, 40, 3), (70, 9, 3), (24, 16, 3)]
    np.testing.assert_array_equal(images[0], np.asarray(Image.open("a.png").convert("RGB")))
    assert images[2][:12, 8:].min() > 200 and images[2][12:].max() < 50     # turned as EXIF says
    model = make_model(2)
    for name, rollout in zip(PICTURES, rollouts, strict=True):
        expected = interpret.attention_rollout(model.attention(name), (2, 3))[0]
        np.testing.assert_allclose(rollout, expected, rtol=1e-5)
    assert predictions == [[(said["name"], said["probability"]) for said in entry["predictions"]]
                           for entry in found]
    assert names == PICTURES and path == "out.png" and title == "Predictions: run"
    with Image.open("out.png") as image:
        image.load()
    assert call("run a.png --figure out.png") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "out.png"


def test_twenty_of_many_pictures_are_drawn_and_it_is_said(work, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr(prediction_figure, "draw", lambda *arguments: drawn.append(arguments))
    call("run " + "a.png " * 21 + "--figure out.png")
    assert len(drawn[0][0]) == 20
    out, messages = capsys.readouterr()
    assert out.count("a.png") == 21
    assert messages == "the figure shows the first 20 of 21 pictures\n"


def test_large_photographs_are_made_smaller_for_the_figure(work):
    Image.new("RGB", (1800, 900)).save("large.png")
    Image.new("RGB", (5000, 2)).save("thin.png")
    assert canvas.shown("large.png").shape == (300, 600, 3)
    assert canvas.shown("thin.png").shape == (1, 600, 3)


@pytest.mark.parametrize(("arguments", "words"), [
    ("", "the following arguments are required: CHECKPOINT"),
    ("run", "the following arguments are required: IMAGE"),
    ("nowhere a.png", "there is no file nowhere"),
    ("text.png a.png", "text.png"),
    ("run text.png", "text.png cannot be read as a picture"),
    ("run nowhere.png", "nowhere.png cannot be read as a picture: No such file"),
    ("run run", "run is a folder without pictures (files whose names end in .jpg"),
    ("run text.png --json --figure out.png", "text.png cannot be read"),
    ("run a.png --json --csv", "--csv: not allowed with argument --json"),
    ("run a.png --mean 0,x,1", "--mean is 0,x,1; it must be a number for each channel, such as"),
    ("run a.png --std 0.25", "run/best.safetensors says otherwise than what was given: std (0.5, "),
    ("run a.png --resample bicubic", "resample 'bilinear', not 'bicubic'; leave it out"),
    ("run a.png --figure out.jpg", "--figure is out.jpg, but the figure is a PNG file"),
    ("run a.png --figure ./a.png", "--figure is ./a.png, which is one of the pictures"),
    ("run a.png --figure nowhere/out.png", "nowhere/out.png cannot be written: No such file"),
    ("run a.png --top 0", "--top is 0; it must be a whole number of at least 1"),
    ("run a.png --threads 0", "--threads is 0"),
    ("run a.png --heads 0", "--heads is 0"),
    ("run a.png --heads 3", "has 2 heads, not 3"),
    ("run a.png --image-size large", "--image-size is large; it must be a side in pixels, or HEI"),
    ("run a.png --image-size 8,12,3", "--image-size is 8,12,3"),
    ("run a.png --image-size 16", "is for images of 8 x 12"),
    ("run a.png --which first", "which is 'first'; possible are last, best"),
    ("run a.png --device tpu", "unknown device 'tpu'"),
    ("headless.safetensors text.png", "headless.safetensors has no head, and so predicts no cl"),
    ("two.safetensors a.png", "images of 2 channels"),
    ("huge.safetensors a.png", "scores are infinite or not numbers"),
])
def test_mistakes_are_refused_and_nothing_is_written(work, capsys, arguments, words):
    make_model(classes=None, names=None).save("headless.safetensors")
    make_model(channels=2).save("two.safetensors")
    huge = make_model()
    huge.params["head"]["weight"][:] *= 1e38
    huge.save("huge.safetensors")
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    with pytest.raises(vitnp.Error) as caught:
        call(arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before


def test_the_command_runs_answers_in_one_line_and_loads_nothing_for_its_help(work):
    def run(*arguments):
        return subprocess.run([sys.executable, "-W", "error", *arguments], capture_output=True,
                              text=True, check=False, timeout=60)

    done = run("-m", "vitnp.predict", "run", *PICTURES, "--json")
    assert done.returncode == 0 and len(json.loads(done.stdout)) == 3
    assert done.stderr == "turned.jpg is in grey, but the network takes colours\n"
    done = run("-m", "vitnp.predict", "run", "text.png")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: text.png cannot be read as a picture")
    code = ("import runpy, sys\nsys.argv[1:] = ['--help']\n"
            "try:\n    runpy.run_module('vitnp.predict', run_name='__main__')\n"
            "except SystemExit as stopped:\n"
            "    print(stopped.code, set(sys.modules) & {'matplotlib', 'PIL', 'safetensors'})\n")
    done = run("-c", code)
    assert done.stdout.endswith("\n0 set()\n") and done.stderr == ""


COUNTING = """
import resource, sys
from vitnp import predict
code = predict.main(["large.safetensors", sys.argv[1], "--csv", "--top", "1"])
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in kilobytes")
def test_a_thousand_photographs_ten_of_them_broken_need_no_more_memory_than_a_few(work):
    make_model(image_size=(224, 224), patch_size=32).save("large.safetensors")
    rng, peaks = np.random.default_rng(0), {}
    whole = picture_bytes("JPEG", "RGB", (900, 600), quality=90)
    broken = [b"", whole[:len(whole) // 2], whole[:30], b"no picture", b"\0" * 5000, whole[::-1],
              b"GIF89a" + whole, announcing_png(20_000, 20_000), b"II*\0" + whole, None]
    for count in (250, 1000):
        folder = work / str(count)
        folder.mkdir()
        for i in range(count):
            (folder / f"{i:04}.jpg").write_bytes(whole)
        places = rng.choice(count, 10, replace=False)
        for place, data in zip(places, broken, strict=True):
            path = folder / f"{place:04}.jpg"
            path.unlink()
            path.write_bytes(data) if data is not None else path.symlink_to("nowhere")
        done = subprocess.run([sys.executable, "-W", "error", "-c", COUNTING, str(folder)],
                              capture_output=True, text=True, check=False, timeout=600)
        *messages, last = done.stderr.splitlines()
        assert len(messages) == 10 and len(done.stdout.splitlines()) == count - 10 + 1
        assert {message.partition(" cannot be")[0] for message in messages} == {
            str(folder / f"{place:04}.jpg") for place in places}
        code, peaks[count] = last.split()
        assert code == "1"
    assert abs(int(peaks[1000]) - int(peaks[250])) < 60_000, peaks
