"""The tables that take long to make: each row is written as soon as it is measured.

A lesson's `table.py` says which runs there are and how one is measured. The file is whole at every
moment, so a script that was stopped goes on where it was; give it another file name to start
afresh.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def target(name: str) -> Path:
    """The file that was named on the command line, or else the shipped table."""
    return Path(sys.argv[1]) if sys.argv[1:] else ROOT / "course_utils" / "tables" / f"{name}.csv"


def tagged_cells(source: Path, tag: str, **names: Any) -> dict[str, Any]:
    """Run the cells of a lesson's source that carry a tag; returns the names that they define.

    ``names`` are those that its other cells would have defined.
    """
    import jupytext  # here, since it belongs to authoring and takes a second

    cells = jupytext.read(source).cells
    tagged = [cell.source for cell in cells if tag in cell.metadata.get("tags", [])]
    if not tagged:
        raise ValueError(f"{source} has no cell with the tag {tag!r}")
    exec("\n\n".join(tagged), names)
    return names


def fill(
    path: Path,
    keys: Sequence[str],
    runs: Iterable[Mapping[str, Any]],
    measure: Callable[..., Mapping[str, Any]],
) -> None:
    """Measure every run that the table does not hold yet, and add its row.

    Args:
        path: the CSV file, made where it is missing.
        keys: the columns by which a run is known.
        runs: one mapping for each run; it has all the keys.
        measure: called as ``measure(**run)``, returns the run's further columns.
    """
    rows: list[dict[str, str]] = []
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    done = {tuple(row[key] for key in keys) for row in rows}
    for run in runs:
        if (known := tuple(as_text(run[key]) for key in keys)) in done:
            continue
        row = {name: as_text(value) for name, value in {**run, **measure(**run)}.items()}
        write(path, [*rows, row])
        rows.append(row)
        done.add(known)
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """All rows, in the first one's columns; a reader finds the old file or the new one."""
    part = path.with_suffix(".part")
    with open(part, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def as_text(value: Any) -> str:
    """A value as it stands in a table: floats with six digits, 1.0 as 1."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
