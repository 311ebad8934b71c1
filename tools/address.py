"""Give the course its own address: python -m tools.address https://host/user/repository

Changes the line `Repository =` in pyproject.toml and with it every badge, cell and link that names
the old address: in the pages, the lessons, and the texts of notebooks, solutions and exercises.
Nothing is executed, and no output is touched.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from nbgrader.utils import compute_checksum

from tools import build

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?(/[\w.-]*\w[\w.-]*){2,}", re.I)
PAGES = ["*.md", "*.cff", "*.toml", "lessons/**/*.py", "site/**/*.md", ".github/**/*.yml"]
NOTEBOOKS = ["notebooks/*.ipynb", "solutions/*/*.ipynb", "exercises/*/*.ipynb"]  # in this order


def wanted(url: str) -> str:
    """The address without what a browser adds; ValueError where it is none of a repository."""
    address = url.strip().rstrip("/").removesuffix(".git")
    if not REPOSITORY.fullmatch(address) or "/.." in address:
        raise ValueError(
            f"{url or 'nothing'!r} is no address of a repository; call it as: "
            "make address URL=https://host/user/repository"
        )
    return address


def swap(text: str, old: str, new: str) -> str:
    """The text with the new address: as a link, as Colab's badge writes it, and of the site."""
    badge = "colab.research.google.com/github"
    pairs = [
        (old, new),
        (badge + urlsplit(old).path, badge + urlsplit(new).path),
        (published(old), published(new)),
    ]
    for before, after in pairs:
        text = re.sub(re.escape(before) + r"(?![\w-])", lambda _, after=after: after, text)
    return text


def published(address: str) -> str:
    """Where GitHub Pages (or GitLab's) shows a repository's site: https://user.github.io/name."""
    parts = urlsplit(address)
    user, _, name = parts.path.strip("/").partition("/")
    return f"https://{user}.{parts.hostname.split('.')[-2]}.io/{name}"


def swap_notebook(path: Path, old: str, new: str, ids: dict[str, str]) -> bool:
    """Change a notebook's texts, and with them what is computed from a text: a cell's id, and
    nbgrader's checksum. `ids`: old -> new, added to; an exercise has its cells' ids from its
    solution."""
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells:
        before, text = build.digest(cell), swap(cell.source, old, new)
        if text != cell.source:
            cell.source = text
            ids.setdefault(cell.id, cell.id.replace(before, build.digest(cell)))
            if "checksum" in cell.metadata.get("nbgrader", {}):
                cell.metadata.nbgrader.checksum = compute_checksum(cell)
        cell.id = ids.get(cell.id, cell.id)
    return write(path, nbformat.writes(nb).rstrip("\n") + "\n")


def write(path: Path, text: str) -> bool:
    """Write a text where it differs; whether it did."""
    if text == path.read_text(encoding="utf-8"):
        return False
    path.write_text(text, encoding="utf-8")
    return True


def main(url: str) -> str:
    """Change all; a sentence that says what was done."""
    old, new = build.address(), wanted(url)
    changed, ids = 0, {}
    for path in [path for pattern in PAGES for path in ROOT.glob(pattern)]:
        changed += write(path, swap(path.read_text(encoding="utf-8"), old, new))
    for path in [path for pattern in NOTEBOOKS for path in ROOT.glob(pattern)]:
        changed += swap_notebook(path, old, new, ids)
    if urlsplit(new).hostname != "github.com":
        print("Colab opens notebooks from GitHub alone: the badges will lead nowhere.")
    return f"{changed} files name {new} now. Commit them, set the version's tag, push both."


if __name__ == "__main__":
    try:
        print(main(" ".join(sys.argv[1:])))
    except ValueError as error:
        sys.exit(str(error))
