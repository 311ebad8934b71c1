"""Latent sweep 1: right answers in several styles, wrong ones that students hand in."""

from textwrap import indent

from grading.corpus import Case

E = "latent_sweep_fashion_mnist"
HEADS = {
    "corrupt": "corrupt(images, p=0.5)",
    "make_dae": "make_dae(latent_dim)",
    "denoising_loss": "denoising_loss(model, images, labels)",
    "denoising_error": "denoising_error(model, images, seed=0)",
    "train_dae": "train_dae(images, latent_dim, epochs, seed, checkpoint=None)",
    "best_dimensions": "best_dimensions(table)",
    "successful_below": "successful_below(table, affine_error, pixels=784, margin=0.1)",
    "components_needed": "components_needed(images, share)",
}
CELLS = tuple(f"check_{name}" for name in HEADS)
TRAIN = "check_train_dae"


def answer(name: str, body: str) -> dict[str, str]:
    return {name: f"def {HEADS[name]}:\n{indent(body.strip(), '    ')}\n"}


# leaves the training out where it is not the matter, to save time
SKIP = answer("train_dae", "raise NotImplementedError")


# a loss and a score that do not use the student's own corruption
APART = {
    **answer(
        "denoising_loss",
        "corrupted = corruption.Dropout(0.5)(images)\n"
        "return nn.functional.mse_loss(model(corrupted), images)",
    ),
    **answer(
        "denoising_error",
        "torch.manual_seed(seed)\n"
        "corrupted = corruption.Dropout(0.5)(images)\n"
        "return metrics.reconstruction_error(model, images, corrupted)",
    ),
}


def wrong(name: str, cell: str, body: str, say: str = "", points: float = 0) -> Case:
    """A wrong answer to one question, which gets these points for it."""
    others = {**SKIP, **APART} if cell == "corrupt" else SKIP
    answers = {**others, **answer(cell, body)}
    if points:
        partly = {f"check_{cell}": points}
        return Case(name, E, answers, (TRAIN,), partly=partly, say=say)
    return Case(name, E, answers, (f"check_{cell}", TRAIN), say=say)


def trained(name: str, body: str, say: str = "", points: float = 0) -> Case:
    """A wrong training, which gets these points."""
    loses, partly = ((), {TRAIN: points}) if points else ((TRAIN,), {})
    return Case(name, E, answer("train_dae", body), loses, partly=partly, say=say)


OWN_LOOP = """
torch.manual_seed(seed)
model = models.dense_autoencoder(latent_dim)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(epochs):
    for batch in torch.randperm(len(images)).split(100):
        optimizer.zero_grad()
        denoising_loss(model, images[batch], None).backward()
        optimizer.step()
return model"""
OWN_MODULES = """
encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, latent_dim), nn.ReLU())
decoder = nn.Sequential(
    nn.Linear(latent_dim, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))
)
return nn.Sequential(encoder, decoder)"""
LOOPS_BEST = """
groups = {
    dim: part["validation_error"].to_numpy()
    for dim, part in table.groupby("latent_dim")
}
means = {dim: errors.mean() for dim, errors in groups.items()}
best = min(means, key=means.get)
limit = means[best] + groups[best].std(ddof=1) / np.sqrt(len(groups[best]))
return best, min(dim for dim in means if means[dim] <= limit)"""
LOOPS_SUCCESSFUL = """
found = []
for dim in sorted(set(table["latent_dim"])):
    errors = table.loc[table["latent_dim"] == dim, "validation_error"].to_numpy()
    upper = errors.mean() + errors.std(ddof=1) / len(errors) ** 0.5
    if dim < pixels and upper < (1 - margin) * affine_error:
        found.append(dim)
return found"""
NUMPY_NEEDED = """
x = images.flatten(1).numpy().astype(float)
held = np.cumsum(np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2)
return int(np.argmax(held >= share * held[-1])) + 1"""
SKLEARN_NEEDED = """
from sklearn.decomposition import PCA
ratios = PCA().fit(images.flatten(1).numpy()).explained_variance_ratio_
return int(np.searchsorted(ratios.cumsum(), share)) + 1"""
SINGLE_NEEDED = """
x = images.flatten(1)
held = torch.linalg.svdvals(x - x.mean(0)).square().cumsum(0)
return int((held / held[-1] < share).sum()) + 1"""
FIT = "training.fit(model, {}, epochs=epochs, seed=seed)\nreturn model"
SEEDED = "torch.manual_seed(seed)\nmodel = make_dae(latent_dim)\n"

STANDARD = """
groups = table.groupby("latent_dim")["validation_error"]
mean, standard_error = groups.mean(), groups.sem()
best = mean.idxmin()
near = mean[mean <= mean[best] + standard_error[best]].index
return int(best), int(near.min())"""
UPPER = """
groups = table.groupby("latent_dim")["validation_error"]
upper = groups.mean() + groups.sem()
limit = (1 - margin) * affine_error
return sorted(int(dim) for dim in upper[upper < limit].index if dim < pixels)"""

CASES = [
    Case("right, the solution", E),
    Case(
        "right, torch's own dropout, own loop, numpy",
        E,
        {
            **answer(
                "corrupt", "return nn.functional.dropout(images, p, training=True)"
            ),
            "make_dae": "make_dae = models.dense_autoencoder\n",
            **answer(
                "denoising_loss",
                "return nn.functional.mse_loss(model(corrupt(images)), images)",
            ),
            **answer("train_dae", OWN_LOOP),
            **answer("best_dimensions", LOOPS_BEST),
            **answer("components_needed", NUMPY_NEEDED),
        },
    ),
    Case(
        "right, the package's corruption, own modules, scikit-learn",
        E,
        {
            **answer("corrupt", "return corruption.Dropout(p)(images)"),
            **answer("make_dae", OWN_MODULES),
            **APART,
            **answer("successful_below", LOOPS_SUCCESSFUL),
            **answer("components_needed", SKLEARN_NEEDED),
        },
    ),
    Case(
        "right, single precision, a copy that is changed",
        E,
        {
            **answer(
                "corrupt",
                "out = images.clone()\n"
                "out[torch.rand_like(out) < p] = 0\n"
                "return out / (1 - p)",
            ),
            **answer("components_needed", SINGLE_NEEDED),
        },
    ),
    # 1
    wrong(
        "wrong 1, p turned round",
        "corrupt",
        "return images * (torch.rand(images.shape) < p) / (1 - p)",
        say="not the share that stays",
        points=1,
    ),
    wrong(
        "wrong 1, not divided",
        "corrupt",
        "return images * (torch.rand(images.shape) >= p)",
        say="divided by 1 - p",
        points=1.5,
    ),
    wrong(
        "wrong 1, the same for all images",
        "corrupt",
        "return images * (torch.rand(images.shape[1:]) >= p) / (1 - p)",
        say="the shape of one image",
        points=1.5,
    ),
    wrong(
        "wrong 1, whole images",
        "corrupt",
        "return images * (torch.rand(len(images), 1, 1, 1) >= p) / (1 - p)",
        say="drawn once for each image",
        points=1.5,
    ),
    wrong(
        "wrong 1, in place",
        "corrupt",
        "return images.mul_(torch.rand(images.shape) >= p).div_(1 - p)",
        say="in place",
        points=1.5,
    ),
    wrong(
        "wrong 1, another default",
        "corrupt",
        "q = 0.3 if p == 0.5 else p\n"
        "return images * (torch.rand(images.shape) >= q) / (1 - q)",
        say="p=0.5",
        points=1.5,
    ),
    wrong(
        "wrong 1, noise of numpy",
        "corrupt",
        "keep = torch.from_numpy(np.random.rand(*images.shape) >= p)\n"
        "return images * keep / (1 - p)",
        say="torch.rand",
        points=1.5,
    ),
    wrong("wrong 1, nothing done to them", "corrupt", "return images.clone()"),
    # 2
    wrong(
        "wrong 2, a linear code",
        "make_dae",
        "return models.dense_autoencoder(latent_dim, nn.Identity())",
        say="ReLU",
        points=0.5,
    ),
    wrong(
        "wrong 2, always 940 units",
        "make_dae",
        "return models.dense_autoencoder(940)",
    ),
    wrong(
        "wrong 2, the model sees the originals",
        "denoising_loss",
        "return ((model(images) - images) ** 2).mean()",
        say="given the originals",
        points=1.5,
    ),
    wrong(
        "wrong 2, compared with the corrupted",
        "denoising_loss",
        "images = corrupt(images)\nreturn ((model(images) - images) ** 2).mean()",
        say="corrupted images instead of the originals",
        points=0.5,
    ),
    wrong(
        "wrong 2, a sum",
        "denoising_loss",
        "return ((model(corrupt(images)) - images) ** 2).sum()",
        say="a sum instead of a mean",
        points=1,
    ),
    wrong(
        "wrong 2, the gradient is cut off",
        "denoising_loss",
        "return ((model(corrupt(images)).detach() - images) ** 2).mean()",
        say="cuts the gradient off",
        points=1.5,
    ),
    wrong(
        "wrong 2, a number",
        "denoising_loss",
        "return ((model(corrupt(images)) - images) ** 2).mean().item()",
        say="cuts the gradient off",
        points=1.5,
    ),
    # 3
    wrong(
        "wrong 3, scored on clean images",
        "denoising_error",
        """
model.eval()
with torch.no_grad():
    return float(((model(images) - images) ** 2).mean())""",
        say="clean images",
        points=1,
    ),
    wrong(
        "wrong 3, in train mode",
        "denoising_error",
        """
torch.manual_seed(seed)
with torch.no_grad():
    return float(((model.train()(corrupt(images)) - images) ** 2).mean())""",
        say="train mode",
        points=1.5,
    ),
    wrong(
        "wrong 3, another seed each time",
        "denoising_error",
        """
with torch.no_grad():
    return float(((model.eval()(corrupt(images)) - images) ** 2).mean())""",
        say="another score",
        points=1.5,
    ),
    wrong(
        "wrong 3, always seed 0",
        "denoising_error",
        """
torch.manual_seed(0)
with torch.no_grad():
    return float(((model.eval()(corrupt(images)) - images) ** 2).mean())""",
        say="seed is not used",
        points=1.5,
    ),
    wrong(
        "wrong 3, compared with the corrupted",
        "denoising_error",
        """
torch.manual_seed(seed)
corrupted = corrupt(images)
with torch.no_grad():
    return float(((model.eval()(corrupted) - corrupted) ** 2).mean())""",
        say="compared with the corrupted",
        points=0.5,
    ),
    # 4
    trained(
        "wrong 4, trained without corruption",
        SEEDED + FIT.format("images"),
        say="without corruption",
        points=1.5,
    ),
    trained(
        "wrong 4, the seed after the model",
        "model = make_dae(latent_dim)\n" + FIT.format("images, denoising_loss"),
        say="another model",
        points=2,
    ),
    trained(
        "wrong 4, one seed for all",
        SEEDED.replace("(seed)", "(0)")
        + FIT.format("images, denoising_loss").replace("seed=seed", "seed=0"),
        say="seed is not used",
        points=2.5,
    ),
    trained(
        "wrong 4, trains on the notebook's images",
        SEEDED + FIT.format("train.images[: len(images)], denoising_loss"),
        say="other images than it was given",
    ),
    trained("wrong 4, not trained", SEEDED + "return model", say="no training"),
    # 5
    wrong(
        "wrong 5, deviation for standard error",
        "best_dimensions",
        STANDARD.replace("sem()", "std()"),
        say="the deviation was used",
        points=1,
    ),
    wrong(
        "wrong 5, n for n - 1",
        "best_dimensions",
        STANDARD.replace("sem()", "sem(ddof=0)"),
        say="ddof=0",
        points=1,
    ),
    wrong(
        "wrong 5, each width's own standard error",
        "best_dimensions",
        STANDARD.replace(
            "mean <= mean[best] + standard_error[best]",
            "mean - standard_error <= mean[best]",
        ),
        say="each width's own",
        points=1,
    ),
    wrong(
        "wrong 5, rule two forgotten",
        "best_dimensions",
        STANDARD.replace("near.min()", "best"),
        say="rule two was forgotten",
        points=1,
    ),
    wrong(
        "wrong 5, the widest",
        "best_dimensions",
        STANDARD.replace("near.min()", "near.max()"),
        say="not the widest",
        points=1,
    ),
    wrong(
        "wrong 5, the other order",
        "best_dimensions",
        STANDARD.replace("int(best), int(near.min())", "int(near.min()), int(best)"),
        say="the order is",
    ),
    # 6
    wrong(
        "wrong 6, no margin",
        "successful_below",
        UPPER.replace("(1 - margin) * ", ""),
        say="the margin was forgotten",
    ),
    wrong(
        "wrong 6, no standard error",
        "successful_below",
        UPPER.replace(" + groups.sem()", ""),
        say="the standard error was not added",
        points=0.5,
    ),
    wrong(
        "wrong 6, n for n - 1",
        "successful_below",
        UPPER.replace("sem()", "sem(ddof=0)"),
        say="ddof=0",
        points=0.5,
    ),
    wrong(
        "wrong 6, any width",
        "successful_below",
        UPPER.replace(" if dim < pixels", ""),
        say="only widths below",
    ),
    wrong(
        "wrong 6, settings not used",
        "successful_below",
        UPPER.replace("margin)", "0.1)").replace("< pixels", "< 784"),
        say="pixels is not used",
        points=1.5,
    ),
    # 7
    wrong(
        "wrong 7, not centred",
        "components_needed",
        """
variances = torch.linalg.svdvals(images.flatten(1).double()) ** 2
return int((variances.cumsum(0) / variances.sum() < share).sum()) + 1""",
        say="not centred",
    ),
    wrong(
        "wrong 7, no squares",
        "components_needed",
        SINGLE_NEEDED.replace(".square()", ""),
        say="not their squares",
    ),
    wrong(
        "wrong 7, one too few",
        "components_needed",
        SINGLE_NEEDED.replace(" + 1", ""),
        say="one too few",
    ),
    Case("nothing done", E, loses=(*CELLS, "answer"), solved=False),
    Case(
        "text not answered",
        E,
        {**SKIP, "answer": "YOUR ANSWER HERE"},
        (TRAIN, "answer"),
    ),
]
