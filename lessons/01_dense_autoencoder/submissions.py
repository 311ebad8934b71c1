"""Exercise 1: right answers in several styles, and wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "01_dense_autoencoder"
DEAD, PCA, TRAIN = "check_dead_units", "check_pca_error", "check_train_autoencoder"


def dead(body: str) -> dict[str, str]:
    lines = indent(body.strip(), "    ")
    return {"dead_units": f"def dead_units(codes):\n{lines}\n"}


def pca(body: str) -> dict[str, str]:
    head = "def pca_error(train_images, images, k):\n"
    head += "    x, y = train_images.flatten(1), images.flatten(1)\n"
    return {"pca_error": f"{head}{indent(body.strip(), '    ')}\n"}


def autoencoder(body: str) -> dict[str, str]:
    head = "def train_autoencoder(images, epochs, seed):\n    torch.manual_seed(seed)\n"
    return {"train_autoencoder": f"{head}{indent(body.strip(), '    ')}\n"}


def fitted(model: str, images: str = "images") -> dict[str, str]:
    """A model of the package, trained by fit."""
    return autoencoder(f"""
model = {model}
training.fit(model, {images}, epochs=epochs, lr=3e-3, seed=seed)
return model""")


def with_helper(nb: dict) -> dict:
    """A helper in a cell that the student added before the answer."""
    names = [
        cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in nb["cells"]
    ]
    helper = """import numpy as np

def silent_everywhere(column):
    return not np.any(column)
"""
    cell = {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": []}
    cell |= {"execution_count": None, "source": helper}
    nb["cells"].insert(names.index("dead_units"), cell)
    return nb


LOOPS = """
out = []
for j in range(codes.shape[1]):
    if all(float(v) == 0 for v in codes[:, j]):
        out.append(j)
return out"""
SKLEARN = """
from sklearn.decomposition import PCA
model = PCA(k).fit(x.numpy())
rebuilt = model.inverse_transform(model.transform(y.numpy()))
return float(((rebuilt - y.numpy()) ** 2).mean())"""
EIGENVECTORS = """
mean = x.mean(0, keepdim=True)
values, vectors = torch.linalg.eigh(((x - mean).T @ (x - mean)).double())
best = vectors.flip(1)[:, :k].float()
difference = (y - mean) - (y - mean) @ best @ best.T
return difference.square().mean().item()"""
OWN_LOOP = """
encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
decoder = nn.Sequential(nn.Linear(10, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))
model = nn.Sequential(encoder, decoder)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(epochs):
    for index in torch.randperm(len(images)).split(128):
        loss = nn.functional.mse_loss(model(images[index] - 0), images[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
return model"""
NO_MEAN = """
c = torch.linalg.svd(x, full_matrices=False)[2][:k]
return float(((y @ c.T @ c - y) ** 2).mean())"""
OWN_MEAN = """
c = torch.linalg.svd(x - x.mean(0), full_matrices=False)[2][:k]
m = y.mean(0)
return float((((y - m) @ c.T @ c + m - y) ** 2).mean())"""
RIGHT = """
m = x.mean(0)
c = torch.linalg.svd(x - m, full_matrices=False)[2][:k]
return float((((y - m) @ c.T @ c + m - y) ** 2).mean())"""

CASES = [
    Case("right, the solution", E),
    Case(
        "right, loops and numpy, PCA of scikit-learn, leaky ReLU",
        E,
        {
            **dead(LOOPS),
            **pca(SKLEARN),
            **fitted("models.dense_autoencoder(10, nn.LeakyReLU(0.1))"),
        },
    ),
    Case(
        "right, helper in an own cell, eigenvectors, centred ReLU",
        E,
        {
            **dead(
                "columns = codes.detach().numpy().T\n"
                "return [j for j, c in enumerate(columns) if silent_everywhere(c)]"
            ),
            **pca(EIGENVECTORS),
            **fitted("models.dense_autoencoder(10, mean_image=images.mean(0))"),
        },
        change=with_helper,
    ),
    Case(
        "right, own loop with Adam, own modules",
        E,
        {
            **dead("return torch.nonzero(codes.abs().sum(0) == 0).flatten().tolist()"),
            **autoencoder(OWN_LOOP),
        },
    ),
    Case(
        "wrong 1, any instead of all",
        E,
        dead("return torch.nonzero((codes == 0).any(dim=0)).flatten().tolist()"),
        (DEAD,),
        say="any instead of all",
    ),
    Case(
        "wrong 1, the wrong axis",
        E,
        dead("return torch.nonzero((codes == 0).all(dim=1)).flatten().tolist()"),
        (DEAD,),
        say="not along the images",
    ),
    Case(
        "wrong 1, not above zero",
        E,
        dead("return torch.nonzero((codes <= 0).all(dim=0)).flatten().tolist()"),
        partly={DEAD: 0.5},
        say="negative",
    ),
    Case(
        "wrong 1, the mean is zero",
        E,
        dead("return [i for i in range(codes.shape[1]) if codes[:, i].mean() == 0]"),
        partly={DEAD: 0.5},
        say="the mean is zero",
    ),
    Case(
        "wrong 1, the number instead of the list",
        E,
        dead("return int((codes == 0).all(dim=0).sum())"),
        (DEAD,),
    ),
    Case(
        "wrong 2, off by the mean",
        E,
        pca(NO_MEAN),
        (PCA,),
        say="the mean was not subtracted",
    ),
    Case(
        "wrong 2, the mean of the judged images",
        E,
        pca(OWN_MEAN),
        (PCA,),
        say="judged images",
    ),
    Case(
        "wrong 2, sum for mean",
        E,
        pca(RIGHT.replace(".mean())", ".sum(1).mean())")),
        (PCA,),
        say="sum over the pixels",
    ),
    Case(
        "wrong 2, training error",
        E,
        pca(RIGHT.replace("(y - m)", "(x - m)").replace("m - y", "m - x")),
        (PCA,),
        say="training images",
    ),
    Case("wrong 2, always ten components", E, pca(RIGHT.replace(":k", ":10")), (PCA,)),
    Case(
        "wrong 3, the chapter's model",
        E,
        fitted("models.dense_autoencoder(10)"),
        (TRAIN,),
    ),
    Case(
        "wrong 3, twenty numbers",
        E,
        fitted("models.dense_autoencoder(20, nn.Identity())"),
        (TRAIN,),
        say="got (600, 20)",
    ),
    Case(
        "wrong 3, not trained",
        E,
        autoencoder("return models.dense_autoencoder(10, nn.Identity())"),
        (TRAIN,),
        say="no training",
    ),
    Case(
        "wrong 3, trains on the notebook's images",
        E,
        fitted("models.dense_autoencoder(10, nn.Identity())", "train.images.flip(-2)"),
        (TRAIN,),
    ),
    Case("nothing done", E, loses=(DEAD, PCA, TRAIN, "why"), solved=False),
    Case("text not answered", E, {"why": "YOUR ANSWER HERE"}, ("why",)),
]
