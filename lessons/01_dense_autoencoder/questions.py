"""Exercise 1: dead units, PCA's error, an autoencoder of ten numbers that beats PCA. Margins: ``grading/MARGINS.md``."""

from __future__ import annotations

import torch
from course_utils import data, metrics

from grading.judging import Question, Wrong, close, number, tensor
from grading.secret_images import altered


# 1. dead units

def given_codes(random):
    """A code with dead, negative, rarely-on and always-on units in secret places."""
    codes = torch.randn(60, 24, generator=random)
    kind = torch.randint(0, 4, (24,), generator=random)
    kind[torch.randperm(24, generator=random)[:4]] = torch.tensor([0, 1, 2, 3])  # at least one of each
    codes[:, kind == 0] = 0
    codes[:, kind == 1] = -codes[:, kind == 1].abs()
    rare = (kind == 2).nonzero().flatten()
    codes[:, rare] = 0
    codes[torch.randint(0, 60, (len(rare),), generator=random), rare] = 1.5
    codes[7] = 0  # one image for which no unit is on
    return {"codes": codes, "all_dead": torch.zeros(5, 3)}


def ask_dead(student, given):
    as_list = lambda units: [int(unit) for unit in units]
    return {"units": as_list(student.dead_units(given["codes"])), "all": as_list(student.dead_units(given["all_dead"]))}


def judge_dead(given, answers):
    codes, got = given["codes"], answers[0]["units"]
    expected = [unit for unit in range(codes.shape[1]) if not codes[:, unit].any()]
    if got == [unit for unit in range(codes.shape[1]) if bool((codes[:, unit] == 0).any())]:
        raise Wrong("a unit that is zero for some images was counted as dead. Likely cause: any instead of all")
    if got == [unit for unit in range(codes.shape[1]) if bool((codes[:, unit] <= 0).all())]:
        raise Wrong("a unit that is negative was counted as dead. Likely cause: 'not above zero' instead of 'zero'")
    if got != expected:
        raise Wrong(f"expected {len(expected)} dead units of a hidden code, got {len(got)}, or others. Likely cause: the wrong dimension")
    if answers[0]["all"] != [0, 1, 2]:
        raise Wrong("of a code that is all zeros every unit is dead, and the list must be in order")


# 2. PCA's error

def given_images(random):
    train, other = data.load_images("FashionMNIST", "train").images, data.load_images("FashionMNIST", "validation").images
    pick = torch.randperm(len(train), generator=random)[:1200]
    ground = 0.4 * torch.rand(1, 28, 28, generator=random)  # a strong mean that is no direction of the data: to forget it must show at any k
    return {"train": 0.6 * altered(train[pick], random) + ground, "images": 0.5 * altered(other[:400], random) + 0.1 + ground,
            "k": 5 + int(torch.randint(0, 20, (1,), generator=random))}


def ask_pca(student, given):
    return {"error": float(student.pca_error(given["train"], given["images"], given["k"])),
            "other_k": float(student.pca_error(given["train"], given["images"], given["k"] + 20))}


def judge_pca(given, answers):
    pca, k = metrics.PCABaseline(given["train"]), given["k"]
    x, y = given["train"].flatten(1), given["images"].flatten(1)
    plain = torch.linalg.svd(x, full_matrices=False)[2][:k]
    own = y.mean(0)
    expected = pca.error(given["images"], k)
    close("PCA's error on hidden images", number(answers[0], "error"), expected, 2e-3, causes={
        "the mean was not subtracted": float(((y @ plain.T @ plain - y) ** 2).mean()),
        "the mean of the judged images was used instead of the training images'": float((((y - own) @ pca.components[:k].T @ pca.components[:k] + own - y) ** 2).mean()),
        "sum over the pixels instead of mean": expected * 784,
        "the error on the training images": pca.error(given["train"], k)})
    close("PCA's error with more components", number(answers[0], "other_k"), pca.error(given["images"], k + 20), 2e-3)


# 3. an autoencoder that beats PCA

STEPS = 2500


def given_training(random):
    """Images that no file holds: shifted and mirrored in secret, so that weights or results typed in are of no use."""
    train, other = data.load_images("FashionMNIST", "train").images, data.load_images("FashionMNIST", "validation").images
    pick = torch.randperm(len(train), generator=random)[:7000]
    both = altered(torch.cat([train[pick], other[:600]]), random, mirror=True, one_shift=True)
    return {"train": both[:7000], "images": both[7000:], "epochs": round(STEPS * 128 / 7000), "seed": int(torch.randint(0, 1000, (1,), generator=random))}


def train_hidden(student, given):
    """Runs once; the two questions below are asked of copies of this process, so that the decoder cannot remember what the encoder saw."""
    autoencoder = student.train_autoencoder(given["train"], given["epochs"], given["seed"])
    autoencoder.eval()
    return autoencoder


@torch.no_grad()
def ask_codes(state, given):
    return {"codes": state[0](given["images"]).float()}


@torch.no_grad()
def ask_images(state, given):
    return {"images": state[1](given["codes"]).float()}


def only_what_is_asked(step, given, answers):
    """The encoder gets the images in an order of our own; the decoder gets the codes, in another order, and nothing else."""
    codes = tensor(answers[0], "codes", (len(given["images"]), 10)).float()
    return {"codes": codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(given["seed"]))]}


def measure_training(given, answers):
    """Error over PCA's with ten components. The task and the visible check ask for 0.98: the difference is the margin."""
    images = given["images"]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(given["seed"]))
    rebuilt = tensor(answers[1], "images", tuple(images.shape))
    return metrics.mse(rebuilt, images[order].double()) / metrics.PCABaseline(given["train"]).error(images, 10), 1.0


def judge_training(given, answers):
    codes = tensor(answers[0], "codes", (len(given["images"]), 10))
    dead = int((codes == 0).all(dim=0).sum())
    if dead:
        raise Wrong(f"{dead} of the 10 units are dead on hidden images. Likely cause: a ReLU on the code")
    ratio, limit = measure_training(given, answers)
    if not ratio < limit:
        raise Wrong(f"the error on hidden images is {ratio:.3f} of PCA's with ten components, expected below {limit:g}")


QUESTIONS = [
    Question("check_dead_units", given_codes, (ask_dead,), judge_dead, seconds=20),
    Question("check_pca_error", given_images, (ask_pca,), judge_pca, seconds=60),
    Question("check_train_autoencoder", given_training, (ask_codes, ask_images), judge_training, prepare=train_hidden, then=only_what_is_asked, measure=measure_training, seconds=120),
]
