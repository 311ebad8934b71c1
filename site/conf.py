"""Sphinx's configuration of the site. The pages are prepared by build.py."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.docutils import SphinxTranslator

project = "Autoencoders"
author = "the authors of the course"
language = "en"
extensions = ["myst_nb"]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
myst_enable_extensions = ["amsmath", "attrs_block", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type", "misc.highlighting_failure"]
exclude_patterns = [".doctrees"]

html_theme = "sphinx_book_theme"
html_title = "Autoencoders, from ten numbers to a generative model"
html_static_path = ["static"]
html_extra_path = ["../LICENSE", "../NOTICE"]
html_favicon = "static/favicon.svg"
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_copy_source = False
html_use_index = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch pages, which file:// forbids
html_show_sphinx = False
html_show_copyright = False
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_persistent": [],
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
}


def mathml(translator: SphinxTranslator, node: nodes.math | nodes.math_block) -> None:
    """Formulas as MathML: every browser draws it, offline and without a script."""
    inline = isinstance(node, nodes.math)
    markup = convert(node.astext(), display="inline" if inline else "block")
    markup = markup.replace("<mi>log</mi>", '<mi>log</mi><mspace width="0.17em"/>')
    # A long formula scrolls on a narrow screen, by keyboard too.
    # U+2060: no line begins with the comma after a formula, nor ends with the bracket before it.
    translator.body.append(
        f"\u2060{markup}\u2060" if inline else f'<div class="formula" tabindex="0">{markup}</div>'
    )
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
