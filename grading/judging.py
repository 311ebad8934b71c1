"""Hidden questions: what is asked of the student's process, and how the answer is judged in this one.

A question has three parts, kept apart on purpose:

- ``given(random)`` makes the inputs here, from a secret seed, so that no notebook can know them beforehand;
- ``asking`` is source text that runs in the student's process: it calls the student's functions on those inputs and returns what came
  out. It holds no expected value and no assertion, so there is nothing in it to blank, patch or read;
- ``judge(given, answers)`` runs here, where no student's code ever ran, on plain numbers and tensors. It raises ``Wrong`` or returns.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import inspect
import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor


class Wrong(Exception):
    """The answer is not right; the message tells the student what was expected, what came and the likely cause."""


@dataclass(frozen=True)
class Question:
    """One automatically graded question; ``name`` is the grade_id of its check cell.

    Args:
        given: random generator -> inputs (numbers, texts, tensors), sent to the student's process.
        ask: functions ``ask(state, given) -> dict``, each run in a fresh fork; ``state`` is the student's notebook, or what ``prepare`` made of it.
        judge: ``judge(given, answers)``; ``answers`` holds one dict for each function of ``ask``.
        prepare: ``prepare(student, given) -> state``, run once before all of ``ask`` (training, for instance).
        then: ``then(step, given, answers) -> given`` makes the inputs of a later step from earlier answers; by default they stay the same.
        measure: ``measure(given, answers) -> (value, limit)`` of a question with a margin; ``margins.py`` tells how far honest answers are from it.
        seconds: for all of it.
    """

    name: str
    given: Callable
    ask: tuple[Callable, ...]
    judge: Callable
    prepare: Callable | None = None
    then: Callable | None = None
    measure: Callable | None = None
    seconds: float = 60


def pack(values: dict) -> dict:
    """What is sent to the student's process: all inputs but those whose name begins with an underscore, which are the judge's own."""
    values = {name: value for name, value in values.items() if not name.startswith("_")}
    tensors = {name: value.contiguous() for name, value in values.items() if isinstance(value, Tensor)}
    plain = {name: value for name, value in values.items() if name not in tensors}
    return {"plain": plain, "tensors": base64.b64encode(save(tensors)).decode() if tensors else ""}


def unpack(message: dict) -> dict:
    """An answer as it came; raises Wrong on anything that is not numbers, texts and tensors."""
    try:
        plain = message.get("plain") or {}
        tensors = load(base64.b64decode(message["tensors"], validate=True)) if message.get("tensors") else {}
        json.dumps(plain)
        return {**plain, **tensors}
    except Exception:
        raise Wrong("the answer could not be read") from None


def source_of(question: Question) -> str:
    """The text that goes into the student's process: only ``prepare`` and ``ask``."""
    functions = [*question.ask, *([question.prepare] if question.prepare else [])]
    parts = []
    for function in functions:
        text = textwrap.dedent(inspect.getsource(function))
        parts.append(text.replace(f"def {function.__name__}(", "def prepare(", 1) if function is question.prepare else text)
    return "\n\n".join(parts)


def random_for(secret: str, question: str) -> torch.Generator:
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"{secret}/{question}".encode()).digest()[:7], "big"))


def module_name(exercise: str) -> str:
    return f"{'_' if exercise[:1].isdigit() else ''}{exercise}"


def questions(exercise: str) -> list[Question]:
    """The hidden questions of an exercise, from ``grading/checks``."""
    return importlib.import_module(f"grading.checks.{module_name(exercise)}").QUESTIONS


def hidden(exercise: str, name: str, notebook: dict) -> str:
    """Ask and judge in one process: for an author's own run of the solution, where nobody cheats."""
    question = next(q for q in questions(exercise) if q.name == name)

    class Names:
        def __getattr__(self, attribute):
            return notebook[attribute]

    given = question.given(random_for("author", name))
    torch.manual_seed(0)
    state = question.prepare(Names(), given) if question.prepare else Names()
    answers = []
    for step, ask in enumerate(question.ask):
        asked = question.then(step, given, answers) if question.then and step else given
        asked = unpack(pack(asked))
        answers.append({key: value.detach() if isinstance(value, Tensor) else value for key, value in ask(state, asked).items()})
    judge(question, given, answers)
    return f"hidden check passed: {name}"


def judge(question: Question, given: dict, answers: list[dict]) -> None:
    """Raises Wrong if the answers are; whatever else goes wrong in judging them is the answers' fault, too."""
    try:
        question.judge(given, answers)
    except Wrong:
        raise
    except Exception as error:
        raise Wrong(f"the answer has not the form that was asked for ({type(error).__name__}: {str(error)[:200]})") from None


def tensor(answer: dict, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
    """A finite float tensor of the answer, or Wrong."""
    value = answer.get(name)
    if not isinstance(value, Tensor):
        raise Wrong(f"{name}: expected a tensor, got {type(value).__name__}")
    if shape is not None and tuple(value.shape) != shape:
        raise Wrong(f"{name}: expected the shape {shape}, got {tuple(value.shape)}")
    value = value.to(torch.float64)
    if not bool(torch.isfinite(value).all()):
        raise Wrong(f"{name}: some values are not finite numbers")
    return value


def number(answer: dict, name: str) -> float:
    """A finite number of the answer, or Wrong."""
    value = answer.get(name)
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) == float("inf"):
        raise Wrong(f"{name}: expected a number, got {str(value)[:40]!r}")
    return float(value)


def close(what: str, got: float, expected: float, relative: float = 1e-3, absolute: float = 1e-7, causes: dict[str, float] | None = None) -> None:
    """Raise Wrong unless ``got`` is close to ``expected``; name the mistake whose value it hits instead."""
    if abs(got - expected) <= relative * abs(expected) + absolute:
        return
    for cause, value in (causes or {}).items():
        if abs(got - value) <= relative * abs(value) + absolute:
            raise Wrong(f"{what}: not the expected value. Likely cause: {cause}")
    raise Wrong(f"{what}: not the expected value ({got:.5g})")
