"""What a lesson asks of its reader: drawings to look at, stops at the exercise, lines to write."""

import re
from pathlib import Path
from types import SimpleNamespace

import jupytext
import numpy as np
import pytest
import torch
from PIL import Image

from tools import build, diagrams

ROOT = Path(__file__).resolve().parents[1]
LESSONS = [folder for folder in build.folders() if (folder / "lesson.py").exists()]
STOP = re.compile(
    r"> \*\*Stop here\*\*: \[task (\d+) of the\n(?:> )?exercise\]\(([^)]+)\),\n"
    r"> \*(.+?)\*, (\d+) minutes\."
)
TASK = re.compile(r"^# \| (\d+) \| (.+?) \| •+ \| (\d+) \|", re.M)
DRAWINGS = diagrams.sources()


def name(path):
    return path.name


def cells(folder):
    return jupytext.read(folder / "lesson.py", fmt="py:percent").cells


def texts(folder):
    return "\n\n".join(cell.source for cell in cells(folder) if cell.cell_type == "markdown")


# drawings


@pytest.mark.parametrize("folder", LESSONS, ids=name)
def test_a_lesson_has_a_drawing_and_says_in_words_what_is_on_it(folder):
    used = diagrams.IN_TEXT.findall(texts(folder))
    assert used, "no drawing"
    assert all(len(words) > 100 for words, _ in used)
    there = sorted(path.name for path in folder.glob("*.svg"))
    assert sorted(file for _, file in used) == there, "a drawing is not shown, or shown twice"


@pytest.mark.parametrize("source", DRAWINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_picture_is_drawn_from_its_source_and_small(source):
    picture = DRAWINGS[source]
    assert not diagrams.differs(source, picture), "run `python -m tools.diagrams`"
    assert picture.stat().st_size < 30_000 and Image.open(picture).width <= 860
    text = source.read_text(encoding="utf-8")
    first = next(iter(DRAWINGS)).read_text(encoding="utf-8")
    style = re.compile(r"<style>.*?</defs>", re.S)
    assert style.search(text)[0] == style.search(first)[0], "one style for all drawings"
    assert re.search(r"<title>.{10,}</title>", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|<image", text)


def test_every_picture_of_a_drawing_has_its_source():
    assert set((ROOT / "pictures/diagrams").glob("*.png")) == set(DRAWINGS.values())


def test_a_drawing_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.svg is not drawn: python -m tools\.diagrams"):
        diagrams.put_into("![words](none.svg)", tmp_path)


@pytest.mark.parametrize("folder", LESSONS, ids=name)
def test_pictures_of_a_lesson_are_small(folder):
    """Every rebuild stays in the history for ever."""
    built = build.targets()[folder.name][1].read_text(encoding="utf-8")
    pictures = re.findall(r'"image/png": "([^"]+)"|data:image/png;base64,([\w+/=]+)', built)
    assert sum(len(one or other) for one, other in pictures) <= 600_000


# stops and lines to write


@pytest.mark.parametrize("folder", LESSONS, ids=name)
def test_a_lesson_stops_at_tasks_of_its_exercise(folder):
    tasks = {
        int(number): (words, int(minutes))
        for number, words, minutes in TASK.findall((folder / "exercise.py").read_text("utf-8"))
    }
    stops = STOP.findall(texts(folder))
    assert len(stops) >= 2
    assert [int(number) for number, *_ in stops] == sorted({int(number) for number, *_ in stops})
    for number, link, words, minutes in stops:
        assert link == f"../exercises/{folder.name}/{folder.name}.ipynb"
        assert tasks[int(number)] == (words, int(minutes))


def model(*sizes):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(*sizes))


def spaces():
    """For each fill-in what its cell finds in the notebook."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(10, 1, 28, 28, generator=generator)
    drawn = torch.rand(10, 1, 28, 28, generator=generator)
    known = torch.randn(50, 10, generator=generator)
    encoder = model(784, 10)
    ten = SimpleNamespace(images=images)
    with torch.no_grad():
        by_code = torch.cdist(encoder(images), known).argmin(1).numpy()
    mu, log_var = torch.randn(2, 30, 20, generator=generator) * torch.linspace(0, 2, 20)
    kl = (mu**2 + log_var.exp() - 1 - log_var) / 2
    return {
        "my_mse": {
            "reconstructed": drawn,
            "original_imgs": images,
            "losses": {"64 images": {"mean over pixels": float(((drawn - images) ** 2).mean())}},
        },
        "my_nearest": {
            "cured": [encoder],
            "ten": ten,
            "known": {"codes": known.numpy()},
            "by_code": by_code,
        },
        "my_dropout": {"grey": torch.full((1, 1, 28, 28), 0.4), "values": [0.0, 0.8]},
        "my_walk": {"encoder": encoder, "ten": ten},
        "my_nearest_mean": {
            "images": (means := torch.eye(784)[:10].reshape(10, 1, 28, 28)).repeat(3, 1, 1, 1),
            "labels": torch.arange(10).repeat(3),
            "validation": SimpleNamespace(images=means + drawn / 100, labels=torch.arange(10)),
        },
        "my_max_pool": {"image": images[..., :27, :27], "F": torch.nn.functional},
        "my_participation": {
            "evenness": {"FashionMNIST": {"participation ratio": 2.0}},
            "pca": {"FashionMNIST": SimpleNamespace(explained_variance_ratio=np.array([0.5, 0.5]))},
        },
        "my_busy": {
            "mu": mu,
            "log_var": log_var,
            "kl_closed_form": lambda mu, log_var: (mu**2 + log_var.exp() - 1 - log_var) / 2,
            "busiest": int((kl.mean(0) > 0.1).sum()),
        },
    }


SPACES = spaces()


@pytest.mark.parametrize("folder", LESSONS, ids=name)
def test_a_lesson_has_lines_to_write_and_its_answer_is_right(folder, capsys):
    found = cells(folder)
    (place,) = [i for i, cell in enumerate(found) if "fill-in" in cell.metadata.get("tags", [])]
    code, below = found[place].source, found[place + 1].source
    (answer,) = re.findall(r"<details>.*?```python\n(def .*?)```\n", below, re.S)[:1]
    called = re.match(r"def (\w+)\(", code)[1]
    stub, check = re.fullmatch(r"(def .*?\n)\n\n(\S.*)", code, re.S).groups()
    assert 2 <= len(answer.strip().splitlines()) - 1 <= 6
    for function, word in ((stub, "not yet"), (answer, "right")):
        space = {"torch": torch, "np": np, "nn": torch.nn, **SPACES[called]}
        exec(f"{function}\n\n{check}", space)
        assert capsys.readouterr().out.startswith(word)
