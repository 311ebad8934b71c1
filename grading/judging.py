"""The grader's side of a question: which there are, what is sent into the box, and what may come
out of it.

What a question is, and how it is put and judged, stands in ``course_utils/engine/asking.py``: a
notebook's check asks the same. Judging happens here, where no student's code ever ran, on plain
numbers and tensors. Encoder and decoder run in boxes of their own, and exam images are bent, so
that no search of the data set finds them.

What cannot be closed, since the data are public: exercise 6's *few labels* may know more labels
than the hundred that it was given, as long as it gains no more points over pixels than ``TOO_GOOD``
allows; exercise 7's linear autoencoder may be PCA's components, turned, instead of a trained one.
What a process says of itself, as the modes in exercise 3, is a claim.
"""

from __future__ import annotations

import base64
import functools
import inspect
import json
import textwrap
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from course_utils.engine import asking
from course_utils.engine.asking import Question, Wrong

ROOT = Path(__file__).resolve().parents[1]


def path_of(exercise: str) -> Path:
    """Where an exercise's questions stand."""
    return ROOT / "lessons" / exercise / "questions.py"


@functools.cache
def questions(exercise: str) -> tuple[Question, ...]:
    """The questions of an exercise, in the order of its tasks."""
    return tuple(asking.load(path_of(exercise)).QUESTIONS)


def pack(values: dict) -> dict:
    """What is sent into the box: all inputs but those whose name begins with an underscore."""
    values = {name: value for name, value in values.items() if not name.startswith("_")}
    tensors = {
        name: value.contiguous() for name, value in values.items() if isinstance(value, Tensor)
    }
    plain = {name: value for name, value in values.items() if name not in tensors}
    return {"plain": plain, "tensors": base64.b64encode(save(tensors)).decode() if tensors else ""}


def unpack(message: dict) -> dict:
    """An answer as it came; raises Wrong on anything that is not numbers, texts and tensors."""
    try:
        plain = message.get("plain") or {}
        raw = message.get("tensors")
        tensors = load(base64.b64decode(raw, validate=True)) if raw else {}
        json.dumps(plain)
        return {**plain, **tensors}
    except Exception:
        raise Wrong("the answer could not be read") from None


def source_of(question: Question) -> str:
    """The text that goes into the box: only ``prepare`` and ``ask``, no rule and no answer."""
    parts = [textwrap.dedent(inspect.getsource(function)) for function in question.ask]
    if question.prepare:
        text = textwrap.dedent(inspect.getsource(question.prepare))
        parts.append(text.replace(f"def {question.prepare.__name__}(", "def prepare(", 1))
    return "\n\n".join(parts)
