"""What lesson 06 says: its shipped table, and the parts of it that are cheap enough to measure again."""

import copy
import importlib.util
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from course_utils import metrics, pretrained
from course_utils.data import load_images, one_of_each

spec = importlib.util.spec_from_file_location("make_transfer_table", Path(__file__).parents[2] / "tools" / "make_transfer_table.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(files("course_utils") / "weights" / "transfer.csv")


def runs_of(table, method, encoder, labels, labels_of="FashionMNIST") -> np.ndarray:
    """Accuracies of the five draws, in per cent."""
    rows = table[(table.labels_of == labels_of) & (table.method == method) & (table.encoder == encoder) & (table.labels == labels)]
    assert sorted(rows.draw) == [0, 1, 2, 3, 4], f"{labels_of}, {method}, {encoder}, {labels}: draws {sorted(rows.draw)}"
    return 100 * rows.sort_values("draw").accuracy.to_numpy()


CORE = [("pixels", "none"), ("PCA", "none"), ("frozen", "DAE"), ("frozen", "ResNet")] + [
    (method, "conv") for method in ("from scratch", "frozen", "fine-tuned")]


def test_table_is_complete(table):
    assert not table.duplicated(["labels_of", "method", "encoder", "labels", "draw"]).any()
    for method, encoder in CORE:
        for labels in tool.EPOCHS:
            assert (runs_of(table, method, encoder, labels) > 10).all()


def test_what_the_lesson_reads_off_the_table(table, record):
    for method, encoder in CORE:
        for labels in tool.EPOCHS:
            accuracies = runs_of(table, method, encoder, labels)
            record(f"{method}, {encoder}, {labels} labels", f"{accuracies.mean():.1f} ± {accuracies.std(ddof=1):.1f} %")
    for labels in (100, 500, 1000):  # paired by draw: fine-tuning wins in every single draw where labels are few
        gain = runs_of(table, "fine-tuned", "conv", labels) - runs_of(table, "from scratch", "conv", labels)
        record(f"fine-tuned minus from scratch, {labels} labels", f"{gain.mean():+.1f} ± {gain.std(ddof=1):.1f} points")
        assert gain.mean() > 1.5


def test_labels_are_drawn_evenly_and_reproducibly(full_data):
    train = load_images("FashionMNIST", "train")
    images, labels = tool.draw_labels(train, 100, 3)
    assert images.shape == (100, 1, 28, 28) and (torch.bincount(labels) == 10).all()
    assert torch.equal(images, tool.draw_labels(train, 100, 3)[0])
    assert not torch.equal(images, tool.draw_labels(train, 100, 4)[0])
    assert len(images.flatten(1).unique(dim=0)) > 95  # no image drawn twice but for twins in the data


def test_frozen_and_fine_tuned_move_what_they_should(full_data):
    labelled = tool.draw_labels(load_images("FashionMNIST", "train"), 100, 0)
    before = pretrained.load("resnet_64")[0].state_dict()
    frozen = tool.frozen("ResNet", "resnet_64", labelled, 0)
    assert all(torch.equal(value, before[name]) for name, value in frozen[0].state_dict().items())
    moved = tool.fine_tuned("ResNet", "resnet_64", labelled, 0)[0].state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in moved.items())


def test_batch_normalisation_drifts_without_gradients(full_data, record):
    """requires_grad_(False) alone: no parameter moves, and the codes of the ten images change all the same; in eval mode they do not."""
    train, ten = load_images("FashionMNIST", "train"), one_of_each(load_images("FashionMNIST", "test"))
    encoder = pretrained.load("resnet_64")[0].requires_grad_(False)
    footwear = train.images[torch.isin(train.labels, torch.tensor([5, 7, 9]))]
    before = metrics.apply_in_batches(encoder, ten.images)
    for seed in range(3):
        changes = {}
        for mode in (True, False):
            careless = copy.deepcopy(encoder).train(mode)
            for batch in footwear[torch.randperm(len(footwear), generator=torch.Generator().manual_seed(seed))][:640].split(32):
                careless(batch)
            changes[mode] = float((metrics.apply_in_batches(careless.eval(), ten.images) - before).norm() / before.norm())
            assert all(torch.equal(a, b) for a, b in zip(careless.parameters(), encoder.parameters()))
        record(f"change of the codes after 20 batches in train mode, seed {seed}", round(changes[True], 3))
        assert changes[True] > 0.1 and changes[False] == 0


@pytest.mark.slow
def test_rows_of_the_table_come_out_again(full_data, table, record):
    """Three draws at 100 labels, run again: each within the spread that rounding on another machine can bring."""
    train, test = load_images("FashionMNIST", "train"), load_images("FashionMNIST", "test")
    for draw in range(3):
        labelled = tool.draw_labels(train, 100, draw)
        for method, run in {"from scratch": lambda: tool.scratch("conv", labelled, draw),
                            "fine-tuned": lambda: tool.fine_tuned("conv", "conv_short", labelled, draw)}.items():
            again = 100 * tool.accuracy(run(), test)
            record(f"{method}, 100 labels, draw {draw}, again", round(again, 1))
            assert abs(again - runs_of(table, method, "conv", 100)[draw]) < 4
