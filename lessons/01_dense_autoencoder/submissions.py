"""Exercise 1: right answers in several styles, and wrong ones that students hand in."""

from grading.corpus.build import Case

E = "01_dense_autoencoder"
DEAD, PCA, TRAIN = "check_dead_units", "check_pca_error", "check_train_autoencoder"


def dead(body: str) -> dict[str, str]:
    return {"dead_units": f"def dead_units(codes):\n    {body}\n"}


def pca(body: str) -> dict[str, str]:
    lines = "\n    ".join(body.strip().splitlines())
    return {"pca_error": f"def pca_error(train_images, images, k):\n    x, y = train_images.flatten(1), images.flatten(1)\n    {lines}\n"}


def autoencoder(body: str) -> dict[str, str]:
    lines = "\n    ".join(body.strip().splitlines())
    return {"train_autoencoder": f"def train_autoencoder(images, epochs, seed):\n    torch.manual_seed(seed)\n    {lines}\n"}


def with_helper(nb: dict) -> dict:
    """A helper in a cell that the student added before the answer."""
    place = next(i for i, cell in enumerate(nb["cells"]) if cell["metadata"].get("nbgrader", {}).get("grade_id") == "dead_units")
    nb["cells"].insert(place, {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": [], "execution_count": None,
                               "source": "import numpy as np\n\ndef silent_everywhere(column):\n    return not np.any(column)\n"})
    return nb


FIT = "training.fit(model, images, epochs=epochs, lr=3e-3, seed=seed)\nreturn model"

CASES = [
    Case("right, the solution", E),
    Case("right, loops and numpy, PCA of scikit-learn, leaky ReLU", E, {
        **dead("out = []\n    for j in range(codes.shape[1]):\n        if all(float(v) == 0 for v in codes[:, j]):\n            out.append(j)\n    return out"),
        **pca("""
from sklearn.decomposition import PCA
model = PCA(k, svd_solver="full").fit(x.numpy())
return float(((model.inverse_transform(model.transform(y.numpy())) - y.numpy()) ** 2).mean())"""),
        **autoencoder(f"model = models.dense_autoencoder(10, nn.LeakyReLU(0.1))\n{FIT}")}),
    Case("right, helper in an own cell, eigenvectors, centred ReLU", E, {
        **dead("return [j for j, column in enumerate(codes.detach().numpy().T) if silent_everywhere(column)]"),
        **pca("""
mean = x.mean(0, keepdim=True)
values, vectors = torch.linalg.eigh(((x - mean).T @ (x - mean)).double())
best = vectors.flip(1)[:, :k].float()
difference = (y - mean) - (y - mean) @ best @ best.T
return difference.square().mean().item()"""),
        **autoencoder(f"model = models.dense_autoencoder(10, mean_image=images.mean(0))\n{FIT}")}, change=with_helper),
    Case("right, own loop with SGD-free Adam, own modules", E, {
        **dead("return torch.nonzero(codes.abs().sum(0) == 0).flatten().tolist()"),
        **autoencoder("""
model = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), nn.Sequential(nn.Linear(10, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(epochs):
    for index in torch.randperm(len(images)).split(128):
        loss = nn.functional.mse_loss(model(images[index] - 0), images[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
return model""")}),
    Case("wrong 1, any instead of all", E, dead("return torch.nonzero((codes == 0).any(dim=0)).flatten().tolist()"), (DEAD,), say="any instead of all"),
    Case("wrong 1, the wrong axis", E, dead("return torch.nonzero((codes == 0).all(dim=1)).flatten().tolist()"), (DEAD,)),
    Case("wrong 1, not above zero", E, dead("return torch.nonzero((codes <= 0).all(dim=0)).flatten().tolist()"), (DEAD,), say="negative"),
    Case("wrong 1, the number instead of the list", E, dead("return int((codes == 0).all(dim=0).sum())"), (DEAD,)),
    Case("wrong 2, off by the mean", E, pca("c = torch.linalg.svd(x, full_matrices=False)[2][:k]\nreturn float(((y @ c.T @ c - y) ** 2).mean())"), (PCA,), say="the mean was not subtracted"),
    Case("wrong 2, the mean of the judged images", E, pca("""
c = torch.linalg.svd(x - x.mean(0), full_matrices=False)[2][:k]
m = y.mean(0)
return float((((y - m) @ c.T @ c + m - y) ** 2).mean())"""), (PCA,), say="judged images"),
    Case("wrong 2, sum for mean", E, pca("""
m = x.mean(0)
c = torch.linalg.svd(x - m, full_matrices=False)[2][:k]
return float((((y - m) @ c.T @ c + m - y) ** 2).sum(1).mean())"""), (PCA,), say="sum over the pixels"),
    Case("wrong 2, training error", E, pca("""
m = x.mean(0)
c = torch.linalg.svd(x - m, full_matrices=False)[2][:k]
return float((((x - m) @ c.T @ c + m - x) ** 2).mean())"""), (PCA,), say="training images"),
    Case("wrong 2, always ten components", E, pca("""
m = x.mean(0)
c = torch.linalg.svd(x - m, full_matrices=False)[2][:10]
return float((((y - m) @ c.T @ c + m - y) ** 2).mean())"""), (PCA,)),
    Case("wrong 3, the chapter's model", E, autoencoder(f"model = models.dense_autoencoder(10)\n{FIT}"), (TRAIN,)),
    Case("wrong 3, twenty numbers", E, autoencoder(f"model = models.dense_autoencoder(20, nn.Identity())\n{FIT}"), (TRAIN,), say="(600, 10)"),
    Case("wrong 3, not trained", E, autoencoder("return models.dense_autoencoder(10, nn.Identity())"), (TRAIN,)),
    Case("wrong 3, trains on the notebook's images", E, autoencoder(
        "model = models.dense_autoencoder(10, nn.Identity())\ntraining.fit(model, train.images.flip(-2), epochs=epochs, lr=3e-3, seed=seed)\nreturn model"), (TRAIN,)),
    Case("nothing done", E, loses=(DEAD, PCA, TRAIN, "why"), solved=False),
    Case("text not answered", E, {"why": "YOUR ANSWER HERE"}, ("why",)),
]
