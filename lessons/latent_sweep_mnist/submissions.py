"""Latent sweep 2: right answers in several styles, wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "latent_sweep_mnist"
HEADS = {
    "pca_curve": "pca_curve(variances, pixels=784)",
    "crossing": "crossing(dims, first, second)",
    "measure": "measure(splits, dims, seeds, epochs, store=None)",
    "difference": "difference(mnist_errors, fashion_errors)",
}
CELLS = tuple(f"check_{name}" for name in HEADS)


def answer(name: str, body: str) -> dict[str, str]:
    return {name: f"def {HEADS[name]}:\n{indent(body.strip(), '    ')}\n"}


def wrong(name: str, cell: str, body: str, say: str = "", points: float = 0) -> Case:
    """A wrong answer to one question, which gets these points for it."""
    question = f"check_{cell}"
    loses, partly = ((), {question: points}) if points else ((question,), {})
    return Case(name, E, answer(cell, body), loses, partly=partly, say=say)


LISTS_CURVE = """
values = [float(v) for v in variances]
return torch.tensor([sum(values[k:]) / pixels for k in range(len(values) + 1)])"""
TOTAL_CURVE = """
kept = np.concatenate([[0], np.cumsum(variances.numpy())])
return (kept[-1] - kept) / pixels"""
LOOPS_CROSSING = """
order = [(dim, np.sign(a - b)) for dim, a, b in zip(dims, first, second) if a != b]
for i in range(len(order) - 1):
    if order[i][1] != order[i + 1][1]:
        return order[i][0], order[i + 1][0]"""
NUMPY_CROSSING = """
dims, signs = np.asarray(dims), np.sign(np.subtract(first, second))
dims, signs = dims[signs != 0], signs[signs != 0]
turns = np.nonzero(np.diff(signs))[0]
return (dims[turns[0]], dims[turns[0] + 1]) if len(turns) else None"""
SWEEP = """
return sweeps.latent_sweep(
    models.dense_autoencoder, dims, seeds, {"measured": splits},
    corruptor=corruption.Dropout(0.5), epochs=epochs, store=store,
)"""
STATISTICS = """
from statistics import mean, variance
error = variance(mnist_errors) / len(mnist_errors)
error += variance(fashion_errors) / len(fashion_errors)
return mean(mnist_errors) - mean(fashion_errors), error**0.5"""
NUMPY = """
a, b = np.array(mnist_errors), np.array(fashion_errors)
error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
return a.mean() - b.mean(), error"""
SEMS = """
a, b = pd.Series(mnist_errors), pd.Series(fashion_errors)
return a.mean() - b.mean(), np.hypot(a.sem(), b.sem())"""

CASES = [
    Case("right, the solution", E),
    Case(
        "right, lists and loops",
        E,
        {
            **answer("pca_curve", LISTS_CURVE),
            **answer("crossing", LOOPS_CROSSING),
            **answer("difference", STATISTICS),
        },
    ),
    Case(
        "right, numpy and pandas",
        E,
        {
            **answer("pca_curve", TOTAL_CURVE),
            **answer("crossing", NUMPY_CROSSING),
            **answer("measure", SWEEP),
            **answer("difference", SEMS),
        },
    ),
    # 1
    wrong(
        "wrong 1, what is kept",
        "pca_curve",
        "return torch.cat([torch.zeros(1), variances.cumsum(0)]) / pixels",
        say="these variances are kept",
    ),
    wrong(
        "wrong 1, not per pixel",
        "pca_curve",
        "return torch.cat([variances.flip(0).cumsum(0).flip(0), torch.zeros(1)])",
        say="divide by pixels",
    ),
    wrong(
        "wrong 1, always 784 pixels",
        "pca_curve",
        LISTS_CURVE.replace("/ pixels", "/ 784"),
        say="pixels is not used",
        points=1,
    ),
    wrong(
        "wrong 1, not turned back",
        "pca_curve",
        LISTS_CURVE.replace("return torch.tensor", "return list").replace(
            "])", "][::-1])"
        ),
        say="turned round",
    ),
    wrong(
        "wrong 1, no mean image",
        "pca_curve",
        LISTS_CURVE.replace("range(len(values) + 1)", "range(1, len(values) + 1)"),
        say="k = 0",
    ),
    # 2
    wrong(
        "wrong 2, one direction only",
        "crossing",
        """
for i in range(len(dims) - 1):
    if first[i] > second[i] and first[i + 1] < second[i + 1]:
        return dims[i], dims[i + 1]""",
        say="only where the first curve comes down",
    ),
    wrong(
        "wrong 2, the last crossing",
        "crossing",
        LOOPS_CROSSING.replace(
            "range(len(order) - 1)", "range(len(order) - 2, -1, -1)"
        ),
        say="this is the last crossing",
        points=1,
    ),
    wrong(
        "wrong 2, the width after alone",
        "crossing",
        LOOPS_CROSSING.replace("return order[i][0], ", "return "),
        say="the pair is asked for",
    ),
    wrong(
        "wrong 2, equal values are an order",
        "crossing",
        LOOPS_CROSSING.replace(" if a != b", ""),
        say="equal values are taken for an order",
        points=2,
    ),
    wrong(
        "wrong 2, never across equal values",
        "crossing",
        """
for i in range(len(dims) - 1):
    if (first[i] - second[i]) * (first[i + 1] - second[i + 1]) < 0:
        return dims[i], dims[i + 1]""",
        say="beside equal values nothing is found",
        points=2,
    ),
    wrong("wrong 2, never", "crossing", "return None"),
    # 4
    wrong(
        "wrong 4, validation and test exchanged",
        "measure",
        "splits = splits[0], splits[2], splits[1]\n" + SWEEP.strip(),
        say="splits are exchanged",
        points=2,
    ),
    wrong(
        "wrong 4, another corruption",
        "measure",
        SWEEP.replace("Dropout(0.5)", "Masking(0.5)"),
        say="corruptor=corruption.Dropout(0.5)",
        points=1,
    ),
    wrong(
        "wrong 4, epochs not handed on",
        "measure",
        SWEEP.replace("epochs=epochs, ", ""),
        say="epochs",
        points=1,
    ),
    wrong(
        "wrong 4, another model",
        "measure",
        SWEEP.replace(
            "models.dense_autoencoder",
            "lambda dim: models.dense_autoencoder(dim, nn.Identity())",
        ).replace("return", "from torch import nn\nreturn"),
        say="another model",
        points=2,
    ),
    wrong(
        "wrong 4, one seed",
        "measure",
        SWEEP.replace("seeds", "[0]"),
    ),
    wrong(
        "wrong 4, another name",
        "measure",
        SWEEP.replace('"measured"', '"MNIST"'),
        say='{"measured": splits}',
        points=2,
    ),
    # 5
    wrong(
        "wrong 5, n for n - 1",
        "difference",
        NUMPY.replace("ddof=1", "ddof=0"),
        say="n - 1",
        points=1,
    ),
    wrong(
        "wrong 5, not by the root of n",
        "difference",
        NUMPY.replace(" / len(a)", "").replace(" / len(b)", ""),
        say="the root of n",
        points=1,
    ),
    wrong(
        "wrong 5, the other way round",
        "difference",
        NUMPY.replace("a.mean() - b.mean()", "b.mean() - a.mean()"),
        say="MNIST minus Fashion-MNIST",
        points=1,
    ),
    wrong(
        "wrong 5, standard errors added",
        "difference",
        SEMS.replace("np.hypot(a.sem(), b.sem())", "a.sem() + b.sem()"),
        say="the squares",
        points=1,
    ),
    Case("nothing done", E, loses=(*CELLS, "prediction", "answer"), solved=False),
    Case("texts not answered", E, {"answer": "YOUR ANSWER HERE"}, ("answer",)),
]
