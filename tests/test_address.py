"""`make address`: one call changes every badge, cell and link, and nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import address, build

ROOT = Path(__file__).resolve().parents[1]
NEW = "https://github.com/some-school/our.course"
PLACES = [
    *["lessons", "notebooks", "solutions", "exercises", "pictures"],
    *["tools", "grading", "course_utils"],
    *["README.md", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml"],
]


def call(folder, module, *arguments):
    """The exit code of a tool in a copy of the course, and what it printed."""
    command = [sys.executable, "-m", f"tools.{module}", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def books(folder):
    for top in ("notebooks", "solutions", "exercises"):
        for path in sorted((folder / top).rglob("*.ipynb")):
            yield path, nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A copy of the course whose address was changed."""
    folder = tmp_path_factory.mktemp("fork")
    for place in PLACES:
        copy = shutil.copytree if (ROOT / place).is_dir() else shutil.copy
        copy(ROOT / place, folder / place)
    code, said = call(folder, "address", NEW)
    assert code == 0, said
    assert "Commit them" in said
    return folder


@pytest.mark.parametrize("tool", ["build", "exercises"])
def test_built_files_still_match_their_sources(moved, tool):
    code, said = call(moved, tool, "--check")
    assert code == 0, said


def test_nobody_names_the_old_address(moved):
    old = build.address()
    for path in [path for path in moved.rglob("*") if path.suffix in (".md", ".toml", ".cff")]:
        assert not re.search(re.escape(old) + r"(?![\w-])", path.read_text(encoding="utf-8")), path
    badge = "colab.research.google.com/github/some-school/our.course/blob/main/"
    for path, nb in books(moved):
        assert badge + path.relative_to(moved).as_posix().replace("solutions", "exercises") in (
            nb.cells[0].source
        )
        assert not any(old in cell.source for cell in nb.cells), path
        assert any(NEW in cell.source for cell in nb.cells), path


def test_outputs_are_not_touched(moved):
    for path, nb in books(moved):
        before = nbformat.read(ROOT / path.relative_to(moved), as_version=4)
        assert [cell.get("outputs") for cell in nb.cells] == [
            cell.get("outputs") for cell in before.cells
        ]


@pytest.mark.parametrize(
    "url",
    [
        *["", "github.com/user/course", "http://github.com/user/course", "https://github.com/user"],
        *["git@github.com:user/course.git", "https://name:word@github.com/user/course"],
        *["https://github.com/user/course?tab=readme", "https://github.com/user/my course"],
        *['https://github.com/user/course"', "https://github.com/user/../course", "https://a//b/c"],
    ],
)
def test_what_is_no_address_is_refused_in_a_sentence(url):
    with pytest.raises(ValueError, match="is no address of a repository; call it as: make address"):
        address.wanted(url)


@pytest.mark.parametrize(
    "url", ["https://github.com/u/c", "https://github.com/u/c/", "https://github.com/u/c.git"]
)
def test_what_a_browser_or_git_adds_is_taken_off(url):
    assert address.wanted(url) == "https://github.com/u/c"
