"""A rehearsal of Colab: a fresh environment with torch and a `google.colab` module, an empty
folder, only the notebook's file. Kaggle differs in how it is known, and in its network.

The package comes from clones of this repository in place of the public address (so what is
committed is tested): one without tags, and one with the version's tag on an older state. The
environment sees the packages of this one, but for the course's own and one that Colab lacks
(torchinfo), which the bootstrap cell must bring.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from grading import corpus
from tools import build
from tools.bootstrap import bootstrap

ROOT = Path(__file__).resolve().parents[1]
ABSENT = (
    *("autoencoder_course", "__editable__", "torchinfo"),
    *("pip", "_distutils_hack", "distutils-precedence"),
)
NEWEST = "The course has no version v{}: its newest state is taken instead.\n"
NOTEBOOKS = sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("exercises/*/*.ipynb")])


def git(folder: Path, *arguments: str) -> str:
    me = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    return subprocess.check_output(["git", "-C", str(folder), *me, *arguments], text=True)


@pytest.fixture(scope="module", autouse=True)
def no_path_of_python():
    """Else a fresh environment would find the course where an editor has named its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        yield


@pytest.fixture(scope="module")
def repositories(tmp_path_factory) -> dict[str, str]:
    """The addresses of two clones: "untagged", and "tagged", whose newest state is a later one."""
    try:
        git(ROOT, "rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        pytest.fail("the rehearsal clones the course's git repository, and this folder is none")
    home, addresses = tmp_path_factory.mktemp("repositories"), {}
    for name in ("untagged", "tagged"):
        git(home, "clone", "--quiet", "--no-tags", str(ROOT), name)
        # one commit: to clone a clone of a shallow repository takes minutes
        whole = git(home / name, "commit-tree", "HEAD^{tree}", "-m", "the course").strip()
        git(home / name, "reset", "--quiet", "--hard", whole)
        (home / name / ".git/shallow").unlink(missing_ok=True)
        addresses[name] = (home / name).as_uri()
    git(home / "tagged", "tag", f"v{build.version()}")
    (home / "tagged/course_utils/later.py").touch()
    git(home / "tagged", "add", ".")
    git(home / "tagged", "commit", "--quiet", "--message=after the version")
    return addresses


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """(python of the environment, empty folder to work in, environment variables)"""
    home = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)
    python = home / "env/bin/python"
    site = Path(ask(python, "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(ABSENT) and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    (site / "google/colab").mkdir(parents=True, exist_ok=True)
    (site / "google/colab/__init__.py").touch()
    (site / "colab.pth").write_text("import google.colab\n")  # Colab's kernels import it, too
    kernel = home / "jupyter/kernels/colab"
    kernel.mkdir(parents=True)
    arguments = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": arguments, "display_name": "Colab", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(about))
    content = home / "content"
    content.mkdir()
    return python, content, {"JUPYTER_PATH": str(home / "jupyter"), "HOME": str(home)}


def ask(python: Path, program: str) -> str:
    return subprocess.check_output([python, "-c", program], text=True)


def packages(python: Path) -> dict[str, str]:
    command = [python, "-m", "pip", "list", "--format=json"]
    listed = json.loads(subprocess.check_output(command, text=True))
    return {package["name"]: package["version"] for package in listed}


@pytest.fixture
def run(colab, repositories, monkeypatch):
    """`run(notebook, repository)`: only the notebook's file, in the empty folder; the executed
    notebook."""
    _, content, environment = colab
    for name, value in {**environment, "COURSE_DATA": "sample", "COURSE_PROGRESS": "0"}.items():
        monkeypatch.setenv(name, value)

    def execute(notebook: Path, repository: str = "tagged", cells: int | None = None):
        nb = nbformat.read(notebook, as_version=4)
        cell = next(cell for cell in nb.cells if cell.cell_type == "code")
        assert cell.source == bootstrap(build.address(), build.version())
        cell.source = bootstrap(repositories[repository], build.version())
        nb.cells = nb.cells[:cells]
        where = {"metadata": {"path": str(content)}}
        settings = {"timeout": 900, "startup_timeout": 600, "resources": where}
        return NotebookClient(nb, kernel_name="colab", **settings).execute()

    return execute


@pytest.mark.parametrize("repository", ["untagged", "tagged"])
def test_the_cell_installs_its_own_version_and_changes_no_package(colab, run, repository):
    python, content, _ = colab
    before = packages(python)
    assert not {"autoencoder-course", "torchinfo"} & set(before)
    nb = run(NOTEBOOKS[-1], repository, cells=2)
    said = "".join(output.text for output in nb.cells[1].outputs)
    assert said == (NEWEST.format(build.version()) if repository == "untagged" else "")
    assert not run(NOTEBOOKS[-1], repository, cells=2).cells[1].outputs  # the second run: nothing
    ask(python, "import course_utils.training")
    with pytest.raises(subprocess.CalledProcessError):
        ask(python, "import course_utils.later")
    after = packages(python)
    assert {"autoencoder-course", "torchinfo"} <= set(after)
    assert {name: after.get(name) for name in before} == before, "a package was changed"
    assert not list(content.iterdir())
    if repository == "untagged":
        ours = ["autoencoder-course", "torchinfo"]
        subprocess.run([python, "-m", "pip", "uninstall", "-qy", *ours], check=True)


def test_a_lesson_runs_to_the_end(colab, run):
    python, *_ = colab
    before = packages(python)["torch"]
    nb = run(ROOT / "notebooks/06_transfer.ipynb")  # the shortest; it reads tables and weights, too
    code = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source]
    assert all(cell.execution_count for cell in code)
    assert packages(python)["torch"] == before


def test_exercise_01_checks_itself_to_the_end(run, tmp_path):
    """The student version, its answers filled in: every cell runs, every check is content."""
    path = tmp_path / "01_dense_autoencoder.ipynb"
    path.write_bytes(corpus.notebook(corpus.Case("a student", path.stem)))
    nb = run(path)
    code = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source]
    assert all(cell.execution_count for cell in code)
    checks = [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in code
        if cell.metadata.get("nbgrader", {}).get("grade")
    ]
    assert len(checks) >= 3
    assert all("✓" in text and "✗" not in text for text in checks), checks


PIP = {
    "no pip": "sys.exit('No module named pip')",
    "managed": "sys.exit('install' in sys.argv and 'error: externally-managed-environment')",
}


def missing(address: str) -> str:
    """The cell's text where the package is not there, whatever this environment holds."""
    text = bootstrap(address, build.version())
    assert text.count('find_spec("course_utils")') == 1
    return text.replace('find_spec("course_utils")', 'find_spec("course_that_is_not_there")')


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("no network", r"The course cannot be reached: check the network, run this cell again\."),
        ("Kaggle's switch", r"Switch Internet on in Kaggle's panel at the right, run this cell ag"),
        ("no git", r"This machine has no git: install it, run this cell again\."),
        ("no pip", r"This Python has no pip\. \(No module named pip\)"),
        ("managed", r"The course's package could not be installed\. \(error: externally-managed"),
    ],
)
def test_each_trouble_has_its_sentence(colab, repositories, tmp_path, trouble, sentence):
    environment = dict(os.environ)
    address = repositories["tagged"]
    if trouble in ("no network", "Kaggle's switch"):
        address = (tmp_path / "nowhere").as_uri()
    if trouble == "Kaggle's switch":
        environment["KAGGLE_KERNEL_RUN_TYPE"] = "Interactive"
    if trouble == "no git":
        environment["PATH"] = str(tmp_path)
    if trouble in PIP:
        (tmp_path / "pip").mkdir()
        (tmp_path / "pip/__init__.py").touch()
        (tmp_path / "pip/__main__.py").write_text(f"import sys\n{PIP[trouble]}\n")
        environment["PYTHONPATH"] = str(tmp_path)
    done = subprocess.run(
        [colab[0], "-c", missing(address)], capture_output=True, text=True, env=environment
    )
    assert done.returncode != 0
    (last,) = done.stderr.strip().splitlines()
    assert re.match(sentence, last), last


@pytest.mark.parametrize("kaggle", [False, True])
def test_outside_colab_and_kaggle_nothing_is_installed(tmp_path, kaggle):
    """Where it is to be installed it fails here, since there is no course at the address."""
    address = (tmp_path / "nowhere").as_uri()
    program = missing(address)
    environment = {**os.environ, **({"KAGGLE_KERNEL_RUN_TYPE": "Batch"} if kaggle else {})}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert ("Switch Internet on" in done.stderr) == kaggle
    assert (
        f"install it by a new cell with %pip install git+{address} and" in done.stderr
    ) != kaggle


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_badges_point_to_the_notebooks_own_file(notebook):
    slug = build.address().split("://", 1)[1].split("/", 1)[1]
    path, opening = notebook.relative_to(ROOT).as_posix(), nbformat.read(notebook, 4).cells[0]
    assert f"(https://colab.research.google.com/github/{slug}/blob/main/{path})" in opening.source
    kaggle = "https://kaggle.com/kernels/welcome?src="
    assert f"({kaggle}{build.address()}/blob/main/{path})" in opening.source
