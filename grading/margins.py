"""How far honest answers stay from the limits, and whether every wrong one is refused whatever the secret; writes MARGINS.md.

    python grading/margins.py [SEEDS]
"""

from __future__ import annotations

import contextlib
import functools
import io
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


def accepted(question: judging.Question, given: dict, answers: list[dict]) -> bool:
    try:
        judging.judge(question, given, answers)
    except judging.Wrong:
        return False
    return True


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    given_to = functools.lru_cache(maxsize=64)(lambda question, seed: question.given(judging.random_for(f"margin {seed}", question.name)))
    margins, surprises, verdicts = [], [], 0
    for case in build.cases():
        right = case.name.startswith("right")
        if not (right or case.name.startswith("wrong")) or case.exercise not in grade.all_exercises():
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            space = names_of(case)
        for question in judging.questions(case.exercise):
            if question.prepare and question.seconds > 60 and not right:
                continue  # trains: graded in the corpus
            values = []
            for seed in range(seeds):
                given = given_to(question, seed)
                given = {**given, **judging.unpack(judging.pack(given))}  # a copy, for those who change what they are given
                try:
                    answers = [{name: value.detach() if isinstance(value, torch.Tensor) else value for name, value in answer.items()}
                               for answer in answers_to(question, space, given, seed)]
                    good = accepted(question, given, answers)
                except Exception:  # the student's own
                    good = False
                verdicts += 1
                if good == (question.name in case.loses):
                    surprises.append(f"- {case.exercise}, {question.name}: {case.name} was {'accepted' if good else 'refused'} under secret {seed}")
                    print(surprises[-1], flush=True)
                if right and question.measure:
                    value, limit = question.measure(given, answers)
                    values.append(value)
            if values:
                margins.append(f"| {case.exercise} | {question.name} | {case.name} | {min(values):.4g} | {statistics.mean(values):.4g} | {max(values):.4g} | {limit:g} |")
                print(margins[-1], flush=True)
    lines = ["# Margins", "", f"Right answers of the corpus, {seeds} secrets each, on the sample. A value must stay below its limit. Made by `python grading/margins.py {seeds}`.", "",
             "| exercise | question | answer | smallest | mean | largest | limit |", "|---|---|---|---|---|---|---|", *margins, "",
             f"The same secrets put to all right and wrong answers, without the wrong ones' long trainings: {verdicts:,} verdicts, {len(surprises)} not as the corpus expects.", *surprises]
    (ROOT / "grading/MARGINS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
