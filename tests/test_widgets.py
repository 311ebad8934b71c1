"""The panels: they follow their controls, draw once, and leave a picture behind."""

import base64

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from course_utils import widgets
from course_utils.corruption import Dropout, Gaussian
from course_utils.engine import drawing
from course_utils.models import Decoder, dense_autoencoder

torch.manual_seed(0)
IMAGES = torch.rand(40, 1, 28, 28)
CODES = torch.randn(1500, 2)
LABELS = torch.arange(1500) % 10
NAMES = [f"class {c}" for c in range(10)]


def panels():
    autoencoder = dense_autoencoder(6, nn.Identity())
    return {
        "decode": widgets.latent_traversal(autoencoder, IMAGES),
        "restore": widgets.corrupt_and_restore(
            {"DAE": autoencoder, "control": nn.Identity()},
            IMAGES,
            {"dropout": Dropout, "Gaussian": Gaussian},
        ),
        "walk": widgets.interpolation(autoencoder, IMAGES),
        "map": widgets.latent_map(Decoder(2), CODES, LABELS, NAMES),
    }


PANELS = panels()


@pytest.mark.parametrize("name", PANELS)
def test_each_control_changes_the_picture_and_the_sentence_and_back(name):
    panel = PANELS[name]
    for control in panel._controls.values():
        before, words, value = panel._image.value, panel.sentence, control.value
        control.value = (
            control.options[1] if hasattr(control, "options") else value + 5 * control.step
        )
        assert panel._image.value != before and panel.sentence != words
        control.value = value
        assert panel._image.value == before and panel.sentence == words


@pytest.mark.parametrize("name", PANELS)
def test_one_move_draws_one_small_picture(name, monkeypatch):
    drawn = []
    real = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **how: (drawn.append(how), real(self, *args, **how))
    )
    panel = PANELS[name]
    control = next(iter(panel._controls.values()))
    value = control.value
    control.value = control.options[1] if hasattr(control, "options") else value + control.step
    assert len(drawn) == 1 and drawn[0]["dpi"] <= 80
    control.value = value


@pytest.mark.parametrize("name", PANELS)
def test_leaves_a_picture_and_words_where_no_widget_runs(name):
    data, about = PANELS[name]._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == about["image/png"]["alt"] == PANELS[name].sentence


def test_dead_units_are_marked_and_locked():
    autoencoder = dense_autoencoder(4)
    with torch.no_grad():
        autoencoder[0].linear.bias[:] = torch.tensor(
            [1e2, 1e2, -1e3, 1e2]
        )  # the third is below zero for every image
    sliders = list(widgets.latent_traversal(autoencoder, IMAGES)._controls.values())
    assert [slider.disabled for slider in sliders] == [False, False, True, False]
    assert "dead" in sliders[2].description


def test_sliders_start_at_the_image_and_run_over_the_data():
    autoencoder = dense_autoencoder(3, nn.Identity())
    codes = autoencoder[0](IMAGES).detach()
    for unit, slider in enumerate(
        widgets.latent_traversal(autoencoder, IMAGES, start=7)._controls.values()
    ):
        assert slider.value == pytest.approx(float(codes[7, unit]), abs=1e-5)
        low, high = float(codes[:, unit].min()), float(codes[:, unit].max())
        assert (
            low - slider.step <= slider.min <= low + 1e-5
            and high - 1e-5 <= slider.max <= high + slider.step
        )
        steps = (
            slider.value - slider.min
        ) / slider.step  # a key and its opposite lead back to the start
        assert steps == pytest.approx(round(steps), abs=1e-4)


def test_live_training_redraws_each_epoch(monkeypatch):
    first, later = [], []

    class Handle:
        def update(self, data, **about):
            later.append(data)

    monkeypatch.setattr(
        drawing, "display", lambda data, **about: first.append((data, about)) or Handle()
    )
    from course_utils.training import fit

    fit(
        dense_autoencoder(3),
        IMAGES,
        epochs=3,
        validation=IMAGES,
        on_epoch=widgets.live_training(IMAGES[:10]),
    )
    assert len(first) == 3 and len(later) == 6
    assert all(about["display_id"] for _, about in first)
    titles = [data["text/plain"] for data in (first[0][0], later[0], later[3])]
    assert [title.partition(":")[0] for title in titles] == [
        f"After epoch {epoch}" for epoch in (1, 2, 3)
    ]
    pictures = {data["image/png"] for data in (first[1][0], later[1], later[4])}
    assert len(pictures) == 3
    assert not plt.get_fignums()
