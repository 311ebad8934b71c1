"""Marks on their way back to where a course keeps them: Moodle's grading worksheet and feedback
zip, Canvas's gradebook, a plain table.

Moodle reads a worksheet in UTF-8 with commas, finds its columns by their headings in the language
of the site, and takes the number at the end of the identifier; so the teacher's own file is filled
in, and only marks and comments are touched (mod/assign/feedback/offline/importgradeslib.php). Its
feedback zip has a folder ``Full Name_number_assignsubmission_file_`` for each student
(mod/assign/feedback/file/importziplib.php). Canvas wants Student, ID and Section first, a column
for each assignment, and a row "Points Possible" (lib/gradebook_importer.rb).

As nbgrader's exporters: ``nbgrader export --exporter=grading.exports.Table --to marks.csv``.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from pathlib import Path

from nbgrader.plugins.export import ExportPlugin
from traitlets import Unicode

from grading import collect, report, sheets
from grading.report import Total

COMMENTS = ("feedback comments", "komentari", "הערות משוב", "kommentare", "commentaires")


def number_of(student: str) -> str:
    found = re.search(r" (\d+)$", student)
    return found[1] if found else ""


def comments_of(total: Total) -> str:
    """All that a teacher wrote to a student, with the question that it is about."""
    return "\n".join(
        f"{total.titles.get(key, key)}: {mark.comment}".replace("?:", "?", 1)
        for key, mark in total.marks.items()
        if mark.comment
    )


def write_plain(path: Path, rows: list[list[str]], mark: bool) -> None:
    """A table of which only some fields are ours: all others stay letter by letter."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    sheets.replace(path, (b"\xef\xbb\xbf" if mark else b"") + buffer.getvalue().encode())


def moodle_worksheet(source: Path, target: Path, all_totals: list[Total]) -> str:
    """Fill in the worksheet that a teacher downloaded, for the exercise that most of its
    participants are known from. Returns a line that says what was done.

    Raises:
        sheets.Unusable: its columns cannot be told, or none of its participants is known.
    """
    header, *rows = sheets.read(source) or [[]]
    rows = [row + [""] * (len(header) - len(row)) for row in rows]

    def column(place: int) -> list[str]:
        return [row[place].strip() for row in rows]

    def ends_in_number(place: int) -> bool:
        return bool(rows) and all(re.search(r"\D\s*\d+$", cell) for cell in column(place))

    def constant(place: int) -> bool:
        cells = set(column(place))
        return len(cells) == 1 and bool(re.fullmatch(r"\d+([.,]\d+)?", next(iter(cells))))

    identifier = next((i for i in range(len(header)) if ends_in_number(i)), None)
    # the last of such columns: where all marks are equal, the one before it is constant, too
    most = next((i for i in range(len(header) - 1, 1, -1) if constant(i)), None)
    if identifier is None or most is None:
        raise sheets.Unusable(
            f"{source.name} does not look like Moodle's grading worksheet: a column of identifiers "
            "(Participant 123) and one with the maximum grade were expected"
        )
    grade, last = most - 1, len(header) - 1
    named = [i for i, name in enumerate(header) if name.strip().lower() in COMMENTS]
    times = any(re.search(r"\d:\d\d|^-$", cell) for cell in column(last))
    comment = named[0] if named else None if times or last <= most + 1 else last
    known = {(number_of(t.result.student), t.result.exercise): t for t in all_totals}
    ids = [re.search(r"\d+$", cell)[0] for cell in column(identifier)]
    count = Counter(name for number, name in known if number in ids)
    if not count:
        raise sheets.Unusable(f"no participant of {source.name} is known by number from Moodle")
    exercise = count.most_common(1)[0][0]
    filled = 0
    scale = float(rows[0][most].replace(",", "."))
    for number, row in zip(ids, rows):
        total = known.get((number, exercise))
        if total is None:
            continue
        if total.sum() is not None:  # a mark that does not exist yet leaves the field as it is
            row[grade] = f"{total.sum() * scale / total.most():.2f}".rstrip("0").rstrip(".")
            filled += 1
        if comment is not None and comments_of(total):
            row[comment] = comments_of(total)
    write_plain(target, [header, *rows], mark=False)
    return f"{target}: {filled} of {len(rows)} marks of {exercise} filled in"


def moodle_feedback(target: Path, pages: Path, all_totals: list[Total]) -> str:
    """All feedback pages in Moodle's folder naming, to be uploaded at once."""
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for student in sorted({total.result.student for total in all_totals}):
            page, number = pages / report.file_name(student), number_of(student)
            if number and page.exists():
                name = student.removesuffix(f" {number}").replace("_", " ")
                folder = f"{name}_{number}_assignsubmission_file_"
                archive.writestr(f"{folder}/feedback.html", page.read_bytes())
                count += 1
    return f"{target}: {count} pages"


def canvas_gradebook(source: Path, target: Path, all_totals: list[Total]) -> str:
    """Fill in Canvas's gradebook export. An exercise goes into the column whose title holds its
    name or title; else into a new one, which Canvas asks about. Returns a line that says what was
    done.

    Raises:
        sheets.Unusable: it is no such export.
    """
    header, *rows = sheets.read(source) or [[]]
    header = [name.strip() for name in header]
    if "Student" not in header or "ID" not in header:
        raise sheets.Unusable(f"{source.name} is no gradebook export of Canvas: no Student, no ID")
    who, ids = header.index("Student"), header.index("ID")
    exercises = {t.result.exercise: t for t in all_totals if t.worth}
    places = {}
    for name, total in exercises.items():
        short = total.title.split(".")[0].strip().lower()
        words = {name.lower(), total.title.lower(), short}
        titles = [re.sub(r"\s*\(\d+\)$", "", column).strip().lower() for column in header]
        found = [i for i, title in enumerate(titles) if title in words]
        if not found:
            header.append(total.title)
        places[name] = found[0] if found else len(header) - 1
    rows = [row + [""] * (len(header) - len(row)) for row in rows]
    filled = 0
    for row in rows:
        if row[who].strip() == "Points Possible":
            for name, place in places.items():
                row[place] = row[place].strip() or f"{exercises[name].most():g}"
            continue
        last, _, first = row[who].partition(",")
        name = collect.plain_name(f"{first} {last}")
        for total in all_totals:
            number, student = number_of(total.result.student), total.result.student
            same = number == row[ids].strip() if number else collect.plain_name(student) == name
            if not same and number:
                same = collect.is_on(student, name)
            place = places.get(total.result.exercise)
            if not same or total.sum() is None or place is None:
                continue
            if total.result.status != "missing" or not row[place].strip():  # excused, for instance
                row[place] = f"{total.sum():g}"
                filled += 1
    if not any(row[who].strip() == "Points Possible" for row in rows):
        possible = [""] * len(header)
        possible[who] = "    Points Possible"
        for name, place in places.items():
            possible[place] = f"{exercises[name].most():g}"
        rows.insert(0, possible)
    write_plain(target, [header, *rows], mark=False)
    return f"{target}: {filled} marks filled in"


def stored(folder: Path, exercises: dict) -> list[Total]:
    """The totals of a working folder, as of now."""
    from grading.grade import Work, what_is_there
    from grading.marks import Marks

    with Marks(folder) as marks:
        results, _ = what_is_there(Work(folder), marks, exercises, set(), look=True)
        return report.totals(results, exercises, marks)


def fill_in(out: Path, exercises: dict, moodle: Path | None, canvas: Path | None) -> list[str]:
    """What the grading command writes for Moodle and Canvas."""
    if not (moodle or canvas):
        return []
    all_totals, lines = stored(out, exercises), []
    for folder in ("moodle", "canvas"):
        (out / folder).mkdir(exist_ok=True)
    if moodle:
        lines.append(moodle_worksheet(moodle, out / "moodle" / moodle.name, all_totals))
        pages = out / "moodle" / "feedback.zip"
        lines.append(moodle_feedback(pages, out / "feedback", all_totals))
    if canvas:
        lines.append(canvas_gradebook(canvas, out / "canvas" / canvas.name, all_totals))
    return lines


class Exporter(ExportPlugin):
    """nbgrader's side of it: what is exported is the working folder that the gradebook lies in."""

    def totals(self, gradebook) -> list[Total]:
        from grading.grade import all_exercises

        return stored(Path(gradebook.engine.url.database).parent, all_exercises())


class Table(Exporter):
    """A line for each student, a column for each question; an unmarked one is empty, not 0."""

    def export(self, gradebook) -> None:
        header, rows = report.question_table(self.totals(gradebook))
        path = Path(self.to or "questions.csv")
        if path.suffix == ".xlsx":
            sheets.write_xlsx(path, {"questions": (header, rows)})
        else:
            sheets.write_csv(path, header, rows)


class Moodle(Exporter):
    """The worksheet named by ``--Moodle.worksheet``, filled in."""

    worksheet = Unicode("", help="the grading worksheet downloaded from Moodle").tag(config=True)

    def export(self, gradebook) -> None:
        source = Path(self.worksheet)
        target = Path(self.to or source.with_stem(f"{source.stem} filled"))
        self.log.info(moodle_worksheet(source, target, self.totals(gradebook)))


class Canvas(Exporter):
    """The gradebook named by ``--Canvas.gradebook_file``, filled in."""

    gradebook_file = Unicode("", help="the gradebook exported from Canvas").tag(config=True)

    def export(self, gradebook) -> None:
        source = Path(self.gradebook_file)
        target = Path(self.to or source.with_stem(f"{source.stem} filled"))
        self.log.info(canvas_gradebook(source, target, self.totals(gradebook)))
