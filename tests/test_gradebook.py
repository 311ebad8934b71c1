"""The office: no mark of a teacher is lost, nothing handed in disappears, and marks go back to
where a course keeps them. The grader is only played here; what it does is in test_grading.py."""

from __future__ import annotations

import csv
import datetime
import functools
import html
import io
import json
import sqlite3
import zipfile
from pathlib import Path

import nbconvert
import nbformat
import nbgrader.api
import openpyxl
import pytest
from nbgrader.server_extensions.formgrader import handlers as formgrader

import grading.sandbox
from grading import assemble, collect, corpus, exports, grade, report, sheets
from grading.marks import Marks

# a new gradebook asks alembic, in a process of its own, for a version that stays the same
nbgrader.api.get_alembic_version = functools.cache(nbgrader.api.get_alembic_version)

EXERCISES = grade.all_exercises()
ONE, TWO = "01_dense_autoencoder", "03_denoising"
FULL = {
    name: {
        key: points for key, (points, manual) in report.worth(EXERCISES[name]).items() if not manual
    }
    for name in (ONE, TWO)
}


def notebook(exercise: str, text: str = "because", change=None) -> bytes:
    """An exercise with an answered text and nothing else."""
    case = corpus.Case("x", exercise, solved=False, change=change)
    nb = json.loads(corpus.notebook(case))
    for cell in nb["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("grade") and about.get("solution") and text:
            cell["source"] = text
    return json.dumps(nb).encode()


class Course:
    """A teacher's folder: hand in, grade, mark."""

    def __init__(self, folder: Path):
        self.folder, self.out, self.said = folder, folder / "out", list[str]()
        self.graded: list[tuple[str, str]] = []

    def grade(self, submission) -> grade.Result:
        """What the box would find: all automatic points, or 'unreadable'."""
        self.graded.append((submission.student, submission.exercise))
        data = Path(submission.file).read_bytes() if submission.file else submission.data
        result = grade.Result(submission.student, submission.exercise, "graded")
        if data is None:
            return grade.Result(
                *self.graded[-1], "unreadable", dict.fromkeys(FULL[submission.exercise], 0.0),
                notes=[f"Not graded: {submission.why}."],
            )  # fmt: skip
        template = EXERCISES[submission.exercise]
        assembled = assemble.assemble(template, assemble.read(data))
        result.points = dict(FULL[submission.exercise])
        for cell in assembled.cells:
            if cell.manual and assemble.unanswered(cell, template):
                result.points[cell.key] = 0.0
            result.cells.append({**vars(cell), "outputs": [], "error": ""})
        return result

    def hand_in(self, name: str, files: dict[str, bytes]) -> Path:
        path = self.folder / name
        with zipfile.ZipFile(path, "w") as archive:
            for inner, data in files.items():
                archive.writestr(inner, data)
        return path

    def go(self, source: Path | None = None, **options) -> dict:
        self.said, self.graded = [], []
        options = {"check_grader": False, "say": self.said.append, **options}
        grade.run(source, self.out, **options)
        return self.rows()

    def rows(self) -> dict[tuple[str, str], dict]:
        with open(self.out / "grades.csv", encoding="utf-8-sig", newline="") as file:
            return {(row["student"], row["exercise"]): row for row in csv.DictReader(file)}

    def mark(self, points, comment="", encoding="utf-8-sig", delimiter=",", student="") -> None:
        """Fill in texts.csv as some spreadsheet program saves it."""
        with open(self.out / "texts.csv", encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file)
        for row in rows:
            if student in row[0]:
                row[header.index("points")], row[header.index("comment")] = points, comment
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=delimiter).writerows([header, *rows])
        data = buffer.getvalue().encode(encoding, "replace")
        (self.out / "texts.csv").write_bytes(data)


@pytest.fixture
def course(tmp_path, monkeypatch, played_grader):
    found = Course(tmp_path)
    played_grader(lambda submission: found.grade(submission))
    monkeypatch.setattr(report, "write_summary", lambda *a: None)  # drawn in test_grading.py
    return found


def moodle(name: str, number: int, file: str) -> str:
    return f"{name}_{number}_assignsubmission_file_/{file}"


@pytest.fixture
def first(course):
    """Exercise 1 handed in by two, one marked by hand."""
    source = course.hand_in(
        "one.zip",
        {
            moodle("Željka Šarić", 1001, f"{ONE}.ipynb"): notebook(ONE, "dead units stay dead"),
            moodle("נועה לוי", 1002, f"{ONE}.ipynb"): notebook(ONE, "the gradient is zero"),
        },
    )
    course.go(source)
    course.mark("2,5", "Good, but shorter: š ć ž", student="Željka")
    course.go(source)
    return course


ANA, NOA = ("Željka Šarić 1001", ONE), ("נועה לוי 1002", ONE)


# marks that are never lost


def test_a_second_zip_drops_nothing_of_the_first(first):
    before = first.rows()[ANA]
    assert (before["by_hand"], before["points"]) == ("2.5", "11.5")
    second = first.hand_in("two.zip", {moodle("Ivo", 7, f"{TWO}.ipynb"): notebook(TWO)})
    rows = first.go(second)
    assert rows[ANA] == before and rows["Ivo 7", TWO]["status"] == "graded"
    assert first.graded == [("Ivo 7", TWO)]
    page = (first.out / "feedback" / report.file_name(ANA[0])).read_text(encoding="utf-8")
    assert "Good, but shorter: š ć ž" in page


def test_marks_are_in_nbgraders_gradebook(first):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{first.out / 'gradebook.db'}", "autoencoders") as book:
        submission = book.find_submission(ONE, ANA[0])
        assert (submission.code_score, submission.written_score) == (9, 2.5)
        assert book.find_grade("why", ONE, ONE, NOA[0]).needs_manual_grade
        assert book.find_comment("why", ONE, ONE, ANA[0]).manual_comment.startswith("Good")
        # what a teacher does on the screen of nbgrader's formgrader
        book.find_grade("why", ONE, ONE, NOA[0]).manual_score = 1.0
        book.find_grade("check_dead_units", ONE, ONE, NOA[0]).manual_score = 1.5
        book.db.commit()
    row = first.go()[NOA]
    assert (row["automatic"], row["by_hand"]) == ("8.5", "1")


def test_a_changed_text_keeps_the_old_mark_for_review(first):
    again = first.hand_in(
        "late.zip", {moodle("Željka Šarić", 1001, f"{ONE}.ipynb"): notebook(ONE, "new words")}
    )
    row = first.go(again)[ANA]
    assert (row["automatic"], row["by_hand"], row["points"]) == ("9", "", "")
    assert any("2.5 points" in line and "Željka Šarić 1001" in line for line in first.said)
    texts = (first.out / "texts.csv").read_text(encoding="utf-8-sig")
    assert "given for an earlier answer: 2.5 points, “Good, but shorter: š ć ž”" in texts
    first.mark("3", "better", student="Željka")
    assert first.go()[ANA]["by_hand"] == "3"
    back = first.go(first.folder / "one.zip")[ANA]  # the first text once more
    assert back["by_hand"] == "2.5"


def test_a_mark_that_was_taken_back_does_not_return(first):
    first.mark("", "", student="Željka")
    assert first.go()[ANA]["by_hand"] == ""
    name = moodle("Željka Šarić", 1001, f"{ONE}.ipynb")
    first.go(first.hand_in("other.zip", {name: notebook(ONE, "new words")}))
    assert "given for an earlier" not in (first.out / "texts.csv").read_text(encoding="utf-8-sig")
    assert first.go(first.folder / "one.zip")[ANA]["by_hand"] == ""


def test_a_comment_on_code_stays_with_that_code(first):
    def commented(new: str | None = None) -> str:
        with Marks(first.out) as marks:
            comment = marks.book.find_comment("dead_units", ONE, ONE, ANA[0])
            if new is not None:
                comment.manual_comment = new
                marks.book.db.commit()
            return comment.manual_comment or ""

    def handed_in(code: str) -> None:
        nb = json.loads(notebook(ONE, "dead units stay dead"))
        cells = {cell["metadata"].get("nbgrader", {}).get("grade_id"): cell for cell in nb["cells"]}
        cells["dead_units"]["source"] = code
        name = moodle("Željka Šarić", 1001, f"{ONE}.ipynb")
        first.go(first.hand_in("code.zip", {name: json.dumps(nb).encode()}))

    handed_in("def dead_units(codes):\n    return codes.any()")
    commented("any or all?")
    first.go()
    assert commented() == "any or all?"
    handed_in("def dead_units(codes):\n    return codes.all()")
    assert commented() == "" and any("any or all?" in line for line in first.said)
    page = (first.out / "feedback" / report.file_name(ANA[0])).read_text(encoding="utf-8")
    assert "any or all?" not in page
    handed_in("def dead_units(codes):\n    return codes.any()")
    assert commented() == "any or all?"


def test_what_is_typed_while_grading_runs_is_read(first, monkeypatch):
    played = Course.grade

    def grade_while_somebody_marks(self, submission):
        first.mark("1", "typed in between", student="1002")
        return played(self, submission)

    monkeypatch.setattr(Course, "grade", grade_while_somebody_marks)
    rows = first.go(first.hand_in("two.zip", {moodle("Ivo", 7, f"{TWO}.ipynb"): notebook(TWO)}))
    assert rows[NOA]["by_hand"] == "1" and rows["Ivo 7", TWO]["status"] == "graded"
    with Marks(first.out) as marks:
        assert marks.read()[NOA]["why"].comment == "typed in between"


def test_a_new_grader_leaves_hand_marks_alone(first, monkeypatch):
    monkeypatch.setattr(grade, "fingerprint", lambda *a: "another grader")
    assert first.go()[ANA]["points"] == "11.5"
    assert sorted(first.graded) == sorted([ANA, NOA])  # what lies in the store is graded anew


def test_the_fingerprint_holds_the_package(tmp_path, monkeypatch):
    import shutil

    one = collect.Submission("a", ONE, "p", notebook(ONE))
    before = grade.fingerprint(one, "s")
    shutil.copytree(grade.ROOT / "course_utils", tmp_path / "course_utils")
    monkeypatch.setattr(grade, "PACKAGE", tmp_path / "course_utils")
    assert grade.fingerprint(one, "s") == before
    metrics = tmp_path / "course_utils/metrics.py"
    metrics.write_text(metrics.read_text() + "\n# changed\n")
    assert grade.fingerprint(one, "s") != before


def test_a_removed_question_keeps_its_mark_by_hand(first):
    with Marks(first.out) as marks:
        without = [c for c in EXERCISES[ONE] if assemble.info(c).get("grade_id") != "why"]
        marks.exercise(ONE, without)
        assert "why" not in marks.read()[ANA]
        kept = marks.sql("select points from hand_mark where question='why'").scalar()
    assert kept == 2.5


def test_a_run_killed_in_between_leaves_no_half_mark(first, monkeypatch):
    monkeypatch.setattr(grade, "fingerprint", lambda *a: "another grader")
    monkeypatch.setattr(Course, "grade", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        first.go()
    row = first.rows()[ANA]
    assert (row["status"], row["automatic"], row["points"]) == ("not graded", "", "")
    page = (first.out / "feedback" / report.file_name(ANA[0])).read_text(encoding="utf-8")
    assert "not graded" in page and "11.5" not in page
    monkeypatch.undo()


def test_a_class_list_is_remembered(course):
    source = course.hand_in("a.zip", {moodle("Ana Horvat", 5, f"{ONE}.ipynb"): notebook(ONE)})
    course.go(source, students=[("Ana Horvat", ""), ("Ana Horvat Kovač", "")])
    rows = course.go(source)
    assert set(rows) == {("Ana Horvat 5", ONE), ("Ana Horvat Kovač", ONE)}
    assert rows["Ana Horvat Kovač", ONE]["status"] == "missing"


def test_a_file_of_no_known_exercise_hides_nobody(course):
    source = course.hand_in(
        "a.zip",
        {f"Ana/{ONE}.ipynb": notebook(ONE), f"Ana/{TWO}.ipynb": notebook(TWO), "Cy/work.pdf": b"%"},
    )
    rows = course.go(source, students=[("Ana", ""), ("Cy", "")])
    assert rows["Cy", ""]["status"] == "unreadable" and "work.pdf" in rows["Cy", ""]["notes"]
    for name in (ONE, TWO):
        assert (rows["Cy", name]["status"], rows["Cy", name]["points"]) == ("missing", "0")
    good = course.hand_in("b.zip", {f"Cy/{ONE}.ipynb": notebook(ONE)})
    rows = course.go(good)
    assert [rows["Cy", name]["status"] for name in (ONE, TWO)] == ["graded", "missing"]


# lateness


def timed_zip(folder: Path, files: dict[str, tuple]) -> Path:
    """Notebooks of exercise 1, handed in on a (day, hour, minute) of December."""
    with zipfile.ZipFile(folder / "timed.zip", "w") as archive:
        for name, time in files.items():
            info = zipfile.ZipInfo(name, (2026, 12, *time, 0))
            archive.writestr(info, notebook(ONE) if name.endswith(".ipynb") else b"")
    return folder / "timed.zip"


def late(rows: dict) -> dict[str, tuple[str, str]]:
    return {who: (row["handed_in"], row["late"]) for (who, _), row in rows.items()}


def test_lateness(course):
    names = {"Ana": (1, 23, 58), "Ivo": (2, 0, 1), "Eva": (3, 4, 10)}
    source = timed_zip(course.folder, {moodle(n, 5, "x.ipynb"): t for n, t in names.items()})
    assert late(course.go(source))["Eva 5"] == ("2026-12-03 04:10", "")  # no due date, nothing said
    rows = course.go(source, due=grade.due_date("2026-12-01T23:59"))
    assert late(rows) == {
        "Ana 5": ("2026-12-01 23:58", "no"),
        "Ivo 5": ("2026-12-02 00:01", "2 min"),
        "Eva 5": ("2026-12-03 04:10", "1 d 4 h 11 min"),
    }
    assert not course.graded and {row["deducted"] for row in rows.values()} == {""}
    page = (course.out / "feedback/Eva 5.html").read_text()
    assert "Handed in: 2026-12-03 04:10; late: 1 d 4 h 11 min." in page
    course.mark("3")
    rows = course.go(source, deduct=10.0)  # of 12 points, for each day begun
    assert {w: (r["deducted"], r["points"]) for (w, _), r in rows.items()} == {
        "Ana 5": ("", "12"), "Ivo 5": ("1.2", "10.8"), "Eva 5": ("2.4", "9.6"),
    }  # fmt: skip
    assert "2.4 points are deducted" in (course.out / "feedback/Eva 5.html").read_text()
    assert course.go()["Eva 5", ONE]["points"] == "9.6"  # remembered
    with nbgrader.api.Gradebook(f"sqlite:///{course.out / 'gradebook.db'}", "autoencoders") as book:
        assert book.find_submission(ONE, "Ivo 5").total_seconds_late == 120
        book.find_submission(ONE, "Eva 5").extension = datetime.timedelta(days=2)
        book.db.commit()
    assert course.go()["Eva 5", ONE]["late"] == "no"


def test_what_cannot_be_read_is_late_too(course):
    files = {moodle("Ana", 5, "x.ipynb"): (1, 8, 0), moodle("Ivo", 6, "work.pdf"): (2, 9, 0)}
    rows = course.go(timed_zip(course.folder, files), due=grade.due_date("2026-12-01"))
    assert late(rows)["Ivo 6"] == ("2026-12-02 09:00", "9 h")


def test_the_time_of_a_download_is_no_time_of_handing_in(course):
    files = {moodle("Ana", 5, "x.ipynb"): (9, 8, 0), moodle("Ivo", 6, "x.ipynb"): (9, 8, 4)}
    rows = course.go(timed_zip(course.folder, files), due=grade.due_date("2026-12-01"))
    assert set(late(rows).values()) == {("unknown", "unknown")}
    assert "Handed in: unknown; late: unknown" in (course.out / "feedback/Ana 5.html").read_text()


def test_a_file_handed_in_once_keeps_its_time(course):
    early = {moodle("Ana", 5, "x.ipynb"): (1, 8, 0), moodle("Ivo", 6, "x.ipynb"): (2, 8, 0)}
    course.go(timed_zip(course.folder, early))
    later = {name: (9, 8, place) for place, name in enumerate(early)}
    assert late(course.go(timed_zip(course.folder, later)))["Ana 5"][0] == "2026-12-01 08:00"


def test_canvas_says_who_is_late(course):
    names = ("horvatana_31_900_homework.ipynb", "ivicivo_LATE_32_901_homework.ipynb")
    rows = course.go(timed_zip(course.folder, {name: (9, 8, 0) for name in names}))
    assert late(rows) == {"horvatana 31": ("unknown", "no"), "ivicivo 32": ("unknown", "yes")}


def test_nbgraders_time(course):
    files = {f"{name}/{ONE}/{ONE}.ipynb": notebook(ONE) for name in ("Ana", "Ivo", "Eva")}
    files[f"Ana/{ONE}/timestamp.txt"] = b"2026-12-02 23:00:00.123456 UTC"
    files[f"Ivo/{ONE}/timestamp.txt"] = b"yesterday, I think"
    files[moodle("Eva", 7, f"{ONE}/timestamp.txt")] = b"2026-11-01 00:00:00 UTC"  # her own file
    files[moodle("Eva", 7, f"{ONE}/x.ipynb")] = notebook(ONE)
    rows = course.go(course.hand_in("a.zip", files), due=grade.due_date("2026-12-01T12:00+00:00"))
    assert {who: words for who, (_, words) in late(rows).items()} == {
        "Ana": "1 d 11 h", "Ivo": "unknown", "Eva": "unknown", "Eva 7": "unknown",
    }  # fmt: skip
    assert not [row["notes"] for row in rows.values() if "timestamp" in row["notes"]]


# sheets


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1250"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_sheet_of_any_program(first, encoding, delimiter):
    first.mark("1,5", "Točno, č ž š", encoding, delimiter, student="Željka")
    assert first.go()[ANA]["by_hand"] == "1.5"
    with Marks(first.out) as marks:
        assert marks.read()[ANA]["why"].comment == "Točno, č ž š"


def test_a_western_encoding(first):
    first.mark("1", "Très bien, œuvre à finir", "cp1252", ";", student="1002")
    assert first.go()[NOA]["by_hand"] == "1"


def test_an_old_encoding_does_not_spoil_the_other_comments(first):
    with Marks(first.out) as marks:
        marks.mark_by_hand(*NOA, "why", 2.0, "יפה מאוד")
    first.go()
    with open(first.out / "texts.csv", encoding="utf-8-sig", newline="") as file:
        text = file.read()
    (first.out / "texts.csv").write_bytes(text.encode("cp1250", "replace"))
    first.go()
    with Marks(first.out) as marks:
        assert marks.read()[NOA]["why"].comment == "יפה מאוד"
        assert marks.read()[ANA]["why"].comment == "Good, but shorter: š ć ž"


@pytest.mark.parametrize("wrong", ["1/2", "nan", "7", "-1", "−1", "inf", "1e0", "good", "1. May"])
def test_what_is_no_mark_is_refused_by_name(first, wrong):
    first.mark(wrong, "the comment stays", student="Željka")
    assert first.go()[ANA]["by_hand"] == "2.5"
    assert any(repr(wrong) in line and ANA[0] in line for line in first.said)
    with Marks(first.out) as marks:
        assert marks.read()[ANA]["why"].comment == "the comment stays"
    assert "is no number from 0 to 3" in (first.out / "texts.csv").read_text("utf-8-sig")


def test_a_mark_taken_back_is_said(first):
    first.mark("", "Good, but shorter: š ć ž", student="Željka")
    assert first.go()[ANA]["by_hand"] == ""
    assert any("taken back" in line for line in first.said)


def test_marks_in_xlsx(first):
    book = openpyxl.load_workbook(first.out / "texts.xlsx")
    sheet = book.active
    header = [cell.value for cell in sheet[1]]
    for row in sheet.iter_rows(min_row=2):
        if row[0].value == NOA[0]:
            row[header.index("points")].value = 1.5
            row[header.index("comment")].value = "=1+1 is a formula"
            row[header.index("comment")].data_type = "s"
    book.save(first.out / "texts.xlsx")
    rows = first.go()
    assert rows[NOA]["by_hand"] == "1.5" and rows[ANA]["by_hand"] == "2.5"


def test_a_sheet_of_which_nothing_is_known_is_kept_aside(first):
    old = "student,exercise,question,answer,points,of,comment\nAna,x,why,because,2,3,fine\n"
    (first.out / "texts.csv").write_text(old)
    assert first.go()[ANA]["by_hand"] == "2.5"
    assert (first.out / "texts kept.csv").read_text() == old
    assert any("kept as texts kept.csv" in line for line in first.said)


def test_keys_are_no_numbers_and_apostrophes_stay(course):
    name = "'t Hooft"
    source = course.hand_in("a.zip", {f"{name}/{ONE}.ipynb": notebook(ONE, "- a list\n=1+1")})
    course.go(source)
    course.mark("2", "'s Gravenhage")
    row = course.go(source)[name, ONE]
    assert row["by_hand"] == "2"
    with Marks(course.out) as marks:
        assert marks.read()[name, ONE]["why"].comment == "'s Gravenhage"
    for _, row in sheets.read_dicts(course.out / "texts.csv"):
        assert row["key"].startswith("key_") and row["student"] == name


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_program_finds_a_formula(tmp_path, delimiter):
    bad = ["=1+1", "a;=1+1", "a\n=1+1", "a\t@x", " -1+2", "+1", "a\r=cmd"]
    sheets.write_csv(tmp_path / "a.csv", ["name", "text"], [[text, text] for text in bad])
    text = (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
        assert not [cell for cell in row if cell.strip().startswith(("=", "+", "-", "@"))]
    for text in bad:
        assert sheets.as_meant(sheets.harmless(text)) == text
    sheets.write_xlsx(tmp_path / "a.xlsx", {"a": (["text"], [[text] for text in bad])})
    cells = openpyxl.load_workbook(tmp_path / "a.xlsx").active["A"]
    assert [cell.data_type for cell in cells] == ["s"] * (len(bad) + 1)


def test_one_students_strange_characters_are_that_students(course):
    odd = {"Eve/x.ipynb": notebook(ONE, "a\rb \ud800 \x00 c"), "Ivo/x.ipynb": notebook(ONE)}
    rows = course.go(course.hand_in("a.zip", odd))
    assert {row["status"] for row in rows.values()} == {"graded"}
    assert len(list((course.out / "feedback").iterdir())) == 2
    course.mark("3")
    assert course.go()["Eve", ONE]["by_hand"] == "3"


def played_box(monkeypatch, *messages: dict):
    """A box that says what a hostile process might."""

    class Box:
        def __init__(self, *a): ...
        def __enter__(self):
            return self

        def __exit__(self, *a): ...
        def send(self, message, check=None): ...
        def within(self, seconds, why):
            return lambda: None

        def receive(self, seconds):
            return next(left, {"kind": "ended"})

        clock = type("Clock", (), {"look": lambda self: 0.0})()

    left = iter([{"kind": "ready"}, *messages, {"kind": "ran"}])
    monkeypatch.setattr(grading.sandbox, "Box", Box)
    monkeypatch.setattr(grade, "inputs", lambda *a: ({}, [{}] * 9))
    one = collect.Submission("Eve", ONE, "p", notebook(ONE))
    return grade.grade(one, "00", None, grading.sandbox.Limits())


@pytest.mark.parametrize("key", ["²", "9" * 5000, "-1", [], {}, None, 1.5, "x"])
def test_a_cells_key_is_only_a_claim(monkeypatch, key):
    text = [{"text": "\ud800 \x00"}]
    result = played_box(
        monkeypatch,
        {"kind": "cell", "key": key, "outputs": text},
        {"kind": "cell", "key": "4", "outputs": text, "error": 7},
    )
    assert result.status == "graded" and not any(result.points.values())
    shown = [cell for cell in result.cells if cell["outputs"]]
    assert [cell["outputs"][0]["text"] for cell in shown] == ["? \x00"]


def test_long_names(course):
    names = ["𝒜" * 80 + "a", "𝒜" * 80 + "b"]
    rows = course.go(course.hand_in("a.zip", {f"{n}/{ONE}.ipynb": notebook(ONE) for n in names}))
    assert len(rows) == 2


# nothing handed in disappears


def found(folder: Path, files: dict[str, bytes], exercises=EXERCISES) -> dict:
    for name, data in files.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    said: list[str] = []
    one = collect.collect(folder / "in", exercises, said.append)
    return {(s.student, s.exercise): s for s in one}


def test_one_folder_around_the_class(tmp_path):
    files = {f"class/{n}/homework.ipynb": notebook(ONE) for n in ("Ana Horvat", "Ivo Horvat")}
    assert set(found(tmp_path, files)) == {("Ana Horvat", ONE), ("Ivo Horvat", ONE)}


@pytest.mark.parametrize(
    "paths",
    [
        ["A/submitted/Ana/01_dense_autoencoder/x.ipynb", "A/submitted/Ivo/03_denoising/y.ipynb"],
        [f"Ex/{n}_assignsubmission_file_/x.ipynb" for n in ("Ana_5", "Ivo_6")],
        ["all/Ana.ipynb", "all/Ivo.ipynb"],
        ["Ana/01_dense_autoencoder/x.ipynb", "Ivo/01_dense_autoencoder/x.ipynb"],
    ],
)  # fmt: skip
def test_layouts(tmp_path, paths):
    names = {s.rstrip(" 56") for s, _ in found(tmp_path, {p: notebook(ONE) for p in paths})}
    assert names == {"Ana", "Ivo"}


def test_canvas_names(tmp_path):
    names = ("horvatana_31_900_homework.ipynb", "ivicivo_LATE_32_901_homework.ipynb")
    files = {name: notebook(ONE) for name in names}
    assert set(found(tmp_path, files)) == {("horvatana 31", ONE), ("ivicivo 32", ONE)}


def test_one_students_folder_is_no_wrapper(tmp_path):
    files = {f"Ana/{ONE}.ipynb": notebook(ONE), f"Ana/{TWO}.ipynb": notebook(TWO)}
    assert set(found(tmp_path, files)) == {("Ana", ONE), ("Ana", TWO)}


def test_of_two_files_the_answered_one_counts_and_the_other_is_told(tmp_path):
    files = {
        f"Ana/{ONE}.ipynb": notebook(ONE, "my answer"),
        f"Ana/{ONE} (10).ipynb": notebook(ONE, ""),
        f"Ana/{ONE} (2).ipynb": b"half a file",
    }
    one = found(tmp_path, files)["Ana", ONE]
    assert b"my answer" in one.data and "3 files" in one.notes[0]
    files = {f"Ivo/{ONE} ({n}).ipynb": notebook(ONE, f"answer {n}") for n in (2, 10, 9)}
    assert b"answer 10" in found(tmp_path, files)["Ivo", ONE].data


FOREIGN = ["work.html", "work.pdf", "work.py", "work.ipynb.txt", "onlinetext.html"]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_a_line_with_its_name(course, name):
    files = {
        moodle("Ana", 5, f"{ONE}.ipynb"): notebook(ONE),
        moodle("Ivo", 6, name): b"hello",
        f"Eva_7_assignsubmission_onlinetext_{name}": b"hello",
    }
    source = course.hand_in("a.zip", files)
    rows = course.go(source, students=[("Ivo", ""), ("Eva", ""), ("Ana", "")])
    assert len(rows) == 3
    for who in ("Ivo 6", "Eva 7"):
        row = rows[who, ONE]
        assert row["status"] == "unreadable" and name in row["notes"], row


def test_zips_in_zips_stay_with_the_student(course, tmp_path):
    def zipped(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return buffer.getvalue()

    attack = {moodle("Ana", 5, f"{ONE}.ipynb"): notebook(ONE, "not hers")}
    files = {
        moodle("Ana", 5, f"{ONE}.ipynb"): notebook(ONE, "hers"),
        moodle("Eve", 6, "mine.zip"): zipped(attack),
        moodle("Ivo", 7, "mine.zip"): zipped({f"deep/{ONE}.ipynb": notebook(ONE, "his")}),
        moodle("Jan", 8, "broken.zip"): b"PK\x03\x04 nothing",
    }
    rows = course.go(course.hand_in("a.zip", files))
    assert {who: row["status"] for (who, _), row in rows.items()} == {
        "Ana 5": "graded",
        "Eve 6": "graded",
        "Ivo 7": "graded",
        "Jan 8": "unreadable",
    }
    assert "broken.zip" in rows["Jan 8", ONE]["notes"]
    texts = {r["student"]: r["answer"] for _, r in sheets.read_dicts(course.out / "texts.csv")}
    assert (texts["Ana 5"], texts["Ivo 7"]) == ("hers", "his")


def test_a_zip_bomb_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "OF_A_STUDENT", (100, 3 << 20))
    monkeypatch.setattr(assemble, "LARGEST_FILE", 2 << 20)

    def zipped(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return buffer.getvalue()

    large, many = {f"{n}.ipynb": b" " * 3_000_000 for n in range(9)}, b" " * 1_900_000
    files = {
        "Ana/a.zip": zipped(large),
        "Eva/a.zip": zipped({f"{n}.zip": zipped({"x.ipynb": many}) for n in range(9)}),
        "Jan/a.zip": zipped({f"{n}.txt": b"" for n in range(101)}),
        f"Zoe/{ONE}.ipynb": notebook(ONE),
    }
    all_of = found(tmp_path, files)
    assert all_of["Zoe", ONE].data and len(all_of) == 4
    assert "larger than" in all_of["Ana", ONE].why
    one = collect.Reader(tmp_path)
    eva = [f for f in one.all_of(tmp_path / "in") if f.path.parts[0] == "Eva"]
    assert [f.why[:23] for f in eva if not f.kept] == ["x.ipynb is larger than "] * 8
    assert "too many files" in all_of["Jan", ONE].why


def test_lines_without_end_are_one_students(course):
    nb = json.loads(notebook(ONE))
    nb["cells"] = [lines_of("a=1\n" * 60_000, cell_type="code")]
    files = {"Eve/x.ipynb": json.dumps(nb).encode(), f"Ivo/{ONE}.ipynb": notebook(ONE)}
    rows = course.go(course.hand_in("a.zip", files))
    assert rows["Ivo", ONE]["status"] == "graded" and len(rows) == 2


def test_an_encrypted_zip_is_one_line(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.ipynb", notebook(ONE))
    data = bytearray(buffer.getvalue())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1  # "encrypted"
    files = {"Ana/a.zip": bytes(data), f"Ivo/{ONE}.ipynb": notebook(ONE)}
    all_of = found(tmp_path, files)
    assert "cannot be unpacked" in all_of["Ana", ONE].why and all_of["Ivo", ONE].data


def test_a_notebook_that_needs_too_much_memory_is_unreadable(monkeypatch):
    monkeypatch.setattr(assemble, "PARSED", 40 << 20)
    with pytest.raises(assemble.Unreadable, match="memory"), assemble.bounded():
        assemble.read(b'{"cells": [' + b"{}," * 3_000_000 + b"{}]}")


def lines_of(text: str, **cells) -> dict:
    return {"id": "mine", "metadata": {}, "cell_type": "markdown", "source": text, **cells}


def beside(kind: str, keep_stub: bool = True):
    def change(nb: dict) -> dict:
        names = [c["metadata"].get("nbgrader", {}).get("grade_id") for c in nb["cells"]]
        place = names.index("why") + 1
        code = {"outputs": [], "execution_count": None} if kind == "code" else {}
        nb["cells"].insert(place, lines_of("# my words", cell_type=kind, **code))
        if not keep_stub:
            del nb["cells"][place - 1]
        return nb

    return change


def turned(kind: str):
    def change(nb: dict) -> dict:
        for cell in nb["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "why":
                cell |= {"cell_type": kind, "source": "# my words"}
        return nb

    return change


def in_the_question(nb: dict) -> dict:
    names = [c["metadata"].get("nbgrader", {}).get("grade_id") for c in nb["cells"]]
    cell = nb["cells"][names.index("why") - 1]
    cell["source"] = "".join(cell["source"]) + "\n\nmy words"
    return nb


def at_the_end(nb: dict) -> dict:
    nb["cells"].append(lines_of("my words"))
    return nb


@pytest.mark.parametrize(
    "change",
    [
        beside("markdown"),
        beside("raw"),
        beside("code"),
        beside("markdown", keep_stub=False),
        turned("code"),
        turned("raw"),
        in_the_question,
        at_the_end,
    ],
)
def test_text_beside_its_cell_is_collected(course, change):
    source = course.hand_in("a.zip", {"Ana/x.ipynb": notebook(ONE, "", change)})
    assert course.go(source)["Ana", ONE]["by_hand"] == ""
    [(_, row)] = sheets.read_dicts(course.out / "texts.csv")
    assert "my words" in row["answer"]


def test_code_turned_into_text_is_still_the_answer():
    def change(nb: dict) -> dict:
        for cell in nb["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "dead_units":
                cell |= {"cell_type": "raw", "source": "dead_units = sorted"}
        return nb

    cells = assemble.assemble(EXERCISES[ONE], assemble.read(notebook(ONE, "", change))).cells
    assert [c.kind for c in cells if c.source == "dead_units = sorted"] == ["code"]


# class lists


PARTICIPANTS = [
    "First name,Last name,Email address,Groups\nAna,Horvat,a@x.hr,\nAna Marija,Horvat,b@x.hr,\n",
    "Ime;Prezime;Adresa e-pošte\nAna;Horvat;a@x.hr\nAna Marija;Horvat;b@x.hr\n",
    "שם פרטי\tשם משפחה\tדוא״ל\nAna\tHorvat\ta@x.hr\nAna Marija\tHorvat\tb@x.hr\n",
    "Nimi,Sukunimi,Sähköposti\nAna,Horvat,a@x.fi\nAna Marija,Horvat,b@x.fi\n",
    "Student,Group\nAna Horvat,1\nAna Marija Horvat,2\n",
    "Ana Horvat\nAna Marija Horvat\n",
]


@pytest.mark.parametrize("text", PARTICIPANTS)
def test_class_lists(tmp_path, text):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    names = [name for name, _ in collect.class_list(tmp_path / "list.csv")]
    assert names == ["Ana Horvat", "Ana Marija Horvat"]


# back to where marks live


WORKSHEETS = {
    "English": ("Participant ", "Identifier,Full name,Email address,Status,Grade,Maximum Grade,"
                "Grade can be changed,Last modified (submission),Last modified (grade),"
                "Feedback comments"),
    "Croatian": ("Sudionik ", "Identifikator,Ime i prezime,E-pošta,Status,Ocjena,Najviša ocjena,"
                 "Ocjena se može mijenjati,Zadnja izmjena (predaja),Zadnja izmjena (ocjena),"
                 "Povratna informacija"),
    "Hebrew": ("משתתף ", "מזהה,שם מלא,דוא״ל,מצב,ציון,ציון מירבי,ניתן לשנות ציון,"
               "עודכן לאחרונה (הגשה),עודכן לאחרונה (ציון),הערות משוב"),
}  # fmt: skip


@pytest.mark.parametrize("language", WORKSHEETS)
def test_moodles_worksheet(first, language):
    word, header = WORKSHEETS[language]
    names = header.split(",")
    when = "Monday, 2 November 2026, 8:15 AM"
    rows = [
        [f"{word}1001", "Željka Šarić", "z@x", "Submitted", "", "100.00", "Yes", when, "-", ""],
        [f"{word}1002", "נועה לוי", "n@x", "Submitted", "", "100.00", "Yes", when, "-", ""],
        [f"{word}1003", "Nobody", "o@x", "No submission", "50", "100.00", "Yes", "-", when, "old"],
    ]
    source = first.folder / "Grades.csv"
    with open(source, "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    with Marks(first.out) as marks:  # a comment on code, from the screen of the formgrader
        marks.mark_by_hand(*NOA, "why", None, "why so?")
        marks.book.find_comment("dead_units", ONE, ONE, NOA[0]).manual_comment = "any or all?"
        marks.book.db.commit()
    exports.fill_in(first.out, EXERCISES, source, None)
    # as assignfeedback_offline_grade_importer reads it: UTF-8, commas, columns by their headings
    with open(first.out / "moodle/Grades.csv", encoding="utf-8", newline="") as file:
        got = {
            int(row[names[0]][len(word) :]): row
            for row in csv.DictReader(file)  # a heading that began with a mark would be missed
        }
    assert float(got[1001][names[4]]) == pytest.approx(11.5 / 12 * 100, abs=0.01)
    assert "Good, but shorter: š ć ž" in got[1001][names[9]]
    assert sorted(got[1002][names[9]].splitlines()) == [
        "1. Find the dead units: any or all?", "4. Why did it die, why does yours live? why so?"
    ]  # fmt: skip
    assert got[1002][names[4]] == ""  # its text is not marked yet
    assert list(got[1003].values()) == rows[2]
    assert got[1001][names[8]] == "-"


def test_moodles_worksheet_of_which_all_marks_are_equal(first):
    names = WORKSHEETS["English"][1].split(",")
    row = ["Participant 1001", "Ž", "z@x", "Submitted", "0.00", "100.00", "Yes", "-", "-", ""]
    source = first.folder / "Grades.csv"
    with open(source, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, row])
    exports.fill_in(first.out, EXERCISES, source, None)
    with open(first.out / "moodle/Grades.csv", encoding="utf-8", newline="") as file:
        (got,) = csv.DictReader(file)
    assert got["Status"] == "Submitted"
    assert float(got["Grade"]) == pytest.approx(11.5 / 12 * 100, abs=0.01)


def test_moodles_feedback_zip(first):
    exports.moodle_feedback(
        first.folder / "f.zip", first.out / "feedback", exports.stored(first.out, EXERCISES)
    )
    with zipfile.ZipFile(first.folder / "f.zip") as archive:
        places = set()
        for name in archive.namelist():  # as assignfeedback_file_zip_importer takes it apart
            info = name.split("/")[0].split("_", 4)
            assert info[1].isdecimal() and info[2:4] == ["assignsubmission", "file"]
            places.add((int(info[1]), name.split("/")[1]))
            assert info[0].encode() in archive.read(name)
    assert places == {(1001, "feedback.html"), (1002, "feedback.html")}


def test_canvas_gradebook(first):
    source = first.folder / "canvas.csv"
    rows = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Exercise 1 (777)", "Final"],
        ["    Points Possible", "", "", "", "", "", ""],
        ["Šarić, Željka", "31", "u31", "zs", "A", "", "x"],
        ["לוי, נועה", "32", "u32", "nl", "A", "", "y"],
        ["Kos, Eva", "33", "u33", "ek", "A", "EX", ""],  # excused
        ["Lis, Iva", "34", "u34", "il", "A", "", ""],
    ]
    first.go(students=[("Eva Kos", ""), ("Iva Lis", "")])
    with open(source, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    exports.fill_in(first.out, EXERCISES, None, source)
    with open(first.out / "canvas/canvas.csv", encoding="utf-8", newline="") as file:
        header, possible, ana, noa, eva, iva = csv.reader(file)
    assert header == rows[0]
    assert possible == [*rows[1][:5], "12", ""]
    assert ana == [*rows[2][:5], "11.5", "x"] and noa == rows[3]
    assert eva == rows[4] and iva[5] == "0"


@pytest.mark.parametrize("option, value, says", [
    ("--due", "tomorrow", "'tomorrow' is no date"),
    ("--deduct", "-5", "'-5' is not between 0 and 100"),
    ("--students", "nowhere.csv", "there is no file nowhere.csv"),
])  # fmt: skip
def test_a_wrong_option_is_one_sentence(tmp_path, monkeypatch, capsys, option, value, says):
    arguments = ["grade", str(tmp_path), "--unsafe-without-sandbox", option, value]
    monkeypatch.setenv("COURSE_DATA", "sample")
    monkeypatch.setattr("sys.argv", [*arguments, "--out", str(tmp_path / "out")])
    try:
        assert grade.main() == 1
    except SystemExit as stopped:
        assert stopped.code == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_a_column_for_each_question(first):
    header, ana, *_ = sheets.read(first.out / "questions.csv")
    line = dict(zip(header, ana))
    assert line["student"] == "Željka Šarić"
    assert [v for n, v in line.items() if "Find the dead units" in n] == ["2.0"]
    assert [v for n, v in line.items() if "Why did it die" in n] == ["2.5"]
    book = openpyxl.load_workbook(first.out / "marks.xlsx")
    assert book.sheetnames == ["grades", "questions"]


def test_as_nbgraders_exporter(first):
    from nbgrader.api import Gradebook

    plugin = exports.Table()
    plugin.to = str(first.folder / "t.xlsx")
    with Gradebook(f"sqlite:///{first.out / 'gradebook.db'}", "autoencoders") as book:
        plugin.export(book)
    sheet = openpyxl.load_workbook(plugin.to).active
    values = {row[0].value: [cell.value for cell in row[1:]] for row in sheet.iter_rows(min_row=2)}
    assert sum(values["Željka Šarić"]) == 11.5
    assert None in values["נועה לוי"]  # unmarked: no 0


def test_unmarked_texts_are_no_zero(first):
    page = (first.out / "feedback" / report.file_name(NOA[0])).read_text(encoding="utf-8")
    assert "9 of 9 points so far" in page and "3 points, is still to be marked" in page
    assert "Exercise 1. Bring the dead units back" in page and "1. Find the dead units" in page


def test_the_reason_stands_beside_the_cell(course, monkeypatch):
    why = "expected 3, got <script>4</script>"

    def judged(self, submission, whole=Course.grade):
        result = whole(self, submission)
        result.points["check_pca_error"], result.messages["check_pca_error"] = 1.0, why
        return result

    monkeypatch.setattr(Course, "grade", judged)
    case = corpus.Case("x", ONE)
    source = course.hand_in("a.zip", {f"Ana/{ONE}.ipynb": corpus.notebook(case)})
    course.go(source)
    page = (course.out / "feedback/Ana.html").read_text()
    _, dead, pca, *_ = page.split("<section>")
    assert "1. Find the dead units: 2 of 2" in dead and "Right." in dead
    assert "2. The error of PCA, from its definition: 1 of 3" in pca and "some" in pca
    assert html.escape(why) in pca and "def pca_error" in pca and "<script>" not in page
    assert "Model answer:" not in page and "How it is marked" not in page
    course.go(models=True)
    page = (course.out / "feedback/Ana.html").read_text()
    assert page.count("Model answer:") == 4 and "slope of a ReLU" in page
    assert page.count("How it is marked:") == 1 and "SOLUTION" not in page


def test_formgrader_shows_texts_as_they_were_typed(course):
    text = "</pre><script>alert(1)</script>\n\n<img src=x onerror=alert(1)> $x<y$"
    course.go(course.hand_in("a.zip", {f"Ana/{ONE}.ipynb": notebook(ONE, text)}))
    nb = json.loads((course.out / f"autograded/Ana/{ONE}/{ONE}.ipynb").read_text())
    marked = {c["metadata"]["nbgrader"]["grade_id"]: c for c in nb["cells"] if c["metadata"]}
    assert {"check_dead_units", "dead_units", "why"} <= marked.keys()
    exporter = nbconvert.HTMLExporter(
        template_name="formgrade", extra_template_basedirs=[formgrader.template_path]
    )
    page, _ = exporter.from_notebook_node(
        nbformat.reads(json.dumps(nb), 4), {"base_url": "", "index": 0, "total": 1}
    )
    assert 'id="why-comment"' in page and 'class="score tabbable" id="why"' in page
    assert html.escape(text) in page and "alert(1)<" not in page and "<img src=x" not in page


def test_one_person_is_one_line_though_moodles_numbers_differ(first):
    source = first.hand_in("two.zip", {moodle("Željka Šarić", 2044, f"{TWO}.ipynb"): notebook(TWO)})
    first.go(source)
    _, *rows = sheets.read(first.out / "questions.csv")
    assert [row[0] for row in rows] == ["Željka Šarić", "נועה לוי"]


def test_the_gradebook_is_sqlite(first):
    with sqlite3.connect(first.out / "gradebook.db") as base:
        assert base.execute("select count(*) from submitted_assignment").fetchone() == (2,)
