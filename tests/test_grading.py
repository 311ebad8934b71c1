"""The grader: it grades the whole corpus as expected, keeps its promises about old marks, and
cannot be talked into more."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import nbgrader.api
import pytest
import torch

from course_utils.engine import asking
from grading import (
    assemble,
    collect,
    corpus,
    grade,
    judging,
    margins,
    report,
    runner,
    sandbox,
    sheets,
)
from tools import exercises

ROOT = Path(__file__).resolve().parents[1]

# a new gradebook asks alembic, in a process of its own, for a version that stays the same
nbgrader.api.get_alembic_version = functools.cache(nbgrader.api.get_alembic_version)

EXERCISES = grade.all_exercises()
FIRST = "01_dense_autoencoder"
# exercise 1's part of the corpus, with all broken and hostile ones; the rest in a full run
CASES = [
    case
    for case in corpus.cases()
    if case.exercise in EXERCISES
    and (os.environ.get("COURSE_TESTS") == "all" or case.exercise == FIRST)
]
LIMITS = sandbox.Limits(seconds=240, cell_seconds=12, grace_seconds=5)


@pytest.fixture(scope="module", autouse=True)
def on_the_sample():
    before = os.environ.get("COURSE_DATA")
    os.environ["COURSE_DATA"] = "sample"
    yield
    os.environ.pop("COURSE_DATA")
    if before is not None:
        os.environ["COURSE_DATA"] = before


# the corpus


@pytest.fixture(scope="module")
def graded(bwrap, tmp_path_factory):
    """The whole corpus, graded once as a teacher would: folder, what was handed in, results, and
    the notebook in which each case was handed in."""
    folder = tmp_path_factory.mktemp("corpus")
    packs = corpus.together(CASES)
    cases, inside = (
        [pack for pack, _ in packs],
        {(case.name, case.exercise): pack for pack, members in packs for case in members},
    )
    corpus.write(folder / "submitted", cases)
    results = grade.run(
        folder / "submitted", folder / "out", bwrap=bwrap, limits=LIMITS, say=lambda line: None
    )
    return folder, cases, {(result.student, result.exercise): result for result in results}, inside


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.exercise[:2]}-{case.name}")
def test_case(graded, case):
    pack = graded[3][case.name, case.exercise]
    result = graded[2][collect.clean_name(pack.name), case.exercise]
    worth = report.worth(EXERCISES[case.exercise])
    lost = {key: points for key, points in result.points.items() if points < worth[key][0]}
    why = (pack.answers.keys(), result.status, result.messages, result.notes)
    assert lost == {**dict.fromkeys(pack.loses, 0.0), **pack.partly}, why
    assert {*pack.loses, *pack.partly} >= {*case.loses, *case.partly}
    assert result.status in case.status, result.notes
    assert case.say in " ".join([*result.messages.values(), *result.notes])


def test_no_attack_reached_anything(graded):
    _, cases, results, _ = graded
    for case in cases:
        shown = [
            output.get("text", "")
            for cell in results[collect.clean_name(case.name), case.exercise].cells
            for output in cell["outputs"]
        ]
        assert "REACHED" not in "".join(shown), (case.name, shown)
        assert "REACHED" not in "".join(
            results[collect.clean_name(case.name), case.exercise].messages.values()
        ), case.name


def test_no_markup_of_a_student_reaches_the_pages(graded):
    for page in (graded[0] / "out/feedback").iterdir():
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text and "onerror=" not in text.replace("onerror=alert(4)&gt;", "")


def test_a_table_a_page_and_a_picture(graded):
    out = graded[0] / "out"
    with open(out / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = {(row["student"], row["exercise"]): row for row in csv.DictReader(file)}
    assert len(rows) == len(graded[1])
    worth = {
        key: points
        for key, (points, manual) in report.worth(EXERCISES[FIRST]).items()
        if not manual
    }
    partly = 0
    for case in graded[1]:
        if case.exercise == FIRST and case.status == ("graded",):
            kept = {**dict.fromkeys(case.loses, 0.0), **case.partly}
            earned = sum(kept.get(key, points) for key, points in worth.items())
            partly += 0 < earned < sum(worth.values())
            assert float(rows[collect.clean_name(case.name), FIRST]["automatic"]) == earned, (
                case.name
            )
    assert partly > 2  # the table holds partial marks, too
    row = rows["right, the solution", FIRST]
    assert (
        row["status"],
        row["automatic"],
        row["automatic_of"],
        row["by_hand"],
        row["points"],
    ) == ("graded", "9", "9", "", "")
    row = rows["nothing done", FIRST]
    assert (row["status"], row["automatic"], row["by_hand"], row["points"], row["of"]) == (
        "graded",
        "0",
        "0",
        "0",
        "12",
    )
    assert (out / "summary.png").stat().st_size > 10_000
    assert len(list((out / "feedback").iterdir())) == len({case.name for case in graded[1]})


def test_two_names_never_share_a_page():
    assert len({report.file_name(name) for name in ("O'Neil", "O_Neil", "O/Neil", "נועה")}) == 4


def test_again_grades_nothing_anew(graded, bwrap, monkeypatch):
    folder = graded[0]
    before = (folder / "out/grades.csv").read_bytes()
    monkeypatch.setattr(grade, "canaries", lambda *a: pytest.fail("nothing was to be graded"))
    grade.run(
        folder / "submitted", folder / "out", bwrap=bwrap, limits=LIMITS, say=lambda line: None
    )
    assert (folder / "out/grades.csv").read_bytes() == before


# the judges by themselves: what is not the answer must not pass


def spoil(value, how: str):
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return {
            "zeros": value * 0,
            "nan": value * float("nan"),
            "ones": value * 0 + 1,
            "flip": value.flip(0) + 1e-2,
            "scale": value * 1.5 + 0.1,
            "short": value[:1],
        }[how]
    if isinstance(value, float):
        return {
            "zeros": 0.0,
            "nan": float("nan"),
            "ones": 1.0,
            "flip": -value,
            "scale": value * 1.5 + 0.1,
            "short": None,
        }[how]
    if isinstance(value, list):
        return {
            "zeros": [],
            "nan": [float("nan")],
            "ones": [1] * len(value),
            "flip": value[::-1] + [0],
            "scale": value * 2,
            "short": value[:-1],
        }[how]
    return {"short": None, "nan": None}.get(how, value)


@pytest.fixture(scope="module")
def honest():
    """The solutions' own answers, without a sandbox: (exercise, question) -> (question, given,
    answers, expected)."""
    found = {}
    for name in EXERCISES:
        student = margins.names_of(corpus.Case("the solution", name))
        for question in judging.questions(name):
            if question.prepare and question.seconds > 60:
                continue  # trains: graded in the corpus
            given, expected = grade.inputs(name, question.name, "test")
            answers = asking.put_here(question, given, student)
            found[name, question.name] = question, given, answers, expected
    return found


def test_honest_answers_pass(honest):
    for (exercise, _), question in honest.items():
        for verdict in asking.judge(*question):
            assert verdict.wrong is None, (exercise, verdict)


@pytest.mark.parametrize("how", ["zeros", "nan", "ones", "flip", "scale", "short", "nothing"])
def test_no_rule_takes_a_spoiled_answer(honest, how):
    passed = []
    for (exercise, name), (question, given, answers, expected) in honest.items():
        wrong = [
            {} if how == "nothing" else {key: spoil(value, how) for key, value in answer.items()}
            for answer in answers
        ]
        verdicts = asking.judge(question, given, wrong, expected)
        passed += [(exercise, name, verdict.rule) for verdict in verdicts if not verdict.wrong]
    assert not passed, f"these rules took {how} for an answer: {passed}"


@pytest.mark.parametrize("apart", [False, True])
def test_steps_apart_share_nothing(apart):
    def ask(state, given):
        return {"asked": state.append(1) or len(state)}

    question = asking.Question(
        "q", dict, (ask, ask), {}, prepare=lambda student, given: [], apart=apart
    )
    answers = asking.put_here(question, {}, None)
    assert [answer["asked"] for answer in answers] == ([1, 1] if apart else [1, 2])
    assert ("bytes" in answers[0]) is apart


def test_no_exam_image_is_sent_before_its_step():
    """What ``prepare`` gets holds none of what a later step gets."""
    for name in EXERCISES:
        for question in judging.questions(name):
            if question.prepare and question.apart:
                given, _ = grade.inputs(name, question.name, "test")
                early = judging.unpack(judging.pack(given))
                late = [v for k, v in given.items() if k[0] == "_" and torch.is_tensor(v)]
                rows = {
                    row.numpy().tobytes() for v in early.values() if torch.is_tensor(v) for row in v
                }
                assert late and not [
                    row for v in late for row in v if row.numpy().tobytes() in rows
                ]


def test_what_the_student_is_sent_holds_no_judgement():
    for name in EXERCISES:
        for question in judging.questions(name):
            source = judging.source_of(question)
            assert not any(word in source for word in ("Wrong", "expected", "expect(", "judge"))
    assert set(judging.pack({"a": 1, "_secret": 2})["plain"]) == {"a"}


def test_feedback_does_not_tell_an_expected_value():
    assert "0.125" not in str(asking.Wrong("the error", 0.125, 0.5, "sum for mean"))
    assert "sum for mean" in str(asking.Wrong("the error", 0.125, 0.5, "sum for mean"))


# putting damaged notebooks right


def test_answers_are_found_whatever_happened_to_the_notebook():
    broken = asking.load(ROOT / "grading/broken.py")

    for case in broken.CASES:
        if "unreadable" in case.status:
            with pytest.raises(assemble.Unreadable):
                assemble.read(corpus.notebook(case))
            continue
        if case.name == "broken, 40 MB of saved output":
            continue  # in the corpus
        found = {
            cell.key: cell.source.strip()
            for cell in assemble.assemble(
                EXERCISES[FIRST], assemble.read(corpus.notebook(case))
            ).cells
        }
        for key, answer in {**broken.ANSWERS, **case.answers}.items():
            assert found[key] == (
                ""
                if case.name == "broken, an answer cell deleted" and key == "pca_error"
                else answer.strip()
            ), case.name


# collecting


def small(name: str = FIRST) -> bytes:
    return grade.untouched_submission(name).data


def test_moodle_zip_with_names_of_any_alphabet(tmp_path):
    names = ["Željko Šarić-Đurđević", "נועה לוי", "Ana Marija  Horvat", "O'Neil, Sean"]
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(
                f"{name}_{1000 + number}_assignsubmission_file_/{FIRST} (1).ipynb", small()
            )
        archive.writestr(f"Flat Name_77_assignsubmission_file_{FIRST}.ipynb", small())
        archive.writestr("__MACOSX/._x.ipynb", b"junk")
    found = collect.collect(tmp_path / "m.zip", EXERCISES)
    assert {s.student for s in found} == {
        "Željko Šarić-Đurđević 1000",
        "נועה לוי 1001",
        "Ana Marija Horvat 1002",
        "O'Neil, Sean 1003",
        "Flat Name 77",
    }
    assert {s.exercise for s in found} == {FIRST}


def test_zip_paths_go_nowhere_and_bombs_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(assemble, "LARGEST_FILE", 1 << 20)
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../../tmp/evil/x.ipynb", small())
        archive.writestr(f"Bomb_5_assignsubmission_file_/{FIRST}.ipynb", b" " * (64 << 20))
    found = {s.student: s for s in collect.collect(tmp_path / "z.zip", EXERCISES)}
    assert found["Bomb 5"].data is None and not any("/" in name or ".." in name for name in found)


def test_links_are_not_followed(tmp_path):
    (tmp_path / "in/Eve").mkdir(parents=True)
    (tmp_path / "in/Eve/x.ipynb").symlink_to("/etc/passwd")
    with pytest.raises(collect.NothingFound):
        collect.collect(tmp_path / "in", EXERCISES)


def test_exercise_is_known_by_content(tmp_path):
    (tmp_path / "Ivo").mkdir()
    (tmp_path / "Ivo/Copy of homework.ipynb").write_bytes(small())
    assert collect.collect(tmp_path, EXERCISES)[0].exercise == FIRST


@pytest.mark.parametrize(
    ("first", "last"),
    [("ex", "ex (2)"), ("ex (9)", "ex (10)"), ("ex_final", "ex_v2"), ("A longer name", "z")],
)
def test_of_several_files_the_last_by_name_counts(tmp_path, first, last):
    for name in (f"Ivo/{first}", f"Ivo/{last}", "Ana/ex"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.ipynb").write_bytes(small())
    notes = {found.student: found.notes for found in collect.collect(tmp_path, EXERCISES)}
    expected = f"2 files for this exercise: {last}.ipynb counts, {first}.ipynb was not looked at."
    assert notes == {"Ivo": [expected], "Ana": []}


def test_no_spreadsheet_takes_a_name_for_a_formula():
    assert sheets.harmless('=HYPERLINK("http://x")').startswith("'=")


# promises about marks, with a grader that is only played


@pytest.fixture
def played(tmp_path, played_grader):
    """One student's submission, graded by whatever function ``grader['do']`` holds."""
    path = tmp_path / "in/Ana Anić" / FIRST / f"{FIRST}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(small())
    grader = {
        "do": lambda submission: grade.Result(
            submission.student,
            submission.exercise,
            "graded",
            {"check_dead_units": 2.0, "check_pca_error": 3.0, "check_train_autoencoder": 4.0},
        )
    }

    played_grader(lambda submission: grader["do"](submission))

    def go(**options) -> dict:
        grade.run(
            tmp_path / "in", tmp_path / "out", check_grader=False, say=lambda line: None, **options
        )
        with open(tmp_path / "out/grades.csv", encoding="utf-8-sig", newline="") as file:
            return {row["student"]: row for row in csv.DictReader(file)}

    return path, grader, go, tmp_path / "out"


def test_a_failed_run_leaves_no_old_mark(played):
    path, grader, go, out = played
    assert go()["Ana Anić"]["automatic"] == "9"
    path.write_bytes(small() + b"\n")  # handed in again

    def fail(submission):
        raise MemoryError

    grader["do"] = fail
    row = go()["Ana Anić"]
    assert (row["status"], row["automatic"], row["points"]) == ("not graded", "", "")


def test_a_killed_run_leaves_no_old_mark_and_goes_on(played):
    path, grader, go, out = played
    go()
    path.write_bytes(small() + b"\n")

    def kill(submission):
        raise KeyboardInterrupt

    good, grader["do"] = grader["do"], kill
    with pytest.raises(KeyboardInterrupt):
        go()
    assert "not graded" in (out / "grades.csv").read_text(encoding="utf-8-sig")
    grader["do"] = good
    assert go()["Ana Anić"]["automatic"] == "9"


def test_who_handed_in_nothing_is_listed(played):
    rows = played[2](students=[("Ana Anić", ""), ("יעל כהן", "")])
    assert rows["יעל כהן"]["status"] == "missing" and rows["Ana Anić"]["status"] == "graded"


def test_marks_by_hand_are_kept_for_this_answer_only(played):
    path, grader, go, out = played
    text = {"answer": "because"}

    def with_text(submission):
        cell = {
            "key": "why",
            "kind": "markdown",
            "source": text["answer"],
            "answer": True,
            "points": 3,
            "manual": True,
            "outputs": [],
            "error": "",
        }
        return grade.Result(
            submission.student,
            submission.exercise,
            "graded",
            {"check_dead_units": 2.0, "check_pca_error": 3.0, "check_train_autoencoder": 4.0},
            cells=[cell],
        )

    grader["do"] = with_text
    assert go()["Ana Anić"]["points"] == ""
    table = (out / "texts.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(table)))
    rows[1][rows[0].index("points")], rows[1][rows[0].index("comment")] = "2,5", "good"
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    (out / "texts.csv").write_text("\ufeff" + buffer.getvalue(), encoding="utf-8")
    assert (go()["Ana Anić"]["by_hand"], go()["Ana Anić"]["points"]) == ("2.5", "11.5")
    text["answer"] = "something else"
    assert go(again=True)["Ana Anić"]["points"] == ""


def test_without_the_sandbox_it_refuses(tmp_path):
    (tmp_path / "in").mkdir()
    env = {**os.environ, "PATH": str(tmp_path)}
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "grading.grade",
            str(tmp_path / "in"),
            "--out",
            str(tmp_path / "out"),
        ],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (
        run.returncode == 2
        and "refused" in run.stderr
        and "bubblewrap is not installed" in run.stderr
    )


# a busy machine


SPIN = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end:\n    pass\n"


def test_waiting_for_a_processor_does_not_count():
    """Five that spin on one processor: each has a fifth of the time for itself."""
    one = {min(os.sched_getaffinity(0))}
    five = [
        subprocess.Popen(
            [sys.executable, "-S", "-c", SPIN], preexec_fn=lambda: os.sched_setaffinity(0, one)
        )
        for _ in range(5)
    ]
    sleeper = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(20)"])
    try:
        time.sleep(1)
        busy = runner.Clock(lambda: [five[0].pid])
        asleep = runner.Clock(lambda: [sleeper.pid])
        for _ in range(30):
            time.sleep(0.1)
            busy.look(), asleep.look()
        assert busy.own < 0.5 * busy.wall, (busy.own, busy.wall)
        assert asleep.own > 0.9 * asleep.wall, (asleep.own, asleep.wall)
    finally:
        for process in [*five, sleeper]:
            process.kill()
            process.wait()


def test_time_without_any_processor_does_not_count():
    """The kernel adds up what a process has waited only when it runs again."""
    one = {min(os.sched_getaffinity(0))}

    def last_of_all():
        os.sched_setaffinity(0, one)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    before = [last_of_all, *[lambda: os.sched_setaffinity(0, one)] * 3]
    four = [subprocess.Popen([sys.executable, "-S", "-c", SPIN], preexec_fn=f) for f in before]
    try:
        time.sleep(1)
        starved = runner.Clock(lambda: [four[0].pid])
        with_one_that_runs = runner.Clock(lambda: [four[0].pid, four[1].pid])
        ran = with_one_that_runs.before[four[1].pid][0]
        for _ in range(40):
            time.sleep(0.1)
            starved.look(), with_one_that_runs.look()
        assert starved.own < 0.5 * starved.wall, (starved.own, starved.wall)
        # who starves a child of its own does not stop the clock
        ran = (with_one_that_runs.before[four[1].pid][0] - ran) / 1e9
        assert with_one_that_runs.own > 0.9 * ran > 0, (with_one_that_runs.own, ran)
    finally:
        for process in four:
            process.kill()
            process.wait()


def test_looks_in_the_midst_of_waiting_count_no_more_than_what_ran(monkeypatch):
    """A process that gets 4 of 60 ms, or 4 of 460, looked at every tenth of a second; the kernel
    tells what it has waited when it runs again."""
    for runs, period in [(0.004, 0.060), (0.004, 0.460), (0.020, 0.130)]:
        now = [0.0]
        monkeypatch.setattr(runner.time, "monotonic", lambda now=now: now[0])

        def times(self, now=now, runs=runs, period=period):
            whole, part = divmod(now[0], period)
            ran = whole * runs + min(part, runs)
            return {1: (int(ran * 1e9), int(whole * (period - runs) * 1e9), True)}

        monkeypatch.setattr(runner.Clock, "_times", times)
        clock = runner.Clock(list)
        for _ in range(600):
            now[0] += 0.1
            clock.look()
        ran = 60 * runs / period
        assert 0.9 * ran < clock.own < 1.3 * ran + 0.2, (runs, period, clock.own, ran)


def test_a_starved_run_is_repeated_and_never_a_mark(bwrap, monkeypatch):
    tries = []
    real = grade.grade
    monkeypatch.setattr(grade, "grade", lambda *how: tries.append(1) or real(*how))
    limits = dataclasses.replace(LIMITS, starved=1e-6)
    result = grade.grade_or_say(grade.solution_submission(FIRST), "00" * 16, bwrap, limits)
    assert (result.status, result.points, len(tries)) == ("not graded", {}, grade.TRIES)
    assert "busy" in result.notes[0]


def test_looking_at_much_memory_leaves_time_to_run(bwrap, monkeypatch):
    looks = []
    monkeypatch.setattr(sandbox, "usage", lambda pids: (1 << 60, 1))
    monkeypatch.setattr(sandbox, "proportional", lambda pids: looks.append(time.sleep(0.3)) or 0)
    with sandbox.Box(bwrap, LIMITS, Path("/")) as box:
        start = time.monotonic()
        cells = [{"key": "0", "source": "#" * (4 << 20)}]  # 64 KiB and less at a time
        box.send({"limits": {}, "seconds": 60, "cell_seconds": 60, "cells": cells})
        while box.receive(60)["kind"] != "ran":
            pass
        taken = time.monotonic() - start
    assert looks and len(looks) * 0.3 < 0.4 * taken + 0.3, (len(looks), taken)


def test_limits_grow_with_what_the_solution_took(bwrap, monkeypatch):
    asked = []
    monkeypatch.setattr(
        grade, "ask", lambda *how: asked.append(how[-1]) or [asking.NoAnswer(asking.Wrong("x"))] * 9
    )
    reference = {FIRST: {"dead_units": 100.0}}
    how = ("00" * 16, bwrap, LIMITS, reference)
    result = grade.grade(grade.untouched_submission(FIRST), *how)
    assert result.status == "graded"
    own = [question.seconds for question in judging.questions(FIRST)]
    assert asked == [100 * LIMITS.as_reference, *own[1:]]


def test_cells_that_take_all_the_time_leave_each_question_its_own(bwrap):
    broken = asking.load(ROOT / "grading/broken.py")
    slow = "import time\ntime.sleep(3)\n"
    answers = {"dead_units": slow + broken.ANSWERS["dead_units"], "pca_error": slow}
    case = corpus.Case("slow", FIRST, {**answers, "train_autoencoder": slow}, solved=False)
    data = corpus.notebook(case)
    limits = dataclasses.replace(LIMITS, seconds=2, cell_seconds=4)
    handed_in = grade.collect.Submission("slow", FIRST, "slow.ipynb", data)
    result = grade.grade(handed_in, "00" * 16, bwrap, limits)
    assert result.points["check_dead_units"] == 2, (result.messages, result.notes)


def test_a_warm_box_forks_for_each_and_nothing_of_one_reaches_the_next(bwrap):
    """Files, memory, processes and environment of one submission are gone in the next one; a cold
    box, where a machine allows no warm one, does the same."""
    leave = """import builtins, os, subprocess, course_utils
for folder in ("/tmp", "/home/student", "/dev/shm"):
    open(folder + "/left", "w").write("x")
builtins.left = course_utils.left = os.environ["LEFT"] = "x"
if os.fork() == 0:
    os.setsid()
    while True:
        pass"""
    look = """import builtins, os, course_utils
found = [f for f in ("/tmp", "/home/student", "/dev/shm") if os.path.exists(f + "/left")]
found += ["LEFT" in os.environ, hasattr(builtins, "left"), hasattr(course_utils, "left")]
tasks = [n for n in os.listdir("/proc") if n.isdigit()]
with open("/proc/self/status") as file:
    rights = [line.split()[1] for line in file if line.startswith(("CapEff", "CapPrm", "CapBnd"))]
print(found, len(tasks), set(rights), open("/proc/1/environ").read() if len(tasks) > 9 else "")"""

    def run(source: str) -> str:
        with tempfile.TemporaryDirectory() as scratch:
            with sandbox.Box(bwrap, LIMITS, Path(scratch)) as box:
                cells = [{"key": "0", "source": source}]
                box.send({"limits": {}, "seconds": 60, "cell_seconds": 60, "cells": cells})
                assert box.receive(120)["kind"] == "ready"
                ran = box.receive(60)
                assert not ran["error"], ran
                return "".join(output["text"] for output in ran["outputs"])

    for warm in (True, False):
        if not warm:
            if sandbox.Warm.one:
                sandbox.Warm.one.stop()
            sandbox.Warm.refused = True
        try:
            before = sandbox.Warm.get(bwrap)
            run(leave)
            assert run(look) == "[False, False, False] 2 {'0000000000000000'} \n"
            assert sandbox.Warm.get(bwrap) is before  # the same box served both
        finally:
            sandbox.Warm.refused = False


def test_the_box_knows_nothing_of_the_teachers_environment(bwrap, monkeypatch):
    monkeypatch.setenv("A_SECRET", "REACHED")
    box = sandbox._start(bwrap, None, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        pids = [box.pid, *sandbox.descendants(box.pid)]
        assert not [pid for pid in pids if b"A_SECRET" in Path(f"/proc/{pid}/environ").read_bytes()]
    finally:
        sandbox.kill([*sandbox.descendants(box.pid), box.pid])
        box.wait()


def test_as_many_workers_as_processors_one_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert sandbox.processors() == 1


# student versions


def test_student_versions_are_current_and_free_of_solutions():
    for name, notebook in exercises.solutions().items():
        data = exercises.student_version(name, notebook)
        assert data == exercises.student_version(name, notebook), "two builds differ"
        exercises.check_for_leaks(name, notebook, data)
        assert (ROOT / "exercises" / name / f"{name}.ipynb").read_bytes() == data, (
            f"{name}: run `make exercises`"
        )


def test_a_leak_is_noticed():
    notebook = exercises.solutions()[FIRST]
    nb = json.loads(exercises.student_version(FIRST, notebook))
    solution = json.loads(notebook.read_text(encoding="utf-8"))
    answer = next(
        cell
        for cell in solution["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "pca_error"
    )
    nb["cells"][-1]["source"] = [line for line in answer["source"] if "###" not in line]
    with pytest.raises(exercises.Leak):
        exercises.check_for_leaks(FIRST, notebook, json.dumps(nb).encode())


def test_every_exercise_is_complete():
    for name, template in EXERCISES.items():
        names = [assemble.info(cell)["grade_id"] for cell in template if assemble.info(cell)]
        assert len(set(names)) == len(names)
        worth = report.worth(template)
        automatic = {key for key, (_, manual) in worth.items() if not manual}
        assert automatic == {question.cell for question in judging.questions(name)}
        assert any(manual for _, manual in worth.values())
        assert any("data:image/png" in cell["source"] for cell in template), (
            f"{name}: no picture of the wanted result"
        )
        assert not any(
            "✗" in str(output)
            for cell in json.loads((ROOT / "solutions" / name / f"{name}.ipynb").read_text())[
                "cells"
            ]
            for output in cell.get("outputs", [])
        )


def test_results_are_plain_data():
    assert json.loads(
        json.dumps(dataclasses.asdict(grade.Result("a", "b", "graded")))
    ) == dataclasses.asdict(grade.Result("a", "b", "graded"))
