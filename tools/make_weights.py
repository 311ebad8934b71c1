"""Make the shipped weights again: all, or some as in `python -m tools.make_weights dae`.

To ship another model: add its builder to `BUILDERS` in course_utils/pretrained.py and its recipe to
`RECIPES` here, then run this with its name and commit the three files that it writes to
course_utils/weights/. What matters to know:
- models are built after `torch.manual_seed(0)` and trained by `fit` with seed 0 on all training
  images;
- what was trained so far is kept in build/weights/, so that an interrupted run goes on;
- numbers are stored as float32, or as float16 where that would be more than 3 MB; errors are those
  of the stored numbers.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import torch as safetensors

from course_utils import corruption, losses, metrics, pretrained, training
from course_utils.data import load_images

LARGEST = 3_000_000  # bytes


@dataclass
class Recipe:
    """How one set of weights is trained."""

    what: str  # one sentence for the card
    epochs: int
    loss: losses.Loss = losses.reconstruction
    corruptor: corruption.Masking | None = (
        None  # the errors on the card are of images corrupted by it
    )
    dataset: str = "FashionMNIST"
    fit: dict = field(default_factory=dict)  # further arguments of fit


def falling(optimizer):
    """A rate that ends near 0 after eight epochs."""
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)


FALLING = {"schedule": falling}
RECIPES = {
    "conv": Recipe(
        "The seminar's convolutional autoencoder after 100 epochs of Adam, batches of 128.",
        epochs=100,
    ),
    "dae": Recipe(
        "The chapter's denoising autoencoder with 940 units, trained with Dropout(0.5) on its "
        "input.",
        epochs=30,
        loss=losses.denoising(corruption.Dropout(0.5)),
        corruptor=corruption.Dropout(0.5),
    ),
    **{
        f"conv_{k}": Recipe(
            f"The convolutional autoencoder with a linear code of {k} numbers and a sigmoid on "
            "the pixels.",
            epochs=8,
            fit=FALLING,
        )
        for k in (10, 32, 64)
    },
    "resnet_64": Recipe(
        "A ResNet's first two stages, a linear code of 64 numbers, a decoder that grows by "
        "resizing.",
        epochs=8,
        fit=FALLING,
    ),
    "conv_short": Recipe("The seminar's convolutional autoencoder after six epochs.", epochs=6),
}


def error(model, images: torch.Tensor, corruptor=None) -> float:
    """Mean squared error per pixel; where there is a corruptor, of images that it corrupted with
    its generator at seed 0."""
    inputs = corruptor(images, torch.Generator().manual_seed(0)) if corruptor else None
    return metrics.reconstruction_error(model, images, inputs)


def train(name: str) -> tuple[torch.nn.Module, training.History, dict]:
    """One recipe's model, its history and the images of each split."""
    recipe = RECIPES[name]
    splits = {
        split: load_images(recipe.dataset, split) for split in ("train", "validation", "test")
    }
    if splits["train"].source != "full":
        raise SystemExit("Weights need the full data: set COURSE_DATA to the folder that holds it.")
    torch.manual_seed(0)
    model = pretrained.BUILDERS[name]()
    history = training.fit(
        model,
        splits["train"],
        recipe.loss,
        epochs=recipe.epochs,
        validation=splits["validation"],
        checkpoint=Path("build/weights") / f"{name}.ckpt",
        **recipe.fit,
    )
    if len(history) < recipe.epochs:
        raise SystemExit(f"{name}: stopped after {len(history)} epochs; run again to go on")
    return model, history, splits


def make(name: str) -> None:
    """Train one recipe and write its three files."""
    recipe = RECIPES[name]
    model, history, splits = train(name)
    numbers = {key: value.contiguous() for key, value in model.state_dict().items()}
    if sum(value.numel() * 4 for value in numbers.values()) > LARGEST:
        numbers = {
            key: value.half() if value.is_floating_point() else value
            for key, value in numbers.items()
        }
    model.load_state_dict(numbers)  # what is stored is what is measured
    content = safetensors.save(numbers)
    card = {
        "what": recipe.what,
        "dataset": recipe.dataset,
        "epochs": len(history),
        "parameters": sum(p.numel() for p in model.parameters()),
        "corruption": repr(recipe.corruptor) if recipe.corruptor else "none",
        "validation_error": error(model, splits["validation"].images, recipe.corruptor),
        "test_error": error(model, splits["test"].images, recipe.corruptor),
        "stored_as": str(next(iter(numbers.values())).dtype).removeprefix("torch."),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "training_seconds": round(sum(history.seconds)),
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
    }
    pretrained.FOLDER.mkdir(exist_ok=True)
    (pretrained.FOLDER / f"{name}.safetensors").write_bytes(content)
    table = pretrained.FOLDER / f"{name}.csv"
    history.table().to_csv(table, index=False, float_format="%.7g")
    (pretrained.FOLDER / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n")
    print(
        f"{name}: test error {card['test_error']:.5f}, {card['bytes'] / 1e6:.2f} MB, "
        f"{card['training_seconds']} s of training"
    )


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(RECIPES)
    if unknown:
        raise SystemExit(f"no recipe for {', '.join(sorted(unknown))}, but: {', '.join(RECIPES)}")
    for wanted in sys.argv[1:] or RECIPES:
        make(wanted)
