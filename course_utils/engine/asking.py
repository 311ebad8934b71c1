"""What a question is, and how it is put and judged: the same in a notebook and in grading.

A question stands once, in its exercise's ``questions.py``. In the notebook it is asked with a
public seed, in grading with secret ones; inputs are made anew from the seed, the rules stay.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import importlib.util
import json
import math
import pickle
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

LARGEST_STATE = 24 << 20  # bytes of a model that is moved
PUBLIC = "public"  # the seed of the questions asked in a notebook


class Wrong(Exception):
    """A rule is not met: what was judged, what was expected, what came, and the likely cause.

    As a text, for a feedback page, it does not tell an expected value.
    """

    def __init__(self, what: str, expected: object = None, got: object = None, cause: str = ""):
        self.what, self.expected, self.got, self.cause = what, expected, got, cause
        parts = [what]
        if (
            expected is not None
        ):  # in grading the inputs are secret, so the value that they lead to is not told
            wanted = f"expected {expected}" if isinstance(expected, str) else "not as expected"
            parts = [f"{what}: {wanted}, got {short(got)}"]
        super().__init__(". ".join([*parts, *([f"Likely cause: {cause}"] if cause else [])]))


class NotWritten(Wrong):
    """A function is as it was handed out."""


@dataclass(frozen=True)
class Question:
    """One question, and the rules by which its answer is judged.

    Args:
        name: as in ``check(name, …)``.
        given: random generator -> inputs: a dict of numbers, texts and tensors. Those whose name
            begins with an underscore are for the rules alone.
        ask: functions ``ask(student, given) -> dict``; ``student.f`` is the notebook's ``f``, or
            ``student`` is what ``prepare`` returned. In grading each runs in a process of its own.
        rules: rule -> points. A rule is a function ``rule(given, answers, expected)`` that raises
            ``Wrong`` or returns; the first line of its docstring tells a student what it asks.
            ``answers`` holds one dict for each function of ``ask``.
        expected: given -> dict of the right answers, and under "mistakes" of known wrong ones,
            {answer: {cause: value}}. It stays with the author and the grader.
        needs: the notebook's names that are asked, ``(name,)`` unless told otherwise.
        prepare: ``prepare(student, given) -> state``, run once before all of ``ask`` (a training,
            for instance).
        apart: nothing may pass from one of ``ask`` to another, and from ``prepare`` only what it
            returned: each gets a copy of that, made before any input of ``ask`` is shown. In
            grading each runs in a box of its own. The copy's size is added to the answers.
        then: ``then(step, given, answers) -> given`` makes a step's inputs, from earlier answers
            and from what ``prepare`` must not see.
        measure: ``measure(given, answers) -> (value, limit)`` where a rule has a margin.
        seconds: for all of it, in grading.
    """

    name: str
    given: Callable
    ask: tuple[Callable, ...]
    rules: dict[Callable, float]
    expected: Callable = lambda given: {}
    needs: tuple[str, ...] = ()
    prepare: Callable | None = None
    apart: bool = False
    then: Callable | None = None
    measure: Callable | None = None
    seconds: float = 60

    @property
    def points(self) -> float:
        return sum(self.rules.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The notebook's names that it asks."""
        return self.needs or (self.name,)

    @property
    def cell(self) -> str:
        """nbgrader's name of the cell in which the question is asked."""
        return f"check_{self.name}"


@dataclass
class Verdict:
    """What came of one rule."""

    rule: str
    worth: float
    wrong: Wrong | None = None

    @property
    def points(self) -> float:
        return 0.0 if self.wrong else self.worth


class NoAnswer(dict):
    """Stands for an answer that did not come; whoever looks into it learns why."""

    def __init__(self, wrong: Wrong):
        self.wrong = wrong

    def __missing__(self, name: str):
        raise self.wrong

    def get(self, name: str, default: object = None):
        raise self.wrong


def random_for(seed: str, question: str) -> torch.Generator:
    """The generator from which a question's inputs are drawn."""
    digest = hashlib.sha256(f"{seed}/{question}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def put(question: Question, given: dict, ask_one: Callable[[Callable, dict], dict]) -> list[dict]:
    """Ask the question's steps one after another: ``ask_one(function, inputs)`` returns an answer
    or raises ``Wrong``."""
    answers: list[dict] = []
    for step, function in enumerate(question.ask):
        try:
            inputs = question.then(step, given, answers) if question.then else given
            answers.append(ask_one(function, inputs))
        except Wrong as wrong:
            answers.append(NoAnswer(wrong))
    return answers


def put_here(question: Question, given: dict, student: object, seed: int = 0) -> list[dict]:
    """Ask it in this process. An exception of the student's own code, or of what it returned,
    becomes ``Wrong``."""
    inputs = copy.deepcopy({name: value for name, value in given.items() if name[0] != "_"})
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = question.prepare(student, inputs) if question.prepare else student
        left = to_bytes(state) if question.apart else b""
    except Exception as error:
        wrong = explain(error)
        return [NoAnswer(wrong) for _ in question.ask]

    def ask_one(function: Callable, inputs: dict) -> dict:
        try:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                answer = function(
                    pickle.loads(left) if left else state,
                    copy.deepcopy(
                        {name: value for name, value in inputs.items() if name[0] != "_"}
                    ),
                )
        except Exception as error:
            raise explain(error) from error
        answer = {
            name: value.detach() if isinstance(value, Tensor) else value
            for name, value in answer.items()
        }
        return {**answer, "bytes": len(left)} if left else answer

    return put(question, given, ask_one)


def to_bytes(state: object) -> bytes:
    """A model as it is moved to another process, with the classes and functions that it is made
    of."""
    try:
        import cloudpickle
    except ImportError:  # an older joblib has it inside
        from joblib.externals import cloudpickle
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).parent == Path.cwd():  # a student's own file goes along
            with contextlib.suppress(ValueError):
                cloudpickle.register_pickle_by_value(module)
    data = cloudpickle.dumps(state)
    if len(data) > LARGEST_STATE:
        raise ValueError(f"it takes {len(data) >> 20} MiB, at most {LARGEST_STATE >> 20} are moved")
    return data


def judge(question: Question, given: dict, answers: list[dict], expected: dict) -> list[Verdict]:
    """A verdict for each rule; whatever goes wrong in judging an answer is the answer's fault."""
    verdicts = []
    for rule, points in question.rules.items():
        verdicts.append(Verdict((rule.__doc__ or rule.__name__).split("\n")[0].rstrip("."), points))
        try:
            rule(given, answers, expected)
        except Wrong as wrong:
            verdicts[-1].wrong = wrong
        except Exception as error:
            problem = f"{type(error).__name__}: {str(error)[:200]}"
            verdicts[-1].wrong = Wrong(
                f"the answer has not the form that was asked for ({problem})"
            )
    return verdicts


# what rules are made of


def tensor(answer: dict, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
    """A finite float64 tensor of the answer, or ``Wrong``."""
    value = answer.get(name)
    if not isinstance(value, Tensor):
        raise Wrong(name, "a tensor", type(value).__name__)
    if shape is not None and tuple(value.shape) != shape:
        raise Wrong(f"{name}: its shape", shape, tuple(value.shape))
    value = value.to(torch.float64)
    if not bool(torch.isfinite(value).all()):
        raise Wrong(f"{name}: some values are not finite numbers")
    return value


def number(answer: dict, name: str) -> float:
    """A finite number of the answer, or ``Wrong``."""
    value = plain(answer.get(name))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Wrong(name, "a number", value)
    return float(value)


def expect(
    answer: dict,
    name: str,
    expected: dict,
    what: str = "",
    tolerance: float = 1e-4,
    likely: str = "",
) -> None:
    """``Wrong`` unless ``answer[name]`` is ``expected[name]``; a known mistake, or else ``likely``,
    is named as the cause.

    Args:
        what: the answer in words.
        tolerance: relative, for numbers.
    """
    got, right = plain(answer.get(name)), plain(expected[name])
    if same(got, right, tolerance):
        return
    mistakes = expected.get("mistakes", {}).get(name, {})
    cause = next(
        (cause for cause, value in mistakes.items() if same(got, plain(value), tolerance)), likely
    )
    raise Wrong(what or name, right, got, cause)


def same(got: object, expected: object, tolerance: float = 1e-4) -> bool:
    """Whether two plain values agree: numbers within the tolerance, lists and tuples part by part,
    all else exactly."""
    if isinstance(expected, bool) or isinstance(got, (bool, str)):
        return type(got) is type(expected) and got == expected
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        return math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance * 1e-2)
    if isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)):
        return len(got) == len(expected) and all(
            same(a, b, tolerance) for a, b in zip(got, expected)
        )
    return type(got) is type(expected) and got == expected


def plain(value: object) -> object:
    """Tensors, arrays and their numbers as Python's own, however deep they lie in lists, tuples and
    dicts."""
    if hasattr(value, "tolist"):
        return value.detach().tolist() if isinstance(value, Tensor) else value.tolist()
    if isinstance(value, (list, tuple)):
        return (
            type(value)(map(plain, value))
            if type(value) in (list, tuple)
            else tuple(map(plain, value))
        )
    return {key: plain(part) for key, part in value.items()} if isinstance(value, dict) else value


def short(value: object) -> str:
    """A value in at most 160 characters."""
    value = plain(value)
    if isinstance(value, float):
        return f"{value:.5g}"
    text = value if isinstance(value, str) else repr(value)
    if isinstance(value, (list, tuple)) and any(isinstance(part, float) for part in value):
        text = "[" + ", ".join(short(part) for part in value) + "]"
    return text if len(text) <= 160 else text[:157] + "…"


def explain(error: BaseException) -> Wrong:
    """An exception in words: where it arose in the notebook, or that what the notebook returned
    cannot be used."""
    if isinstance(error, Wrong):
        return error
    message = f"{type(error).__name__}: {str(error)[:300]}"
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, NotImplementedError) and not str(error) and frames:
        return NotWritten(f"{frames[-1].name} is not written yet")
    cells = ("ipykernel", "<ipython-input", "<stdin>", "<string>")  # names of a notebook's cells
    own = [f for f in frames if any(cell in f.filename for cell in cells)]
    own = [f for f in own if "site-packages" not in f.filename]
    if own:
        line = f": {own[-1].line}" if own[-1].line else ""
        return Wrong(
            f"your code stopped in {own[-1].name}, line {own[-1].lineno}{line}\n     {message}"
        )
    return Wrong(
        f"what your function returned cannot be used as the task asks ({message})",
        cause="its type or its shape",
    )


# files


class _FromSource(SourceFileLoader):
    """Compiles what stands in the file now: Python's cache takes a file of the same length and the
    same second for the one before."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def load(path: Path) -> ModuleType:
    """A Python file as a module, by its path: names of exercises begin with digits."""
    name = f"{path.parent.name}/{path.stem}"
    loader = _FromSource(name, str(path))  # whatever the file's ending is
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None or not path.exists():
        raise FileNotFoundError(f"there are no questions at {path}")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def store(path: Path, questions: Iterable[Question]) -> None:
    """Write the expected answers to the public seed, as values that hold no way to them."""
    expected = {
        question.name: question.expected(question.given(random_for(PUBLIC, question.name)))
        for question in questions
    }
    lines = [
        f"{json.dumps(name)}: {json.dumps(answers, default=_to_json)}"
        for name, answers in expected.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read(path: Path) -> dict[str, dict]:
    """What ``store`` wrote: question -> expected answers."""
    return json.loads(path.read_text(encoding="utf-8"), object_hook=_from_json)


def _to_json(value: object) -> object:
    if isinstance(value, Tensor) and value.dim():
        return {"tensor": base64.b64encode(save_tensors({"": value.contiguous()})).decode()}
    return plain(value)


def _from_json(value: dict) -> object:
    return (
        load_tensors(base64.b64decode(value["tensor"]))[""] if set(value) == {"tensor"} else value
    )
