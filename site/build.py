"""`make site`: the committed notebooks and texts as a folder of pages, build/site.

    python site/build.py [--solutions] [--zip] [--out FOLDER]

Nothing is executed: outputs are those of the committed notebooks. The pages stand where their
sources stand in the repository, so that links between them stay as they are. The folder asks no
other host for anything; it works from file:// and from any static host.
"""

from __future__ import annotations

import argparse
import ast
import html
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat

SITE = Path(__file__).resolve().parent
ROOT = SITE.parent
sys.path[:0] = [str(ROOT), str(SITE)]

import weights  # noqa: E402

TEXTS = [
    "GLOSSARY.md",
    "TEACHING.md",
    "lessons/RESULTS.md",
    "benchmarks/RESULTS.md",
    "CHANGELOG.md",
]
FIGURES = {  # moving figure: (notebook, what its code cell must hold, its static picture is hidden)
    "sliders": ("notebooks/01_dense_autoencoder.ipynb", "widgets.latent_traversal(", True),
    "denoise": ("notebooks/03_denoising.ipynb", "widgets.corrupt_and_restore(", True),
    "sweep": ("notebooks/03_denoising.ipynb", "widgets.corrupt_and_restore(", False),
    "walk": ("notebooks/04_sampling.ipynb", "widgets.interpolation(", True),
    "map": ("notebooks/07_dimensionality_reduction.ipynb", "widgets.latent_map(", True),
    "sheet": ("notebooks/08_variational.ipynb", "imshow(sheet", False),
}
BADGES = re.compile(r"\[!\[Open In Colab\]\(.*?\)\]\((.*?)\) \[!\[.*?\]\(.*?\)\]\((.*?)\)")
TERM = re.compile(r"\[([^\]]+)\]\((?:\.\./)*GLOSSARY\.md(?:#[^)]*)?\)")
ROW = re.compile(r"^\| \*\*(.+?)\*\* \|(?:[^|]*\|){2} *([^|]*?) *\|$", re.M)


Translate = Callable[[str], str]  # a block of words, as they stand in the sources -> in a language


def blocks(text: str, translate: Translate) -> str:
    """Markdown with each of its blocks, which blank lines part, translated; code stays."""
    parts = re.split(r"(^ *```.*?^ *```$|^\$\$.*?^\$\$$|\n\s*\n)", text, flags=re.M | re.S)
    return "".join(
        part if i % 2 or not part.strip() else translate(part) for i, part in enumerate(parts)
    )


def slug(term: str) -> str:
    return "term-" + re.sub(r"\W+", "-", term.lower()).strip("-")


def names_of(entry: str) -> list[str]:
    """ "mean squared error (MSE)" and "code, latent representation" are each found by two names."""
    plain = re.sub(r"\([^)]*\)", " ", entry)
    names = [*plain.split(","), *re.findall(r"\(([^)]*)\)", entry), re.sub(r"[()]", "", entry)]
    return [" ".join(name.lower().split()) for name in names]


def notebooks(solutions: bool) -> list[str]:
    patterns = ["notebooks/*.ipynb", "exercises/*/*.ipynb"]
    patterns += ["solutions/*/*.ipynb"] if solutions else []
    return [path.relative_to(ROOT).as_posix() for p in patterns for path in sorted(ROOT.glob(p))]


def measured(text: str) -> str:
    """The name of a test says what is claimed; the machine stands once, below the table."""
    name = re.compile(r"`lessons/(\w+)/test_claims\.py::test_(.*?)`")
    text = name.sub(lambda m: f"{m[1]}: {m[2]}".replace("_", " ").replace("[", " ["), text)
    row = re.compile(r"^(\|.*\|.*\| \d+)-(\d+)-(\d+) \| ([^|]+) \| ([^|]+) \|$", re.M)
    machines = sorted({f"{match[4]}: {match[5]}" for match in row.finditer(text)})
    text = row.sub("\\1\u2011\\2\u2011\\3 |", text)  # a date is not broken
    text = re.sub(r"(measured \|).*\n\|---\|---\|---\|.*", r"\1\n|---|---|---|", text)
    return "\n\n".join([text, *machines])


class Pages:
    """How a text becomes one of the site's pages."""

    def __init__(self, translate: Translate):
        self.translate = translate
        glossary = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
        self.terms = {
            name: (slug(entry), re.sub(r"[`*]", "", sentence))
            for entry, sentence in ROW.findall(glossary)
            for name in names_of(entry)
        }

    def term(self, page: str) -> Callable[[re.Match], str]:
        def change(match: re.Match) -> str:
            words = " ".join(re.sub(r"[*_`]", "", match.group(1)).lower().split())
            found = next((w for w in (words, words.removesuffix("s")) if w in self.terms), None)
            target = "../" * page.count("/") + "GLOSSARY.html"
            if found is None:
                return f'<a href="{target}">{match.group(1)}</a>'
            anchor, sentence = self.terms[found]
            sentence = html.escape(self.translate(sentence))
            return (
                f'<a class="term" href="{target}#{anchor}" title="{sentence}">{match.group(1)}</a>'
            )

        return change

    def markdown(self, text: str, page: str) -> str:
        text = blocks(text, self.translate)
        if page == "GLOSSARY.md":
            row = re.compile(r"^\| (⟦?)\*\*(.+?)\*\*(.*?) \| (.*?) \| (.*?) \|", re.M)
            text = row.sub(
                lambda m: (
                    f'| <span id="{slug(m[2])}"></span>{m[1]}**{m[2]}**{m[3]} '
                    f'| <span lang="he" dir="rtl">{m[4]}</span> | <span lang="hr">{m[5]}</span> |'
                ),
                text,
            )
        if page == "lessons/RESULTS.md":
            text = measured(text)
        text = TERM.sub(self.term(page), text)
        ways = lambda match: fragment(
            "ways", self.translate, colab=match[1], kaggle=match[2], name=Path(page).name
        )
        return BADGES.sub(ways, text)

    def notebook(self, page: str) -> str:
        """A notebook with its links, glossary hints, predictions and moving figures."""
        nb = nbformat.read(ROOT / page, as_version=4)
        cells, number = [], 0
        for i, cell in enumerate(nb.cells):
            tags = cell.metadata.setdefault("tags", [])
            cells.append(cell)
            if cell.cell_type == "markdown":
                if page.startswith("solutions/"):
                    cell.source = re.sub(r"\A# ", "# Solution: ", cell.source)
                cell.source = self.markdown(cell.source, page)
                continue
            if "bootstrap" in tags:  # of use in Colab only
                tags.append("remove-cell")
            pictures = [o for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
            if pictures:  # myst-nb drops the alternative text that stands with the output
                alt = " ".join(o.metadata["image/png"]["alt"] for o in pictures)
                cell.metadata["mystnb"] = {"image": {"alt": self.translate(alt)}}
            if "=====" in said(cell):  # lines and columns drawn with letters do not wrap
                tags.append("lines")
            for output in cell.outputs:
                if "text/markdown" in output.get("data", {}):  # title and caption of a figure
                    output.data["text/markdown"] = self.translate(output.data["text/markdown"])
            if "prediction" in tags and page.startswith("notebooks/"):  # exercises have no outputs
                number += 1
                results = results_of(cell.source, nb.cells[i + 1 :], page)
                for result in results:
                    result.metadata.setdefault("tags", []).append(f"answer-{number}")
                tags.append(f"prediction-{number}")
                form = self.prediction(cell.source, number, page, said(results[-1]))
                cells.append(nbformat.v4.new_markdown_cell(raw(form)))
            for name, (where, code, hides) in FIGURES.items():
                if where == page and code in cell.source:
                    tags.extend([f"static-of-{name}"] if hides else [])
                    markup = fragment(name, self.translate)
                    cells.append(nbformat.v4.new_markdown_cell(raw(markup)))
        nb.cells = cells
        return nbformat.writes(nb)

    def index(self, solutions: bool) -> str:
        text = (SITE / "index.md").read_text(encoding="utf-8")
        if not solutions:
            text = re.sub(r"(?s)```{toctree}\n:caption: Solutions.*?```\n", "", text)
        cards = [
            f"- ![](pictures/{Path(page).stem}.png)\n  [](notebooks/{Path(page).name})"
            for page in notebooks(solutions=False)
            if page.startswith("notebooks/")
        ]
        text = self.markdown(text, "index.md").replace("{gallery}", "\n".join(cards))
        return re.sub(r"(?<=:caption: ).*", lambda match: self.translate(match.group()), text)

    def prediction(self, code: str, number: int, page: str, output: str) -> str:
        """A form with an input for each name that a prediction cell sets."""
        fields, taken, comments = [], {""}, re.findall(r"# *(.*)", code)
        choices = re.findall(r'"([^"]+)"', " ".join(comments))
        said_already = re.compile(r"change this to|or \"|your guess")  # by the form itself
        hint = "; ".join(said for said in comments if not said_already.match(said))
        for name, node in assigned(code):
            value = ast.unparse(node).strip("'\"")
            word = isinstance(node, ast.Constant) and isinstance(node.value, str)
            options = sorted({value, *choices}) if word else []
            printed = ",?".join(re.escape(letter) for letter in value)  # 7960 or 7,960
            printed += "0*" * ("." in value)  # 0.5 or 0.50
            lines = re.findall(rf"([^\n]*?guess[^\n]*?)({printed})", output)
            before, value = next((pair for pair in lines if pair[0] not in taken), ("", value))
            taken.add(before)
            fields.append(
                fragment(
                    "choice" if choices and options else "number",
                    self.translate,
                    name=name,
                    id=f"{name}-{number}",
                    options="".join(f"<option>{html.escape(o)}</option>" for o in options),
                    said=html.escape(before, quote=True),
                    value=html.escape(value, quote=True),
                )
            )
        where = Path(page).stem
        return fragment(
            "prediction",
            self.translate,
            number=str(number),
            page=where,
            fields="".join(fields),
            hint=html.escape(self.translate(hint)) if hint else "",
        )


def assigned(code: str) -> list[tuple[str, ast.expr]]:
    """Name and value of each assignment; ``a, b = 1, 2`` holds two."""
    pairs = []
    for line in ast.parse(code).body:
        if isinstance(line, ast.Assign):
            target, value = line.targets[0], line.value
            several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs += zip(target.elts, value.elts) if several else [(target, value)]
    return [(ast.unparse(target), value) for target, value in pairs]


def results_of(code: str, cells: list, page: str) -> list[nbformat.NotebookNode]:
    """The cells whose outputs wait for an answer: up to the first that uses a prediction's name, or
    the first of all."""
    shown = [cell for cell in cells if cell.get("outputs")]
    names = "|".join(re.escape(name) for name, _ in assigned(code))
    if not shown:
        raise SystemExit(f"{page}: no output follows the prediction {code!r}; execute the notebook")
    uses = (n for n, cell in enumerate(shown) if re.search(rf"\b({names})\b", cell.source))
    return shown[: next(uses, 0) + 1]


def said(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def raw(markup: str) -> str:
    return f"```{{raw}} html\n{markup}\n```"


def fragment(name: str, translate: Translate, /, **values: str) -> str:
    """A piece of HTML from site/figures. All words that a reader sees stand there."""
    text = (SITE / "figures" / f"{name}.html").read_text(encoding="utf-8").strip()
    text = re.sub(r"(>\s*)([^<>{}\s][^<>]*?)(\s*<)", lambda m: m[1] + translate(m[2]) + m[3], text)
    text = re.sub(
        r'((?:aria-label|data-say[\w-]*|title|placeholder)=")([^"]+)',
        lambda m: m[1] + translate(m[2]),
        text,
    )
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    return text


def check_places() -> None:
    for name, (page, code, _) in FIGURES.items():
        cells = nbformat.read(ROOT / page, as_version=4).cells
        if sum(cell.cell_type == "code" and code in cell.source for cell in cells) != 1:
            raise SystemExit(
                f"the moving figure {name!r} has lost its place: exactly one code cell of {page} "
                f"must hold {code!r}; name another place in FIGURES of site/build.py"
            )


def build(
    out: Path, solutions: bool = False, translate: Translate = lambda block: block, only: str = ""
) -> None:
    """Write the site's folder; ``only`` limits it to pages whose path holds that text."""
    check_places()
    pages = Pages(translate)
    made = {"index.md": pages.index(solutions)}
    for page in TEXTS:
        made[page] = pages.markdown((ROOT / page).read_text(encoding="utf-8"), page)
    made |= {page: pages.notebook(page) for page in notebooks(solutions)}
    source = out.parent / f"{out.name}-source"
    for folder in (out, source):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in ("pictures", "grading/pictures"):
        shutil.copytree(ROOT / folder, source / folder)
    for page, text in made.items():
        if only in page or page == "index.md":
            (source / page).parent.mkdir(parents=True, exist_ok=True)
            (source / page).write_text(text, encoding="utf-8")
    from sphinx.cmd.build import main as sphinx

    options = ["-b", "html", "-q", "-c", str(SITE), "-d", str(source / ".doctrees")]
    options += ["-W", "--keep-going"] if not only else []
    if sphinx([*options, str(source), str(out)]):
        raise SystemExit("the site was not built; Sphinx said above what is wrong")
    for page in source.rglob("*.ipynb"):
        name = page.relative_to(source)
        shutil.copyfile(ROOT / name, out / name)  # to download, as committed
    weights.write(out / "_static/weights")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--solutions", action="store_true", help="for teachers: with the solutions")
    parser.add_argument("--zip", action="store_true", help="one file to hand out, build/site.zip")
    parser.add_argument("--out", type=Path, default=ROOT / "build/site")
    asked = parser.parse_args()
    build(asked.out.absolute(), asked.solutions)
    print(f"{asked.out}: open index.html")
    if asked.zip:
        print(shutil.make_archive(str(asked.out), "zip", asked.out.parent, asked.out.name))


if __name__ == "__main__":
    main()
