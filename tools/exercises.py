"""Student versions: solutions/<name>/<name>.ipynb -> exercises/<name>/<name>.ipynb, and one zip of
them for a learning platform.

    python -m tools.exercises            make those whose solution changed, and build/exercises.zip
    python -m tools.exercises --check    name those that differ from their solution, change nothing

nbgrader takes out the solutions. What it does not do is done here: the picture of the wanted
result, taken from the solution's own output (the cell tagged ``wanted``), is put under the title.
The same solution always gives the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import re
import sys
import zipfile
from pathlib import Path

import nbformat

from course_utils.engine.drawing import small

ROOT = Path(__file__).resolve().parents[1]
SECRETS = re.compile(r"### (BEGIN|END) SOLUTION|\bgrading\.|\bModel answer\b")


class Leak(ValueError):
    """A student version holds a line that belongs to the solution."""


def solutions() -> dict[str, Path]:
    return {
        path.stem: path
        for path in sorted((ROOT / "solutions").glob("*/*.ipynb"))
        if path.stem == path.parent.name
    }


def student_version(name: str, notebook: Path) -> bytes:
    """The student's notebook, through nbgrader's own preprocessors; nothing is written."""
    from nbgrader.preprocessors import (
        CheckCellMetadata,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", str(ROOT / "grading")).load_config()
    nb, resources = nbformat.read(notebook, as_version=4), {}
    picture = wanted(nb)
    for preprocessor in (
        LockCells,
        ClearSolutions,
        ClearOutput,
        CheckCellMetadata,
        ComputeChecksums,
        CheckCellMetadata,
    ):
        nb, resources = preprocessor(config=config).preprocess(nb, resources)
    if picture:
        cell = nbformat.v4.new_markdown_cell(
            f"*What you are going to make* (the numbers may differ a little):\n\n{picture}",
            id="wanted-result",
        )
        nb.cells.insert(1, cell)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r"\n{3,}", "\n\n", cell.source).rstrip()
            cell.execution_count = None
    nb.metadata["course"] = {"exercise": name}
    text = nbformat.writes(nb)
    return (text + "\n" * (not text.endswith("\n"))).encode()


def wanted(nb: nbformat.NotebookNode) -> str:
    """The last figure of the cell tagged ``wanted`` with its title and caption, as Markdown; ""
    where there is none."""
    cells = [cell for cell in nb.cells if "wanted" in cell.metadata.get("tags", [])]
    shown = [output.data for cell in cells for output in cell.outputs if "data" in output]
    places = [i for i, data in enumerate(shown) if "image/png" in data]
    parts = []
    for data in shown[max(places[-1] - 1, 0) : places[-1] + 2] if places else []:
        if "image/png" in data:
            png = small(base64.b64decode(data["image/png"]))
            alt = re.sub(r"[][]", "", data["text/plain"])
            parts.append(f"![{alt}](data:image/png;base64,{png})")
        else:
            parts.append(data["text/markdown"])
    return "\n\n".join(parts)


def secret_lines(notebook: Path) -> set[str]:
    """The lines that only a teacher may see: inside the solution's marks, and whole text answers;
    not those, such as ``return nn.Sequential(``, that stand in given code as well."""
    lines: set[str] = set()
    given: set[str] = set()
    for cell in nbformat.read(notebook, as_version=4).cells:
        inside = False
        about = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "markdown" and about.get("solution"):
            lines |= {line.strip() for line in cell.source.splitlines()}
        for line in cell.source.splitlines():
            if "### END" in line:
                inside = False
            elif inside:
                lines.add(line.strip())
            elif cell.cell_type == "code":
                given.add(line.strip())
            if "### BEGIN" in line:
                inside = True
    return {line for line in lines - given if len(line) > 12}


def check_for_leaks(name: str, notebook: Path, data: bytes) -> None:
    """Raises Leak if a line of the solution is in the student's notebook."""
    nb = nbformat.reads(data.decode(), as_version=4)
    secret = secret_lines(notebook)
    for cell in nb.cells:
        if SECRETS.search(cell.source):
            raise Leak(
                f"{name}: a mark of the solution is left in the student version: "
                f"{SECRETS.search(cell.source).group()}"
            )
        for line in cell.source.splitlines():
            if line.strip() in secret:
                raise Leak(
                    f"{name}: a line of the solution is in the student version: {line.strip()[:80]}"
                )
        if cell.get("outputs"):
            raise Leak(f"{name}: an output is left in the student version")


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """A zip that is the same for the same files: fixed order, dates and rights."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(files.items()):
            entry = zipfile.ZipInfo(path, date_time=(2024, 1, 1, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    files, changed = {}, []
    for name, notebook in solutions().items():
        data, path = student_version(name, notebook), ROOT / "exercises" / name / f"{name}.ipynb"
        check_for_leaks(name, notebook, data)
        files[f"exercises/{name}/{name}.ipynb"] = data
        if not path.exists() or path.read_bytes() != data:
            changed.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    if check:
        print(
            "\n".join(
                f"{name}: the student version differs from its solution; run `make exercises`"
                for name in changed
            )
            or "every student version matches its solution"
        )
        return bool(changed)
    archive = ROOT / "build/exercises.zip"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(zip_bytes(files))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    print(
        f"{len(files)} exercises, {len(changed)} changed: {', '.join(changed) or 'none'}\n"
        f"{os.path.relpath(archive)}  sha256 {digest[:16]}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
