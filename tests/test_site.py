"""The site in a real browser, from file:// and from a server: every page, every link, each figure.

Builds it once, without executing anything. Needs Debian's `chromium`. With SITE_SHOTS=1 screenshots
of the pages, light, dark and narrow, are left in build/screenshots/site.
"""

import base64
import functools
import http.server
import importlib.util
import json
import os
import re
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import axe_playwright_python.base as axe
import nbformat
import pytest
import torch
from bs4 import BeautifulSoup

from course_utils import sweeps
from course_utils.corruption import Dropout
from tools.build import address

ROOT = Path(__file__).resolve().parents[1]
NARROW = {"width": 390, "height": 800}
# Of rows that are alike axe looks at a table's first. Of words of coloured code that are alike it
# sees the first on the site; the others become plain text, which it sees, too.
ROWS = ["tbody tr:nth-child(n+9)"]
PLAIN = """seen => {
    const kinds = new Set(seen);
    for (const word of document.querySelectorAll(".highlight span[class]")) {
        const kind = word.parentElement.className + " " + word.className;
        if (kinds.has(kind)) word.replaceWith(word.textContent);
        kinds.add(kind);
    }
    for (const code of document.querySelectorAll(".highlight pre")) code.normalize();
    return [...kinds];
}"""
AXE = f"axe.run({{exclude: {json.dumps(ROWS)}}}, {{resultTypes: ['violations']}})"
CLOSE = 1e-3  # between the page's numbers and torch's


def script(name):
    sys.path.insert(0, str(ROOT / "site"))
    spec = importlib.util.spec_from_file_location(f"site_{name}", ROOT / f"site/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


builder = script("build")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "site"
    builder.build(out)
    return out


@pytest.fixture(scope="session")
def pages(site):
    return {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="session")
def soups(pages):
    return {
        name: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for name, path in pages.items()
        if "webpack-macros" not in name
    }


@pytest.fixture(scope="session")
def server(site):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


class Watched:
    """A page of the browser that notes its errors and what it asked other hosts for."""

    def __init__(self, context, base):
        self.base, self.errors, self.outside = base, [], []
        self.page = context.new_page()
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self.request)

    def request(self, request):
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.outside.append(request.url)

    def open(self, name):
        self.page.goto(f"{self.base}/{name}")
        return self.page

    def clean(self):
        assert self.errors == [] and self.outside == []


@pytest.fixture
def watched(chromium, site):
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    yield Watched(context, f"file://{site}")
    context.close()


def all_figures(page):
    for place in page.locator(".living-place").all():
        place.scroll_into_view_if_needed()
        place.locator(".living[data-ready]").wait_for()


def shoot(page, name, look):
    """A picture of a whole page for who wants to look: SITE_SHOTS=1, build/screenshots/site."""
    if os.environ.get("SITE_SHOTS"):
        before = page.viewport_size
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({**before, "height": min(height, 16_000)})
        file = Path(name).with_suffix("").as_posix().replace("/", "_")
        page.screenshot(path=ROOT / f"build/screenshots/site/{file}_{look}.png")
        page.set_viewport_size(before)


def lesson(name):
    return next(f"notebooks/{p.stem}.html" for p in ROOT.glob(f"notebooks/{name}*.ipynb"))


@pytest.mark.parametrize("way", ["file", "server"])
def test_every_page_opens_without_an_error_and_asks_no_other_host(
    way, chromium, site, server, soups
):
    context = chromium.new_context(viewport=NARROW)
    watched = Watched(context, server if way == "server" else f"file://{site}")
    wide = {}
    for name in soups:
        page = watched.open(name)
        all_figures(page)
        shoot(page, name, f"narrow_{way}")
        assert page.evaluate("document.querySelectorAll('script').length")
        wide[name] = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    watched.clean()
    assert {name: by for name, by in wide.items() if by > 0} == {}, "wider than a phone"
    context.close()


def test_every_picture_has_words(soups):
    bare = [
        (name, image.get("src", "")[:60])
        for name, soup in soups.items()
        for image in soup.select("img, canvas[role=img], svg[role=img]")
        if not (image.get("alt") or image.get("aria-label") or image.find_next_sibling("a"))
    ]
    assert sum(len(soup.select("img")) for soup in soups.values()) > 50
    assert bare == []


def test_every_link_and_anchor_leads_somewhere(site, soups):
    anchors = {
        name: {tag["id"] for tag in soup.find_all(id=True)} | {""} for name, soup in soups.items()
    }
    lost, links = [], 0
    for name, soup in soups.items():
        for tag in soup.select("a[href], img[src], script[src], link[href]"):
            target = urlsplit(tag.get("href") or tag.get("src"))
            if target.scheme or target.netloc:
                continue
            links += 1
            path = (site / name).parent / unquote(target.path) if target.path else site / name
            where = os.path.relpath(path, site)
            if where in anchors and unquote(target.fragment) not in anchors[where]:
                lost.append((name, tag.get("href")))
            elif not path.exists():
                lost.append((name, tag.get("href") or tag.get("src")))
    assert links > 1000
    assert lost == []


def test_outside_links_lead_to_the_course_or_to_known_hosts(soups):
    colab, kaggle = "https://colab.research.google.com/github/", "https://kaggle.com/kernels/"
    known = (address(), colab, kaggle, "https://pytorch.org/")
    for name, soup in soups.items():
        for tag in soup.select("article a[href^=http]"):
            assert tag["href"].startswith(known), (name, tag["href"])
        if name.startswith(("notebooks/", "exercises/")):
            ways = [tag["href"] for tag in soup.select(".ways a")]
            assert len(ways) == 3 and all(way.endswith(f"{Path(name).stem}.ipynb") for way in ways)


def test_all_notebooks_and_texts_are_there_and_solutions_only_for_a_teacher(soups):
    for path in [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("exercises/*/*.ipynb")]:
        assert path.relative_to(ROOT).with_suffix(".html").as_posix() in soups
    for text in builder.TEXTS:
        assert text.replace(".md", ".html") in soups
    assert not any(name.startswith("solutions/") for name in soups)
    assert not soups["index.html"].find_all(string=re.compile("Solutions"))


def test_a_teachers_site_has_the_solutions(tmp_path):
    builder.build(tmp_path / "site", solutions=True, only="02_encoder")
    page = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    article = BeautifulSoup(page, "html.parser").select_one("article")
    assert article.find(string="Solutions, for teachers")
    links = {tag["href"] for tag in article.select("a[href]")}
    assert "solutions/02_encoder/02_encoder.html" in links
    assert (tmp_path / "site/solutions/02_encoder/02_encoder.html").exists()
    wanted = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("solutions/*/*.ipynb")}
    assert wanted and wanted <= set(builder.notebooks(solutions=True))
    assert not wanted & set(builder.notebooks(solutions=False))


def test_each_glossary_term_has_a_target_and_lessons_show_its_sentence(soups):
    targets = {tag["id"] for tag in soups["GLOSSARY.html"].select("span[id^=term-]")}
    rows = re.findall(r"^\| \*\*", (ROOT / "GLOSSARY.md").read_text(encoding="utf-8"), re.M)
    assert len(targets) == len(rows) > 50
    used = soups[lesson("01")].select("a.term")
    assert used and all(tag["title"] and tag["href"].split("#")[1] in targets for tag in used)


@pytest.mark.parametrize("query", ["dead unit", "מפרש"])
def test_search_works_from_a_folder(query, watched):
    page = watched.open(f"search.html?q={query.replace(' ', '+')}")
    page.locator("#search-results ul.search li").first.wait_for()
    assert page.locator("#search-results ul.search li").count() >= 1
    watched.clean()


@pytest.fixture(scope="session")
def shipped():
    """The models of the pages in torch, their data, and the ten test images."""
    data = builder.weights.pictures()
    return builder.weights.load_all(), data, pictures(data["ten"])


def pictures(text):
    numbers = torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
    return (numbers.float() / 255).reshape(-1, 1, 28, 28)


@torch.no_grad()
def test_the_page_computes_what_torch_computes(watched, shipped):
    """Each part of each model, on the ten test images and on codes from a normal distribution."""
    models, _, images = shipped
    page = watched.open(lesson("01"))
    torch.manual_seed(0)
    compared = {}
    for name, model in models.items():
        whole = "encoder" in builder.weights.halves(model)
        cases = {"encode": (model[0], images)} if whole else {}
        decoder = model[1] if whole else model
        first = next(m for m in decoder.modules() if isinstance(m, torch.nn.Linear))
        codes = images.flatten(1) if name == "affine" else torch.randn(10, first.in_features)
        cases["decode"] = (decoder, codes)
        for half, (module, inputs) in cases.items():
            expected = module(inputs).flatten(1)
            got = page.evaluate(
                """async ([name, half, inputs]) => {
                    const model = await course.model(name);
                    return inputs.map((x) => [...model[half](Float32Array.from(x))]);
                }""",
                [name, half, inputs.flatten(1).tolist()],
            )
            got = torch.tensor(got)
            assert got.shape == expected.shape
            assert expected.std() > 0.01  # not all the same
            compared[f"{name}.{half}"] = (got - expected).abs().max().item()
    print(json.dumps(compared))
    assert len(compared) == 11 and max(compared.values()) < CLOSE, compared


KEYS = {  # figure -> the slider that a key moves
    "sliders": ".sliders input:not([disabled])",
    "denoise": "[name=level]",
    "sweep": "[name=step]",
    "walk": "[name=way]",
    "map": "[name=x]",
    "sheet": "[name=x]",
}
STATE = """box => [...box.querySelectorAll("canvas")].map(c => c.toDataURL()).join()
    + box.querySelector("output").textContent"""


def ready(page, name):
    box = page.locator(f".living[data-figure={name}]")
    page.locator(f".living-place:has([data-figure={name}])").scroll_into_view_if_needed()
    page.locator(f".living[data-figure={name}][data-ready]").wait_for()
    return box


# What a figure hands to a canvas is kept beside it; the canvas itself holds bytes.
KEEP = """() => { const draw = course.draw; course.draw = (canvas, pixels) => {
    canvas.pixels = [...pixels]; draw.call(course, canvas, pixels); }; }"""
SET = """(box, values) => { for (const [name, value] of Object.entries(values)) {
    const field = box.querySelector(name); field.value = value;
    for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind)); } }"""
READ = """(canvas) => [canvas.pixels, [...canvas.getContext("2d").getImageData(
    0, 0, canvas.width, canvas.height).data].filter((_, i) => i % 4 === 0)]"""
BYTE = 0.5 / 255 + CLOSE  # a canvas rounds to whole bytes


class Figure:
    """A moving figure, what it is told and what it draws then, as numbers."""

    def __init__(self, watched, name):
        where, _, _ = builder.FIGURES[name]
        self.page = watched.open(where.replace(".ipynb", ".html"))
        self.box = ready(self.page, name)
        self.page.evaluate(KEEP)

    def set(self, **values):
        self.box.evaluate(SET, {f"[name={name}]": value for name, value in values.items()})

    def value(self, name):
        return float(self.box.locator(f"[name={name}]").input_value())

    def drawn(self, name, expected):
        """How far what the figure draws on that canvas is from a picture of torch's."""
        pixels, shown = self.box.locator(f"canvas.{name}").evaluate(READ)
        expected = expected.flatten()
        assert expected.std() > 0.01 and len(pixels) == len(shown) == len(expected)
        assert (torch.tensor(shown) / 255 - expected.clamp(0, 1)).abs().max() < BYTE
        assert (torch.tensor(pixels) - expected).abs().max() < CLOSE


@torch.no_grad()
def test_the_sliders_draw_what_torch_decodes(watched, shipped):
    models, data, ten = shipped
    encoder, decoder = models["dense_10"]
    figure = Figure(watched, "sliders")
    low, high = map(torch.tensor, data["ranges"])
    for garment, share in ((2, 0.3), (9, 0.8)):
        figure.set(garment=garment)
        code = encoder(ten[[garment]])
        figure.drawn("original", ten[garment])
        figure.drawn("decoded", decoder(code))
        figure.drawn("yours", decoder(code))
        alive = (high > low).nonzero().flatten().tolist()
        for unit in alive:
            value = float(low[unit] + share * (high[unit] - low[unit]))
            slider = figure.box.locator(".sliders input").nth(unit)
            slider.evaluate(
                "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", value
            )
            code[0, unit] = value
        drawn = decoder(code)
        figure.drawn("yours", drawn)
        said = figure.box.locator("output").inner_text()
        error = (drawn - ten[garment]).square().mean().item()
        assert said.startswith(f"{len(alive)} of 10 units moved")
        assert abs(float(re.search(r"0\.\d{4}", said).group()) - error) < 1e-4


@pytest.mark.parametrize("kind", ["dropout", "masking", "gaussian", "specks", "block"])
@torch.no_grad()
def test_the_denoisers_repair_as_in_torch(kind, watched, shipped):
    models, _, ten = shipped
    figure = Figure(watched, "denoise")
    figure.set(garment=2, kind=kind, level=0.35)
    canvas = figure.box.locator("canvas.damaged")
    canvas.click(position={"x": 80, "y": 90})  # erased there, too
    damaged = torch.tensor(canvas.evaluate(READ)[0]).reshape(1, 1, 28, 28)
    assert 0.01 < (damaged - ten[2]).square().mean()
    known = {"masking": (0, 1), "dropout": (0, 1 / 0.65), "block": (0, 1)}.get(kind)
    if known:
        assert all(min(abs(d - k * o) for k in known) < CLOSE for d, o in near(damaged, ten[2]))
    said = figure.box.locator("output").inner_text()
    decibels = [float(n) for n in re.findall(r"(-?[\d.]+) dB", said)]
    restored = [damaged] + [
        models[name](damaged.flatten(1) if name == "affine" else damaged)
        for name in ("dae", "control", "affine")
    ]
    for name, picture, decibel in zip(("damaged", "dae", "control", "affine"), restored, decibels):
        if name != "damaged":
            figure.drawn(name, picture)
        error = (picture.reshape(1, 28, 28) - ten[2]).square().mean()
        assert abs(-10 * error.log10() - decibel) < 0.06, name
    assert len(decibels) == 4


def near(a, b):
    return zip(a.flatten().tolist(), b.flatten().tolist())


@pytest.mark.parametrize("model", ["dae", "conv_10"])
@torch.no_grad()
def test_the_walk_is_torchs(model, watched, shipped):
    models, _, ten = shipped
    encoder, decoder = models[model]
    figure = Figure(watched, "walk")
    figure.set(model=model)
    figure.page.wait_for_function("name => course.arrived[name]", arg=model)
    for first, second, way in ((9, 3, 0.3), (1, 8, 0.84)):
        figure.set(first=first, second=second, way=way)
        figure.page.evaluate("new Promise((done) => setTimeout(done))")  # `choose` has ended
        code = decoder(torch.lerp(encoder(ten[[first]]), encoder(ten[[second]]), way))
        pixels = torch.lerp(ten[first], ten[second], way)
        for name, picture in {"first": ten[first], "second": ten[second], "code": code}.items():
            figure.drawn(name, picture)
        figure.drawn("pixels", pixels)
        said = figure.box.locator("output").inner_text()
        error = (code.flatten() - pixels.flatten()).square().mean().item()
        assert said.startswith(f"{way:.0%}".replace("%", " %"))
        assert abs(float(re.search(r"0\.\d{4}", said).group()) - error) < 1e-4


@torch.no_grad()
def test_the_map_decodes_and_finds_as_torch(watched, shipped):
    models, data, _ = shipped
    figure = Figure(watched, "map")
    codes = torch.tensor(data["map_codes"])
    for x, y in ((2.0, 7.0), (9.0, -1.0)):
        figure.set(x=x, y=y)
        code = torch.tensor([[figure.value("x"), figure.value("y")]])
        assert (code - torch.tensor([[x, y]])).abs().max() < 0.2  # the slider's own steps
        figure.drawn("decoded", models["stacked_2"](code))
        distances = torch.cdist(code, codes)[0]
        figure.drawn("nearest", pictures(data["map_images"])[distances.argmin()])
        said = figure.box.locator("output").inner_text()
        assert f"{distances.min():.2f} away" in said


@torch.no_grad()
def test_the_sheet_and_its_cross_are_torchs(watched, shipped):
    models, data, _ = shipped
    figure = Figure(watched, "sheet")
    density = torch.tensor(list(base64.b64decode(data["density"]))).reshape(48, 48)
    for x, y in ((-1.4, 0.9), (1.2, -1.2)):
        figure.set(x=x, y=y)
        figure.drawn("decoded", models["variational_2"](torch.tensor([[x, y]])))
        said = figure.box.locator("output").inner_text()
        share = density[int((y + 3) * 8), int((x + 3) * 8)].item() / 2.55
        assert abs(float(re.search(r"is (\d+) %", said).group(1)) - share) < 0.51
    for row, column in ((1, 2), (4, 17), (18, 9)):  # far from the cross
        code = torch.tensor([[-3 + 0.3 * (column + 0.5), 3 - 0.3 * (row + 0.5)]])
        expected = models["variational_2"](code).flatten()
        piece = figure.box.locator("canvas.sheet").evaluate(
            """(canvas, [x, y]) => [...canvas.getContext("2d").getImageData(x, y, 28, 28).data]
                .filter((_, i) => i % 4 === 0)""",
            [28 * column, 28 * row],
        )
        assert expected.std() > 0.01 and (torch.tensor(piece) / 255 - expected).abs().max() < BYTE


@torch.no_grad()
def test_the_sweep_shows_its_table_and_what_torch_restored(watched, shipped):
    models, data, ten = shipped
    figure = Figure(watched, "sweep")
    torch.manual_seed(4)
    restored = models["dae"](Dropout(0.5)(ten)).flatten(1)  # as site/make_models.py
    table = sweeps.shipped("FashionMNIST", epochs=12)  # as long as the models of the pictures
    table = table.groupby("latent_dim")["test_error"].mean()
    stored = pictures(data["sweep_restored"]).reshape(len(data["sweep_dims"]), 10, 784)
    for step, k in enumerate(data["sweep_dims"]):
        figure.set(step=step)
        said = figure.box.locator("output").inner_text()
        assert said.startswith(f"{k} code numbers: error {table[k]:.4f} per pixel")
        shown = figure.box.locator("canvas.restored").evaluate_all(f"all => all.map({READ})")
        shown = torch.tensor([bytes_ for _, bytes_ in shown]) / 255
        assert shown.shape == stored[step].shape
        assert (shown - stored[step]).abs().max() < BYTE
        if k == 256:
            assert (shown - restored).abs().max() < BYTE


@pytest.mark.parametrize("name", builder.FIGURES)
def test_a_figure_moves_by_key_and_back(name, watched):
    assert set(KEYS) == set(builder.FIGURES)
    where, _, hides = builder.FIGURES[name]
    page = watched.open(where.replace(".ipynb", ".html"))
    box = ready(page, name)
    still = page.locator(f".tag_static-of-{name} .cell_output")
    assert still.count() == hides and not (hides and still.is_visible())
    slider = box.locator(KEYS[name]).first
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")  # from here on, both on the slider's own steps
    before = box.evaluate(STATE)
    page.keyboard.press("ArrowRight")
    moved = box.evaluate(STATE)
    assert moved != before
    assert box.locator("output").inner_text() and "{" not in box.locator("output").inner_text()
    page.keyboard.press("ArrowLeft")
    assert box.evaluate(STATE) == before
    watched.clean()


def test_the_dead_units_are_locked_and_stay_as_they_are(watched):
    page = watched.open(lesson("01"))
    box = ready(page, "sliders")
    low, high = builder.weights.pictures()["ranges"]
    dead = sum(a == b for a, b in zip(low, high))
    assert dead >= 1
    assert box.locator(".sliders input").count() == 10
    assert box.locator(".sliders input[disabled]").count() == dead


def test_drawing_by_finger_and_by_key_changes_what_is_repaired(chromium, site):
    context = chromium.new_context(viewport=NARROW, has_touch=True)
    watched = Watched(context, f"file://{site}")
    page = watched.open(lesson("03"))
    box = ready(page, "denoise")
    canvas = box.locator("canvas.pen")
    before = box.evaluate(STATE)
    canvas.tap()
    tapped = box.evaluate(STATE)
    assert tapped != before
    box.locator("button").tap()
    assert box.evaluate(STATE) == before
    canvas.focus()
    for key in ("ArrowUp", "ArrowRight", "Space"):
        page.keyboard.press(key)
    canvas.blur()
    assert box.evaluate(STATE) != before
    watched.clean()
    context.close()


def test_a_pointer_on_the_map_decodes_there(watched):
    page = watched.open(lesson("07"))
    box = ready(page, "map")
    before = box.evaluate(STATE)
    box.locator("canvas.sheet").click(position={"x": 40, "y": 60})
    assert box.evaluate(STATE) != before
    watched.clean()


def test_a_prediction_reveals_its_result_and_is_kept_in_this_browser(watched):
    page = watched.open(lesson("01"))
    form = page.locator("form.prediction").first
    result = page.locator(".tag_answer-1 .cell_output")
    assert form.is_visible() and not result.is_visible()
    assert not page.locator(".tag_prediction-1 .cell_input").is_visible()
    form.locator("input").fill("42")
    form.locator("button[type=submit]").click()
    assert result.is_visible() and "your guess: 42" in result.inner_text()
    page.reload()
    assert result.is_visible() and form.locator("input").input_value() == "42"
    assert not page.locator(".tag_answer-2 .cell_output").is_visible()
    page.locator("form.prediction .show-me").nth(1).click()
    shown = page.locator(".tag_answer-2 .cell_output").first
    assert shown.is_visible() and "your guess: –" in shown.inner_text()  # nobody guessed
    assert (
        page.evaluate("Object.keys(localStorage).filter(k => k.startsWith('course/')).length") == 1
    )
    watched.clean()


def test_a_prediction_keeps_back_what_would_tell_its_result(watched):
    page = watched.open(lesson("01"))
    form = page.locator("form.prediction").nth(1)
    drawn = page.get_by_text("the autoencoder’s error is 23% larger", exact=False)
    assert form.is_visible() and drawn.count() == 1 and not drawn.is_visible()
    form.locator(".show-me").click()
    assert drawn.is_visible()
    page = watched.open(lesson("05"))
    first, second = (page.locator(f"form[data-number='{n}']") for n in (5, 6))
    assert first.is_visible() and not second.is_visible()  # its question tells the first's result
    for name in ("my_best_at_10", "my_best_at_64"):
        first.locator(f"[name={name}]").select_option("PCA")
    first.locator("[type=submit]").click()
    assert second.is_visible()
    watched.clean()


@pytest.mark.parametrize(
    ("number", "typed", "printed"),
    [
        ("02", {"my_share": "0.65"}, "your guess: 0.65 "),  # the notebook prints 0.50
        ("05", {"my_heights": "14, 7, 3", "my_parameters": "160"}, "your guess: 14, 7, 3 and 160"),
    ],
)
def test_a_guess_is_printed_as_it_was_typed(watched, number, typed, printed):
    page = watched.open(lesson(number))
    form = page.locator(f"form.prediction:has([name={next(iter(typed))}])")
    for name, value in typed.items():
        form.locator(f"[name={name}]").fill(value)
    form.locator("[type=submit]").click()
    result = page.locator(f".tag_answer-{form.get_attribute('data-number')} .cell_output").last
    assert printed in " ".join(result.inner_text().split()) + " "
    watched.clean()


def test_several_guesses_of_one_prediction_are_all_shown(watched):
    page = watched.open(lesson("06"))
    form = page.locator("form.prediction:has([name=my_points])")
    results = page.locator(f".tag_answer-{form.get_attribute('data-number')} .cell_output")
    assert results.count() == 2, "what gives the answer away waits, too"
    assert not any(result.is_visible() for result in results.all())
    form.locator("[name=my_best]").select_option("frozen")
    form.locator("[name=my_points]").fill("99")
    form.locator("[type=submit]").click()
    assert all(result.is_visible() for result in results.all())
    assert "your guess: frozen, 99 points" in results.last.inner_text()
    watched.clean()


def test_a_dark_page_is_printed_light_and_whole(chromium, site):
    context = chromium.new_context(color_scheme="dark")
    page = Watched(context, f"file://{site}").open(lesson("03"))
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.emulate_media(media="print")
    page.wait_for_function(f"{theme} === 'light'")
    for what in (".tag_answer-3 .cell_output", ".tag_static-of-denoise .cell_output img"):
        assert page.locator(what).first.is_visible(), what
    assert page.locator("article blockquote").count() >= 3
    assert all(box.is_visible() for box in page.locator("article blockquote").all())
    assert not page.locator(".living, .prediction").first.is_visible()
    page.emulate_media(media="screen")
    page.wait_for_function(f"{theme} === 'dark'")
    context.close()


def test_the_glossary_can_be_read_on_a_telephone(chromium, site):
    context = chromium.new_context(viewport=NARROW)
    page = Watched(context, f"file://{site}").open("GLOSSARY.html")
    cells = page.evaluate("""[...document.querySelectorAll("article td:last-child")].map(
        (cell) => [cell.getBoundingClientRect().left, cell.getBoundingClientRect().right])""")
    assert len(cells) > 50
    assert all(0 <= left and left + 250 < right <= 390 for left, right in cells)
    context.close()


def test_every_prediction_of_the_lessons_has_its_form_and_its_result(soups):
    for path in ROOT.glob("notebooks/*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        wanted = sum("prediction" in cell.metadata.get("tags", []) for cell in cells)
        forms = soups[f"notebooks/{path.stem}.html"].select("form.prediction")
        assert [form["data-number"] for form in forms] == [str(n + 1) for n in range(wanted)]
        assert wanted >= 3 and all(form.select("label") for form in forms)
        results = soups[f"notebooks/{path.stem}.html"].select("[class*=tag_answer-]")
        answered = {name for cell in results for name in cell["class"] if "answer-" in name}
        assert answered == {f"tag_answer-{n + 1}" for n in range(wanted)}
        assert all(cell.select(".cell_output") for cell in results)


def test_without_javascript_the_page_shows_what_stands_in_the_notebook(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{site}/{lesson('01')}")
    for selector in (".tag_prediction-1 .cell_input", ".tag_answer-1 .cell_output"):
        assert page.locator(selector).is_visible()
    assert page.locator(".tag_static-of-sliders .cell_output img").is_visible()
    assert not page.locator("form.prediction").first.is_visible()
    assert not page.locator(".living").first.is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(scheme, chromium, site, soups):
    context = chromium.new_context(color_scheme=scheme)
    watched = Watched(context, f"file://{site}")
    found, kinds = [], []
    for name in soups if scheme == "light" else ["index.html", "GLOSSARY.html", lesson("03")]:
        page = watched.open(name)
        all_figures(page)
        shoot(page, name, scheme)
        kinds = page.evaluate(PLAIN, kinds)
        page.evaluate(axe.AXE_SCRIPT)
        result = page.evaluate(AXE)
        found += [
            (name, violation["id"], node["target"], node["html"][:100])
            for violation in result["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
    context.close()
    assert found == [], "\n".join(map(str, found[:30]))


def test_what_was_measured_stands_in_words_and_its_machine_once(soups):
    page = soups["lessons/RESULTS.html"]
    assert [cell.text.strip() for cell in page.select("th")] == ["test", "value", "measured"]
    names = [row.select("td")[0].text for row in page.select("tbody tr")]
    assert len(names) > 100 and not any("test_" in name for name in names)
    assert page.select_one("article").text.count("Python 3.") <= 3


def test_a_figure_that_lost_its_place_is_named(monkeypatch):
    monkeypatch.setitem(
        builder.FIGURES, "map", ("notebooks/07_dimensionality_reduction.ipynb", "no_such(", True)
    )
    with pytest.raises(SystemExit, match="figure 'map' has lost its place.*no_such"):
        builder.check_places()


def test_a_page_may_run_from_right_to_left_and_its_code_does_not(chromium, site):
    context = chromium.new_context(viewport=NARROW)
    page = Watched(context, f"file://{site}").open(lesson("03"))
    page.evaluate("document.documentElement.dir = 'rtl'")
    all_figures(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for what, direction in {"pre": "ltr", ".chart": "ltr", ".formula": "ltr", "p": "rtl"}.items():
        style = page.locator(f"article {what}").first.evaluate("e => getComputedStyle(e).direction")
        assert style == direction, what
    context.close()


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


def test_a_language_that_does_not_exist_reaches_every_block(tmp_path):
    """What a translation cannot reach would show here: text outside the brackets."""
    builder.build(tmp_path / "site", translate=pseudo, only="03_denoising")
    left = []
    for path in tmp_path.glob("site/*/03_denoising*.html"):
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        article = soup.select_one("article")
        for tag in article.select(
            "p, li, h1, h2, h3, td, th, summary, legend, label, button, figcaption"
        ):
            if tag.find_parent(class_="cell") or tag.find(["p", "li", "code", "math"]):
                continue
            text = tag.get_text(" ", strip=True)
            if re.search(r"[^\W\d_]{2}", text) and "⟦" not in text:
                left.append(f"{tag.name}: {text[:80]}")
        for image in article.select(".cell img, canvas"):
            left += (
                [str(image)[:80]]
                if "⟦" not in (image.get("alt") or image.get("aria-label"))
                else []
            )
    assert left == []
