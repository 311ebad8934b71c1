"""The corpus: right, wrong, broken and hostile submissions, made from the solutions and small
changes, so that no notebook is kept.

Right and wrong answers stand in ``lessons/*/submissions.py``, broken files in ``broken.py``,
attacks in ``hostile.py``.

    python -m grading.corpus FOLDER    write it as a teacher would get it, with expected.csv
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from course_utils.engine import asking

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Case:
    """One submission.

    Args:
        name: what it is, as the student's name.
        exercise: of which exercise.
        answers: grade_id -> the answer cell's text; all other answers are the solution's.
        loses: the cells (``check_…`` or a text's name) that must get no points; all others must get
            theirs.
        status: what the grader must say.
        change: a last change of the notebook, or the bytes of the file.
        solved: start from the solution (True) or from the untouched exercise.
        say: a text that must stand in the messages or notes.
        partly: cell -> the points that it must get, where some of its rules are met.
    """

    name: str
    exercise: str
    answers: dict[str, str] = field(default_factory=dict)
    loses: tuple[str, ...] = ()
    status: tuple[str, ...] = ("graded",)
    change: Callable[[dict], dict | bytes] | None = None
    solved: bool = True
    say: str = ""
    partly: dict[str, float] = field(default_factory=dict)


def exercise(name: str) -> dict:
    return json.loads((ROOT / "exercises" / name / f"{name}.ipynb").read_text(encoding="utf-8"))


def notebook(case: Case) -> bytes:
    """The file that is handed in: the student version with the solution's or the case's answers."""
    solution = json.loads(
        (ROOT / "solutions" / case.exercise / f"{case.exercise}.ipynb").read_text(encoding="utf-8")
    )
    solved = {
        cell["metadata"]["nbgrader"]["grade_id"]: cell["source"]
        for cell in solution["cells"]
        if "nbgrader" in cell["metadata"]
    }
    nb = exercise(case.exercise)
    for cell in nb["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("solution"):
            if about["grade_id"] in case.answers:
                cell["source"] = case.answers[about["grade_id"]]
            elif case.solved:
                cell["source"] = [line for line in solved[about["grade_id"]] if "### " not in line]
    changed = case.change(nb) if case.change else nb
    return (
        changed
        if isinstance(changed, bytes)
        else json.dumps(changed, ensure_ascii=False, indent=1).encode()
    )


def cases(exercise: str = "") -> list[Case]:
    """All of it, or the right and wrong answers to one exercise. Loaded by path, since the lessons'
    folders begin with digits."""
    here = Path(__file__).parent
    parts = sorted(ROOT.glob(f"lessons/{exercise or '[!_]*'}/submissions.py"))
    parts += [] if exercise else [here / "broken.py", here / "hostile.py"]
    found = [case for path in parts for case in asking.load(path).CASES]
    names = [(case.name, case.exercise) for case in found]
    assert len(set(names)) == len(names), "two cases of one name"
    return found


def together(chosen: list[Case]) -> list[tuple[Case, list[Case]]]:
    """Pairs (what is handed in, the cases in it): wrong answers to different questions share a
    notebook, in which another one is answered rightly; all else stands alone. A notebook starts a
    Python and a torch of its own, so this saves time. ``grading/margins.py`` judges each alone.
    """
    packs: list[tuple[Case, list[Case]]] = []
    questions = {
        name: {
            about["grade_id"]
            for cell in exercise(name)["cells"]
            if (about := cell["metadata"].get("nbgrader", {})).get("grade")
            and not about["solution"]
        }
        for name in {case.exercise for case in chosen}
    }
    for case in chosen:
        plain = case.name.startswith("wrong") and case.change is None and case.status == ("graded",)
        for pack, members in packs if plain else ():
            lost, ours = {*pack.loses, *pack.partly}, {*case.loses, *case.partly}
            names = {cell.removeprefix("check_") for cell in lost & ours}
            fits = (
                (pack.exercise, pack.change, pack.status) == (case.exercise, None, case.status)
                and members[0].name.startswith("wrong")
                and not questions[case.exercise] <= lost | ours
                and all(pack.answers.get(key, text) == text for key, text in case.answers.items())
                and names <= pack.answers.keys() & case.answers.keys()  # lost by the same answer
            )
            if fits:
                pack.answers |= case.answers
                pack.loses = tuple({**dict.fromkeys(pack.loses), **dict.fromkeys(case.loses)})
                pack.partly |= case.partly
                members.append(case)
                break
        else:
            packs.append(
                (replace(case, answers=dict(case.answers), partly=dict(case.partly)), [case])
            )
    return packs


def write(folder: Path, chosen: list[Case]) -> None:
    """As nbgrader's submitted folder: <student>/<exercise>/<exercise>.ipynb."""
    for case in chosen:
        path = folder / case.name / case.exercise / f"{case.exercise}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(notebook(case))


def main() -> None:
    folder = Path(sys.argv[1])
    write(folder / "submitted", cases())
    with open(folder / "expected.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "exercise", "status", "questions_without_points", "in_part"])
        writer.writerows(
            [
                case.name,
                case.exercise,
                "|".join(case.status),
                " ".join(case.loses),
                case.partly or "",
            ]
            for case in cases()
        )


if __name__ == "__main__":
    main()
