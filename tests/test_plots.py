"""The figures: labelled, captioned, nothing cut or written over, also with long texts."""

import base64
import io
import itertools
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from course_utils import plots
from course_utils.engine import drawing

TITLE = (
    "The chapter's autoencoder keeps ten numbers as PCA does, and its error is a fifth larger: "
    "0.029 against 0.024"
)
CAPTION = (
    "Mean squared error per pixel on the validation images. The bars stand, from left to right, "
    "for the mean image, for PCA and for the autoencoder of the chapter; the autoencoder's bar is "
    "the higher one of the last two, by 0.005."
)
IMAGES = torch.rand(10, 1, 28, 28)
MANY = torch.rand(940)
HISTORY = SimpleNamespace(train_loss=[0.06, 0.04, 0.03], validation_loss=[0.05, 0.035, 0.029])
LONG = SimpleNamespace(train_loss=list(1 / np.arange(1, 76)), validation_loss=[])

FIGURES = {
    "image_rows": lambda: plots.image_rows(
        {"original": IMAGES, "reconstructed, PCA with ten components": IMAGES},
        TITLE,
        CAPTION,
        columns=["T-shirt/top", "Ankle boot"] * 5,
    ),
    "image_rows, one image": lambda: plots.image_rows({"original": IMAGES[:1]}, TITLE, CAPTION),
    "image_rows, a shorter row": lambda: plots.image_rows(
        {"original": IMAGES[:1], "new samples": IMAGES[:3]}, TITLE, CAPTION
    ),
    "loss_curves": lambda: plots.loss_curves(
        {"chapter": HISTORY, "stacked": LONG}, TITLE, CAPTION, log=True
    ),
    "loss_curves, unnamed": lambda: plots.loss_curves({"": HISTORY}, "Short", "Short."),
    "lines": lambda: plots.lines(
        [2, 5, 10],
        {"chapter": [3, 2, 1], "linear": np.eye(3), "leaky": [1, 1, 2]},
        TITLE,
        CAPTION,
        xlabel="latent dimension",
        ylabel="error",
        levels={"PCA": 1.0, "mean image": 2.5},
        log_x=True,
    ),
    "lines, dimensions": lambda: plots.lines(
        [2, 5, 10, 20, 30, 50, 64, 100, 128, 256],
        {"PCA": np.geomspace(0.046, 0.003, 10)},
        TITLE,
        CAPTION,
        xlabel="latent dimension",
        ylabel="error",
        log_x=True,
        log_y=True,
    ),
    "bars": lambda: plots.bars(
        {f"a rather long name {i}": 0.01 * i for i in range(1, 8)},
        TITLE,
        CAPTION,
        ylabel="error",
        errors={"a rather long name 3": 0.01},
        level=("PCA", 0.05),
    ),
    "bars, one": lambda: plots.bars({"PCA": 1}, ylabel="error", title="Short", caption="Short."),
    "unit_activity": lambda: plots.unit_activity(
        torch.tensor([0.0, 0.0, 0.98, 0.4]), TITLE, CAPTION
    ),
    "unit_activity, many": lambda: plots.unit_activity(MANY, TITLE, CAPTION),
}


def texts(fig):
    """Every text that is drawn in the figure, with its place in pixels."""
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    outside = set()  # matplotlib keeps tick labels beyond an axis' limits, and does not draw them
    for axis, along in (
        (axis, along) for ax in fig.axes for along, axis in enumerate((ax.xaxis, ax.yaxis))
    ):
        low, high = sorted(axis.get_view_interval())
        labels = [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)]
        outside |= {
            label
            for label in labels
            if not (axis.axes.axison and low - 1e-9 <= label.get_position()[along] <= high + 1e-9)
        }
    shown = [
        text
        for text in fig.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in outside
    ]
    return [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in shown]


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_or_overlaps(name):
    fig = FIGURES[name]()
    canvas = fig.bbox
    boxes = texts(fig)
    for words, box in boxes:
        assert (
            box.x0 >= canvas.x0 - 1
            and box.x1 <= canvas.x1 + 1
            and box.y0 >= canvas.y0 - 1
            and box.y1 <= canvas.y1 + 1
        ), f"{words!r} is cut: {box} leaves {canvas}"
    for (words, box), (others, other) in itertools.combinations(boxes, 2):
        width = min(box.x1, other.x1) - max(box.x0, other.x0)
        height = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert width <= 1 or height <= 1, (
            f"{words!r} and {others!r} overlap by {width:.0f} x {height:.0f} pixels"
        )


@pytest.mark.parametrize("name", FIGURES)
def test_labels_title_caption_and_words_for_a_screen_reader(name):
    fig = FIGURES[name]()
    title, caption = (" ".join(text.split()) for text in (fig.get_suptitle(), fig.get_supxlabel()))
    assert (title, caption) in [(TITLE, " ".join(CAPTION.split())), ("Short", "Short.")]
    if name.startswith("image_rows"):
        assert all(
            fig.axes[i].get_ylabel() for i in range(0, len(fig.axes), max(1, len(fig.axes) // 2))
        )
    else:
        assert all(ax.get_ylabel() for ax in fig.axes)
        assert name.startswith("bars") or all(ax.get_xlabel() for ax in fig.axes)
    assert not plt.get_fignums(), "an open figure would be shown twice"


@pytest.mark.parametrize("name", FIGURES)
def test_words_stand_beside_the_picture_and_not_in_it(name, monkeypatch):
    fig, shown = FIGURES[name](), []
    monkeypatch.setattr(drawing, "display", lambda data, **about: shown.append((data, about)))
    fig._ipython_display_()
    (above, _), (picture, about), (below, _) = shown
    title, caption = fig._course_words
    for said, words in ((above, title), (below, caption)):
        assert said["text/plain"] == words
        rendered = MarkdownIt().render(said["text/markdown"])
        assert " ".join(BeautifulSoup(rendered, "html.parser").get_text().split()) == words
    assert about["metadata"]["image/png"]["alt"] == title
    image = Image.open(io.BytesIO(base64.b64decode(picture["image/png"])))
    assert image.mode == "P" and image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert drawing.picture(fig) != picture["image/png"], "a file of its own holds the words"
    bare = FIGURES[name]()
    for text in (bare._suptitle, bare._supxlabel):
        text.remove()
    bare._suptitle = bare._supxlabel = None
    assert drawing.picture(bare) == picture["image/png"]


@pytest.mark.parametrize(
    "text",
    ["3. of *all*", "- a_b_c [x](y) <b> $5 and $6", "# 1", "2 ~ 3 | `code` \\ end", "1.5 and +2"],
)
def test_every_sign_of_a_title_is_shown(text):
    rendered = MarkdownIt().render(f"{drawing.plain(text)}")
    assert BeautifulSoup(rendered, "html.parser").p.get_text() == text


def test_the_picture_has_few_colours_and_none_is_far_off():
    fig = FIGURES["bars"]()
    drawn = io.BytesIO()
    fig.savefig(drawn, dpi=100, bbox_inches="tight", facecolor="white")
    few = Image.open(io.BytesIO(base64.b64decode(drawing.small(drawn.getvalue()))))
    before, after = (np.asarray(i.convert("RGB"), int) for i in (Image.open(drawn), few))
    assert len(few.getcolors()) <= 128 and np.abs(before - after).max() <= 40


def test_an_image_beside_coloured_points_stays_grey():
    rng, (fig, (points, image)) = np.random.default_rng(0), plt.subplots(1, 2)
    for k in range(10):
        points.scatter(*rng.random((2, 50)), s=8, alpha=0.6, label=str(k))
    points.legend()
    image.imshow(rng.random((28, 28)), cmap="gray")
    drawn = io.BytesIO()
    fig.savefig(drawn, dpi=80)
    plt.close(fig)
    few = Image.open(io.BytesIO(base64.b64decode(drawing.small(drawn.getvalue()))))
    before, after = (np.asarray(i.convert("RGB"), int) for i in (Image.open(drawn), few))
    grey = np.ptp(before, axis=2) == 0
    assert np.ptp(after[grey], axis=1).max() == 0
    assert np.abs(before - after)[grey].max() <= 2


def test_images_are_drawn_as_they_are():
    fig = plots.image_rows(
        {"original": IMAGES, "shorter": IMAGES[:2]}, "t", "c", columns=list("abcdefghij")
    )
    first = fig.axes[0].images[0]
    assert first.get_interpolation() == "nearest" and first.get_clim() == (0, 1)
    assert np.allclose(first.get_array(), IMAGES[0, 0])
    assert sum(len(ax.images) for ax in fig.axes) == 12, "the shorter row leaves places empty"
    assert [ax.get_title() for ax in fig.axes[:10]] == list("abcdefghij")


@pytest.mark.parametrize(
    "rows, columns, message",
    [
        ({"wrong": torch.rand(10, 784)}, None, r"row 'wrong' must hold images .* got \(10, 784\)"),
        ({"colour": torch.rand(10, 3, 28, 28)}, None, "row 'colour' must hold images"),
        ({"none": torch.rand(0, 1, 28, 28)}, None, "row 'none' must hold images"),
        ({"original": IMAGES}, ["a", "b"], "10 images, got 2 labels"),
    ],
)
def test_wrong_rows_are_refused(rows, columns, message):
    with pytest.raises(ValueError, match=message):
        plots.image_rows(rows, "t", "c", columns=columns)


def test_bands_and_levels():
    runs = np.array([[1.0, 2.0], [3.0, 6.0]])
    fig = plots.lines(
        [0, 1],
        {"chapter": runs, "PCA": [1, 1]},
        "t",
        "c",
        xlabel="x",
        ylabel="y",
        levels={"mean image": 0.5},
    )
    mean, flat, level = fig.axes[0].lines
    assert (
        list(mean.get_ydata()) == [2, 4]
        and list(flat.get_ydata()) == [1, 1]
        and set(level.get_ydata()) == {0.5}
    )
    band = fig.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(4 + 8**0.5), "one standard deviation, of a sample"
    assert [text.get_text() for text in fig.axes[0].get_legend().get_texts()] == [
        "chapter",
        "PCA",
        "mean image",
    ]


def test_logarithmic_axes_have_plain_numbers():
    fig = FIGURES["lines, dimensions"]()
    assert {"2", "20", "256", "0.003", "0.03"} <= {words for words, _ in texts(fig)}


def test_dead_units_are_crossed_out():
    fig = plots.unit_activity([0.0, 0.9, 0.0, 0.3], "t", "c")
    assert [bar.get_height() for bar in fig.axes[0].patches] == pytest.approx([90, 30, 0, 0])
    assert fig.axes[0].collections[0].get_offsets()[:, 0].tolist() == [3, 4]
    assert plots.unit_activity([0.1, 0.9], "t", "c").axes[0].get_legend() is None


def test_series_are_told_apart_in_grey():
    looks = plots._looks(["chapter", "linear", "leaky", "centred", "nameless", "other"])
    assert len({look["marker"] for look in looks}) == len(looks)
    assert len({(look["color"], look["linestyle"]) for look in looks}) == len(looks)
    assert (
        plots.colour("DAE, p = .5") == plots.PALETTE["DAE"]
        and plots.colour("chapter, seed 3") == plots.PALETTE["chapter"]
    )
    assert plots.colour("nameless") == plots.PALETTE["baseline"]
