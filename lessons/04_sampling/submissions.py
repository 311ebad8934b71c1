"""Exercise 4: right answers in other styles, and wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "04_sampling"
PERTURB, NEAREST = "check_perturb", "check_nearest"
COPIES, DRAW = "check_copies", "check_draw_codes"


def define(name: str, head: str, body: str) -> dict[str, str]:
    return {name: f"def {name}({head}):\n{indent(body.strip(), '    ')}\n"}


def perturb(body: str) -> dict[str, str]:
    generator = "torch.Generator().manual_seed(seed)"
    start = f"noise = torch.randn(encoded.shape, generator={generator})\n"
    return define("perturb", "encoded, deviation, strength, seed", start + body)


def perturbed(code: str) -> dict[str, str]:
    return perturb(f"return ({code}).clamp(min=0)")


def copies(body: str) -> dict[str, str]:
    return define("copies", "samples, images, held_out", body)


def nearer_than(limit: str) -> dict[str, str]:
    """Task 3 with another limit."""
    return copies(f"""
held = nearest(held_out, images)[0]
limit = {limit}
return (nearest(samples, images)[0] < limit).tolist()""")


OWN = """
def apart(a):
    return torch.cdist(a.flatten(1), images.flatten(1)).amin(1)

limit = torch.quantile(apart(held_out), 0.01)
return [bool(distance < limit) for distance in apart(samples)]"""


def nearest(pairs: str) -> dict[str, str]:
    """A wrong one; the answer to task 3 then has distances of its own, which are
    right."""
    start = "a, b = samples.flatten(1), images.flatten(1)\n"
    body = f"{start}return {pairs}"
    return {**define("nearest", "samples, images", body), **copies(OWN)}


def draw(body: str) -> dict[str, str]:
    body = f"torch.manual_seed(seed)\n{body.strip()}"
    return define("draw_codes", "codes, n, seed", body)


MIXTURE = """
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

axes = PCA({axes}, random_state=0).fit(codes.numpy())
points = axes.transform(codes.double().numpy())
mixture = GaussianMixture({clouds}, reg_covar=1e-3, tol=0.01, random_state={seed})
new = axes.inverse_transform(mixture.fit(points).sample(n)[0])
return torch.from_numpy(new).float(){end}"""


def mixture(axes=32, clouds=15, seed="seed", end=".clamp(min=0)") -> dict[str, str]:
    return draw(MIXTURE.format(axes=axes, clouds=clouds, seed=seed, end=end))


LOOP = """
distances, indices = [], []
for picture in samples:
    error = ((images - picture) ** 2).flatten(1).mean(1).sqrt()
    indices.append(int(error.argmin()))
    distances.append(float(error.min()))
return distances, indices"""
NEIGHBOURS = """
from sklearn.neighbors import NearestNeighbors

search = NearestNeighbors(n_neighbors=1, algorithm="brute")
search.fit(images.flatten(1).numpy())
distance, index = search.kneighbors(samples.flatten(1).numpy())
return torch.from_numpy(distance[:, 0]) / 784**0.5, torch.from_numpy(index[:, 0])"""
SORTED = """
real = sorted(nearest(held_out, images)[0])
limit = real[len(real) // 100]
return [distance < limit for distance in nearest(samples, images)[0]]"""
SHARES = """
real = nearest(held_out, images)[0]
mine = nearest(samples, images)[0]
return [bool((real < distance).float().mean() < 0.01) for distance in mine]"""
CLUSTERS = """
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
    count = round(n * len(members) / len(points)) + 1
    middle, spread = members.mean(0), np.cov(members.T)
    new.append(generator.multivariate_normal(middle, spread, count))
new = generator.permutation(np.concatenate(new))[:n]
return torch.relu(torch.tensor(new, dtype=torch.float32) @ directions.T + centre)"""
SOME = "some = codes[torch.randperm(len(codes))[:n]]\n"

CASES = [
    Case("right, the solution", E),
    Case(
        "right, loops, sorted distances, k-means and one Gaussian for each cluster",
        E,
        {
            **perturb(
                "return torch.relu(encoded + noise * deviation.unsqueeze(0) * strength)"
            ),
            **define("nearest", "samples, images", LOOP),
            **copies(SORTED),
            **draw(CLUSTERS),
        },
    ),
    Case(
        "right, scikit-learn's neighbours, shares, a wider mixture",
        E,
        {
            **define("nearest", "samples, images", NEIGHBOURS),
            **copies(SHARES),
            **mixture(axes=24, clouds=30),
        },
    ),
    Case(
        "wrong 1, multiplied",
        E,
        perturbed("encoded * (1 + strength * deviation * noise)"),
        partly={PERTURB: 0.5},
        say="multiplied",
    ),
    Case(
        "wrong 1, below zero",
        E,
        perturb("return encoded + strength * deviation * noise"),
        partly={PERTURB: 1.5},
        say="below zero",
    ),
    Case(
        "wrong 1, one deviation for all units",
        E,
        perturbed("encoded + strength * deviation.mean() * noise"),
        partly={PERTURB: 0.5},
        say="one deviation for all units",
    ),
    Case(
        "wrong 1, strength left out",
        E,
        perturbed("encoded + deviation * noise"),
        partly={PERTURB: 1},
        say="strength left out",
    ),
    Case(
        "wrong 1, one number for each code",
        E,
        perturbed("encoded + strength * deviation * noise[:, :1]"),
        partly={PERTURB: 1},
        say="independent",
    ),
    Case(
        "wrong 1, only upwards",
        E,
        perturb("return encoded + strength * deviation * noise.abs()"),
        partly={PERTURB: 0.5},
        say="either sign",
    ),
    Case(
        "wrong 1, everybody's random numbers",
        E,
        perturb("""
torch.manual_seed(seed)
noise = torch.randn_like(encoded)
return (encoded + strength * deviation * noise).clamp(min=0)"""),
        partly={PERTURB: 1.5},
        say="random numbers",
    ),
    Case(
        "wrong 1, the codes themselves changed",
        E,
        perturb("""
encoded += strength * deviation * noise
return encoded.clamp_(min=0)"""),
        partly={PERTURB: 1.5},
        say="in-place",
    ),
    Case(
        "wrong 1, nothing perturbed",
        E,
        perturb("return encoded"),
        (PERTURB,),
        say="nothing is random",
    ),
    Case(
        "wrong 2, no root",
        E,
        nearest("(torch.cdist(a, b) ** 2 / 784).min(dim=1)"),
        partly={NEAREST: 1},
        say="root is missing",
    ),
    Case(
        "wrong 2, sum for mean",
        E,
        nearest("torch.cdist(a, b).min(dim=1)"),
        partly={NEAREST: 1},
        say="sum over the pixels",
    ),
    Case(
        "wrong 2, the wrong axis",
        E,
        nearest("(torch.cdist(a, b) / 28).min(dim=0)"),
        (NEAREST,),
        say="wrong dimension",
    ),
    Case(
        "wrong 2, absolute differences",
        E,
        nearest("(torch.cdist(a, b, p=1) / 784).min(dim=1)"),
        (NEAREST,),
        say="absolute differences",
    ),
    Case(
        "wrong 2, the farthest",
        E,
        nearest("(torch.cdist(a, b) / 28).max(dim=1)"),
        (NEAREST,),
        say="farthest",
    ),
    Case(
        "wrong 3, a limit typed in",
        E,
        nearer_than("0.07"),
        partly={COPIES: 2},
        say="limit",  # where it calls all pale ones copies, that is the cause named
    ),
    Case(
        "wrong 3, only exact copies",
        E,
        nearer_than("1e-3"),
        (COPIES,),
        say="only exact copies",
    ),
    Case(
        "wrong 3, the mean as limit",
        E,
        nearer_than("held.mean()"),
        (COPIES,),
        say="mean distance",
    ),
    Case(
        "wrong 3, training images as reference",
        E,
        nearer_than("torch.quantile(nearest(images[:300], images)[0], 0.01)"),
        (COPIES,),
        say="its own nearest",
    ),
    Case(
        "wrong 3, any two pictures",
        E,
        copies("""
pairs = torch.cdist(held_out.flatten(1), images.flatten(1)) / 28
limit = torch.quantile(pairs[:, ::7], 0.01)
return (nearest(samples, images)[0] < limit).tolist()"""),
        (COPIES,),
        say="any two pictures",
    ),
    Case(
        "wrong 3, the other end",
        E,
        nearer_than("torch.quantile(held, 0.99)"),
        (COPIES,),
        say="other end",
    ),
    Case(
        "wrong 3, turned round",
        E,
        copies("""
limit = torch.quantile(nearest(held_out, images)[0], 0.01)
return (nearest(samples, images)[0] >= limit).tolist()"""),
        (COPIES,),
        say="turned round",
    ),
    Case(
        "wrong 3, nearest held-out picture",
        E,
        copies("""
limit = torch.quantile(nearest(held_out, images)[0], 0.01)
return (nearest(samples, held_out)[0] < limit).tolist()"""),
        (COPIES,),
    ),
    Case(
        "wrong 3, all are copies",
        E,
        copies("return [True] * len(samples)"),
        (COPIES,),
    ),
    Case(
        "wrong 4, unit by unit",
        E,
        draw("return codes.gather(0, torch.randint(len(codes), (n, codes.shape[1])))"),
        partly={DRAW: 1},
        say="drawn one by one",
    ),
    Case(
        "wrong 4, normal units",
        E,
        draw("""
new = codes.mean(0) + codes.std(0) * torch.randn(n, codes.shape[1])
return new.clamp(min=0)"""),
        partly={DRAW: 1},
        say="drawn one by one",
    ),
    Case(
        "wrong 4, one Gaussian",
        E,
        mixture(clouds=1),
        partly={DRAW: 2},
        say="one single Gaussian",
    ),
    Case(
        "wrong 4, no clamp",
        E,
        mixture(end=""),
        partly={DRAW: 3.5},
        say="below zero",
    ),
    Case(
        "wrong 4, the seed typed in",
        E,
        mixture(seed="0"),
        partly={DRAW: 3.5},
        say="typed in",
    ),
    Case(
        "wrong 4, no seed",
        E,
        mixture(seed="None"),
        partly={DRAW: 3.5},
        say="does not come from seed",
    ),
    Case(
        "wrong 4, training codes",
        E,
        draw("return codes[torch.randperm(len(codes))[:n]]"),
        (DRAW,),
        say="copies",
    ),
    Case(
        "wrong 4, the chapter's recipe",
        E,
        draw(SOME + "return (some * (1 + torch.randn(some.shape))).clamp(min=0)"),
        (DRAW,),
        say="one training image",
    ),
    Case(
        "wrong 4, training codes and a little noise",
        E,
        draw(SOME + "return some + 0.02 * torch.rand(n, codes.shape[1])"),
        (DRAW,),
        say="copies",
    ),
    Case(
        "wrong 4, one code in ten copied",
        E,
        draw(
            MIXTURE.format(
                axes=32, clouds=15, seed="seed", end=".clamp(min=0)"
            ).replace(
                "return torch.from_numpy(new).float().clamp(min=0)",
                "new = torch.from_numpy(new).float().clamp(min=0)\n"
                "new[::10] = codes[torch.randperm(len(codes))[: len(new[::10])]]\n"
                "return new",
            )
        ),
        partly={DRAW: 3},
        say="99 of 100",
    ),
    Case(
        "wrong 4, the mean code",
        E,
        draw("""
new = codes.mean(0) + 0.1 * torch.randn(n, codes.shape[1])
return new.clamp(min=0)"""),
        partly={DRAW: 1},
    ),
]
