"""Exercise 4: right answers in other styles, and wrong ones that students hand in."""

from grading.corpus.build import Case

E = "04_sampling"
PERTURB, NEAREST, COPIES, DRAW = "check_perturb", "check_nearest", "check_copies", "check_draw_codes"


def define(name: str, head: str, body: str) -> dict[str, str]:
    return {name: f"def {name}({head}):\n    " + body.strip().replace("\n", "\n    ") + "\n"}


def perturb(body: str) -> dict[str, str]:
    return define("perturb", "encoded, deviation, strength, seed", "noise = torch.randn(encoded.shape, generator=torch.Generator().manual_seed(seed))\n" + body)


def nearest(body: str) -> dict[str, str]:
    """A wrong one; the answer to task 3 then has distances of its own, which are right."""
    return {**define("nearest", "samples, images", body), **define("copies", "samples, images, held_out", OWN)}


def copies(body: str) -> dict[str, str]:
    return define("copies", "samples, images, held_out", body)


def draw(body: str) -> dict[str, str]:
    return define("draw_codes", "codes, n, seed", "torch.manual_seed(seed)\n" + body)


OWN = """
def apart(a):
    return torch.cdist(a.flatten(1), images.flatten(1)).amin(1)
return [bool(d < torch.quantile(apart(held_out), 0.01)) for d in apart(samples)]"""
MIXTURE = """
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
axes = PCA({axes}, random_state=0).fit(codes.numpy())
mixture = GaussianMixture({clouds}, reg_covar=1e-3, tol=0.01, random_state={seed}).fit(axes.transform(codes.double().numpy()))
new = torch.from_numpy(axes.inverse_transform(mixture.sample(n)[0])).float()
return new{end}"""


def mixture(axes=32, clouds=15, seed="seed", end=".clamp(min=0)") -> dict[str, str]:
    return draw(MIXTURE.format(axes=axes, clouds=clouds, seed=seed, end=end))


CASES = [
    Case("right, the solution", E),
    Case("right, loops, sorted distances, k-means and one Gaussian for each cluster", E, {
        **perturb("return torch.relu(encoded + noise * deviation.unsqueeze(0) * strength)"),
        **define("nearest", "samples, images", """
distances, indices = [], []
for picture in samples:
    error = ((images - picture) ** 2).flatten(1).mean(1).sqrt()
    indices.append(int(error.argmin()))
    distances.append(float(error.min()))
return distances, indices"""),
        **copies("real = sorted(nearest(held_out, images)[0])\nlimit = real[len(real) // 100]\nreturn [d < limit for d in nearest(samples, images)[0]]"),
        **draw("""
import numpy as np
from sklearn.cluster import KMeans
generator = np.random.default_rng(seed)
centre = codes.mean(0)
directions = torch.linalg.eigh(torch.cov(codes.T))[1][:, -40:]
points = ((codes - centre) @ directions).double().numpy()
clusters = KMeans(20, n_init=1, random_state=seed).fit_predict(points)
new = []
for k in range(20):
    members = points[clusters == k]
    new.append(generator.multivariate_normal(members.mean(0), np.cov(members.T), round(n * len(members) / len(points)) + 1))
new = torch.tensor(generator.permutation(np.concatenate(new))[:n], dtype=torch.float32)
return torch.relu(new @ directions.T + centre)""")}),
    Case("right, scikit-learn's neighbours, shares, a wider mixture", E, {
        **define("nearest", "samples, images", """
from sklearn.neighbors import NearestNeighbors
search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(images.flatten(1).numpy())
distance, index = search.kneighbors(samples.flatten(1).numpy())
return torch.from_numpy(distance[:, 0]) / 784**0.5, torch.from_numpy(index[:, 0])"""),
        **copies("real = nearest(held_out, images)[0]\nreturn [bool((real < d).float().mean() < 0.01) for d in nearest(samples, images)[0]]"),
        **mixture(axes=24, clouds=30)}),
    Case("wrong 1, multiplied", E, perturb("return (encoded * (1 + strength * deviation * noise)).clamp(min=0)"), (PERTURB,), say="multiplied"),
    Case("wrong 1, below zero", E, perturb("return encoded + strength * deviation * noise"), (PERTURB,), say="below zero"),
    Case("wrong 1, one deviation for all units", E, perturb("return (encoded + strength * deviation.mean() * noise).clamp(min=0)"), (PERTURB,)),
    Case("wrong 1, strength left out", E, perturb("return (encoded + deviation * noise).clamp(min=0)"), (PERTURB,), say="strength left out"),
    Case("wrong 1, one number for each code", E, perturb("return (encoded + strength * deviation * noise[:, :1]).clamp(min=0)"), (PERTURB,), say="independent"),
    Case("wrong 1, only upwards", E, perturb("return encoded + strength * deviation * noise.abs()"), (PERTURB,)),
    Case("wrong 1, everybody's random numbers", E, perturb("torch.manual_seed(seed)\nreturn (encoded + strength * deviation * torch.randn_like(encoded)).clamp(min=0)"), (PERTURB,), say="random numbers"),
    Case("wrong 2, no root", E, nearest("return (torch.cdist(samples.flatten(1), images.flatten(1)) ** 2 / 784).min(dim=1)"), (NEAREST,), say="root is missing"),
    Case("wrong 2, sum for mean", E, nearest("return torch.cdist(samples.flatten(1), images.flatten(1)).min(dim=1)"), (NEAREST,), say="sum over the pixels"),
    Case("wrong 2, the wrong axis", E, nearest("return (torch.cdist(samples.flatten(1), images.flatten(1)) / 28).min(dim=0)"), (NEAREST,), say="wrong dimension"),
    Case("wrong 2, absolute differences", E, nearest("return (torch.cdist(samples.flatten(1), images.flatten(1), p=1) / 784).min(dim=1)"), (NEAREST,)),
    Case("wrong 2, the farthest", E, nearest("return (torch.cdist(samples.flatten(1), images.flatten(1)) / 28).max(dim=1)"), (NEAREST,)),
    Case("wrong 3, a limit typed in", E, copies("return (nearest(samples, images)[0] < 0.06).tolist()"), (COPIES,), say="typed in"),
    Case("wrong 3, only exact copies", E, copies("return (nearest(samples, images)[0] < 1e-3).tolist()"), (COPIES,), say="only exact copies"),
    Case("wrong 3, the mean as limit", E, copies("return (nearest(samples, images)[0] < nearest(held_out, images)[0].mean()).tolist()"), (COPIES,), say="mean distance"),
    Case("wrong 3, training images as reference", E, copies("return (nearest(samples, images)[0] < torch.quantile(nearest(images[:300], images)[0], 0.01)).tolist()"), (COPIES,), say="their own nearest"),
    Case("wrong 3, any two pictures", E, copies("pairs = torch.cdist(held_out.flatten(1), images.flatten(1)) / 28\nreturn (nearest(samples, images)[0] < torch.quantile(pairs[:, ::7], 0.01)).tolist()"), (COPIES,), say="any two pictures"),
    Case("wrong 3, the other end", E, copies("return (nearest(samples, images)[0] < torch.quantile(nearest(held_out, images)[0], 0.99)).tolist()"), (COPIES,)),
    Case("wrong 3, turned round", E, copies("return (nearest(samples, images)[0] >= torch.quantile(nearest(held_out, images)[0], 0.01)).tolist()"), (COPIES,)),
    Case("wrong 3, nearest held-out picture", E, copies("return (nearest(samples, held_out)[0] < torch.quantile(nearest(held_out, images)[0], 0.01)).tolist()"), (COPIES,)),
    Case("wrong 4, unit by unit", E, draw("return codes.gather(0, torch.randint(len(codes), (n, codes.shape[1])))"), (DRAW,), say="drawn one by one"),
    Case("wrong 4, normal units", E, draw("return (codes.mean(0) + codes.std(0) * torch.randn(n, codes.shape[1])).clamp(min=0)"), (DRAW,), say="drawn one by one"),
    Case("wrong 4, one Gaussian", E, mixture(clouds=1), (DRAW,), say="one single Gaussian"),
    Case("wrong 4, no clamp", E, mixture(end=""), (DRAW,), say="below zero"),
    Case("wrong 4, the seed typed in", E, mixture(seed="0"), (DRAW,), say="one seed"),
    Case("wrong 4, no seed", E, mixture(seed="None"), (DRAW,), say="one seed"),
    Case("wrong 4, training codes", E, draw("return codes[torch.randperm(len(codes))[:n]]"), (DRAW,), say="one training image"),
    Case("wrong 4, the chapter's recipe", E, draw("some = codes[torch.randperm(len(codes))[:n]]\nreturn (some * (1 + torch.randn(some.shape))).clamp(min=0)"), (DRAW,), say="one training image"),
    Case("wrong 4, training codes and a little noise", E, draw("return codes[torch.randperm(len(codes))[:n]] + 0.02 * torch.rand(n, codes.shape[1])"), (DRAW,), say="copies"),
    Case("wrong 4, the mean code", E, draw("return (codes.mean(0) + 0.1 * torch.randn(n, codes.shape[1])).clamp(min=0)"), (DRAW,)),
]
