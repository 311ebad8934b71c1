"""Adding, hiding and dropping a lesson is one folder: done in a copy of the course, with a toy."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
TOY = "01_toy"
LESSON = """# %% [markdown] question="Is it two?" source="nowhere"
# # Lesson 1. A toy
#
# One question.

# %% tags=["readme"]
from course_utils import plots

plots.bars({"PCA": 2}, ylabel="two", title="It is two", caption="One bar.")
"""
EXERCISE = """# %% [markdown]
# # Exercise 1. Halve it

# %%
from course_utils.checks import Checks

check = Checks("01_toy")

# %% [markdown]
# ## 1. Half

# %% answer="halve"
def halve(n):
    ### BEGIN SOLUTION
    return n / 2
    ### END SOLUTION

# %% tags=["wanted"]
from course_utils import plots

plots.bars({"PCA": 2}, ylabel="two", title="It is two", caption="One bar.")

# %% check="halve"
check("halve", halve)

# %% [markdown]
# ## 2. Why?

# %% [markdown] text="why" points=1
# Model answer. Because.

# %% tags=["closing"]
check.all(globals())
"""
QUESTIONS = '''"""Questions."""

from course_utils.engine.asking import Question, expect


def given(random):
    return {"n": 40 + int(random.initial_seed() % 7)}


def ask(student, given):
    return {"half": float(student.halve(given["n"]))}


def ask_odd(student, given):
    return {"half": float(student.halve(3))}


def expected_half(given):
    mistakes = {"twice as much, not half": 2.0 * given["n"]}
    return {"half": given["n"] / 2, "mistakes": {"half": mistakes}}


def right(given, answers, expected):
    """Half of an even number or odd one."""
    expect(answers[0], "half", expected)


def odd(given, answers, expected):
    """Half of three is not whole."""
    expect(answers[1], "half", {"half": 1.5})


QUESTIONS = [
    Question(
        "halve",
        given=given,
        ask=(ask, ask_odd),
        expected=expected_half,
        rules={right: 2, odd: 1},
    ),
]
'''
SUBMISSIONS = """from grading.corpus import Case

CASES = [
    Case("right, the solution", "01_toy"),
    Case("right, a shift", "01_toy", {"halve": "def halve(n):\\n    return n * 0.5\\n"}),
    Case(
        "wrong, doubled",
        "01_toy",
        {"halve": "def halve(n):\\n    return n * 2\\n"},
        ("check_halve",),
        say="twice as much",
    ),
    Case(
        "wrong, only three",
        "01_toy",
        {"halve": "def halve(n):\\n    return 1.5\\n"},
        partly={"check_halve": 1},
    ),
    Case("nothing done", "01_toy", loses=("check_halve", "why"), solved=False),
]
"""
KEPT = ("course_utils", "grading", "tools", "pyproject.toml", "README.md")
COLLECT = """
from pathlib import Path
from grading import corpus
corpus.write(Path("in"), corpus.cases("01_toy"))
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A copy of the course in which the toy is the only lesson; a function that runs a tool."""
    course = tmp_path_factory.mktemp("course")
    for name in KEPT:
        if (ROOT / name).is_dir():
            skip = shutil.ignore_patterns("__pycache__", "work", "0*", "latent_sweep_*")
            shutil.copytree(ROOT / name, course / name, ignore=skip)
        else:
            shutil.copy(ROOT / name, course / name)
    folder = course / "lessons" / TOY
    folder.mkdir(parents=True)
    files = {"lesson": LESSON, "exercise": EXERCISE, "questions": QUESTIONS}
    for name, text in {**files, "submissions": SUBMISSIONS}.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(course), "COURSE_DATA": "sample"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=course,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    run("-m", "tools.build")
    run("-m", "tools.exercises")
    return course, run


def test_it_is_built(toy):
    course, run = toy
    assert (course / "notebooks/01_toy.ipynb").exists()
    assert (course / "pictures/01_toy.png").exists()
    outputs = nbformat.read(course / "solutions/01_toy/01_toy.ipynb", 4).cells[-1].outputs
    assert "3 of 3 points" in outputs[0].text
    text = (course / "exercises/01_toy/01_toy.ipynb").read_text(encoding="utf-8")
    assert "YOUR CODE HERE" in text and "Model answer" not in text
    assert "is not written" not in text and "n / 2" not in text
    assert '"points": 3' in text
    readme = (course / "README.md").read_text(encoding="utf-8")
    assert "| 1 | [A toy](notebooks/01_toy.ipynb) | Is it two? | nowhere |" in readme
    assert "[Halve it](exercises/01_toy/01_toy.ipynb)" in readme
    assert "all is built" in run("-m", "tools.build", "--check")


def test_a_changed_question_makes_the_solution_anew(toy):
    course, run = toy
    path = course / "lessons" / TOY / "questions.py"
    before = path.read_text()
    path.write_text(before.replace("Half of three is not whole", "Half of three"))
    assert "solutions/01_toy" in run("-m", "tools.build")
    text = (course / "solutions/01_toy/01_toy.ipynb").read_text(encoding="utf-8")
    assert "Half of three (1 point)" in text
    path.write_text(before)
    run("-m", "tools.build")


def test_its_corpus_is_graded(toy):
    if shutil.which("bwrap") is None and not os.environ.get("CI"):
        pytest.skip("bubblewrap is not installed, so no submission can be graded here")
    course, run = toy
    run("-c", COLLECT)
    run("-m", "grading.grade", "in", "--out", "marks")
    with open(course / "marks/grades.csv", encoding="utf-8-sig", newline="") as file:
        marks = {row["student"]: row["automatic"] for row in csv.DictReader(file)}
    assert marks == {
        "right, the solution": "3",
        "right, a shift": "3",
        "wrong, doubled": "0",
        "wrong, only three": "1",
        "nothing done": "0",
    }
    pages = [path.read_text(encoding="utf-8") for path in (course / "marks/feedback").iterdir()]
    assert any("twice as much, not half" in page for page in pages)


def test_hidden_it_is_gone_and_back_again(toy):
    course, run = toy
    folder = course / "lessons" / TOY
    for command in (["init", "-q"], ["add", "."]):  # only what git has is ever removed
        subprocess.run(["git", *command], cwd=course, check=True)
    folder.rename(folder.with_name("_01_toy"))
    run("-m", "tools.build")
    notebooks = ("notebooks/01_toy", "solutions/01_toy/01_toy", "exercises/01_toy/01_toy")
    built = [f"{path}.ipynb" for path in notebooks] + ["pictures/01_toy.png"]
    built += [f"course_utils/questions/01_toy.{kind}" for kind in ("txt", "json")]
    assert not any((course / path).exists() for path in built)
    assert "01_toy" not in (course / "README.md").read_text(encoding="utf-8")
    folder.with_name("_01_toy").rename(folder)
    run("-m", "tools.build")
    run("-m", "tools.exercises")
    assert all((course / path).exists() for path in built)
