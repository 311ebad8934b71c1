"""By what a function or an object is known again tomorrow: its text and all that it holds.

What was kept of an old training may only be used again if loss, corruptor and builder are the same
as they were then. A name does not say that: ``denoising`` with another corruptor is another loss,
and a cell that was repaired has the name it had before.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import inspect
import re
from collections.abc import Iterable, Mapping
from types import CodeType, ModuleType
from typing import Any

from torch import Tensor, nn

PLAIN = (int, float, complex, str, bytes, bool, type(None))


def describe(thing: Any, _inside: tuple[int, ...] = ()) -> str:
    """A text that changes with what ``thing`` does.

    Of a function it holds the name, the source, the defaults, what its closure holds, and in the
    same way the functions and values of its own module that it uses; of an object its class and its
    attributes; of a tensor the shape and a hash.
    """
    if isinstance(thing, PLAIN):
        return repr(thing)
    if id(thing) in _inside:  # a function that calls itself, an object that holds itself
        return f"({type(thing).__name__} again)"
    within = (*_inside, id(thing))
    if isinstance(thing, Tensor):
        return f"{tuple(thing.shape)} {digest(thing.detach().cpu().contiguous().numpy().tobytes())}"
    if isinstance(thing, Mapping):
        return _together((f"{key!r}: {describe(value, within)}" for key, value in thing.items()))
    if isinstance(thing, (list, tuple)):
        return _together(describe(value, within) for value in thing)
    if isinstance(thing, functools.partial):
        return _together(
            describe(part, within) for part in (thing.func, thing.args, thing.keywords)
        )
    if inspect.ismethod(thing):
        return f"{describe(thing.__self__, within)}.{describe(thing.__func__, within)}"
    if inspect.isfunction(thing):
        return f"{thing.__qualname__} {_source(thing)} {_together(_held(thing, within))}"
    if inspect.isclass(thing):
        return f"{thing.__module__}.{thing.__qualname__} {_together(_defined(thing, within))}"
    if isinstance(thing, nn.Module):
        own = sorted({describe(type(part)) for part in thing.modules()})
        kinds, weights = _together(own), describe(thing.state_dict(), within)
        return f"{printed(thing)} {kinds} {weights} {thing.training}"
    attributes = (
        {}
        if isinstance(thing, ModuleType) or _foreign(type(thing))
        else getattr(thing, "__dict__", {})
    )
    return f"{printed(thing)} {describe(type(thing), within)} {describe(attributes, within)}"


def digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _together(parts: Iterable[str]) -> str:
    return "[" + ", ".join(parts) + "]"


def printed(thing: Any) -> str:
    return re.sub(r" at 0x\w+", "", repr(thing))  # an address is another one in each process


def _foreign(kind: type) -> bool:
    """Whether a class comes from a library, whose name and version say enough."""
    return kind.__module__.partition(".")[0] in ("builtins", "torch", "numpy")


def _source(thing: Any) -> str:
    code = getattr(thing, "__code__", None)
    try:
        source = inspect.getsource(thing)
    except (OSError, TypeError):  # typed into a bare Python prompt
        return _bytecode(code) if code else ""
    # Two lambdas in one line have the same source.
    return source + _bytecode(code) if code and code.co_name == "<lambda>" else source


def _bytecode(code: CodeType) -> str:
    constants = (_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return f"{code.co_code.hex()} {code.co_names} {_together(constants)}"


def _held(function: Any, within: tuple[int, ...]) -> Iterable[str]:
    """Defaults, closure, and the functions, classes and plain values of its module that it uses."""
    yield describe(function.__defaults__, within)
    yield describe(function.__kwdefaults__, within)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield f"{name}={describe(cell.cell_contents, within)}"
        except ValueError:  # not filled yet
            yield name
    for name in sorted(_names(function.__code__) - set(dir(builtins))):
        value = function.__globals__.get(name)
        if isinstance(value, PLAIN) or getattr(value, "__module__", None) == function.__module__:
            yield f"{name}={describe(value, within)}"


def _defined(kind: type, within: tuple[int, ...]) -> Iterable[str]:
    """The methods and plain attributes of a class and of those it inherits from.

    A class's own source cannot be had in a notebook, that of its methods can.
    """
    for base in kind.__mro__:
        for name, value in {} if _foreign(base) else vars(base).items():
            value = getattr(value, "__func__", getattr(value, "fget", value))
            if inspect.isfunction(value):
                if value.__code__.co_filename != "<string>":  # else a dataclass has made it
                    yield describe(value, within)
            elif isinstance(value, PLAIN) and not name.startswith("__"):
                yield f"{name}={value!r}"


def _names(code: CodeType) -> set[str]:
    """The names that a function uses, inside its inner functions, too."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)
