"""Latent sweep 1: corruption, the denoiser and its loss, the score, training, two rules, success below 784, the spectrum.

Margins: ``grading/MARGINS.md``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from course_utils import data, metrics
from course_utils.corruption import Dropout

from grading.judging import Question, Wrong, close, number, tensor
from grading.secret_images import altered


def some_images(random, n, split="validation", name="FashionMNIST"):
    images = data.load_images(name, split).images
    return altered(images[torch.randperm(len(images), generator=random)[:n]], random)


# 1. corruption

def given_corrupt(random):
    return {"images": 0.1 + 0.8 * torch.rand(400, 1, 28, 28, generator=random), "p": 0.15 + 0.2 * float(torch.rand(1, generator=random))}


def ask_corrupt(student, given):
    images = given["images"].clone()
    torch.manual_seed(3)
    first, second = student.corrupt(images, given["p"]), student.corrupt(images, given["p"])
    torch.manual_seed(3)
    return {"first": first, "second": second, "again": student.corrupt(images, given["p"]), "original": images, "default": student.corrupt(images)}


def judge_corrupt(given, answers):
    images, p, shape = given["images"].double(), given["p"], tuple(given["images"].shape)
    first, second, again, original, default = (tensor(answers[0], name, shape) for name in ("first", "second", "again", "original", "default"))
    if not torch.equal(original, images):
        raise Wrong("the images that were handed over were changed. Likely cause: in-place work")
    lost = first == 0
    close("the share of lost pixels", float(lost.double().mean()), p, 0.05, causes={"p is the share that is lost, not the share that stays": 1 - p})
    if not torch.allclose(first[~lost], (images / (1 - p))[~lost], rtol=1e-4):
        raise Wrong("the pixels that stay must be divided by 1 - p")
    per_image = lost.double().mean(dim=(1, 2, 3))
    if torch.equal(first, second) or per_image.std() > 0.05 or bool((lost == lost[:1]).all()):
        raise Wrong("every image and every call must be damaged anew, pixel by pixel")
    if not torch.equal(first, again):
        raise Wrong("the same torch.manual_seed gives another damage. Likely cause: noise that is not torch's")
    close("the share of lost pixels by default", float((default == 0).double().mean()), 0.5, 0.05)


# 2. the model and its loss

def given_model(random):
    return {"images": some_images(random, 1500), "dim": 20 + int(torch.randint(0, 60, (1,), generator=random)), "grey": 0.2 + 0.4 * float(torch.rand(1, generator=random))}


def ask_model(student, given):
    model, seen = student.make_dae(given["dim"]), []

    class Probe(torch.nn.Module):
        def forward(self, images):
            seen.append(images.detach().clone())
            return torch.full_like(images, given["grey"])

    loss = student.denoising_loss(Probe(), given["images"], None)
    trainable = student.denoising_loss(model, given["images"][:64], None)
    trainable.backward()
    gradients = [p.grad is not None and bool(p.grad.any()) for p in model.parameters()]
    return {"parameters": sum(p.numel() for p in model.parameters()), "code": model[0](given["images"][:7]).detach(), "restored": model(given["images"][:7]).detach(),
            "loss": float(loss), "seen": seen[0], "gradients": sum(gradients)}


def judge_model(given, answers):
    images, dim, answer = given["images"], given["dim"], answers[0]
    close("the number of parameters", number(answer, "parameters"), 2 * 784 * dim + dim + 784, 0, 0.5)
    if float(tensor(answer, "code", (7, dim)).min()) < 0:
        raise Wrong("the code has negative numbers: the chapter's encoder ends with ReLU")
    restored = tensor(answer, "restored", (7, 1, 28, 28))
    if float(restored.min()) < 0 or float(restored.max()) > 1:
        raise Wrong("restored pixels lie outside [0, 1]: the chapter's decoder ends with a sigmoid")
    if number(answer, "gradients") < 4:
        raise Wrong("the loss does not reach all weights of the model")
    seen = tensor(answer, "seen", tuple(images.shape))
    inked = images > 0.05
    close("the share of pixels that the model does not see", float((seen[inked] == 0).double().mean()), 0.5, 0.06, causes={"the model was given the originals": 0.0})
    close("the loss of a model that answers grey", number(answer, "loss"), float(((images - given["grey"]).double() ** 2).mean()), 5e-3, causes={
        "compared with the corrupted images instead of the originals": float(((seen - given["grey"]) ** 2).mean()),
        "a sum instead of a mean": float(((images - given["grey"]).double() ** 2).sum())})


# 3. the score

def given_score(random):
    return {"images": some_images(random, 1200), "seed": int(torch.randint(0, 10000, (1,), generator=random)), "weights": torch.randn(784, 784, generator=random) / 28}


def ask_score(student, given):
    modes, seen = [], []

    class Probe(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = torch.nn.Parameter(given["weights"])

        def forward(self, images):
            modes.append(float(self.training))
            seen.append(images.detach().clone())
            return torch.sigmoid(images.flatten(1) @ self.weights).reshape(images.shape)

    model = Probe()
    first, again, other = (float(student.denoising_error(model, given["images"], seed)) for seed in (given["seed"], given["seed"], given["seed"] + 1))
    calls = len(seen) // 3
    return {"first": first, "again": again, "other": other, "training": max(modes), "seen": torch.cat(seen[:calls])}


def judge_score(given, answers):
    images, answer = given["images"], answers[0]
    first, again, other = (number(answer, name) for name in ("first", "again", "other"))
    seen = tensor(answer, "seen", tuple(images.shape)).float()
    truth = metrics.mse(torch.sigmoid(seen.flatten(1) @ given["weights"]).reshape(images.shape), images)
    if abs(float((seen[images > 0.05] == 0).double().mean()) - 0.5) > 0.05:
        raise Wrong("the model was not scored on images of which half of the pixels are gone. Likely cause: scored on clean images")
    close("the score of a hidden model", first, truth, 1e-3, causes={"sum instead of mean": truth * images.numel()})
    if first != again or first == other:
        raise Wrong("the same seed must give the same score, another seed another one")
    if number(answer, "training"):
        raise Wrong("the model was scored in train mode. Likely cause: model.eval() is missing")


# 4. training

def given_training(random):
    both = torch.cat([data.load_images("FashionMNIST", split).images for split in ("train", "validation")])
    both = altered(both[torch.randperm(len(both), generator=random)[:4500]], random, mirror=True, one_shift=True)
    return {"train": both[:4000], "images": both[4000:], "corrupted": Dropout(0.5)(both[4000:], generator=random), "epochs": 30,
            "seed": int(torch.randint(0, 1000, (1,), generator=random))}


def train_hidden(student, given):
    return student.train_dae(given["train"], 96, given["epochs"], given["seed"]), student.train_dae


@torch.no_grad()
def ask_restored(state, given):
    model = state[0].eval()
    torch.rand(5)
    return {"restored": model(given["corrupted"]), "code": model[0](given["corrupted"][:9])}


def ask_same_seed(state, given):
    out = {}
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        torch.rand(11)
        model = state[1](given["train"][:512], 12, 1, seed).eval()
        with torch.no_grad():
            out[name] = model(given["corrupted"][:50])
    return out


def measure_training(given, answers):
    """Error over the best affine denoiser's, both fitted to the same few images."""
    images = given["images"]
    restored = tensor(answers[0], "restored", tuple(images.shape))
    torch.manual_seed(given["seed"])
    affine = metrics.AffineDenoiser(Dropout(0.5)(given["train"]), given["train"])
    return metrics.mse(restored, images.double()) / metrics.mse(affine(given["corrupted"]), images), 1.15


def judge_training(given, answers):
    tensor(answers[0], "code", (9, 96))
    ratio, limit = measure_training(given, answers)
    if not ratio < limit:
        raise Wrong(f"the error on hidden images is {ratio:.2f} of the best affine denoiser's, expected below {limit:g}. "
                    "Likely cause: trained without corruption, or epochs not handed on")
    one, same, other = (tensor(answers[1], name, (50, 1, 28, 28)) for name in ("one", "same", "other"))
    if not torch.allclose(one, same, atol=1e-5):
        raise Wrong("the same seed gives another model. Likely cause: torch.manual_seed(seed) does not stand before the model is made")
    if torch.allclose(one, other, atol=1e-5):
        raise Wrong("another seed gives the same model")


# 5. and 6. reading the table

def a_table(random, dims, seeds, spread):
    """Errors that fall and then lie level within the noise, in an order of rows drawn from the secret."""
    level = torch.tensor([0.01 + 0.3 / dim for dim in dims])
    errors = level[:, None] + spread * torch.randn(len(dims), seeds, generator=random)
    rows = [{"latent_dim": dim, "seed": seed, "validation_error": float(errors[i, seed])} for i, dim in enumerate(dims) for seed in range(seeds)]
    return [rows[i] for i in torch.randperm(len(rows), generator=random).tolist()]


def given_tables(random):
    return {"tables": [a_table(random, [4, 12, 24, 48, 96, 200, 400, 800], seeds, spread) for seeds in (2, 3, 5, 8) for spread in (0.0005, 0.002, 0.004)] +
            [[{"latent_dim": dim, "seed": seed, "validation_error": error + 0.001 * seed} for dim, error in ((8, 0.5), (16, 0.2), (32, 0.3)) for seed in (0, 1, 2)]]}


def ask_best(student, given):
    import pandas
    return {"best": [[int(dim) for dim in student.best_dimensions(pandas.DataFrame(rows))] for rows in given["tables"]]}


def both_rules(rows):
    groups = pd.DataFrame(rows).groupby("latent_dim")["validation_error"]
    mean, error = groups.mean(), groups.sem()
    best = mean.idxmin()
    return [int(best), int(mean[mean <= mean[best] + error[best]].index.min())]


def judge_best(given, answers):
    got, expected = answers[0]["best"], [both_rules(rows) for rows in given["tables"]]
    if [pair[0] for pair in got] != [pair[0] for pair in expected]:
        raise Wrong("rule one: not the width with the smallest mean error on a hidden table")
    if got != expected:
        raise Wrong("rule two: not the smallest width within one standard error of the best, on a hidden table. "
                    "Likely cause: deviation instead of standard error, n instead of n - 1, or the wrong width's error")


def given_success(random):
    return {**given_tables(random), "affine": [0.0125, 0.016, 0.02, 0.03, 0.04]}


def ask_success(student, given):
    import pandas
    return {"dims": [[[int(dim) for dim in student.successful_below(pandas.DataFrame(rows), affine)] for affine in given["affine"]] for rows in given["tables"]],
            "narrow": [int(dim) for dim in student.successful_below(pandas.DataFrame(given["tables"][0]), 0.05, pixels=100, margin=0.3)]}


def judge_success(given, answers):
    def expected(rows, affine, pixels=784, margin=0.1):
        groups = pd.DataFrame(rows).groupby("latent_dim")["validation_error"]
        upper = groups.mean() + groups.sem()
        return [int(dim) for dim, error in upper.items() if dim < pixels and error < (1 - margin) * affine]

    if answers[0]["dims"] != [[expected(rows, affine) for affine in given["affine"]] for rows in given["tables"]]:
        raise Wrong("not the successful widths of a hidden table. Likely cause: the standard error, the margin or the limit of 784 is not used as asked")
    if answers[0]["narrow"] != expected(given["tables"][0], 0.05, 100, 0.3):
        raise Wrong("pixels and margin are parameters: they are to be used")


# 7. the spectrum

def given_spectrum(random):
    return {"images": some_images(random, 2000, "train"), "shares": [0.3, 0.6, 0.9, 0.97]}


def ask_spectrum(student, given):
    return {"needed": [int(student.components_needed(given["images"], share)) for share in given["shares"]]}


def judge_spectrum(given, answers):
    x = given["images"].flatten(1).double()

    def count(values):
        return [int((values.cumsum(0) / values.sum() < share).sum()) + 1 for share in given["shares"]]

    values = torch.linalg.svdvals(x - x.mean(0))
    got = answers[0]["needed"]
    if not np.allclose(got, count(values**2), atol=0.5):
        causes = {"singular values instead of their squares": values, "not centred": torch.linalg.svdvals(x) ** 2}
        cause = next((cause for cause, wrong in causes.items() if got == count(wrong)), "the share must be reached, not almost reached")
        raise Wrong(f"not the number of components on hidden images. Likely cause: {cause}")


QUESTIONS = [
    Question("check_corrupt", given_corrupt, (ask_corrupt,), judge_corrupt, seconds=20),
    Question("check_make_dae", given_model, (ask_model,), judge_model, seconds=30),
    Question("check_denoising_error", given_score, (ask_score,), judge_score, seconds=30),
    Question("check_train_dae", given_training, (ask_restored, ask_same_seed), judge_training, prepare=train_hidden, measure=measure_training, seconds=240),
    Question("check_best_dimensions", given_tables, (ask_best,), judge_best, seconds=20),
    Question("check_successful_below", given_success, (ask_success,), judge_success, seconds=20),
    Question("check_components_needed", given_spectrum, (ask_spectrum,), judge_spectrum, seconds=30),
]
