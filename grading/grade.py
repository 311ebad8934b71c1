"""Grades a folder or zip of submissions.

    python -m grading.grade SUBMISSIONS [--students list.csv] [--again] [--jobs 2]
    [--unsafe-without-sandbox]

Writes into grading/work (or --out): grades.csv, feedback/<student>.html, summary.png. Run it again
at any time: what was graded is kept, what changed is graded anew, and a mark never outlives the
submission or the exercise that it was given for.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import functools
import hashlib
import json
import multiprocessing
import os
import secrets
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from course_utils.engine import asking
from course_utils.engine.asking import Question, Wrong
from grading import assemble, collect, judging, report, sandbox

ROOT = Path(__file__).resolve().parents[1]
VERSION_OF = ("runner.py", "sandbox.py", "assemble.py", "judging.py", "grade.py")
LIMITS = sandbox.Limits()


@dataclass
class Result:
    """What came of one submission."""

    student: str
    exercise: str
    status: str  # graded | timed out | crashed | tampered | missing | unreadable | not graded
    points: dict[str, float] = field(default_factory=dict)  # question -> automatic points
    messages: dict[str, str] = field(default_factory=dict)  # question -> why points are missing
    notes: list[str] = field(default_factory=list)
    cells: list[dict] = field(default_factory=list)  # what ran and what it showed, for the feedback
    seconds: float = 0.0
    fingerprint: str = ""


def exercise_path(name: str) -> Path:
    return ROOT / "exercises" / name / f"{name}.ipynb"


def all_exercises() -> dict[str, list[dict]]:
    """Name -> cells of the student version, of every exercise that has questions."""
    found = {}
    for path in sorted((ROOT / "exercises").glob("*/*.ipynb")):
        if path.stem == path.parent.name and judging.path_of(path.stem).exists():
            found[path.stem] = assemble.exercise_cells(path)
    return found


def fingerprint(submission: collect.Submission, secret: str) -> str:
    """Changes with the submission, the exercise, its questions and the grader."""
    digest = hashlib.sha256(secret.encode())
    digest.update(submission.data if submission.data is not None else b"too large")
    questions = judging.path_of(submission.exercise)
    grader = [ROOT / "grading" / name for name in VERSION_OF]
    package = sorted((ROOT / "course_utils").rglob("*.py"))  # a changed metric leaves no old mark
    for path in [exercise_path(submission.exercise), questions, *grader, *package]:
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()


@functools.lru_cache(maxsize=32)
def inputs(exercise: str, question: str, secret: str) -> tuple[dict, dict]:
    """A question's inputs and expected answers: the same for all submissions, so a worker makes
    them once."""
    found = next(other for other in judging.questions(exercise) if other.name == question)
    given = found.given(asking.random_for(secret, question))
    return given, found.expected(given)


def ask(box: sandbox.Box, question: Question, given: dict, seed: int) -> list[dict]:
    """Put one question to the student's process.

    Raises:
        TimeoutError: no answer in time.
        sandbox.BoxEnded: the box is gone.
    """

    def reply() -> dict:
        message = box.receive(question.seconds + 15)
        if message["kind"] == "late":
            raise TimeoutError(f"no answer within {question.seconds:.0f} s")
        return message

    def until(*kinds: str) -> dict:
        while (message := reply())["kind"] not in kinds:
            pass
        return message

    def ask_one(function, asked: dict) -> dict:
        if ended:
            raise Wrong("your code ended the process")
        box.send({"ask": function.__name__, "given": judging.pack(asked)})
        message = reply()
        if message["kind"] in ("answer", "failed"):
            if until("asked", "ended")["kind"] == "ended":
                ended.append(True)
        elif message["kind"] == "ended":
            ended.append(True)
        if message["kind"] != "answer":
            raise Wrong(str(message.get("text") or "your code ended the process")[:600])
        return judging.unpack(message)

    ended: list[bool] = []
    source = judging.source_of(question)
    box.send(
        {"source": source, "given": judging.pack(given), "seed": seed, "seconds": question.seconds}
    )
    if (message := reply())["kind"] != "prepared":
        wrong = Wrong(str(message.get("text") or "your code ended the process")[:600])
        if message["kind"] != "ended":
            until("ended")
        return [asking.NoAnswer(wrong) for _ in question.ask]
    answers = asking.put(question, given, ask_one)
    if not ended:
        box.send({"done": True})
        until("ended")
    return answers


def grade(
    submission: collect.Submission, secret: str, bwrap: str | None, limits: sandbox.Limits
) -> Result:
    """Grade one submission; never raises for anything that a submission does."""
    start = time.monotonic()
    torch.set_num_threads(1)
    result = Result(submission.student, submission.exercise, "graded")
    template = assemble.exercise_cells(exercise_path(submission.exercise))
    questions = judging.questions(submission.exercise)
    result.points = {question.cell: 0.0 for question in questions}
    try:
        if submission.data is None:
            raise assemble.Unreadable(
                f"the file is larger than {assemble.LARGEST_FILE >> 20} MiB: "
                "clear all outputs and hand it in again"
            )
        assembled = assemble.assemble(template, assemble.read(submission.data))
    except assemble.Unreadable as error:
        result.status, result.notes = "unreadable", [f"Not graded: {error}."]
        return result
    result.notes += assembled.notes
    for cell in assembled.cells:
        if cell.manual and assemble.unanswered(cell, template):
            result.points[cell.key], result.messages[cell.key] = 0.0, "No answer."
    shown = [{**asdict(cell), "outputs": [], "error": ""} for cell in assembled.cells]
    result.cells = shown
    code = [
        (number, cell)
        for number, cell in enumerate(assembled.cells)
        if cell.kind == "code" and not cell.skip
    ]
    late = []
    try:
        with (
            tempfile.TemporaryDirectory() as scratch,
            sandbox.Box(bwrap, limits, Path(scratch)) as box,
        ):
            box.send(
                {
                    "limits": box.rlimits() if bwrap else {},
                    "cells": [
                        {"key": str(number), "source": cell.source, "seconds": limits.cell_seconds}
                        for number, cell in code
                    ],
                }
            )
            box.receive(limits.start_seconds)  # the box is ready
            while (message := box.receive(limits.cell_seconds + limits.grace_seconds))[
                "kind"
            ] != "ran":
                if (
                    message["kind"] == "cell"
                    and str(message.get("key")).isdigit()
                    and int(message["key"]) < len(shown)
                ):
                    cell = shown[int(message["key"])]
                    cell["outputs"], cell["error"] = (
                        report.only_known(message.get("outputs")),
                        str(message.get("error", ""))[:100],
                    )
                    if cell["error"] == "OutOfTime":
                        late.append("a cell")
            traces = (
                [str(trace)[:200] for trace in message.get("traces", [])][:5]
                if isinstance(message.get("traces"), list)
                else []
            )
            if traces:
                result.status = "tampered"
                result.notes.append(f"For the teacher: {'; '.join(traces)}.")
            for question in questions:
                given, expected = inputs(submission.exercise, question.name, secret)
                try:
                    answers = ask(box, question, given, seed=int(secret[:6], 16))
                except TimeoutError as error:
                    result.messages[question.cell] = f"Out of time: {error}."
                    late.append(question.name)
                    continue
                verdicts = asking.judge(question, given, answers, expected)
                result.points[question.cell] = sum(verdict.points for verdict in verdicts)
                reasons = dict.fromkeys(str(verdict.wrong) for verdict in verdicts if verdict.wrong)
                if reasons:
                    result.messages[question.cell] = "; ".join(reasons)
    except sandbox.BoxEnded as ended:
        result.status = ended.reason
        result.notes.append(f"Grading stopped: {ended}.")
        for question in questions:
            if not result.points[question.cell]:
                result.messages.setdefault(question.cell, f"Not reached: {ended}.")
    if late and result.status == "graded":
        result.status = "timed out"
        result.notes.append(f"Out of time in {', '.join(late)}; the rest was graded.")
    result.seconds = round(time.monotonic() - start, 1)
    return result


def grade_or_say(
    submission: collect.Submission, secret: str, bwrap: str | None, limits: sandbox.Limits
) -> Result:
    """As ``grade``; a fault of the grader itself becomes 'not graded', never a mark."""
    try:
        return grade(submission, secret, bwrap, limits)
    except Exception as error:
        return Result(
            submission.student,
            submission.exercise,
            "not graded",
            notes=[f"The grader failed: {type(error).__name__}: {error}"],
        )


def start_worker() -> None:
    """In a worker: print nothing, and leave as soon as the grading command is gone, killed or not;
    its box goes with it."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # after Ctrl-C, too
    threading.Thread(
        target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True
    ).start()


def solution_submission(name: str) -> collect.Submission:
    return collect.Submission(
        "(solution)", name, "solutions", (ROOT / "solutions" / name / f"{name}.ipynb").read_bytes()
    )


def untouched_submission(name: str) -> collect.Submission:
    return collect.Submission(
        "(untouched exercise)", name, "exercises", exercise_path(name).read_bytes()
    )


def canaries(names: list[str], pool: concurrent.futures.Executor, *how) -> list[str]:
    """Grade the solution and the untouched exercise before anyone else: the one must get every
    point, the other none. Returns what is wrong."""
    wrong = []
    pairs = [
        (
            name,
            *(
                pool.submit(grade_or_say, make(name), *how)
                for make in (solution_submission, untouched_submission)
            ),
        )
        for name in names
    ]
    for name, solved, untouched in pairs:
        worth = report.worth(assemble.exercise_cells(exercise_path(name)))
        automatic = {key: points for key, (points, manual) in worth.items() if not manual}
        right, none = solved.result(), untouched.result()
        if {
            key: right.points.get(key) for key in automatic
        } != automatic or right.status != "graded":
            wrong.append(
                f"{name}: the solution does not get full marks "
                f"({right.status}; {right.messages or right.notes})"
            )
        if any(none.points.values()) or none.status != "graded":
            wrong.append(
                f"{name}: the untouched exercise gets points, or does not run "
                f"({none.status}; {none.points})"
            )
    return wrong


class Work:
    """The folder of a grading run: a result for each submission, written whole or not at all."""

    def __init__(self, folder: Path):
        self.folder, self.results = folder, folder / "results"
        self.results.mkdir(parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
        key = folder / "secret"
        if not key.exists():
            write(key, secrets.token_hex(16))
        self.secret = key.read_text()

    def path(self, student: str, exercise: str) -> Path:
        return (
            self.results
            / f"{hashlib.sha256(f'{exercise}/{student}'.encode()).hexdigest()[:20]}.json"
        )

    def kept(self, submission: collect.Submission, mark: str) -> Result | None:
        """The result of an earlier run, if it is of this very submission; any other is deleted, so
        that no old mark stands."""
        path = self.path(submission.student, submission.exercise)
        try:
            result = Result(**json.loads(path.read_text(encoding="utf-8")))
            if result.fingerprint == mark and result.status != "not graded":
                return result
        except (OSError, ValueError, TypeError):
            pass
        path.unlink(missing_ok=True)
        return None

    def keep(self, result: Result) -> None:
        write(self.path(result.student, result.exercise), json.dumps(asdict(result)))


def write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def read_students(path: Path | None) -> list[str]:
    """The class list: the first column of a CSV file, or one name a line."""
    if path is None:
        return []
    with open(path, encoding="utf-8-sig", newline="") as file:
        return [collect.clean_name(row[0]) for row in csv.reader(file) if row and row[0].strip()]


def run(
    source: Path,
    out: Path,
    *,
    students: list[str] = (),
    only: str = "",
    jobs: int = 0,
    again: bool = False,
    bwrap: str | None = None,
    limits: sandbox.Limits = LIMITS,
    check_grader: bool = True,
    say=print,
) -> list[Result]:
    """Grade everything in ``source`` into ``out``."""
    exercises = all_exercises()
    submissions = collect.collect(source, {only: exercises[only]} if only else exercises)
    if only:
        for submission in submissions:
            submission.exercise = submission.exercise or only
    work = Work(out)
    results: dict[tuple[str, str], Result] = {}
    todo = []
    for submission in submissions:
        key = submission.student, submission.exercise
        if not submission.exercise:
            results[key] = Result(
                submission.student,
                "",
                "unreadable",
                notes=[f"Which exercise {submission.path} belongs to cannot be told."],
            )
            continue
        mark = fingerprint(submission, work.secret)
        kept = work.kept(submission, "" if again else mark)
        if kept is None:
            todo.append((submission, mark))
            results[key] = Result(
                submission.student,
                submission.exercise,
                "not graded",
                notes=["Grading has not reached this submission."],
            )
        else:
            results[key] = kept
    names = sorted({submission.exercise for submission in submissions if submission.exercise})
    for name in names:
        for student in students:
            known = any(
                who == student or who.rpartition(" ")[0] == student
                for who, what in results
                if what == name
            )
            if not known:
                results[student, name] = Result(
                    student, name, "missing", notes=["Nothing was handed in."]
                )
    say(
        f"{len(submissions)} submissions of {len(names)} exercises: "
        f"{len(submissions) - len(todo)} graded before, {len(todo)} to grade"
    )
    report.write_grades(
        out / "grades.csv", list(results.values()), exercises, work
    )  # from here on no old mark stands in the table
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(
            name, "1"
        )  # one submission for each core: more threads would only be in each other's way
    with concurrent.futures.ProcessPoolExecutor(
        jobs or os.cpu_count() or 1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=start_worker,
    ) as pool:
        if todo and check_grader:
            started = sorted({submission.exercise for submission, _ in todo})
            say(
                f"first the solution and the untouched exercise of {', '.join(started)}, "
                "as a check of the grader …"
            )
            wrong = canaries(started, pool, work.secret, bwrap, limits)
            if wrong:
                raise SystemExit(
                    "grading stopped, since the grader itself is not right here:\n  "
                    + "\n  ".join(wrong)
                )
        futures = {
            pool.submit(grade_or_say, submission, work.secret, bwrap, limits): (submission, mark)
            for submission, mark in todo
        }
        for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
            submission, mark = futures[future]
            try:
                result = future.result()
            except (
                Exception
            ) as error:  # the worker died: the machine's fault or an attack, in either case no mark
                result = Result(
                    submission.student,
                    submission.exercise,
                    "not graded",
                    notes=[f"The grader's process died: {error}"],
                )
            result.fingerprint = mark
            results[submission.student, submission.exercise] = result
            if result.status != "not graded":
                work.keep(result)
            say(
                f"[{number}/{len(todo)}] {submission.student}, {submission.exercise}: "
                f"{result.status}, {sum(result.points.values()):g} points, {result.seconds:.0f} s"
            )
    everything = sorted(results.values(), key=lambda result: (result.exercise, result.student))
    report.write_all(out, everything, exercises, work)
    return everything


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("submissions", type=Path)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "grading/work", help="where marks and feedback go"
    )
    parser.add_argument(
        "--students",
        type=Path,
        help="class list (CSV, first column): who handed in nothing gets a line, too",
    )
    parser.add_argument(
        "--exercise",
        default="",
        help="all notebooks are of this exercise, whatever they are called",
    )
    parser.add_argument(
        "--jobs", type=int, default=0, help="submissions at a time (default: one for each core)"
    )
    parser.add_argument("--again", action="store_true", help="grade everything anew")
    parser.add_argument(
        "--unsafe-without-sandbox",
        action="store_true",
        help="run the students' code unprotected, with your rights",
    )
    options = parser.parse_args()
    if not str(options.submissions) or str(options.submissions) == ".":
        parser.error("name a folder or zip of submissions: make grade SUBMISSIONS=path")
    os.environ["COURSE_DATA"] = (
        "sample"  # every submission is graded on the same images, which every machine has
    )
    bwrap = None
    if not options.unsafe_without_sandbox:
        try:
            bwrap = sandbox.find_sandbox()
        except sandbox.NoSandbox as error:
            print(
                f"grading refused: {error}.\nA submission is a program. "
                "To run them with all your rights nevertheless, add --unsafe-without-sandbox.",
                file=sys.stderr,
            )
            return 2
    if options.exercise and options.exercise not in all_exercises():
        parser.error(
            f"no exercise is called {options.exercise}; there are: {', '.join(all_exercises())}"
        )
    try:
        results = run(
            options.submissions,
            options.out.resolve(),
            students=read_students(options.students),
            only=options.exercise,
            jobs=options.jobs,
            again=options.again,
            bwrap=bwrap,
        )
    except collect.NothingFound as error:
        print(f"grading stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\ngrading interrupted: what was graded is kept, the same command goes on there",
            file=sys.stderr,
        )
        return 130
    not_graded = sum(result.status == "not graded" for result in results)
    print(
        f"\n{options.out / 'grades.csv'}\n{options.out / 'feedback'}\n{options.out / 'summary.png'}"
    )
    if not_graded:
        print(
            f"{not_graded} could not be graded: run the same command again, it goes on there",
            file=sys.stderr,
        )
    return 1 if not_graded else 0


if __name__ == "__main__":
    sys.exit(main())
