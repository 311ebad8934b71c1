"""Committed notebooks match their sources, and the builder gives the same bytes twice."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from course_utils.engine import asking
from tools import bootstrap, build, claims, course, exercises, questions

ROOT = Path(__file__).resolve().parents[1]
TARGETS = build.targets()
SOURCE = """# # A small lesson
#
# One question.

# %%
print("one")
print("two")

# %%
from course_utils import plots

plots.lines([1, 2], {"PCA": [1, 2]}, "It rises", "A line that rises.", xlabel="x", ylabel="y")

# %%
import pandas

pandas.DataFrame({"a": [1.0]}).style.format("{:.2f}")

# %%
import ipywidgets

ipywidgets.IntSlider()

# %%
print("one")
print("two")
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A course of one lesson in an empty folder."""
    source = tmp_path / "lessons/01_small/lesson.py"
    source.parent.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        'version = "3.2.1"\nRepository = "https://example.org/someone/course"\n'
    )
    source.write_text("# %% [markdown]\n" + SOURCE)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    return source, tmp_path / "notebooks/01_small.ipynb"


def test_two_builds_give_the_same_bytes(small):
    source, notebook = small
    assert build.build(["01_small"]) == 0
    first = notebook.read_bytes()
    assert build.build(["01_small"]) == 0
    assert notebook.read_bytes() == first
    nb = nbformat.read(notebook, as_version=4)
    nbformat.validate(nb)
    assert build.figures(nb) == 1
    assert "widget" not in notebook.read_text().replace("ipywidgets", "")
    words = [output.data["text/markdown"] for output in nb.cells[3].outputs[::2]]
    assert words == ["**It rises**", "A line that rises."]
    assert len({cell.id for cell in nb.cells}) == len(
        nb.cells
    )  # two cells of the same text have two ids
    assert nb.cells[2].outputs[0].text == "one\ntwo\n"


def test_badge_and_bootstrap_take_the_address_from_one_line(small):
    nb = build.assemble(*small)
    assert "github/someone/course/blob/main/notebooks/01_small.ipynb" in nb.cells[0].source
    assert nb.cells[0].source.startswith("# A small lesson\n") and nb.cells[0].source.endswith(
        "One question."
    )
    assert 'course, tag = "https://example.org/someone/course", "v3.2.1"' in nb.cells[1].source


def test_the_cell_for_colab_is_one_line_that_says_what_it_does(small):
    cell = build.assemble(*small).cells[1]
    assert re.match(r"# @title .{20,80}\n", cell.source)
    assert cell.metadata.cellView == "form" and cell.metadata.jupyter.source_hidden is True


def test_rebuilds_only_what_changed(small):
    source, notebook = small
    assert build.differs(source, notebook)
    build.build(["01_small"])
    assert not build.differs(source, notebook)
    source.write_text(source.read_text().replace("One question", "Another question"))
    assert build.differs(source, notebook)


def test_a_changed_text_keeps_the_outputs_and_changed_code_does_not(small, monkeypatch):
    source, notebook = small
    build.build(["01_small"])
    before = [cell.get("outputs") for cell in nbformat.read(notebook, as_version=4).cells]
    runs = []
    monkeypatch.setattr(build, "execute", lambda nb: runs.append(1) or "")
    source.write_text(source.read_text().replace("One question", "Another question"))
    build.build(["01_small"], anew=())
    assert [
        cell.get("outputs") for cell in nbformat.read(notebook, as_version=4).cells
    ] == before and not runs
    source.write_text(source.read_text().replace('print("one")', 'print("1")'))
    build.build(["01_small"], anew=())
    assert runs


def test_a_panel_leaves_its_picture_and_its_words(small):
    source, notebook = small
    source.write_text(
        source.read_text()
        + """
# %% [markdown]
# Move it.

# %%
import torch
from torch import nn

from course_utils import models, widgets

torch.manual_seed(0)
widgets.interpolation(models.dense_autoencoder(3), torch.rand(4, 1, 28, 28))
"""
    )
    assert build.build(["01_small"]) == 0
    picture, words = nbformat.read(notebook, as_version=4).cells[-1].outputs
    assert set(picture.data) == {"image/png", "text/plain"}
    assert picture.metadata["image/png"]["alt"] == picture.data["text/plain"]
    assert words.data["text/plain"] == f"{picture.data['text/plain']} {build.TO_MOVE}"


def test_an_error_leaves_the_old_notebook(small, capsys):
    source, notebook = small
    build.build(["01_small"])
    before = notebook.read_bytes()
    source.write_text(source.read_text() + "\n# %%\nraise RuntimeError('no such thing')\n")
    assert build.build(["01_small"]) == 1
    assert notebook.read_bytes() == before
    assert "no such thing" in capsys.readouterr().err


def test_bootstrap_only_imports_the_package_where_it_is_there():
    exec(bootstrap.bootstrap("https://example.invalid/none", "0"), {})


@pytest.mark.parametrize("name", TARGETS)
def test_committed_notebook_matches_its_source(name):
    assert not build.differs(*TARGETS[name]), (
        f"{name} differs from its source: run `make notebooks`"
    )


@pytest.mark.parametrize("name", TARGETS)
def test_committed_notebook_is_clean(name):
    text = TARGETS[name][1].read_text(encoding="utf-8")
    nb = nbformat.reads(text, as_version=4)
    nbformat.validate(nb)
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code if cell.source.strip()), (
        "a cell was not executed"
    )
    for cell in code:
        for output in cell.outputs:
            allowed = "raises-exception" in cell.metadata.get("tags", [])
            assert output.output_type != "error" or allowed, (
                f"an error stands in the notebook: {output.get('ename')}"
            )
            assert output.get("name") != "stderr", (
                f"stderr stands in the notebook: {output.text[:200]}"
            )
            assert not re.search(r"\r|it/s", output.get("text", "")), (
                "a progress bar stands in the notebook"
            )
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
    assert "widgets" not in nb.metadata
    assert not re.search(r"/(?:home|root|work|tmp|Users)/\w", text), (
        "a path of some machine stands in the notebook"
    )


def test_readme_names_the_address_of_pyproject():
    text = (ROOT / "README.md").read_text()
    slug = build.address().split("://", 1)[1].split("/", 1)[1]
    assert f"git clone {build.address()}\n" in text
    assert set(re.findall(r"research\.google\.com/github/([^/]+/[^/]+)/", text)) == {slug}


def test_readme_tables_are_the_lessons():
    assert build.readme() == (ROOT / "README.md").read_text(encoding="utf-8"), (
        "run `make notebooks`"
    )


def test_nothing_built_is_without_a_source():
    gone, _ = build.orphans()
    assert not gone, f"edit lessons/, not what is built: {gone}"


@pytest.mark.parametrize("git", [True, False])
def test_only_what_git_can_bring_back_is_removed(small, monkeypatch, capsys, git):
    source, notebook = small
    root = source.parents[2]
    (root / "README.md").touch()
    old = [root / "notebooks/02_old.ipynb", root / "pictures/02_old.png"]
    own = [root / f"notebooks/{name}.ipynb" for name in ("01_small-Copy1", "mine")]
    own += [root / "exercises/01_small/my answers é.ipynb", root / "pictures/mine.png"]
    logo = root / "pictures/logo.svg"
    for path in (notebook, *old, *own, logo):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if git:
        for command in (["init", "-q"], ["add", *old, logo]):
            subprocess.run(["git", *command], cwd=root, check=True)
    monkeypatch.setattr(build, "differs", lambda *_: False)
    monkeypatch.setattr(sys, "argv", ["build", "--check"])
    assert build.main() == git and all(path.exists() for path in old)
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["build"])
    assert build.main() == 0
    assert [path.exists() for path in old] == [not git] * 2
    assert all(path.exists() for path in (notebook, *own, logo))
    said = [line for line in capsys.readouterr().out.splitlines() if "left as they are" in line]
    assert len(said) == 1 and all(str(path.relative_to(root)) in said[0] for path in own)


# what was measured


RECORD = """
import json, os, pytest


@pytest.fixture
def record(request):
    def append(name, value):
        line = {"test": request.node.nodeid, "name": name, "value": value}
        with open(os.environ["CLAIMS_LOG"], "a") as file:
            file.write(json.dumps(line) + "\\n")

    return append
"""
CLAIM = """
def test_a(record):
    record("a", {})


def test_b(record):
    assert {}
    record("b", 1)
"""


def test_a_row_stays_until_its_test_is_measured_or_gone(tmp_path, monkeypatch):
    results, lesson = tmp_path / "lessons/RESULTS.md", tmp_path / "lessons/01_small/test_claims.py"
    lesson.parent.mkdir(parents=True)
    monkeypatch.setattr(claims, "ROOT", tmp_path)
    monkeypatch.setattr(claims, "RESULTS", results)
    (tmp_path / "conftest.py").write_text(RECORD)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # of the same second, as long as before

    def rows(text, *arguments):
        lesson.write_text(text)
        code = claims.main(list(arguments))
        lines = results.read_text().splitlines() if results.exists() else []
        return code, [line.split("|")[2].strip() for line in lines if line.startswith("| `")]

    assert rows("import nothing_like_it") == (2, []) and not results.exists()
    assert rows(CLAIM.format(1, True)) == (0, ["a: 1", "b: 1"])
    assert rows(CLAIM.format(2, False)) == (1, ["a: 2", "b: 1"])
    before = results.read_bytes()
    assert rows("import nothing_like_it") == (2, ["a: 2", "b: 1"])
    assert results.read_bytes() == before
    assert rows(CLAIM.format(3, True).replace("test_b", "test_c")) == (0, ["a: 3", "b: 1"])
    broken = tmp_path / "lessons/02_broken/test_claims.py"
    broken.parent.mkdir()
    broken.write_text("import nothing_like_it")
    text = CLAIM.format(4, True).replace("test_a", "test_d")  # who knows whether test_a is gone
    assert rows(text, "lessons/01_small") == (0, ["a: 3", "b: 1", "b: 1", "a: 4"])
    broken.unlink()
    assert rows(text, "lessons/01_small") == (0, ["b: 1", "a: 4"])


@pytest.mark.parametrize(("system", "peak"), [("linux", 3000 * 1024), ("darwin", 3000)])
def test_peak_memory_is_told_in_bytes(monkeypatch, capsys, system, peak):
    used = SimpleNamespace(ru_utime=1, ru_stime=0, ru_maxrss=3000)
    resource = pytest.importorskip("resource")  # Windows has none
    monkeypatch.setattr(resource, "getrusage", lambda who: used)
    monkeypatch.setattr(sys, "platform", system)
    exec(course.COST, {})
    assert json.loads(capsys.readouterr().out) == [2, peak]


# questions


ASKED = '''"""Questions."""

from course_utils.engine.asking import Question, expect


def half(value):
    """Used by the expected answer alone."""
    return value / 2


def shared(value):
    return value + 1


def given(random):
    return {"n": shared(3)}


def ask(student, given):
    return {"half": student.halve(given["n"])}


def expected_half(given):
    """Right answers."""
    return {"half": half(given["n"]), "mistakes": {"half": {"doubled": 2 * given["n"]}}}


def right(given, answers, expected):
    """Half of it."""
    expect(answers[0], "half", expected)


QUESTIONS = [
    Question(
        "halve",
        given=given,
        ask=(ask,),
        expected=expected_half,
        rules={right: 2},
    ),
]
'''


def test_what_students_get_holds_rules_and_no_way_to_an_answer():
    text = questions.public(ASKED)
    assert "def half" not in text and "expected_half" not in text and "doubled" not in text
    assert "def shared" in text and "def right" in text and "rules={right: 2}" in text


def test_a_question_whose_answer_stands_on_a_shared_line_is_refused():
    with pytest.raises(ValueError, match="lines of its own"):
        questions.public(
            ASKED.replace("        ask=(ask,),\n        expected", "        ask=(ask,), expected")
        )


def test_stored_answers_are_those_of_the_public_seed(tmp_path):
    path = tmp_path / "lessons/01_small/questions.py"
    path.parent.mkdir(parents=True)
    (tmp_path / "course_utils/questions").mkdir(parents=True)
    path.write_text(ASKED)
    os.utime(path, (1, 1))
    assert questions.differs(path.parent) and questions.build(path.parent)
    assert not questions.differs(path.parent) and not questions.build(path.parent)
    stored = asking.read(questions.paths(path.parent)[1])
    assert stored == {"halve": {"half": 2.0, "mistakes": {"half": {"doubled": 8}}}}
    path.write_text(ASKED.replace("value / 2", "value / 4"))
    os.utime(path, (1, 1))  # as long as before and of the same second
    assert questions.differs(path.parent)


@pytest.mark.parametrize(
    "folder", [f for f in build.folders() if (f / "questions.py").exists()], ids=lambda f: f.name
)
def test_students_questions_are_built_from_the_authors(folder):
    assert not questions.differs(folder), "run `make notebooks`"
    assert questions.paths(folder)[1].stat().st_size < 200_000


def test_names_of_questions_are_those_of_check_cells():
    for name, notebook in exercises.solutions().items():
        asked = {
            question.cell
            for question in asking.load(ROOT / "lessons" / name / "questions.py").QUESTIONS
        }
        cells = {
            cell.metadata.get("nbgrader", {}).get("grade_id", "")
            for cell in nbformat.read(notebook, as_version=4).cells
        }
        assert asked == {cell for cell in cells if cell.startswith("check_")}
