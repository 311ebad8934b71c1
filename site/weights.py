"""Shipped models as scripts for the page: layers in order, numbers as float16 in base64.

A script can be loaded from file://, where a page may not fetch a file.
"""

import base64
import json
from pathlib import Path

import numpy as np

from course_utils import models, pretrained, sweeps  # isort: skip  (before torch)

import torch
from safetensors.numpy import load_file
from torch import Tensor, nn

FOLDER = Path(__file__).parent / "weights"


def stored(name: str, model: nn.Module) -> nn.Module:
    numbers = load_file(FOLDER / f"{name}.safetensors")
    model.load_state_dict({key: torch.from_numpy(value) for key, value in numbers.items()})
    return model.eval()


def affine() -> nn.Sequential:
    linear = nn.Linear(784, 784)
    return nn.Sequential(stored("affine", linear), nn.Hardtanh(0, 1))


def load_all() -> dict[str, nn.Sequential]:
    """Every model of the pages, in float32, with the float16 numbers that the page will have."""
    dense = models.dense_autoencoder
    found = {
        "dense_10": stored("dense_10", dense(10)),
        "dae": stored("dae_256", dense(256)),
        "control": stored("control_256", dense(256)),
        "affine": affine(),
        "conv_10": pretrained.load("conv_10"),
        "stacked_2": stored("stacked_2", models.stacked_autoencoder(2)[1]),
        "variational_2": stored("variational_2", models.stacked_autoencoder(2)[1]),
    }
    for model in found.values():
        model.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
    return found


def text(numbers: np.ndarray | Tensor, dtype=np.float16) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, dtype=dtype).tobytes()).decode()


def layers(model: nn.Module) -> list[dict]:
    """The layers of a model in the order in which they are applied."""
    kinds = {nn.ReLU: "relu", nn.Sigmoid: "sigmoid", nn.Hardtanh: "clamp", nn.MaxPool2d: "pool"}
    rows = []
    for layer in model.modules():
        if type(layer) in kinds:
            rows.append({"kind": kinds[type(layer)]})
        elif isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            numbers = {"weight": text(layer.weight.detach()), "bias": text(layer.bias.detach())}
            shape = list(layer.weight.shape)
            kind = {nn.Linear: "dense", nn.Conv2d: "conv"}.get(type(layer), "transposed")
            step = (
                {} if kind == "dense" else {"stride": layer.stride[0], "padding": layer.padding[0]}
            )
            rows.append({"kind": kind, "shape": shape, **step, **numbers})
        elif isinstance(layer, nn.Unflatten):
            rows.append({"kind": "reshape", "shape": list(layer.unflattened_size)})
        elif list(layer.children()) == [] and not isinstance(layer, (nn.Flatten, nn.Identity)):
            raise TypeError(f"the page cannot compute {layer}")
    return rows


def halves(model: nn.Module) -> dict[str, list[dict]]:
    """An autoencoder's encoder and decoder; any other model is a decoder."""
    if len(model) == 2 and not isinstance(model[1], nn.Hardtanh):
        return {"encoder": layers(model[0]), "decoder": layers(model[1])}
    return {"decoder": layers(model)}


def pictures() -> dict:
    found = load_file(FOLDER / "pictures.safetensors")
    table = sweeps.shipped("FashionMNIST", epochs=12).groupby("latent_dim")["test_error"].mean()
    numbers = {
        k: v.tolist() for k, v in found.items() if k in ("ranges", "sweep_dims", "map_labels")
    }
    numbers["map_codes"] = found["map_codes"].round(4).tolist()
    numbers["sweep_errors"] = [float(table[k]) for k in numbers["sweep_dims"]]
    images = {
        k: text(v, np.uint8) for k, v in found.items() if v.dtype == np.uint8 and k != "map_labels"
    }
    return {**numbers, **images}


def write(folder: Path) -> None:
    """A script for each model and one for the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in {
        **{k: halves(m) for k, m in load_all().items()},
        "pictures": pictures(),
    }.items():
        script = f"course.loaded({json.dumps(name)}, {json.dumps(value, separators=(',', ':'))});\n"
        (folder / f"{name}.js").write_text(script)
