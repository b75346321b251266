"""What a child can reach: nothing, where the level is strong. Hostile submissions try."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hostility
import numpy as np
import pytest

from tutorials.assignments.sandbox import isolation

pytestmark = pytest.mark.slow
both = pytest.mark.parametrize("level", ("bwrap",))
each = pytest.mark.parametrize("level", ("bwrap", "user"))     # those that grading accepts


def processes_with(word):
    """Return the command lines of this machine's processes that hold a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


@pytest.mark.parametrize("level", isolation.LEVELS)
def test_honest_work_is_done_at_each_level(level):
    if reason := isolation.reason_against(level):
        pytest.skip(reason)
    outcome = hostility.run(hostility.HONEST, level)
    assert outcome.status == "ok" and [result.kind for result in outcome.results] == ["tuple"] * 2


@both
def test_a_child_sees_python_numpy_and_its_own_folder(level):
    source = ("import os, socket\nimport numpy as np\n"
              "def top(): return {name: 0.0 for name in os.listdir('/')}\n"
              f"def clone(): return dict.fromkeys(os.listdir({str(hostility.CLONE)!r}), 0.0) if "
              f"os.path.exists({str(hostility.CLONE)!r}) else {{}}\n"
              "def packages(): return {name: 0.0 for name in "
              "os.listdir(os.path.dirname(os.path.dirname(np.__file__)))}\n"
              "def user(): return os.getuid(), os.getpid()\n"
              "def interfaces(): return len(socket.if_nameindex())\n"
              "def environment(): return {name: 0.0 for name in os.environ}\n"
              "def descriptors():\n"
              "    found = []\n"
              "    for i in range(64):\n"
              "        try: os.fstat(i); found.append(float(i))\n"
              "        except OSError: pass\n"
              "    return found\n")
    names = ("top", "clone", "packages", "user", "interfaces", "environment", "descriptors")
    outcome = hostility.run(source, hostility.strong(level), *names)
    found = {name: result.value for name, result in zip(names, outcome.results, strict=True)}
    top = set(found["top"])
    assert "scratch" in top and not top & {"proc", "sys", "var", "run", "boot", "srv", "mnt"}
    assert not set(found["clone"]) & {"setup.cfg", "tests", "tutorials", "vitnp"}
    assert set(found["packages"]) <= {"numpy", "numpy.libs"}
    user, process = found["user"]
    assert user != 0 and process <= 3
    assert found["interfaces"] <= 1                     # the loopback, which is down
    assert set(found["environment"]) <= {*isolation.ENVIRONMENT, *isolation.PASSED_ON, "HOME",
                                         "TMPDIR", "PWD", "LC_CTYPE"}
    assert len(found["descriptors"]) <= 4               # three and a copy of the results


@both
def test_the_solution_is_nowhere(level):
    source = hostility.text("reads_solution")
    outcome = hostility.run(source, hostility.strong(level), "found", seconds=60.0)
    assert outcome.status == "ok" and not outcome.results[0].value


def test_the_search_for_the_solution_finds_it_where_nothing_is_shut_off():
    """Else the test above would prove nothing."""
    assert hostility.run(hostility.text("reads_solution"), "none",
                         "found").results[0].value


@both
def test_nothing_is_gained_by_mounting_and_becoming_another(level):
    outcome = hostility.run(hostility.text("breaks_out"), hostility.strong(level), "found")
    assert outcome.status == "ok" and not outcome.results[0].value.any(), outcome.results


@each
def test_neighbours_keep_their_files(level, tmp_path):
    neighbour = tmp_path / "ada"
    neighbour.mkdir(mode=0o777)
    (neighbour / "layernorm.py").write_text("mine")
    tmp_path.chmod(0o777)
    source = hostility.text("deletes_neighbours", neighbours=tmp_path)
    outcome = hostility.run(source, hostility.strong(level))
    assert outcome.status == "ok"
    assert (neighbour / "layernorm.py").read_text() == "mine"


@each
def test_no_process_stays(level, monkeypatch, request):
    level = hostility.strong(level)
    folder = tempfile.mkdtemp(prefix="vitnp-stays-")            # a word that no other child has
    request.addfinalizer(lambda: shutil.rmtree(folder))
    os.chmod(folder, 0o755)
    monkeypatch.setattr(tempfile, "tempdir", folder)
    outcome = hostility.run(hostility.text("endless_processes"), level, seconds=3.0)
    assert outcome.status == "time"
    end = time.monotonic() + 10.0
    while (left := processes_with(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


@each
def test_no_other_process_can_be_ended(level):
    level = hostility.strong(level)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
        source = hostility.text("kills_everything", victim=victim.pid)
        outcome = hostility.run(source, level)
        assert outcome.status in ("ok", "crash")
        assert victim.poll() is None
        victim.stdin.close()


@both
def test_nothing_leaves_over_a_network(level):
    level = hostility.strong(level)
    with socket.socket() as listener, socket.socket(socket.AF_UNIX) as local:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        local.bind(f"\0vitnp-test-{port}")
        for line in (listener, local):
            line.listen()
            line.settimeout(0.2)
        assert hostility.run(hostility.text("calls_out", port=port), level).status == "ok"
        for line in (listener, local):
            with pytest.raises(TimeoutError):
                line.accept()


@both
def test_a_full_disk_is_its_own(level, tmp_path):
    level = hostility.strong(level)
    before = set(os.listdir("/tmp"))
    outcome = hostility.run(hostility.text("fills_disk"), level)
    assert outcome.status == "ok"
    assert not [name for name in set(os.listdir("/tmp")) - before if name.startswith("filling")]


@each
@pytest.mark.parametrize(("name", "status"), [
    ("endless_loop", "time"), ("huge_memory", "memory"), ("huge_output", "output"),
    ("forges_results", "crash"), ("claims_large_arrays", "crash"), ("huge_results", "ok"),
])
def test_each_ends_as_it_should(level, name, status):
    """None of them harms the parent, or has it read something large."""
    outcome = hostility.run(hostility.text(name), hostility.strong(level))
    assert outcome.status == status and (outcome.message or status == "ok")
    assert all(np.size(result.value) < 100 for result in outcome.results)


def test_root_gives_up_its_rights():
    if not isolation.is_root():
        pytest.skip("these tests do not run as root")
    level = hostility.strong("bwrap")
    source = "import os\ndef user(): return os.getresuid(), os.getresgid(), os.getgroups()\n"
    users, groups, others = hostility.run(source, level, "user").results[0].value
    assert {int(number) for number in (*users, *groups)} <= set(range(61184, 65520))
    assert others == []


@each
def test_nothing_is_left_for_the_next_student(level):
    """No key in any keyring, no file, no shared memory, no message in a queue."""
    source = hostility.text("leaves_behind")
    level = hostility.strong(level)
    left = hostility.run(source, level, "leave", "found").results
    assert left[1].value.any(), "nothing was left, so that nothing is shown"
    assert not hostility.run(source, level, "found").results[0].value.any()


@each
def test_other_libraries_are_hidden_everywhere(level):
    source = "import matplotlib\ndef forward(): return 1.0\n"
    outcomes = [hostility.run(source, one, "forward") for one in (hostility.strong(level), "none")]
    assert [one.status for one in outcomes] == ["syntax"] * 2
    assert outcomes[0].message == outcomes[1].message
    assert "No module named 'matplotlib'" in outcomes[0].message
