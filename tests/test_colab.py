"""A rehearsal of Colab: a fresh environment with torch and a `google.colab` module, an empty folder, only the notebook's file.

The package comes from this repository's own git address in place of the public one (so it tests what is committed). The environment
sees the packages of this one, but for the course's own and one that Colab lacks (torchinfo), which the bootstrap cell must bring.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
import build  # noqa: E402

ABSENT = ("autoencoder_course", "__editable__", "torchinfo", "pip", "_distutils_hack", "distutils-precedence")


def git_available() -> bool:
    return subprocess.call(["git", "-C", str(ROOT), "rev-parse", "HEAD"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """(python of the environment, empty folder to work in, environment variables)"""
    if not git_available():
        pytest.fail("the rehearsal installs the course from its git repository, and this folder is none: clone it instead of unpacking an archive")
    home = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)
    python = home / "env/bin/python"
    site = Path(subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True).strip())
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(ABSENT) and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    (site / "google/colab").mkdir(parents=True, exist_ok=True)
    (site / "google/colab/__init__.py").write_text("")
    kernel = home / "jupyter/kernels/colab"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                                                    "display_name": "Colab", "language": "python"}))
    content = home / "content"
    content.mkdir()
    return python, content, {"JUPYTER_PATH": str(home / "jupyter"), "HOME": str(home)}


def packages(python) -> dict[str, str]:
    listed = json.loads(subprocess.check_output([python, "-m", "pip", "list", "--format=json"], text=True))
    return {package["name"]: package["version"] for package in listed}


def run(notebook: Path, colab, monkeypatch, cells=None):
    """Run only the notebook's file in the empty folder; returns the executed notebook."""
    _, content, environment = colab
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COURSE_DATA", "sample")
    monkeypatch.setenv("COURSE_PROGRESS", "0")
    nb = nbformat.read(notebook, as_version=4)
    bootstrap = next(cell for cell in nb.cells if cell.cell_type == "code")
    assert build.address() in bootstrap.source
    bootstrap.source = bootstrap.source.replace(build.address(), ROOT.as_uri())
    nb.cells = nb.cells[:cells]
    where = {"metadata": {"path": str(content)}}
    return NotebookClient(nb, kernel_name="colab", timeout=900, resources=where).execute()


def test_bootstrap_installs_what_is_missing_and_changes_nothing(colab, monkeypatch):
    python, content, _ = colab
    before = packages(python)
    assert "autoencoder-course" not in before and "torchinfo" not in before
    for _ in range(2):  # the second run does nothing
        nb = run(ROOT / "notebooks/01_dense_autoencoder.ipynb", colab, monkeypatch, cells=2)
        assert not nb.cells[1].outputs
    after = packages(python)
    assert {"autoencoder-course", "torchinfo"} <= set(after)
    assert {name: after.get(name) for name in before} == before, "the bootstrap cell changed a package that was there"
    assert not list(content.iterdir())


def test_lesson_01_runs_to_the_end(colab, monkeypatch):
    python, *_ = colab
    before = packages(python)["torch"]
    nb = run(ROOT / "notebooks/01_dense_autoencoder.ipynb", colab, monkeypatch)
    assert all(cell.execution_count for cell in nb.cells if cell.cell_type == "code" and cell.source)
    assert packages(python)["torch"] == before


def test_exercise_01_checks_itself_to_the_end(colab, monkeypatch, tmp_path):
    """The student version, its answers filled in: every cell runs, every check under a stub is content."""
    from grading.corpus.build import Case, notebook

    path = tmp_path / "01_dense_autoencoder.ipynb"
    path.write_bytes(notebook(Case("a student", path.stem)))
    nb = run(path, colab, monkeypatch)
    code = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source]
    assert all(cell.execution_count for cell in code)
    checks = ["".join(output.get("text", "") for output in cell.outputs) for cell in code if cell.metadata.get("nbgrader", {}).get("grade")]
    assert len(checks) == 3 and all("✓" in text and "✗" not in text for text in checks), checks


def test_without_the_repository_one_sentence_says_what_to_do(colab, monkeypatch, tmp_path):
    source = build.BOOTSTRAP.replace("{address}", (tmp_path / "nowhere").as_uri()).replace('find_spec("course_utils")', 'find_spec("course_is_missing")')
    done = subprocess.run([colab[0], "-c", source], capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1] == "The course's package could not be installed: check the network, then run this cell again."


@pytest.mark.parametrize("notebook", sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "exercises").glob("*/*.ipynb")]), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_badge_points_to_the_notebooks_own_file(notebook):
    slug = build.address().split("://", 1)[1].split("/", 1)[1]
    assert f"(https://colab.research.google.com/github/{slug}/blob/main/{notebook.relative_to(ROOT).as_posix()})" in nbformat.read(notebook, as_version=4).cells[0].source
