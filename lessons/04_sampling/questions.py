"""Exercise 4: a perturbation that wakes units, the nearest image, copies, new codes."""

from __future__ import annotations

import torch

from course_utils import data, metrics, pretrained
from course_utils.engine.asking import Question, Wrong, expect, same, tensor
from course_utils.engine.exam_images import altered


def distances(samples, images):
    """Root mean squared difference per pixel, (N, M)."""
    a, b = samples.double().flatten(1), images.double().flatten(1)
    return torch.cdist(a, b) / 28


# 1. the perturbation


def given_perturbation(random):
    """The first three units are at zero, the second of them never varies."""
    deviation = 0.3 + torch.rand(6, generator=random)
    deviation[1] = 0
    encoded = torch.zeros(20_000, 6)
    encoded[:, 3:] = 4 + torch.rand(1, 3, generator=random)
    encoded[10_000:, 3:] += 5
    return {
        "encoded": encoded,
        "deviation": deviation,
        "strength": 0.3 + 0.5 * float(torch.rand(1, generator=random)),
        "seed": int(torch.randint(1, 10_000, (1,), generator=random)),
    }


def ask_perturbed(student, given):
    encoded, deviation = given["encoded"], given["deviation"]
    codes = student.perturb(encoded, deviation, given["strength"], given["seed"])
    return {"codes": codes}


def ask_perturbed_again(student, given):
    deviation, strength, seed = given["deviation"], given["strength"], given["seed"]
    encoded, same, others = (given["encoded"][:50].clone() for _ in range(3))
    torch.manual_seed(seed + 7)
    first = student.perturb(encoded, deviation, strength, seed).clone()
    numbers = torch.rand(5)
    again = student.perturb(same, deviation, strength, seed)
    other = student.perturb(others, deviation, strength, seed + 1)
    answer = {"first": first, "again": again, "other": other}
    return {**answer, "encoded": encoded, "numbers": numbers}


def units_wake(given, answers, expected):
    """Half of the units at zero wake up, and no code is below zero."""
    encoded = given["encoded"].double()
    codes = tensor(answers[0], "codes", tuple(encoded.shape))
    if float(codes.min()) < 0:
        cause = "a ReLU never returns a number below zero: clamp(min=0)"
        raise Wrong("the smallest number", 0.0, float(codes.min()), cause)
    awake = (codes[:, :3] > 0).double().mean(0)
    right = torch.tensor([0.5, 0, 0.5], dtype=torch.float64)
    if float((awake - right).abs().max()) > 0.02:
        cause = "multiplied: a zero stays zero; the noise must be added"
        if float(awake.max()) > 0:
            cause = "the noise has no mean of zero"
        if float(awake[1]) > 0:
            cause = "a unit whose deviation is zero must not change"
        what = "the shares of three units at zero that wake up (the second is constant)"
        raise Wrong(what, right, awake, cause)
    change = float((codes - encoded).abs().mean(0).max())
    if change > 2:
        cause = "noise is added to a code, and nothing else"
        raise Wrong("the largest mean change of a unit", "below 2", change, cause)


def own_deviation(given, answers, expected):
    """Each unit's noise is independent, with strength times its own deviation."""
    encoded, deviation = given["encoded"].double(), given["deviation"].double()
    codes = tensor(answers[0], "codes", tuple(encoded.shape))
    constant = float(codes[:, 1].abs().max())
    if constant > 0:
        cause = "one deviation for all units"
        raise Wrong("the change of a unit whose deviation is 0", 0.0, constant, cause)
    noise, spread = (codes - encoded)[:, 3:], given["strength"] * deviation[3:]
    found = noise.std(0)
    if float((found / spread - 1).abs().max()) > 0.04:
        likely = "the noise is strength times deviation times normal random numbers"
        known = {
            "strength left out": deviation[3:],
            "deviation left out": torch.full((3,), given["strength"]),
            "multiplied by the code": spread * encoded[:, 3:].square().mean(0).sqrt(),
            "only upwards: the noise must have either sign": spread * 0.603,
        }
        for cause, value in known.items():
            if float((found / value - 1).abs().max()) < 0.05:
                likely = cause
        what = "the noise's standard deviation, of three units"
        raise Wrong(what, spread, found, likely)
    if float((noise.mean(0) / spread).abs().max()) > 0.05:
        cause = "the noise must have either sign: torch.randn has"
        raise Wrong("the noise's mean, of three units", [0, 0, 0], noise.mean(0), cause)
    together = torch.corrcoef(noise.T) - torch.eye(3)
    if float(together.abs().max()) > 0.05:
        cause = "one random number for all units of a code: draw independent ones"
        what = "the largest correlation between two units' noise"
        raise Wrong(what, 0.0, float(together.abs().max()), cause)


def seeded_alone(given, answers, expected):
    """One seed, one result; nobody else's random numbers or codes are changed."""
    encoded, shape = given["encoded"][:50].double(), (50, 6)
    first, again, other = (
        tensor(answers[1], name, shape) for name in ("first", "again", "other")
    )
    if not torch.equal(first, again):
        cause = "the random numbers do not come from a generator made from seed"
        raise Wrong("the codes of one seed, twice", "the same", "two kinds", cause)
    if torch.equal(first, other):
        cause = "seed is not used, or nothing is random"
        raise Wrong("the codes of two seeds", "two kinds", "the same", cause)
    if not torch.equal(tensor(answers[1], "encoded", shape), encoded):
        cause = "an in-place change of encoded: make new codes"
        raise Wrong("the codes handed in", "as they were", "changed", cause)
    generator = torch.Generator().manual_seed(given["seed"] + 7)
    right = torch.rand(5, generator=generator).double()
    if not torch.equal(tensor(answers[1], "numbers"), right):
        what = "torch's common random numbers after the call"
        cause = "torch.manual_seed, or random numbers without generator="
        raise Wrong(what, "undisturbed", "others", cause)


# 2. the nearest image


def given_pictures(random):
    """For the first picture the mean absolute difference would choose another image."""
    n, m = (int(torch.randint(5, 40, (1,), generator=random)) for _ in range(2))
    samples = torch.rand(n, 1, 28, 28, generator=random)
    images = torch.rand(m + n, 1, 28, 28, generator=random)
    images = images * torch.rand(m + n, 1, 1, 1, generator=random)
    here, there = torch.randperm(m + n, generator=random)[:2].tolist()
    samples[0] = 0.1 + 0.1 * samples[0]
    images[here] = samples[0] + 0.1
    dots = torch.rand(1, 28, 28, generator=random) < 0.05
    images[there] = samples[0] + 0.8 * dots
    return {"samples": samples, "images": images}


def ask_distances(student, given):
    found = student.nearest(given["samples"], given["images"])[0]
    return {"distances": torch.as_tensor(found).detach().flatten().tolist()}


def ask_indices(student, given):
    found = student.nearest(given["samples"], given["images"])[1]
    return {"indices": [int(index) for index in found]}


def expected_nearest(given):
    pairs = distances(given["samples"], given["images"])
    exact, found = pairs.min(1)
    absolute = given["samples"].flatten(1), given["images"].flatten(1)
    wrong_axis = "one for each image: the minimum runs over the wrong dimension"
    farthest = "the farthest image, not the nearest"
    other_kind = "absolute differences instead of squared ones"
    l1 = torch.cdist(*absolute, p=1) / 784
    of_distances = {
        "the root is missing": exact**2,
        "the sum over the pixels instead of the mean": exact * 28,
        "the sum of the squares: neither mean nor root": (exact * 28) ** 2,
        wrong_axis: pairs.amin(0),
        farthest: pairs.amax(1),
        other_kind: l1.amin(1),
    }
    of_indices = {
        wrong_axis: pairs.argmin(0),
        farthest: pairs.argmax(1),
        other_kind: l1.argmin(1),
    }
    return {
        "distances": exact.tolist(),
        "indices": found.tolist(),
        "mistakes": {
            "distances": {cause: v.tolist() for cause, v in of_distances.items()},
            "indices": {cause: v.tolist() for cause, v in of_indices.items()},
        },
    }


def right_distances(given, answers, expected):
    """The distances: the root of the mean squared difference per pixel."""
    what = "the distances, one for each picture"
    likely = "torch.cdist returns the root of the sum: divide by the root of 784"
    expect(answers[0], "distances", expected, what, tolerance=2e-3, likely=likely)


def right_indices(given, answers, expected):
    """The indices: which image is nearest."""
    what = "the indices into images, one for each picture"
    likely = "argmin over the images, for each picture"
    expect(answers[1], "indices", expected, what, likely=likely)


# 3. copies


def given_suspects(random):
    """Two rounds, one of them in pale print, so that no typed-in limit fits both;
    suspects near the limit are left out."""
    train = data.load_images("FashionMNIST", "train", sample=True).images
    other = data.load_images("FashionMNIST", "validation", sample=True).images
    pale = 0.25 + 0.15 * float(torch.rand(1, generator=random))
    given, truth = {}, []
    for turn, contrast in enumerate((1.0, pale)):
        pick = torch.randperm(len(train), generator=random)[:2000]
        rest = torch.randperm(len(other), generator=random)
        both = torch.cat([train[pick], other[rest]])
        both = altered(both, random, one_shift=True)
        images, held_out, unknown = both[:2000], both[2000:2300], both[2300:]
        real = distances(held_out, images).amin(1)
        limit, mean = float(real.quantile(0.01)), float(real.mean())
        noise = torch.randn(12, 1, 28, 28, generator=random)
        noise *= limit * (0.25 + 0.4 * torch.rand(12, 1, 1, 1, generator=random))
        chosen = images[torch.randperm(2000, generator=random)[:12]]
        guilty = (chosen + noise).clamp(0, 1)
        far = distances(unknown, images).amin(1)
        near = unknown[(far > 1.25 * limit) & (far < 0.95 * mean)][:9]
        usual = unknown[far > 1.1 * mean][:5]
        suspects = torch.cat([guilty, near, usual])
        mine = [True] * 12 + [False] * (len(near) + len(usual))
        order = torch.randperm(len(suspects), generator=random)
        given[f"suspects{turn}"] = contrast * suspects[order]
        given[f"images{turn}"] = contrast * images
        given[f"held_out{turn}"] = contrast * held_out
        truth.append([mine[i] for i in order.tolist()])
    return {**given, "_truth": truth}


def ask_usual(student, given):
    suspects, held_out = given["suspects0"], given["held_out0"]
    verdicts = student.copies(suspects, given["images0"], held_out)
    return {"verdicts": [bool(verdict) for verdict in verdicts]}


def ask_pale(student, given):
    suspects, held_out = given["suspects1"], given["held_out1"]
    verdicts = student.copies(suspects, given["images1"], held_out)
    return {"verdicts": [bool(verdict) for verdict in verdicts]}


def expected_verdicts(given):
    right = {}
    for turn, name in enumerate(("usual", "pale")):
        images, held_out = given[f"images{turn}"], given[f"held_out{turn}"]
        suspects = given[f"suspects{turn}"]
        mine = distances(suspects, images).amin(1)
        pairs = distances(held_out, images)
        real = pairs.amin(1)
        limit = real.quantile(0.01)
        mistakes = {
            "only exact copies count, or the limit comes from training images, each of "
            "which is its own nearest": mine < 1e-3,
            "the mean distance as limit": mine < real.mean(),
            "the limit is that of any two pictures, not of the nearest": mine
            < pairs[:, ::7].quantile(0.01),
            "the limit lies at the other end, or all are called copies": mine
            < real.quantile(0.99),
            "turned round: a copy lies nearer": mine >= limit,
            "the distance to held-out pictures, not to training images": distances(
                suspects, held_out
            ).amin(1)
            < limit,
        }
        right[name] = given["_truth"][turn]
        right.setdefault("mistakes", {})[name] = {
            cause: verdict.tolist() for cause, verdict in mistakes.items()
        }
    return right


def all_and_only(answer, expected, name, where):
    right, got = expected[name], answer.get("verdicts")
    if not isinstance(got, list) or len(got) != len(right):
        count = len(got) if isinstance(got, list) else got
        cause = "a list of true and false, one for each of samples"
        raise Wrong("the number of verdicts", len(right), count, cause)
    if same(got, right):
        return
    missed = sum(bool(truth and not verdict) for truth, verdict in zip(right, got))
    accused = sum(bool(verdict and not truth) for truth, verdict in zip(right, got))
    cause = "a limit that was typed in: it must come from held_out"
    for mistake, verdicts in expected["mistakes"][name].items():
        if same(got, verdicts):
            cause = mistake
            break
    what = f"{where}: [copies that were missed, new pictures that were accused]"
    raise Wrong(what, [0, 0], [missed, accused], cause)


def copies_as_usual(given, answers, expected):
    """Copies are found and no new picture is accused."""
    all_and_only(answers[0], expected, "usual", f"of {len(expected['usual'])} suspects")


def copies_in_pale_print(given, answers, expected):
    """The same in pale print, where all distances are small."""
    where = f"of {len(expected['pale'])} suspects in pale print"
    all_and_only(answers[1], expected, "pale", where)


# 4. codes from nowhere


def given_codes(random):
    """Codes of images that no file holds. What the student sends is codes: decoder and
    images stay with the judge."""
    train = data.load_images("FashionMNIST", "train", sample=True).images
    other = data.load_images("FashionMNIST", "validation", sample=True).images
    train = train[torch.randperm(len(train), generator=random)[:4000]]
    other = other[torch.randperm(len(other), generator=random)[:600]]
    both = torch.cat([train, other])
    both = altered(both, random, mirror=True, one_shift=True)
    return {
        "codes": encode(both[:4000]),
        "seed": int(torch.randint(1, 10_000, (1,), generator=random)),
        "_train": both[:4000],
        "_real": both[4000:4300],
        "_other": both[4300:],
    }


def encode(images):
    return metrics.apply_in_batches(pretrained.load("dae")[0], images)


def decode(codes):
    return metrics.apply_in_batches(pretrained.load("dae")[1], codes)


def ask_codes(student, given):
    torch.manual_seed(given["seed"] + 5)
    return {"codes": student.draw_codes(given["codes"], 300, given["seed"]).float()}


def ask_codes_again(student, given):
    codes, seed, drawn = given["codes"][:1500], given["seed"], []
    for number, common in ((seed, 5), (seed, 7), (seed + 1, 5)):
        torch.manual_seed(seed + common)
        drawn.append(student.draw_codes(codes.clone(), 20, number).float())
    return {"first": drawn[0], "again": drawn[1], "other": drawn[2]}


def share_of_copies(given, codes):
    """Share of codes that lie nearer to a training code than 99 of 100 real ones, and
    share of those that use only units of one training image."""
    known = given["codes"].double()
    nearest_real = torch.cdist(encode(given["_other"]).double(), known).amin(1)
    limit = nearest_real.quantile(0.01)
    copies = (torch.cdist(codes, known).amin(1) < limit).double().mean()
    on, used = (codes > 0).float(), (known > 0).float()
    within = (on @ used.T == on.sum(1, keepdim=True)).any(1).double().mean()
    return float(copies), float(within)


def new_codes(given, answers):
    """The codes, or ``Wrong`` where they are no codes at all or have mostly been there
    before: then nothing is worth a point."""
    known = given["codes"].double()
    codes = tensor(answers[0], "codes", (300, known.shape[1]))
    copies, within = share_of_copies(given, codes)
    if copies > 0.5:
        cause = "training codes, perhaps with a little noise"
        what = "the share of codes that are copies of training codes"
        raise Wrong(what, "at most 0.05", copies, cause)
    if within > 0.5:
        cause = "training codes multiplied by something: a unit at zero stays there"
        what = "the share of codes that use only units of one training image"
        raise Wrong(what, "0", within, cause)
    level = float(codes.clamp(min=0).mean() / known.mean())
    if not 0.6 < level < 1.6:
        cause = "codes that were not drawn from what was learned of codes"
        what = "the mean of the codes, over that of the training codes"
        raise Wrong(what, "about 1", level, cause)
    off, usual = (
        float((codes <= 0).double().mean()),
        float((known == 0).double().mean()),
    )
    if off < usual / 4:
        cause = "something was added after the clamp, or units were drawn without zeros"
        what = "the share of units at zero"
        raise Wrong(what, f"about {usual:.2f}", off, cause)
    return codes


def worse_direction(given, answers):
    """The larger of the two mean distances, each over that of real pictures. The task
    asks for 1; the rest is margin."""
    shape = (300, given["codes"].shape[1])
    samples = decode(tensor(answers[0], "codes", shape).float())
    train, real, other = given["_train"], given["_real"], given["_other"]

    def mean(a, b):
        return float(distances(a, b).amin(1).mean())

    forward = mean(samples, train) / mean(other, train)
    backward = mean(real, samples) / mean(real, other)
    return max(forward, backward), 1.03


def none_below_zero(given, answers, expected):
    """New codes, none below zero."""
    smallest = float(new_codes(given, answers).min())
    if smallest < 0:
        cause = "a ReLU's codes are never below zero: clamp(min=0)"
        raise Wrong("the smallest number of all codes", 0.0, smallest, cause)


def seeds_draw(given, answers, expected):
    """The same seed draws the same codes, another seed others."""
    new_codes(given, answers)
    shape = (20, given["codes"].shape[1])
    first, again, other = (
        tensor(answers[1], name, shape) for name in ("first", "again", "other")
    )
    if not torch.equal(first, again):
        cause = "a random number that does not come from seed (random_state=seed)"
        raise Wrong("the codes of one seed, twice", "the same", "two kinds", cause)
    if torch.equal(first, other):
        cause = "a seed that is typed in"
        raise Wrong("the codes of two seeds", "two kinds", "the same", cause)


def near_in_both_directions(given, answers, expected):
    """Pictures lie as near to real ones as real ones do, in both directions."""
    new_codes(given, answers)
    value, limit = worse_direction(given, answers)
    if not value < limit:
        what = "the worse of the two mean distances, over that of real pictures"
        cause = "units drawn one by one, one single Gaussian, or kinds that are missing"
        raise Wrong(what, f"below {limit:g}", value, cause)


def no_originals(given, answers, expected):
    """Not more than 5 in 100 codes are copies, and none keeps to one image's units."""
    codes = new_codes(given, answers)
    value = worse_direction(given, answers)[0]
    if not value < 1.3:
        what = "the worse of the two mean distances, over that of real pictures"
        cause = (
            "that noise has no original is no merit: first the pictures must be good"
        )
        raise Wrong(what, "below 1.3", value, cause)
    copies, within = share_of_copies(given, codes)
    if copies > 0.07:  # the task asks for 0.05; the rest is margin
        what = "the share of codes that are copies of training codes"
        cause = "they lie nearer to one than 99 of 100 codes of real pictures do"
        raise Wrong(what, "at most 0.07", copies, cause)
    if within > 0:
        what = "the share of codes that use only units of one training image"
        cause = "training codes, or training codes multiplied by something"
        raise Wrong(what, "0", within, cause)


QUESTIONS = [
    Question(
        "perturb",
        given=given_perturbation,
        ask=(ask_perturbed, ask_perturbed_again),
        rules={units_wake: 0.5, own_deviation: 1, seeded_alone: 0.5},
        seconds=20,
    ),
    Question(
        "nearest",
        given=given_pictures,
        ask=(ask_distances, ask_indices),
        expected=expected_nearest,
        rules={right_distances: 1, right_indices: 1},
        seconds=20,
    ),
    Question(
        "copies",
        given=given_suspects,
        ask=(ask_usual, ask_pale),
        expected=expected_verdicts,
        rules={copies_as_usual: 2, copies_in_pale_print: 2},
        seconds=30,
    ),
    Question(
        "draw_codes",
        given=given_codes,
        ask=(ask_codes, ask_codes_again),
        rules={
            none_below_zero: 0.5,
            seeds_draw: 0.5,
            near_in_both_directions: 2,
            no_originals: 1,
        },
        measure=worse_direction,
        seconds=60,
    ),
]
