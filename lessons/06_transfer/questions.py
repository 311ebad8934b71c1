"""Exercise 6: what has moved, a rate for each layer, a fair comparison, a classifier
from a hundred labels."""

from __future__ import annotations

import math

import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from course_utils import data, pretrained
from course_utils.engine.asking import Question, Wrong, expect, tensor
from course_utils.engine.exam_images import altered


def draw(random, low, high):
    return int(torch.randint(low, high, (1,), generator=random))


# 1. what has moved

PARAMETERS, BUFFERS, SMALLEST = "parameters", "buffers", "smallest"
SIZES = {  # of the network below, in the order of its state_dict()
    "0.weight": 27,
    "0.bias": 3,
    "1.weight": 3,
    "1.bias": 3,
    "1.running_mean": 3,
    "1.running_var": 3,
    "1.num_batches_tracked": 1,
    "4.weight": 60,
    "4.bias": 5,
    "5.scale": 3,
}
IN_BUFFERS = {"1.running_mean", "1.running_var", "1.num_batches_tracked", "5.scale"}


def places():
    """Name -> its part of the row of all numbers."""
    ends = torch.tensor(list(SIZES.values())).cumsum(0).tolist()
    return {name: slice(end - SIZES[name], end) for name, end in zip(SIZES, ends)}


def given_changes(random):
    """All numbers of a network in a row, before, and after each of some actions. Which
    of them an action changes is told nowhere. They are multiples of 1/64, so that sums
    are exact."""
    count, place = sum(SIZES.values()), places()
    before = (torch.randperm(count, generator=random) - count // 2) / 64
    before[place["1.num_batches_tracked"]] = 7
    weights = ["0.weight", "4.weight"]
    if torch.rand(1, generator=random) < 0.5:
        weights.reverse()
    averages = ["1.running_mean", "1.running_var"]
    if torch.rand(1, generator=random) < 0.5:
        averages.reverse()
    trials = {
        PARAMETERS: [[], [weights[0]], ["0.bias", "1.weight", "4.bias"], ["1.bias"]],
        BUFFERS: [
            ["1.num_batches_tracked"],
            [averages[0]],
            ["5.scale", weights[1]],
            ["0.bias", averages[1]],
        ],
        SMALLEST: [[], [weights[0]], ["0.bias", "4.bias"], [weights[1]]],
    }
    given = {"before": before}
    for kind, changes in trials.items():
        rows = before.repeat(len(changes), 1)
        for trial, names in enumerate(changes):
            for name in names:
                numbers = rows[trial, place[name]]
                at = draw(random, 0, len(numbers))
                if kind != SMALLEST:
                    numbers[at] += 1
                elif trial == len(changes) - 1:
                    numbers[:] = numbers.roll(1)  # the sum stays
                else:
                    # the largest, by less than allclose's tolerance
                    numbers[numbers.abs().argmax()] *= 1 + 2**-18
        given[kind] = rows
    return {**given, "_changes": trials}


def ask_moved(student, given):
    def fill(network, numbers):
        start = 0
        with torch.no_grad():
            for value in network.state_dict().values():
                part = numbers[start : start + value.numel()]
                value.copy_(part.reshape(value.shape))
                start += value.numel()

    found = {}
    for kind in ("parameters", "buffers", "smallest"):
        found[kind] = []
        for after in given[kind]:
            network = nn.Sequential(
                nn.Conv2d(1, 3, 3),
                nn.BatchNorm2d(3),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(12, 5),
                nn.Identity(),
            )
            network[5].register_buffer("scale", torch.ones(3))
            fill(network, given["before"])

            def action(network=network, after=after, calls=[]):  # noqa: B006
                fill(network, after + len(calls))  # a second call would move everything
                calls.append(1)

            names = student.moved(network, action)
            found[kind].append(sorted(str(name) for name in names))
    return found


def expected_changes(given):
    right = {
        kind: [sorted(names) for names in changes]
        for kind, changes in given["_changes"].items()
    }
    without = [[n for n in names if n not in IN_BUFFERS] for names in right[BUFFERS]]
    parts = [names if trial < 3 else [] for trial, names in enumerate(right[SMALLEST])]
    return {
        **right,
        "mistakes": {
            BUFFERS: {
                "buffers belong to the network, too: state_dict() has them": without
            },
            SMALLEST: {
                "compared with a tolerance; torch.equal has none": [
                    *([] for _ in right[SMALLEST][:3]),
                    right[SMALLEST][3],
                ],
                "a sum or a mean does not notice what moves from here to there": parts,
            },
        },
    }


def compare_names(given, answers, expected, kind, likely):
    found = [answers[0].get(one) for one in (PARAMETERS, BUFFERS, SMALLEST)]
    if all(isinstance(names, list) and not any(names) for names in found):
        cause = "what was kept is not a copy but the living tensors: value.clone(); or "
        cause += "action was not called, once, between keeping and comparing"
        raise Wrong("no change was found in any of the trials", cause=cause)
    if all(names == sorted(SIZES) for names in found[0]):
        cause = "action must be called exactly once, between keeping and comparing"
        raise Wrong("everything has moved in every trial", cause=cause)
    what = "the names that one action after the other changed"
    expect(answers[0], kind, expected, what, likely=likely)


def parameters_that_moved(given, answers, expected):
    """Parameters that moved are named, after one call of action."""
    likely = "one number that changed is enough: all entries have to be equal"
    compare_names(given, answers, expected, PARAMETERS, likely)


def buffers_that_moved(given, answers, expected):
    """Buffers that moved are named, too."""
    likely = "all entries of state_dict() are asked for, parameters and buffers"
    compare_names(given, answers, expected, BUFFERS, likely)


def smallest_changes(given, answers, expected):
    """A change by millionths is a change, and so is one that no sum shows."""
    likely = "numbers must be compared one by one and exactly: torch.equal"
    compare_names(given, answers, expected, SMALLEST, likely)


# 2. a rate for each layer

KINDS = ("linear", "relu", "norm", "block", "pool")
SIZE = {"linear": 2, "norm": 2, "block": 4}  # how many parameters
HEAD = 4


def given_groups(random):
    """The first encoder has one layer of each kind; three more are drawn."""
    shapes = [["linear", "relu", "norm", "block", "pool", "linear", "relu"]]
    for _ in range(3):
        layers = [KINDS[draw(random, 0, 5)] for _ in range(draw(random, 3, 7))]
        shapes.append(["linear", *layers, "linear", "relu"])
    return {
        "shapes": shapes,
        "rate": 0.001 + 0.01 * float(torch.rand(1, generator=random)),
        "factor": 0.2 + 0.6 * float(torch.rand(1, generator=random)),
    }


def ask_groups(student, given):
    make = {
        "linear": lambda: nn.Linear(4, 4),
        "relu": nn.ReLU,
        "norm": lambda: nn.BatchNorm1d(4),
        "block": lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)),
        "pool": nn.Identity,
    }
    rate, factor = given["rate"], given["factor"]
    rates = {"encoder": [], "head": []}
    for shape in given["shapes"]:
        encoder = nn.Sequential(*[make[kind]() for kind in shape])
        head = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10))
        found = []
        for group in student.layer_groups(encoder, head, rate, factor):
            some = group["params"]
            some = [some] if isinstance(some, torch.Tensor) else list(some)
            found.append((some, float(group.get("lr", rate))))
        for name, part in (("encoder", encoder), ("head", head)):
            rates[name].append(
                [
                    [own for some, own in found if any(p is q for q in some)]
                    for p in part.parameters()
                ]
            )
    return rates


def powers_of(
    shape, counted=("linear", "norm", "block"), last=1, turned=False, parts=None
):
    """The n of rate * factor**n for each parameter of an encoder; the options are the
    usual mistakes."""
    layers = []  # how many parameters each has
    for kind in shape:
        if kind in counted:
            size = SIZE.get(kind, 0)
            pieces = size // parts if parts else 1
            layers += [size // pieces] * pieces if pieces else []
    powers = list(range(last + len(layers) - 1, last - 1, -1))
    powers = powers[::-1] if turned else powers
    return [power for power, size in zip(powers, layers) for _ in range(size)]


def expected_groups(given):
    shapes = given["shapes"]
    mistakes = {
        "turned round: the layer next to the head moves most": {"turned": True},
        "layers without parameters were counted": {"counted": KINDS},
        "the head's rate is rate itself, it is no layer of the encoder": {"last": 2},
        "the last layer's rate is rate * factor, not rate": {"last": 0},
        "single parameters were counted as layers": {"parts": 1},
        "parts of a block were counted; a layer is a child of encoder": {"parts": 2},
    }
    flat = [[1] * len(powers_of(shape)) for shape in shapes]
    return {
        "encoder": [powers_of(shape) for shape in shapes],
        "mistakes": {
            "encoder": {
                "one rate for the whole encoder": flat,
                **{
                    cause: [powers_of(shape, **options) for shape in shapes]
                    for cause, options in mistakes.items()
                },
            }
        },
    }


def in_one_group(given, answers, parts):
    """Raises Wrong unless each parameter is in one group."""
    rates = [r for part in parts for network in answers[0].get(part) for r in network]
    none, several = sum(not r for r in rates), sum(len(r) > 1 for r in rates)
    where = " and ".join(parts)
    if none:
        cause = "the head or biases are missing, or a generator was used up"
        raise Wrong(f"parameters of the {where} that are in no group", 0, none, cause)
    if several:
        cause = "encoder.parameters() has those of all layers at once"
        what = f"parameters of the {where} that are in two groups"
        raise Wrong(what, 0, several, cause)


def powers_in(given, rates):
    """[rate] -> the n of rate * factor**n."""
    ratio = rates[0] / given["rate"]
    n = math.log(ratio) / math.log(given["factor"]) if ratio > 0 else float("nan")
    return round(n) if abs(n - round(n)) < 1e-5 else n


def every_parameter_once(given, answers, expected):
    """Every parameter is in one group, and the head's rate is rate."""
    sizes = [sum(SIZE.get(kind, 0) for kind in shape) for shape in given["shapes"]]
    for part, right in (("encoder", sizes), ("head", [HEAD] * len(sizes))):
        got = [len(network) for network in answers[0].get(part)]
        if got != right:
            raise Wrong(f"the number of parameters of each {part}", right, got)
    in_one_group(given, answers, ("encoder", "head"))
    for network in answers[0].get("head"):
        rates = [rate[0] / given["rate"] for rate in network]
        if any(abs(rate - 1) > 1e-5 for rate in rates):
            what = "the rates of the head's parameters, divided by rate"
            cause = "the head has rate itself; the factor begins with the encoder"
            raise Wrong(what, [1.0] * HEAD, rates, cause)


def rates_fall(given, answers, expected):
    """The deeper a layer of the encoder, the smaller its rate, by factor each time."""
    in_one_group(given, answers, ("encoder",))
    networks = answers[0].get("encoder")
    powers = [[powers_in(given, rates) for rates in network] for network in networks]
    what = "n in rate * factor**n, for the parameters of an encoder"
    likely = "count from the head: 1 for the last layer that has parameters"
    try:
        expect({"encoder": powers}, "encoder", expected, what, likely=likely)
    except Wrong as wrong:
        right = expected["encoder"]
        if len(powers) != len(right):
            raise
        at = next(i for i, network in enumerate(right) if powers[i] != network)
        what = f"{what} of {', '.join(given['shapes'][at])}"
        raise Wrong(what, right[at], powers[at], wrong.cause) from None


# 3. a fair comparison

FIRST, SECOND = 0.03, 0.1  # shares of the pixels that the two methods see
N = 60


def given_comparison(random):
    """Images that no file holds; the classes have other numbers here."""
    train = data.load_images("FashionMNIST", "train", sample=True)
    other = data.load_images("FashionMNIST", "validation", sample=True)
    pick = torch.randperm(len(train), generator=random)[:600]
    names = torch.randperm(10, generator=random)
    both = altered(torch.cat([train.images[pick], other.images[:300]]), random)
    return {
        "images": both[:600],
        "labels": names[train.labels[pick]],
        "exam": both[600:],
        "exam_labels": names[other.labels[:300]],
        "n": N,
        "shares": [FIRST, SECOND],
        "draws": (1 + torch.randperm(50, generator=random)[:5]).tolist(),
    }


def ask_comparison(student, given):
    """Two methods: the nearest class mean, seen through pixels that the seed chooses.
    What they score depends on the images, the labels and the seed."""

    def method(share):
        def trained(images, labels, seed):
            source = torch.Generator().manual_seed(int(seed))
            seen = torch.rand(784, generator=source) < share
            x = images.flatten(1).double()[:, seen]
            means = torch.stack([x[labels == c].mean(dim=0) for c in range(10)])
            means = means.nan_to_num(1e3)

            def scores(images):
                x = images.flatten(1).double()[:, seen]
                return 2 * x @ means.T - (means**2).sum(dim=1)

            return scores

        return trained

    first, second = (method(share) for share in given["shares"])
    pool = given["images"], given["labels"]
    exam = given["exam"], given["exam_labels"]
    n, draws = given["n"], given["draws"]
    gain, error = student.compare(first, second, pool, exam, n, draws)
    return {"gain": float(gain), "error": float(error)}


def drawn(labels, n, number_of_draw):
    """As draw_labels in the notebook."""
    source = torch.Generator().manual_seed(number_of_draw)
    of_class = [torch.nonzero(labels == c).flatten() for c in range(10)]
    mixed = [part[torch.randperm(len(part), generator=source)] for part in of_class]
    return torch.cat([part[: n // 10] for part in mixed])


def accuracy(given, share, chosen, seed):
    source = torch.Generator().manual_seed(seed)
    seen = torch.rand(784, generator=source) < share
    x, labels = given["images"].flatten(1).double()[:, seen], given["labels"]
    x, labels = x[chosen], labels[chosen]
    means = torch.stack([x[labels == c].mean(dim=0) for c in range(10)])
    means = means.nan_to_num(1e3)
    exam = given["exam"].flatten(1).double()[:, seen]
    names = (2 * exam @ means.T - (means**2).sum(dim=1)).argmax(dim=1)
    return 100 * float((names == given["exam_labels"]).double().mean())


def expected_comparison(given):
    draws, labels, n = given["draws"], given["labels"], given["n"]

    def results(images=None, first_images=None, seed=None, first_seed=None):
        """Accuracies of both methods, by default as asked for."""
        found = []
        for share, images_of, seed_of in (
            (FIRST, first_images or images, first_seed or seed),
            (SECOND, images, seed),
        ):
            images_of = images_of or (lambda d: drawn(labels, n, d))
            seed_of = seed_of or (lambda d: d)
            found.append(
                [accuracy(given, share, images_of(d), seed_of(d)) for d in draws]
            )
        return torch.tensor(found, dtype=torch.float64)

    def gain(found):
        return float((found[1] - found[0]).mean())

    def error(found):
        return float((found[1] - found[0]).std() / len(draws) ** 0.5)

    right = results()
    difference = right[1] - right[0]
    others = {
        "the first n images; draw_labels draws n, as many of each class": results(
            images=lambda d: torch.arange(n)
        ),
        "the whole pool; draw_labels draws n, as many of each class": results(
            images=lambda d: torch.arange(len(labels))
        ),
        "draw 0 for all; every draw must have images of its own": results(
            images=lambda d: drawn(labels, n, 0)
        ),
        "one draw for all; every draw must have images of its own": results(
            images=lambda d: drawn(labels, n, draws[0])
        ),
        "seed 0 for the first method; both get the draw's number": results(
            first_seed=lambda d: 0
        ),
        "seed 0 for the second method; both get the draw's number": results(
            seed=lambda d: 0, first_seed=lambda d: d
        ),
        "seed 0 for both methods; they get the draw's number": results(
            seed=lambda d: 0
        ),
        "the seed is the draw's place in the list; it is the draw's number": results(
            seed=draws.index
        ),
    }
    share = "accuracies are shares here, percentage points are asked for"
    unpaired = (right.var(dim=1).sum() / len(draws)).sqrt()
    return {
        "gain": gain(right),
        "error": error(right),
        "mistakes": {
            "gain": {
                "first minus second": -gain(right),
                share: gain(right) / 100,
                "the sum over the draws, not their mean": len(draws) * gain(right),
                "the best draw; the mean gain is asked for": float(difference.max()),
                "the median; the mean gain is asked for": float(difference.median()),
                **{cause: gain(found) for cause, found in others.items()},
            },
            "error": {
                share: error(right) / 100,
                "not divided by the root of the number of draws": float(
                    difference.std()
                ),
                "n - 1 belongs in the denominator": float(
                    difference.std(correction=0) / len(draws) ** 0.5
                ),
                "n - 1 belongs in the denominator; and the root of the number of "
                "draws below it": float(difference.std(correction=0)),
                "unpaired values: the luck of the draw does not cancel": float(
                    unpaired
                ),
                **{cause: error(found) for cause, found in others.items()},
            },
        },
    }


UNLIKE = "both methods must be trained on the same draw, with the draw's number as seed"


def mean_gain(given, answers, expected):
    """The mean gain of the second method, in percentage points."""
    what = "the mean of second minus first over five draws"
    expect(answers[0], "gain", expected, what, tolerance=1e-3, likely=UNLIKE)


def error_of_gain(given, answers, expected):
    """The standard error of that gain."""
    what = "the standard error of the five differences' mean"
    expect(answers[0], "error", expected, what, tolerance=1e-3, likely=UNLIKE)


# 4. a hundred labels

DRAWS = 8
TOO_GOOD = 8.0  # points over pixels, more than twice of what honest solutions gain


def given_few(random):
    """Eight draws; the classes have other numbers here, so that only the labels that
    were handed in are of use. Nothing is shifted or mirrored, since pre-trained codes
    know where on the page a garment stands. The exam is sent when all is trained."""
    train = data.load_images("FashionMNIST", "train", sample=True)
    test = data.load_images("FashionMNIST", "test", sample=True)
    names, of_class = torch.randperm(10, generator=random), []
    for c in range(10):
        of_class.append(torch.nonzero(train.labels == c).flatten())

    def paler(images):
        return images * (0.9 + 0.1 * torch.rand(len(images), 1, 1, 1, generator=random))

    exam, labels = paler(test.images), names[test.labels]
    given = {"draws": DRAWS, "seed": draw(random, 0, 1000), "_pixels": []}
    for number_of_draw in range(DRAWS):
        mixed = [part[torch.randperm(len(part), generator=random)] for part in of_class]
        index = torch.cat([part[:10] for part in mixed])
        index = index[torch.randperm(100, generator=random)]
        x, y = paler(train.images[index]), names[train.labels[index]]
        given |= {f"images{number_of_draw}": x, f"labels{number_of_draw}": y}
        pixels = LogisticRegression(max_iter=1000).fit(x.flatten(1).numpy(), y.numpy())
        right = pixels.predict(exam.flatten(1).numpy()) == labels.numpy()
        given["_pixels"].append(100 * float(right.mean()))
    return {**given, "_exam": exam, "_labels": labels}


def train_few(student, given):
    from course_utils import pretrained

    names = {"conv": "conv_short", "DAE": "dae", "ResNet": "resnet_64"}
    encoders = {kind: pretrained.load(name)[0] for kind, name in names.items()}
    models = []
    for number_of_draw in range(given["draws"]):
        images = given[f"images{number_of_draw}"]
        labels = given[f"labels{number_of_draw}"]
        seed = given["seed"] + number_of_draw
        models.append(student.few_labels(encoders, images, labels, seed))
    return {"models": models, "encoders": encoders}


def ask_encoders(state, given):
    return {
        f"{kind} {name}": value.detach()
        for kind, encoder in state["encoders"].items()
        for name, value in encoder.state_dict().items()
    }


@torch.no_grad()
def ask_scores(state, given):
    scores = {}
    for number_of_draw, model in enumerate(state["models"]):
        if isinstance(model, nn.Module):
            model.eval()
        parts = [torch.as_tensor(model(x)).float() for x in given["exam"].split(500)]
        scores[f"scores of draw {number_of_draw}"] = torch.cat(parts)
    return scores


def exam_at_last(step, given, answers):
    return {"exam": given["_exam"]} if step else given


def gains_over_pixels(given, answers):
    right = []
    for number_of_draw in range(DRAWS):
        name, shape = f"scores of draw {number_of_draw}", (len(given["_exam"]), 10)
        names = tensor(answers[1], name, shape).argmax(dim=1)
        right.append(100 * float((names == given["_labels"]).double().mean()))
    return [own - pixels for own, pixels in zip(right, given["_pixels"])]


def loss_to_pixels(given, answers):
    """Minus the mean gain in points. The task asks for 1.5; the rest is margin."""
    return -sum(gains_over_pixels(given, answers)) / DRAWS, -0.75


def encoders_as_they_were(answers):
    names = {"conv": "conv_short", "DAE": "dae", "ResNet": "resnet_64"}
    changed = []
    for kind, name in names.items():
        for entry, value in pretrained.load(name)[0].state_dict().items():
            now = torch.as_tensor(answers[0].get(f"{kind} {entry}"))
            if now.shape != value.shape or not torch.equal(now, value):
                changed.append(f"{kind} {entry}")
    if changed:
        what = "entries of the encoders that were handed in and have changed"
        cause = (
            "trained without a copy (copy.deepcopy); or a frozen batch normalisation "
            "that was in train mode"
        )
        got = f"{len(changed)}, {changed[0]} for instance"
        raise Wrong(what, "none", got, cause)


def knows_classes(given, answers, expected):
    """It learns the classes, and leaves the encoders as they were."""
    encoders_as_they_were(answers)
    gain = -loss_to_pixels(given, answers)[0]
    right = gain + sum(given["_pixels"]) / DRAWS
    if not right > 50:
        what = "of 100 held-out images get the right name"
        cause = "not trained, or trained on other labels than those handed in"
        raise Wrong(f"{right:.0f} {what}", cause=cause)
    if gain > TOO_GOOD:
        what = f"the gain over pixels is {gain:.1f} points, which is too good"
        cause = (
            "more was used than the hundred labels; if not, show your teacher how "
            "you did it"
        )
        raise Wrong(what, cause=cause)


def better_than_pixels(given, answers, expected):
    """On average over eight draws it is better than logistic regression on pixels."""
    knows_classes(given, answers, expected)
    value, limit = loss_to_pixels(given, answers)
    if not value < limit:
        what = "the gain over logistic regression on pixels, in points, mean of 8 draws"
        cause = "another encoder would do better; too few epochs; too large a rate"
        raise Wrong(what, f"above {-limit:g}", f"{-value:.2f}", cause)


QUESTIONS = [
    Question(
        "moved",
        given=given_changes,
        ask=(ask_moved,),
        expected=expected_changes,
        rules={parameters_that_moved: 1, buffers_that_moved: 1, smallest_changes: 1},
        seconds=20,
    ),
    Question(
        "layer_groups",
        given=given_groups,
        ask=(ask_groups,),
        expected=expected_groups,
        rules={every_parameter_once: 1, rates_fall: 2},
        seconds=20,
    ),
    Question(
        "compare",
        given=given_comparison,
        ask=(ask_comparison,),
        expected=expected_comparison,
        rules={mean_gain: 1.5, error_of_gain: 1.5},
        seconds=30,
    ),
    Question(
        "few_labels",
        given=given_few,
        prepare=train_few,
        ask=(ask_encoders, ask_scores),
        then=exam_at_last,
        rules={knows_classes: 1, better_than_pixels: 3},
        measure=loss_to_pixels,
        seconds=120,
    ),
]
