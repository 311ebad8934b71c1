# %% [markdown]
# # Latent sweep 1. How wide must a denoiser be? Fashion-MNIST
#
# The chapter gives its denoising autoencoder `int(784 * 1.2)` code units, more than an image has pixels, and says why:
# redundancy helps against missing pixels. Is that so? You train denoisers of many widths, score them with the corruption
# **on**, and look for the best one, and for a small one that is good enough.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | 1 | corrupt images | • | 5 | 2 |
# | 2 | a denoiser of a given width, and its loss | • | 8 | 3 |
# | 3 | score it, with the corruption on | •• | 8 | 2 |
# | 4 | train one | •• | 6 | 3 |
# | 5 | which width is best? Two rules | •• | 12 | 3 |
# | 6 | which widths below 784 are good enough? | •• | 6 | 2 |
# | 7 | how redundant are the images? | •• | 8 | 2 |
# | 8 | the answer (text) | ••• | 15 | 6 |
#
# Training takes one to five minutes in all. Under every task stands a check: run it as often as you like. It says what was
# expected, what came, and what the likely cause is. The marks come from further checks, on other images, that you do not see.

# %% [markdown]
# ## What you need, and where you are going
#
# Run the next two cells as they are. `train` and `validation` hold images (N, 1, 28, 28) with values in [0, 1]. Everything is
# **chosen** on the validation images; the test images are for the last number of all. `epochs` is set so that training takes
# about 1,700 steps.

# %%
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from torch import nn

from course_utils import corruption, data, metrics, models, plots, sweeps, training
from course_utils.checks import check

train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
test = data.load_images("FashionMNIST", "test")
PIXELS = 784
epochs = max(4, round(1700 * 128 / len(train)))
print(f"{len(train):,} images for training, {len(validation):,} for validation, {epochs} epochs")

# %% [markdown]
# Below is the wanted figure. Its denoisers were trained beforehand: ten widths, three seeds each, on the full data; their
# errors stand in a table that comes with the course. Two baselines stand beside them. **PCA** sees *clean* images and keeps as
# many numbers as the code has: an easier task. The **affine denoiser** is the best restoration that a linear map with offset
# can make of half an image, at any width.

# %%
corrupted_train = corruption.Dropout(0.5)(train.images)
torch.manual_seed(0)
corrupted_validation = corruption.Dropout(0.5)(validation.images)
affine = metrics.AffineDenoiser(corrupted_train, train.images)
affine_error = metrics.reconstruction_error(affine, validation.images, corrupted_validation)
input_error = metrics.mse(corrupted_validation, validation.images)
pca = metrics.PCABaseline(train.images)
del corrupted_train

wide = sweeps.shipped("FashionMNIST")  # one row for each trained model
means = sweeps.summary(wide).set_index("latent_dim")["mean"]
pca_errors = {k: pca.error(validation.images, k) for k in means.index if k < PIXELS}
plots.sweep_curves({"DAE": wide}, {"PCA of clean images": pca_errors}, {"best affine denoiser": affine_error},
                   f"Wider is better, ever more slowly: {means[128]:.4f} with 128 units, {means[784]:.4f} with 784, {means[1568]:.4f} with 1,568",
                   "Error of restored validation images against the number of code units; the bars, hardly to be seen, are the deviation over seeds.",
                   marks={"pixels of an image": PIXELS, "smallest error": int(means.idxmin())})

# %% [markdown]
# The error falls over the whole range: each doubling brings less than the one before. Your tasks build every part of this
# figure and read it.
#
# ## 1. Corrupt images (•, 2 points)
#
# Each pixel becomes 0 with probability `p`; the others are divided by `1 - p`, so that the mean of a pixel stays what it was.
# `nn.Dropout` does that in training and **nothing** in `eval()`; yours acts whenever it is called, with new noise at each call
# (`torch.rand`, which obeys `torch.manual_seed`). Half of it stands there.

# %% nbgrader={"grade": false, "grade_id": "corrupt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def corrupt(images, p=0.5):
    """images: float32 (N, 1, 28, 28) -> new images of the same shape; the given ones stay as they are."""
    # Fill the blanks: which pixels survive, and what happens to them?
    # survives = torch.rand(images.shape) >= ____
    # return images * survives ____
    ### BEGIN SOLUTION
    survives = torch.rand(images.shape) >= p
    return images * survives / (1 - p)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_corrupt", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
grey = torch.full((500, 1, 28, 28), 0.4)
check("the share of zeros at p = 0.25", lambda: (corrupt(grey, 0.25) == 0).float().mean(), 0.25,
      {"p is the share that is lost, not the share that stays": 0.75, "nothing was zeroed": 0.0}, tolerance=0.03)
check("the mean stays", lambda: corrupt(grey, 0.25).mean(), 0.4, {"the survivors were not divided by 1 - p": 0.3}, tolerance=0.03)
check("two calls give two damages", lambda: torch.equal(corrupt(grey), corrupt(grey)), False, likely="the noise must be drawn anew at each call")
check("the original is untouched", lambda: (corrupt(grey), float(grey.min()))[1], 0.4, {"images was changed in place": 0.0})
### BEGIN HIDDEN TESTS
import sys, course_utils; sys.path.insert(0, course_utils.__path__[0] + "/..")
from grading.judging import hidden
hidden("latent_sweep_fashion_mnist", "check_corrupt", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. A denoiser of a given width, and its loss (•, 3 points)
#
# `make_dae(latent_dim)` returns the chapter's `nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))`; both are in `models`.
# The loss is the mean squared error between what the model makes of **corrupted** images and the **originals**. It has three
# arguments, because the training loop hands over labels too; they are not needed.

# %% nbgrader={"grade": false, "grade_id": "make_dae", "locked": false, "schema_version": 3, "solution": true, "task": false}
def make_dae(latent_dim):
    """-> nn.Sequential(encoder, decoder) with latent_dim code units, not trained."""
    ### BEGIN SOLUTION
    return nn.Sequential(models.Encoder(latent_dim), models.Decoder(latent_dim))
    ### END SOLUTION


def denoising_loss(model, images, labels):
    """images: float32 (N, 1, 28, 28) -> scalar tensor; corrupts by itself, at p = 0.5."""
    ### BEGIN SOLUTION
    reconstructed = model(corrupt(images))
    return ((reconstructed - images) ** 2).mean()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_make_dae", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
some = validation.images[:2000]
check("parameters at width 32", lambda: sum(p.numel() for p in make_dae(32).parameters()),
      sum(p.numel() for p in models.dense_autoencoder(32).parameters()), likely="Encoder and Decoder want the same latent_dim")
check("the code has 32 numbers", lambda: tuple(make_dae(32)[0](some[:5]).shape), (5, 32), likely="make_dae(…)[0] must be the encoder")
grey_model = lambda images: torch.full_like(images, 0.3)  # a "model" that always answers grey
check("the loss of a model that answers grey", lambda: denoising_loss(grey_model, some, None), ((some - 0.3) ** 2).mean(), {
    "the answer was compared with the corrupted images, not with the originals": ((corruption.Dropout()(some) - 0.3) ** 2).mean(),
    "this is a sum, not a mean": ((some - 0.3) ** 2).sum()}, tolerance=0.02)
check("the loss of a model that only copies", lambda: denoising_loss(nn.Identity(), some, None), input_error,
      {"the model was given the originals": 0.0}, likely="the model must see corrupted images", tolerance=0.05)
### BEGIN HIDDEN TESTS
hidden("latent_sweep_fashion_mnist", "check_make_dae", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Score it, with the corruption on (••, 2 points)
#
# A denoiser that is scored on clean images has not been tested. Write the score: corrupt the images **once**, with
# `torch.manual_seed(seed)` before, so that every model is judged on the same damage; let the model, in `eval()` and without
# gradients, restore them; return the mean squared error per pixel against the originals as a Python number.

# %% nbgrader={"grade": false, "grade_id": "denoising_error", "locked": false, "schema_version": 3, "solution": true, "task": false}
def denoising_error(model, images, seed=0):
    """images: float32 (N, 1, 28, 28), clean -> float; the same number whenever it is called with the same seed."""
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    corrupted_imgs = corrupt(images)
    model.eval()
    with torch.no_grad():
        reconstructed = model(corrupted_imgs)
    return float(((reconstructed - images) ** 2).mean())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_denoising_error", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
torch.manual_seed(1)
untrained = models.dense_autoencoder(16)
check("the score of a model that only copies", lambda: denoising_error(nn.Identity(), some), input_error,
      {"the model was scored on clean images": 0.0}, likely="corrupt with corrupt(images)", tolerance=0.05)
check("the same number twice", lambda: denoising_error(untrained, some) == denoising_error(untrained, some), True, likely="torch.manual_seed(seed) first")
check("another seed, another damage", lambda: denoising_error(untrained, some, 0) != denoising_error(untrained, some, 1), True,
      likely="seed is not used, or nothing was corrupted")
check("a plain number", lambda: isinstance(denoising_error(untrained, some), float), True, likely="float(…) makes a number of a tensor")
### BEGIN HIDDEN TESTS
hidden("latent_sweep_fashion_mnist", "check_denoising_error", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Train one (••, 3 points)
#
# Build, train, return. `training.fit(model, images, loss, epochs=…, seed=…)` is the loop that the lessons wrote out. Two things
# decide whether a sweep can be trusted: the model's first weights must depend on `seed` and on nothing that ran before, and no
# model may see the validation images. `checkpoint` is handed on to `fit` as `checkpoint=checkpoint`: an interrupted training
# goes on from that file.

# %% nbgrader={"grade": false, "grade_id": "train_dae", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_dae(images, latent_dim, epochs, seed, checkpoint=None):
    """images: float32 (N, 1, 28, 28) to train on -> the trained nn.Sequential(encoder, decoder)."""
    # torch.manual_seed(____)
    # model = ____
    # training.fit(____)
    # return model
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    model = make_dae(latent_dim)
    training.fit(model, images, denoising_loss, epochs=epochs, seed=seed, checkpoint=checkpoint)
    return model
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_train_dae", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
few = train.images[:2560]
score = lambda *settings: denoising_error(train_dae(few, *settings), some)  # latent_dim, epochs, seed
check("the same seed gives the same model", lambda: score(16, 2, 5) == score(16, 2, 5), True,
      likely="torch.manual_seed(seed) must come before make_dae, and fit needs seed=seed")
check("another seed gives another model", lambda: score(16, 1, 5) != score(16, 1, 6), True,
      likely="seed is not used")
check("training helps", lambda: score(64, 20, 0) < 0.5 * metrics.mse(few.mean(0).expand_as(some), some), True,
      likely="the loss handed to fit is not denoising_loss, or epochs is not handed on")
### BEGIN HIDDEN TESTS
hidden("latent_sweep_fashion_mnist", "check_train_dae", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### Your sweep
#
# Six widths, two seeds, with the functions you wrote. It takes one to five minutes. An interrupted sweep goes on where it was:
# each training keeps its file in the folder `checkpoints` beside this notebook. Before you run it, write down a guess.

# %% tags=["prediction"]
my_guess = 128  # from how many code units on will the denoiser beat the best affine one? 8, 32, 128, 512, 784 or 940

# %% tags=["show"]
my_dims, my_seeds = [8, 32, 128, 512, 784, 940], [0, 1]
kept, rows = {}, []
try:
    for latent_dim in my_dims:
        for seed in my_seeds:
            file = f"checkpoints/sweep_{len(train)}_{latent_dim}_{seed}.ckpt"
            model = train_dae(train.images, latent_dim, epochs, seed, checkpoint=file)
            rows.append({"latent_dim": latent_dim, "seed": seed, "validation_error": denoising_error(model, validation.images)})
            kept[latent_dim] = model
except Exception as error:
    print(f"not yet: {type(error).__name__}: {error}")

mine = pd.DataFrame(rows, columns=["latent_dim", "seed", "validation_error"])
mean_of = mine.groupby("latent_dim")["validation_error"].mean()
first = next((dim for dim, error in mean_of.items() if error < affine_error), None)
print(f"your guess: {my_guess}    first width of yours that beats the affine denoiser: {first}")
mine.pivot(index="latent_dim", columns="seed", values="validation_error").round(4)

# %% tags=["wanted"]
plots.sweep_curves({"DAE, long training": wide, "DAE, your sweep": mine}, {}, {"best affine denoiser": affine_error},
                   "A short sweep has the shape of the long one, and lies above it",
                   f"Error of restored validation images; yours after {epochs} epochs, the long one after {wide['epochs'].max()}. "
                   "The bars are the deviation over seeds.")

# %% [markdown]
# And to the eye? The first picture of each class in the test set, half of its pixels gone, and what is made of it.

# %% tags=["show"]
ten = data.one_of_each(test)
torch.manual_seed(0)
damaged = corruption.Dropout(0.5)(ten.images)
restored = {f"{dim} units": metrics.apply_in_batches(model, damaged) for dim, model in kept.items() if dim in (8, 32, 128, 940)}
plots.image_rows({"original": ten.images, "corrupted": damaged, **restored},
                 "A narrow code restores a typical garment, a wide one restores this garment",
                 "Ten test images, the same with half of the pixels zeroed, and restorations by denoisers of rising width.", columns=ten.class_names)

# %% [markdown]
# With 8 units every shirt becomes the same shirt. From 128 units on the outlines are right; between 128 and 940 units only
# details differ.
#
# ## 5. Which width is best? Two rules (••, 3 points)
#
# *Rule one*: the width with the smallest mean error. *Rule two*: the smallest width whose mean error is at most **one standard
# error** above that smallest mean. The standard error is that of the best width: the deviation over its seeds (with n - 1 in
# the denominator), divided by the root of their number. Rule two asks: which is the smallest that we cannot tell from the best?

# %% nbgrader={"grade": false, "grade_id": "best_dimensions", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_dimensions(table):
    """table: pandas, columns latent_dim, seed, validation_error -> (width by rule one, width by rule two), two int."""
    ### BEGIN SOLUTION
    groups = table.groupby("latent_dim")["validation_error"]
    mean, standard_error = groups.mean(), groups.sem()
    best = mean.idxmin()
    near = mean[mean <= mean[best] + standard_error[best]]
    return int(best), int(near.index.min())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_best_dimensions", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
small = pd.DataFrame([{"latent_dim": dim, "seed": seed, "validation_error": error} for dim, errors in
                         {4: [.50, .52, .54], 8: [.330, .310, .320], 16: [.309, .313, .302], 32: [.290, .315, .304], 64: [.306, .303, .309]}.items()
                         for seed, error in enumerate(errors)])
check("a small table", lambda: tuple(best_dimensions(small)), (32, 16), {
    "rule two wants the smallest width, not the second best": (32, 64), "the deviation was used, not the standard error": (32, 8),
    "the two are to be given in the order (rule one, rule two)": (16, 32), "rule two was forgotten": (32, 32)})
check("the order of the rows does not matter", lambda: tuple(best_dimensions(small.sample(frac=1, random_state=1))), (32, 16))
### BEGIN HIDDEN TESTS
hidden("latent_sweep_fashion_mnist", "check_best_dimensions", globals())
### END HIDDEN TESTS

# %% [markdown]
# Now to the long sweep. With `RECOMPUTE = True` it is computed again, with your model and your corruption, instead of read from
# the table: about an hour on two cores, in pieces, since finished runs are kept in `checkpoints`. The same call runs on all
# cores with `n_jobs=-1`, or on a Dask cluster.

# %%
RECOMPUTE = False
if RECOMPUTE:
    wide = sweeps.latent_sweep(make_dae, sorted(set(wide["latent_dim"])), [0, 1, 2], ["FashionMNIST"], corruptor=corrupt,
                               epochs=int(wide["epochs"].max()), together=256, store="checkpoints/latent_sweep")
sweeps.summary(wide).drop(columns="dataset").set_index("latent_dim").round(5)

# %%
try:
    rule_one, rule_two = best_dimensions(wide)
    print(f"smallest error: {rule_one} units; smallest width within one standard error of it: {rule_two} units")
except Exception as error:
    rule_one = rule_two = None
    print(f"not yet: {type(error).__name__}: {error}")

# %% [markdown]
# Is the answer one of training time? Below stands, beside each error, the error of the same model after half of its epochs. If
# the ranking of the widths is the same at both times, longer training is unlikely to turn it.

# %% tags=["show"]
both = sweeps.summary(wide, "halfway_error").set_index("latent_dim")[["mean"]].rename(columns={"mean": "after half of the epochs"})
both["at the end"] = means
both["rank, half"], both["rank, end"] = both["after half of the epochs"].rank().astype(int), both["at the end"].rank().astype(int)
both.round(5)

# %% [markdown]
# ## 6. Which widths below 784 are good enough? (••, 2 points)
#
# "Successful" needs a measure before one looks. Ours: a denoiser is **successful** when its mean error, plus one standard error
# of that mean, is at least `margin` (a tenth) below that of the best affine denoiser. Return all successful widths below 784,
# smallest first.

# %% nbgrader={"grade": false, "grade_id": "successful_below", "locked": false, "schema_version": 3, "solution": true, "task": false}
def successful_below(table, affine_error, pixels=784, margin=0.1):
    """table: as in task 5 -> list of int, the widths below pixels with mean + standard error < (1 - margin) * affine_error."""
    ### BEGIN SOLUTION
    groups = table.groupby("latent_dim")["validation_error"]
    upper = groups.mean() + groups.sem()
    return sorted(int(dim) for dim, error in upper.items() if dim < pixels and error < (1 - margin) * affine_error)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_successful_below", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("widths below 64 in the small table", lambda: list(successful_below(small, 0.3452, pixels=64)), [32], {
    "the standard error was not added": [16, 32], "the margin was forgotten": [8, 16, 32], "only widths below `pixels` are asked for": [32, 64]})
check("none is successful against a very good baseline", lambda: list(successful_below(small, 0.1)), [])
### BEGIN HIDDEN TESTS
hidden("latent_sweep_fashion_mnist", "check_successful_below", globals())
### END HIDDEN TESTS

# %%
try:
    successful = successful_below(wide, affine_error)
    smallest = successful[0]
    share = means[smallest] / affine_error
    print(f"successful below {PIXELS}: {successful}; the smallest, {smallest} units, has {1 - share:.0%} less error than the best affine denoiser")
except Exception as error:
    successful, smallest = [], None
    print(f"not yet: {type(error).__name__}: {error}")

# %% [markdown]
# ## 7. How redundant are the images? (••, 2 points)
#
# Neighbouring pixels are alike, so 784 numbers say less than 784 numbers could. The **spectrum** says how much less: the
# variances along the principal components. How many components hold a given share of the whole variance? Use
# `torch.linalg.svdvals` of the centred images (the variances are the squares of the singular values, divided by N) or
# `torch.linalg.eigvalsh` of their covariance.

# %% nbgrader={"grade": false, "grade_id": "components_needed", "locked": false, "schema_version": 3, "solution": true, "task": false}
def components_needed(images, share):
    """images: float32 (N, 1, 28, 28), 0 < share < 1 -> int, the smallest number of components that hold at least this share."""
    ### BEGIN SOLUTION
    x = images.flatten(1).double()
    x = x - x.mean(dim=0)
    variances = torch.linalg.eigvalsh(x.T @ x / len(x)).flip(0)  # (784,), largest first
    held = variances.cumsum(0) / variances.sum()
    return int((held < share).sum()) + 1
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_components_needed", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
part = train.images[:3000]
values = torch.linalg.svdvals((part - part.mean(0)).flatten(1).double())
count = lambda v, share: int((v.cumsum(0) / v.sum() < share).sum()) + 1
check("components for 90 % of the variance", lambda: components_needed(part, 0.9), count(values**2, 0.9), {
    "singular values were summed, not their squares": count(values, 0.9),
    "the images were not centred": count(torch.linalg.svdvals(part.flatten(1).double()) ** 2, 0.9),
    "one too few: at least this share is asked for": count(values**2, 0.9) - 1})
check("components for 50 % of the variance", lambda: components_needed(part, 0.5), count(values**2, 0.5))
### BEGIN HIDDEN TESTS
hidden("latent_sweep_fashion_mnist", "check_components_needed", globals())
### END HIDDEN TESTS

# %% tags=["show"]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.errorbar(means.index, means, sweeps.summary(wide)["deviation"], color=plots.colour("DAE"), marker="o", capsize=3)
left.axhline(affine_error, linestyle="--", color=plots.colour("affine"), label="best affine denoiser")
for name, dim, style in (("pixels", PIXELS, ":"), ("smallest successful", smallest, "-.")):
    if dim:
        left.axvline(dim, linestyle=style, color="black", label=f"{dim}: {name}")
ticks = [dim for dim in means.index if dim != 940]  # its label would lie on that of 784
left.set(xscale="log", xlabel="code units", ylabel="error of restored validation images (per pixel)", xticks=ticks, xticklabels=ticks)
left.minorticks_off()
left.tick_params(axis="x", labelrotation=60)
left.legend(framealpha=1, edgecolor="none")
held = np.cumsum(pca.explained_variance_ratio)
right.plot(range(1, PIXELS + 1), 100 * held, color=plots.colour("PCA"))
counts = {share: int((held < share).sum()) + 1 for share in (0.9, 0.95, 0.99)}
for (share, k), marker in zip(counts.items(), "os^"):
    right.plot(k, 100 * share, marker, color=plots.colour("PCA"), label=f"{k} components hold {share:.0%}")
right.set(xscale="log", xlabel="principal components", ylabel="variance held (%)")
right.legend(frameon=False)
plots.finish(fig, f"{counts[0.95]} directions hold 95 % of what varies in 784 pixels: a code below 784 loses little",
             "Left: error of the denoisers against their width. Right: share of the variance of the training images that the leading components hold.")

# %% [markdown]
# ## 8. The answer (•••, text, 6 points)
#
# In ten to fifteen sentences, with figures from your runs and from the table:
#
# 1. Which width is best by each rule? Is it an optimum, or merely the end of the range? What does the half-time column say
#    about it?
# 2. Did you find a successful denoiser with fewer than 784 code units? By which measure, and by how much?
# 3. Explain why so few can do: what does redundancy mean here, and which figures show it? Why does going on beyond 784 still
#    help a little?
#
# *How it is marked.* Two points for 1: both rules with widths and errors (1); the error is still falling at the widest model,
# so the range and not the data set the answer, and the ranking did not change with training time (1). Two points for 2: a width
# below 784 with its error beside that of a *baseline scored with the corruption on* (1), the measure named before its use, with
# the seeds' spread (1). Two points for 3: the spectrum, or another figure for how many directions the images use, tied to the
# width that suffices (1); what extra units are good for when half of the pixels are missing: several units see each pattern
# through different pixels, so that some still see it (1). A score with the corruption off gets no points under 2.

# %% [markdown] nbgrader={"grade": true, "grade_id": "answer", "locked": false, "points": 6, "schema_version": 3, "solution": true, "task": false}
# Model answer. The smallest mean error, 0.0107, is that of the widest model, 1,568 units, and no narrower one comes within a
# standard error of it: both rules name 1,568. That is the end of the range and no optimum. The error falls at every step, but
# ever more slowly: 0.0150 with 128 units, 0.0114 with 784, 0.0112 with 940. The ranking of the widths is the same after half of
# the epochs, although every error was then 5 to 8 % larger, so more training would lower the curve and not turn it. Nothing in
# particular happens at 784.
#
# A successful denoiser below 784: I had fixed the measure before, mean error plus one standard error at least a tenth below the
# best affine denoiser, all scored on the same validation images with half of the pixels gone. The affine one reaches 0.0174,
# the corrupted input itself 0.21. With 128 units, a sixth of 784, the error is 0.0150, about 14 % below the affine one; the
# seeds differ by about 0.0001. So yes: 128, 256 and 512 all succeed. 64 units draw level with the affine denoiser, no more.
#
# Why so few? The 784 pixels of a garment are not 784 independent facts: neighbours are alike and garments have few shapes. 84
# principal components hold 90 % of the variance and 187 hold 95 %. Redundancy *of the data* is what lets a small code do: it
# needs room for the strong directions only, and since half of the pixels are missing, the weak ones could not be restored by
# any width. It is also what makes denoising possible at all: a missing pixel is told by those that remain. Redundancy *of the
# code*, the chapter's 1.2 times 784, helps in another way: when half of the pixels are gone, a unit's sum is noisy; many units
# that see the same pattern through different pixels average that noise, and more ReLU units make a finer nonlinear map. That
# gain is real but small: 6 % from 784 to 1,568, which doubles the weights.

# %% [markdown]
# ## The last number
#
# Everything above was chosen on validation images. The test images are used once, for the widths we chose.

# %%
final = sweeps.summary(wide, "test_error").set_index("latent_dim")
for name, dim in {"rule one": rule_one, "rule two": rule_two, "smallest successful": smallest}.items():
    if dim:
        print(f"{name + ',':20} {dim:5} units: test error {final['mean'][dim]:.4f} ± {final['deviation'][dim]:.4f}, "
              f"{metrics.psnr(final['mean'][dim]):.1f} dB; the corrupted input {metrics.psnr(input_error):.1f} dB")

# %% [markdown]
# ## What you have done
#
# You built a denoiser's sweep from its parts, scored it with the corruption on, chose by a rule that you can defend, and tied
# the answer to how the images are made. *Latent sweep 2* asks the same of MNIST, and begins with a prediction.
