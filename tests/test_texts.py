"""What the pages and notebooks point to is there, and every picture has words beside it."""

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("[bgl]*/*.md")])
NOTEBOOKS = sorted(
    path
    for top in ("notebooks", "solutions", "exercises")
    for path in (ROOT / top).rglob("*.ipynb")
    if "checkpoints" not in path.as_posix()
)
LINK = re.compile(r"""\]\(([^()\s]+)\)|(?:href|src)=["']([^"']+)|^\[[^\]]+\]:\s(\S+)""", re.M)
NAMED = re.compile(r"`((?:lessons|course_utils|grading|tools|tests|benchmarks)/[\w./-]*)`")
MADE = ("grading/work",)  # by a command


def text_of(path: Path) -> str:
    """A page, or the texts of a notebook; code blocks left out."""
    if path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
    else:
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=name)
def test_links_lead_somewhere(path):
    missing = []
    for match in LINK.finditer(text_of(path)):
        target = unquote(next(filter(None, match.groups()))).partition("#")[0]
        if target and not re.match(r"https://|data:|attachment:|mailto:", target):
            missing += [] if (path.parent / target).exists() else [target]
    assert not missing, f"{name(path)} links to what is not there: {', '.join(missing)}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_files_that_a_page_names_are_there(path):
    text = text_of(path).partition("\nNames changed")[0]  # the changelog tells of old names
    named = {found for found in NAMED.findall(text) if not re.search("NN", found)}
    gone = [found for found in named if not (found.startswith(MADE) or (ROOT / found).exists())]
    assert not gone, f"{name(path)} names what is not there: {', '.join(sorted(gone))}"


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=name)
def test_every_picture_has_words_for_who_cannot_see_it(path):
    text = text_of(path)
    silent = re.findall(r"!\[\s*\]\([^)]{0,60}", text)
    silent += re.findall(r"<img(?![^>]*\balt=\"[^\"]+\")[^>]{0,60}", text)
    assert not silent, f"{name(path)}: no alt text for {silent}"
