"""Committed notebooks match their sources, and the builder gives the same bytes twice."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import build  # noqa: E402

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
    (tmp_path / "sources/notebooks").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('Repository = "https://example.org/someone/course"\n')
    source = tmp_path / "sources/notebooks/01_small.py"
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
    assert "git+https://example.org/someone/course" in nb.cells[1].source


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
    build.build(["01_small"], anew=False)
    assert [
        cell.get("outputs") for cell in nbformat.read(notebook, as_version=4).cells
    ] == before and not runs
    source.write_text(source.read_text().replace('print("one")', 'print("1")'))
    build.build(["01_small"], anew=False)
    assert runs


def test_an_error_leaves_the_old_notebook(small, capsys):
    source, notebook = small
    build.build(["01_small"])
    before = notebook.read_bytes()
    source.write_text(source.read_text() + "\n# %%\nraise RuntimeError('no such thing')\n")
    assert build.build(["01_small"]) == 1
    assert notebook.read_bytes() == before
    assert "no such thing" in capsys.readouterr().err


def test_bootstrap_does_nothing_where_the_package_is_there():
    exec(build.BOOTSTRAP.replace("{address}", "https://example.invalid/none"), {})


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


def test_a_fork_changes_one_line(small):
    readme = build.ROOT / "README.md"
    text = "git clone https://github.com/old/name\ncd name\n[badge](https://colab.research.google.com/github/old/name/blob/main/x.ipynb)\n"
    readme.write_text(text)
    build.readme()
    assert readme.read_text().count("someone/course") == 2 and "old/name" not in readme.read_text()


def test_readme_names_the_address_of_pyproject():
    text = (ROOT / "README.md").read_text()
    slug = build.address().split("://", 1)[1].split("/", 1)[1]
    assert f"git clone {build.address()}\n" in text
    assert set(re.findall(r"research\.google\.com/github/([^/]+/[^/]+)/", text)) == {slug}


def test_links_between_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("sources/*/*.py")]
    for page in pages:
        folder = {"notebooks": ROOT / "notebooks", "solutions": ROOT / "solutions/any"}.get(
            page.parent.name, ROOT
        )
        lines = page.read_text(encoding="utf-8").splitlines()
        text = "\n".join(line for line in lines if page.suffix == ".md" or line.startswith("#"))
        for link in re.findall(r"\]\(((?!https?:|#|mailto:)[^)\s]+)\)", text):
            path = (
                (folder / link.split("#")[0]).resolve()
                if page.parent.name != "solutions"
                else Path(os.path.normpath(folder / link.split("#")[0]))
            )
            assert path.exists(), f"{page.relative_to(ROOT)} links to {link}, which is not there"


def test_no_notebook_without_a_source():
    known = {notebook for _, notebook in TARGETS.values()}
    found = {
        path
        for folder in ("notebooks", "solutions")
        for path in (ROOT / folder).rglob("*.ipynb")
        if "checkpoint" not in str(path)
    }
    assert found <= known, f"edit sources, not notebooks: {sorted(map(str, found - known))}"
