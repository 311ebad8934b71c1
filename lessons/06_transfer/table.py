"""Makes course_utils/tables/transfer.csv, the label-budget table of lesson 06.

The code that trains is the lesson's own: its cells with the tag "label-budget". One row
for each method, encoder, number of labels and draw of labels: accuracy on the 10,000
test images. Rates and epochs were fixed on the validation images of one draw (100 and
1,000 labels) and then kept; the test images serve for the table only. About a quarter
of an hour on one quiet core; run again after an interruption and the rows that are
there stay.

    PYTHONPATH=. python lessons/06_transfer/table.py [FILE]
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, metrics, pretrained
from tools import tables

NAME, KEYS = "transfer", ["method", "encoder", "labels", "draw"]
# name of the encoder in the table -> shipped weights
WEIGHTS = {"conv": "conv_short", "DAE": "dae", "ResNet": "resnet_64"}
BASELINES = [("pixels", "none"), ("PCA", "none")]
NETWORKS = itertools.product(("frozen", "from scratch", "fine-tuned"), WEIGHTS)

LESSON = tables.tagged_cells(Path(__file__).with_name("lesson.py"), "label-budget")
ALL = itertools.product([*BASELINES, *NETWORKS], LESSON["EPOCHS"], range(5))
RUNS = [dict(zip(KEYS, (*method, labels, draw))) for method, labels, draw in ALL]


@cache
def images(split: str) -> data.ImageSet:
    return data.load_images("FashionMNIST", split)


@cache
def pca() -> metrics.PCABaseline:
    return metrics.PCABaseline(images("train").images)


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
    weights = WEIGHTS[encoder]
    if method == "from scratch":
        model = LESSON["from_scratch"](labelled, draw, pretrained.BUILDERS[weights])
    else:
        train = {"frozen": LESSON["frozen"], "fine-tuned": LESSON["fine_tuned"]}[method]
        model = train(labelled, draw, pretrained.load(weights)[0])
    return LESSON["accuracy"](model, images("test"))


def measure(method: str, encoder: str, labels: int, draw: int) -> dict[str, float]:
    labelled = LESSON["draw_labels"](images("train"), labels, draw)
    if encoder == "none":
        accuracy = logistic_regression(method, labelled)
    else:
        accuracy = network(method, encoder, labelled, draw)
    return {"accuracy": round(float(accuracy), 4)}


def main(path: Path) -> None:
    tables.fill(path, KEYS, RUNS, measure)


if __name__ == "__main__":
    main(tables.target(NAME))
