"""Every lesson as plain HTML, by nbconvert's default: words for each picture, nothing that scrolls
sideways, no serious accessibility fault. Needs Debian's `chromium`."""

import re
from pathlib import Path

import axe_playwright_python.base as axe
import pytest
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
# What the template chooses for every notebook: pale prompts and comments, links without a line.
OF_THE_TEMPLATE = [[".jp-InputPrompt"], [".jp-OutputPrompt"], [".highlight"]]
OPTIONS = {"resultTypes": ["violations"], "rules": {"link-in-text-block": {"enabled": False}}}
WORDLESS = """() => [...document.querySelectorAll(".jp-RenderedImage img")].filter(image => {
    const area = image.closest(".jp-OutputArea");
    return !area.querySelector(".jp-RenderedMarkdown")?.innerText.trim();
}).length"""


def opened(chromium, notebook, theme, folder):
    exporter = HTMLExporter(theme=theme)
    path = folder / f"{notebook.stem}.html"
    path.write_text(exporter.from_filename(str(notebook))[0], encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_as_html(notebook, theme, chromium, tmp_path):
    page = opened(chromium, notebook, theme, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator(".jp-RenderedImage img").count() >= 5
    assert page.evaluate(WORDLESS) == 0, "a picture without words beside it"
    drawings = page.evaluate("[...document.querySelectorAll('p img')].map(image => image.alt)")
    assert drawings and all(drawings)
    if theme == "light":
        page.evaluate(axe.AXE_SCRIPT)
        result = page.evaluate(
            "([exclude, options]) => axe.run({exclude}, options)", [OF_THE_TEMPLATE, OPTIONS]
        )
        found = [
            (violation["id"], node["html"][:200])
            for violation in result["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
        assert found == []
    page.close()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_where_the_template_takes_it_each_picture_has_alternative_text(notebook):
    html = HTMLExporter(template_name="classic").from_filename(str(notebook))[0]
    assert "No description" not in html and html.count("data:image/png") > 5
