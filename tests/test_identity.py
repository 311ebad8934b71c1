"""A function is known again by what it does: what was kept of another one is never used."""

import functools
import subprocess
import sys

import pytest
import torch
from torch import nn

from course_utils import corruption, losses, models
from course_utils.engine.identity import describe

NOTEBOOK = """
import torch
{level}
{helper}
def corrupt(images):
    return half(images)
def loss(model, images, labels):
    return (model(corrupt(images)) - images).square().mean()
"""
HELPER = "def half(images):\n    return images * {factor} * level"


def cells(level="level = 1", factor="0.5"):
    """The loss of a notebook whose cells are these; without files, as in a bare Python prompt."""
    names = {"__name__": "__main__"}
    exec(NOTEBOOK.format(level=level, helper=HELPER.format(factor=factor)), names)
    return names["loss"]


def noise(strength=0.5, parent="images * 2"):
    """A corruptor whose class is typed into a notebook."""
    names = {"__name__": "__main__"}
    text = f"""
class Parent:
    def double(self, images):
        return {parent}

class Noise(Parent):
    level = {strength}

    def __call__(self, images):
        return self.double(super().double(images)) * self.level
"""
    exec(compile(text, "<cell>", "exec"), names)
    return losses.denoising(names["Noise"]())


def test_the_same_is_the_same():
    for make in (
        lambda: losses.reconstruction,
        lambda: losses.denoising(corruption.Dropout(0.5)),
        lambda: losses.elbo(2.0),
        lambda: losses.denoising(nn.Dropout(0.5)),
        cells,
        noise,
    ):
        assert describe(make()) == describe(make())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (losses.reconstruction, losses.classification),
        (losses.elbo(1.0), losses.elbo(2.0)),
        (losses.denoising(corruption.Dropout(0.5)), losses.denoising(corruption.Dropout(0.4))),
        (losses.denoising(corruption.Dropout(0.5)), losses.denoising(corruption.Masking(0.5))),
        (losses.denoising(nn.Dropout(0.5)), losses.denoising(nn.Dropout(0.5).eval())),
        (losses.denoising(lambda x: x * 2), losses.denoising(lambda x: x * 3)),
        (losses.denoising(torch.zeros_like), losses.denoising(torch.ones_like)),
        (functools.partial(torch.clamp, max=1), functools.partial(torch.clamp, max=0.5)),
        (cells(), cells(factor="0.25")),
        (cells(), cells(level="level = 2")),
        (noise(), noise(strength=0.25)),
        (noise(), noise(parent="images * 3")),
        (models.dense_autoencoder, models.stacked_autoencoder),
        (torch.zeros(3), torch.ones(3)),
    ],
)
def test_another_is_another(one, other):
    assert describe(one) != describe(other)


def test_what_holds_itself_comes_to_an_end():
    class Corruptor:
        def __init__(self):
            self.me = self

        def __call__(self, images):
            return images

    assert describe(Corruptor()) == describe(Corruptor())


def test_the_same_in_another_process():
    script = """
from torch import nn
from course_utils import corruption, losses
from course_utils.engine.identity import describe, digest
corruptor = nn.Sequential(nn.Dropout(0.5), nn.ReLU())
for loss in (losses.denoising(corruption.Dropout(0.5)), losses.denoising(corruptor)):
    print(digest(describe(loss).encode()))
"""
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout and len(set(runs[0].stdout.split())) == 2
