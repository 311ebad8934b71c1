"""Latent sweep 2: PCA's curve from a spectrum, crossings, the call of the sweep, a
difference and its standard error."""

from __future__ import annotations

import numpy as np
import torch

from course_utils import data, models, sweeps
from course_utils.corruption import Dropout
from course_utils.engine.asking import Question, Wrong, expect, same
from course_utils.engine.exam_images import altered

# 1. PCA's curve


def given_variances(random):
    values = 1 + 40 * torch.rand(7, generator=random, dtype=torch.float64) ** 3
    return {
        "variances": values.sort(descending=True).values,
        "pixels": 5 + int(torch.randint(0, 20, (1,), generator=random)),
        "many": 1 + 40 * torch.rand(40, generator=random).sort(descending=True).values,
    }


def ask_few(student, given):
    curve = student.pca_curve(given["variances"], given["pixels"])
    return {"few": [float(error) for error in curve]}


def ask_pixels(student, given):
    curve = student.pca_curve(given["many"])
    return {"many": [float(error) for error in curve]}


def expected_curves(given):
    def dropped(values):
        values = values.tolist()
        return np.array([sum(values[k:]) for k in range(len(values) + 1)])

    few, many, pixels = (
        dropped(given["variances"]),
        dropped(given["many"]),
        given["pixels"],
    )

    def mistakes(dropped, pixels):
        right = dropped / pixels
        return {
            "these variances are kept; the error is what is dropped": (
                right[0] - right
            ).tolist(),
            "divide by pixels: the error is per pixel": dropped.tolist(),
            "k = 0, the mean image alone, is missing": right[1:].tolist(),
            "the last one is missing: with all components nothing is lost": (
                right[:-1].tolist()
            ),
            "turned round: k = 0 comes first": right[::-1].tolist(),
            "divided by the number of variances, not by pixels": (
                dropped / (len(dropped) - 1)
            ).tolist(),
        }

    return {
        "few": (few / pixels).tolist(),
        "many": (many / 784).tolist(),
        "mistakes": {
            "few": mistakes(few, pixels) | {"pixels is not used": (few / 784).tolist()},
            "many": mistakes(many, 784),
        },
    }


SUM = "with k components, the variances from number k on are dropped: their sum counts"


def curve_of_few(given, answers, expected):
    """The errors of a spectrum of seven, with 0 to 7 components."""
    what, likely = f"the errors with pixels={given['pixels']}", SUM
    expect(answers[0], "few", expected, what, likely=likely)


def curve_of_many(given, answers, expected):
    """The errors of a spectrum of forty; pixels is 784 unless told otherwise."""
    what, likely = "the errors where pixels is not given", SUM
    expect(answers[1], "many", expected, what, likely=likely)


# 2. crossings


def two_curves(random, signs):
    """Two curves at increasing widths; a sign says which is the larger one there."""
    n = len(signs)
    dims = torch.randperm(200, generator=random)[:n].sort().values.tolist()
    first = torch.randint(10, 90, (n,), generator=random).tolist()
    gaps = torch.randint(1, 9, (n,), generator=random).tolist()
    return [dims, first, [a - sign * gap for a, sign, gap in zip(first, signs, gaps)]]


def given_curves(random):
    """Curves that cross once, several times, with equal places, and not at all."""

    def some(low, high):
        return int(torch.randint(low, high, (1,), generator=random))

    once, several, ties = [], [], []
    for sign in (1, -1):
        left, right = some(1, 4), some(1, 4)
        once += [[sign] * left + [-sign] * right, [sign] * (left + right)]
        several += [[sign] * left + [-sign] * right + [sign] * some(1, 3)]
        several += [[sign] + [-sign, sign] * some(1, 3) + [sign]]
        ties += [[sign] * left + [0] * right + [-sign] * 2]
        ties += [[sign] * left + [0] * right + [sign] * 2, [0] * left + [sign] * right]
        ties += [[0] * left + [sign, -sign, 0, sign]]
    ties += [[0, 0, 0]]
    groups = {"once": once, "several": several, "ties": ties}
    return {
        name: [two_curves(random, signs) for signs in group]
        for name, group in groups.items()
    }


def ask_once(student, given):
    found = []
    for curves in given["once"]:
        pair = student.crossing(*curves)
        alone = pair is None or not hasattr(pair, "__len__")
        found.append(pair and int(pair) if alone else [int(dim) for dim in pair])
    return {"found": found}


def ask_several(student, given):
    found = []
    for curves in given["several"]:
        pair = student.crossing(*curves)
        alone = pair is None or not hasattr(pair, "__len__")
        found.append(pair and int(pair) if alone else [int(dim) for dim in pair])
    return {"found": found}


def ask_ties(student, given):
    found = []
    for curves in given["ties"]:
        pair = student.crossing(*curves)
        alone = pair is None or not hasattr(pair, "__len__")
        found.append(pair and int(pair) if alone else [int(dim) for dim in pair])
    return {"found": found}


def expected_crossings(given):
    def turns(curves):
        known = [(dim, a > b) for dim, a, b in zip(*curves) if a != b]
        pairs = zip(known, known[1:])
        return [[dim, after] for (dim, was), (after, now) in pairs if was != now]

    def first(curves):
        return next(iter(turns(curves)), None)

    def last(curves):
        return next(iter(turns(curves)[::-1]), None)

    def one_way(down):
        def find(curves):
            dims, a, b = curves
            for i in range(len(dims) - 1):
                x, y = (a, b) if down else (b, a)
                if x[i] > y[i] and x[i + 1] < y[i + 1]:
                    return [dims[i], dims[i + 1]]
            return None

        return find

    def neighbours(changed):
        def find(curves):
            signs = np.sign(np.subtract(curves[1], curves[2]))
            places = [
                i for i in range(len(signs) - 1) if changed(signs[i], signs[i + 1])
            ]
            return [curves[0][places[0]], curves[0][places[0] + 1]] if places else None

        return find

    ways = {
        "this is the last crossing; the first counts": last,
        "only where the first curve comes down is seen": one_way(True),
        "only where the second curve comes down is seen": one_way(False),
        "equal values are taken for an order; look at the next width": neighbours(
            lambda a, b: a != b
        ),
        "beside equal values nothing is found; look at the next width": neighbours(
            lambda a, b: a * b < 0
        ),
        "equal values count as if the second were larger": neighbours(
            lambda a, b: (a > 0) != (b > 0)
        ),
        "equal values count as if the first were larger": neighbours(
            lambda a, b: (a >= 0) != (b >= 0)
        ),
        "the width after alone; the pair is asked for": (
            lambda curves: (first(curves) or [None, None])[1]
        ),
        "the width before alone; the pair is asked for": (
            lambda curves: (first(curves) or [None, None])[0]
        ),
    }
    names = ("once", "several", "ties")
    return {
        **{name: [first(curves) for curves in given[name]] for name in names},
        "mistakes": {
            name: {
                cause: [find(curves) for curves in given[name]]
                for cause, find in ways.items()
            }
            for name in names
        },
    }


def _crossings(name, given, answer, expected):
    """The first pair of curves whose crossing is wrong, with its numbers."""
    found, right = answer.get("found"), expected[name]
    if not isinstance(found, list) or len(found) != len(right):
        raise Wrong(
            "a pair or None was asked for, for each two curves", cause="no answer"
        )
    mistakes = expected["mistakes"][name]
    cause = next((cause for cause, value in mistakes.items() if same(found, value)), "")
    for curves, got, pair in zip(given[name], found, right):
        if not same(got, pair):
            dims, first, second = curves
            told = f"for dims {dims}, first {first}, second {second}"
            right_one = (pair if pair is None else tuple(pair), told)
            raise Wrong("the crossing of two curves", right_one, got, cause)


def crosses_once(given, answers, expected):
    """Curves that cross once, in either direction, or not at all."""
    _crossings("once", given, answers[0], expected)


def crosses_often(given, answers, expected):
    """Of several crossings the first is returned."""
    _crossings("several", given, answers[1], expected)


def equal_values(given, answers, expected):
    """Equal values are no order: the next width decides."""
    _crossings("ties", given, answers[2], expected)


# 4. the sweep


def given_sweep(random):
    names = ("train", "validation", "test")
    splits = {}
    for name in names:
        images = data.load_images("MNIST", name, sample=True).images[:640]
        splits[name] = altered(images, random)
    splits["validation"] = (
        0.6 * splits["validation"]
    )  # else it is much like the test set
    return {
        **splits,
        "dims": [64, 16],
        "seeds": [0, 1 + int(torch.randint(0, 9, (1,), generator=random))],
        "epochs": 12 + int(torch.randint(0, 5, (1,), generator=random)),
    }


def ask_table(student, given):
    splits = [given[name] for name in ("train", "validation", "test")]
    table = student.measure(splits, given["dims"], given["seeds"], given["epochs"])
    table = table.sort_values(["latent_dim", "seed"])
    numbers = {
        name: [float(value) for value in table[name]]
        for name in ("latent_dim", "seed", "validation_error", "test_error")
    }
    texts = {
        name: [str(value) for value in table[name]]
        for name in ("dataset", "corruption", "epochs", "error")
    }
    return {**numbers, **texts}


def expected_table(given):
    splits = [given[name] for name in ("train", "validation", "test")]

    def errors(epochs=given["epochs"], p=0.5, build=models.dense_autoencoder):
        table = sweeps.latent_sweep(
            build,
            given["dims"],
            given["seeds"],
            {"measured": splits},
            corruptor=Dropout(p),
            epochs=epochs,
        ).sort_values(["latent_dim", "seed"])
        return {
            name: table[name].tolist() for name in ("validation_error", "test_error")
        }

    right = errors()
    other = {"epochs was not handed on": errors(epochs=10)}
    other["epochs was not handed on (1 instead)"] = errors(epochs=1)
    other["another corruption than Dropout(0.5)"] = errors(p=0.3)
    mistakes = {
        name: {cause: errors[name] for cause, errors in other.items()} for name in right
    }
    turned = "validation and test splits are exchanged"
    mistakes["validation_error"][turned] = right["test_error"]
    mistakes["test_error"][turned] = right["validation_error"]
    return {**right, "mistakes": mistakes}


def rows_of_all(given, answers, expected):
    """One row for each width and seed; the data set is called "measured"."""
    answer = answers[0]
    failed = [text for text in answer.get("error") or [] if text]
    if failed:
        raise Wrong(f"a run failed, and says in the column error: {failed[0][:200]}")
    pairs = [[dim, seed] for dim in sorted(given["dims"]) for seed in given["seeds"]]
    right = {
        name: [pair[i] for pair in pairs] for i, name in ((0, "dims"), (1, "seeds"))
    }
    likely = "dims and seeds go to the sweep as they are"
    got = {"dims": answer.get("latent_dim"), "seeds": answer.get("seed")}
    expect(got, "dims", right, "the column latent_dim, sorted", likely=likely)
    expect(got, "seeds", right, "the column seed, sorted", likely=likely)
    likely = 'the data sets are handed over as {"measured": splits}'
    right = {"dataset": ["measured"] * len(pairs)}
    expect(answer, "dataset", right, "the data set's name", likely=likely)


def settings_of_chapter(given, answers, expected):
    """The chapter's corruption and the given epochs."""
    n = len(given["dims"]) * len(given["seeds"])
    right = {"corruption": ["Dropout(p=0.5)"] * n, "epochs": [str(given["epochs"])] * n}
    likely = "corruptor=corruption.Dropout(0.5)"
    expect(answers[0], "corruption", right, "the column corruption", likely=likely)
    likely = "epochs=epochs"
    expect(answers[0], "epochs", right, "the column epochs", likely=likely)


def errors_of_chapter(given, answers, expected):
    """The errors on validation and test images are those of the chapter's model."""
    likely = (
        "another model than models.dense_autoencoder, or the splits in another order"
    )
    for name in ("validation_error", "test_error"):
        what = f"the column {name}"
        expect(answers[0], name, expected, what, tolerance=0.02, likely=likely)


# 5. a difference


def given_lists(random):
    return {
        "a": torch.rand(5, generator=random).tolist(),
        "b": (2 * torch.rand(3, generator=random)).tolist(),
    }


def ask_difference(student, given):
    value, error = student.difference(given["a"], given["b"])
    return {"value": float(value), "error": float(error)}


def expected_difference(given):
    a, b = np.array(given["a"]), np.array(given["b"])
    value = a.mean() - b.mean()
    parts = a.var(ddof=1) / 5, b.var(ddof=1) / 3
    error = np.sqrt(sum(parts))
    return {
        "value": float(value),
        "error": float(error),
        "mistakes": {
            "value": {
                "MNIST minus Fashion-MNIST is asked for": float(-value),
                "MNIST minus Fashion-MNIST is asked for, with its sign": float(
                    abs(value)
                ),
                "the order is (difference, standard error)": float(error),
            },
            "error": {
                "n instead of n - 1 in the denominator (ddof=1)": float(
                    np.sqrt(a.var() / 5 + b.var() / 3)
                ),
                "the deviations were not divided by the root of n": float(
                    np.sqrt(a.var(ddof=1) + b.var(ddof=1))
                ),
                "the squares of the two standard errors are to be added": float(
                    np.sqrt(parts[0]) + np.sqrt(parts[1])
                ),
                "the root is missing": float(sum(parts)),
                "the deviations were divided by n, not by its root": float(
                    np.sqrt(a.var(ddof=1) / 25 + b.var(ddof=1) / 9)
                ),
                "the standard error of one list alone": float(np.sqrt(parts[0])),
                "the order is (difference, standard error)": float(value),
            },
        },
    }


def difference_of_means(given, answers, expected):
    """The difference of the means of five and of three errors."""
    likely = "the means of the two lists, the first minus the second"
    expect(answers[0], "value", expected, "the difference", likely=likely)


def error_of_difference(given, answers, expected):
    """Its standard error."""
    likely = "the root of the sum of both squared standard errors"
    expect(answers[0], "error", expected, "the standard error", likely=likely)


QUESTIONS = [
    Question(
        "pca_curve",
        given=given_variances,
        ask=(ask_few, ask_pixels),
        expected=expected_curves,
        rules={curve_of_few: 2, curve_of_many: 1},
        seconds=20,
    ),
    Question(
        "crossing",
        given=given_curves,
        ask=(ask_once, ask_several, ask_ties),
        expected=expected_crossings,
        rules={crosses_once: 1, crosses_often: 1, equal_values: 1},
        seconds=20,
    ),
    Question(
        "measure",
        given=given_sweep,
        ask=(ask_table,),
        expected=expected_table,
        rules={rows_of_all: 1, settings_of_chapter: 1, errors_of_chapter: 1},
    ),
    Question(
        "difference",
        given=given_lists,
        ask=(ask_difference,),
        expected=expected_difference,
        rules={difference_of_means: 1, error_of_difference: 1},
        seconds=20,
    ),
]
