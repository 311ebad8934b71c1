"""By what a function or an object is known again tomorrow: what it does and all that it holds.

What was kept of an old training may only be used again if loss, corruptor and builder are the same
as they were then. A name does not say that: ``denoising`` with another corruptor is another loss,
and a cell that was repaired has the name it had before.

(joblib's hash and cloudpickle's bytes were tried: both differ for equal things in two processes.)
"""

from __future__ import annotations

import builtins
import dis
import functools
import hashlib
import inspect
import re
import sys
import uuid
from collections.abc import Iterable
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn, uint8

PLAIN = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis))
UNKNOWN = "unknown: "


def describe(thing: Any, inside: tuple[Any, ...] = ()) -> str:
    """A text that changes with what ``thing`` does.

    Of a function it holds the bytecode, the defaults, what its closure holds, and in the same way
    the functions and values of its own module that it uses; of an object its class and what pickle
    would keep; of a tensor the shape and a hash of all its bytes. Comments do not count, and of a
    library's own functions the name is enough. What is ``inside`` is not looked at.

    Where a thing cannot be known (a generator, an open file) the text is another one at each call.
    """
    return _Text(inside).of(thing)


def mark(thing: Any, inside: tuple[Any, ...] = ()) -> str:
    """`describe`, in few letters; begins with ``UNKNOWN`` where it cannot be known."""
    text = describe(thing, inside)
    _, unknown, rest = text.partition(UNKNOWN)
    return f"{UNKNOWN}{rest.split('.')[0]}.{uuid.uuid4()}" if unknown else digest(text.encode())


def printed(thing: Any) -> str:
    """As print shows it, without its address, which is another one in each process."""
    return re.sub(r" at 0x\w+", "", repr(thing))


def digest(content: Any) -> str:
    """A hash of bytes, or of an array's bytes."""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def digest_of(tensor: Tensor) -> str:
    """Its shape, and a hash of every number in it."""
    values = tensor.detach().cpu().contiguous().reshape(-1)
    if values.is_conj() or values.is_neg():
        values = values.resolve_conj().resolve_neg()
    return f"{tuple(tensor.shape)} {tensor.dtype} {digest(values.view(uint8).numpy())}"


class _Text:
    """One description; what comes again in it is named by its number."""

    def __init__(self, inside: tuple[Any, ...]):
        self.seen: dict[int, tuple[int, Any]] = {id(thing): (-1, thing) for thing in inside}

    def of(self, thing: Any) -> str:
        if isinstance(thing, PLAIN):
            return repr(thing)
        if id(thing) in self.seen:
            return f"#{self.seen[id(thing)][0]}"
        self.seen[id(thing)] = len(self.seen), thing  # held, so that its id stays its own
        if isinstance(thing, Tensor):
            return f"{digest_of(thing)} {thing.requires_grad}"
        if type(thing) in (list, tuple):
            return self._all(thing)
        if type(thing) in (set, frozenset):
            return self._all(sorted(thing, key=lambda one: describe(one)))
        if type(thing) is dict:
            return self._all(pair for item in thing.items() for pair in item)
        if isinstance(thing, CodeType):
            names = (thing.co_names, thing.co_varnames, thing.co_freevars)
            return f"{thing.co_code.hex()} {names} {self._all(thing.co_consts)}"
        if isinstance(thing, ModuleType):
            return thing.__name__
        if inspect.isclass(thing):
            return f"{thing.__module__}.{thing.__qualname__} {self._all(_defined(thing))}"
        if inspect.ismethod(thing):
            return self._all((thing.__self__, thing.__func__))
        if isinstance(thing, FunctionType):
            code = "" if _foreign(thing.__module__) else self.of(thing.__code__)
            return f"{thing.__module__}.{thing.__qualname__} {code} {self._all(_held(thing))}"
        if isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
            content = digest(np.ascontiguousarray(thing).reshape(-1).view(np.uint8))
            return f"{thing.shape} {thing.dtype} {content}"
        return f"{type(thing).__name__} {self._kept(thing)}"

    def _kept(self, thing: Any) -> str:
        """What pickle would keep of it."""
        wrapped = getattr(thing, "__wrapped__", None)  # of a cached function, for instance
        if wrapped is not None:
            return self.of(wrapped)
        try:
            kept = thing.__reduce_ex__(4)
        except Exception:  # any class may have its own reasons
            if isinstance(thing, np.ufunc):
                return thing.__name__
            return (
                self._all((type(thing), vars(thing))) if hasattr(thing, "__dict__") else _new(thing)
            )
        if isinstance(kept, str):
            return f"{getattr(thing, '__module__', '')}.{kept}"
        # Items of lists and dictionaries come as iterators.
        parts = [list(part) if hasattr(part, "__next__") else part for part in kept]
        return self._all(parts)

    def _all(self, parts: Iterable[Any]) -> str:
        return "[" + ", ".join(map(self.of, parts)) + "]"


def _new(thing: Any) -> str:
    return f"{UNKNOWN}{type(thing).__name__}.{uuid.uuid4()}"


@functools.lru_cache
def _foreign(module: str | None) -> bool:
    """Whether it is a library's, whose name says enough."""
    top = (module or "builtins").partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    ours = top in ("course_utils", "__main__")
    return not ours and ("site-packages" in file or "dist-packages" in file)


def _held(function: Any) -> Iterable[Any]:
    """Defaults, closure, and what it uses of its module."""
    yield function.__defaults__
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            yield None
    if _foreign(function.__module__):
        return
    globally, attributes = _names(function.__code__)
    for name in sorted(globally):
        value = function.__globals__.get(name, getattr(builtins, name, None))
        yield name
        yield value
        if isinstance(value, ModuleType) and not _foreign(value.__name__):
            yield from (vars(value).get(attribute) for attribute in sorted(attributes))


def _names(code: CodeType) -> tuple[set[str], set[str]]:
    """The names that it takes from its module, and all others; inside its inner functions, too."""
    steps = dis.get_instructions(code)
    globally = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    others = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = _names(constant)
            globally, others = globally | inner[0], others | inner[1]
    return globally, others


def _defined(kind: type) -> Iterable[Any]:
    """The methods and attributes of a class and of those it inherits from."""
    for base in kind.__mro__:
        if _foreign(base.__module__):
            continue
        for name, value in vars(base).items():
            value = getattr(value, "__func__", getattr(value, "fget", value))
            made = isinstance(value, FunctionType) and value.__code__.co_filename == "<string>"
            if isinstance(value, FunctionType) and not made:  # a dataclass makes some
                yield value
            elif not name.startswith("_"):
                yield name
                yield value


def parts_of(model: nn.Module) -> dict[str, Any]:
    """What a model is, but for its weights: the class and the own attributes of each part.

    Left out is the mode, since ``fit`` leaves it another one than it found.
    """
    without = ("_parameters", "_buffers", "_modules", "training")
    return {
        name: (type(part), {key: value for key, value in vars(part).items() if key not in without})
        for name, part in model.named_modules()
    }
