"""How far honest answers stay from the limits, and whether every wrong one is refused whatever the
secret; writes MARGINS.md.

python -m grading.margins [SEEDS] [--exercise NAME]      with a name: print only
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import os
import statistics
from pathlib import Path
from types import SimpleNamespace

import torch

from course_utils.engine import asking
from grading import assemble, corpus, grade, judging

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Margins

Right answers of the corpus, {seeds} secrets each, on the sample. A value must stay below its limit.
Made by `python -m grading.margins {seeds}`.

| exercise | question | answer | smallest | mean | largest | limit |
|---|---|---|---|---|---|---|
"""


def names_of(case: corpus.Case) -> SimpleNamespace:
    """What the case's notebook defines, run in this process: for our own corpus only."""
    space: dict = {}
    template = assemble.exercise_cells(grade.exercise_path(case.exercise))
    cells = assemble.assemble(template, assemble.read(corpus.notebook(case))).cells
    code = "\n\n".join(cell.source for cell in cells if cell.kind == "code" and not cell.skip)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, f"<{case.name}>", "exec"), space)
    return SimpleNamespace(**space)


def wanted(case: corpus.Case, question: asking.Question) -> float:
    """The points that the corpus expects."""
    return 0.0 if question.cell in case.loses else case.partly.get(question.cell, question.points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=5)
    parser.add_argument("--exercise", default="")
    options = parser.parse_args()
    os.environ["COURSE_DATA"] = "sample"  # what the grader grades on
    torch.set_num_threads(1)
    margins, surprises, verdicts = [], [], 0
    for case in corpus.cases(options.exercise):
        right, wrong = (case.name.startswith(word) for word in ("right", "wrong"))
        if not (right or wrong):
            continue
        student = names_of(case)
        for question in judging.questions(case.exercise):
            if question.prepare and question.seconds > 60 and not right:
                continue  # trains: graded in the corpus
            values = []
            for seed in range(options.seeds):
                given, expected = grade.inputs(case.exercise, question.name, f"margin {seed}")
                given = copy.deepcopy(given)  # some change what they are given
                answers = asking.put_here(question, given, student, seed)
                found = asking.judge(question, given, answers, expected)
                points = sum(verdict.points for verdict in found)
                verdicts += 1
                if points != wanted(case, question):
                    why = "; ".join(str(verdict.wrong) for verdict in found if verdict.wrong)
                    surprises.append(
                        f"- {case.exercise}, {question.name}: {case.name} got {points:g} points "
                        f"under secret {seed} {why}"
                    )
                    print(surprises[-1], flush=True)
                if right and question.measure:
                    value, limit = question.measure(given, answers)
                    values.append(value)
            if values:
                spread = f"{min(values):.4g} | {statistics.mean(values):.4g} | {max(values):.4g}"
                margins.append(
                    f"| {case.exercise} | {question.name} | {case.name} | {spread} | {limit:g} |"
                )
                print(margins[-1], flush=True)
    closing = (
        "The same secrets put to all right and wrong answers, without the wrong ones' long "
        "trainings: "
        f"{verdicts:,} verdicts, {len(surprises)} not as the corpus expects."
    )
    print(closing)
    if not options.exercise:
        text = "\n".join(
            [HEAD.format(seeds=options.seeds) + "\n".join(margins), "", closing, *surprises]
        )
        (ROOT / "grading/MARGINS.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
