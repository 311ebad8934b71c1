"""Makes course_utils/tables/transfer.csv, the label-budget table of lesson 06. About a quarter of an hour on one quiet core.

The code that trains is the lesson's own: its cells with the tag "label-budget". One row for each method, encoder, number of labels
and draw of labels: accuracy on the 10,000 test images. A row is written as soon as it is measured; run again after an interruption
and the rows that are there stay. Rates and epochs were fixed on the validation images of one draw (100 and 1,000 labels) and then
kept; the test images serve for the table only.

    python tools/make_transfer_table.py [FILE]
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import pandas as pd
from make_error_table import ROOT, tagged_cells
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_utils import data, metrics, pretrained

DRAWS = range(5)
WEIGHTS = {"conv": "conv_short", "DAE": "dae", "ResNet": "resnet_64"}  # name of the encoder in the table -> shipped weights
COLUMNS = ["method", "encoder", "labels", "draw", "accuracy"]

lesson: dict = {}
exec(tagged_cells(ROOT / "sources/notebooks/06_transfer.py", "label-budget"), lesson)


def network(method: str, encoder: str, labelled, draw: int, test: data.ImageSet) -> float:
    """Accuracy of a network trained as the lesson does."""
    if method == "from scratch":
        model = lesson["from_scratch"](labelled, draw, pretrained.BUILDERS[WEIGHTS[encoder]])
    else:
        train = {"frozen": lesson["frozen"], "fine-tuned": lesson["fine_tuned"]}[method]
        model = train(labelled, draw, pretrained.load(WEIGHTS[encoder])[0])
    return lesson["accuracy"](model, test)


def logistic_regression(features, labelled, test: data.ImageSet) -> float:
    """Accuracy of scikit-learn's logistic regression on standardised features."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    classifier.fit(features(labelled[0]).numpy(), labelled[1].numpy())
    return float(classifier.score(features(test.images).numpy(), test.labels.numpy()))


def main(out: Path) -> None:
    table = pd.read_csv(out) if out.exists() else pd.DataFrame(columns=COLUMNS)
    done = set(table[COLUMNS[:4]].itertuples(index=False, name=None))
    train, test = (data.load_images("FashionMNIST", split) for split in ("train", "test"))
    pca = metrics.PCABaseline(train.images)
    features = {"pixels": lambda images: images.flatten(1), "PCA": lambda images: pca.encode(images, 64)}
    methods = [(name, "none") for name in features] + list(itertools.product(("frozen", "from scratch", "fine-tuned"), WEIGHTS))
    for (method, encoder), n, draw in itertools.product(methods, lesson["EPOCHS"], DRAWS):
        if (method, encoder, n, draw) in done:
            continue
        start, labelled = time.process_time(), lesson["draw_labels"](train, n, draw)
        if method in features:
            result = logistic_regression(features[method], labelled, test)
        else:
            result = network(method, encoder, labelled, draw, test)
        table.loc[len(table)] = [method, encoder, n, draw, round(result, 4)]
        table.to_csv(out, index=False)
        print(f"{method:13} {encoder:7} {n:5} labels, draw {draw}: {result:.4f}   {time.process_time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "course_utils/tables/transfer.csv")
