"""Makes lesson 06's tables in course_utils/tables, transfer and two more.

The code that trains is the lesson's own: its cells with the tag "label-budget".

One row for each method, encoder, number of labels and draw of labels: accuracy on the
10,000 test images. Rates and epochs were fixed on the validation images of one draw
(100 and 1,000 labels) and then kept; the test images serve for the table only.
Encoders: `conv` after six epochs (`conv_short` of the shipped weights), `DAE`,
`ResNet`; and two controls of the DAE's shape, `copier` (trained without corruption for
as many epochs as the DAE, 30) and `random layer` (never trained).

About an hour on one quiet core, encoders included, which are kept in build/transfer/;
run again after an interruption and the rows that are there stay.

The two more are `epochs`, for section 5 (the seminar's model pre-trained from three
random starts, seen at seven moments of its hundred epochs, 100 labels, five draws;
`error` is the autoencoder's on the validation images; two hours), and `across`, for
section 8 (encoders pre-trained on clothes or digits from three random starts, 100
labels of either set, five draws; half an hour).

    PYTHONPATH=. python lessons/06_transfer/table.py [across | epochs] [FILE]
"""

from __future__ import annotations

import itertools
import sys
from functools import cache
from pathlib import Path

import pandas as pd
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
    (("frozen",), ("random layer",), [100]),
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

EPOCHS_KEYS = ["start", "epochs", "method", "draw"]
MOMENTS = (1, 3, 6, 12, 25, 50, 100)
PROTOCOLS = ("frozen", "head first", "all at once")
MOMENT_RUNS = itertools.product(STARTS, MOMENTS, PROTOCOLS, DRAWS)
EPOCH_RUNS = [dict(zip(EPOCHS_KEYS, run)) for run in MOMENT_RUNS]


@cache
def images(split: str, name: str = "FashionMNIST") -> data.ImageSet:
    return data.load_images(name, split)


@cache
def pca() -> metrics.PCABaseline:
    return metrics.PCABaseline(images("train").images)


FOLDER = tables.ROOT / "build" / "transfer"


def copier() -> nn.Module:
    """The encoder of the DAE's shape that learned to copy."""
    torch.manual_seed(0)
    model, path = models.dense_autoencoder(WIDE), FOLDER / "copier.pt"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        fit(model, images("train"), epochs=COPIER_EPOCHS)
        torch.save(model[0].state_dict(), path)
    model[0].load_state_dict(torch.load(path, weights_only=True))
    return model[0]


def pretrained_encoder(name: str, draw: int) -> nn.Module:
    """The encoder of that name; one that nobody trained is new in each draw."""
    if name in WEIGHTS:
        return pretrained.load(WEIGHTS[name])[0]
    if name == "copier":
        return copier()
    torch.manual_seed(1000 + draw)
    return models.dense_autoencoder(WIDE)[0]


@cache
def seen_at(start: int, epochs: int) -> tuple[nn.Module, float]:
    """The seminar's encoder after so many epochs from that start, and the autoencoder's
    validation error at that moment. Trains a hundred epochs where they are not kept."""
    folder = FOLDER / f"start-{start}"
    folder.mkdir(parents=True, exist_ok=True)

    def keep(model, history):
        if len(history) in MOMENTS:
            torch.save(model[0].state_dict(), folder / f"{len(history)}.pt")
            history.table().to_csv(folder / "history.csv", index=False)

    torch.manual_seed(start)
    model, path = models.conv_autoencoder(), folder / f"{epochs}.pt"
    if not path.exists():
        kept = {"checkpoint": folder / "all.ckpt", "on_epoch": keep, "seed": start}
        how = {"epochs": MOMENTS[-1], "validation": images("validation"), **kept}
        fit(model, images("train"), **how)
        if not path.exists():  # killed between a checkpoint and this file
            kept["checkpoint"].unlink()
            return seen_at.__wrapped__(start, epochs)
    model[0].load_state_dict(torch.load(path, weights_only=True))
    history = pd.read_csv(folder / "history.csv").set_index("epoch")
    return model[0], float(history.validation_loss[epochs])


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


def measure_epochs(start: int, epochs: int, method: str, draw: int) -> dict[str, float]:
    labelled = LESSON["draw_labels"](images("train"), 100, draw)
    encoder, error = seen_at(start, epochs)
    model = LESSON[method.replace(" ", "_")](labelled, draw, encoder)
    accuracy = LESSON["accuracy"](model, images("test"))
    return {"accuracy": round(accuracy, 4), "error": round(error, 6)}


FURTHER = {
    "across": (ACROSS_KEYS, ACROSS, measure_across),
    "epochs": (EPOCHS_KEYS, EPOCH_RUNS, measure_epochs),
}


def main() -> None:
    which = sys.argv.pop(1) if sys.argv[1:2] and sys.argv[1] in FURTHER else ""
    keys, runs, measure_one = FURTHER.get(which, (KEYS, RUNS, measure))
    name = f"{NAME}_{which}" if which else NAME
    tables.fill(tables.target(name), keys, runs, measure_one)


if __name__ == "__main__":
    main()
