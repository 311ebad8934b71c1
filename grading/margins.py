"""How far honest answers stay from the limits: every right answer of the corpus, over many secrets; writes MARGINS.md.

    python grading/margins.py [SEEDS]
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["COURSE_DATA"] = "sample"  # what the grader grades on

import torch  # noqa: E402

from grading import assemble, grade, judging  # noqa: E402
from grading.corpus import build  # noqa: E402


def names_of(case: build.Case) -> dict:
    """What the case's notebook defines, run in this process: for right answers only."""
    space: dict = {}
    cells = assemble.assemble(assemble.exercise_cells(grade.exercise_path(case.exercise)), assemble.read(build.notebook(case))).cells
    exec(compile("\n\n".join(cell.source for cell in cells if cell.kind == "code" and not cell.skip), case.name, "exec"), space)
    return space


def answers_to(question: judging.Question, space: dict, given: dict, seed: int) -> list[dict]:
    student = type("Student", (), {"__getattr__": lambda self, name: space[name]})()
    functions: dict = {"torch": torch, "nn": torch.nn, "Tensor": torch.Tensor}
    exec(judging.source_of(question), functions)
    torch.manual_seed(seed)
    state = functions["prepare"](student, given) if question.prepare else student
    answers: list[dict] = []
    for step, ask in enumerate(question.ask):
        answers.append(functions[ask.__name__](state, question.then(step, given, answers) if question.then and step else given))
    return answers


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    lines = ["# Margins", "", f"Right answers of the corpus, {seeds} secrets each, on the sample. A value must stay below its limit. Made by `python grading/margins.py {seeds}`.", "",
             "| exercise | question | answer | smallest | mean | largest | limit |", "|---|---|---|---|---|---|---|"]
    for case in build.cases():
        if not case.name.startswith("right") or case.exercise not in grade.all_exercises():
            continue
        space = names_of(case)
        for question in judging.questions(case.exercise):
            if question.measure:
                values = []
                for seed in range(seeds):
                    given = question.given(judging.random_for(f"margin {seed}", question.name))
                    value, limit = question.measure(given, answers_to(question, space, given, seed))
                    values.append(value)
                lines.append(f"| {case.exercise} | {question.name} | {case.name} | {min(values):.4g} | {statistics.mean(values):.4g} | {max(values):.4g} | {limit:g} |")
                print(lines[-1], flush=True)
                (ROOT / "grading/MARGINS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
