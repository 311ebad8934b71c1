"""Makes course_utils/weights/transfer.csv, the label-budget table of lesson 06. About 25 minutes on one quiet core.

    make_transfer_table.py                          every row that the table still lacks
    make_transfer_table.py --draws 1 --out /tmp/x.csv    a first look

One row for each data set, method, number of labels and draw of labels: accuracy on the 10,000 test images. Rates and epochs
were fixed on the validation images of one draw (100 and 1,000 labels) and then kept; the test images serve for the table only.
"""

from __future__ import annotations

import argparse
import copy
import time
from functools import lru_cache
from pathlib import Path

import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from course_utils import corruption, data, metrics, models, pretrained, training

TABLE = Path(__file__).resolve().parents[1] / "course_utils" / "weights" / "transfer.csv"
EPOCHS = {100: 40, 500: 20, 1000: 12, 5000: 4}  # of one stage, at batches of 32
SLOWER = 0.3  # the rate of what was pre-trained, as a share of the new layers' 1e-3
CODE = {"conv": 576, "DAE": 940, "ResNet": 64}


def draw_labels(image_set: data.ImageSet, n: int, draw: int) -> tuple[Tensor, Tensor]:
    """``n`` labelled images, the same number of each class: images (n, 1, 28, 28), labels (n,)."""
    generator = torch.Generator().manual_seed(draw)
    chosen = []
    for c in range(10):
        members = torch.nonzero(image_set.labels == c).flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[: n // 10]])
    chosen = torch.cat(chosen)
    return image_set.images[chosen], image_set.labels[chosen]


def new_head(size: int) -> nn.Sequential:
    """The new layers: code -> 64 -> one score for each class."""
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 10))


def fresh_encoder(kind: str) -> nn.Module:
    build = {"conv": models.conv_autoencoder, "DAE": lambda: models.dense_autoencoder(940), "ResNet": models.resnet_autoencoder}
    return build[kind]()[0]


@lru_cache
def pretrained_autoencoder(weights: str) -> nn.Module:
    """The shipped weights of that name; the denoising model is trained here, once (it is too large to ship for this alone)."""
    if weights != "DAE":
        return pretrained.load(weights)
    torch.manual_seed(0)
    model = models.dense_autoencoder(940)
    unlabelled = data.load_images("FashionMNIST", "train").images
    training.fit(model, unlabelled, training.denoising(corruption.Dropout(0.5)), epochs=12, device="cpu")
    return model


def pretrained_encoder(weights: str) -> nn.Module:
    """A copy of its encoder, in eval mode."""
    return copy.deepcopy(pretrained_autoencoder(weights)[0]).eval()


def train(model: nn.Module, labelled: tuple[Tensor, Tensor], draw: int, groups: list[dict], stages: int = 1) -> None:
    """Cross-entropy, Adam, a cosine-shaped rate; what trains in one stage runs as long as what trains in two."""
    epochs = stages * EPOCHS[len(labelled[0])]
    training.fit(model, labelled, training.classification, epochs=epochs, batch_size=32, seed=draw, device="cpu", progress=False,
                 optimizer=torch.optim.Adam(groups, lr=1e-3, fused=True),
                 schedule=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs))


def accuracy(model: nn.Module, image_set: data.ImageSet) -> float:
    scores = metrics.apply_in_batches(model, image_set.images)
    return float((scores.argmax(1) == image_set.labels).float().mean())


def scratch(kind: str, labelled, draw: int) -> nn.Module:
    """Encoder and head both new."""
    torch.manual_seed(draw)
    model = nn.Sequential(fresh_encoder(kind), new_head(CODE[kind]))
    train(model.to(memory_format=torch.channels_last), labelled, draw, [{"params": model.parameters()}], stages=2)
    return model


def frozen(kind: str, weights: str, labelled, draw: int) -> nn.Module:
    """The pre-trained encoder in eval mode and without gradients; its codes are computed once, the head is trained on them."""
    encoder = pretrained_encoder(weights).requires_grad_(False)
    torch.manual_seed(draw)
    head = new_head(CODE[kind])
    train(head, (metrics.apply_in_batches(encoder, labelled[0]), labelled[1]), draw, [{"params": head.parameters()}])
    return nn.Sequential(encoder, head)


def fine_tuned(kind: str, weights: str, labelled, draw: int, slower: float = SLOWER) -> nn.Module:
    """First the head alone (``frozen``), then everything, the pre-trained part at a smaller rate."""
    model = frozen(kind, weights, labelled, draw).requires_grad_(True)
    train(model.to(memory_format=torch.channels_last), labelled, draw,
          [{"params": model[0].parameters(), "lr": 1e-3 * slower}, {"params": model[1].parameters()}])
    return model


def logistic_regression(features, labelled, test: data.ImageSet) -> float:
    """scikit-learn's logistic regression on standardised features; its accuracy on ``test``."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    classifier.fit(features(labelled[0]).numpy(), labelled[1].numpy())
    return float(classifier.score(features(test.images).numpy(), test.labels.numpy()))


def experiments() -> list[tuple[str, str, str, dict]]:
    """(data set of the labels, method, encoder, recipe)."""
    rows = [("FashionMNIST", "pixels", "none", {}), ("FashionMNIST", "PCA", "none", {})]
    for kind, weights in {"conv": "conv_short", "DAE": "DAE", "ResNet": "resnet_64"}.items():
        rows += [("FashionMNIST", "frozen", kind, {"run": frozen, "weights": weights})]
    for kind, weights in {"conv": "conv_short", "DAE": "DAE", "ResNet": "resnet_64"}.items():
        rows += [("FashionMNIST", "from scratch", kind, {"run": scratch}),
                 ("FashionMNIST", "fine-tuned", kind, {"run": fine_tuned, "weights": weights})]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="*", default=list(EPOCHS))
    parser.add_argument("--encoders", nargs="*", default=["none", "conv", "DAE", "ResNet"])
    arguments = parser.parse_args()
    columns = ["labels_of", "method", "encoder", "labels", "draw", "accuracy"]
    table = pd.read_csv(arguments.out) if arguments.out.exists() else pd.DataFrame(columns=columns)
    done = set(map(tuple, table[columns[:5]].astype(str).values))
    sets = {}
    for name, method, kind, recipe in experiments():
        for draw in range(arguments.draws):
            if kind not in arguments.encoders:
                continue
            if name not in sets:
                train_set, test = data.load_images(name, "train"), data.load_images(name, "test")
                sets[name] = train_set, test, metrics.PCABaseline(train_set.images)
            train_set, test, pca = sets[name]
            for n in arguments.labels:
                if tuple(map(str, (name, method, kind, n, draw))) in done :
                    continue
                start, labelled = time.process_time(), draw_labels(train_set, n, draw)
                if recipe:
                    options = dict(recipe)
                    run = options.pop("run")
                    result = accuracy(run(kind, labelled=labelled, draw=draw, **options), test)
                else:
                    features = (lambda x: x.flatten(1)) if method == "pixels" else (lambda x: pca.encode(x, 64))
                    result = logistic_regression(features, labelled, test)
                table.loc[len(table)] = [name, method, kind, n, draw, round(result, 4)]
                table.to_csv(arguments.out, index=False)
                seconds = time.process_time() - start
                print(f"{name:13} {method:30} {kind:7} {n:5} labels, draw {draw}: {result:.4f}   {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
