"""Exercise 3: a corruption, a score, a denoiser that beats the best affine map."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from course_utils import corruption, data, metrics
from course_utils.engine.asking import Question, Wrong, expect, tensor
from course_utils.engine.exam_images import altered

# 1. corruption


def given_corruption(random):
    return {
        "images": 0.2 + 0.8 * torch.rand(400, 1, 28, 28, generator=random),
        "p": 0.15 + 0.2 * float(torch.rand(1, generator=random)),
        "seed": int(torch.randint(1, 10_000, (1,), generator=random)),
    }


def ask_damage(student, given):
    return {"images": student.corrupt(given["images"], given["p"], given["seed"])}


def ask_seeds(student, given):
    images, p, seed = given["images"][:20], given["p"], given["seed"]
    first, again, other = (
        student.corrupt(images.clone(), p, number) for number in (seed, seed, seed + 1)
    )
    return {"first": first, "again": again, "other": other}


def ask_manners(student, given):
    images = given["images"][:20].clone()
    torch.manual_seed(given["seed"] + 7)
    first = student.corrupt(images, given["p"], given["seed"]).clone()
    return {"first": first, "images": images, "numbers": torch.rand(5)}


def sound(corrupted, images, p):
    """``Wrong`` unless each pixel is zero or what it was. (Survivors that were divided
    by 1 - p are the first rule's matter: the other rules let them pass.)"""
    alive = corrupted != 0
    gap = torch.minimum(
        (corrupted - images).abs(), (corrupted - images / (1 - p)).abs()
    )
    if bool(alive.all()):
        raise Wrong("pixels that were lost", "some", "none", "nothing is set to zero")
    if bool(alive.any()) and float(gap[alive].max()) > 1e-5:
        cause = "a pixel is either kept or set to zero: images times a mask of 0 and 1"
        raise Wrong("a surviving pixel's change", 0.0, float(gap[alive].max()), cause)


def zeros_and_survivors(given, answers, expected):
    """Each pixel by itself is zero with probability p; the others stay as they are."""
    images, p = given["images"].double(), given["p"]
    corrupted = tensor(answers[0], "images", tuple(images.shape))
    sound(corrupted, images, p)
    gone = corrupted == 0
    if bool((~gone).any()):
        gap = float((corrupted - images)[~gone].abs().max())
        if gap > 1e-5:
            cause = "survivors were divided by 1 - p, as nn.Dropout does"
            raise Wrong("the largest change of a surviving pixel", 0.0, gap, cause)
    share = gone.double()
    spread = float(share.flatten(1).mean(1).std())
    if spread > 0.05:
        cause = "whole images are lost: one random number for each pixel is needed"
        what = "the deviation of the share of lost pixels, from image to image"
        raise Wrong(what, "below 0.05", spread, cause)
    spread = float(share.mean(0).std())
    if spread > 0.06:
        cause = "one mask for all images: its shape must be images.shape"
        what = "the deviation of the share of lost images, from pixel to pixel"
        raise Wrong(what, "below 0.06", spread, cause)
    share = float(share.mean())
    if abs(share - p) > 0.02:
        turned = abs(share - (1 - p)) < 0.02
        cause = "p is the chance to lose a pixel, not to keep it" if turned else ""
        cause = cause or "p is not used, or a number other than p is compared with it"
        raise Wrong("the share of lost pixels", p, share, cause)


def seeds_repeat(given, answers, expected):
    """The same seed does the same damage, another seed another."""
    images = given["images"][:20].double()
    first, again, other = (
        tensor(answers[1], name, tuple(images.shape))
        for name in ("first", "again", "other")
    )
    sound(first, images, given["p"])
    sound(other, images, given["p"])
    if not torch.equal(first, again):
        cause = "the random numbers do not come from the generator"
        raise Wrong("the damage of one seed, twice", "the same", "two kinds", cause)
    if torch.equal(first == 0, other == 0):
        cause = "seed is not used: a number is typed in"
        raise Wrong("the damage of two seeds", "two kinds", "the same", cause)


def nothing_disturbed(given, answers, expected):
    """Neither the images handed in nor anybody else's random numbers are changed."""
    images = given["images"][:20].double()
    sound(tensor(answers[2], "first", tuple(images.shape)), images, given["p"])
    changed = int((tensor(answers[2], "images", tuple(images.shape)) != images).sum())
    if changed:
        cause = "an in-place change, such as images[…] = 0: make new images instead"
        what = "pixels of the images handed in that are not as they were"
        raise Wrong(what, 0, changed, cause)
    generator = torch.Generator().manual_seed(given["seed"] + 7)
    right = torch.rand(5, generator=generator).double()
    if not torch.equal(tensor(answers[2], "numbers"), right):
        what = "torch's common random numbers after the call"
        cause = "torch.manual_seed, or random numbers without generator=generator"
        raise Wrong(what, "undisturbed", "others", cause)


# 2. the score


def given_scoring(random):
    images = data.load_images("FashionMNIST", "validation", sample=True).images[:500]
    return {
        "images": altered(images, random),
        "kernel": torch.rand(1, 1, 3, 3, generator=random) / 6,
        "p": 0.3 + 0.4 * float(torch.rand(1, generator=random)),
    }


def ask_sleeping_corruptor(student, given):
    """The model is a blur with a dropout of its own, which must be off while scored."""
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Dropout(0.4))
    model[0].weight = nn.Parameter(given["kernel"])
    corruptors = [nn.Dropout(given["p"]).eval(), nn.Dropout(given["p"]).train()]
    score, images = student.denoising_score, given["images"]
    return {"errors": [float(score(model.eval(), images, c)) for c in corruptors]}


def ask_waking_model(student, given):
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Dropout(0.4))
    model[0].weight = nn.Parameter(given["kernel"])
    corruptor = nn.Dropout(given["p"]).train()
    error = student.denoising_score(model.train(), given["images"], corruptor)
    return {"error": float(error)}


def ask_function(student, given):
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Dropout(0.4))
    model[0].weight = nn.Parameter(given["kernel"])
    images = given["images"]
    error = student.denoising_score(model.eval(), images, lambda pixels: pixels * 0.5)
    return {"error": float(error)}


MODES = [(True, False), (False, True), (True, True)]  # of model and corruptor


def ask_modes(student, given):
    """What it says of the modes is a claim: whoever forges it has to know it."""
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Dropout(0.4))
    model[0].weight = nn.Parameter(given["kernel"])
    corruptor = nn.Dropout(given["p"]).train(given["modes"][1])
    model.train(given["modes"][0])
    error = float(student.denoising_score(model, given["images"], corruptor))
    return {"error": error, "modes": [model.training, corruptor.training]}


def in_other_modes(step, given, answers):
    return {**given, "modes": list(MODES[step - 3])} if step >= 3 else given


def blurred(given, pictures):
    return F.conv2d(pictures, given["kernel"], padding=1)


def honest_scores(given):
    """Mean and deviation of twenty honest draws: what chance alone does to a score."""
    images, random = given["images"], torch.Generator().manual_seed(0)
    corruptor, draws = corruption.Dropout(given["p"]), []
    for _ in range(20):
        draws.append(metrics.mse(blurred(given, corruptor(images, random)), images))
    return float(torch.tensor(draws).mean()), float(torch.tensor(draws).std())


def expected_scores(given):
    images, random = given["images"], torch.Generator().manual_seed(1)
    corrupted = corruption.Dropout(given["p"])(images, random)
    made, half = blurred(given, corrupted), blurred(given, images * 0.5)
    error, deviation = honest_scores(given)
    dropped = corruption.Dropout(0.4)(made, random)
    plain = metrics.mse(half, images)
    mistakes = {
        "the corruptor was in eval mode and did nothing": metrics.mse(
            blurred(given, images), images
        ),
        "the model was judged in train mode": metrics.mse(dropped, images),
        "the output was compared with the corrupted images": metrics.mse(
            made, corrupted
        ),
        "the sum over the pixels of an image, not the mean per pixel": error * 784,
        "the root of the mean; the mean itself is asked for": error**0.5,
    }
    of_function = {
        "the function was not called": mistakes[
            "the corruptor was in eval mode and did nothing"
        ],
        "the output was compared with the corrupted images": metrics.mse(
            half, images * 0.5
        ),
        "the sum over the pixels of an image, not the mean per pixel": plain * 784,
    }
    return {
        "error": error,
        "plain": plain,
        "chance": 6 * deviation / error,
        "mistakes": {"error": mistakes, "plain": of_function},
    }


def right_error(error, expected, what):
    likely = "mean over all pixels of (model(corruptor(images)) - images) ** 2"
    chance = expected["chance"]
    expect({"error": error}, "error", expected, what, tolerance=chance, likely=likely)


def corruption_is_on(given, answers, expected):
    """The images are corrupted, in whatever mode the corruptor comes."""
    errors = answers[0].get("errors")
    if not isinstance(errors, list) or len(errors) != 2:
        raise Wrong("two scores", "two numbers", errors, "the score is one float")
    for error, mode in zip(errors, ("eval", "train")):
        right_error(error, expected, f"the score, with nn.Dropout in {mode} mode")


def model_in_eval_mode(given, answers, expected):
    """The model is judged in eval mode, in whatever mode it comes."""
    what = "the score of a model that has a dropout of its own and comes in train mode"
    right_error(answers[1].get("error"), expected, what)


def takes_a_function(given, answers, expected):
    """A corruptor may be a plain function."""
    got = {"plain": answers[2].get("error")}
    what = "the score, with a function that halves the pixels"
    likely = "something other than a call is asked of the corruptor"
    expect(got, "plain", expected, what, tolerance=1e-3, likely=likely)


def modes_as_found(given, answers, expected):
    """With a right score: both are left in the mode in which they came."""
    for answer in answers[3:]:
        right_error(
            answer.get("error"), expected, "the score, before modes are looked at"
        )
    got = {"modes": [answer.get("modes") for answer in answers[3:]]}
    right = {"modes": [list(pair) for pair in MODES]}
    what = "training of model and corruptor after three calls"
    likely = "put each back into the mode in which it came: module.train(mode)"
    expect(got, "modes", right, what, likely=likely)


def farthest_score(given, answers):
    """The farthest error from the honest mean, in deviations of one draw."""
    expected, deviation = honest_scores(given)
    errors = [*answers[0]["errors"], answers[1]["error"]]
    errors += [answer["error"] for answer in answers[3:]]
    return max(abs(error - expected) for error in errors) / deviation, 6


# 3. a denoiser


def given_denoising(random):
    """Images that no file holds. The images that count stay with the judge."""
    train = data.load_images("FashionMNIST", "train", sample=True).images
    other = data.load_images("FashionMNIST", "validation", sample=True).images
    pick = torch.randperm(len(train), generator=random)[:7000]
    both = torch.cat([train[pick], other[:600]])
    both = altered(both, random, mirror=True, one_shift=True, bend=1.5)
    damage = corruption.Masking(0.5)
    clean, images = both[7000:], both[:7000]
    affine = metrics.AffineDenoiser(damage(images, random), images)
    corrupted = damage(clean, random)
    return {
        "train": images,
        "corrupted": damage(images[:10], random),
        "epochs": 18,
        "seed": int(torch.randint(0, 1000, (1,), generator=random)),
        "_corrupted": corrupted,
        "_clean": clean,
        "_affine": affine(corrupted),
    }


def train_hidden(student, given):
    model = student.train_denoiser(given["train"], given["epochs"], given["seed"])
    return model.eval()


@torch.no_grad()
def ask_some(state, given):
    return {"restored": state(given["corrupted"]).float()}


@torch.no_grad()
def ask_restored(state, given):
    return {"restored": state(given["corrupted"]).float()}


def held_out(step, given, answers):
    return {"corrupted": given["_corrupted"]} if step else given


def ratio_to_affine(given, answers):
    """Error over the affine map's. The task asks for 0.95; the rest is margin."""
    clean = given["_clean"].double()
    restored = tensor(answers[1], "restored", tuple(clean.shape))
    affine = metrics.mse(given["_affine"].double(), clean)
    return metrics.mse(restored, clean) / affine, 1.0


def restores(given, answers, expected):
    """It restores: held-out images come out far better than damaged."""
    cause = "the model must return images, (N, 1, 28, 28), one for each"
    for answer, count in ((answers[0], 10), (answers[1], len(given["_clean"]))):
        restored = answer.get("restored")
        if not isinstance(restored, torch.Tensor) or restored.shape[1:] != (1, 28, 28):
            got = tuple(getattr(restored, "shape", ()))
            raise Wrong("the restored images' shape", (count, 1, 28, 28), got, cause)
    clean = given["_clean"].double()
    restored = tensor(answers[1], "restored", tuple(clean.shape))
    error, damage = (
        metrics.mse(restored, clean),
        metrics.mse(given["_corrupted"], clean),
    )
    if not error < 0.3 * damage:
        what = (
            "the error per pixel of the restored images, over the damaged images' own"
        )
        cause = "no training, or on clean images, or against the damaged ones"
        raise Wrong(what, "below 0.3", error / damage, cause)


def below_affine(given, answers, expected):
    """Its error on held-out images is below that of the best affine map."""
    ratio, limit = ratio_to_affine(given, answers)
    if not ratio < limit:
        cause = "trained on clean images, or too small a learning rate or network"
        what = "the error, as a multiple of the affine map's"
        raise Wrong(what, f"below {limit:g}", ratio, cause)


QUESTIONS = [
    Question(
        "corrupt",
        given=given_corruption,
        ask=(ask_damage, ask_seeds, ask_manners),
        rules={zeros_and_survivors: 1, seeds_repeat: 0.5, nothing_disturbed: 0.5},
        seconds=20,
    ),
    Question(
        "denoising_score",
        given=given_scoring,
        ask=(ask_sleeping_corruptor, ask_waking_model, ask_function, *[ask_modes] * 3),
        then=in_other_modes,
        expected=expected_scores,
        rules={
            corruption_is_on: 2,
            model_in_eval_mode: 0.5,
            takes_a_function: 0.5,
            modes_as_found: 1,
        },
        measure=farthest_score,
        seconds=30,
    ),
    Question(
        "train_denoiser",
        given=given_denoising,
        prepare=train_hidden,
        ask=(ask_some, ask_restored),
        then=held_out,
        rules={restores: 1, below_affine: 2},
        measure=ratio_to_affine,
        seconds=150,
    ),
]
