"""The learner's own copies: notebooks/ and exercises/ -> my-course/

    python -m tools.my_course

Lessons come without outputs, so that a guess is a guess; exercises as they are handed out. Nothing
in my-course/ is ever overwritten: what is new is added, and an original that changed is put beside
the learner's copy. Who wants a fresh copy deletes or renames his own and calls this again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import course_utils  # noqa: F401  (a console that lacks a letter then shows a number)

ROOT = Path(__file__).resolve().parents[1]
RECORD = ".handed-out.json"  # path -> digest of the original that was handed out last


def originals() -> dict[str, bytes]:
    """Path in my-course/ -> what is put there."""
    lessons = {
        path.relative_to(ROOT).as_posix(): without_outputs(path)
        for path in sorted(ROOT.glob("notebooks/*.ipynb"))
    }
    others = [*sorted(ROOT.glob("exercises/*/*.ipynb")), ROOT / "GLOSSARY.md"]
    return lessons | {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in others}


def without_outputs(notebook: Path) -> bytes:
    nb = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return (json.dumps(nb, ensure_ascii=False, indent=1) + "\n").encode()


def beside(path: Path) -> Path:
    """The first free name of 03-new.ipynb, 03-new2.ipynb, …"""
    numbers = ["", *map(str, range(2, 1000))]
    names = (path.with_name(f"{path.stem}-new{number}{path.suffix}") for number in numbers)
    return next(name for name in names if not name.exists())


def put(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    os.rename(partial, path)


def hand_out(folder: Path) -> str:
    """Bring the learner's folder up to date; the line that says what was put there."""
    record = folder / RECORD
    first = not folder.exists()
    handed = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    new, changed = [], []
    for name, data in originals().items():
        mine, digest = folder / name, hashlib.sha256(data).hexdigest()
        if not mine.exists():
            put(mine, data)
            new.append(name)
        elif handed.get(name) != digest and mine.read_bytes() != data:
            place = beside(mine)
            put(place, data)
            changed.append(place.relative_to(folder).as_posix())
        handed[name] = digest
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(handed, indent=1), encoding="utf-8")
    os.replace(partial, record)
    if first:
        return f"{folder.name}/ is yours: {len(new)} files; nothing in it is ever overwritten."
    said = [f"new: {', '.join(new)}"] if new else []
    said += [f"changed, put beside your own: {', '.join(changed)}"] if changed else []
    return f"{folder.name}/ {'; '.join(said)}" if said else ""


def main() -> int:
    folder = ROOT / "my-course"
    try:
        line = hand_out(folder)
    except json.JSONDecodeError:
        line = f"{folder / RECORD} is damaged: delete it and call this again; nothing is lost."
        return print(line, file=sys.stderr) or 1
    except OSError as error:
        print(f"your copies could not be made in {folder}: {error}", file=sys.stderr)
        return 1
    if line:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
