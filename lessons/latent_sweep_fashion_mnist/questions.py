"""Latent sweep 1: corruption, a denoiser, its loss, its score, its training; two rules,
success below 784, the spectrum."""

from __future__ import annotations

import pandas as pd
import torch

from course_utils import data, metrics
from course_utils.corruption import Dropout
from course_utils.engine.asking import Question, Wrong, expect, number, same, tensor
from course_utils.engine.exam_images import altered


def some_images(random, n, split="validation"):
    images = data.load_images("FashionMNIST", split, sample=True).images
    return altered(images[torch.randperm(len(images), generator=random)[:n]], random)


# 1. corruption


def given_pixels(random):
    return {
        "images": 0.1 + 0.8 * torch.rand(600, 1, 28, 28, generator=random),
        "p": 0.15 + 0.2 * float(torch.rand(1, generator=random)),
    }


def ask_damage(student, given):
    images, p = given["images"], given["p"]
    torch.manual_seed(3)
    first, second = (
        student.corrupt(images.clone(), p),
        student.corrupt(images.clone(), p),
    )
    torch.manual_seed(3)
    again = student.corrupt(images.clone(), p)
    return {"first": first, "second": second, "again": again}


def ask_default(student, given):
    twice = [student.corrupt(given["images"].clone()) for _ in range(2)]
    return {"share": float((torch.cat(twice) == 0).double().mean())}


def ask_original(student, given):
    images = given["images"][:100]
    damaged = student.corrupt(images, given["p"])
    return {"original": images.clone(), "damaged": damaged}


def expected_damage(given):
    p = given["p"]
    turned = "p is the share that is lost, not the share that stays"
    nothing = "no pixel became 0"
    return {
        "share": p,
        "default": 0.5,
        "factor": 1 / (1 - p),
        "mistakes": {
            "share": {turned: 1 - p, nothing: 0.0},
            "factor": {
                "the survivors were not divided by 1 - p": 1.0,
                "divided by p instead of 1 - p": 1 / p,
                "multiplied by 1 - p instead of divided": 1 - p,
            },
        },
    }


def _about(got, name, expected, what, likely=""):
    """Within 0.06: noise of one image for all has its chance, too."""
    if not abs(got[name] - expected[name]) < 0.06:
        tolerance = 0.05 / expected[name]
        expect(got, name, expected, what, tolerance=tolerance, likely=likely)


def share_lost(given, answers, expected):
    """Each pixel becomes 0 with probability p; p is 0.5 unless told otherwise."""
    shape = tuple(given["images"].shape)
    both = [tensor(answers[0], name, shape) for name in ("first", "second")]
    lost = {"share": float((torch.cat(both) == 0).double().mean())}
    what = f"the share of pixels that are 0, with p = {given['p']:.2f}"
    _about(lost, "share", expected, what)
    lost = {"default": number(answers[1], "share")}
    what = "the share where p is not given"
    _about(lost, "default", expected, what, "p=0.5 belongs in the function's head")


def mean_stays(given, answers, expected):
    """The pixels that survive are divided by 1 - p, so that the mean stays."""
    images = given["images"].double()
    first = tensor(answers[0], "first", tuple(images.shape))
    alive = first != 0
    if not alive.any():
        raise Wrong("no pixel survived", cause="p and 1 - p are mixed up")
    factors = (first / images)[alive]
    if float(factors.max() - factors.min()) > 1e-3:
        cause = "something else than zeroing and dividing was done to them"
        raise Wrong("the pixels that survive are not all changed alike", cause=cause)
    what = "by what the pixels that survive were multiplied"
    got = {"factor": float(factors.mean())}
    expect(got, "factor", expected, what, tolerance=1e-3)
    what, likely = "the mean over all pixels", "p is the share that is lost"
    both = torch.cat([first, tensor(answers[0], "second", tuple(images.shape))])
    got, right = {"mean": float(both.mean())}, {"mean": float(images.mean())}
    expect(got, "mean", right, what, tolerance=0.08, likely=likely)


def drawn_anew(given, answers, expected):
    """Every image and every call is damaged anew; torch.manual_seed repeats it."""
    shape = tuple(given["images"].shape)
    names = ("first", "second", "again")
    first, second, again = (tensor(answers[0], name, shape) for name in names)
    if not _spares_some(given["images"], first):
        raise Wrong(
            "nothing was zeroed, or not pixel by pixel", cause="no noise is drawn"
        )
    lost = first == 0
    if torch.equal(lost, second == 0):
        cause = "the noise must be drawn inside the function, at each call"
        raise Wrong("two calls give the same damage", cause=cause)
    if bool((lost == lost[:1]).all()):
        cause = "the noise has the shape of one image; it needs that of all images"
        raise Wrong("all images lost the same pixels", cause=cause)
    if float(lost.double().mean(dim=(1, 2, 3)).std()) > 0.05:
        cause = "the noise is drawn once for each image; it needs the shape of images"
        raise Wrong("some images lost far more pixels than others", cause=cause)
    if not torch.equal(first, again):
        cause = "noise that is not torch's; use torch.rand"
        raise Wrong("after the same torch.manual_seed the damage differs", cause=cause)


def original_stays(given, answers, expected):
    """The images that were handed over stay as they are."""
    images = given["images"][:100]
    original = tensor(answers[2], "original", tuple(images.shape))
    damaged = tensor(answers[2], "damaged", tuple(images.shape))
    if not torch.equal(original, images.double()):
        cause = "work in place, such as images *= … or images[…] = 0; make a new tensor"
        raise Wrong("the images that were handed over have changed", cause=cause)
    if not _spares_some(images, damaged):
        cause = "the images come back as they were, or something else comes back"
        raise Wrong("what came back are not the images with zeros in them", cause=cause)


def _spares_some(images, damaged):
    """Whether some pixels are 0, and the others follow the images'."""
    alive = damaged != 0
    if not 0.02 < float(alive.double().mean()) < 0.98:
        return False
    factors = (damaged / images.double())[alive]
    return bool(factors.std() < 1e-3 * factors.mean().abs())


# 2. the model and its loss


def given_width(random):
    return {
        "images": some_images(random, 12),
        "dim": 20 + int(torch.randint(0, 30, (1,), generator=random)),
    }


def ask_model(student, given):
    model = student.make_dae(given["dim"])
    with torch.no_grad():
        code, restored = model[0](given["images"]), model(given["images"])
    weights = {f"weights {i}": p.detach() for i, p in enumerate(model.parameters())}
    return {**weights, "code": code, "restored": restored}


def ask_decoder(student, given):
    model = student.make_dae(given["dim"])
    codes = torch.rand(9, given["dim"])
    with torch.no_grad():
        restored = model[1](codes)
    weights = [parameter.detach() for parameter in model[1].parameters()]
    return {
        "codes": codes,
        "restored": restored,
        "weight": weights[0],
        "bias": weights[1],
    }


def encodes(given, answers, expected):
    """The encoder, model[0], is the chapter's: a linear layer and a ReLU."""
    images, dim, answer = given["images"], given["dim"], answers[0]
    code = tensor(answer, "code", (len(images), dim))
    if float(code.min()) < 0:
        cause = "the chapter's encoder, models.Encoder(latent_dim), ends with ReLU"
        raise Wrong(
            "the smallest number of a code", "not below zero", code.min(), cause
        )
    weight = tensor(answer, "weights 0", (dim, 784))
    right = (images.double().flatten(1) @ weight.T + tensor(answer, "weights 1")).relu()
    if not torch.allclose(code, right, atol=1e-4) or float(code.max()) == 0:
        cause = "use models.Encoder(latent_dim) as the first part, nothing before it"
        raise Wrong("the code is not that of the chapter's encoder", cause=cause)


def decodes(given, answers, expected):
    """The decoder, model[1], is the chapter's: a linear layer and a sigmoid."""
    answer, shape = answers[1], (9, 1, 28, 28)
    restored = tensor(answer, "restored", shape)
    weight = tensor(answer, "weight", (784, given["dim"]))
    codes = tensor(answer, "codes", (9, given["dim"]))
    right = torch.sigmoid(codes @ weight.T + tensor(answer, "bias")).reshape(shape)
    same_images = torch.allclose(restored, right, atol=1e-4)
    if not same_images or float(restored.std()) < 1e-3:
        cause = "use models.Decoder(latent_dim) as the second part, nothing behind it"
        raise Wrong("the images are not those of the chapter's decoder", cause=cause)


def given_loss(random):
    return {
        "images": some_images(random, 600),
        "grey": 0.2 + 0.4 * float(torch.rand(1, generator=random)),
        "weights": torch.randn(784, 784, generator=random) / 28,
    }


def ask_grey(student, given):
    seen = []

    class Probe(torch.nn.Module):
        def forward(self, images):
            seen.append(images.detach().clone())
            return torch.full_like(images, given["grey"])

    loss = student.denoising_loss(Probe(), given["images"], None)
    return {"loss": float(loss), "seen": seen[0]}


def ask_gradient(student, given):
    weights = given["weights"].requires_grad_()
    seen = []

    class Probe(torch.nn.Module):
        def forward(self, images):
            seen.append(images.detach().clone())
            return (images.flatten(1) @ weights).reshape(images.shape)

    loss = student.denoising_loss(Probe(), given["images"][:20], None)
    if torch.is_tensor(loss) and loss.requires_grad:
        loss.backward()
    gradient = torch.zeros_like(weights) if weights.grad is None else weights.grad
    return {"gradient": gradient, "seen": seen[0]}


def half_unseen(given, answers, expected):
    """The model sees images of which half of the pixels are gone."""
    _half_gone(
        given["images"], tensor(answers[0], "seen", tuple(given["images"].shape))
    )


def _half_gone(images, seen):
    unseen = {"share": float((seen[images > 0.05] == 0).double().mean())}
    mistakes = {"the model was given the originals": 0.0}
    right = {"share": 0.5, "mistakes": {"share": mistakes}}
    what, likely = "the share of inked pixels that it does not see", "corrupt(images)"
    expect(unseen, "share", right, what, tolerance=0.1, likely=likely)
    kept = seen / images.double()
    near = (seen == 0) | ((kept > 0.9) & (kept < 2.2))
    if not bool(near[images > 0.05].all()):
        raise Wrong("the model sees other images than those handed over", cause=likely)


def compared_with_originals(given, answers, expected):
    """The loss is the mean squared error between answer and originals."""
    images, grey = given["images"].double(), given["grey"]
    seen = tensor(answers[0], "seen", tuple(images.shape))
    right = float(((images - grey) ** 2).mean())
    to_corrupted = float(((seen - grey) ** 2).mean())
    mistakes = {
        "compared with the corrupted images instead of the originals": to_corrupted,
        "a sum instead of a mean": right * images.numel(),
        "a mean over images only; the mean over the pixels as well": right * 784,
        "the root of it; no root is asked for": right**0.5,
        "absolute differences instead of squares": float((images - grey).abs().mean()),
    }
    right = {"loss": right, "mistakes": {"loss": mistakes}}
    what, likely = "the loss", "the answer was compared with images damaged anew"
    expect(answers[0], "loss", right, what, tolerance=5e-3, likely=likely)


def gradient_flows(given, answers, expected):
    """A gradient flows from the loss to the model's weights."""
    seen = tensor(answers[1], "seen", (20, 1, 28, 28)).flatten(1)
    got = tensor(answers[1], "gradient", (784, 784))
    if not bool(got.any()):
        cause = "detach(), no_grad() or .item() on the way cuts the gradient off"
        raise Wrong("the gradient of the weights", "not zero", 0.0, cause)
    images = given["images"][:20].flatten(1).double()
    right = 2 * seen.T @ (seen @ given["weights"].double() - images) / images.numel()
    got = got / got.norm()  # its length is the loss's matter
    if float((got - right / right.norm()).norm()) > 0.02:
        cause = "the loss is not the mean squared error between answer and originals"
        raise Wrong("the gradient points elsewhere", cause=cause)


# 3. the score


def given_score(random):
    return {
        "images": some_images(random, 600),
        "seed": int(torch.randint(0, 10000, (1,), generator=random)),
        "weights": torch.randn(784, 784, generator=random) / 28,
    }


def ask_score(student, given):
    seen, seed = [], given["seed"]

    class Probe(torch.nn.Module):
        """Restores, badly, and is darker in train mode."""

        def forward(self, images):
            seen.append(images.detach().clone())
            restored = torch.sigmoid(images.flatten(1) @ given["weights"])
            return restored.reshape(images.shape) * (0.9 if self.training else 1.0)

    score = student.denoising_error(Probe(), given["images"], seed)
    kind = "float" if isinstance(score, float) else type(score).__name__
    return {"score": float(score), "kind": kind, "seen": torch.cat(seen)}


def ask_again(student, given):
    model = torch.nn.Linear(1, 1)
    model.forward = lambda images: 0.5 * (images > 0)
    scores = []
    for seed in (given["seed"], given["seed"], given["seed"] + 1):
        torch.rand(7)  # whatever ran before
        scores.append(float(student.denoising_error(model, given["images"], seed)))
    return {"scores": scores}


def truths(given, seen):
    """What the probe's scores in eval and in train mode are."""
    restored = torch.sigmoid(seen.flatten(1) @ given["weights"].double())
    restored, images = restored.reshape(seen.shape), given["images"].double()
    return metrics.mse(restored, images), metrics.mse(0.9 * restored, images), restored


def scored_on_damage(given, answers, expected):
    """The model is scored on images of which half of the pixels are gone."""
    seen = tensor(answers[0], "seen", tuple(given["images"].shape))
    gone = float((seen[given["images"] > 0.05] == 0).double().mean())
    if gone == 0:
        cause = "the model was scored on clean images"
        raise Wrong(
            "the share of inked pixels that the model does not see", 0.5, 0.0, cause
        )
    _half_gone(given["images"], seen)


def scored_per_pixel(given, answers, expected):
    """The score is the mean squared error per pixel, as a Python number."""
    images = given["images"].double()
    seen = tensor(answers[0], "seen", tuple(images.shape))
    evaluated, trained, restored = truths(given, seen)
    if same(number(answers[0], "score"), trained, 1e-3):
        evaluated = trained  # the next rule's matter
    mistakes = {
        "a sum instead of a mean": evaluated * images.numel(),
        "a mean over images only; the mean over the pixels as well": evaluated * 784,
        "compared with the corrupted images": metrics.mse(restored, seen),
    }
    right = {"score": evaluated, "mistakes": {"score": mistakes}}
    what = "the score of a model that restores badly"
    likely = "the images were damaged more than once"
    expect(answers[0], "score", right, what, tolerance=1e-3, likely=likely)
    if answers[0].get("kind") != "float":
        cause = "float(…) makes a number of a tensor"
        raise Wrong("the type of the score", "float", answers[0].get("kind"), cause)


def scored_in_eval_mode(given, answers, expected):
    """The model is in eval mode while it is scored."""
    seen = tensor(answers[0], "seen", tuple(given["images"].shape))
    evaluated, trained, _ = truths(given, seen)
    score = number(answers[0], "score")
    if same(score, trained, 1e-3):
        cause = "model.eval() is missing: the model was scored in train mode"
        raise Wrong(
            "the score of a model that is darker in train mode", evaluated, score, cause
        )
    if not same(score, evaluated, 1e-3):
        cause = "the score is no mean squared error per pixel"
        raise Wrong("the score fits neither mode", cause=cause)


def seeded(given, answers, expected):
    """The same seed gives the same score, another seed another one."""
    scores = answers[1].get("scores")
    if not isinstance(scores, list) or len(scores) != 3:
        raise Wrong("three scores were asked for", cause="no score came back")
    first, again, other = (number({"score": score}, "score") for score in scores)
    images = given["images"].double()  # half of the inked pixels come back as 0.5
    likely = float((images**2 + (images - 0.5 * (images > 0)) ** 2).mean()) / 2
    if not 0.9 * likely < first < 1.1 * likely:
        cause = "not the mean squared error per pixel on corrupted images"
        raise Wrong(
            "the score of a model that paints all ink grey", likely, first, cause
        )
    if first != again:
        cause = "torch.manual_seed(seed) must stand right before corrupt(images)"
        raise Wrong("the same seed gives another score", cause=cause)
    if first == other:
        cause = "seed is not used"
        raise Wrong("another seed gives the same score", cause=cause)


# 4. training


def given_training(random):
    """Mixtures of two pictures, which no search of the data's files finds."""
    parts = ("train", "validation")
    both = [
        data.load_images("FashionMNIST", part, sample=True).images for part in parts
    ]
    both = torch.cat(both)
    pick = torch.randperm(len(both), generator=random)[:4500]
    images = altered(both[pick], random, mirror=True, one_shift=True)
    share = 0.1 + 0.25 * torch.rand(4500, 1, 1, 1, generator=random)
    order = torch.cat(
        [torch.randperm(4000, generator=random), torch.arange(4000, 4500).roll(7)]
    )
    images = (1 - share) * images + share * images[order]
    return {
        "train": images[:4000],
        "_images": images[4000:],
        "_corrupted": Dropout(0.5)(images[4000:], generator=random),
        "epochs": 30,
        "seed": int(torch.randint(0, 1000, (1,), generator=random)),
    }


def train_one(student, given):
    """Runs once, before the images to be restored are sent."""
    train, epochs, seed = given["train"], given["epochs"], given["seed"]
    return student.train_dae(train, 96, epochs, seed), student.train_dae


def ask_seeds(state, given):
    images = given["train"]
    torch.manual_seed(1)
    corrupted = images[900:1000] * (torch.rand(100, 1, 28, 28) >= 0.5) * 2
    out = {}
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        torch.rand(11)  # whatever ran before
        model = state[1](images[:900], 24, 36, seed).eval()
        with torch.no_grad():
            out[name] = model(corrupted)
    return out


@torch.no_grad()
def ask_restored(state, given):
    model = state[0].eval()
    return {
        "restored": model(given["corrupted"]),
        "code": model[0](given["corrupted"][:9]),
    }


def sent_late(step, given, answers):
    return {"corrupted": given["_corrupted"]} if step else given


def ratio_to_affine(given, answers):
    """Error over the best affine denoiser's, both fitted to the same few images."""
    images = given["_images"]
    restored = tensor(answers[1], "restored", tuple(images.shape))
    torch.manual_seed(given["seed"])
    affine = metrics.AffineDenoiser(Dropout(0.5)(given["train"]), given["train"])
    error = metrics.mse(restored, images.double())
    return error / metrics.mse(affine(given["_corrupted"]), images), 1.15


def restores(given, answers, expected):
    """It restores held-out images about as well as the best affine denoiser."""
    code = tensor(answers[1], "code", (9, 96))
    if float(code.min()) < 0 or not bool(code.any()):
        raise Wrong(
            "the code is not that of make_dae's encoder", cause="make_dae(latent_dim)"
        )
    ratio, limit = ratio_to_affine(given, answers)
    if not ratio < limit:
        cause = "trained without corruption, on other images than it was given, "
        cause += "or epochs not handed on"
        what = (
            "the error on held-out images, as a multiple of the best affine denoiser's"
        )
        raise Wrong(what, f"below {limit:g}", ratio, cause)
    if ratio < 0.6:
        cause = "something else than a denoiser of 96 units, trained as asked"
        raise Wrong(
            "the restored images are too good", "above 0.6 of affine's", ratio, cause
        )


def learned(given, answers, name):
    """A short training's restored images, or ``Wrong`` where nothing was learned."""
    images = given["train"][900:1000].double()
    restored = tensor(answers[0], name, tuple(images.shape))
    level = metrics.mse(given["train"].double().mean(0).expand_as(images), images)
    error = metrics.mse(restored, images)
    if not error < 0.85 * level:
        cause = "no training, another loss than denoising_loss, "
        cause += "or other images than it was given"
        what = "the error on other images after 36 epochs"
        raise Wrong(what, "well below that of the mean image", error, cause)
    return restored


def same_seed(given, answers, expected):
    """The same seed gives the same model, whatever ran before."""
    one, again = (learned(given, answers, name) for name in ("one", "same"))
    if not torch.allclose(one, again, atol=1e-4):
        cause = "torch.manual_seed(seed) must stand before the model is made, "
        cause += "and fit needs seed=seed"
        raise Wrong("the same seed gives another model", cause=cause)


def other_seed(given, answers, expected):
    """Another seed gives another model."""
    one, other = (learned(given, answers, name) for name in ("one", "other"))
    if torch.allclose(one, other, atol=1e-4):
        raise Wrong("another seed gives the same model", cause="seed is not used")


# 5. and 6. reading the table

DIMS = [4, 12, 24, 48, 96, 200, 400, 784, 900]


def errors_of(random, mean, deviation, seeds):
    """One error for each seed, with exactly this mean and deviation (n - 1)."""
    values = torch.randn(seeds, generator=random, dtype=torch.float64)
    return (mean + deviation * (values - values.mean()) / values.std()).tolist()


def table_of(random, errors):
    """Width -> errors, as a table's rows in any order."""
    rows = [
        {"latent_dim": dim, "seed": seed, "validation_error": error}
        for dim, of_dim in errors.items()
        for seed, error in enumerate(of_dim)
    ]
    return [rows[i] for i in torch.randperm(len(rows), generator=random).tolist()]


def given_tables(random):
    """Errors that fall and then lie close together, in places drawn anew."""
    tables = []
    for seeds in (3, 2, 4, 3, 5, 3):
        best = 5 + int(torch.randint(0, 3, (1,), generator=random))  # its place
        step = 0.001 + 0.002 * float(
            torch.rand(1, generator=random)
        )  # a standard error
        # how many standard errors above the best, and the width's own in those
        near = [(0.9, 1.0), (1.2, 0.7), (2.5, 4.0)]
        if seeds in (2, 5):
            near = near[1:]
        order = torch.randperm(len(near), generator=random).tolist()
        narrower = [(0.6, 1.0), *(near[i] for i in order), (6.0, 1.0)]
        wider = [(0.5, 2.0), (3.0, 1.0), (0.7, 1.0)]
        places = {best: (0.0, 1.0)}
        places |= {best - 1 - i: spread for i, spread in enumerate(narrower)}
        places |= {best + 1 + i: spread for i, spread in enumerate(wider)}
        level = 0.02 + 0.01 * float(torch.rand(1, generator=random))
        errors = {}
        for place, dim in enumerate(DIMS):
            far, own = places.get(place, (12.0 + 8 * (len(DIMS) - place), 1.0))
            mean, deviation = level + far * step, own * step * seeds**0.5
            errors[dim] = errors_of(random, mean, deviation, seeds)
        tables.append(table_of(random, errors))
    return {"tables": tables}


def ask_best(student, given):
    import pandas

    pairs = [
        student.best_dimensions(pandas.DataFrame(rows)) for rows in given["tables"]
    ]
    return {
        "one": [int(one) for one, _ in pairs],
        "two": [int(two) for _, two in pairs],
    }


def expected_best(given):
    def rule_one(groups):
        return int(groups.mean().idxmin())

    def rule_two(groups, standard_error):
        mean, best = groups.mean(), groups.mean().idxmin()
        return mean[mean <= mean[best] + standard_error[best]].index

    def of_all(rule):
        frames = (pd.DataFrame(rows) for rows in given["tables"])
        return [
            int(rule(frame.groupby("latent_dim")["validation_error"]))
            for frame in frames
        ]

    def own(groups):
        mean = groups.mean()
        return mean[mean - groups.sem() <= mean.min()].index.min()

    one = of_all(rule_one)
    two = of_all(lambda groups: rule_two(groups, groups.sem()).min())
    swapped = "the order is (rule one, rule two)"
    return {
        "one": one,
        "two": two,
        "mistakes": {
            "one": {
                swapped: two,
                "the smallest single error, not the smallest mean": of_all(
                    lambda groups: groups.min().idxmin()
                ),
                "the largest mean, not the smallest": of_all(
                    lambda g: g.mean().idxmax()
                ),
                "always the widest": [DIMS[-1]] * len(one),
            },
            "two": {
                swapped + ", or rule two was forgotten": one,
                "the deviation was used, not the standard error": of_all(
                    lambda groups: rule_two(groups, groups.std()).min()
                ),
                "n instead of n - 1 in the denominator (ddof=0)": of_all(
                    lambda groups: rule_two(groups, groups.sem(ddof=0)).min()
                ),
                "each width's own standard error; that of the best is meant": of_all(
                    own
                ),
                "the smallest such width, not the widest": of_all(
                    lambda groups: rule_two(groups, groups.sem()).max()
                ),
                "the smallest such width, not the second best one": of_all(
                    lambda groups: groups.mean().sort_values().index[1]
                ),
                "two standard errors instead of one": of_all(
                    lambda groups: rule_two(groups, 2 * groups.sem()).min()
                ),
            },
        },
    }


def best_by_rule_one(given, answers, expected):
    """Rule one: the width with the smallest mean error, in six tables."""
    likely = "rows are in any order, and the mean is over the seeds of a width"
    expect(answers[0], "one", expected, "the widths by rule one", likely=likely)


def best_by_rule_two(given, answers, expected):
    """Rule two: the smallest width within one standard error of it, in six tables."""
    likely = "the standard error is the best width's: its deviation over the root of n"
    expect(answers[0], "two", expected, "the widths by rule two", likely=likely)


def given_success(random):
    """Tables with widths that fail by a hair, each for a reason of its own."""

    def some(low, high):
        return low + (high - low) * float(torch.rand(1, generator=random))

    tables, baselines = [], []
    for seeds in (3, 2, 4, 3):
        affine = some(0.02, 0.03)
        # standard errors below the limit: the sum must stay below it
        below = [1.3, 0.5, 0.95 if seeds > 2 else 0.85, 2.5, -1.0, 1.2, 0.3]
        errors, order = {}, torch.randperm(7, generator=random).tolist()
        for i, dim in zip([*order, 3, 3], DIMS):
            step = some(0.0008, 0.0012)
            mean = 0.9 * affine - below[i] * step
            errors[dim] = errors_of(random, mean, step * seeds**0.5, seeds)
        tables.append(table_of(random, errors))
        baselines.append(affine)
    # and one in which all is clear, but for the settings
    order = torch.randperm(3, generator=random).tolist()
    parts = [*([1.2, 0.93, 0.7][i] for i in order), 0.7, 0.93, 0.7, 0.7, 0.6, 0.6]
    errors = {
        dim: errors_of(random, part * baselines[0], 0.0001, 3)
        for dim, part in zip(DIMS, parts)
    }
    return {
        "tables": tables,
        "baselines": baselines,
        "clear": table_of(random, errors),
        "pixels": DIMS[3],
        "margin": 0.04,
    }


def ask_success(student, given):
    import pandas

    found = []
    for rows, affine in zip(given["tables"], given["baselines"]):
        dims = student.successful_below(pandas.DataFrame(rows), affine)
        found.append([int(dim) for dim in dims])
    hopeless = student.successful_below(pandas.DataFrame(given["tables"][0]), 0.001)
    return {"dims": found, "none": [int(dim) for dim in hopeless]}


def ask_settings(student, given):
    import pandas

    table, affine = pandas.DataFrame(given["clear"]), given["baselines"][0]
    pixels, margin = given["pixels"], given["margin"]
    narrow = student.successful_below(table, affine, pixels=pixels)
    bold = student.successful_below(table, affine, margin=margin)
    return {
        "narrow": [int(dim) for dim in narrow],
        "bold": [int(dim) for dim in bold],
    }


def successful(rows, affine, pixels=784, margin=0.1, error=lambda groups: groups.sem()):
    groups = pd.DataFrame(rows).groupby("latent_dim")["validation_error"]
    upper = groups.mean() + error(groups)
    limit = (1 - margin) * affine
    return [int(dim) for dim, value in upper.items() if dim < pixels and value < limit]


def expected_success(given):
    pairs = list(zip(given["tables"], given["baselines"]))

    def of_all(**options):
        return [successful(rows, affine, **options) for rows, affine in pairs]

    right = of_all()
    table, affine = given["clear"], given["baselines"][0]
    default = successful(table, affine)
    return {
        "dims": right,
        "none": [],
        "narrow": successful(table, affine, pixels=given["pixels"]),
        "bold": successful(table, affine, margin=given["margin"]),
        "mistakes": {
            "dims": {
                "the standard error was not added": of_all(error=lambda groups: 0),
                "the deviation was added, not the standard error": of_all(
                    error=lambda groups: groups.std()
                ),
                "n instead of n - 1 in the denominator (ddof=0)": of_all(
                    error=lambda groups: groups.sem(ddof=0)
                ),
                "the standard error belongs added, not subtracted": of_all(
                    error=lambda groups: -groups.sem()
                ),
                "the margin was forgotten": of_all(margin=0),
                "only widths below `pixels`": of_all(pixels=10_000),
                "below `pixels`: that width itself is not": of_all(pixels=785),
                "the smallest first": [dims[::-1] for dims in right],
            },
            "narrow": {"pixels is not used": default},
            "bold": {"margin is not used": default},
        },
    }


def successful_widths(given, answers, expected):
    """The successful widths of four tables; none against a very good baseline."""
    likely = "mean plus standard error is to be below 0.9 times the affine error"
    expect(answers[0], "dims", expected, "the successful widths", likely=likely)
    what = "the successful widths against a very good baseline"
    expect(answers[0], "none", expected, what, likely=likely)


def settings_used(given, answers, expected):
    """pixels and margin are used where they are given."""
    what = f"the successful widths with pixels={given['pixels']}"
    likely = "mean plus standard error below (1 - margin) * affine_error"
    expect(answers[1], "narrow", expected, what, likely=likely)
    what = f"the successful widths with margin={given['margin']}"
    expect(answers[1], "bold", expected, what, likely=likely)


# 7. the spectrum


def given_images(random):
    return {
        "images": some_images(random, 900, "train"),
        "shares": [0.3, 0.6, 0.8, 0.95],
    }


def ask_needed(student, given):
    images, shares = given["images"], given["shares"]
    return {
        "needed": [int(student.components_needed(images, share)) for share in shares]
    }


def expected_needed(given):
    x, shares = given["images"].flatten(1).double(), given["shares"]
    values = torch.linalg.svdvals(x - x.mean(0))

    def count(values, slack=0.0):
        held = values.cumsum(0) / values.sum()
        return [int((held < share + slack).sum()) + 1 for share in shares]

    needed = count(values**2)
    return {
        "needed": needed,
        # single precision may take another side where a share is met by a hair
        "least": count(values**2, -1e-5),
        "most": count(values**2, 1e-5),
        "mistakes": {
            "needed": {
                "singular values were summed, not their squares": count(values),
                "the images were not centred": count(torch.linalg.svdvals(x) ** 2),
                "one too few: at least this share is to be held": [
                    k - 1 for k in needed
                ],
                "one too many": [k + 1 for k in needed],
                "the smallest were summed first": count(values.flip(0) ** 2),
                "the squares of the variances were summed": count(values**4),
            }
        },
    }


def components_counted(given, answers, expected):
    """How many components hold 30, 60, 80 and 95 % of the variance."""
    needed = answers[0].get("needed")
    bounds = expected["least"], expected["most"]
    if isinstance(needed, list) and len(needed) == len(given["shares"]):
        if all(low <= k <= high for k, low, high in zip(needed, *bounds)):
            return
    likely = "the variances are the squared singular values of the centred images"
    expect(answers[0], "needed", expected, "the numbers of components", likely=likely)


QUESTIONS = [
    Question(
        "corrupt",
        given=given_pixels,
        ask=(ask_damage, ask_default, ask_original),
        expected=expected_damage,
        rules={share_lost: 0.5, mean_stays: 0.5, drawn_anew: 0.5, original_stays: 0.5},
        seconds=20,
    ),
    Question(
        "make_dae",
        given=given_width,
        ask=(ask_model, ask_decoder),
        rules={encodes: 0.5, decodes: 0.5},
        seconds=20,
    ),
    Question(
        "denoising_loss",
        given=given_loss,
        ask=(ask_grey, ask_gradient),
        rules={half_unseen: 0.5, compared_with_originals: 1, gradient_flows: 0.5},
        seconds=30,
    ),
    Question(
        "denoising_error",
        given=given_score,
        ask=(ask_score, ask_again),
        rules={
            scored_on_damage: 0.5,
            scored_per_pixel: 0.5,
            scored_in_eval_mode: 0.5,
            seeded: 0.5,
        },
        seconds=30,
    ),
    Question(
        "train_dae",
        given=given_training,
        prepare=train_one,
        ask=(ask_seeds, ask_restored),
        then=sent_late,
        rules={restores: 1.5, same_seed: 1, other_seed: 0.5},
        measure=ratio_to_affine,
        seconds=120,
    ),
    Question(
        "best_dimensions",
        given=given_tables,
        ask=(ask_best,),
        expected=expected_best,
        rules={best_by_rule_one: 1, best_by_rule_two: 2},
        seconds=20,
    ),
    Question(
        "successful_below",
        given=given_success,
        ask=(ask_success, ask_settings),
        expected=expected_success,
        rules={successful_widths: 1.5, settings_used: 0.5},
        seconds=20,
    ),
    Question(
        "components_needed",
        given=given_images,
        ask=(ask_needed,),
        expected=expected_needed,
        rules={components_counted: 2},
        seconds=30,
    ),
]
