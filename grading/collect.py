"""Finds the submissions in what a teacher has: nbgrader's folders, a Moodle zip, or a folder of
notebooks.

    <student>/<exercise>/<anything>.ipynb                      nbgrader's ``submitted`` folder
    <Name>_<number>_assignsubmission_file_/<anything>.ipynb    Moodle, with folders
    <Name>_<number>_assignsubmission_file_<anything>.ipynb     Moodle, without
    <name>_<number>_<number>_<anything>.ipynb                  Canvas
    <student>/<anything>.ipynb, <student>.ipynb                by hand

Names may hold spaces and any alphabet; one folder or zip around all of it is seen through. Nothing
is unpacked where a path says: members of a zip are read one by one, bounded, and a path in it is
only ever a text to take a name from. A zip in a student's folder is that student's, whatever names
are in it. What is no notebook is told, never passed over.

When something was handed in is known from nbgrader's ``timestamp.txt``, or from the times in the
platform's zip. Older Moodle and Canvas write the moment of the download there, for all the same, so
only times that lie more than ``APART`` from each other are believed; Canvas says LATE in the name.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from nbgrader.utils import parse_utc

from grading import assemble, sheets

MOODLE = re.compile(
    r"^(?P<name>.+?)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<rest>.*)$", re.S
)
CANVAS = re.compile(
    r"^(?P<name>[^_\W\d][^_]*)_(?P<late>LATE_)?(?P<number>\d{2,})_\d{2,}_(?P<rest>.+)$", re.S
)
DATE = re.compile(r"_(20\d\d_\d\d?_\d\d?|\d\d?_\d\d?_20\d\d)(?!\d)")
DEEPEST, OF_A_STUDENT = 3, (2_000, 256 << 20)  # zips in zips; files and bytes read of a zip in one
APART = timedelta(hours=1)
DOCUMENTS = {".pdf", ".html", ".htm", ".py", ".txt", ".docx", ".odt", ".zip", ".md", ".json"}
WRAPPERS = {"submitted", "submissions", "abgaben", "predaje"}
PASSED_OVER = "not looked at"
TIME = "timestamp.txt"


@dataclass
class Submission:
    student: str  # as in the marks: the name, with Moodle's number where there is one
    exercise: str  # "" when it cannot be told
    path: str  # where it was found, for the report
    data: bytes | None  # None: it is no notebook that can be read, ``why`` says why
    why: str = ""
    notes: list[str] = field(default_factory=list)
    file: str = ""  # where the bytes lie, when ``data`` has not been read yet
    time: str = ""  # when it was handed in, UTC; "" where that is not known
    late: bool | None = None  # what the platform itself says


@dataclass
class Found:
    """One file."""

    path: PurePosixPath
    kept: Path | None = None  # where its bytes lie
    why: str = ""
    time: datetime | None = None  # UTC
    zipped: bool = False  # out of a zip of the student's own, who wrote every name and time in it

    @property
    def notebook(self) -> bool:
        return self.path.suffix.lower() == ".ipynb"

    def data(self) -> bytes | None:
        return self.kept.read_bytes() if self.kept else None


class NothingFound(ValueError):
    """No submission in the folder or zip."""


def clean_name(text: str) -> str:
    """A name as it may stand in a table and in a file's name: one line, composed Unicode, no
    separators, no direction marks, at most 150 bytes; a digest keeps two longer ones apart."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(
        " "
        if char in '/\\:*?"<>|'
        or unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")
        else char
        for char in text
    )
    text = " ".join(text.split()).strip(". ")
    if len(text.encode()) > 150:
        mark = hashlib.sha256(text.encode()).hexdigest()[:6]
        text = f"{text.encode()[:140].decode(errors='ignore')} {mark}"
    return text or "unnamed"


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name; without the UTF-8 flag zip says cp437, but programs write UTF-8
    nevertheless."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return info.filename


def _hidden(path: PurePosixPath) -> bool:
    return any(
        part.startswith((".", "__MACOSX", "~$")) and part not in ("..", ".") for part in path.parts
    )


class Reader:
    """Reads notebooks into a folder of its own, so that memory holds one at a time."""

    def __init__(self, folder: Path):
        self.folder, self.files = folder, 0

    def keep(
        self, path: PurePosixPath, file: BinaryIO, left: list[int] | None = None, claimed: int = 0
    ) -> Found:
        """What is read is taken from ``left``, whatever comes of it; a member that ``claimed`` to
        be too large is not read at all."""
        if path.suffix.lower() not in (".ipynb", ".zip") and path.name != TIME:
            return Found(path)
        self.files += 1
        left = left or [0, assemble.LARGEST_FILE]
        limit = min(assemble.LARGEST_FILE, left[1])
        kept, size = self.folder / str(self.files), claimed if claimed > limit else 0
        with open(kept, "wb") as out:
            while size <= limit and (piece := file.read(1 << 20)):
                out.write(piece)
                size += len(piece)
                left[1] -= len(piece)
        if size > limit:  # that a header says less is not believed
            kept.unlink()
            return Found(
                path,
                None,
                f"{path.name} is larger than {assemble.LARGEST_FILE >> 20} MiB, or the zip that it "
                "is in: clear all outputs and hand it in again",
            )
        return Found(path, kept)

    def archive(
        self, file: Path, where: PurePosixPath, left: list[int], depth: int = 1
    ) -> Iterator[Found]:
        """Members of a zip, those of zips in it as if they lay in a folder of its name. What a
        student zipped is bounded for itself, ``left`` counts its files and bytes: no zip of one
        takes the room of another."""
        with zipfile.ZipFile(file) as archive:
            for info in sorted(archive.infolist(), key=_zip_name):
                path = where / PurePosixPath(_zip_name(info).replace("\\", "/").lstrip("/"))
                if info.is_dir() or _hidden(path):
                    continue
                if not left[0]:
                    yield Found(path, None, f"{path.name}: the zip holds too many files")
                    return
                left[0] -= 1
                try:
                    with archive.open(info) as member:
                        found = self.keep(path, member, left, info.file_size)
                except (RuntimeError, NotImplementedError, zipfile.BadZipFile, OSError, EOFError):
                    yield Found(path, None, f"{path.name} cannot be unpacked")
                    continue
                except Exception as error:  # zlib and lzma have errors of their own
                    why = f"{path.name} cannot be unpacked ({type(error).__name__})"
                    yield Found(path, None, why)
                    continue
                if depth == 1 and info.date_time > (1981,):  # the zone is taken to be ours
                    with contextlib.suppress(ValueError):
                        found.time = parse_utc(datetime(*info.date_time).astimezone())
                yield from self.inside(found, list(OF_A_STUDENT) if depth == 1 else left, depth)

    def inside(self, found: Found, left: list[int], depth: int = 1) -> Iterator[Found]:
        if found.path.suffix.lower() != ".zip" or found.kept is None:
            yield found
            return
        try:
            if depth >= DEEPEST:
                raise zipfile.BadZipFile
            with assemble.bounded():
                inner = list(self.archive(found.kept, found.path, left, depth + 1))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            inner = [Found(found.path, None, f"{found.path.name} is no zip file that can be read")]
        found.kept.unlink()
        for one in inner:
            one.time, one.zipped = found.time, True
        yield from inner

    def all_of(self, source: Path) -> Iterator[Found]:
        if source.is_dir():
            for path in sorted(source.rglob("*")):
                inside = PurePosixPath(*path.relative_to(source).parts)
                if not _hidden(inside) and not path.is_symlink() and path.is_file():
                    with open(path, "rb") as file:
                        yield from self.inside(self.keep(inside, file), list(OF_A_STUDENT))
        elif source.suffix.lower() == ".ipynb":
            with open(source, "rb") as file:
                yield self.keep(PurePosixPath(source.name), file)
        else:
            yield from self.archive(source, PurePosixPath(), [50_000, 8 << 30])


def _timed(found: list[Found]) -> list[Found]:
    """With the times that can be believed; without nbgrader's own files of times, of which the
    outermost counts: one deeper, or in a zip of the student's, is no word of nbgrader's."""
    times = [one.time for one in found if one.time]
    spread = bool(times) and max(times) - min(times) > APART
    said = {}
    for one in found:
        theirs = one.zipped or MOODLE.match(str(one.path))
        if one.path.name == TIME and one.kept and not theirs:
            with contextlib.suppress(ValueError, OverflowError):
                said[one.path.parent] = parse_utc(one.data()[:100].decode("utf-8", "replace"))
    for one in found:
        around = (said[folder] for folder in reversed(one.path.parents) if folder in said)
        one.time = next(around, one.time if spread else None)
    return [one for one in found if one.path.name != TIME]


def _named(path: PurePosixPath, exercises: dict[str, list[dict]]) -> str:
    """The exercise that a path names, by folder or by file."""
    for part in (*path.parts[:-1][::-1], path.stem):
        if part in exercises:
            return part
    stem = path.stem.lower()
    return max((name for name in exercises if name.lower() in stem), key=len, default="")


def _reason(found: Found, error: Exception) -> str:
    known = isinstance(error, assemble.Unreadable)
    return f"{found.path.name}: {error if known else f'cannot be read ({type(error).__name__})'}"


def _exercise(found: Found, exercises: dict[str, list[dict]]) -> str:
    """By folder, then by file name, then by content."""
    named = _named(found.path, exercises)
    if named or not found.notebook:
        return named
    try:
        with assemble.bounded():
            cells = assemble.read(found.data() or b"")
            names = [assemble.info(cell).get("grade_id") for cell in cells]
            keys = {name for name in names if isinstance(name, str)}
            code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
            defined = set().union(*map(assemble.defined, code), set())
    except Exception as error:  # whatever it is, it is this student's line, nobody else's
        found.why = found.why or _reason(found, error)
        return ""
    score = {
        name: sum(
            assemble.info(cell)["grade_id"] in keys
            or bool(assemble.defined(cell["source"]) & defined)
            for cell in template
            if assemble.info(cell).get("solution") and cell["cell_type"] == "code"
        )
        for name, template in exercises.items()
    }
    best = max(score, key=score.get, default="")
    return best if score.get(best) else ""


def _unwrapped(found: list[Found], exercises: dict[str, list[dict]], own: str) -> list[Found]:
    """Without the folders that lie around the whole class."""
    while found:
        first = {one.path.parts[0] for one in found}
        top = next(iter(first))
        if len(first) > 1 or any(len(one.path.parts) < 2 for one in found) or MOODLE.match(top):
            return found
        inner = {one.path.parts[1] for one in found}
        folders = all(len(one.path.parts) > 2 for one in found)
        several = folders and len(inner) > 1 and not inner <= exercises.keys()
        moodle = any(MOODLE.match(part) for part in inner)
        plain = {one.path.stem for one in found if one.notebook and len(one.path.parts) == 2}
        people = len(plain) > 1 and not any(_named(one.path, exercises) for one in found)
        around = top.removesuffix(".zip").lower() in {own.lower(), *WRAPPERS, *exercises}
        around = around or {part.lower() for part in inner} <= WRAPPERS
        if not (several or moodle or around or (people and not folders)):
            return found
        for one in found:
            one.path = PurePosixPath(*one.path.parts[1:])
    return found


def _number(part: str) -> str:
    """A person's number in a name of Moodle's or Canvas's, "" in any other."""
    named = MOODLE.match(part) or (CANVAS.match(part) if not DATE.search(part) else None)
    return named["number"] if named else ""


def _side_by_side(found: list[Found], exercises: dict[str, list[dict]]) -> list[Found]:
    """Without the folders and zips that are each a platform's download: names of several people
    lie in it."""
    people: dict[str, set[str]] = {}
    for one in found:
        top, inner = (*one.path.parts, "")[:2]
        if not (MOODLE.match(top) or CANVAS.match(top) or top in exercises):
            people.setdefault(top, set()).add(_number(inner))
    for one in found:
        top, inner = (*one.path.parts, "")[:2]
        if _number(inner) and len(people.get(top, set()) - {""}) > 1:
            one.path = PurePosixPath(*one.path.parts[1:])
    return found


def _whose(path: PurePosixPath, exercise: str) -> tuple[str, bool]:
    """The one part of a path that names its student, and whether it is a folder. What lies in it
    the student named: a date in that looks like Canvas's numbers."""
    skipped = (exercise, "..", ".", "/", *WRAPPERS)
    folders = [part for part in path.parts[:-1] if part not in skipped]
    return (folders or [path.name])[0], bool(folders)


def _student(path: PurePosixPath, exercise: str) -> str:
    part, folder = _whose(path, exercise)
    if named := MOODLE.match(part) or CANVAS.match(part):
        return f"{clean_name(named['name'])} {named['number']}"
    if folder:
        return clean_name(part.removesuffix(".zip"))
    stem = re.sub(re.escape(exercise), "", path.stem) if exercise else path.stem
    return clean_name(stem.strip(" _-.")) if stem.strip(" _-.") else clean_name(path.stem)


def _worth_more(found: Found, template: list[dict]) -> tuple:
    """An order in which the file that counts comes last: what can be read, what holds an answer,
    then by name, numbers in it as numbers."""
    parts = re.split(r"(\d{1,9})", found.path.stem.casefold())  # every second one is a number
    name = [int(part) if i % 2 else part for i, part in enumerate(parts)]
    try:
        with assemble.bounded():
            cells = assemble.assemble(template, assemble.read(found.data() or b"")).cells
    except Exception:  # grading says why
        return False, False, name
    stubs = {assemble.info(cell).get("grade_id"): cell["source"] for cell in template}
    answered = any(c.answer and c.source.strip() not in ("", stubs[c.key].strip()) for c in cells)
    return True, answered, name


def collect(source: Path, exercises: dict[str, list[dict]], say=lambda line: None):
    """All submissions, one for each student and exercise, as a list."""
    return list(each(source, exercises, say))


def each(source: Path, exercises: dict[str, list[dict]], say=print) -> Iterator[Submission]:
    """All submissions, one for each student and exercise, one after another.

    Raises:
        NothingFound: nobody handed in anything, or there is no such folder or zip.
    """
    if not source.exists():
        raise NothingFound(f"there is no {source}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = _timed(list(Reader(Path(folder)).all_of(source)))
        except (zipfile.BadZipFile, NotImplementedError):
            raise NothingFound(f"{source} is no zip file that can be read") from None
        found = _side_by_side(_unwrapped(found, exercises, source.stem), exercises)
        flat = any(one.notebook and len(one.path.parts) == 1 for one in found)
        theirs: dict[str, dict[str, list[Found]]] = {}
        for one in found:
            loose = len(one.path.parts) == 1 and not MOODLE.match(one.path.name)
            document = one.path.suffix.lower() in DOCUMENTS
            if loose and not one.notebook and not (flat and document):
                say(f"{one.path} belongs to no student: {PASSED_OVER}")
                continue
            exercise = _exercise(one, exercises)
            student = _student(one.path, exercise)
            theirs.setdefault(student, {}).setdefault(exercise, []).append(one)
        yield from _submissions(theirs, exercises, source)


def submission(student: str, exercise: str, found: Found, *rest) -> Submission:
    canvas = CANVAS.match(_whose(found.path, exercise)[0])
    time = found.time.isoformat(" ", "seconds") if found.time else ""
    late = bool(canvas["late"]) if canvas else None
    return Submission(student, exercise, str(found.path), *rest, time=time, late=late)


def _submissions(theirs, exercises, source) -> Iterator[Submission]:
    known = sorted({name for files in theirs.values() for name in files if name})
    if not theirs:
        raise NothingFound(f"no notebook (.ipynb) in {source}")
    for student, files in sorted(theirs.items()):
        loose = files.pop("", [])
        foreign = [one for one in loose if not one.notebook]
        for name in list(files):
            foreign += [one for one in files[name] if not one.notebook]
            files[name] = [one for one in files[name] if one.notebook]
            if not files[name]:
                del files[name]
        unknown = [one for one in loose if one.notebook]
        if unknown and len(known) == 1:  # one exercise was handed out: what cannot be read is of it
            files.setdefault(known[0], []).extend(unknown)
            unknown = []
        foreign.sort(key=lambda one: not one.why)
        beside = [one.why or f"{one.path.name} is no notebook" for one in foreign]
        for name, several in files.items():
            best = several[0]
            if len(several) > 1:
                best = max(several, key=lambda one: _worth_more(one, exercises[name]))
            notes = [f"Handed in, too, and {PASSED_OVER}: {why}." for why in beside]
            others = [one.path.name for one in several if one is not best]
            if others:
                notes.append(
                    f"{len(several)} files for this exercise: {best.path.name} counts, "
                    f"{', '.join(others[:5])} was {PASSED_OVER}."
                )
            yield submission(student, name, best, best.data(), best.why, notes[:10])
        if unknown or (beside and not files):
            exercise = known[0] if len(known) == 1 else ""
            lines = [one.why or f"which exercise {one.path.name} is of cannot be told"
                     for one in unknown]  # fmt: skip
            why = "; ".join([*lines, *beside][:10])
            yield submission(student, exercise, (unknown or foreign)[0], None, why, [])


# the class list


def plain_name(text: str) -> str:
    """A name for comparison: whatever the case, the spaces and the form of Unicode."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


HEADINGS = {
    "first": ("first name", "firstname", "ime", "given name", "vorname", "שם פרטי"),
    "last": ("last name", "lastname", "surname", "family name", "prezime", "nachname", "שם משפחה"),
    "name": ("student", "name", "full name", "students", "ime i prezime", "שם", "שם מלא"),
}


def class_list(path: Path) -> list[tuple[str, str]]:
    """(name, e-mail) of a class list: Moodle's participants export, a table with a header, or one
    name a line.

    Raises:
        sheets.Unusable: the file cannot be read.
    """
    rows = [[cell.strip() for cell in row] for row in sheets.read(path)]
    if not rows:
        return []
    header = [plain_name(cell) for cell in rows[0]]
    place = {
        kind: next((i for i, cell in enumerate(header) if cell in words), None)
        for kind, words in HEADINGS.items()
    }
    mail = next((i for i in range(len(rows[0])) if any("@" in r[i : i + 1][0] for r in rows[1:]
                if len(r) > i)), None)  # fmt: skip
    headed = any(place[kind] is not None for kind in ("first", "last", "name"))
    if place["name"] is not None:
        place["first"] = place["last"] = None
    if not headed and mail is not None and "@" not in rows[0][mail]:  # headings in another language
        headed = True
        place = {"first": 0, "last": 1, "name": None} if mail >= 2 else {**place, "name": 0}
    found = []
    for row in rows[headed:]:
        cells = [*row, *[""] * len(header)]
        if place["first"] is not None and place["last"] is not None:
            name = f"{cells[place['first']]} {cells[place['last']]}"
        else:
            only = place["name"] if place["name"] is not None else 0
            name = cells[only]
        if name.strip():
            email = cells[mail] if mail is not None and "@" in cells[mail] else ""
            found.append((clean_name(name), email))
    return found


def is_on(student: str, name: str) -> bool:
    """Whether a submission's student (name, perhaps with Moodle's number) is the one of that name
    on the class list."""
    return plain_name(name) in (plain_name(student), plain_name(re.sub(r" \d+$", "", student)))
