"""An exercise's checks: ``check("dead_units", dead_units)`` asks a question of the notebook's
function and says what was expected, what came, and the likely cause.

The questions, with the right answers to the public seed as plain values, lie in
``course_utils/questions``; `make notebooks` builds them from ``lessons/*/questions.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from course_utils.engine.asking import (
    PUBLIC,
    NotWritten,
    Question,
    Verdict,
    Wrong,
    explain,
    judge,
    load,
    put_here,
    random_for,
    read,
    short,
)

FOLDER = Path(__file__).with_name("questions")


class Checks:
    """The checks of one exercise: ``check = Checks("01_dense_autoencoder")``, then
    ``check("dead_units", dead_units)``."""

    def __init__(self, exercise: str):
        self.exercise = exercise
        self.questions = {
            question.name: question for question in load(FOLDER / f"{exercise}.txt").QUESTIONS
        }
        self._expected = read(FOLDER / f"{exercise}.json")

    def __call__(self, name: str, *functions: object) -> None:
        """Ask a question of the notebook's functions and print what came of each rule. What
        they raise is told, not raised."""
        question = self.questions.get(name)
        if question is None:
            say(f"✗  there is no question {name!r}; there are: {', '.join(self.questions)}")
        elif len(question.names) != len(functions):
            say(f'✗  this check is called as check("{name}", {", ".join(question.names)})')
        elif not all(map(callable, functions)):
            say(f'✗  give the function itself, without calling it: check("{name}", '
                f"{', '.join(question.names)})")  # fmt: skip
        else:
            self._report(question, dict(zip(question.names, functions)))

    def all(self, names: dict) -> None:
        """Ask every question once more of the notebook's names, ``globals()``, and print the sum
        and what is left to do."""
        earned = 0.0
        for question in self.questions.values():
            missing = [name for name in question.names if name not in names]
            if missing:
                say(f"·  {question.name}: {', '.join(missing)} is not defined; run its cell first")
            else:
                earned += self._report(question, names)
        total = sum(question.points for question in self.questions.values())
        say(
            f"\n{earned:g} of {total:g} points by these checks; a teacher marks the text answers.\n"
            f"To hand in: save this notebook and give {self.exercise}.ipynb to your teacher, under "
            "this name. Marks come from the "
            "same questions, asked with other inputs."
        )

    def _report(self, question: Question, names: dict) -> float:
        student = SimpleNamespace(**{name: names[name] for name in question.names})
        try:
            given = question.given(random_for(PUBLIC, question.name))
            answers = put_here(question, given, student)
            failures = [getattr(answer, "wrong", None) for answer in answers]
            if all(isinstance(failure, NotWritten) for failure in failures):
                words = str(failures[0]).removeprefix(f"{question.name} is ")
                say(f"·  {question.name}: {words}")
                return 0.0
            verdicts = judge(question, given, answers, self._expected.get(question.name, {}))
        except (Exception, SystemExit) as error:
            say(f"✗  {question.name}: {explain(error)}")
            return 0.0
        wrong = verdicts[0].wrong
        if wrong and all(
            verdict.wrong and _words(verdict.wrong) == _words(wrong) for verdict in verdicts
        ):
            title = verdicts[0].rule if len(verdicts) == 1 else question.name
            verdicts = [Verdict(title, question.points, wrong)]  # one reason for all: said once
        for verdict in verdicts:
            _print(verdict)
        return sum(verdict.points for verdict in verdicts)


def _print(verdict: Verdict) -> None:
    points = f"{verdict.worth:g} point{'' if verdict.worth == 1 else 's'}"
    if not verdict.wrong:
        say(f"✓  {verdict.rule} ({points})")
        return
    say("\n     ".join([f"✗  {verdict.rule} ({points})", *_words(verdict.wrong)]))


def _words(wrong: Wrong) -> list[str]:
    compared = [f"expected      {short(wrong.expected)}", f"got           {short(wrong.got)}"]
    cause = [f"likely cause  {wrong.cause}"] if wrong.cause else []
    return [wrong.what, *(compared if wrong.expected is not None else []), *cause]


def say(text: str) -> None:
    """Print, also on a console that knows no ✓."""
    try:
        print(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        text = text.replace("✓", "ok").replace("✗", "no").replace("·", "-").replace("…", "...")
        print(text.encode(encoding, "replace").decode(encoding))
