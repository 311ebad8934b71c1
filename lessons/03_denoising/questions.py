"""Exercise 3: a repeatable corruption, a score that the eval trap cannot fool, a denoiser that beats the affine map."""

from __future__ import annotations

import torch
from course_utils import corruption, data, metrics
from torch import nn
from torch.nn import functional as F

from grading.judging import Question, Wrong, close, number, tensor
from grading.secret_images import altered


# 1. corruption

def given_corruption(random):
    return {"images": 0.2 + 0.8 * torch.rand(400, 1, 28, 28, generator=random), "p": 0.15 + 0.2 * float(torch.rand(1, generator=random)),
            "seed": int(torch.randint(1, 10_000, (1,), generator=random))}


def ask_corruption(student, given):
    images, p, seed = given["images"], given["p"], given["seed"]
    before = images.clone()
    state = torch.get_rng_state()
    first = student.corrupt(images, p, seed).clone()
    undisturbed = bool((state == torch.get_rng_state()).all())
    return {"first": first, "again": student.corrupt(images, p, seed)[:20], "other": student.corrupt(images, p, seed + 1)[:20], "undisturbed": undisturbed,
            "input_kept": bool((images == before).all())}


def judge_corruption(given, answers):
    answer, images, p = answers[0], given["images"].double(), given["p"]
    first = tensor(answer, "first", tuple(images.shape))
    gone = first == 0
    kept = ~gone
    if kept.any() and (first[kept] - images[kept]).abs().max() > 1e-5:
        raise Wrong("the pixels that survive must stay as they are. Likely cause: they were divided by 1 - p, as nn.Dropout does")
    by_image, by_pixel = gone.flatten(1).double().mean(1), gone.flatten(1).double().mean(0)
    if by_image.std() > 0.05 or by_pixel.std() > 0.06:
        raise Wrong("the damage is not independent from pixel to pixel and from image to image. Likely cause: one mask for all images, or whole images")
    share = float(gone.double().mean())
    if abs(share - (1 - p)) < 0.02:
        raise Wrong("the share of lost pixels is 1 - p. Likely cause: p is the chance to lose a pixel, not to keep it")
    if abs(share - p) > 0.02:
        raise Wrong(f"a share of {share:.2f} of the pixels is zero, expected {p:.2f}")
    if not torch.equal(tensor(answer, "again"), first[:20]):
        raise Wrong("the same seed must give the same damage")
    if torch.equal(tensor(answer, "other") == 0, gone[:20]):
        raise Wrong("another seed must give another damage")
    if answer.get("undisturbed") is not True:
        raise Wrong("torch's common random numbers were disturbed. Likely cause: torch.manual_seed or a mask without generator=")
    if answer.get("input_kept") is not True:
        raise Wrong("the images that were handed in were changed")


# 2. the score

def given_scoring(random):
    images = altered(data.load_images("FashionMNIST", "validation").images[:500], random)
    return {"images": images, "kernel": torch.rand(1, 1, 3, 3, generator=random) / 6, "p": 0.3 + 0.4 * float(torch.rand(1, generator=random))}


def prepare_scoring(student, given):
    """A blur with a dropout of its own, which must be off while it is scored."""
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Dropout(0.4))
    model[0].weight = nn.Parameter(given["kernel"])
    return {"student": student, "model": model}


def ask_scores(state, given):
    score, model, images, p = state["student"].denoising_score, state["model"], given["images"], given["p"]
    modes, errors = [], []
    for training in (True, False):
        for corruptor in (nn.Dropout(p).eval(), nn.Dropout(p).train()):
            model.train(training)
            before = corruptor.training
            errors.append(float(score(model, images, corruptor)))
            modes.append(model.training == training and corruptor.training == before)
    model.eval()
    plain = float(score(model, images, lambda pictures: pictures * 0.5))
    return {"errors": errors, "plain": plain, "modes": modes}


def blurred(given, pictures):
    return F.conv2d(pictures, given["kernel"], padding=1)


def honest_scores(given):
    """Mean and deviation of twenty honest draws of the score: what chance alone does to it."""
    images, random = given["images"], torch.Generator().manual_seed(0)
    draws = torch.tensor([metrics.mse(blurred(given, corruption.Dropout(given["p"])(images, random)), images) for _ in range(20)])
    return float(draws.mean()), float(draws.std())


def measure_scores(given, answers):
    """The farthest of the four errors from the honest mean, in deviations of one draw."""
    expected, deviation = honest_scores(given)
    return max(abs(error - expected) for error in answers[0]["errors"]) / deviation, 6


def judge_scores(given, answers):
    answer, images, p = answers[0], given["images"], given["p"]
    blur = lambda pictures: blurred(given, pictures)  # noqa: E731
    random = torch.Generator().manual_seed(1)
    corrupted, clean = corruption.Dropout(p)(images, random), metrics.mse(blur(images), images)
    expected, deviation = honest_scores(given)
    chance = 6 * deviation / expected
    train_mode = metrics.mse(corruption.Dropout(0.4)(blur(corrupted), random), images)
    errors = answer.get("errors")
    if not isinstance(errors, list) or len(errors) != 4:
        raise Wrong("the score must be one number")
    for error in errors:
        close("the error with corruption on", number({"error": error}, "error"), expected, chance, causes={
            "the corruptor was in eval mode and did nothing": clean, "the model was judged in train mode": train_mode,
            "the output was compared with the corrupted images": metrics.mse(blur(corrupted), corrupted), "sum over the pixels instead of mean": expected * 784})
    close("the error with a corruptor that is a function", number(answer, "plain"), metrics.mse(blur(images * 0.5), images), 1e-3)
    if answer.get("modes") != [True] * 4:
        raise Wrong("model and corruptor must be left in the mode in which they came")


# 3. a denoiser

def given_denoising(random):
    train, other = data.load_images("FashionMNIST", "train").images, data.load_images("FashionMNIST", "validation").images
    pick = torch.randperm(len(train), generator=random)[:7000]
    both = altered(torch.cat([train[pick], other[:600]]), random, mirror=True, one_shift=True)
    clean, training = both[7000:], both[:7000]
    return {"train": training, "corrupted": corruption.Masking(0.5)(clean, random), "epochs": 18, "seed": int(torch.randint(0, 1000, (1,), generator=random)),
            "_clean": clean, "_affine": metrics.AffineDenoiser(corruption.Masking(0.5)(training, random), training)(corruption.Masking(0.5)(clean, random))}


def train_hidden(student, given):
    model = student.train_denoiser(given["train"], given["epochs"], given["seed"])
    model.eval()
    return model


@torch.no_grad()
def ask_restored(state, given):
    return {"restored": state(given["corrupted"]).float()}


def measure_denoising(given, answers):
    """Error over the affine map's. The task and the visible check ask for 0.95: the difference is the margin."""
    clean = given["_clean"].double()
    restored = tensor(answers[0], "restored", tuple(clean.shape))
    return metrics.mse(restored, clean) / metrics.mse(given["_affine"].double(), clean), 1.0


def judge_denoising(given, answers):
    ratio, limit = measure_denoising(given, answers)
    if not ratio < limit:
        raise Wrong(f"the error on hidden images is {ratio:.3f} of the affine map's, expected below {limit:g}")


QUESTIONS = [
    Question("check_corrupt", given_corruption, (ask_corruption,), judge_corruption, seconds=20),
    Question("check_denoising_score", given_scoring, (ask_scores,), judge_scores, prepare=prepare_scoring, measure=measure_scores, seconds=30),
    Question("check_train_denoiser", given_denoising, (ask_restored,), judge_denoising, prepare=train_hidden, measure=measure_denoising, seconds=150),
]
