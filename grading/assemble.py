"""From what a student handed in to what is run: the student's answers in the exercise's own order,
all else from the exercise.

Given cells and checks are taken from the exercise, so an edited, deleted, moved or duplicated one
changes nothing. Answer cells are found by their nbgrader name, else by cell id, else by the names
they define, so a notebook whose metadata was stripped is graded like any other. Cells that a
student added run where they stand: after the exercise's cell that they follow.
"""

from __future__ import annotations

import ast
import json
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

LARGEST_FILE = 64 << 20
PARSED = 768 << 20  # bytes that reading one notebook may take
PROSE_STUB = "YOUR ANSWER HERE"
SHOWING = {"wanted", "show", "bootstrap", "closing"}  # tags of cells that no answer needs


class Unreadable(ValueError):
    """The file is no notebook; the message is for the student."""


@contextmanager
def bounded() -> Iterator[None]:
    """A notebook that needs too much memory to be read is Unreadable: no student can fill the
    grader's."""
    status = Path("/proc/self/status")
    used = re.search(r"VmData:\s*(\d+)", status.read_text()) if status.exists() else None
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        if used:
            resource.setrlimit(resource.RLIMIT_DATA, ((int(used[1]) << 10) + PARSED, hard))
        yield
    except (MemoryError, RecursionError):
        raise Unreadable("it takes too much memory to be read") from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def printable(text: str) -> str:
    """The text as it can be written to any file: line ends are ``\\n``, half characters are
    replaced."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "replace").decode()


@dataclass
class Cell:
    """One cell of the assembled notebook."""

    key: str  # the cell's nbgrader name, "" for given text, "+" for one that the student added
    kind: str  # code | markdown
    source: str
    answer: bool = False
    points: float = 0
    manual: bool = False
    # a check, or a given cell that only shows: no answer depends on it, so grading leaves it out
    skip: bool = False


@dataclass
class Assembled:
    cells: list[Cell]
    notes: list[str] = field(default_factory=list)  # for student and teacher, in plain words


def info(cell: dict) -> dict:
    metadata = cell.get("metadata")
    found = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def read(data: bytes) -> list[dict]:
    """The cells of a notebook file of any nbformat version: cell_type, source, id, metadata;
    outputs are dropped unread.

    Raises:
        Unreadable: empty, too large, not JSON, or not a notebook.
    """
    if not data.strip():
        raise Unreadable("the file is empty")
    if len(data) > LARGEST_FILE:
        raise Unreadable(
            f"the file is larger than {LARGEST_FILE >> 20} MiB: "
            "clear all outputs and hand it in again"
        )
    try:
        raw = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Unreadable(
            "the file is not a notebook (it cannot be read as JSON): "
            "save it in Jupyter and hand it in again"
        ) from None
    if not isinstance(raw, dict):
        raise Unreadable("the file is JSON, but not a notebook")
    raws = raw.get("cells")
    if raws is None and isinstance(raw.get("worksheets"), list):  # nbformat 3 and before
        raws = [
            cell
            for sheet in raw["worksheets"]
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
        ]
    if not isinstance(raws, list):
        raise Unreadable("the file is JSON, but not a notebook: it has no cells")
    cells = []
    for cell in raws:
        if not isinstance(cell, dict):
            continue
        source = cell.get("source", cell.get("input", ""))
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        if not isinstance(source, str):
            continue
        kind = "code" if cell.get("cell_type") == "code" else "markdown"
        metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
        name = cell.get("id") or metadata.get("id")  # Colab keeps the id in the metadata
        cells.append(
            {
                "cell_type": kind,
                "source": printable(source),
                "metadata": metadata,
                "id": name if isinstance(name, str) else "",
            }
        )
    return cells


def exercise_cells(path: Path) -> list[dict]:
    """The cells of the student version."""
    return [dict(cell) for cell in nbformat.read(path, as_version=4).cells]


def defined(source: str) -> set[str]:
    """The names that a cell defines at its top level; of a cell that cannot be parsed, those that
    its lines seem to define."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        lines = re.findall(r"^(?:def|class)\s+(\w+)|^(\w+)\s*=[^=]", source, re.M)
        return {made or named for made, named in lines}
    names = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _same(first: str, second: str) -> bool:
    return first.strip() == second.strip()


def match(template: list[dict], submitted: list[dict]) -> list[int | None]:
    """For each submitted cell the template's cell that it is, or None for one that the student
    added."""
    by_name = {
        info(cell)["grade_id"]: i for i, cell in enumerate(template) if info(cell).get("grade_id")
    }
    by_id = {cell["id"]: i for i, cell in enumerate(template)}
    matches: list[int | None] = []
    for cell in submitted:
        name = info(cell).get("grade_id")
        found = by_name.get(name) if isinstance(name, str) else None
        if found is None:
            found = by_id.get(cell["id"])
        if found is not None and not info(template[found]).get("solution"):
            # an answer, but nothing else, may have been turned into text
            found = found if template[found]["cell_type"] == cell["cell_type"] else None
        matches.append(found)
    taken = set(matches)
    # stripped metadata: by equal text, then by the names defined
    for position, cell in enumerate(submitted):
        if matches[position] is None:
            same = [
                i
                for i, other in enumerate(template)
                if other["cell_type"] == cell["cell_type"]
                and _same(other["source"], cell["source"])
            ]
            if same:
                matches[position] = next((i for i in same if i not in taken), same[0])
                taken.add(matches[position])
    for position, cell in enumerate(submitted):
        if matches[position] is not None or cell["cell_type"] != "code":
            continue
        names = defined(cell["source"])
        for i, other in enumerate(template):
            if i in taken or not info(other).get("solution"):
                continue
            wanted = defined(other["source"])
            if wanted and wanted <= names:
                matches[position] = i
                taken.add(i)
                break
    # a text answer without its name: the added text that follows the question's own text
    for i, other in enumerate(template):
        if i in taken or other["cell_type"] != "markdown" or not info(other).get("solution"):
            continue
        after = max((p + 1 for p, found in enumerate(matches) if found == i - 1), default=0)
        following = submitted[after : after + 1] if after else []
        if following and matches[after] is None and following[0]["cell_type"] == "markdown":
            matches[after] = i
            taken.add(i)
    return matches


def assemble(template: list[dict], submitted: list[dict]) -> Assembled:
    """The notebook to run."""
    matches, notes = match(template, submitted), []
    answers: dict[int, list[str]] = {}
    added: dict[int, list[dict]] = {}
    place, restored, order = -1, 0, []
    for cell, found in zip(submitted, matches):
        if found is None:
            if cell["source"].strip():
                added.setdefault(place, []).append(cell)
            continue
        place = found
        order.append(found)
        if info(template[found]).get("solution"):
            answers.setdefault(found, []).append(cell["source"])
        elif cell["cell_type"] == "code" and not _same(cell["source"], template[found]["source"]):
            restored += 1
    if restored:
        words = "cells were" if restored > 1 else "cell was"
        notes.append(f"{restored} given {words} changed in the notebook and put back for grading.")
    if order != sorted(order):
        notes.append("The cells were put back into the exercise's order for grading.")
    missing = [
        info(cell)["grade_id"]
        for i, cell in enumerate(template)
        if info(cell).get("solution") and i not in answers
    ]
    if missing:
        notes.append(f"Answer cells that are not in the notebook: {', '.join(missing)}.")
    gone = [
        i
        for i, cell in enumerate(template)
        if cell["cell_type"] == "code" and not info(cell).get("solution") and i not in order
    ]
    if gone:
        words = "cells" if len(gone) > 1 else "cell"
        notes.append(f"{len(gone)} given {words} missing in the notebook, put back for grading.")
    texts, elsewhere = _texts(template, submitted, matches, answers, added)
    cells = [Cell("+", cell["cell_type"], cell["source"]) for cell in added.get(-1, [])]
    for i, cell in enumerate(template):
        about = info(cell)
        key, solution = about.get("grade_id", ""), bool(about.get("solution"))
        versions = answers.get(i, [""]) if solution else [cell["source"]]
        if solution and len(versions) > 1:
            different = [text for text in versions if not _same(text, cell["source"])]
            versions = different or versions[:1]
            if len(set(map(str.strip, different))) > 1:
                notes.append(
                    f"The answer cell {key} is there {len(different)} times with different texts; "
                    "they ran in order, so the last one counts."
                )
        manual = bool(about.get("grade") and solution)
        if manual:
            versions = [texts[i] or elsewhere]
            if elsewhere and not texts[i]:
                notes.append(f"The cell for {key} is empty, but there is text of yours elsewhere.")
        for text in versions[:-1]:
            cells.append(Cell("+", cell["cell_type"], text))
        shows = not SHOWING.isdisjoint(cell["metadata"].get("tags", []))
        points = float(about.get("points", 0)) if about.get("grade") else 0
        skip = not solution and (shows or bool(about.get("grade")))
        new = Cell(key, cell["cell_type"], versions[-1], solution, points, manual, skip)
        cells.append(new)
        cells += [Cell("+", more["cell_type"], more["source"]) for more in added.get(i, [])]
    return Assembled(cells, notes)


def _texts(template, submitted, matches, answers, added) -> tuple[dict[int, str], str]:
    """For each text question all that the student wrote between the question and the next given
    cell, in whatever cells; and what was written where no question is. Takes the text cells that it
    uses out of ``added``."""
    found = {}
    for i, cell in enumerate(template):
        if not (info(cell).get("grade") and info(cell).get("solution")):
            continue
        own = [text.replace(PROSE_STUB, "") for text in answers.get(i, [])]
        own = [text for text in own if not _same(text, cell["source"])]
        around = [[more["source"] for more in added.get(place, [])] for place in (i - 1, i)]
        parts = [part.strip() for part in (*around[0], *own, *around[1])]
        found[i] = "\n\n".join(dict.fromkeys(filter(None, parts)))
        for place in (i - 1, i):
            added[place] = [more for more in added.get(place, []) if more["cell_type"] == "code"]
    elsewhere = [more["source"] for cells in added.values() for more in cells
                 if more["cell_type"] == "markdown"]  # fmt: skip
    for cell, i in zip(submitted, matches):
        if i is not None and cell["cell_type"] == "markdown" and not info(template[i]):
            given = {line.strip() for line in template[i]["source"].splitlines()}
            lines = [line for line in cell["source"].splitlines() if line.strip() not in given]
            elsewhere += ["\n".join(lines)]
    return found, "\n\n".join(part.strip() for part in elsewhere if part.strip())


def unanswered(cell: Cell, template: list[dict]) -> bool:
    """Whether a text answer is empty or still the exercise's own placeholder."""
    own = next(
        (other["source"] for other in template if info(other).get("grade_id") == cell.key), ""
    )
    return not cell.source.strip() or _same(cell.source, own) or _same(cell.source, PROSE_STUB)
