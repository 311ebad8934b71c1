"""The checks under an exercise's tasks: what was expected, what came, and the likely cause. They help; the marks come from others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping


def _same(got, expected, tolerance: float) -> bool:
    if isinstance(expected, bool) or isinstance(got, (bool, str)):
        return type(got) is type(expected) and got == expected
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        return math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance * 1e-2)
    if isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)):
        return len(got) == len(expected) and all(_same(a, b, tolerance) for a, b in zip(got, expected))
    return got == expected


def _plain(value):
    """Tensors and arrays as numbers and lists, so that every answer can be compared and printed."""
    return value.tolist() if hasattr(value, "tolist") else value


def _short(value) -> str:
    text = f"{value:.5g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 160 else text[:157] + "…"


def check(what: str, compute: Callable, expected, mistakes: Mapping[str, object] | None = None, likely: str = "", tolerance: float = 1e-4) -> None:
    """Print whether ``compute()`` gives ``expected``, and if not, what the likely cause is. Never raises.

    Args:
        mistakes: likely cause -> the value that this mistake would give; the first that fits is named.
        likely: the likely cause when no known mistake fits.
        tolerance: relative, for numbers.
    """
    try:
        got = _plain(compute())
    except NotImplementedError:
        print(f"·  {what}: not written yet")
        return
    except Exception as error:
        print(f"✗  {what}\n     expected      {_short(_plain(expected))}\n     got           {type(error).__name__}: {error}\n"
              f"     likely cause  {likely or 'an error inside your function; call it by itself to see where'}")
        return
    if _same(got, _plain(expected), tolerance):
        print(f"✓  {what}")
        return
    cause = next((cause for cause, value in (mistakes or {}).items() if _same(got, _plain(value), tolerance)), likely)
    print(f"✗  {what}\n     expected      {_short(_plain(expected))}\n     got           {_short(got)}\n     likely cause  {cause or 'none of the usual ones'}")
