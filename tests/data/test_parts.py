"""Parts that follow from names: nothing that happens to one picture moves another one."""

import random

import pytest
from idx_files import refusal

from vitnp.data import fingerprint, parts
from vitnp.data.scan import Found


def files_of(name, count, start=0):
    return [Found(f"/x/{name}/{i}.png", f"train/{name}/{i:04}.png", 100 + i)
            for i in range(start, start + count)]


def part_of(assigned):
    return {file.name: part for part, classes in assigned.items() for files in classes.values()
            for file in files}


def test_a_key_never_changes():
    """Runs on all machines and versions must agree."""
    assert parts.key("cat/a.png") == pytest.approx(0.7137599846, abs=1e-9)
    assert parts.key("katze/ü.png") != parts.key("katze/u.png")


def test_about_a_tenth_each_is_for_validation_and_test():
    assigned = parts.assign({"train": {"a": files_of("a", 2000), "b": files_of("b", 2000)}})
    for name in "ab":
        for part, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
            assert abs(len(assigned[part][name]) / 2000 - share) < 0.02


def test_an_added_or_removed_picture_moves_no_other_one():
    numbers = random.Random(0)
    for _ in range(50):
        files = files_of("a", 60)
        before = part_of(parts.assign({"train": {"a": files, "b": files_of("b", 60)}}))
        kept = numbers.sample(files, 50) + files_of("a", 20, 100)
        after = part_of(parts.assign({"train": {"a": kept, "b": files_of("b", 60)}}))
        moved = [name for name in before if after.get(name, before[name]) != before[name]]
        assert len(moved) <= 1          # the one by which a part would be without its class


def test_explicit_parts_go_first():
    given = {"train": {"a": files_of("a", 100)}, "test": {"a": files_of("t", 7)}}
    assigned = parts.assign(given)
    assert assigned["test"] == given["test"] and len(assigned["validation"]["a"]) > 0
    alone = parts.assign({"train": given["train"]})
    assert assigned["validation"] == alone["validation"]    # wherever the test comes from


def test_every_class_keeps_pictures_to_train_on():
    """In 109 of 200 tiny sets some class once had none."""
    numbers = random.Random(0)
    for number in range(300):
        classes = {f"c{number}-{k}": files_of(f"c{number}-{k}", numbers.randint(1, 6))
                   for k in range(numbers.randint(2, 5))}
        if all(len(files) == 1 for files in classes.values()):
            continue
        try:
            assigned = parts.assign({"train": classes})
        except parts.Error:
            assert sum(map(len, classes.values())) < len(classes) + 2   # too few for both parts
            continue
        assert all(assigned["train"].values())
        assert any(assigned["validation"].values()) and any(assigned["test"].values())
        assert len(part_of(assigned)) == sum(map(len, classes.values()))


def test_a_small_class_among_large_ones_is_mostly_trained_on():
    trained = [len(parts.assign({"train": {f"s{i}": files_of(f"s{i}", 5), "l": files_of("l", 500)}})
                   ["train"][f"s{i}"]) for i in range(200)]
    assert min(trained) >= 1 and sum(trained) / 200 > 3.7


def test_a_class_of_ten_has_a_picture_in_each_part():
    for i in range(200):
        assigned = parts.assign({"train": {f"s{i}": files_of(f"s{i}", 10)}})
        assert all(assigned[part][f"s{i}"] for part in ("train", "validation", "test"))


def test_no_part_of_a_larger_class_is_nearly_empty():
    for i in range(200):
        assigned = parts.assign({"train": {f"s{i}": files_of(f"s{i}", 60)}})
        assert all(len(assigned[part][f"s{i}"]) >= 3 for part in ("train", "validation", "test"))


def test_one_picture_a_class_is_one_sentence():
    assert "one picture a class and no folder test" in refusal(
        parts.assign, {"train": {"a": files_of("a", 1), "b": files_of("b", 1)}})


def fingerprinted(root, classes):
    divided = parts.assign({"train": classes})
    return divided, fingerprint.of(root, divided)


def test_parts_hold_for_a_run_that_goes_on(tmp_path):
    files = {"a": files_of("a", 60), "b": files_of("b", 60)}
    divided, kept = fingerprinted(tmp_path, files)
    assert fingerprint.compare(kept, kept) == []
    assert fingerprint.restore(divided, kept) == divided
    fewer = {"a": files["a"][:30] + files["a"][31:], "b": files["b"] + files_of("b", 9, 500)}
    now = parts.assign({"train": fewer})
    restored = fingerprint.restore(now, kept)
    before, after = part_of(divided), part_of(restored)
    assert all(after[name] == part for name, part in before.items() if name in after)
    assert not [name for name in after if name not in before and after[name] == "train"]
    assert {part: len(files["b"]) for part, files in restored.items()}["train"] == len(
        divided["train"]["b"])
    said = fingerprint.compare(kept, fingerprint.of(tmp_path, now))
    assert said[0].startswith("9 pictures added") and "train/b/0500.png" in said[0]
    assert said[1] == "1 picture removed since the run began: train/a/0030.png"


def test_the_place_of_a_removed_picture_is_taken_so_that_epochs_stay_as_long(tmp_path):
    files = {"a": files_of("a", 60), "b": files_of("b", 60)}
    divided, kept = fingerprinted(tmp_path, files)
    gone = divided["train"]["a"][3]
    now = {"a": [file for file in files["a"] if file != gone], "b": files["b"]}
    restored = fingerprint.restore(parts.assign({"train": now}), kept)
    assert [file.name for file in restored["train"]["a"]] == [
        file.name for file in divided["train"]["a"]]
    stand_in = restored["train"]["a"][3]
    assert stand_in.path != gone.path and stand_in.path in {f.path for f in divided["train"]["a"]}


def test_a_class_that_is_gone_is_refused(tmp_path):
    divided, kept = fingerprinted(tmp_path, {"a": files_of("a", 20), "b": files_of("b", 20)})
    now = {part: {"a": classes["a"]} for part, classes in divided.items()}
    assert "all pictures of the class 'b' that the run was trained on are gone" in refusal(
        fingerprint.restore, now, kept)


def test_changed_and_renamed_pictures_are_told(tmp_path):
    _, kept = fingerprinted(tmp_path, {"a": files_of("a", 20), "b": files_of("b", 20)})
    files = files_of("a", 20)
    files[4] = Found("x", files[4].name, 7)
    files[5] = Found("x", "train/a/other.png", files[5].size)
    _, now = fingerprinted(tmp_path, {"a": files, "b": files_of("b", 20)})
    said = "\n".join(fingerprint.compare(kept, now))
    assert "1 picture changed since the run began: train/a/0004.png" in said
    assert "under another name: train/a/other.png" in said


def test_trained_pictures_are_found_under_the_roots_of_a_set(tmp_path):
    _, kept = fingerprinted(tmp_path, {"a": files_of("a", 50), "b": files_of("b", 50)})
    trained = set(fingerprint.listed(kept, ("train",)))
    everything = {"test": {"a": files_of("a", 50), "b": files_of("b", 50)}}
    today = fingerprint.of(tmp_path, everything)
    assert set(fingerprint.trained_on(kept, today, "test")) == trained
    below = {"test": {name: [Found(f.path, f.identity, f.size) for f in files]
                      for name, files in everything["test"].items()}}
    for root in (tmp_path / "train", tmp_path.parent / "copied"):
        found = fingerprint.trained_on(kept, fingerprint.of(root, below), "test")
        assert {f"train/{name}" for name in found} == trained
    other = {"test": {"a": [Found(f.path, f.name, f.size + 1000) for f in files_of("a", 50)]}}
    assert fingerprint.trained_on(kept, fingerprint.of(tmp_path, other), "test") == []


@pytest.mark.parametrize("change", [
    lambda data: b"", lambda data: data[:20], lambda data: b"{}",
    lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]])
def test_a_damaged_fingerprint_is_one_sentence(tmp_path, change):
    _, kept = fingerprinted(tmp_path, {"a": files_of("a", 20), "b": files_of("b", 20)})
    fingerprint.write(tmp_path, kept)
    assert fingerprint.read(tmp_path) == kept
    path = tmp_path / fingerprint.NAME
    path.write_bytes(change(path.read_bytes()))
    assert f"{path} is damaged" in refusal(fingerprint.read, tmp_path)


@pytest.mark.parametrize("content", [
    [], {}, {"format": 2}, {"format": 1, "root": 3, "pictures": {}},
    {"format": 1, "root": "x", "pictures": {"train": {"a": [["b"]]}}},
    {"format": 1, "root": "x", "pictures": {"train": [["b", 3]]}},
    {"format": 1, "root": "x", "pictures": {"train": {"a": [["b", "c"]]}}}])
def test_a_fingerprint_of_another_form_is_one_sentence(tmp_path, content):
    fingerprint.write(tmp_path, content)
    assert "does not list pictures" in refusal(fingerprint.read, tmp_path)


def test_an_old_run_has_none(tmp_path):
    assert fingerprint.read(tmp_path) is None
