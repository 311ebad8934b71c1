"""An instructor's dry run: sixty submissions of exercise 1 in a Moodle zip, graded, graded again,
killed half-way and gone on with.

    python -m grading.dry_run            writes build/dry_run and grading/DRY_RUN.md

The submissions are right, wrong, broken and hostile ones of the corpus, under names in three
alphabets.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from datetime import date
from itertools import product
from pathlib import Path

from grading import corpus, grade, report, sandbox

ROOT = Path(__file__).resolve().parents[1]
EXERCISE = "01_dense_autoencoder"

FIRST = (
    "Željka",
    "Đurđa Marija",
    "Mislav",
    "נועה",
    "יעל בת־אל",
    "דוד",
    "Anne-Marie",
    "Sean Óg",
    "Šime",
    "Ćiril",
)
LAST = ("Šarić", "Đokić Novak", "O'Neil", "כהן", "לוי־שרון", "Čačić")
PARTS = {"right": 26, "wrong": 12, "broken": 10, "hostile": 12}  # how many of each kind


def chosen() -> list[tuple[str, corpus.Case]]:
    """Sixty pairs (name of a student, case)."""
    mine = [case for case in corpus.cases() if case.exercise == EXERCISE]
    cases = []
    for kind, count in PARTS.items():
        of_kind = [case for case in mine if case.name.startswith(kind)]
        cases += [
            of_kind[i * len(of_kind) // count]
            if count < len(of_kind)
            else of_kind[i % len(of_kind)]
            for i in range(count)
        ]
    return [
        (f"{first} {last}", case)
        for (first, last), case in zip(product(FIRST, LAST), cases, strict=True)
    ]


def write_zip(path: Path, students: list[tuple[str, corpus.Case]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, case) in enumerate(students, 1000):
            archive.writestr(
                f"{name}_{number}_assignsubmission_file_/{case.exercise}.ipynb",
                corpus.notebook(case),
            )


def command(source: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "grading.grade", str(source), "--out", str(out)]


def rows(out: Path) -> dict[str, dict]:
    with open(out / "grades.csv", encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def unexpected(out: Path, students: list[tuple[str, corpus.Case]]) -> list[str]:
    """What of the table is not as the corpus says."""
    found, wrong, worth = rows(out), [], report.worth(grade.all_exercises()[EXERCISE])
    for number, (name, case) in enumerate(students, 1000):
        row = found[f"{name} {number}"]
        expected = {
            key: case.partly.get(key, points)
            for key, (points, manual) in worth.items()
            if not manual and key not in case.loses
        }
        got = {
            key: float(value)
            for key, _, value in (part.partition(": ") for part in row["questions"].split("; "))
            if not worth[key][1] and float(value)
        }
        if got != expected or row["status"] not in case.status:
            wrong.append(
                f"{name}, {case.name}: {row['status']}, {got}, "
                f"expected {' or '.join(case.status)}, {expected}"
            )
    return wrong


def main() -> int:
    folder = ROOT / "build/dry_run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    students, source = chosen(), folder / "Exercise 1, submissions.zip"
    write_zip(source, students)
    start = time.monotonic()
    subprocess.run(command(source, folder / "work"), check=True)
    seconds = time.monotonic() - start
    found, wrong = rows(folder / "work"), unexpected(folder / "work", students)

    before, start = (folder / "work/grades.csv").read_bytes(), time.monotonic()
    subprocess.run(command(source, folder / "work"), check=True, stdout=subprocess.DEVNULL)
    again = time.monotonic() - start
    same = (folder / "work/grades.csv").read_bytes() == before

    half = subprocess.Popen(command(source, folder / "killed"), stdout=subprocess.DEVNULL)
    kept = folder / "killed/results"
    while len(list(kept.glob("*.json"))) < len(students) // 2:
        time.sleep(0.2)
    below = sandbox.descendants(half.pid)
    half.kill()
    half.wait()
    time.sleep(5)
    left = sum(os.path.exists(f"/proc/{pid}") for pid in below)
    after_kill, marks = (
        len(list(kept.glob("*.json"))),
        Counter(row["status"] for row in rows(folder / "killed").values()),
    )
    subprocess.run(command(source, folder / "killed"), check=True, stdout=subprocess.DEVNULL)
    wrong_after = unexpected(folder / "killed", students)

    kinds = ", ".join(f"{count} {kind}" for kind, count in PARTS.items())
    each, equal = seconds / len(students), "the same, byte for byte" if same else "DIFFERS"
    statuses = Counter(row["status"] for row in found.values()).most_common()
    lines = [
        "# A dry run",
        "",
        f"Sixty submissions of exercise 1 ({kinds}) in one Moodle zip, made and graded by "
        f"`python -m grading.dry_run` on {date.today().isoformat()}, {os.cpu_count()} cores.",
        "",
        "| | |",
        "|---|---|",
        f"| time, with the check of the grader | {seconds:.0f} s, {each:.1f} s a submission |",
        f"| marks and statuses as expected | {len(students) - len(wrong)} of {len(students)} |",
        f"| statuses | {', '.join(f'{count} {status}' for status, count in statuses)} |",
        f"| the same command again | {again:.0f} s, `grades.csv` {equal} |",
        f"| killed half-way (SIGKILL) | {after_kill} results kept, {marks['not graded']} lines of "
        f"the table then without a mark; of its {len(below)} processes {left} are left after 5 s |",
        "| gone on with | marks and statuses as expected: "
        f"{len(students) - len(wrong_after)} of {len(students)} |",
    ]
    (ROOT / "grading/DRY_RUN.md").write_text(
        "\n".join([*lines, *(f"\nNot as expected: {line}" for line in [*wrong, *wrong_after])])
        + "\n",
        encoding="utf-8",
    )
    print("\n".join([*lines[4:], *wrong, *wrong_after]))
    return bool(wrong or wrong_after or not same)


if __name__ == "__main__":
    sys.exit(main())
