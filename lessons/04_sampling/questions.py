"""Exercise 4: a perturbation that wakes units, the nearest image, copies, codes from nowhere."""

from __future__ import annotations

import torch
from course_utils import data, metrics, pretrained

from grading.judging import Question, Wrong, tensor
from grading.secret_images import altered


def distances(samples, images):
    """Root mean squared difference per pixel, (N, M)."""
    return torch.cdist(samples.double().flatten(1), images.double().flatten(1)) / 28


# 1. the perturbation

def given_perturbation(random):
    deviation = 0.3 + torch.rand(6, generator=random)
    deviation[1] = 0
    encoded = torch.cat([torch.zeros(1, 3), 4 + torch.rand(1, 3, generator=random)], dim=1)
    return {"encoded": encoded.repeat(20_000, 1), "deviation": deviation, "strength": 0.3 + 0.5 * float(torch.rand(1, generator=random)), "seed": int(torch.randint(1, 10_000, (1,), generator=random))}


def ask_perturbation(student, given):
    def ask(seed):
        return student.perturb(given["encoded"], given["deviation"], given["strength"], seed)

    state, before = torch.get_rng_state(), given["encoded"].clone()
    first = ask(given["seed"]).clone()
    undisturbed = bool((state == torch.get_rng_state()).all()) and bool((given["encoded"] == before).all())
    return {"first": first, "again": ask(given["seed"])[:50], "other": ask(given["seed"] + 1)[:50], "undisturbed": undisturbed}


def judge_perturbation(given, answers):
    answer, encoded = answers[0], given["encoded"].double()
    first, spread = tensor(answer, "first", tuple(encoded.shape)), given["strength"] * given["deviation"].double()
    if float(first.min()) < 0:
        raise Wrong("some codes are below zero; a ReLU never returns a negative number")
    awake = (first[:, :3] > 0).double().mean(0)
    if float(awake.max()) == 0:
        raise Wrong("no unit at zero wakes up. Likely cause: the code was multiplied")
    if (awake - torch.tensor([0.5, 0, 0.5])).abs().max() > 0.02:
        raise Wrong("about half of the units at zero should wake up, and none whose deviation is zero")
    noise = first[:, 3:] - encoded[:, 3:]
    if (noise.std(0) / spread[3:] - 1).abs().max() > 0.04:
        raise Wrong("the noise has not the deviation that was asked for. Likely causes: one deviation for all units, the strength left out, a noise that grows with the code")
    if (noise.mean(0) / spread[3:]).abs().max() > 0.05 or (torch.corrcoef(noise.T) - torch.eye(3)).abs().max() > 0.05:
        raise Wrong("the noise must be independent for each unit, with mean zero")
    if not torch.equal(tensor(answer, "again"), first[:50]) or torch.equal(tensor(answer, "other"), first[:50]):
        raise Wrong("one seed must give one result, another seed another")
    if answer.get("undisturbed") is not True:
        raise Wrong("torch's common random numbers were disturbed, or the codes that were handed in were changed")


# 2. the nearest image

def given_nearest(random):
    n, m = (int(torch.randint(5, 40, (1,), generator=random)) for _ in range(2))
    return {"samples": torch.rand(n, 1, 28, 28, generator=random), "images": torch.rand(m + n, 1, 28, 28, generator=random) * torch.rand(m + n, 1, 1, 1, generator=random)}


def ask_nearest(student, given):
    distance, index = student.nearest(given["samples"], given["images"])
    return {"distance": torch.as_tensor(distance).float(), "index": [int(i) for i in index]}


def judge_nearest(given, answers):
    exact, found = distances(given["samples"], given["images"]).min(1)
    got = answers[0].get("distance")
    if not isinstance(got, torch.Tensor) or tuple(got.shape) != tuple(exact.shape):
        raise Wrong("expected one distance for each picture, shape (N,). Likely cause: the minimum runs over the wrong dimension")
    got = tensor(answers[0], "distance")
    for cause, value in {"the root is missing": exact**2, "the sum over the pixels instead of the mean": exact * 28, "the sum of the squares": (exact * 28) ** 2}.items():
        if (got / value - 1).abs().max() < 1e-3:
            raise Wrong(f"not the expected distances. Likely cause: {cause}")
    if (got - exact).abs().max() > 1e-3:
        raise Wrong("not the distances to the nearest image: the root of the mean squared difference per pixel")
    if answers[0].get("index") != found.tolist():
        raise Wrong("the distances are right, the indices are not")


# 3. copies

def given_suspects(random):
    """Two rounds, one of them in pale print, so that no typed-in limit fits both; suspects near the limit are left out."""
    train, other = data.load_images("FashionMNIST", "train").images, data.load_images("FashionMNIST", "validation").images
    given, truth = {}, []
    for turn, contrast in enumerate((1.0, 0.25 + 0.15 * float(torch.rand(1, generator=random)))):
        pick, rest = torch.randperm(len(train), generator=random)[:2000], torch.randperm(len(other), generator=random)
        both = altered(torch.cat([train[pick], other[rest]]), random, one_shift=True)
        images, held_out, unknown = both[:2000], both[2000:2300], both[2300:]
        real = distances(held_out, images).amin(1)
        limit, mean = float(real.quantile(0.01)), float(real.mean())
        noise = limit * (0.25 + 0.4 * torch.rand(12, 1, 1, 1, generator=random)) * torch.randn(12, 1, 28, 28, generator=random)
        chosen = images[torch.randperm(2000, generator=random)[:12]]
        guilty = (chosen + noise).clamp(0, 1)
        far = distances(unknown, images).amin(1)
        near, usual = unknown[(far > 1.25 * limit) & (far < 0.95 * mean)][:9], unknown[far > 1.1 * mean][:5]
        suspects, mine = torch.cat([guilty, near, usual]), [True] * 12 + [False] * (len(near) + len(usual))
        order = torch.randperm(len(suspects), generator=random)
        given |= {f"suspects{turn}": contrast * suspects[order], f"images{turn}": contrast * images, f"held_out{turn}": contrast * held_out}
        truth.append([mine[i] for i in order.tolist()])
    return {**given, "_truth": truth}


def ask_copies(student, given):
    return {"verdicts": [[bool(x) for x in student.copies(given[f"suspects{turn}"], given[f"images{turn}"], given[f"held_out{turn}"])] for turn in (0, 1)]}


def judge_copies(given, answers):
    verdicts = answers[0].get("verdicts")
    if not isinstance(verdicts, list) or [len(v) for v in verdicts] != [len(t) for t in given["_truth"]]:
        raise Wrong("expected one verdict for each suspect")
    for truth, verdict, where in zip(given["_truth"], verdicts, ("as usual", "in pale print")):
        missed, accused = (sum(t and not v for t, v in zip(truth, verdict)), sum(v and not t for t, v in zip(truth, verdict)))
        if missed:
            raise Wrong(f"images {where}: {missed} of {sum(truth)} copies were not found. Likely causes: only exact copies count, a limit from training images, which are their own nearest, or a limit that was typed in")
        if accused:
            raise Wrong(f"images {where}: {accused} of {len(truth) - sum(truth)} new pictures were called copies. Likely causes: the mean distance as limit, distances between any two pictures, or a limit that was typed in")


# 4. codes from nowhere

def given_codes(random):
    """Codes of images that no file holds. The decoder stays here: what the student sends is codes."""
    train, other = data.load_images("FashionMNIST", "train").images, data.load_images("FashionMNIST", "validation").images
    both = altered(torch.cat([train[torch.randperm(len(train), generator=random)[:4000]], other[torch.randperm(len(other), generator=random)[:600]]]), random, mirror=True, one_shift=True)
    codes = metrics.apply_in_batches(pretrained.load("dae")[0], both[:4000])
    return {"codes": codes, "seed": int(torch.randint(1, 10_000, (1,), generator=random)), "_train": both[:4000], "_real": both[4000:4300], "_other": both[4300:]}


def ask_draw(student, given):
    torch.manual_seed(given["seed"] + 5)
    first = student.draw_codes(given["codes"].clone(), 300, given["seed"]).float()
    torch.manual_seed(given["seed"] + 7)
    again, other = (student.draw_codes(given["codes"].clone(), 300, seed).float() for seed in (given["seed"], given["seed"] + 1))
    return {"codes": first, "again": again[:20], "other": other[:20]}


def measure_draw(given, answers):
    """The larger of the two mean distances, each over that of real pictures. Task and visible check ask for 1: the difference is the margin."""
    samples = metrics.apply_in_batches(pretrained.load("dae")[1], tensor(answers[0], "codes", (300, given["codes"].shape[1])).float())
    ratios = [float(distances(a, b).amin(1).mean() / distances(c, d).amin(1).mean())
              for a, b, c, d in ((samples, given["_train"], given["_other"], given["_train"]), (given["_real"], samples, given["_real"], given["_other"]))]
    return max(ratios), 1.03


def judge_draw(given, answers):
    answer, known = answers[0], given["codes"]
    codes = tensor(answer, "codes", (300, known.shape[1]))
    if float(codes.min()) < 0:
        raise Wrong("some codes are below zero; a ReLU never returns a negative number")
    if not torch.equal(tensor(answer, "again"), codes[:20]) or torch.equal(tensor(answer, "other"), codes[:20]):
        raise Wrong("one seed must draw the same codes, another seed others")
    on = (codes > 0).float()
    if bool((on @ (known > 0).float().T == on.sum(1, keepdim=True)).any()):
        raise Wrong("some codes use only units of one training image. Likely cause: training codes, or training codes multiplied by something")
    value, limit = measure_draw(given, answers)
    if not value < limit:
        raise Wrong(f"the mean distance between pictures and real ones, in the worse direction, is {value:.2f} of that among real pictures, expected below {limit:g}. Likely causes: units drawn one by one, one single Gaussian, kinds that are missing")
    real, known = metrics.apply_in_batches(pretrained.load("dae")[0], given["_other"]).double(), known.double()
    copied = float((torch.cdist(codes, known).amin(1) < torch.cdist(real, known).amin(1).quantile(0.01)).double().mean())
    if copied > 0.05:
        raise Wrong(f"{copied:.0%} of the codes are copies of training codes: they lie nearer to one than 99 of 100 codes of real pictures do")


QUESTIONS = [
    Question("check_perturb", given_perturbation, (ask_perturbation,), judge_perturbation, seconds=20),
    Question("check_nearest", given_nearest, (ask_nearest,), judge_nearest, seconds=20),
    Question("check_copies", given_suspects, (ask_copies,), judge_copies, seconds=30),
    Question("check_draw_codes", given_codes, (ask_draw,), judge_draw, measure=measure_draw, seconds=60),
]
