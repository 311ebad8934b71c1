"""Makes lesson 06's tables, course_utils/tables/transfer.csv and transfer_across.csv.

The code that trains is the lesson's own: its cells with the tag "label-budget".

One row for each method, encoder, number of labels and draw of labels: accuracy on the
10,000 test images. Rates and epochs were fixed on the validation images of one draw
(100 and 1,000 labels) and then kept; the test images serve for the table only.
Encoders: `conv` after six epochs (`conv_short` of the shipped weights), `conv-N` after
N epochs of the same training; `DAE`, `ResNet`; and two controls of the DAE's shape,
`copier` (trained without corruption for as many epochs as the DAE, 30) and `random
layer` (never trained).

About an hour on one quiet core, encoders included, which are kept in build/transfer/;
run again after an interruption and the rows that are there stay.

The second table holds section 8: encoders pre-trained on clothes or digits from three
random starts, 100 labels of either set, five draws. Half an hour.

    PYTHONPATH=. python lessons/06_transfer/table.py [across] [FILE]
"""

from __future__ import annotations

import itertools
import sys
from functools import cache
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from course_utils import data, metrics, models, pretrained
from course_utils.training import fit
from tools import tables

NAME, KEYS = "transfer", ["method", "encoder", "labels", "draw"]
# name of the encoder in the table -> shipped weights
WEIGHTS = {"conv": "conv_short", "DAE": "dae", "ResNet": "resnet_64"}
SHIPPED = {**WEIGHTS, "conv-100": "conv"}
COPIER_EPOCHS = 30  # as many as the DAE
CONTROLS = ("copier", "random layer")
WIDE = int(784 * 1.2)  # units of the DAE and of its controls

LESSON = tables.tagged_cells(Path(__file__).with_name("lesson.py"), "label-budget")
BUDGETS, DRAWS = list(LESSON["EPOCHS"]), range(5)
METHODS = ("frozen", "from scratch", "head first")
ALL = [  # (methods, encoders, labels)
    (("pixels", "PCA"), ("none",), BUDGETS),
    (METHODS, WEIGHTS, BUDGETS),
    (("all at once",), ("conv", "DAE"), [100]),
    (("frozen", "head first", "all at once"), ("conv-100",), [100]),
    (("frozen",), ("random layer",), [100]),
    (("frozen", "head first", "all at once"), ("conv-1",), [100]),
    (("frozen",), CONTROLS, [100, 1000]),
    (("two blocks", "head first, one rate", "all at once, slower"), ("conv",), [100]),
]
PRODUCTS = [itertools.product(*part, DRAWS) for part in ALL]
RUNS = [dict(zip(KEYS, run)) for run in itertools.chain(*PRODUCTS)]

ACROSS_KEYS = ["labels_of", "method", "encoder", "start", "draw"]
SETS = {"clothes": "FashionMNIST", "digits": "MNIST"}
STARTS = (0, 3, 5)  # 1, 2 and 4 paint black for ever: lesson 5
WAYS = ("head first", "all at once")
SCRATCH = itertools.product(SETS, ["from scratch"], ["none"], [0], DRAWS)
OTHERS = itertools.product(SETS, WAYS, SETS, STARTS, DRAWS)
ACROSS = [dict(zip(ACROSS_KEYS, run)) for run in itertools.chain(SCRATCH, OTHERS)]


@cache
def images(split: str, name: str = "FashionMNIST") -> data.ImageSet:
    return data.load_images(name, split)


@cache
def pca() -> metrics.PCABaseline:
    return metrics.PCABaseline(images("train").images)


def train_encoder(name: str, folder: Path) -> None:
    """One of the two trained encoders that are not shipped: conv-1 or the copier."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    copier = name == "copier"
    model = models.dense_autoencoder(WIDE) if copier else models.conv_autoencoder()
    fit(model, images("train"), epochs=COPIER_EPOCHS if copier else 1)
    torch.save(model[0].state_dict(), folder / f"{name}.pt")


def pretrained_encoder(name: str, draw: int) -> nn.Module:
    """The encoder of that name; those that nobody trained are new in each draw."""
    if name in SHIPPED:
        return pretrained.load(SHIPPED[name])[0]
    torch.manual_seed(1000 + draw)
    conv = name.startswith("conv")
    model = models.conv_autoencoder() if conv else models.dense_autoencoder(WIDE)
    encoder = model[0]
    if name != "random layer":
        folder = tables.ROOT / "build" / "transfer"
        if not (folder / f"{name}.pt").exists():
            train_encoder(name, folder)
        encoder.load_state_dict(torch.load(folder / f"{name}.pt", weights_only=True))
    return encoder


def features(method: str, pictures: torch.Tensor) -> torch.Tensor:
    return pictures.flatten(1) if method == "pixels" else pca().encode(pictures, 64)


def logistic_regression(method: str, labelled) -> float:
    """Accuracy of scikit-learn's logistic regression on standardised features."""
    learner = LogisticRegression(C=0.1, max_iter=1000)
    classifier = make_pipeline(StandardScaler(), learner)
    classifier.fit(features(method, labelled[0]).numpy(), labelled[1].numpy())
    test = images("test")
    return classifier.score(features(method, test.images).numpy(), test.labels.numpy())


def network(method: str, encoder: str, labelled, draw: int) -> float:
    """Accuracy of a network trained as the lesson does."""
    if method == "from scratch":
        build = pretrained.BUILDERS[WEIGHTS[encoder]]
        model = LESSON["from_scratch"](labelled, draw, build)
    else:
        train = {
            "frozen": LESSON["frozen"],
            "head first": LESSON["head_first"],
            "head first, one rate": lambda *how: LESSON["head_first"](*how, rate=1e-3),
            "all at once": LESSON["all_at_once"],
            "all at once, slower": lambda *how: LESSON["all_at_once"](*how, rate=3e-4),
            "two blocks": LESSON["lower_layers"],
        }[method]
        model = train(labelled, draw, pretrained_encoder(encoder, draw))
    return LESSON["accuracy"](model, images("test"))


def measure(method: str, encoder: str, labels: int, draw: int) -> dict[str, float]:
    labelled = LESSON["draw_labels"](images("train"), labels, draw)
    if encoder == "none":
        accuracy = logistic_regression(method, labelled)
    else:
        accuracy = network(method, encoder, labelled, draw)
    return {"accuracy": round(float(accuracy), 4)}


@cache
def short_encoder(name: str, start: int) -> nn.Module:
    return LESSON["pretrain"](images("train", SETS[name]).images, start)


def measure_across(
    labels_of: str, method: str, encoder: str, start: int, draw: int
) -> dict[str, float]:
    name = SETS[labels_of]
    labelled = LESSON["draw_labels"](images("train", name), 100, draw)
    if encoder == "none":
        model = LESSON["from_scratch"](labelled, draw)
    else:
        train = LESSON[method.replace(" ", "_")]
        model = train(labelled, draw, short_encoder(encoder, start))
    return {"accuracy": round(LESSON["accuracy"](model, images("test", name)), 4)}


def main() -> None:
    if sys.argv[1:2] == ["across"]:
        del sys.argv[1]
        path = tables.target(f"{NAME}_across")
        tables.fill(path, ACROSS_KEYS, ACROSS, measure_across)
    else:
        tables.fill(tables.target(NAME), KEYS, RUNS, measure)


if __name__ == "__main__":
    main()
