"""The weights that take too long to train in class, shipped with the course.

`pretrained.load("conv")` gives the model.

Each name stands for three files in `weights/`: the numbers (.safetensors), the training's history
(.csv) and a card (.json) that says how they were made, what error they reach and their SHA-256.
`tools/make_weights.py` makes them again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
from safetensors import torch as safetensors
from torch import nn

from course_utils import models

FOLDER = Path(__file__).parent / "weights"
BUILDERS = {  # name -> a model of that shape, untrained
    "conv": models.conv_autoencoder,  # the seminar's, after its 100 epochs
    "dae": lambda: models.dense_autoencoder(int(784 * 1.2)),  # the chapter's denoising autoencoder
    # small codes, for the fair comparison of lesson 5
    "conv_10": lambda: models.conv_autoencoder(10, last=nn.Sigmoid()),
    "conv_32": lambda: models.conv_autoencoder(32, last=nn.Sigmoid()),
    "conv_64": lambda: models.conv_autoencoder(64, last=nn.Sigmoid()),
    "resnet_64": lambda: models.resnet_autoencoder(64),
    # the seminar's after six epochs: what lesson 6 transfers
    "conv_short": models.conv_autoencoder,
}


def load(name: str) -> nn.Sequential:
    """The trained model, in eval mode, float32, on the CPU.

    Raises:
        ValueError: no such weights are shipped, or the file is not the one that its card describes.
    """
    about, content = card(name), (FOLDER / f"{name}.safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise ValueError(
            f"{name}.safetensors is damaged: its SHA-256 is not the one on its card. "
            "Install the course again"
        )
    model = BUILDERS[name]().float()
    model.load_state_dict(safetensors.load(content))  # copied into float32, also from float16
    return model.eval()


def history(name: str) -> pd.DataFrame:
    """The training's history, a row for each epoch.

    Columns: epoch, train_loss, validation_loss, seconds, learning_rate.
    """
    card(name)  # says what there is when the name is wrong
    return pd.read_csv(FOLDER / f"{name}.csv")


def card(name: str) -> dict:
    """How the weights were made and what error they reach.

    Raises:
        ValueError: no such weights are shipped.
    """
    if name not in BUILDERS or not (FOLDER / f"{name}.json").exists():
        there = ", ".join(sorted(path.stem for path in FOLDER.glob("*.json")))
        raise ValueError(f"there are no shipped weights {name!r}; there are: {there}")
    return json.loads((FOLDER / f"{name}.json").read_text())
