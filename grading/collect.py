"""Finds the submissions in what a teacher has: nbgrader's folders, a Moodle zip, or a folder of
notebooks.

    <student>/<exercise>/<anything>.ipynb                      nbgrader's ``submitted`` folder
    <Name>_<number>_assignsubmission_file_/<anything>.ipynb    Moodle, with folders
    <Name>_<number>_assignsubmission_file_<anything>.ipynb     Moodle, without
    <student>/<anything>.ipynb, <student>.ipynb                by hand

Names may hold spaces and any alphabet. Nothing is unpacked: members of a zip are read one by one,
bounded, and a path in it is only ever a text to take a name from.
"""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grading import assemble

MOODLE = re.compile(
    r"^(?P<name>.+?)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<rest>.*)$", re.S
)


@dataclass
class Submission:
    student: str  # as in the marks: the name, with Moodle's number where there is one
    exercise: str  # "" when it cannot be told
    path: str  # where it was found, for the report
    data: bytes | None  # None: too large to be read


class NothingFound(ValueError):
    """No notebook in the folder or zip."""


def clean_name(text: str) -> str:
    """A name as it may stand in a table and in a file's name: one line, composed Unicode, no
    separators, no direction marks."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(
        " "
        if char in '/\\:*?"<>|'
        or unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")
        else char
        for char in text
    )
    text = " ".join(text.split()).strip(". ")
    return text[:80] or "unnamed"


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name; without the UTF-8 flag zip says cp437, but programs write UTF-8
    nevertheless."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return info.filename


def _files(source: Path) -> Iterator[tuple[PurePosixPath, bytes | None]]:
    limit = assemble.LARGEST_FILE
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            inside = path.relative_to(source)
            hidden = any(part.startswith((".", "__MACOSX")) for part in inside.parts)
            if (
                path.suffix.lower() == ".ipynb"
                and not hidden
                and not path.is_symlink()
                and path.is_file()
            ):
                yield (
                    PurePosixPath(*inside.parts),
                    path.read_bytes() if path.stat().st_size <= limit else None,
                )
        for archive in sorted(source.glob("*.zip")):
            yield from _files(archive)
        return
    if source.suffix.lower() == ".ipynb":
        yield (
            PurePosixPath(source.name),
            source.read_bytes() if source.stat().st_size <= limit else None,
        )
        return
    with zipfile.ZipFile(source) as archive:
        for info in sorted(archive.infolist(), key=lambda info: _zip_name(info)):
            path = PurePosixPath(_zip_name(info).replace("\\", "/"))
            if path.suffix.lower() != ".ipynb" or any(
                part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts
            ):
                continue
            with archive.open(info) as member:
                data = member.read(limit + 1)  # what the header says of the size is not believed
            yield path, data if len(data) <= limit else None


def _exercise(path: PurePosixPath, data: bytes | None, exercises: dict[str, list[dict]]) -> str:
    """By folder, then by file name, then by content."""
    for part in (*path.parts[:-1][::-1], path.stem):
        if part in exercises:
            return part
    stem = path.stem.lower()
    named = [name for name in exercises if name.lower() in stem]
    if named:
        return max(named, key=len)
    try:
        cells = assemble.read(data or b"")
    except assemble.Unreadable:
        return ""
    keys = {assemble.info(cell).get("grade_id") for cell in cells} - {None}
    defined = set().union(
        *(assemble.defined(cell["source"]) for cell in cells if cell["cell_type"] == "code"), set()
    )
    score = {}
    for name, template in exercises.items():
        answers = [
            cell
            for cell in template
            if assemble.info(cell).get("solution") and cell["cell_type"] == "code"
        ]
        score[name] = sum(
            assemble.info(cell)["grade_id"] in keys
            or bool(assemble.defined(cell["source"]) & defined)
            for cell in answers
        )
    best = max(score, key=score.get, default="")
    return best if score.get(best) else ""


def _student(path: PurePosixPath, exercise: str) -> str:
    for part in path.parts:
        found = MOODLE.match(part)
        if found:
            return f"{clean_name(found['name'])} {found['number']}"
    folders = [
        part for part in path.parts[:-1] if part not in (exercise, "..", ".", "/", "submitted")
    ]
    if folders:
        return clean_name(folders[0])
    stem = re.sub(re.escape(exercise), "", path.stem) if exercise else path.stem
    return clean_name(stem.strip(" _-.")) if stem.strip(" _-.") else clean_name(path.stem)


def collect(source: Path, exercises: dict[str, list[dict]]) -> list[Submission]:
    """All submissions, one for each student and exercise (of several the last by name, as Moodle
    numbers them).

    Raises:
        NothingFound: there is no notebook, or no such folder or zip.
    """
    if not source.exists():
        raise NothingFound(f"there is no {source}")
    found: dict[tuple[str, str], Submission] = {}
    try:
        for path, data in _files(source):
            exercise = _exercise(path, data, exercises)
            student = _student(path, exercise)
            found[student, exercise] = Submission(student, exercise, str(path), data)
    except zipfile.BadZipFile:
        raise NothingFound(f"{source} is no zip file that can be read") from None
    if not found:
        raise NothingFound(f"no notebook (.ipynb) in {source}")
    if (
        len({exercise for _, exercise in found if exercise}) == 1
    ):  # one exercise was handed out: what cannot be read belongs to it
        only = next(exercise for _, exercise in found if exercise)
        for (student, exercise), submission in list(found.items()):
            if not exercise:
                del found[student, exercise]
                found.setdefault(
                    (student, only), Submission(student, only, submission.path, submission.data)
                )
    return sorted(found.values(), key=lambda s: (s.exercise, s.student))
