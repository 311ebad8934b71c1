"""Train what the moving figures need and the package does not ship: site/weights/.

    PYTHONPATH=. python site/make_models.py [NAME …]

Each model is trained as its lesson trains it, from the same seed, on the full data, and stored as
float16. ``pictures.safetensors`` holds the bytes that a figure shows beside them: ten test images,
a map's points and thumbnails, and what each model of the sweep makes of ten corrupted images. About
twenty minutes of one core; what was trained is kept in build/site-models, so it may be stopped.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from course_utils import losses, models, sweeps
from course_utils.corruption import Dropout
from course_utils.data import load_images, one_of_each
from course_utils.metrics import AffineDenoiser, apply_in_batches
from course_utils.training import fit

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS, KEPT = ROOT / "site/weights", ROOT / "build/site-models"
DENOISERS = 256  # code numbers of the figure in lesson 3: a quarter of the lesson's, for its size


def falling(optimizer):
    return CosineAnnealingLR(optimizer, 12)  # as in course_utils.sweeps


# name: (model, what `fit` is told beside images and checkpoint)
RECIPES = {
    "dense_10": (lambda: models.dense_autoencoder(10), dict(epochs=10)),
    "control_256": (
        lambda: models.dense_autoencoder(DENOISERS),
        dict(epochs=12, schedule=falling),
    ),
    "stacked_2": (lambda: models.stacked_autoencoder(2), dict(epochs=8)),
    "variational_2": (
        lambda: models.variational_autoencoder(2),
        dict(epochs=8, loss=losses.elbo()),
    ),
}
SHAPES = {  # of what is stored: the page needs these parts only
    "dense_10": lambda model: model,
    "control_256": lambda model: model,
    "dae_256": lambda model: model,
    "stacked_2": lambda model: model[1],
    "variational_2": lambda model: model[1],
}


def trained(name: str, build, train, **options) -> nn.Sequential:
    torch.manual_seed(0)
    model = build()
    fit(model, train, checkpoint=KEPT / f"{name}.ckpt", device="cpu", **options)
    return model


def store(name: str, tensors: dict) -> None:
    halves = {key: np.asarray(value, dtype=np.float16) for key, value in tensors.items()}
    save_file(halves, WEIGHTS / f"{name}.safetensors")
    print(f"{name}: {sum(value.nbytes for value in halves.values()) / 1e3:.0f} kB", flush=True)


def to_bytes(images: torch.Tensor) -> np.ndarray:
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).reshape(len(images), 784).numpy()


def main() -> None:
    splits = [load_images("FashionMNIST", split) for split in ("train", "validation", "test")]
    train, validation, test = splits
    if train.source != "full":
        sys.exit("site/make_models.py needs the full data: set COURSE_DATA to its folder")
    KEPT.mkdir(parents=True, exist_ok=True)
    ten = one_of_each(test)
    built = {name: trained(name, build, train, **o) for name, (build, o) in RECIPES.items()}

    torch.manual_seed(0)
    affine = AffineDenoiser(Dropout(0.5)(train.images), train.images)
    store("affine", {"weight": affine.weight.T.contiguous(), "bias": affine.bias})

    torch.manual_seed(4)
    corrupted = Dropout(0.5)(ten.images)
    restored, dims = [], sorted(set(sweeps.shipped("FashionMNIST", epochs=12)["latent_dim"]))
    for k in dims:
        model = trained(
            f"dae_{k}",
            lambda k=k: models.dense_autoencoder(k),
            train,
            loss=losses.denoising(Dropout(0.5)),
            epochs=12,
            schedule=falling,
        )
        if k == DENOISERS:
            built["dae_256"] = model
        with torch.no_grad():
            restored.append(to_bytes(model(corrupted)))
    for name, part in SHAPES.items():
        store(name, part(built[name]).state_dict())

    seen = torch.cat([ten.images, validation.images])
    codes = apply_in_batches(built["dense_10"][0], seen).numpy()
    some = test.images[:400]
    means = apply_in_batches(built["variational_2"][0], validation.images).numpy()
    density = np.histogram2d(means[:, 1], means[:, 0], bins=48, range=[[-3, 3]] * 2)[0]
    save_file(
        {
            "ten": to_bytes(ten.images),
            "ranges": np.stack([codes.min(0), codes.max(0)]).astype(np.float32),
            "map_images": to_bytes(some),
            "map_codes": apply_in_batches(built["stacked_2"][0], some).numpy(),
            "map_labels": test.labels[:400].numpy().astype(np.uint8),
            "density": np.clip(255 * density / density.max(), 0, 255).astype(np.uint8),
            "sweep_dims": np.array(dims, dtype=np.int32),
            "sweep_corrupted": to_bytes(corrupted),
            "sweep_restored": np.stack(restored),
        },
        WEIGHTS / "pictures.safetensors",
    )


if __name__ == "__main__":
    main()
