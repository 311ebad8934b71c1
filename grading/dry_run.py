"""An instructor's dry run over two exercises: graded, marked in two spreadsheet programs, killed
half-way, handed in again and late. At the end every mark must be in its place.

    python -m grading.dry_run            writes build/dry_run and grading/DRY_RUN.md

The submissions are right, wrong, broken and hostile ones of the corpus, under names in three
alphabets, in Moodle zips.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path

import openpyxl

from grading import corpus, grade, report, sandbox

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build/dry_run"
OUT = FOLDER / "work"
FIRST = ("Željka", "Đurđa Marija", "Mislav", "נועה", "יעל בת־אל", "דוד", "Anne-Marie", "Sean Óg",
         "Šime", "Ćiril")  # fmt: skip
LAST = ("Šarić", "Đokić Novak", "O'Neil", "כהן", "לוי־שרון", "Čačić")
PARTS = {  # how many of each kind
    "01_dense_autoencoder": {"right": 26, "wrong": 12, "broken": 10, "hostile": 12},
    "03_denoising": {"right": 4, "wrong": 4},
}
ONE, TWO = PARTS
DUE, LATE = "2026-11-20", 3  # the last three hand in two days later
Class = dict[str, corpus.Case]  # student, as in the tables -> what is handed in


def chosen(exercise: str) -> Class:
    mine = [case for case in corpus.cases() if case.exercise == exercise]
    cases = []
    for kind, count in PARTS[exercise].items():
        of_kind = [case for case in mine if case.name.startswith(kind)]
        several = count >= len(of_kind)
        cases += [of_kind[i % len(of_kind) if several else i * len(of_kind) // count]
                  for i in range(count)]  # fmt: skip
    names = product(FIRST, LAST)
    return {
        f"{' '.join(name)} {1000 + i}": case for i, (name, case) in enumerate(zip(names, cases))
    }


def write_zip(name: str, students: Class) -> Path:
    with zipfile.ZipFile(FOLDER / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, (student, case) in enumerate(students.items()):
            plain, _, number = student.rpartition(" ")
            day = 20 if place < len(students) - LATE else 22
            file = f"{plain}_{number}_assignsubmission_file_/{case.exercise}.ipynb"
            info = zipfile.ZipInfo(file, (2026, 11, day, place * 2 % 24, 0, 0))
            archive.writestr(info, corpus.notebook(case), zipfile.ZIP_DEFLATED)
    return FOLDER / name


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "grading.grade", "--out", str(OUT), *map(str, arguments)]


def graded(*arguments: object, **how) -> tuple[float, float]:
    """Wall seconds, and the processor seconds of the grader's own processes."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    start, before = time.monotonic(), spent()
    subprocess.run(command(*arguments), check=True, **how)
    return time.monotonic() - start, spent() - before


def in_boxes() -> tuple[float, list[float]]:
    """Processor seconds that the boxes took in all, as they were measured for the limits; and the
    seconds of those that would never have ended, of which one that is killed is not measured."""
    results = [json.loads(path.read_text()) for path in (OUT / "results").glob("*.json")]
    endless = [result["seconds"] for result in results if result["status"] == "timed out"]
    ended = [result["spent"] for result in results if result["status"] != "timed out"]
    spent = sum(seconds for of_one in ended for what, seconds in of_one.items() if what != "cell")
    return spent + sum(endless), endless


def rows() -> dict[tuple[str, str], dict]:
    with open(OUT / "grades.csv", encoding="utf-8-sig", newline="") as file:
        return {(row["student"], row["exercise"]): row for row in csv.DictReader(file)}


def unexpected(students: Class) -> list[str]:
    """What of the table is not as the corpus says."""
    found, wrong = rows(), []
    for student, case in students.items():
        row, worth = found[student, case.exercise], report.worth(exercises[case.exercise])
        expected = {
            key: case.partly.get(key, points)
            for key, (points, manual) in worth.items()
            if not manual and key not in case.loses
        }
        got = {
            key: float(value)
            for key, _, value in (part.partition(": ") for part in row["questions"].split("; "))
            if not worth[key][1] and float(value or "nan")
        }
        if got != expected or row["status"] not in case.status:
            wrong.append(f"{student}, {case.name}: {row['status']}, {got}, expected "
                         f"{' or '.join(case.status)}, {expected}")  # fmt: skip
    return wrong


def mark(exercises: tuple[str, ...], given: dict, program: str) -> None:
    """Mark every other text of these exercises, as a teacher does in a spreadsheet program."""
    book = openpyxl.load_workbook(OUT / "texts.xlsx")
    header, *lines = [list(row) for row in book.active.iter_rows()]
    place = {cell.value: column for column, cell in enumerate(header)}
    mine = [line for line in lines if line[place["exercise"]].value in exercises]
    for number, line in enumerate(mine[program == "xlsx" :: 2]):
        student, points = line[place["student"]].value, number % 7 / 2
        line[place["points"]].value, line[place["comment"]].value = points, f"Točno, {number} žutih"
        given[student, line[place["exercise"]].value] = points
    if program == "xlsx":
        book.save(OUT / "texts.xlsx")
        return
    with open(OUT / "texts.csv", "w", encoding="cp1250", errors="replace", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        for line in [header, *lines]:
            values = [cell.value for cell in line]
            writer.writerow([f"{v:g}".replace(".", ",") if isinstance(v, float) else v
                             for v in values])  # fmt: skip


def misplaced(given: dict) -> list[str]:
    """Marks by hand that are not where they were given."""
    found = rows()
    return [
        f"{key}: {points:g} given by hand, {found[key]['by_hand']!r} found"
        for key, points in given.items()
        if found[key]["by_hand"] != f"{points:g}"
    ]


def killed_half_way(source: Path, students: Class) -> str:
    """Start to grade, kill it with SIGKILL, look what is left."""
    kept, before = OUT / "results", len(list((OUT / "results").glob("*.json")))
    run = subprocess.Popen(command(source), stdout=subprocess.DEVNULL)
    while len(list(kept.glob("*.json"))) < before + len(students) // 2 and run.poll() is None:
        time.sleep(0.1)
    below = sandbox.descendants(run.pid)
    run.kill()
    run.wait()
    time.sleep(5)
    left = sum(os.path.exists(f"/proc/{pid}") for pid in below)
    without = sum(row["status"] == "not graded" for row in rows().values())
    return (f"{len(list(kept.glob('*.json'))) - before} results kept, {without} lines of the table "
            f"without a mark; of its {len(below)} processes {left} are left after 5 s")  # fmt: skip


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    load = os.getloadavg()[0]
    first, second, quiet = chosen(ONE), chosen(TWO), {"stdout": subprocess.DEVNULL}
    one = write_zip("Exercise 1, submissions.zip", first)
    seconds, spent = graded(one, "--due", DUE)
    after = os.getloadavg()[1]
    (boxes, endless), wrong = in_boxes(), unexpected(first)
    before = (OUT / "grades.csv").read_bytes()
    again, _ = graded(one, **quiet)
    same = (OUT / "grades.csv").read_bytes() == before

    given: dict[tuple[str, str], float] = {}
    mark((ONE,), given, "xlsx")
    two = write_zip("Exercise 3, submissions.zip", second)
    kill = killed_half_way(two, second)
    wrong += misplaced(given)
    graded(two, **quiet)
    mark((ONE, TWO), given, "csv")
    graded(**quiet)
    wrong += unexpected(first) + unexpected(second) + misplaced(given)

    mine = [who for who, what in given if what == ONE and first[who].name.startswith("right")]
    # one changes the text, the other one some code
    changed, code, *_ = [who for who in mine if not first[who].change]
    anew = {
        changed: replace(first[changed], answers={**first[changed].answers, "why": "Other words."}),
        code: replace(first[code], answers={**first[code].answers, "dead_units": "dead_units = 1"},
                      loses=(*first[code].loses, "check_dead_units")),
    }  # fmt: skip
    told = subprocess.run(command(write_zip("late.zip", anew)), check=True, capture_output=True)
    lost, kept = given.pop((changed, ONE)), f"{changed}, {ONE}, why: the answer was changed"
    wrong += unexpected(first | anew) + unexpected(second) + misplaced(given)
    review = kept in told.stdout.decode() and rows()[changed, ONE]["by_hand"] == ""
    late = Counter(row["late"] for row in rows().values() if row["exercise"] == ONE)

    kinds = ", ".join(f"{count} {kind}" for kind, count in PARTS[ONE].items())
    statuses = Counter(row["status"] for row in rows().values()).most_common()
    lines = [
        "# A dry run",
        "",
        f"{len(first)} submissions of exercise 1 ({kinds}) and {len(second)} of exercise 3, made "
        f"and graded by `python -m grading.dry_run` on {date.today().isoformat()}, "
        f"{sandbox.processors()} cores.",
        "",
        f"Load of the machine: {load:.1f} at the start, {after:.1f} in the last five minutes of "
        f"exercise 1; {sandbox.processors()} are the grader's own. The goal, on quiet cores, is "
        "two minutes for the sixty.",
        "",
        "| | |",
        "|---|---|",
        f"| exercise 1, with the check of the grader | {seconds:.0f} s, "
        f"{seconds / len(first):.1f} s a submission; processor time: "
        f"{spent:.0f} s of the grader, {boxes:.0f} s in the boxes |",
        f"| of these, {len(endless)} that never end, held to their limit | "
        f"{' and '.join(f'{seconds:.0f} s' for seconds in endless)}, one core each |",
        f"| the same command again | {again:.0f} s, `grades.csv` "
        f"{'the same, byte for byte' if same else 'DIFFERS'} |",
        f"| exercise 3, killed half-way (SIGKILL) | {kill} |",
        f"| texts marked: in xlsx, then in a CSV with semicolons, in cp1250 | {len(given) + 1} |",
        f"| handed in again, one with another text | its mark, {lost:g}, is "
        f"{'kept for review' if review else 'LOST'} |",
        f"| lateness | {', '.join(f'{n} × {how}' for how, n in late.most_common())} |",
        f"| statuses | {', '.join(f'{count} {status}' for status, count in statuses)} |",
        f"| marks not as expected, at any of these steps | {len(wrong)} |",
    ]
    text = "\n".join([*lines, *(f"\nNot as expected: {line}" for line in wrong)])
    (ROOT / "grading/DRY_RUN.md").write_text(f"{text}\n", encoding="utf-8")
    print(text)
    return bool(wrong or not same or not review)


exercises = grade.all_exercises()

if __name__ == "__main__":
    sys.exit(main())
