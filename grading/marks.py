"""The one store of marks: nbgrader's gradebook, ``gradebook.db`` in the working folder.

What our box found is an automatic score, what a teacher gives is a manual one, in nbgrader's own
columns, so formgrader and nbgrader's exporters work on it. Beside them lies what nbgrader has no
place for: which answer a mark was given for. A mark given by hand is never overwritten: when the
answer changes, mark and comment stay in ``hand_mark``, are said, and come back if the answer does.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from sqlalchemy import text

from grading.assemble import info

TABLES = (
    """create table if not exists answer (student text, exercise text, question text, digest text,
    words text, shown_points text default '', shown_comment text default '',
    primary key (student, exercise, question))""",
    """create table if not exists hand_mark (student text, exercise text, question text,
    digest text, points real, extra real, comment text,
    primary key (student, exercise, question, digest))""",
    "create table if not exists exercise (name text primary key, digest text)",
    "create table if not exists class_list (student text primary key, email text)",
    "create table if not exists deduction (exercise text primary key, percent real)",
)
HERE = "student=:student and exercise=:exercise and question=:question"


@dataclass
class Mark:
    """What stands in the gradebook for one question of one student."""

    automatic: float | None = None
    manual: float | None = None
    extra: float | None = None
    comment: str = ""  # the teacher's
    earlier: str = ""  # marks given for another answer to this question, in words

    @property
    def points(self) -> float | None:
        """The points that count; None where there are none yet."""
        base = self.automatic if self.manual is None else self.manual
        return None if base is None else base + (self.extra or 0)


@dataclass
class Times:
    """When something was handed in and when it was due, an extension in the gradebook counted; in
    UTC, None where that is not known."""

    handed_in: datetime | None = None
    due: datetime | None = None
    said: bool | None = None  # whether it was late, as the platform says
    percent: float = 0  # of all points, deducted for each day begun

    @property
    def late(self) -> timedelta | None:
        if not (self.handed_in and self.due):
            return None
        return max(self.handed_in - self.due, timedelta())

    @property
    def days(self) -> int:
        return -(-self.late // timedelta(days=1)) if self.late else 0

    @property
    def words(self) -> tuple[str, str]:
        """When it was handed in, by the clock of this machine, and how late that was."""
        here = self.handed_in and self.handed_in.replace(tzinfo=timezone.utc).astimezone()
        when = f"{here:%Y-%m-%d %H:%M}" if here else "unknown"
        if self.late is not None:
            minutes = self.late // timedelta(minutes=1)
            parts = minutes // 1440, minutes // 60 % 24, minutes % 60
            words = " ".join(f"{n} {unit}" for n, unit in zip(parts, ("d", "h", "min")) if n)
            return when, (words or "less than 1 min") if self.late else "no"
        if self.said is not None:
            return when, "yes" if self.said else "no"
        return when, "unknown" if self.due else ""


def digest_of(words: str) -> str:
    return hashlib.sha256(" ".join(words.split()).encode("utf-8", "replace")).hexdigest()[:16]


def in_words(points: float | None, comment: str) -> str:
    return ", ".join(
        ([] if points is None else [f"{points:g} points"]) + ([f"“{comment}”"] if comment else [])
    )


class Marks:
    """The gradebook of a working folder. ``said`` collects what a teacher must be told."""

    def __init__(self, folder: Path):
        # nbgrader looks for alembic on the path
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        from nbgrader import api

        self.api, self.said = api, list[str]()
        self.platform: dict[tuple[str, str], bool | None] = {}  # what it says: late or not
        self.refused: dict[str, str] = {}  # row of the texts -> why what stands there is no mark
        self.book = api.Gradebook(f"sqlite:///{folder / 'gradebook.db'}", "autoencoders")
        with self.saved():
            for table in TABLES:
                self.sql(table)
        self.harvest()

    def __enter__(self) -> Marks:
        return self

    def __exit__(self, *exception) -> None:
        self.book.close()

    def sql(self, statement: str, **values):
        return self.book.db.execute(text(statement), values)

    @contextmanager
    def saved(self) -> Iterator[None]:
        """All that the block does is written, or nothing of it."""
        try:
            yield
            self.book.db.commit()
        except BaseException:
            self.book.db.rollback()
            raise

    def exercise(self, name: str, template: list[dict]) -> None:
        """The exercise with its questions; one that is no longer asked goes, and what was given for
        it by hand is kept in ``hand_mark``."""
        book, api = self.book, self.api
        digest = digest_of(repr([(info(c), c["source"]) for c in template if info(c)]))
        known = self.sql("select digest from exercise where name=:name", name=name).scalar()
        if known == digest:
            return
        book.update_or_create_assignment(name)
        notebook = book.update_or_create_notebook(name, name)
        graded = {info(cell)["grade_id"]: cell for cell in template if info(cell).get("grade")}
        solved = {info(cell)["grade_id"]: cell for cell in template if info(cell).get("solution")}
        for old, now in ((notebook.grade_cells, graded), (notebook.solution_cells, solved)):
            for cell in [cell for cell in old if cell.name not in now]:
                for kind in (api.Grade, api.Comment):
                    book.db.query(kind).filter(kind.cell_id == cell.id).delete()
                book.db.delete(cell)
        book.db.commit()
        for key, cell in graded.items():
            kind, most = cell["cell_type"], float(info(cell)["points"])
            book.update_or_create_grade_cell(key, name, name, max_score=most, cell_type=kind)
        for key in solved:
            book.update_or_create_solution_cell(key, name, name)
        for key, cell in {**graded, **solved}.items():
            book.update_or_create_source_cell(
                key, name, name, source=cell["source"], cell_type=cell["cell_type"]
            )
        with self.saved():
            self.sql("insert or replace into exercise values (:name, :digest)", name=name,
                     digest=digest)  # fmt: skip

    def due(self, exercise: str, when: str, percent: float | None) -> None:
        """A due date in nbgrader's column, and what each day after it costs; "" and None leave what
        stands there."""
        if when:
            self.book.update_or_create_assignment(exercise, duedate=when)
        if percent is not None:
            with self.saved():
                self.sql("insert or replace into deduction values (:exercise, :percent)",
                         exercise=exercise, percent=percent)  # fmt: skip

    def times(self) -> dict[tuple[str, str], Times]:
        percent = dict(self.sql("select exercise, percent from deduction").all())
        return {
            (here.student_id, of.name): Times(
                here.timestamp,
                here.duedate if of.duedate else None,
                self.platform.get((here.student_id, of.name)),
                percent.get(of.name, 0),
            )
            for of in self.book.assignments
            for here in of.submissions
        }

    def handed_in(self, student: str, exercise: str, time: str) -> None:
        self.book.update_or_create_student(student)
        with self.book.db.no_autoflush:
            self.book.update_or_create_submission(exercise, student, timestamp=time or None)

    def _rows(self, student: str, exercise: str) -> tuple[dict, dict]:
        """Question -> nbgrader's Grade, answer cell -> its Comment; made where they are missing."""
        book, api = self.book, self.api
        book.update_or_create_student(student)
        with book.db.no_autoflush:
            submission = book.update_or_create_submission(exercise, student)
        here = submission.notebooks[0]
        cells = here.notebook
        made = []
        for kind, there, wanted in (
            (api.Grade, here.grades, cells.grade_cells),
            (api.Comment, here.comments, cells.solution_cells),
        ):
            known = {row.cell_id for row in there}
            made += [
                kind(cell_id=cell.id, notebook=here) for cell in wanted if cell.id not in known
            ]
        book.db.add_all(made)
        book.db.flush()
        return {g.name: g for g in here.grades}, {c.name: c for c in here.comments}

    def begin(self, student: str, exercise: str) -> None:
        """Before anything is graded anew: no automatic mark of an earlier run is left."""
        grades, comments = self._rows(student, exercise)
        with self.saved():
            for grade in grades.values():
                grade.auto_score, grade.needs_manual_grade = None, True
            for comment in comments.values():
                comment.auto_comment = None

    def finish(self, result, template: list[dict]) -> None:
        """Write what the box found, and bring back the marks given by hand for these answers."""
        grades, comments = self._rows(result.student, result.exercise)
        code = "".join(cell["source"] for cell in result.cells if cell["kind"] == "code")
        words = {cell["key"]: cell["source"] for cell in result.cells if cell["manual"]}
        own = {cell["key"]: cell["source"] for cell in result.cells if cell["answer"]}
        self.harvest(result.student, result.exercise)
        with self.saved():
            for key, grade in grades.items():
                who = {"student": result.student, "exercise": result.exercise, "question": key}
                answer = words.get(key, code)
                self._place(who, grade, comments.get(key), answer)
                grade.auto_score = result.points.get(key)
                grade.needs_manual_grade = grade.auto_score is None and grade.manual_score is None
            for key in comments.keys() - grades.keys():  # a comment on code was made on this code
                who = {"student": result.student, "exercise": result.exercise, "question": key}
                self._place(who, None, comments[key], own.get(key, ""))
            before = ""
            for cell in template:  # a reason stands at the answer above its check
                about = info(cell)
                before = about["grade_id"] if about.get("solution") else before
                reason = result.messages.get(about.get("grade_id", ""))
                if reason and before in comments:
                    old = comments[before].auto_comment
                    comments[before].auto_comment = "\n".join(filter(None, [old, reason]))

    def _place(self, who: dict, grade, comment, answer: str) -> None:
        new = digest_of(answer)
        old = self.sql(f"select digest from answer where {HERE}", **who).scalar()
        if old == new:
            return
        if grade is None and old is None and comment.manual_comment:
            self._keep(who, new, comment=comment.manual_comment)  # of this code, as far as is known
        kept = self.sql(
            f"select points, extra, comment from hand_mark where {HERE} and digest=:digest",
            **who,
            digest=new,
        ).first()
        said = (comment.manual_comment or "") if comment else ""
        lost = in_words(grade.manual_score if grade else None, said)
        if grade:
            grade.manual_score, grade.extra_credit = (kept[0], kept[1]) if kept else (None, None)
        if comment:
            comment.manual_comment = (kept[2] if kept else None) or None
        if lost and not kept:
            self.said.append(
                f"{who['student']}, {who['exercise']}, {who['question']}: the answer was changed "
                f"after it had been marked ({lost}); the old mark is kept for you to look at."
            )
        self.sql(
            "insert or replace into answer (student, exercise, question, digest, words) "
            "values (:student, :exercise, :question, :digest, :words)",
            **who,
            digest=new,
            words=answer.encode("utf-8", "replace").decode(),
        )

    def harvest(self, student: str = "", exercise: str = "") -> None:
        """Remember every mark and comment that stands in the gradebook by hand, whoever wrote it
        there, with the answer that it was given for."""
        self.book.db.flush()
        digests = {key: about["digest"] for key, about in self.answers().items()}
        with self.saved():
            for key, marks in self.read(student, exercise).items():
                for question, mark in marks.items():
                    if mark.manual is None and mark.extra is None and not mark.comment:
                        continue
                    who = dict(zip(("student", "exercise", "question"), (*key, question)))
                    digest = digests.get((*key, question), "")
                    self._keep(who, digest, mark.manual, mark.extra, mark.comment)

    def _keep(self, who: dict, digest: str, points=None, extra=None, comment="") -> None:
        self.sql(
            "insert or replace into hand_mark values "
            "(:student, :exercise, :question, :digest, :points, :extra, :comment)",
            **{**who, "digest": digest, "points": points, "extra": extra, "comment": comment},
        )

    def mark_by_hand(
        self, student: str, exercise: str, question: str, points: float | None, comment: str
    ) -> None:
        """Put a teacher's mark and comment into the gradebook; None takes the mark back."""
        grades, comments = self._rows(student, exercise)
        with self.saved():
            grade = grades[question]
            grade.manual_score = points
            grade.needs_manual_grade = points is None and grade.auto_score is None
            if question in comments:
                comments[question].manual_comment = comment or None
            here = {"student": student, "exercise": exercise, "question": question}
            this = f"select digest from answer where {HERE}"  # what is taken back does not return
            self.sql(f"delete from hand_mark where {HERE} and digest=({this})", **here)
        self.harvest(student, exercise)

    def read(self, student: str = "", exercise: str = "") -> dict[tuple[str, str], dict[str, Mark]]:
        """(student, exercise) -> question or answer cell -> what stands there; of all, or of one
        submission."""
        self.book.db.expire_all()
        found: dict[tuple[str, str], dict[str, Mark]] = {}
        for assignment in self.book.assignments:
            for submission in assignment.submissions:
                if student and (submission.student_id, assignment.name) != (student, exercise):
                    continue
                marks = found.setdefault((submission.student_id, assignment.name), {})
                for notebook in submission.notebooks:
                    for grade in notebook.grades:
                        marks[grade.name] = Mark(
                            grade.auto_score, grade.manual_score, grade.extra_credit
                        )
                    for comment in notebook.comments:
                        if comment.manual_comment:
                            mark = marks.setdefault(comment.name, Mark())
                            mark.comment = comment.manual_comment
        earlier = """select h.student, h.exercise, h.question, h.points, h.comment from hand_mark h
            join answer a using (student, exercise, question) where h.digest != a.digest"""
        for who, what, question, points, comment in self.sql(earlier):
            mark = found.get((who, what), {}).get(question)
            if mark is not None and (words := in_words(points, comment)):
                mark.earlier = "; ".join(filter(None, [mark.earlier, words]))
        return found

    def answers(self) -> dict[tuple[str, str, str], dict]:
        """(student, exercise, question) -> digest, words, and what the teacher's sheets showed."""
        return {
            tuple(row[:3]): dict(zip(("digest", "words", "points", "comment"), row[3:]))
            for row in self.sql(
                "select student, exercise, question, digest, words, shown_points, shown_comment "
                "from answer"
            )
        }

    def shown(self, rows: list[tuple[str, str, str, str, str]]) -> None:
        """Remember what the sheets showed: (student, exercise, question, points, comment)."""
        names = ("student", "exercise", "question", "points", "comment")
        with self.saved():
            for row in rows:
                self.sql(
                    f"update answer set shown_points=:points, shown_comment=:comment where {HERE}",
                    **dict(zip(names, row)),
                )

    def class_list(self, students: list[tuple[str, str]] = ()) -> list[str]:
        """The names on the class list, to which (name, e-mail) are added."""
        with self.saved():
            for student, email in students:
                self.sql(
                    "insert or replace into class_list values (:student, :email)",
                    student=student,
                    email=email,
                )
        return [row[0] for row in self.sql("select student from class_list order by student")]
