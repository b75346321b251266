"""Check a task: run the student's functions in a child process, and judge here what they return."""

from dataclasses import dataclass, replace
from pathlib import Path

from tutorials.assignments import sandbox, tasks
from tutorials.assignments.checking import faults, oracles
from tutorials.assignments.checking.faults import Fault
from tutorials.assignments.sandbox import Call, Ref, package_copy
from tutorials.assignments.tasks import drawing
from vitnp.errors import Error

NEEDED = {"other backward": "other", "late": "other"}   # the forward that is needed, if not its own
SECONDS = 20.0      # for all calls of a task; the library needs well under one


@dataclass(frozen=True)
class Verdict:
    """What is said of one function, such as "layernorm:backward".

    passed: None where it is not written yet or could not be judged; kinds: the kinds of mistake
    that the message names.
    """

    function: str
    passed: bool | None
    message: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What is said of one task; status is "passed", "wrong", "unwritten" or "missing"."""

    task: str
    status: str
    verdicts: tuple[Verdict, ...] = ()
    note: str = ""
    printed: str = ""

    @property
    def passed(self):
        """True where every function is right."""
        return self.status == "passed"

    @property
    def share(self):
        """The share of the functions that are right, from 0 to 1."""
        return sum(verdict.passed is True for verdict in self.verdicts) / max(len(self.verdicts), 1)

    @property
    def message(self):
        """All messages, as lines of text."""
        told = [f"{verdict.function}: {verdict.message}" for verdict in self.verdicts
                if verdict.message]
        return "\n".join(([self.note] if self.note else []) + told)


def check_task(name, sources, seed=0, isolation="none"):
    """Return the Report on a task.

    sources: a dict file name → text, such as "layernorm.py"; where one of the task's files is not
    there, the others are judged. seed: which values and sizes are drawn; isolation: see
    sandbox.run. Raises Error for an unknown task.
    """
    task = tasks.find(name)
    verdicts, printed, missing, modules = [], "", [], task.modules
    if task.drawn:
        modules, refusal = drawing.drawn_modules(task, sources)
        if refusal:
            return Report(name, "wrong", note=refusal)
    for module in modules:
        file = task.file_of(module)
        if file in sources:
            found, text = check_module(task, module, sources[file], seed, isolation)
            verdicts, printed = verdicts + found, printed + text
        else:
            missing.append(f"{file} is not there")
            verdicts += [Verdict(short(f"{module}:{function}"), None, missing[-1])
                         for function in task.functions_of(module)]
    if task.drawn:          # what was given earns nothing
        verdicts = [verdict for verdict in verdicts
                    if not (verdict.passed and verdict.function.endswith(":forward"))]
    if len(missing) == len(modules):
        return Report(name, "missing", note="; ".join(missing))
    return Report(name, status_of(verdicts, bool(missing)), tuple(verdicts), "; ".join(missing),
                  printed)


def check_module(task, module, text, seed, isolation):
    """Return the Verdicts on the functions of one file, and what it printed.

    The child has this file in the library's place, and no other file of the student's: a layer is
    not called wrong because of another one.
    """
    answers = oracles.answers(module, seed)
    calls = plan(answers)
    outcome = sandbox.run({package_copy.path_of(f"vitnp.{module}"): text}, list(calls.values()),
                          SECONDS, isolation=isolation, helpers=helpers(calls))
    results = dict(zip(calls, outcome.results, strict=False))
    functions = [f"{module}:{name}" for name in task.functions_of(module)]
    if outcome.status != "ok" and not results:
        stopped = Verdict(short(functions[0]), False, outcome.message)
        return [stopped, *(Verdict(short(one), None) for one in functions[1:])], outcome.printed
    return judge(task, functions, answers, calls, results, outcome), outcome.printed


def short(function):
    """Return a function's name in messages: "linear:forward" of "layers.linear:forward"."""
    return function.removeprefix("layers.")


def read_folder(folder):
    """Return the Python files of a folder, a dict file name → text."""
    if Path(folder).is_file():
        raise Error(f"{folder} is a file; give the folder that it is in, {Path(folder).parent}")
    if not Path(folder).is_dir():
        raise Error(f"there is no folder {folder}; `start` makes it")
    sources = {}
    for path in sorted(Path(folder).glob("*.py")):
        try:
            sources[path.name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise Error(f"{path} is not text in UTF-8; save it so") from None
        except OSError as error:
            raise Error(f"{path} cannot be read: {error.strerror or error}; it should be a file "
                        "that you may read") from None
    return sources


@dataclass(frozen=True)
class Step:
    """One call of a check: about which question (its number), in which form, and what it is.

    what: "forward"; "prepare" (the same, and what it returns is kept), "entry" (what the cache must
    hold), "backward" and "again" (the same backward once more). With the first question about a
    function: "other" and "other backward" (other values in the same shapes), then "late" (the first
    backward once more) and "returned" (what the first forward returned, looked at again).
    """

    number: int
    form: str
    what: str


def plan(answers):
    """Return the calls of a check in order, a dict Step → Call.

    All forwards come before the first backward, so that they are judged whatever becomes of it.
    """
    calls = {Step(number, form, "forward"): forward_call(answer, form)
             for number, answer in enumerate(answers) for form in answer.question.forms}
    for first_step in list(calls):
        number, form = first_step.number, first_step.form
        answer, kept, plain = answers[number], f"{number} {form}", form == "plain"
        question = answer.question

        def add(what, call, number=number, form=form):
            calls[Step(number, form, what)] = call

        if question.called:
            continue                    # these work in place, and keep nothing
        add("prepare", replace(calls[first_step], keep=kept, send=()))
        if plain and question.entry:
            add("entry", look(Ref(kept, 1), *question.entry))
        backward = Call(f"vitnp.{question.call[0]}", question.backward or "",
                        [oracles.in_form(answer.dy, form), Ref(kept, 1)], layout=layout(form))
        if question.backward:
            add("backward", backward)
            if plain:
                add("again", backward)
        if plain and answer.other is not None:
            add("other", replace(forward_call(answer.other, form), keep="other"))
            if question.backward:
                add("other backward", replace(backward, arguments=[answer.dy, Ref("other", 1)]))
                add("late", backward)
            add("returned", look(Ref(kept, 0 if question.backward else None)))
    return calls


def look(place, *names):
    """Return the Call that looks at something kept in the child."""
    return Call("vitnp.exam_cache", "entry", [place, *names])


def forward_call(answer, form):
    """Return the Call of a forward; of what it returns with a cache, only y is sent."""
    module, function = answer.question.call
    return Call(f"vitnp.{module}", function, oracles.in_form(answer.question.positional, form),
                send=(0,) if answer.question.backward else None, layout=layout(form))


def layout(form):
    """Return how the arrays of a form lie in memory; see sandbox.Call."""
    return form if form in ("strided", "read-only") else "plain"


def helpers(calls):
    """Return the files of ours that the child needs, as a dict path → text; none tells an answer.

    The dropout without chance stands in place of the library's.
    """
    called = {call.module.removeprefix("vitnp.") for call in calls.values()}
    needed = {f"{name}.py": f"{name}.py" for name in called if name.startswith("exam_")}
    needed["layers/dropout.py"] = "fixed_dropout.py"
    return {path: Path(__file__).with_name(file).read_text(encoding="utf-8")
            for path, file in needed.items()}


def judge(task, functions, answers, calls, results, outcome):
    """Return the Verdict on each function of a module.

    A backward is judged in the cases whose forward is right, the plainest one among them.
    """
    unmade, verdicts = next((step for step in calls if step not in results), None), []
    spoilt = set()                      # Steps of a forward that is wrong there
    for function in functions:
        backward = function.endswith(":backward")
        steps = asked(function, answers, calls)
        if backward and replace(steps[0], what="forward") in spoilt:
            verdicts.append(Verdict(short(function), None, "not judged: forward comes first"))
            continue
        found = []
        for step in steps:
            if backward and replace(step, what=NEEDED.get(step.what, "forward")) in spoilt:
                continue
            try:
                if step == unmade:
                    raise Fault(outcome.message)
                if step in results:
                    faults.examine(answers[step.number], step, results[step],
                                   diagnose=not found and not task.bug)
                elif step.what in ("forward", "backward"):
                    raise Fault("not judged, since the check was stopped before", judged=False)
            except Fault as fault:
                found.append(fault)
                if fault.spoils:
                    spoilt.add(step)
                if backward:
                    break
        verdicts.append(verdict(task, function, found[0]) if found
                        else Verdict(short(function), True))
    return verdicts


def verdict(task, function, fault):
    """Return the Verdict for a Fault, with the place in the book.

    Where a planted bug is to be found, the numbers are told and the mistake is not named.
    """
    lines = [line for line in str(fault).split("\n")
             if not (task.bug and line.startswith("likely: "))]
    place = tasks.place(task, function)
    message = "\n".join(lines + ([f"see {place}"] if place and fault.judged else []))
    return Verdict(short(function), False if fault.judged else None, message, fault.kinds)


def asked(function, answers, calls):
    """Return the Steps that tell about a function, plain ones first."""
    module, _, name = function.partition(":")
    backward = name == "backward"
    judged = (module, "forward" if backward else name)
    kinds = (("backward", "again", "other backward", "late") if backward
             else ("forward", "entry", "other", "returned"))
    steps = [step for step in calls
             if step.what in kinds and answers[step.number].question.judged == judged]
    return sorted(steps, key=lambda step: (step.form != "plain", step.number,
                                           kinds.index(step.what)))


def status_of(verdicts, missing=False):
    """Return the status of a task from the Verdicts on its functions."""
    if all(verdict.passed for verdict in verdicts):
        return "passed"
    if any(verdict.passed is False for verdict in verdicts):
        return "wrong"
    return "missing" if missing else "unwritten"
