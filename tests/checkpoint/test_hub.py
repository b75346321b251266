"""Checkpoints by name, loaded from a server on this machine that plays the hub."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from foreign import DATA, refusal

import vitnp
from vitnp.checkpoint import hub

pytest.importorskip("huggingface_hub")
PHOTO = DATA / "photo"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORIES = {
    "owner/vit": "hf_shortest_crop", "timm/vit": "timm_center", "owner/pickle": None,
    "owner/gated": "hf_plain",
}


class Hub(BaseHTTPRequestHandler):
    """Answer as the hub does, for what snapshot_download asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0].removeprefix("/api/models/").strip("/")
        self.server.asked.append(self.path)
        name = "/".join(path.split("/")[:2])
        if name not in REPOSITORIES:
            self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif name == "owner/gated":
            self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif "/resolve/" in path:
            folder = PHOTO / (REPOSITORIES[name] or "hf_plain")
            data = (folder / path.rpartition("/")[2]).read_bytes()
            self.answer(200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                                    "X-Repo-Commit": COMMIT})
        elif "/revision/" in path and path.split("/revision/")[1] not in ("main", "v1", COMMIT):
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            folder = PHOTO / (REPOSITORIES[name] or "hf_plain")
            files = [file.name for file in folder.iterdir()] if REPOSITORIES[name] else [
                "config.json", "pytorch_model.bin"]
            siblings = [{"rfilename": file} for file in files]
            tree = [{"type": "file", "path": file, "size": 1, "oid": "0"} for file in files]
            said = tree if "/tree/" in path else {"id": name, "sha": COMMIT, "siblings": siblings,
                                                  "private": False, "tags": [], "downloads": 0}
            self.answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

    do_HEAD = do_GET

    def answer(self, status, data, headers):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Yield a function that runs a command in a folder, with this hub and a cache of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    folder = tmp_path_factory.mktemp("hub")

    def run(*arguments, **environment):
        clean = {name: value for name, value in os.environ.items()
                 if not name.lower().endswith("_proxy") and not name.startswith("HF_")}
        hub_of_ours = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                       "HF_HOME": str(folder / "cache"), "HF_HUB_DISABLE_XET": "1",
                       "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return subprocess.run([sys.executable, "-W", "error::UserWarning", *arguments], cwd=folder,
                              env=clean | hub_of_ours | environment, capture_output=True, text=True,
                              check=False, timeout=120)

    yield run
    server.shutdown()
    thread.join()
    server.server_close()


def predict(call, name, **environment):
    return call("-m", "vitnp.predict", name, str(PHOTO / "rocket.jpg"), "--json", **environment)


def probabilities(done):
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)[0]["predictions"]
    return [entry["probability"] for entry in sorted(found, key=lambda entry: entry["class"])]


def test_a_name_is_loaded_and_afterwards_read_offline(call):
    expected = vitnp.load(PHOTO / "hf_shortest_crop").probabilities(PHOTO / "rocket.jpg")[0]
    np.testing.assert_allclose(probabilities(predict(call, "owner/vit")), expected, rtol=1e-6)
    again = predict(call, "owner/vit", HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")
    np.testing.assert_allclose(probabilities(again), expected, rtol=1e-6)


def test_timms_names_and_revisions_are_read_too(call):
    expected = vitnp.load(PHOTO / "timm_center").probabilities(PHOTO / "rocket.jpg")[0]
    for name in ("timm/vit", "hf-hub:timm/vit", f"timm/vit@{COMMIT}"):
        np.testing.assert_allclose(probabilities(predict(call, name)), expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "environment", "words"), [
    ("owner/none", {}, "there is neither a file owner/none nor a model of that name on the hub"),
    ("owner/vit@v9", {}, "owner/vit has no revision v9 on the hub"),
    ("owner/gated", {}, "is for those alone who accepted its terms"),
    ("owner/pickle", {}, "owner/pickle has no model.safetensors on the hub"),
    ("owner/other", {"HF_HUB_OFFLINE": "1"}, "the hub cannot be reached, nor was the model loaded"),
    ("owner/other", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "hf download owner/other --local-dir"),
])
def test_what_cannot_be_loaded_is_one_sentence(call, name, environment, words):
    done = predict(call, name, **environment)
    assert done.returncode == 2 and done.stdout == "" and words in done.stderr, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_without_the_library_one_sentence_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    message = refusal(vitnp.load, "google/vit-base-patch16-224")
    assert "pip install 'vitnp[hub]'" in message
    assert "hf download google/vit-base-patch16-224 --local-dir FOLDER" in message


def test_paths_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    for path in ("a.safetensors", "runs/digits-001", "/x/y", "./runs/x", "../a", "a/b/c", tmp_path,
                 "runs", "C:\\x\\y", "a b/c"):
        assert hub.local(path) is path
    assert "there is no file runs/digits-001" in refusal(vitnp.load, "runs/digits-001")


def test_a_run_starts_from_a_name(call):
    done = call("-m", "vitnp.train", "--init-from", "owner/vit", "--epochs", "1", "--data", "npz",
                "--data-dir", str(write_arrays(call)), "--out", "run", "--crop-padding", "0")
    assert done.returncode == 0, done.stderr
    where = Path(done.stdout.splitlines()[-1])
    assert where.name == "run"


def write_arrays(call):
    path = Path(call("-c", "import os; print(os.getcwd())").stdout.strip()) / "arrays.npz"
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    labels = np.arange(20) % 2
    np.savez(path, train_images=images, train_labels=labels, test_images=images,
             test_labels=labels)
    return path
