"""Exercise 7: right answers in several styles, and wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "07_dimensionality_reduction"
ANGLES, SPECTRUM = "check_principal_angles", "check_spectrum"
SHARE, ERROR = "check_components_for_share", "check_components_for_error"
TRAIN, KEPT = "check_train_linear", "check_neighbours_kept"
CENTRES = "check_centres_agree"


def answer(name: str, arguments: str, body: str) -> dict[str, str]:
    return {name: f"def {name}({arguments}):\n{indent(body.strip(), '    ')}\n"}


def angles(body: str) -> dict[str, str]:
    return answer("principal_angles", "one, other", body)


def variances(body: str) -> dict[str, str]:
    return answer("spectrum", "images", f"x = images.flatten(1)\n{body.strip()}")


def by_share(body: str) -> dict[str, str]:
    return answer("components_for_share", "values, share", body)


def by_error(body: str) -> dict[str, str]:
    return answer("components_for_error", "values, error", body)


def kept(body: str) -> dict[str, str]:
    return answer("neighbours_kept", "points, flat, k", body)


def centres(body: str) -> dict[str, str]:
    return answer("centres_agree", "points, flat, labels", body)


def linear(start: str, fit: str, code: str = "nn.Identity()", last: str = "") -> dict:
    """The linear autoencoder of the solution, with another start, training or end."""
    body = f"""
torch.manual_seed(seed)
mean_image = images.mean(dim=0)
drawing = nn.Linear(k, 784)
drawing.bias.data = mean_image.flatten().clone()
encoder = models.Encoder(k, {code}, mean_image)
{start}
decoder = nn.Sequential(drawing, nn.Unflatten(1, (1, 28, 28)){last})
model = nn.Sequential(encoder, decoder)
{fit}
return model"""
    return answer("train_linear", "images, k, epochs, seed", body)


ORTHOGONAL = "nn.init.orthogonal_(drawing.weight)"
FIT = "training.fit(model, images, epochs=epochs, lr=3e-3, seed=seed)"
MOMENTUM = """
descent = torch.optim.SGD(model.parameters(), lr=3, momentum=0.9)
training.fit(model, images, epochs=epochs, optimizer=descent, seed=seed)"""
OWN_LOOP = """
torch.manual_seed(seed)
x = images.flatten(1)
encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, k))
drawing = nn.Linear(k, 784)
with torch.no_grad():
    drawing.weight.mul_(0.02)
    encoder[1].bias.copy_(-encoder[1].weight @ x.mean(0))
    drawing.bias.copy_(x.mean(0))
model = nn.Sequential(encoder, nn.Sequential(drawing, nn.Unflatten(1, (1, 28, 28))))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(epochs):
    for index in torch.randperm(len(x))[: len(x) // 128 * 128].split(128):
        loss = (model(images[index]) - images[index]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
return model"""
COPIED = """
pca = metrics.PCABaseline(images)
drawing.weight.data = pca.components[:k].T.clone()
encoder.linear.weight.data = pca.components[:k].clone()
encoder.linear.bias.data.zero_()"""

SCIPY_ANGLES = """
from scipy.linalg import subspace_angles
found = subspace_angles(one.double().numpy(), other.double().numpy())
return np.degrees(found)[::-1].tolist()"""
SVD_BASES = """
a = torch.linalg.svd(one.double(), full_matrices=False)[0]
b = torch.linalg.svd(other.double(), full_matrices=False)[0]
cosines = torch.linalg.svd(b.T @ a)[1]
return [math.degrees(math.acos(min(1.0, float(c)))) for c in cosines]"""
EIGENVALUES = """
x = (x - x.mean(0)).double()
return torch.linalg.eigvalsh(x.T @ x / len(x)).flip(0).clamp(min=0)"""
NUMPY_COVARIANCE = """
covariance = np.cov(x.numpy(), rowvar=False, bias=True)
return np.sort(np.linalg.eigvalsh(covariance))[::-1].copy()"""
SKLEARN_SPECTRUM = """
from sklearn.decomposition import PCA
found = PCA().fit(x.numpy()).explained_variance_
return torch.from_numpy(found) * (len(x) - 1) / len(x)"""
LOOP_SHARE = """
total, so_far = float(values.sum()), 0.0
for k, value in enumerate(values.tolist(), 1):
    so_far += value
    if so_far / total >= share:
        return k
return len(values)"""
SEARCH_SHARE = """
reached = np.cumsum(np.asarray(values)) / float(values.sum())
return int(np.searchsorted(reached, share)) + 1"""
LOOP_ERROR = """
for k in range(785):
    if float(values[k:].sum()) / 784 <= error:
        return k"""
FROM_BEHIND = """
tail = values.flip(0).cumsum(0).flip(0) / len(values)  # with none, one, ...
enough = (tail <= error).nonzero()
return int(enough[0]) if len(enough) else len(values)"""
SKLEARN_KEPT = """
from sklearn.neighbors import NearestNeighbors
def nearest(p):
    return NearestNeighbors(n_neighbors=k).fit(p.numpy()).kneighbors()[1]
return np.mean([len(np.intersect1d(a, b)) / k
                for a, b in zip(nearest(points), nearest(flat))])"""
TABLES = """
n = len(points)
tables = []
for p in (points, flat):
    order = torch.cdist(p, p).argsort(dim=1)[:, 1:k + 1]
    table = torch.zeros(n, n, dtype=torch.bool)
    table[torch.arange(n)[:, None], order] = True
    tables.append(table)
return (tables[0] & tables[1]).sum() / (n * k)"""
PANDAS_CENTRES = """
def distances(p):
    means = pd.DataFrame(p.numpy()).groupby(labels.numpy()).mean().to_numpy()
    return [np.linalg.norm(a - b) for a, b in itertools.combinations(means, 2)]
one, other = pd.Series(distances(points)), pd.Series(distances(flat))
return one.corr(other, method="spearman")"""
OWN_RANKS = """
lists = []
for p in (points.double(), flat.double()):
    middle = torch.stack([p[labels == c].mean(0) for c in range(int(labels.max()) + 1)])
    pairs = torch.triu_indices(len(middle), len(middle), 1).unbind()
    lists.append(torch.cdist(middle, middle)[pairs].argsort().argsort().double())
return torch.corrcoef(torch.stack(lists))[0, 1].item()"""


def two_numbers() -> dict[str, str]:
    found = linear(ORTHOGONAL, FIT)["train_linear"]
    return {"train_linear": found.replace("mean_image =", "k = 2\n    mean_image =", 1)}


def with_imports(nb: dict) -> dict:
    """Imports in a cell that the student added behind the setup."""
    cell = {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": []}
    imports = "import itertools\nimport math\n\nimport numpy as np"
    cell |= {"execution_count": None, "source": imports}
    place = next(
        i for i, c in enumerate(nb["cells"]) if "Checks(" in "".join(c["source"])
    )
    nb["cells"].insert(place + 1, cell)
    return nb


def nearest(row: str, result: str) -> str:
    """A body for neighbours_kept: the neighbours of both, and what is made of them."""
    return f"""
def nearest(p):
    away = torch.cdist(p, p)
    {row}
pairs = list(zip(nearest(points), nearest(flat)))
shared = [len(set(a) & set(b)) for a, b in pairs]
return {result}"""


WITHOUT_ITSELF = "return away.argsort(1)[:, 1:k + 1].tolist()"
MEAN = "sum(shared) / (k * len(points))"

CASES = [
    Case("right, the solution", E),
    Case(
        "right, scipy, scikit-learn, gradient descent with momentum",
        E,
        {
            **angles(SCIPY_ANGLES),
            **variances(SKLEARN_SPECTRUM),
            **by_share(SEARCH_SHARE),
            **by_error(FROM_BEHIND),
            **linear(ORTHOGONAL, MOMENTUM),
            **kept(SKLEARN_KEPT),
            **centres(PANDAS_CENTRES),
        },
        change=with_imports,
    ),
    Case(
        "right, own loops, own bases, a short start",
        E,
        {
            **angles(SVD_BASES),
            **variances(EIGENVALUES),
            **by_share(LOOP_SHARE),
            **by_error(LOOP_ERROR),
            **answer("train_linear", "images, k, epochs, seed", OWN_LOOP),
            **kept(TABLES),
            **centres(OWN_RANKS),
        },
        change=with_imports,
    ),
    Case(
        "right, numpy's covariance, a decoder that begins at zero",
        E,
        {
            **variances(NUMPY_COVARIANCE),
            **linear("nn.init.zeros_(drawing.weight)", FIT),
        },
        change=with_imports,
    ),
    Case(
        "wrong 1, no basis",
        E,
        angles(
            "cosines = torch.linalg.svdvals(one.T @ other).clamp(-1, 1)\n"
            "return torch.rad2deg(torch.arccos(cosines))"
        ),
        (ANGLES,),
        say="no orthonormal basis",
    ),
    Case(
        "wrong 1, columns of length one only",
        E,
        angles(
            "a, b = one / one.norm(dim=0), other / other.norm(dim=0)\n"
            "cosines = torch.linalg.svdvals(a.T @ b).clamp(-1, 1)\n"
            "return torch.rad2deg(torch.arccos(cosines))"
        ),
        (ANGLES,),
        say="still lean on each other",
    ),
    Case(
        "wrong 1, radians",
        E,
        angles(
            "return torch.arccos("
            "torch.linalg.svdvals(basis(one).T @ basis(other)).clamp(-1, 1))"
        ),
        (ANGLES,),
        say="radians",
    ),
    Case(
        "wrong 1, column against column",
        E,
        angles(
            "cosines = (basis(one).T @ basis(other)).diagonal().clamp(-1, 1)\n"
            "return torch.rad2deg(torch.arccos(cosines))"
        ),
        (ANGLES,),
        say="single columns",
    ),
    Case(
        "wrong 1, largest first",
        E,
        angles(
            SCIPY_ANGLES.replace("[::-1]", "").replace("np.", "__import__('numpy').")
        ),
        partly={ANGLES: 1},
        say="the smallest angle comes first",
    ),
    Case(
        "wrong 2, N - 1",
        E,
        variances("return torch.linalg.svdvals(x - x.mean(0)) ** 2 / (len(x) - 1)"),
        (SPECTRUM,),
        say="divided by N - 1",
    ),
    Case(
        "wrong 2, not centred",
        E,
        variances("return torch.linalg.svdvals(x) ** 2 / len(x)"),
        (SPECTRUM,),
        say="the mean image was not subtracted",
    ),
    Case(
        "wrong 2, singular values",
        E,
        variances("return torch.linalg.svdvals(x - x.mean(0))"),
        (SPECTRUM,),
        say="their squares",
    ),
    Case(
        "wrong 2, smallest first",
        E,
        variances(EIGENVALUES.replace(".flip(0)", "")),
        (SPECTRUM,),
        say="smallest first",
    ),
    Case(
        "wrong 2, share, one too few",
        E,
        by_share("return int((values.cumsum(0) / values.sum() < share).sum())"),
        (SHARE,),
        say="positions count from 0",
    ),
    Case(
        "wrong 2, share, more than",
        E,
        by_share("return int((values.cumsum(0) / values.sum() <= share).sum()) + 1"),
        partly={SHARE: 0.75},
        say="at least",
    ),
    Case(
        "wrong 2, error, not per pixel",
        E,
        by_error(LOOP_ERROR.replace(" / 784", "")),
        (ERROR,),
        say="not divided by 784",
    ),
    Case(
        "wrong 2, error, kept for left out",
        E,
        by_error(LOOP_ERROR.replace("values[k:]", "values[:k]").replace("<=", ">=")),
        (ERROR,),
        say="what is kept",
    ),
    Case(
        "wrong 2, error, never no component",
        E,
        by_error(LOOP_ERROR.replace("range(785)", "range(1, 785)")),
        partly={ERROR: 0.75},
        say="k = 0",
    ),
    Case(
        "wrong 3, the obvious way",
        E,
        linear("", "training.fit(model, images, epochs=epochs, seed=seed)"),
        partly={TRAIN: 1},
        say="random columns",
    ),
    Case(
        "wrong 3, a sigmoid on the pixels",
        E,
        linear(ORTHOGONAL, FIT, last=", nn.Sigmoid()"),
        (TRAIN,),
        say="ends in a sigmoid",
    ),
    Case(
        "wrong 3, a ReLU on the code",
        E,
        linear(ORTHOGONAL, FIT, code="nn.ReLU()"),
        (TRAIN,),
    ),
    Case(
        "wrong 3, not trained", E, linear(ORTHOGONAL, ""), (TRAIN,), say="no training"
    ),
    Case(
        "wrong 3, PCA's components put in",
        E,
        linear(COPIED, ""),
        (TRAIN,),
        say="were put in",
    ),
    Case(
        "wrong 3, two numbers always",
        E,
        two_numbers(),
        (TRAIN,),
        say="(600, 2)",
    ),
    Case(
        "wrong 4, itself a neighbour",
        E,
        kept(nearest("return away.argsort(1)[:, :k].tolist()", MEAN)),
        (KEPT,),
        say="its own neighbour",
    ),
    Case(
        "wrong 4, the number instead of the share",
        E,
        kept(nearest(WITHOUT_ITSELF, "sum(shared) / len(points)")),
        (KEPT,),
        say="divide by k",
    ),
    Case(
        "wrong 4, shared by all that are neighbours in one",
        E,
        kept(
            nearest(
                WITHOUT_ITSELF,
                "sum(s / (2 * k - s) for s in shared) / len(points)",
            )
        ),
        (KEPT,),
        say="in one of the two",
    ),
    Case(
        "wrong 4, distances instead of ranks",
        E,
        centres(
            "lists = [torch.pdist(torch.stack([p[labels == c].mean(0)\n"
            "         for c in labels.unique()])) for p in (points, flat)]\n"
            "return torch.corrcoef(torch.stack(lists))[0, 1]"
        ),
        (CENTRES,),
        say="not their ranks",
    ),
    Case(
        "wrong 4, single points instead of centres",
        E,
        centres(
            "from scipy.stats import spearmanr\n"
            "return spearmanr(torch.pdist(points), torch.pdist(flat)).statistic"
        ),
        (CENTRES,),
        say="single points",
    ),
    Case(
        "wrong 4, zeros among the distances",
        E,
        centres(
            "from scipy.stats import spearmanr\n"
            "lists = []\n"
            "for p in (points, flat):\n"
            "    c = torch.stack([p[labels == c].mean(0) for c in labels.unique()])\n"
            "    difference = c[:, None] - c\n"
            "    lists.append(difference.norm(dim=2).flatten())\n"
            "return spearmanr(*lists).statistic"
        ),
        (CENTRES,),
        say="is no pair",
    ),
    Case(
        "nothing done",
        E,
        loses=(ANGLES, SPECTRUM, SHARE, ERROR, TRAIN, KEPT, CENTRES, "report"),
        solved=False,
    ),
    Case("text not answered", E, {"report": "YOUR ANSWER HERE"}, ("report",)),
]
