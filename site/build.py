"""`make site`: the committed notebooks and texts as a folder of pages, build/site.

    python site/build.py [--solutions] [--zip] [--language pseudo] [--out FOLDER]

Nothing is executed: outputs are those of the committed notebooks. The pages stand where their
sources stand in the repository, so that links between them stay as they are. The folder asks no
other host for anything; it works from file:// and from any static host.
"""

from __future__ import annotations

import argparse
import ast
import html
import os
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

from tools.build import address  # noqa: E402

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
LINK = re.compile(
    r'(\]\(|<a [^>]*?href="|<img [^>]*?src="|^\[[^\]]+\]: )([^)"\s#]+)(#[^)"\s]*)?', re.M
)
TERM = re.compile(r"\[([^\]]+)\]\((?:\.\./)*GLOSSARY\.md(?:#[^)]*)?\)")
ROW = re.compile(r"^\| \*\*(.+?)\*\* \|(?:[^|]*\|){2} *([^|]*?) *\|$", re.M)


def untranslated(block: str) -> str:
    return block


def pseudo(block: str) -> str:
    """A language that does not exist: each block in ⟦…⟧, so that what lacks them was not found."""

    def wrap(match: re.Match) -> str:
        lead, text, tail = match.groups()
        return (
            f"{lead}⟦{text}⟧{tail}"
            if re.search(r"\w", text) and "{gallery}" not in text
            else match.group()
        )

    words, ends, rest = block.partition("\n</details>")
    if words and ends:
        return f"{pseudo(words)}\n{pseudo('</details>' + rest)}"
    if re.match(r"\|", block):
        rows = block.splitlines()
        cells = re.compile(r"(\| *)([^|]*[^| ])( *(?=\|))")
        return "\n".join(
            row if re.match(r"^[|:\- ]+$", row) else cells.sub(wrap, row) for row in rows
        )
    if re.match(r"\s*<|\[[^\]]+\]: |\$\$", block):  # HTML, link targets, formulas
        parts = re.compile(r"(>\s*|^)([^<>]*[^<>\s])(\s*)(?=<|$)")
        return parts.sub(wrap, block) if block.lstrip().startswith("<") else block
    items = re.compile(
        r"((?:^|\n)(?:> ?)?(?:#+ |[-*] |\d+\. |    )?)((?:.|\n(?!(?:> ?)?[-*] |\d+\. ))+)()"
    )
    return items.sub(wrap, block)


LANGUAGES: dict[str, Callable[[str], str]] = {"en": untranslated, "pseudo": pseudo}


def blocks(text: str, translate: Callable[[str], str]) -> str:
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


class Pages:
    """What stands on the site, and how a text becomes one of its pages."""

    def __init__(self, solutions: bool, translate: Callable[[str], str]):
        patterns = ["notebooks/*.ipynb", "exercises/*/*.ipynb"]
        patterns += ["solutions/*/*.ipynb"] if solutions else []
        self.notebooks = [
            path.relative_to(ROOT).as_posix() for p in patterns for path in sorted(ROOT.glob(p))
        ]
        self.texts = [text for text in TEXTS if (ROOT / text).exists()]
        self.pictures: set[str] = set()  # that texts show
        self.translate = translate
        glossary = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
        self.terms = {
            name: (slug(entry), re.sub(r"[`*]", "", sentence))
            for entry, sentence in ROW.findall(glossary)
            for name in names_of(entry)
        }

    def link(self, page: str) -> Callable[[re.Match], str]:
        """What is not on the site is read in the repository."""

        def change(match: re.Match) -> str:
            before, target, anchor = match.group(1), match.group(2), match.group(3) or ""
            if re.match(r"[a-z]+:", target):
                return match.group()
            where = os.path.normpath(os.path.join(os.path.dirname(page), target))
            if where in self.notebooks or where in self.texts:
                if before.startswith("<"):
                    target = re.sub(r"\.(md|ipynb)$", ".html", target)
                return before + target + anchor
            if not (ROOT / where).exists():
                return match.group()
            if before.startswith("<img") or where.endswith(".png"):
                self.pictures.add(where)
                return f"{before}{'../' * page.count('/')}{where}"
            return f"{before}{address()}/blob/main/{where}{anchor}"

        return change

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
        if page == "lessons/RESULTS.md":  # the name of a test says what is claimed
            name = re.compile(r"`lessons/(\w+)/test_claims\.py::test_(.*?)`")
            text = name.sub(lambda m: f"{m[1]}: {m[2]}".replace("_", " ").replace("[", " ["), text)
            text = re.sub(r"(\d{4})-(\d\d)-(\d\d)(?= \|)", "\\1\u2011\\2\u2011\\3", text)
            machine = re.compile(r"^(\|.*\|.*\|.*\|) ([^|]+) \| ([^|]+) \|$", re.M)
            machines = sorted({f"{m[2]}: {m[3]}" for m in machine.finditer(text)} - {"on: with"})
            text = machine.sub(r"\1", text).replace("|---|---|---|---|---|", "|---|---|---|")
            text = "\n\n".join([text, *machines])  # once, below the table
        text = LINK.sub(self.link(page), TERM.sub(self.term(page), text))
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
                result = result_of(cell.source, nb.cells[i + 1 :], page)
                result.metadata.setdefault("tags", []).append(f"answer-{number}")
                tags.append(f"prediction-{number}")
                form = self.prediction(cell.source, number, page, said(result))
                cells.append(nbformat.v4.new_markdown_cell(raw(form)))
            for name, (where, code, hides) in FIGURES.items():
                if where == page and code in cell.source:
                    tags.extend([f"static-of-{name}"] if hides else [])
                    markup = fragment(name, self.translate)
                    cells.append(nbformat.v4.new_markdown_cell(raw(markup)))
        nb.cells = cells
        return nbformat.writes(nb)

    def index(self) -> str:
        text = self.markdown((SITE / "index.md").read_text(encoding="utf-8"), "index.md")
        if not any(page.startswith("solutions/") for page in self.notebooks):
            text = re.sub(r"(?s)<!-- solutions -->.*?<!-- /solutions -->\n", "", text)
        text = re.sub(r"(?<=:caption: ).*", lambda match: self.translate(match.group()), text)
        items = []
        for page in self.notebooks:
            picture = f"pictures/{Path(page).stem}.png"
            if page.startswith("notebooks/") and (ROOT / picture).exists():
                title = nbformat.read(ROOT / page, as_version=4).cells[0].source.split("\n")[0]
                title = html.escape(self.translate(title.strip("# ")))
                link = Path(page).with_suffix(".html").as_posix()
                image = f'<img src="{picture}" alt="" />'  # the words beside it say the same
                items.append(f'<a href="{link}">{image}<span>{title}</span></a>')
        return text.replace("{gallery}", raw(f'<div class="gallery">{"".join(items)}</div>'))

    def prediction(self, code: str, number: int, page: str, output: str) -> str:
        """A form with an input for each name that a prediction cell sets."""
        fields, taken = [], {""}
        choices = re.findall(r'"([^"]+)"', " ".join(re.findall(r"#(.*)", code)))
        for name, node in assigned(code):
            value = ast.unparse(node).strip("'\"")
            options = sorted({value, *choices}) if isinstance(node, ast.Constant) else []
            printed = ",?".join(re.escape(letter) for letter in value)  # 7960 or 7,960
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
            "prediction", self.translate, number=str(number), page=where, fields="".join(fields)
        )


def assigned(code: str) -> list[tuple[str, ast.expr]]:
    """Name and value of each assignment; ``a, b = 1, 2`` holds two."""
    pairs = []
    for line in ast.parse(code).body:
        if isinstance(line, ast.Assign):
            target, value = line.targets[0], line.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs += list(zip(target.elts, value.elts))
            else:
                pairs.append((target, value))
    return [(ast.unparse(target), value) for target, value in pairs]


def result_of(code: str, cells: list, page: str) -> nbformat.NotebookNode:
    """The cell whose output answers a prediction: the first that uses its name, else the first."""
    shown = [cell for cell in cells if cell.get("outputs")]
    names = "|".join(re.escape(name) for name, _ in assigned(code))
    if not shown:
        raise SystemExit(f"{page}: no output follows the prediction {code!r}; execute the notebook")
    return next((cell for cell in shown if re.search(rf"\b({names})\b", cell.source)), shown[0])


def said(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def raw(markup: str) -> str:
    return f"```{{raw}} html\n{markup}\n```"


def fragment(name: str, translate: Callable[[str], str], /, **values: str) -> str:
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


def write(path: Path, text: str) -> None:
    """Only where it changed, so that Sphinx reads again what is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def check_places() -> None:
    for name, (page, code, _) in FIGURES.items():
        cells = nbformat.read(ROOT / page, as_version=4).cells
        if sum(cell.cell_type == "code" and code in cell.source for cell in cells) != 1:
            raise SystemExit(
                f"the moving figure {name!r} has lost its place: exactly one code cell of {page} "
                f"must hold {code!r}; name another place in FIGURES of site/build.py"
            )


def build(out: Path, solutions=False, language="en", only: str = "") -> None:
    """Write the site's folder; ``only`` limits it to pages whose path holds that text."""
    check_places()
    translate = LANGUAGES[language]
    pages = Pages(solutions, translate)
    source = out.parent / f"{out.name}-source"
    shutil.rmtree(out, ignore_errors=True)
    made = {
        "index.md": pages.index(),
        **{
            text: pages.markdown((ROOT / text).read_text(encoding="utf-8"), text)
            for text in pages.texts
        },
        **{page: pages.notebook(page) for page in pages.notebooks},
    }
    made = {page: text for page, text in made.items() if only in page or page == "index.md"}
    for path in [*source.rglob("*.md"), *source.rglob("*.ipynb")]:
        if path.relative_to(source).as_posix() not in made:
            path.unlink()
    for page, text in made.items():
        write(source / page, text)
    for picture in pages.pictures:
        (source / picture).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / picture, source / picture)
    from sphinx.cmd.build import main as sphinx

    options = ["-b", "html", "-q", "-c", str(SITE), "-d", str(source / ".doctrees")]
    options += ["-W", "--keep-going"] if not only else []
    if sphinx([*options, str(source), str(out)]):
        raise SystemExit("the site was not built; Sphinx said above what is wrong")
    for page in pages.notebooks:
        if page in made:
            shutil.copyfile(ROOT / page, out / page)  # to download, as committed
    shutil.copytree(
        SITE / "figures", out / "_static/figures", ignore=shutil.ignore_patterns("*.html")
    )
    shutil.copytree(ROOT / "pictures", out / "pictures")
    for legal in ("LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / legal, out / legal)
    weights.write(out / "_static/weights")
    for unused in (".buildinfo", "objects.inv"):
        (out / unused).unlink(missing_ok=True)
    shutil.rmtree(out / "_sources", ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--solutions", action="store_true", help="for teachers: with the solutions")
    parser.add_argument("--zip", action="store_true", help="one file to hand out, build/site.zip")
    parser.add_argument("--language", choices=LANGUAGES, default="en")
    parser.add_argument("--out", type=Path, default=ROOT / "build/site")
    asked = parser.parse_args()
    build(asked.out.absolute(), asked.solutions, asked.language)
    files = [path for path in asked.out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    count = sum(path.suffix == ".html" and "_static" not in path.parts for path in files)
    print(f"{asked.out}: {count} pages, {size:.0f} MB; open index.html")
    if asked.zip:
        print(shutil.make_archive(str(asked.out), "zip", asked.out.parent, asked.out.name))


if __name__ == "__main__":
    main()
