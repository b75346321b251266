"""Which device is used, and the one sentence for each reason why a GPU cannot be."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import vitnp
from vitnp import backend


class CUDARuntimeError(RuntimeError):
    """CuPy's exception for a call to the driver that failed."""

    def __init__(self, status, message="cudaErrorSomething: it failed"):
        super().__init__(message)
        self.status = status


class Square:
    """A fake matrix on the GPU; its product raises `error`, if there is one."""

    def __init__(self, error):
        self.error = error

    def __matmul__(self, other):
        if self.error:
            raise self.error
        return self

    def sum(self):
        return self

    def item(self):
        return 8.0


def fail(error, result=None):
    """Return a function that raises `error`, or returns the result where error is None."""
    def function(*arguments):
        if error:
            raise error
        return result

    return function


def fake_cupy(devices=None, driver=13000, product=None, ones=None, generator=None):
    """Return a module like CuPy 14 for CUDA 13, in which the calls given raise those errors."""
    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError, getDeviceCount=fail(devices, 1),
        driverGetVersion=lambda: driver, runtimeGetVersion=lambda: 13020)
    random = SimpleNamespace(default_rng=fail(generator, np.random.default_rng(0)))
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime), random=random,
                           ones=fail(ones, Square(product)))


def install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, "cupy", module)


def break_import(monkeypatch, error):
    """Let `import cupy` raise `error`."""
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    finder = SimpleNamespace(find_spec=lambda name, path=None, target=None:
                             fail(error)() if name == "cupy" else None)
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])


def refusal(call, *arguments):
    with pytest.raises(vitnp.Error) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message and "  " not in message
    return message


def test_cpu_is_numpy():
    assert backend.pick_device("cpu") is np


@pytest.mark.parametrize("name", ["cuda", "GPU", "", None, 0])
def test_an_unknown_device_is_refused_with_the_possible_ones(name):
    assert refusal(backend.pick_device, name) == (
        f"unknown device {name!r}; possible are cpu, gpu and auto")


CUPY_MESSAGE = """
================================================================
Failed to import CuPy.

Original error:
  ImportError: libcublas.so.13: cannot open shared object file
================================================================
"""


@pytest.mark.parametrize(("error", "words"), [
    (ModuleNotFoundError("No module named 'cupy'", name="cupy"),
     ["CuPy is not installed", "pip install 'cupy-cuda13x[ctk]'", "cupy-cuda12x", "580"]),
    (ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock"),
     ["cannot be imported: No module named 'fastrlock'"]),
    (ImportError(CUPY_MESSAGE),
     ["cannot be imported: ImportError: libcublas.so.13: cannot open shared object file"]),
    (ImportError(), ["cannot be imported: ImportError"]),
])
def test_reasons_why_cupy_cannot_be_imported(monkeypatch, error, words):
    break_import(monkeypatch, error)
    message = refusal(backend.pick_device, "gpu")
    assert all(word in message for word in words), message
    if getattr(error, "name", None) == "fastrlock":
        assert "not installed" not in message


@pytest.mark.parametrize(("module", "words"), [
    (fake_cupy(devices=CUDARuntimeError(35), driver=0),
     ["there is no NVIDIA driver", "--device cpu"]),
    (fake_cupy(devices=CUDARuntimeError(35), driver=12040),
     ["driver is too old", "supports CUDA 12, this CuPy needs CUDA 13", "update the driver"]),
    (fake_cupy(devices=CUDARuntimeError(100)), ["no GPU is visible", "CUDA_VISIBLE_DEVICES"]),
    (fake_cupy(devices=CUDARuntimeError(999, "cudaErrorUnknown: unknown error")),
     ["the GPU cannot be used: cudaErrorUnknown: unknown error"]),
    (fake_cupy(product=ImportError('Failure finding "libcublasLt.so.13"\nSearched:\n /usr')),
     ['Failure finding "libcublasLt.so.13"', "libraries may be missing", "[ctk]"]),
    (fake_cupy(ones=RuntimeError("No such dynamic library: nvrtc\nfor many reasons")),
     ["No such dynamic library: nvrtc", "libraries may be missing", "[ctk]"]),
    (fake_cupy(generator=ImportError('Failure finding "libcurand.so.10"')),
     ["libcurand.so.10", "[ctk]"]),
    (fake_cupy(ones=RuntimeError()), ["cannot compute (RuntimeError)"]),
    (fake_cupy(ones=CUDARuntimeError(209, "cudaErrorNoKernelImageForDevice: no kernel image")),
     ["the GPU cannot be used: cudaErrorNoKernelImageForDevice"]),
    (fake_cupy(ones=MemoryError("Out of memory allocating 512 bytes")),
     ["no memory left: Out of memory allocating 512 bytes"]),
])
def test_reasons_why_a_gpu_cannot_be_used(monkeypatch, module, words):
    """An exception of CuPy's must become the sentence of its case, and none may pass through."""
    install(monkeypatch, module)
    message = refusal(backend.pick_device, "gpu")
    assert all(word in message for word in words), message


def test_only_missing_libraries_are_blamed_on_missing_libraries(monkeypatch):
    install(monkeypatch, fake_cupy(ones=CUDARuntimeError(209)))
    assert "libraries" not in refusal(backend.pick_device, "gpu")


@pytest.mark.parametrize("name", ["gpu", "auto"])
def test_a_working_gpu_is_used_without_a_word(monkeypatch, capsys, name):
    module = fake_cupy()
    install(monkeypatch, module)
    assert backend.pick_device(name) is module
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("module", [
    None,                                   # import raises, as where it is not installed
    fake_cupy(devices=CUDARuntimeError(35), driver=0),
    fake_cupy(product=ImportError("no cuBLAS")),
])
def test_auto_falls_back_and_says_why(monkeypatch, capsys, module):
    if module is None:
        break_import(monkeypatch, ModuleNotFoundError("No module named 'cupy'", name="cupy"))
    else:
        install(monkeypatch, module)
    reason = refusal(backend.pick_device, "gpu")
    assert backend.pick_device("auto") is np
    out, err = capsys.readouterr()
    assert out == "" and err == f"device auto: the CPU, because {reason}\n"


def test_get_xp_goes_by_the_library_of_the_class(monkeypatch):
    assert backend.get_xp(np.zeros(2)) is np
    assert backend.get_xp(np.zeros(2), np.float32(1)) is np
    library = SimpleNamespace(name="fake")
    monkeypatch.setitem(sys.modules, "fakelib", library)
    array = type("ndarray", (), {"__module__": "fakelib._core.core"})()
    assert backend.get_xp(array, array) is library


def test_what_is_no_array_is_named():
    said = refusal(backend.get_xp, np.zeros(2), [0.0, 1.0])
    assert said.startswith("argument 2 of 2 is no array, but of type list; make one of it with")
    assert refusal(backend.get_xp, None).startswith("the argument is no array, but of type None")


def test_a_mixture_of_libraries_is_refused():
    array = type("ndarray", (), {"__module__": "cupy._core.core"})()
    for mixture in ((np.zeros(2), array), (array, np.zeros(2), array)):
        message = refusal(backend.get_xp, *mixture)
        assert "arrays of cupy and numpy came together" in message
        assert "to_device" in message


def test_moving_between_devices():
    array = np.arange(3)
    assert backend.to_host(array) is array
    assert backend.to_device(array, np) is array
    far = SimpleNamespace(get=lambda: array)
    assert backend.to_host(far) is array
    assert backend.to_device(array, SimpleNamespace(asarray=lambda a: ("moved", a))) == (
        "moved", array)


def test_only_the_backend_mentions_importing_cupy():
    """Any other import would make the package need CuPy, or hide which errors it raises."""
    package = Path(vitnp.__file__).parent
    found = [path.relative_to(package).as_posix() for path in package.rglob("*.py")
             if "import cupy" in path.read_text() or "from cupy" in path.read_text()]
    assert found == ["backend.py"]


def test_importing_vitnp_does_not_import_cupy():
    code = "import sys, vitnp, vitnp.training.loop; print('cupy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
