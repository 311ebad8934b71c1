"""Grades a folder or zip of submissions.

    python -m grading.grade SUBMISSIONS [--students list.csv] [--again] [--unsafe-without-sandbox]

Writes into grading/work (or --out): grades.csv, feedback/<student>.html, summary.png. Run it again
at any time: what was graded is kept, what changed is graded anew, and a mark never outlives the
submission or the exercise that it was given for.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
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
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from course_utils.engine import asking
from course_utils.engine.asking import Question, Wrong
from grading import assemble, collect, exports, judging, report, sandbox, sheets
from grading.marks import Marks
from grading.runner import TOLD

ROOT = Path(__file__).resolve().parents[1]
VERSION_OF = ("runner.py", "sandbox.py", "assemble.py", "judging.py", "grade.py")
PACKAGE = ROOT / "course_utils"
LIMITS = sandbox.Limits()
TRIES = 3  # of a run for which the machine had no processor


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
    spent: dict[str, float] = field(default_factory=dict)  # question or "cells" -> own seconds
    starved: bool = False  # not graded, since the machine was too busy: to be tried again
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
    digest.update(submission.data if submission.data is not None else submission.why.encode())
    digest.update(json.dumps(submission.notes).encode())
    questions = judging.path_of(submission.exercise)
    grader = [ROOT / "grading" / name for name in VERSION_OF]
    package = sorted(PACKAGE.rglob("*.py"))  # a changed metric leaves no old mark
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


@contextlib.contextmanager
def begun(box: sandbox.Box, question: Question, seed: int, seconds: float, **start):
    """Begin one question in the student's process, from what is given or from the ``state`` that
    was left by another one. Yields what it left, and a function that asks one step.

    Raises:
        Wrong: the student's code failed.
        TimeoutError: no answer in time.
        sandbox.BoxEnded: the box is gone, or all of it took too long.
    """
    # an honest box keeps all steps together to ``seconds`` by itself
    in_all = 2 * seconds + 15
    in_time = box.within(in_all, f"a question took more than {in_all:.0f} s in all")

    def reply() -> dict:
        in_time()
        message = box.receive(seconds + 15)
        if message["kind"] == "late":
            raise TimeoutError(f"no answer within {seconds:.0f} s")
        return message

    def until(*kinds: str) -> dict:
        while (message := reply())["kind"] not in kinds:
            pass
        return message

    def ask_one(function, asked: dict) -> dict:
        if ended:
            raise Wrong("your code ended the process")
        box.send({"ask": function.__name__, "given": judging.pack(asked)}, in_time)
        message = reply()
        if message["kind"] in ("answer", "failed"):
            if until("asked", "ended")["kind"] == "ended":
                ended.append(True)
        elif message["kind"] == "ended":
            ended.append(True)
        if message["kind"] != "answer":
            raise Wrong(str(message.get("text") or "your code ended the process")[:TOLD])
        return judging.unpack(message)

    ended: list[bool] = []
    apart = question.apart and "state" not in start
    about = {"source": judging.source_of(question), "seed": seed, "seconds": seconds}
    box.send({**about, "apart": apart, **start}, in_time)
    if (message := reply())["kind"] != "prepared":
        if message["kind"] != "ended":
            until("ended")
        raise Wrong(str(message.get("text") or "your code ended the process")[:TOLD])
    yield str(message.get("state")), ask_one
    if not ended:
        box.send({"done": True}, in_time)
        until("ended")


def ask(box: sandbox.Box, question: Question, given: dict, *how) -> list[dict] | str:
    """Put one question: its answers, or what was left for boxes of their own."""
    with begun(box, question, *how, given=judging.pack(given)) as (left, ask_one):
        return left if question.apart else asking.put(question, given, ask_one)


def ask_apart(new_box, left: str, question: Question, given: dict, *how) -> list[dict]:
    """Put each step of a question to a box in which nothing else ever ran."""

    def ask_one(function, asked: dict) -> dict:
        with new_box([]) as box, begun(box, question, *how, state=left) as (_, ask_one):
            return {**ask_one(function, asked), "bytes": len(left) * 3 // 4}

    return asking.put(question, given, ask_one)


def grade(
    submission: collect.Submission,
    secret: str,
    bwrap: str | None,
    limits: sandbox.Limits,
    reference: dict[str, dict[str, float]] = {},  # noqa: B006 (never changed)
) -> Result:
    """Grade one submission; never raises for anything that a submission does.

    Args:
        reference: exercise -> what the solution spent in this run, in seconds, by question.
    """
    took = reference.get(submission.exercise, {})

    def most(name: str, seconds: float) -> float:
        return max(seconds, limits.as_reference * took.get(name, 0.0))

    start = time.monotonic()
    import torch  # after course_utils, which sets how its threads wait

    torch.set_num_threads(1)
    result = Result(submission.student, submission.exercise, "graded")
    template = assemble.exercise_cells(exercise_path(submission.exercise))
    questions = judging.questions(submission.exercise)
    result.points = {question.cell: 0.0 for question in questions}
    try:
        if submission.data is None and submission.file:
            submission.data = Path(submission.file).read_bytes()
        if submission.data is None:
            raise assemble.Unreadable(submission.why or "the file could not be read")
        with assemble.bounded():
            assembled = assemble.assemble(template, assemble.read(submission.data))
    except assemble.Unreadable as error:
        result.status, result.points = "unreadable", dict.fromkeys(report.worth(template), 0.0)
        result.notes = [f"Not graded: {error}.", *submission.notes]
        return result
    result.notes += [*submission.notes, *assembled.notes]
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
    # seeds the students' own draws; it says nothing of the secret
    seed = int(hashlib.sha256(f"{secret}/students".encode()).hexdigest()[:6], 16)
    late, places = [], {str(number) for number, _ in code}
    in_all, one = most("cells", limits.seconds), most("cell", limits.cell_seconds)
    job = {
        "limits": {},
        "seconds": in_all,
        "cell_seconds": one,
        "cells": [{"key": str(number), "source": cell.source} for number, cell in code],
    }

    @contextlib.contextmanager
    def new_box(cells: list[dict]) -> Iterator[sandbox.Box]:
        with (
            tempfile.TemporaryDirectory() as scratch,
            sandbox.Box(bwrap, limits, Path(scratch)) as box,
        ):
            box.send({**job, "cells": cells, "limits": box.rlimits() if bwrap else {}})
            try:
                box.receive(most("start", limits.start_seconds))  # the box is ready
                if not cells:
                    box.receive(limits.grace_seconds)
            except sandbox.BoxEnded as ended:  # no line of a student has run yet
                raise sandbox.BoxEnded("starved", f"the box did not start: {ended}") from None
            yield box

    def put(question: Question, ask) -> None:
        """Points and reasons for one question; ``ask(question, given, seed, seconds)``."""
        given, expected = inputs(submission.exercise, question.name, secret)
        seconds = most(question.name, question.seconds)
        try:
            answers = ask(question, given, seed, seconds)
        except TimeoutError as error:
            result.messages[question.cell] = f"Out of time: {error}."
            late.append(f"“{report.titles(template)[1][question.cell]}”")
            return
        except Wrong as wrong:
            answers = [asking.NoAnswer(wrong) for _ in question.ask]
        if isinstance(answers, str):
            moved.append((question, answers))
            return
        verdicts = asking.judge(question, given, answers, expected)
        result.points[question.cell] = sum(verdict.points for verdict in verdicts)
        reasons = dict.fromkeys(str(verdict.wrong) for verdict in verdicts if verdict.wrong)
        if reasons:
            result.messages[question.cell] = "; ".join(reasons)

    moved: list[tuple[Question, str]] = []  # what they left for boxes of their own
    try:
        with new_box(job["cells"]) as box:
            begun_at = result.spent["start"] = box.clock.look()
            while (message := box.receive(one + limits.grace_seconds))["kind"] != "ran":
                spent = box.clock.look() - begun_at
                if spent > in_all + len(code) * 5 + limits.grace_seconds:
                    raise sandbox.BoxEnded(
                        "timed out", f"the notebook took more than {in_all:.0f} s in all"
                    )
                if message["kind"] == "cell" and str(message.get("key"))[:9] in places:
                    cell = shown[int(message["key"])]
                    cell["outputs"] = report.only_known(message.get("outputs"))
                    cell["error"] = str(message.get("error", ""))[:100]
                    if cell["error"] == "OutOfTime":
                        late.append("a cell")
            result.spent["cells"] = result.spent["cell"] = box.clock.look() - begun_at
            traces = message.get("traces")
            if traces and isinstance(traces, list):
                result.status = "tampered"
                traces = "; ".join(str(trace)[:200] for trace in traces[:5])
                result.notes.append(f"For the teacher: {traces}.")
            for question in questions:
                begun_at = box.clock.look()
                put(question, functools.partial(ask, box))
                result.spent[question.name] = box.clock.look() - begun_at
        for question, left in moved:
            put(question, functools.partial(ask_apart, new_box, left))
    except sandbox.BoxEnded as ended:
        if ended.reason == "starved":
            result = Result(submission.student, submission.exercise, "not graded", starved=True)
            result.notes = [f"Not graded: {ended}."]
            return result
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


def grade_or_say(submission: collect.Submission, *how) -> Result:
    """As ``grade``; a fault of the grader itself becomes 'not graded', never a mark. A run that the
    machine starved is repeated."""
    try:
        for _ in range(TRIES):
            result = grade(submission, *how)
            if not result.starved:
                break
        return result
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


def canaries(names: list[str], pool: concurrent.futures.Executor, *how) -> tuple[list[str], dict]:
    """Grade the solution and the untouched exercise before anyone else: the one must get every
    point, the other none. Returns what is wrong, and exercise -> what the solution spent."""
    wrong, spent = [], {}
    makers = solution_submission, untouched_submission
    asked = [[pool.submit(grade_or_say, make(name), *how) for make in makers] for name in names]
    for name, (solved, untouched) in zip(names, asked):
        worth = report.worth(assemble.exercise_cells(exercise_path(name)))
        automatic = {key: points for key, (points, manual) in worth.items() if not manual}
        right, none = solved.result(), untouched.result()
        got = {key: right.points.get(key) for key in automatic}
        spent[name] = right.spent
        if got != automatic or right.status != "graded":
            failed = [cell for cell in right.cells if cell["error"]]
            why = (
                f"its first cell that fails ({failed[0]['error']}) begins "
                f"{failed[0]['source'].strip()[:200]!r}"
                if failed
                else right.messages or right.notes
            )
            wrong.append(f"{name}: the solution does not get full marks ({right.status}; {why})")
        if any(none.points.values()) or none.status != "graded":
            wrong.append(
                f"{name}: the untouched exercise gets points, or does not run "
                f"({none.status}; {none.points})"
            )
    return wrong, spent


class Work:
    """The working folder: what was handed in, and a result for each of it, written whole or not at
    all. Points are not in it: they stand in the gradebook."""

    def __init__(self, folder: Path):
        self.folder, self.results = folder, folder / "results"
        self.results.mkdir(parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
        key = folder / "secret"
        if not key.exists():
            sheets.replace(key, secrets.token_hex(16).encode())
        self.secret = key.read_text()

    def path(self, student: str, exercise: str) -> Path:
        mark = hashlib.sha256(f"{exercise}/{student}".encode()).hexdigest()[:20]
        return self.results / f"{mark}.json"

    def screen(self, student: str, exercise: str) -> Path:
        """What nbgrader's formgrader shows."""
        return self.folder / "autograded" / student / exercise / f"{exercise}.ipynb"

    def take_in(self, new: collect.Submission) -> None:
        """Keep a submission, in nbgrader's folder; it takes the place of the student's last one."""
        folder = self.folder / "submitted" / new.student / (new.exercise or "unknown")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{new.exercise or 'unknown'}.ipynb"
        with contextlib.suppress(OSError, ValueError):  # of the same file the first time counts
            old = json.loads((folder / "about.json").read_bytes()).get("time")
            new.time = old if old and file.read_bytes() == new.data else new.time
        about = {**asdict(new), "data": new.data is not None}
        if new.data is None:
            file.unlink(missing_ok=True)
        else:
            sheets.replace(file, new.data)
        sheets.replace(folder / "about.json", json.dumps(about).encode())
        (folder / collect.TIME).unlink(missing_ok=True)
        if new.time:
            sheets.replace(folder / collect.TIME, f"{new.time} UTC".encode())

    def handed_in(self, read: bool = True) -> Iterator[collect.Submission]:
        """All that was ever handed in, one at a time."""
        for path in sorted(self.folder.glob("submitted/*/*/about.json")):
            about = json.loads(path.read_text(encoding="utf-8"))
            file = path.with_name(f"{about['exercise'] or 'unknown'}.ipynb")
            about["file"] = str(file) if about["data"] else ""
            about["data"] = file.read_bytes() if read and about["data"] else None
            yield collect.Submission(**about)

    def kept(self, submission: collect.Submission, mark: str) -> Result | None:
        """The result of an earlier run, if it is of this very submission."""
        try:
            path = self.path(submission.student, submission.exercise)
            result = Result(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return result if result.fingerprint == mark else None

    def keep(self, result: Result, template: list[dict]) -> None:
        key = result.student, result.exercise
        self.screen(*key).parent.mkdir(parents=True, exist_ok=True)
        sheets.replace(self.screen(*key), report.formgrader_notebook(result, template))
        path = self.path(*key)
        sheets.replace(path, json.dumps({**asdict(result), "points": {}}).encode())


def waiting(student: str, exercise: str) -> Result:
    """What stands until a submission is graded."""
    return Result(student, exercise, "not graded", notes=["Grading has not reached this one."])


def what_is_there(
    work: Work, marks: Marks, exercises: dict, again: set, look: bool = False
) -> tuple[dict, list]:
    """(student, exercise) -> result, of everything that was ever handed in; and the keys of what is
    still to be graded, with their fingerprints. No old mark is left of these, unless this is a look
    only."""
    results, todo = {}, []
    stored, times = marks.read(), marks.times()
    for submission in work.handed_in():
        key = submission.student, submission.exercise
        marks.platform[key] = submission.late
        if submission.exercise not in exercises:
            results[key] = Result(*key, "unreadable", notes=[f"Not graded: {submission.why}."])
            continue
        known = times[key].handed_in if key in times else ""
        if not look and str(known or "") != submission.time:
            marks.handed_in(*key, submission.time)
        mark = fingerprint(submission, work.secret)
        result = None if key in again else work.kept(submission, mark)
        if result is not None and result.status != "not graded":
            automatic = {name: mark.automatic for name, mark in stored.get(key, {}).items()}
            result.points = {name: value for name, value in automatic.items() if value is not None}
        if result is None or result.status == "not graded" or not result.points:
            if not look:
                for old in (work.path(*key), work.screen(*key)):
                    old.unlink(missing_ok=True)
                marks.begin(*key)
            todo.append((*key, mark))
            result = waiting(*key)
        results[key] = result
    for student in marks.class_list():
        for name in {exercise for _, exercise in results if exercise}:
            theirs = {what for who, what in results if collect.is_on(who, student)}
            if name not in theirs:
                told = "Nothing was handed in."
                if "" in theirs:
                    told = "Nothing was handed in that can be told to be of this exercise."
                results[student, name] = Result(student, name, "missing", notes=[told])
    return results, todo


def run(
    source: Path | None,
    out: Path,
    *,
    students: list[tuple[str, str]] = (),
    again: bool = False,
    due: str = "",
    deduct: float | None = None,
    models: bool = False,
    bwrap: str | None = None,
    limits: sandbox.Limits = LIMITS,
    check_grader: bool = True,
    say=print,
) -> list[Result]:
    """Take in what ``source`` holds, and grade everything that is not graded yet into ``out``."""
    exercises = all_exercises()
    work, today = Work(out), set()
    with Marks(out) as marks:
        report.read_texts(out, marks, exercises)
        marks.class_list(students)
        for submission in collect.each(source, exercises, say) if source else ():
            work.take_in(submission)
            today.add((submission.student, submission.exercise))
        for name in sorted({path.name for path in out.glob("submitted/*/*")} & exercises.keys()):
            marks.exercise(name, exercises[name])
        for name in {name for _, name in today} & exercises.keys():
            marks.due(name, due, deduct)
        results, todo = what_is_there(work, marks, exercises, today if again else set())
        say(
            f"{len(today)} submissions taken in, {len(results)} in all: "
            f"{len(results) - len(todo)} graded before or not to be graded, {len(todo)} to grade"
        )
        if todo:
            # from here on no old mark stands in any table or on any page
            report.read_texts(out, marks, exercises)  # what was typed since, too
            report.write_all(out, results, exercises, marks, picture=False)
            how = work.secret, bwrap, limits
            _grade_all(work, marks, exercises, results, todo, how, check_grader, say)
        report.read_texts(out, marks, exercises)  # a teacher may mark while grading runs
        report.write_all(out, results, exercises, marks, models=models)
        for line in marks.said:
            say(line)
    return [results[key] for key in sorted(results, key=lambda key: key[::-1])]


def _grade_all(work, marks, exercises, results, todo, how, check_grader, say) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        # one submission for each core: more threads would only be in each other's way
        os.environ.setdefault(name, "1")
    wanted = {key[:2]: key[2] for key in todo}
    with concurrent.futures.ProcessPoolExecutor(
        sandbox.processors(),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=start_worker,
    ) as pool:
        if check_grader:
            started = sorted({exercise for _, exercise in wanted})
            say(
                f"first the solution and the untouched exercise of {', '.join(started)}, "
                "as a check of the grader …"
            )
            wrong, reference = canaries(started, pool, *how)
            how = *how, reference
            if wrong:
                raise SystemExit(
                    "grading stopped, since the grader itself is not right here:\n  "
                    + "\n  ".join(wrong)
                )
        futures = {
            pool.submit(grade_or_say, submission, *how): (submission.student, submission.exercise)
            for submission in work.handed_in(read=False)
            if (submission.student, submission.exercise) in wanted
        }
        for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
            key = futures[future]
            try:
                result = future.result()
            except Exception as error:  # the worker died: the machine's fault, or an attack
                result = waiting(*key)
                result.notes = [f"The grader's process died: {error}"]
            result.fingerprint = wanted[key]
            results[key] = result
            if result.status != "not graded":
                marks.finish(result, exercises[result.exercise])
                work.keep(result, exercises[result.exercise])
            say(
                f"[{number}/{len(todo)}] {result.student}, {result.exercise}: "
                f"{result.status}, {sum(result.points.values()):g} points, {result.seconds:.0f} s"
            )


def due_date(text: str) -> str:
    """A date and time by the clock of this machine, as nbgrader wants it; a day ends at
    midnight."""
    try:
        when = datetime.fromisoformat(f"{text} 23:59:59" if len(text.strip()) <= 10 else text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date as 2026-12-01 or 2026-12-01T23:59"
        ) from None
    return when.astimezone().isoformat()


def percent(text: str) -> float:
    if not 0 <= float(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 100")
    return float(text)


def named_path(text: str) -> Path:
    """A path as it was typed: in quotes a shell leaves ``~`` alone."""
    return Path(text).expanduser()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("submissions", nargs="?", default="", help="folder or zip; without it: new tables only")
    add("--out", type=Path, default=ROOT / "grading/work", help="where marks and feedback go")
    add("--students", type=named_path, help="class list: who handed in nothing gets a line, too")
    add("--moodle", type=named_path, help="Moodle's grading worksheet, to be filled in")
    add("--canvas", type=named_path, help="Canvas's gradebook export, to be filled in")
    add("--due", type=due_date, help="due date of what is in this folder or zip")
    add("--deduct", type=percent, help="percent of all points for each day that it came too late")
    add("--models", action="store_true", help="model answers and rubrics on the feedback pages")
    add("--again", action="store_true", help="grade all of this folder anew")
    add(
        "--unsafe-without-sandbox",
        action="store_true",
        help="run the students' code unprotected, with your rights",
    )
    options = parser.parse_args()
    out = options.out.resolve()
    if not options.submissions and not (out / "gradebook.db").exists():
        parser.error("name a folder or zip of submissions: make grade SUBMISSIONS=path")
    if not options.submissions and (options.due or options.deduct is not None):
        parser.error("a due date is that of the exercises in SUBMISSIONS: name these, too")
    # every submission is graded on the same images, which every machine has
    os.environ["COURSE_DATA"] = "sample"
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
    try:
        results = run(
            named_path(options.submissions) if options.submissions else None,
            out,
            students=collect.class_list(options.students) if options.students else [],
            again=options.again,
            due=options.due or "",
            deduct=options.deduct,
            models=options.models,
            bwrap=bwrap,
        )
        lines = exports.fill_in(out, all_exercises(), options.moodle, options.canvas)
    except (collect.NothingFound, sheets.Unusable, FileNotFoundError) as error:
        print(f"grading stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\ngrading interrupted: what was graded is kept, the same command goes on there",
            file=sys.stderr,
        )
        return 130
    not_graded = sum(result.status == "not graded" for result in results)
    print("", *lines, *(out / name for name in report.WRITTEN), sep="\n")
    if not_graded:
        print(
            f"{not_graded} could not be graded: run the same command again, it goes on there",
            file=sys.stderr,
        )
    return 1 if not_graded else 0


if __name__ == "__main__":
    sys.exit(main())
