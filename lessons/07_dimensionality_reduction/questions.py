"""Exercise 7: principal angles, PCA's error from its spectrum, a linear autoencoder,
and what a map in the plane keeps."""

from __future__ import annotations

import torch

from course_utils import data, metrics
from course_utils.engine.asking import Question, Wrong, expect, number, same, tensor
from course_utils.engine.exam_images import altered

# 1. principal angles


def columns_of(space, random):
    """Other columns of the same space, neither orthogonal nor of one length."""
    mix = torch.randn(space.shape[1], space.shape[1], generator=random)
    mix = mix + 2 * torch.eye(space.shape[1])
    lengths = 0.05 + 0.3 * torch.rand(space.shape[1], generator=random)
    return (space @ mix.to(space.dtype) * lengths).float()


def given_spaces(random):
    """Pairs of spaces at angles drawn at random."""
    frame = torch.randn(60, 60, generator=random, dtype=torch.float64)
    frame = torch.linalg.qr(frame)[0]
    low = torch.tensor([6.0, 28.0, 52.0, 74.0]).double()
    angles = low + 12 * torch.rand(4, generator=random).double()
    turn = torch.deg2rad(angles)
    one = frame[:, :4]
    other = one * torch.cos(turn) + frame[:, 4:8] * torch.sin(turn)
    return {
        "one": columns_of(one, random),
        "other": columns_of(other, random),
        "narrow": columns_of(other[:, 1:3], random),
        "same": columns_of(one, random),
        "foreign": columns_of(frame[:, 20:23], random),
        "_angles": angles,
    }


def ask_angles(student, given):
    def listed(a, b):
        return [float(angle) for angle in student.principal_angles(a, b)]

    return {
        "angles": listed(given["one"], given["other"]),
        "fewer": listed(given["narrow"], given["one"]),
    }


def ask_limits(student, given):
    def listed(a, b):
        return [float(angle) for angle in student.principal_angles(a, b)]

    return {
        "same": listed(given["one"], given["same"]),
        "foreign": listed(given["one"], given["foreign"]),
    }


def expected_angles(given):
    a, b = given["one"].double(), given["other"].double()
    right = given["_angles"]

    def degrees(cosines):
        return torch.rad2deg(torch.arccos(cosines.clamp(-1, 1))).tolist()

    unit = [c / c.norm(dim=0) for c in (a, b)]
    bases = [torch.linalg.qr(c)[0] for c in (a, b)]
    mistakes = {
        "radians instead of degrees": torch.deg2rad(right).tolist(),
        "these are the cosines, not the angles": torch.cos(
            torch.deg2rad(right)
        ).tolist(),
        "sorted the other way: the smallest angle comes first": right.flip(0).tolist(),
        "no orthonormal basis: columns of length one may still lean on each other": (
            degrees(torch.linalg.svdvals(unit[0].T @ unit[1]))
        ),
        "no orthonormal basis: QR makes one of the columns": degrees(
            torch.linalg.svdvals(a.T @ b)
        ),
        "angles between single columns; the cosines are the singular values": degrees(
            (bases[0].T @ bases[1]).diagonal()
        ),
    }
    return {
        "angles": right.tolist(),
        "fewer": right[1:3].tolist(),
        "mistakes": {"angles": mistakes},
    }


def near_angles(answer, name, right, what, cause="", mistakes=None):
    """Wrong unless all angles lie within a third of a degree of the right ones."""
    got = answer.get(name)
    if not isinstance(got, list) or len(got) != len(right):
        raise Wrong(f"{what}: how many", len(right), len(got or []), cause)
    if all(abs(a - b) < 1 / 3 for a, b in zip(got, right)):
        return
    if any(angle != angle for angle in got):
        cause = "arccos of a number just above 1 is NaN: clip the cosines first"
    for known, value in (mistakes or {}).items():
        cause = known if same(got, value, 5e-3) else cause
    raise Wrong(f"{what}, in degrees", right, got, cause)


def right_angles(given, answers, expected):
    """The angles between spaces that were built at known angles."""
    what, mistakes = "the principal angles", expected["mistakes"]["angles"]
    near_angles(answers[0], "angles", expected["angles"], what, mistakes=mistakes)
    what = "the angles between a space of two dimensions and one of four"
    cause = "as many angles as the smaller space has dimensions"
    near_angles(answers[0], "fewer", expected["fewer"], what, cause)


def same_and_foreign(given, answers, expected):
    """Other columns of the same space: 0 degrees; a foreign space: 90."""
    what = "the angles between a space and itself, drawn by other columns"
    cause = "no orthonormal basis, or the columns were compared one by one"
    near_angles(answers[1], "same", [0.0] * 4, what, cause)
    what = "the angles to a space at right angles"
    near_angles(answers[1], "foreign", [90.0] * 3, what, cause)


# 2. PCA's error from its spectrum


def given_images(random):
    train = data.load_images("FashionMNIST", "train", sample=True).images
    pick = torch.randperm(len(train), generator=random)[:850]
    # a strong mean that is no direction of the data: to forget it must show
    ground = 0.4 * torch.rand(1, 28, 28, generator=random)
    return {"images": 0.6 * altered(train[pick], random) + ground}


def ask_spectrum(student, given):
    values = torch.as_tensor(student.spectrum(given["images"])).double()
    return {
        "count": len(values),
        "leading": values[:6].tolist(),
        "left out": float(values[40:].sum()),
    }


def expected_spectrum(given):
    x = given["images"].flatten(1).double()
    n = len(x)
    singular = torch.linalg.svdvals(x - x.mean(0))
    values = singular**2 / n
    plain = torch.linalg.svdvals(x) ** 2 / n
    own = x - x.mean(1, keepdim=True)

    def first(numbers):
        return numbers[:6].tolist()

    mistakes = {
        "divided by N - 1; an error is a mean over all N images": first(
            singular**2 / (n - 1)
        ),
        "the sum over the images, not their mean: divide by N": first(singular**2),
        "singular values; their squares are the variances": first(singular),
        "singular values; square them before you divide by N": first(singular / n),
        "the mean image was not subtracted": first(plain),
        "each image's own mean was subtracted, not the mean image (dim=0)": first(
            torch.linalg.svdvals(own) ** 2 / n
        ),
        "smallest first; eigh sorts upwards": first(values.flip(0)),
        "shares of the variance; the variances themselves were asked": first(
            values / values.sum()
        ),
    }
    return {
        "leading": first(values),
        "left out": float(values[40:].sum()),
        "mistakes": {"leading": mistakes},
    }


def leading_values(given, answers, expected):
    """The first six of 784 variances."""
    if answers[0].get("count") != 784:
        raise Wrong("how many variances", 784, answers[0].get("count"))
    what = "the six largest variances"
    expect(answers[0], "leading", expected, what, tolerance=3e-4)


def left_out_values(given, answers, expected):
    """What forty components leave out, over 784, is the error of PCA with forty."""
    error = number(answers[0], "left out") / 784
    right = {"error": expected["left out"] / 784}
    likely = "see the six largest variances: all must be right"
    what = "the error per pixel that your variances give for 40 components"
    expect({"error": error}, "error", right, what, tolerance=3e-4, likely=likely)


def made_spectrum(random):
    """784 variances that fall as those of images do, and three sizes to look for."""
    power, reach, scale = torch.rand(3, generator=random, dtype=torch.float64)
    i = torch.arange(1, 785, dtype=torch.float64)
    values = (10 + 10 * scale) * i ** -(0.8 + 0.5 * power)
    values = values * torch.exp(-i / (150 + 150 * reach))
    lows, highs = (3, 20, 120), (9, 90, 220)
    sizes = [
        low + int(torch.randint(0, high - low, (1,), generator=random))
        for low, high in zip(lows, highs)
    ]
    # halves, quarters and eighths are exact in the computer, so that ties are ties
    exact = torch.zeros(784, dtype=torch.float64)
    exact[:5] = 784 * torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0], dtype=torch.float64) / 16
    return values, sizes, exact


def given_shares(random):
    values, sizes, exact = made_spectrum(random)
    reached = values.cumsum(0) / values.sum()
    shares = [float(reached[k - 2] + reached[k - 1]) / 2 for k in sizes]
    return {"values": values, "shares": shares, "exact": exact, "ties": [0.75, 0.875]}


def ask_shares(student, given):
    find, values = student.components_for_share, given["values"]
    return {"k": [int(find(values, share)) for share in given["shares"]]}


def ask_tied_shares(student, given):
    find, values = student.components_for_share, given["exact"]
    return {"k": [int(find(values, share)) for share in given["ties"]]}


def first_at_least(kept, wanted):
    """The smallest k with kept[k] >= wanted, where kept[0] = 0."""
    return int((kept >= wanted).nonzero()[0])


def with_none(values):
    return torch.cat([torch.zeros(1, dtype=values.dtype), values.cumsum(0)])


def expected_shares(given):
    def sizes(values):
        kept = with_none(values) / values.sum()
        return [first_at_least(kept, share) for share in given["shares"]]

    right = sizes(given["values"])
    mistakes = {
        "one too few: positions count from 0, components from 1": [
            k - 1 for k in right
        ],
        "one too many": [k + 1 for k in right],
        "these are variances already; no root is to be taken": sizes(
            given["values"] ** 0.5
        ),
        "these are variances already; they need no square": sizes(given["values"] ** 2),
    }
    return {"k": right, "mistakes": {"k": mistakes}}


def sizes_for_shares(given, answers, expected):
    """The smallest k for a low, a middle and a high share of the variance."""
    shares = ", ".join(f"{share:.4f}" for share in given["shares"])
    expect(answers[0], "k", expected, f"the smallest k for the shares {shares}")


def tied_shares(given, answers, expected):
    """A share that is reached exactly is reached: at least, not more than."""
    mistakes = {
        "one too many: 'more than' instead of 'at least'": [3, 4],
        "one too few: positions count from 0, components from 1": [1, 2],
    }
    what = "k for the shares 3/4 and 7/8 of the variances 8, 4, 2, 1, 1, 0, 0, …"
    expect(answers[1], "k", {"k": [2, 3], "mistakes": {"k": mistakes}}, what)


def given_errors(random):
    values, sizes, exact = made_spectrum(random)
    left = values.sum() - with_none(values)
    errors = [float(left[k] + left[k - 1]) / 2 / 784 for k in sizes]
    return {
        "values": values,
        "errors": errors,
        "exact": exact,
        "ties": [0.25, 0.125],
        "large": 2 * float(left[0]) / 784,
    }


def ask_errors(student, given):
    find, values = student.components_for_error, given["values"]
    return {"k": [int(find(values, error)) for error in given["errors"]]}


def ask_tied_errors(student, given):
    find = student.components_for_error
    tied = [int(find(given["exact"], error)) for error in given["ties"]]
    return {"k": [*tied, int(find(given["values"], given["large"]))]}


def expected_errors(given):
    values = given["values"]
    kept = with_none(values)
    left = (values.sum() - kept).clamp(min=0) / 784
    right = [int((left <= error).nonzero()[0]) for error in given["errors"]]
    sums = [int((left * 784 <= error).nonzero()[0]) for error in given["errors"]]
    turned = [first_at_least(kept / 784, error) for error in given["errors"]]
    single = [int((values / 784 <= e).nonzero()[0]) for e in given["errors"]]
    mistakes = {
        "not divided by 784: an error is per pixel": sums,
        "what is kept was compared with the error, not what is left out": turned,
        "single variances were compared, not the sum of all left out": single,
        "one too few: left[0] must be the error of no component": [
            k - 1 for k in right
        ],
        "one too many: left[0] must be the error of no component": [
            k + 1 for k in right
        ],
    }
    return {"k": right, "mistakes": {"k": mistakes}}


def sizes_for_errors(given, answers, expected):
    """The smallest k for a large, a middle and a small error."""
    errors = ", ".join(f"{error:.5f}" for error in given["errors"])
    expect(answers[0], "k", expected, f"the smallest k for the errors {errors}")


def tied_errors(given, answers, expected):
    """An error that is reached exactly is reached; a large one needs no component."""
    mistakes = {
        "'less than' instead of 'at most'": [3, 4, 0],
        "k = 0 was not thought of": [2, 3, 1],
        "one too few: left[0] must be the error of no component": [1, 2, 0],
    }
    what = "k for two errors that are reached exactly, and for one that the mean image"
    right = {"k": [2, 3, 0], "mistakes": {"k": mistakes}}
    likely = "the error is the sum of all that is left out, over 784"
    expect(answers[1], "k", right, f"{what} undercuts", likely=likely)


# 3. a linear autoencoder

STEPS = 1000
HELD_OUT = 600
ANGLE = 10  # degrees; the task asks for 5, the rest is margin
ERROR = 1.02  # of PCA's; the task asks for 1.01


def given_training(random):
    """Images that no file holds: weights or results typed in are of no use."""
    train = data.load_images("FashionMNIST", "train", sample=True).images
    other = data.load_images("FashionMNIST", "validation", sample=True).images
    pick = torch.randperm(len(train), generator=random)[:6000]
    both = torch.cat([train[pick], other[:HELD_OUT]])
    both = altered(both, random, one_shift=True)
    return {
        "train": both[:6000],
        "_images": both[6000:],
        "_pca": metrics.PCABaseline(both[:6000]),
        "k": 3 + int(torch.randint(0, 2, (1,), generator=random)),
        "epochs": round(STEPS * 128 / 6000),
        "seed": int(torch.randint(0, 1000, (1,), generator=random)),
    }


def train_hidden(student, given):
    """Runs once; encoder and decoder are then asked apart, so that the decoder cannot
    remember what the encoder saw."""
    train, k = given["train"], given["k"]
    autoencoder = student.train_linear(train, k, given["epochs"], given["seed"])
    autoencoder.eval()
    return autoencoder


@torch.no_grad()
def ask_encoder(state, given):
    """Codes of images, and of the means of neighbouring ones."""
    images = given["images"]
    blends = (images[0::2] + images[1::2]) / 2
    return {"codes": state[0](images).float(), "blends": state[0](blends).float()}


@torch.no_grad()
def ask_decoder(state, given):
    """Images of codes, of the code of zeros, and of one code along each axis."""
    codes, lengths = given["codes"], given["lengths"]
    return {
        "images": state[1](codes).float(),
        "origin": state[1](torch.zeros_like(codes[:1])).float(),
        "steps": state[1](torch.diag(lengths)).float(),
    }


def order_of(given):
    random = torch.Generator().manual_seed(given["seed"])
    return torch.randperm(HELD_OUT, generator=random)


def codes_of(given, answers):
    return tensor(answers[0], "codes", (HELD_OUT, given["k"]))


def only_what_is_asked(step, given, answers):
    """Images for the encoder; for the decoder codes alone, in another order."""
    if step == 0:
        return {"images": given["_images"]}
    codes = codes_of(given, answers).float()[order_of(given)]
    return {"codes": codes, "lengths": codes.std(dim=0)}


def ratio_to_pca(given, answers):
    """The error on held-out images as a multiple of PCA's."""
    images, k = given["_images"], given["k"]
    rebuilt = tensor(answers[1], "images", tuple(images.shape))
    error = metrics.mse(rebuilt, images[order_of(given)].double())
    return error / given["_pca"].error(images, k)


def drawn_columns(given, answers):
    """What the decoder draws along each axis of the code: (784, k).

    Wrong where encoder or decoder is not linear (but for a constant).
    """
    codes, k = codes_of(given, answers), given["k"]
    blends = tensor(answers[0], "blends", (HELD_OUT // 2, k))
    spread = codes.std(dim=0)
    if bool((spread < 1e-6).any()):
        raise Wrong(
            "a number of the code is the same for all images", cause="dead unit"
        )
    halfway = (codes[0::2] + codes[1::2]) / 2
    if bool(((blends - halfway).abs() > 0.01 * spread + 1e-4).any()):
        cause = "an activation on the code: models.Encoder has a ReLU unless told"
        what = "the code of two images' mean is not the mean of their codes"
        raise Wrong(f"the encoder is not linear: {what}", cause=cause)
    images = tensor(answers[1], "images", (HELD_OUT, 1, 28, 28)).flatten(1)
    origin = tensor(answers[1], "origin", (1, 1, 28, 28)).flatten(1)
    steps = tensor(answers[1], "steps", (k, 1, 28, 28)).flatten(1) - origin
    codes = codes[order_of(given)]
    straight = origin + (codes / spread) @ steps
    if bool(((straight - images).abs() > 0.02).any()):
        cause = "a sigmoid or ReLU on the pixels: models.Decoder ends in a sigmoid"
        raise Wrong("the decoder is not linear: not a sum of its columns", cause=cause)
    return steps.T


def angles_to_pca(given, answers):
    """Principal angles in degrees between the decoder's columns and PCA's components.

    Source: Björck and Golub, 1973.
    """
    columns = drawn_columns(given, answers)
    components = given["_pca"].components[: given["k"]].double()
    cosines = torch.linalg.svdvals(components @ torch.linalg.qr(columns)[0])
    return torch.rad2deg(torch.arccos(cosines.clamp(-1, 1)))


def largest_angle(given, answers):
    return float(angles_to_pca(given, answers).max()), ANGLE


def is_linear(given, answers, expected):
    """Encoder and decoder are linear, trained and not copied from PCA."""
    columns = drawn_columns(given, answers)
    pca = given["_pca"]
    unit = columns / columns.norm(dim=0)
    cosines = (pca.components[: given["k"]].double() @ unit).abs()
    if bool((cosines.max(dim=0).values > 0.999).all()):
        cause = (
            "PCA's components were put in; the task asks to train from a random start"
        )
        raise Wrong("each column of the decoder is a principal component", cause=cause)
    ratio = ratio_to_pca(given, answers)
    level = pca.error(given["_images"], 0) / pca.error(given["_images"], given["k"])
    if not ratio < 0.5 + level / 2:
        what = "the error on held-out images, as a multiple of PCA's"
        raise Wrong(what, "well below that of the mean image", ratio, "no training")


def error_of_pca(given, answers, expected):
    """The error on held-out images is PCA's, within two per cent."""
    is_linear(given, answers, expected)
    ratio = ratio_to_pca(given, answers)
    if not 0.9 < ratio < ERROR:
        what = "the error on held-out images, as a multiple of PCA's"
        cause = "steps too small for so few, or so large that the weights shake"
        raise Wrong(what, f"below {ERROR:g}", ratio, cause)


def space_of_pca(given, answers, expected):
    """The largest principal angle between the decoder and PCA's subspace is small."""
    is_linear(given, answers, expected)
    angle, limit = largest_angle(given, answers)
    if not angle < limit:
        what = "the largest principal angle in degrees"
        cause = (
            "the last direction is not found yet: the decoder began with long random "
            "columns, or the learning rate is too small"
        )
        raise Wrong(what, f"below {limit:g}", angle, cause)


# 4. what a map keeps


def given_map(random):
    """Points that vary in three directions, and maps that keep two of them or none."""
    n = 240
    hidden = torch.randn(n, 3, generator=random)
    axes = torch.linalg.qr(torch.randn(20, 3, generator=random))[0]
    points = hidden @ axes.T + 0.02 * torch.randn(n, 20, generator=random)
    stretch = torch.tensor([1.0, 0.6 + 0.3 * float(torch.rand(1, generator=random))])
    return {
        "points": points,
        "flat": hidden[:, :2] * stretch,
        "scattered": torch.randn(n, 2, generator=random),
        "k": 6 + int(torch.randint(0, 6, (1,), generator=random)),
    }


def ask_kept(student, given):
    points, k = given["points"], given["k"]
    return {"kept": float(student.neighbours_kept(points, given["flat"], k))}


def ask_kept_limits(student, given):
    points, k = given["points"], given["k"]
    return {
        "all": float(student.neighbours_kept(points, 3 * points, k)),
        "chance": float(student.neighbours_kept(points, given["scattered"], k)),
    }


def neighbour_table(points, k, skip=1, furthest=False):
    """(N, N) of 0 and 1: who is among whose k nearest."""
    away = torch.cdist(points.double(), points.double())
    order = away.argsort(dim=1, descending=furthest)[:, skip : skip + k]
    return torch.zeros_like(away).scatter(1, order, 1.0)


def expected_kept(given):
    points, flat, k = (given[name] for name in ("points", "flat", "k"))

    def kept(*how, **more):
        one, other = (neighbour_table(p, k, *how, **more) for p in (points, flat))
        return float((one * other).sum() / len(points) / k)

    one, other = (neighbour_table(p, k) for p in (points, flat))
    both = (one * other).sum(1)
    scattered = neighbour_table(given["scattered"], k)
    more = [neighbour_table(p, k + 1, 0) for p in (points, flat)]
    mistakes = {
        "each point was counted as its own neighbour": kept(0),
        "each point was counted as its own neighbour, beside k others": float(
            (more[0] * more[1]).sum() / len(points) / (k + 1)
        ),
        "each point was counted as its own neighbour, and divided by k": float(
            (more[0] * more[1]).sum() / len(points) / k
        ),
        "the number of kept neighbours; divide by k": float(both.mean()),
        "divided by all that are neighbours in one of the two; divide by k": float(
            (both / (2 * k - both)).mean()
        ),
        "the furthest points, not the nearest": kept(0, furthest=True),
        "the share of points that kept every neighbour": float(
            (both == k).double().mean()
        ),
        "the share of points that kept any neighbour": float(
            (both > 0).double().mean()
        ),
    }
    return {
        "kept": kept(),
        "chance": float((one * scattered).sum() / len(points) / k),
        "mistakes": {"kept": mistakes},
    }


def near(answer, name, expected, what, likely=""):
    """As ``expect``, but two neighbours of nearly one distance may change places."""
    if abs(number(answer, name) - expected[name]) < 0.004:
        return
    expect(answer, name, expected, what, tolerance=2e-3, likely=likely)
    raise Wrong(what, expected[name], answer.get(name), likely)


def share_kept(given, answers, expected):
    """The share of neighbours that a map keeps."""
    near(answers[0], "kept", expected, f"the share kept of {given['k']} neighbours")


def all_and_chance(given, answers, expected):
    """A map that only stretches keeps all; points thrown at random keep by chance."""
    likely = "each point is its own nearest neighbour: leave it out"
    what = "the share kept by points thrown at random"
    near(answers[1], "chance", expected, what, likely)
    what = "the share kept where all distances were tripled"
    near(answers[1], "all", {"all": 1.0}, what)


def given_centres(random):
    """Seven classes of unequal size and spread, a projection and an unrelated map."""
    labels = torch.randint(0, 7, (300,), generator=random)
    labels[:14] = torch.arange(14) % 7
    middle = 3 * torch.rand(7, 12, generator=random).pow(2)
    width = 0.3 + 2 * torch.rand(7, 1, generator=random)
    noise = torch.randn(300, 12, generator=random)
    points = middle[labels] + width[labels] * noise
    onto = torch.randn(12, 2, generator=random)
    flat = points @ onto
    other = 4 * torch.randn(7, 2, generator=random)[labels]
    other = other + torch.randn(300, 2, generator=random)
    return {"points": points, "flat": flat, "other": other, "labels": labels}


def ask_centres(student, given):
    points, labels = given["points"], given["labels"]
    return {
        "flat": float(student.centres_agree(points, given["flat"], labels)),
        "other": float(student.centres_agree(points, given["other"], labels)),
    }


def correlation(one, other):
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


def ranks(values):
    return values.argsort().argsort().double()


def between(points, labels, middle):
    """Distances between the classes' centres, (7, 7)."""
    parts = [middle(points.double()[labels == c]) for c in range(7)]
    return torch.cdist(*[torch.stack(parts)] * 2)


def expected_centres(given):
    points, labels = given["points"], given["labels"]
    above = torch.triu_indices(7, 7, 1).unbind()

    def mean(part):
        return part.mean(0)

    answers = {"mistakes": {}}
    for name in ("flat", "other"):
        pairs = [between(p, labels, mean) for p in (points, given[name])]
        medians = [
            between(p, labels, lambda q: q.median(0).values)
            for p in (points, given[name])
        ]
        every = [torch.pdist(p.double()) for p in (points, given[name])]
        one, other = (pair[above] for pair in pairs)
        answers[name] = correlation(ranks(one), ranks(other))
        with_zeros = [pair.flatten() for pair in pairs]
        shared = [
            torch.unique(v.round(decimals=9), return_inverse=True)[1]
            for v in with_zeros
        ]
        places = [
            torch.tensor([float((s < v).sum() + (s <= v).sum()) for v in s])
            for s in shared
        ]
        answers["mistakes"][name] = {
            "the distances themselves were correlated, not their ranks": correlation(
                one, other
            ),
            "zeros counted: a centre's distance to itself is no pair": correlation(
                *places
            ),
            "distances between single points, not between the classes' centres": (
                correlation(*map(ranks, every))
            ),
            "medians instead of means": correlation(
                *(ranks(pair[above]) for pair in medians)
            ),
        }
    return answers


def order_of_centres(given, answers, expected):
    """The rank correlation for a projection, and for a map that knows nothing."""
    what = "the rank correlation of the 21 distances between centres"
    for name in ("flat", "other"):
        expect(answers[0], name, expected, what, tolerance=1e-3)


QUESTIONS = [
    Question(
        "principal_angles",
        given=given_spaces,
        ask=(ask_angles, ask_limits),
        expected=expected_angles,
        rules={right_angles: 2, same_and_foreign: 1},
        seconds=20,
    ),
    Question(
        "spectrum",
        given=given_images,
        ask=(ask_spectrum,),
        expected=expected_spectrum,
        rules={leading_values: 0.5, left_out_values: 0.5},
    ),
    Question(
        "components_for_share",
        given=given_shares,
        ask=(ask_shares, ask_tied_shares),
        expected=expected_shares,
        rules={sizes_for_shares: 0.75, tied_shares: 0.25},
        seconds=20,
    ),
    Question(
        "components_for_error",
        given=given_errors,
        ask=(ask_errors, ask_tied_errors),
        expected=expected_errors,
        rules={sizes_for_errors: 0.75, tied_errors: 0.25},
        seconds=20,
    ),
    Question(
        "train_linear",
        given=given_training,
        prepare=train_hidden,
        ask=(ask_encoder, ask_decoder),
        apart=True,
        then=only_what_is_asked,
        rules={is_linear: 1, error_of_pca: 1, space_of_pca: 2},
        measure=largest_angle,
        seconds=120,
    ),
    Question(
        "neighbours_kept",
        given=given_map,
        ask=(ask_kept, ask_kept_limits),
        expected=expected_kept,
        rules={share_kept: 1.5, all_and_chance: 0.5},
        seconds=20,
    ),
    Question(
        "centres_agree",
        given=given_centres,
        ask=(ask_centres,),
        expected=expected_centres,
        rules={order_of_centres: 1},
        seconds=20,
    ),
]
