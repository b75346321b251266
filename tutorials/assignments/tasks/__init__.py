"""The tasks of the course: what each asks for, and where the book derives it."""

import csv
import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from tutorials.assignments.sandbox.package_copy import library_text
from tutorials.assignments.tasks import planting
from vitnp.common.files import refusing
from vitnp.errors import Error

HERE = Path(__file__).parent
CHAPTERS = HERE.parent.parent
POINTS = HERE / "points.csv"


@dataclass(frozen=True)
class Task:
    """One task; its name begins with the number of the book's chapter.

    functions: what is to be written, each as "module:function" with a module of vitnp; minutes: how
    long it takes; headings: where the chapter derives a function, by the function, or by "" for
    all others; bug: where a mistake is to be found in a network, the part that it is in; drawn:
    whether one of the modules, or the mistake, is drawn for each student.
    """

    name: str
    functions: tuple[str, ...]
    minutes: int
    headings: dict[str, str]
    bug: str = ""
    drawn: bool = False

    @property
    def modules(self):
        """The modules of the task in order, such as "layers.layernorm"."""
        return tuple(dict.fromkeys(function.partition(":")[0] for function in self.functions))

    @property
    def files(self):
        """The names of the student's files, one for each module."""
        return tuple(self.file_of(module) for module in self.modules)

    def file_of(self, module):
        """Return the name of the student's file for a module."""
        return f"{self.bug}_bug.py" if self.bug else f"{stem(module)}.py"

    def functions_of(self, module):
        """Return the names of the functions to be written in a module."""
        pairs = (function.split(":") for function in self.functions)
        return tuple(name for part, name in pairs if part == module)


def pair(*modules):
    """Return the functions of layers: forward and backward of each module."""
    return tuple(f"layers.{module}:{name}" for module in modules
                 for name in ("forward", "backward"))


TASKS = (
    Task("01-checker", ("gradcheck:central_difference", "gradcheck:entry_slope",
                        "gradcheck:numeric_gradient"), 45,
         {"": "Backward: from one number to arrays",
          "gradcheck:central_difference": "Forward: two ways to measure a slope",
          "gradcheck:entry_slope": "The best step"}),
    Task("02-patches", pair("patches"), 40,
         {"": "Reshape, transpose, reshape", "layers.patches:backward": "Through the cutting"}),
    Task("03-class-token", pair("class_token", "position_2d"), 40, {}),
    Task("04-linear", pair("linear"), 40,
         {"": "The linear layer", "layers.linear:backward": "Backward, index by index"}),
    Task("04-softmax-cross-entropy", pair("softmax", "cross_entropy"), 75,
         {"layers.softmax:forward": "Softmax",
          "layers.softmax:backward": "Backward, step by step",
          "layers.cross_entropy:forward": "Cross-entropy",
          "layers.cross_entropy:backward": "Backward, fused"}),
    Task("05-layernorm", pair("layernorm"), 60,
         {"": "Forward", "layers.layernorm:backward": "Backward, path by path"}),
    Task("06-gelu", pair("gelu", "mlp"), 60,
         {"layers.gelu:forward": "Forward, in two forms",
          "layers.gelu:backward": "Backward, line by line", "": "The MLP"}),
    Task("07-one-head", pair("dot_product_attention"), 75,
         {"": "Forward", "layers.dot_product_attention:backward": "Backward, step by step"}),
    Task("08-many-heads", ("layers.heads:split", "layers.heads:merge", *pair("attention")), 75,
         {"layers.heads:split": "Reshape and transpose", "layers.heads:merge": "Merge and project",
          "layers.attention:forward": "Forward with shapes",
          "layers.attention:backward": "Backward, step by step"}),
    Task("09-block", pair("block"), 60,
         {"": "The block",
          "layers.block:backward": "The backward of the whole block, on one page"}),
    Task("10-adamw", ("optim:adamw",), 40, {"": "AdamW, derived"}),
    Task("13-positions", ("positions:linear", "positions:resize"), 40,
         {"": "Forward: two small matrices"}),
)


def stem(module):
    """Return the last part of a module's name: "layernorm" of "layers.layernorm"."""
    return module.rpartition(".")[2]


VARIANTS = tuple(
    Task(name, tuple(f"drawn.{one}:{side}" for one in variants
                     for side in ("forward", "backward")), minutes, {}, drawn=True)
    for name, minutes, variants in (
        ("03-variant", 30, ("sum_pooling", "gated_pooling")),
        ("04-variant", 40, ("confidence_penalty", "focal_loss")),
        ("05-variant", 45, ("rmsnorm", "weighted_norm")),
        ("06-variant", 30, ("quick_gelu", "mish")),
        ("07-variant", 60, ("relative_bias", "capped_attention")),
        ("08-variant", 75, ("shared_key", "talking_heads")),
        ("09-variant", 45, ("post_norm", "parallel_block"))))
BUGS = tuple(Task(name, ("network:forward", "network:backward"), 20, {}, drawn=True,
                  bug=name[3:].removesuffix("-bug").replace("-", "_"))
             for name in dict.fromkeys(planting.planted()[1]))
EXERCISES = TASKS + VARIANTS + BUGS


def source_of(module):
    """Return the text that answers about a module come from: the library's, or the one given."""
    if module != "network" and not module.startswith("drawn."):
        return library_text(module)
    page = HERE / ("network.md" if module == "network" else f"variants/{stem(module)}.md")
    return re.search(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"),
                     re.MULTILINE | re.DOTALL)[1]


def find(name):
    """Return the Task of this name. Raises Error for an unknown one."""
    for task in EXERCISES:
        if task.name == name:
            return task
    names = [task.name for task in EXERCISES]
    close = difflib.get_close_matches(name.lower(), names, 1)
    close = [other for other in names if other.startswith(f"{name:0>2}-")] or close or [
        other for other in names if name.lower() in other]
    if close:
        raise Error(f"there is no task {name!r}; did you mean {' or '.join(close[:2])}? (`start "
                    "list` lists all)")
    raise Error(f"there is no task {name!r}; possible are {', '.join(names)}")


def points(path=POINTS):
    """Return a dict task → points, from a table that the teacher may edit.

    Raises Error for a table with another head, an unknown task, or points that are no number.
    """
    with refusing(f"{path} cannot be read", "give a table with the line task,points at its head"):
        text = Path(path).read_text(encoding="utf-8-sig")
    rows = [[cell.strip() for cell in row] for row in csv.reader(
        text.splitlines(), delimiter=";" if ";" in text.partition("\n")[0] else ",")]
    rows = [row for row in rows if any(row)]
    if not rows or rows[0] != ["task", "points"]:
        raise Error(f"{path} does not begin with the line task,points")
    table = {}
    for row in rows[1:]:
        if len(row) != 2 or not re.fullmatch(r"\d+([.,]\d+)?", row[1]):
            raise Error(f"{path}: the line {','.join(row)!r} is not a task and its points")
        table[find(row[0]).name] = float(row[1].replace(",", "."))
    return table


def text(task):
    """Return what is said of a task when it is started: all that stands before its hints."""
    if task.bug:
        return (HERE / "network.md").read_text(encoding="utf-8").partition("```")[0].strip()
    if task.drawn:
        return (HERE / "variants" / "README.md").read_text(encoding="utf-8").strip()
    return written(task).partition("## Hint 1")[0].strip()


def hint(task, level):
    """Return a hint to a task; level 1, 2 or 3, from a nudge to all but the solution.

    Raises Error for another level, and for an exercise without hints.
    """
    if task.drawn:
        raise Error(f"{task.name} has no hints: `check` tells which number is wrong, and where")
    found = re.search(rf"^## Hint {level}\n(.*?)(?=^## |\Z)", written(task),
                      re.MULTILINE | re.DOTALL)
    if not found:
        raise Error(f"there is no hint of level {level}; possible are 1, 2 and 3")
    return found.group(1).strip()


def written(task):
    """Return the text of a task's file."""
    return (HERE / f"{task.name}.md").read_text(encoding="utf-8")


def place(task, function):
    """Return where the book derives a function: file, line and heading; "" if it is not written."""
    paths = sorted(CHAPTERS.glob(f"{task.name[:2]}_*.md"))
    if not paths:
        return ""
    wanted = task.headings.get(function, task.headings.get(""))
    side = "Backward" if function.endswith(":backward") else "Forward"
    for number, line in enumerate(paths[0].read_text(encoding="utf-8").splitlines(), start=1):
        title = line.lstrip("#").strip()
        if line.startswith("##") and (title == wanted if wanted else title.startswith(side)):
            return f"tutorials/{paths[0].name}, line {number}: {title}"
    return f"tutorials/{paths[0].name}"
