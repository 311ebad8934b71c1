"""The learner's own copies: made once, added to, never overwritten."""

import json

import nbformat
import pytest

from tools import build, my_course


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one lesson and one exercise; (its folder, the learner's folder)."""
    cells = [nbformat.v4.new_markdown_cell("# Guess"), nbformat.v4.new_code_cell("print(1)")]
    cells[1].outputs = [nbformat.v4.new_output("stream", text="the answer")]
    cells[1].execution_count = 3
    for name in ("notebooks/01_a.ipynb", "exercises/01_a/01_a.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / name)
    (tmp_path / "GLOSSARY.md").write_text("words")
    monkeypatch.setattr(my_course, "ROOT", tmp_path)
    return tmp_path, tmp_path / "my-course"


def files(folder):
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def edit(path, text):
    path.write_text(path.read_text().replace("print(1)", text))


def test_lessons_come_without_outputs_and_exercises_as_they_are(course):
    root, mine = course
    assert my_course.hand_out(mine) == (
        "my-course/ is yours: 3 files; nothing in it is ever overwritten."
    )
    lesson = nbformat.read(mine / "notebooks/01_a.ipynb", as_version=4)
    nbformat.validate(lesson)
    assert lesson.cells[1].outputs == [] and lesson.cells[1].execution_count is None
    assert lesson.cells[1].source == "print(1)"
    exercise = "exercises/01_a/01_a.ipynb"
    assert (mine / exercise).read_bytes() == (root / exercise).read_bytes()


def test_a_second_call_says_and_changes_nothing(course):
    _, mine = course
    my_course.hand_out(mine)
    edit(mine / "notebooks/01_a.ipynb", "print(2)")
    before = files(mine)
    assert my_course.hand_out(mine) == ""
    assert files(mine) == before


def test_after_an_update_the_new_stands_beside_and_mine_stays(course):
    root, mine = course
    my_course.hand_out(mine)
    edit(mine / "notebooks/01_a.ipynb", "my own work")
    before = files(mine)
    edit(root / "notebooks/01_a.ipynb", "print('corrected')")
    (root / "notebooks/02_b.ipynb").write_bytes((root / "notebooks/01_a.ipynb").read_bytes())
    assert my_course.hand_out(mine) == (
        "my-course/ new: notebooks/02_b.ipynb; "
        "changed, put beside your own: notebooks/01_a-new.ipynb"
    )
    after = files(mine)
    before.pop(my_course.RECORD)
    assert before.items() <= after.items()
    assert b"corrected" in after["notebooks/01_a-new.ipynb"]
    assert my_course.hand_out(mine) == ""  # each change is told once
    edit(root / "notebooks/01_a.ipynb", "print('again')")
    root_lesson = (root / "notebooks/01_a.ipynb").read_text().replace("corrected", "corrected 2")
    (root / "notebooks/01_a.ipynb").write_text(root_lesson)
    assert my_course.hand_out(mine).endswith("notebooks/01_a-new2.ipynb")
    assert before.items() <= files(mine).items()


def test_who_deletes_a_copy_gets_a_fresh_one(course):
    _, mine = course
    my_course.hand_out(mine)
    first = files(mine)
    (mine / "exercises/01_a/01_a.ipynb").unlink()
    assert my_course.hand_out(mine) == "my-course/ new: exercises/01_a/01_a.ipynb"
    assert files(mine) == first


def test_a_lost_record_costs_no_work(course):
    _, mine = course
    my_course.hand_out(mine)
    edit(mine / "notebooks/01_a.ipynb", "my own work")
    before = files(mine)
    (mine / my_course.RECORD).unlink()
    assert my_course.hand_out(mine).endswith("beside your own: notebooks/01_a-new.ipynb")
    assert before.items() <= files(mine).items()


@pytest.mark.parametrize("trouble", ["a file", "damaged"])
def test_trouble_is_one_sentence(course, capsys, trouble):
    _, mine = course
    if trouble == "a file":
        mine.write_text("not a folder")
    else:
        my_course.hand_out(mine)
        (mine / my_course.RECORD).write_text("{")
    assert my_course.main() == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "my-course" in line


def test_the_real_course_is_handed_out_whole(tmp_path):
    my_course.hand_out(tmp_path / "my-course")
    mine = files(tmp_path / "my-course")
    assert sum(name.startswith("exercises/") for name in mine) == len(build.folders())
    for name, (_, notebook) in build.targets().items():
        if not name.startswith("solutions/"):
            handed = nbformat.reads(mine[f"notebooks/{notebook.name}"].decode(), as_version=4)
            built = nbformat.read(notebook, as_version=4)
            assert build.inputs(handed) == build.inputs(built)
            assert not any(cell.get("outputs") for cell in handed.cells)
    assert not any("solution" in name for name in mine)
    assert json.loads(mine[my_course.RECORD]).keys() == mine.keys() - {my_course.RECORD}
