# %% [markdown]
# # Latent sweep 1. How wide must a denoiser be? Fashion-MNIST
#
# The chapter gives its denoising autoencoder `int(784 * 1.2)` code units, more than an
# image has pixels, and says why: redundancy helps against missing pixels. Is that so?
# You train denoisers of many widths, score them with the corruption **on**, and look
# for the best one, and for a small one that is good enough.
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
# Training takes one to five minutes in all. Under every task in code stands a check:
# run it as often as you like. It says what was expected, what came, and what the likely
# cause is. Your marks come from the same questions, asked with other inputs.

# %% [markdown]
# ## What you need, and where you are going
#
# Run the next two cells as they are. `train` and `validation` hold images (N, 1, 28,
# 28) with values in [0, 1]. Everything is **chosen** on the validation images; of the
# test images ten are shown, and all are scored once, for the last number. `epochs` is
# set so that training takes about 1,700 steps.

# %%
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from torch import nn

from course_utils import corruption, data, metrics, models, plots, sweeps, training
from course_utils.checks import Checks

check = Checks("latent_sweep_fashion_mnist")
train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
test = data.load_images("FashionMNIST", "test")
PIXELS = 784
epochs = max(4, round(1700 * 128 / len(train)))
print(f"{len(train):,} images for training, {len(validation):,} for validation")
print(f"{epochs} epochs")

# %% [markdown]
# Below is the long sweep that yours will stand beside. Its denoisers were trained
# beforehand: ten widths, three
# seeds each, 36 epochs on the full data; their errors stand in a table that comes with
# the course. Two baselines stand beside them. **PCA** sees *clean* images and keeps as
# many numbers as the code has: an easier task. The **affine denoiser** is the best
# restoration that a linear map with offset can make of half an image, at any width.

# %%
corrupted_train = corruption.Dropout(0.5)(train.images)
torch.manual_seed(0)
corrupted_validation = corruption.Dropout(0.5)(validation.images)
affine = metrics.AffineDenoiser(corrupted_train, train.images)
affine_error = metrics.reconstruction_error(
    affine, validation.images, corrupted_validation
)
input_error = metrics.mse(corrupted_validation, validation.images)
pca = metrics.PCABaseline(train.images)
del corrupted_train

wide = sweeps.shipped("FashionMNIST")  # one row for each trained model
means = sweeps.summary(wide).set_index("latent_dim")["mean"]
pca_errors = {k: pca.error(validation.images, k) for k in means.index if k < PIXELS}
title = f"Wider is better, ever more slowly: {means[128]:.4f} with 128 units, "
title += f"{means[784]:.4f} with 784, {means[1568]:.4f} with 1,568"
plots.sweep_curves(
    {"DAE": wide},
    {"PCA of clean images": pca_errors},
    {"best affine denoiser": affine_error},
    marks={"pixels of an image": PIXELS, "smallest error": int(means.idxmin())},
    title=title,
    caption="Error of restored validation images against the number of code units; "
    "the bars, to be seen on the narrowest codes only, are the deviation over seeds.",
)

# %% [markdown]
# The error falls over the whole range; from 32 units on each doubling brings less than
# the one before. Your tasks build every part of this figure and read it.
#
# ## 1. Corrupt images (•, 2 points)
#
# Each pixel becomes 0 with probability `p`; the others are divided by `1 - p`, so that
# the mean of a pixel stays what it was. `nn.Dropout` does that in training and
# **nothing** in `eval()`; yours acts whenever it is called, with new noise at each call
# (`torch.rand`, which obeys `torch.manual_seed`). Half of it stands there.
#
# <details><summary>A nudge</summary>
#
# `torch.rand` gives numbers that lie evenly between 0 and 1: which share of them is at
# least 0.25?
# </details>
# <details><summary>A push</summary>
#
# `survives` is a tensor of True and False of the shape of `images`. A product with it
# zeroes what does not survive, and makes a new tensor; what is left to do is one
# division.
# </details>


# %% answer="corrupt"
def corrupt(images, p=0.5):
    """images: float32 (N, 1, 28, 28) -> new images of the same shape; the given ones
    stay as they are."""
    # Fill the blanks: which pixels survive, and what happens to them?
    # survives = torch.rand(images.shape, device=images.device) >= ____
    # return images * survives ____
    ### BEGIN SOLUTION
    survives = torch.rand(images.shape, device=images.device) >= p
    return images * survives / (1 - p)
    ### END SOLUTION


# %% check="corrupt"
check("corrupt", corrupt)

# %% [markdown]
# ## 2. A denoiser of a given width, and its loss (•, 3 points)
#
# `make_dae(latent_dim)` returns the chapter's `nn.Sequential(Encoder(latent_dim),
# Decoder(latent_dim))`; both are in `models`. Lesson 1 explains them.
#
# <details><summary>A nudge</summary>
#
# `models.Encoder?` shows what it wants. Encoder and decoder must agree on the width of
# the code.
# </details>


# %% answer="make_dae"
def make_dae(latent_dim):
    """-> nn.Sequential(encoder, decoder) with latent_dim code units, not trained."""
    ### BEGIN SOLUTION
    return nn.Sequential(models.Encoder(latent_dim), models.Decoder(latent_dim))
    ### END SOLUTION


# %% check="make_dae"
check("make_dae", make_dae)

# %% [markdown]
# The loss is the mean squared error between what the model makes of **corrupted**
# images and the **originals**. It corrupts by itself, with your `corrupt`. A training
# follows its gradient, so what comes back must be a tensor through which a gradient
# flows to the model's weights. It has three arguments, because the training loop hands
# over labels too; they are not needed.
#
# <details><summary>A nudge</summary>
#
# Which of the two, corrupted or original, goes into the model, and which stands on the
# other side of the minus sign?
# </details>
# <details><summary>A push</summary>
#
# The difference of two batches of images has 784 numbers for each image; the mean of
# their squares runs over all of them. No `no_grad`, no `detach`, no `.item()`: the loop
# needs the gradient.
# </details>


# %% answer="denoising_loss"
def denoising_loss(model, images, labels):
    """images: float32 (N, 1, 28, 28) -> scalar tensor; corrupts them, at p = 0.5."""
    ### BEGIN SOLUTION
    reconstructed = model(corrupt(images))
    return ((reconstructed - images) ** 2).mean()
    ### END SOLUTION


# %% check="denoising_loss"
check("denoising_loss", denoising_loss)

# %% [markdown]
# ## 3. Score it, with the corruption on (••, 2 points)
#
# A denoiser that is scored on clean images has not been tested. Write the score:
# corrupt the images **once**, with `torch.manual_seed(seed)` before, so that every
# model is judged on the same damage; let the model, in `eval()` and without gradients,
# restore them; return the mean squared error per pixel against the originals as a
# Python number.
#
# <details><summary>A nudge</summary>
#
# In which order: the seed, the damage, eval mode, the restoration, the comparison?
# </details>
# <details><summary>A push</summary>
#
# `torch.manual_seed` fixes the numbers that are drawn *next*. So it has to stand right
# before the one thing here that draws numbers.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# torch.manual_seed(…)
# corrupted_imgs = …
# model.…
# with torch.…:  # no gradients
#     reconstructed = model(…)
# ```
# </details>


# %% answer="denoising_error"
def denoising_error(model, images, seed=0):
    """images: float32 (N, 1, 28, 28), clean -> float; the same number whenever it is
    called with the same seed."""
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    corrupted_imgs = corrupt(images)
    model.eval()
    with torch.no_grad():
        reconstructed = model(corrupted_imgs)
    return float(((reconstructed - images) ** 2).mean())
    ### END SOLUTION


# %% check="denoising_error"
check("denoising_error", denoising_error)

# %% [markdown]
# ## 4. Train one (••, 3 points)
#
# Build, train, return. `training.fit(model, images, loss, epochs=…, seed=…)` is the
# loop that the lessons wrote out. Two things decide whether a sweep can be trusted: the
# model's first weights must depend on `seed` and on nothing that ran before, and no
# model may see the validation images. `checkpoint` is handed on to `fit` as
# `checkpoint=checkpoint`: an interrupted training goes on from that file.
#
# <details><summary>A nudge</summary>
#
# The first weights are drawn while the model is made. What must stand before that?
# </details>
# <details><summary>A push</summary>
#
# `fit` takes the model, the images and *your* loss; epochs, seed and checkpoint go by
# name. It changes the model in place.
# </details>


# %% answer="train_dae"
def train_dae(images, latent_dim, epochs, seed, checkpoint=None):
    """images: float32 (N, 1, 28, 28) to train on -> the trained model,
    nn.Sequential(encoder, decoder)."""
    # torch.manual_seed(____)
    # model = ____
    # training.fit(____)
    # return model
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    model = make_dae(latent_dim)
    settings = {"epochs": epochs, "seed": seed, "checkpoint": checkpoint}
    training.fit(model, images, denoising_loss, **settings)
    return model
    ### END SOLUTION


# %% [markdown]
# The check trains once on mixtures of two pictures, and three times on a few of them.
# It takes some seconds.

# %% check="train_dae"
check("train_dae", train_dae)

# %% [markdown]
# ### Your sweep
#
# Four widths, two seeds, with the functions you wrote. It takes one to three minutes.
# An interrupted sweep goes on where it was: each training keeps its file in the folder
# `checkpoints` beside this notebook. Before you run it, write down a guess.

# %% tags=["prediction"]
# from how many code units on will it beat the best affine denoiser?
my_guess = 940  # or 8, 32, 128

# %% tags=["show"]
my_dims, my_seeds = [8, 32, 128, 940], [0, 1]
kept, rows = {}, []
try:
    for latent_dim in my_dims:
        for seed in my_seeds:
            file = f"checkpoints/sweep_{len(train)}_{latent_dim}_{seed}.ckpt"
            model = train_dae(train.images, latent_dim, epochs, seed, checkpoint=file)
            error = denoising_error(model, validation.images)
            row = {"latent_dim": latent_dim, "seed": seed, "validation_error": error}
            rows.append(row)
            kept[latent_dim] = model
except Exception as error:
    print(f"not yet: {type(error).__name__}: {error}")

mine = pd.DataFrame(rows, columns=["latent_dim", "seed", "validation_error"])
mean_of = mine.groupby("latent_dim")["validation_error"].mean()
first = next((dim for dim, error in mean_of.items() if error < affine_error), None)
print(f"your guess: {my_guess}")
print(f"first width of yours that beats the affine denoiser: {first}")
mine.pivot(index="latent_dim", columns="seed", values="validation_error").round(4)

# %% tags=["wanted"]
short = f"{mean_of[940]:.4f} after {epochs} epochs" if 940 in mean_of else "not yet"
plots.sweep_curves(
    {"DAE, long training": wide, "DAE, your sweep": mine},
    {},
    {"best affine denoiser": affine_error},
    title=f"Wide codes take long to train: with 940 units {short}, "
    f"{means[940]:.4f} after {wide['epochs'].max()}",
    caption="Error of restored validation images; "
    f"yours after {epochs} epochs, the long one after {wide['epochs'].max()}. "
    "The bars are the deviation over seeds.",
)

# %% [markdown]
# And to the eye? The first picture of each class in the test set, half of its pixels
# gone, and what is made of it.

# %% tags=["show"]
ten = data.one_of_each(test)
torch.manual_seed(0)
damaged = corruption.Dropout(0.5)(ten.images)
rows = {"original": ten.images, "corrupted": damaged}
for dim, model in kept.items():
    if dim in (8, 32, 128, 940):
        rows[f"{dim} units"] = metrics.apply_in_batches(model, damaged)
plots.image_rows(
    rows,
    title="The narrower the code, the less of this very garment comes back",
    caption="Ten test images, the same with half of the pixels zeroed, "
    "and restorations by denoisers of rising width.",
    columns=ten.class_names,
)

# %% [markdown]
# With 8 units brightness and a rough outline are left: the shirt becomes a blot, the
# sandal a mixture of garments. From 128 units on the outlines are
# right; between 128 and 940 units only details differ.
#
# ## 5. Which width is best? Two rules (••, 3 points)
#
# *Rule one*: the width with the smallest mean error. *Rule two*: the smallest width
# whose mean error is at most **one standard error** above that smallest mean. The
# standard error is that of the best width: the deviation over its seeds (with n - 1 in
# the denominator), divided by the root of their number. Rule two asks: which is the
# smallest that we cannot tell from the best?
#
# The next cell makes a small table. For it the answer is `(32, 16)`: 32 has the
# smallest mean, and 16 is the smallest width whose mean lies within one standard error
# of that.

# %%
small_errors = {
    4: [0.50, 0.52, 0.54],
    8: [0.330, 0.310, 0.320],
    16: [0.309, 0.313, 0.302],
    32: [0.290, 0.315, 0.304],
    64: [0.306, 0.303, 0.309],
}
small = pd.DataFrame(small_errors).melt(
    var_name="latent_dim", value_name="validation_error"
)
small["seed"] = small.groupby("latent_dim").cumcount()
small.groupby("latent_dim")["validation_error"].agg(["mean", "std", "count"]).round(4)

# %% [markdown]
# <details><summary>A nudge</summary>
#
# `table.groupby("latent_dim")["validation_error"]` holds the errors of each width.
# Which of its methods gives one number for each width?
# </details>
# <details><summary>A push</summary>
#
# `mean.idxmin()` is the width with the smallest mean. pandas has the standard error,
# too; `groups.std?` and `groups.sem?` tell which is which.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# mean, standard_error = groups.mean(), …
# best = mean.…
# near = mean[mean <= … + …]  # the widths that cannot be told from the best
# ```
# </details>


# %% answer="best_dimensions"
def best_dimensions(table):
    """table: pandas, columns latent_dim, seed, validation_error, rows in any order
    -> (width by rule one, width by rule two), two int."""
    ### BEGIN SOLUTION
    groups = table.groupby("latent_dim")["validation_error"]
    mean, standard_error = groups.mean(), groups.sem()
    best = mean.idxmin()
    near = mean[mean <= mean[best] + standard_error[best]]
    return int(best), int(near.index.min())
    ### END SOLUTION


# %% check="best_dimensions"
check("best_dimensions", best_dimensions)

# %% [markdown]
# Now to the long sweep. With `RECOMPUTE = True` it is computed again, with your model
# and your corruption, instead of read from the table: about two hours on two cores, in
# pieces, since finished runs are kept in `checkpoints`. The same call runs on all cores
# with `n_jobs=-1`, or on a Dask cluster.

# %%
RECOMPUTE = False
if RECOMPUTE:
    wide = sweeps.latent_sweep(
        make_dae,
        sorted(set(wide["latent_dim"])),
        [0, 1, 2],
        ["FashionMNIST"],
        corruptor=corrupt,
        epochs=int(wide["epochs"].max()),
        lr=float(wide["lr"].max()),
        together=256,
        store="checkpoints/latent_sweep",
    )
sweeps.summary(wide).drop(columns="dataset").set_index("latent_dim").round(5)

# %%
errors_only = wide[["latent_dim", "seed", "validation_error"]]
try:
    rule_one, rule_two = best_dimensions(errors_only)
    print(f"smallest error: {rule_one} units")
    print(f"smallest width within one standard error of it: {rule_two} units")
except Exception as error:
    rule_one = rule_two = None
    print(f"not yet: {type(error).__name__}: {error}")

# %% [markdown]
# ## 6. Which widths below 784 are good enough? (••, 2 points)
#
# "Successful" needs a measure before one looks. Ours: a denoiser is **successful** when
# its mean error, plus one standard error of that mean, is at least `margin` (a tenth)
# below that of the best affine denoiser. Return all successful widths below 784,
# smallest first. For the small table, with an affine error of 0.3452 and `pixels=64`,
# that is `[32]`.
#
# <details><summary>A nudge</summary>
#
# One number for each width decides: what is it, and what must it stay below?
# </details>
# <details><summary>A push</summary>
#
# `groups.mean() + groups.sem()` would be that number; `.items()` gives pairs of width
# and number. Two conditions have to hold for a width.
# </details>


# %% answer="successful_below"
def successful_below(table, affine_error, pixels=784, margin=0.1):
    """table: as in task 5 -> list of int, the widths below pixels whose mean + standard
    error is below (1 - margin) * affine_error."""
    ### BEGIN SOLUTION
    groups = table.groupby("latent_dim")["validation_error"]
    upper, limit = groups.mean() + groups.sem(), (1 - margin) * affine_error
    good = upper[upper < limit].index
    return sorted(int(dim) for dim in good if dim < pixels)
    ### END SOLUTION


# %% check="successful_below"
check("successful_below", successful_below)

# %%
try:
    successful = successful_below(errors_only, affine_error)
    smallest = successful[0]
    less = 1 - means[smallest] / affine_error
    print(f"successful below {PIXELS}: {successful}")
    print(f"{smallest} units: {less:.0%} less error than the best affine denoiser")
except Exception as error:
    successful, smallest = [], None
    print(f"not yet: {type(error).__name__}: {error}")

# %% [markdown]
# ### Is the answer one of training time?
#
# How long is long enough? The course brings the same sweep once more, stopped early: 12
# epochs, three seeds, with half the learning rate. (In both the rate falls along a
# cosine to zero at the end.) Your own sweep is a third budget. Which answers of tasks 5
# and 6 would you have given after the shorter ones?

# %% tags=["prediction"]
my_smallest = 256  # your guess: the smallest successful width after 12 epochs

# %% tags=["show"]
shorter = sweeps.shipped("FashionMNIST", epochs=12)
both = pd.DataFrame()
for n, table in {12: shorter, 36: wide}.items():
    groups = table.groupby("latent_dim")
    both[f"{n} epochs"] = groups["validation_error"].mean()
    both[f"rank, {n}"] = both[f"{n} epochs"].rank().astype(int)
    counts = groups["dead_units"].apply(lambda dead: list(dead.dropna().astype(int)))
    both[f"dead units, {n}"] = counts
both["on training images, 36"] = wide.groupby("latent_dim")["train_error"].mean()
both.round(5)

# %% [markdown]
# (Dead units were counted for two of the three seeds.) The three budgets in one figure:

# %% tags=["show"]
budgets = {
    f"DAE, your sweep, {epochs} epochs": mine,
    "DAE, 12 epochs": shorter,
    "DAE, 36 epochs": wide,
}
begins = []
for table in budgets.values():
    groups = table.groupby("latent_dim")["validation_error"]
    upper = groups.mean() + groups.sem()
    begins.append(min(upper.index[upper < 0.9 * affine_error], default="no"))
print(f"your guess: {my_smallest} units    measured: {begins[1]}")
plots.sweep_curves(
    budgets,
    {},
    {"best affine denoiser": affine_error},
    title="What you conclude depends on the training: the first success among its "
    f"widths is {begins[0]} after {epochs} epochs, {begins[1]} after 12, "
    f"{begins[2]} after 36",
    caption="Error of restored validation images against the number of code units, "
    "after three trainings that differ in length and learning rate; yours has fewer "
    "widths than the other two.",
)

# %% [markdown]
# ## 7. How redundant are the images? (••, 2 points)
#
# Neighbouring pixels are alike, so 784 numbers say less than 784 numbers could. The
# **spectrum** says how much less: the variances along the principal components. How
# many components hold a given share of the whole variance? Use `torch.linalg.svdvals`
# of the centred images (the variances are the squares of the singular values, divided
# by N) or `torch.linalg.eigvalsh` of their covariance.
#
# <details><summary>A nudge</summary>
#
# Centre over the images, one mean for each pixel. Then: in which order do `svdvals` and
# `eigvalsh` return their numbers?
# </details>
# <details><summary>A push</summary>
#
# `cumsum` of the variances, largest first, over their sum: the share held by 1, 2, 3, …
# components. How many of these shares lie below `share`?
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# x = images.flatten(1)…
# variances = …  # (784,), largest first
# held = variances.… / …
# ```
# </details>


# %% answer="components_needed"
def components_needed(images, share):
    """images: float32 (N, 1, 28, 28), 0 < share < 1 -> int, the smallest number of
    components that hold at least this share."""
    ### BEGIN SOLUTION
    x = images.flatten(1).double()
    x = x - x.mean(dim=0)
    variances = torch.linalg.eigvalsh(x.T @ x / len(x)).flip(0)  # (784,), largest first
    held = variances.cumsum(0) / variances.sum()
    return int((held < share).sum()) + 1
    ### END SOLUTION


# %% check="components_needed"
check("components_needed", components_needed)

# %% tags=["show"]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
deviation = sweeps.summary(wide)["deviation"]
look = {"color": plots.colour("DAE"), "marker": "o", "capsize": 3}
left.errorbar(means.index, means, deviation, **look)
look = {"color": plots.colour("affine"), "label": "best affine denoiser"}
left.axhline(affine_error, linestyle="--", **look)
marks = {":": ("pixels", PIXELS), "-.": ("smallest successful", smallest)}
for style, (name, dim) in marks.items():
    if dim:
        left.axvline(dim, linestyle=style, color="black", label=f"{dim}: {name}")
ticks = [dim for dim in means.index if dim != 940]  # its label would lie on that of 784
left.set(xscale="log", xticks=ticks, xticklabels=ticks)
left.set(xlabel="code units", ylabel="error per pixel, restored images")
left.minorticks_off()
left.tick_params(axis="x", labelrotation=60)
left.legend(framealpha=1, edgecolor="none")

held = np.cumsum(pca.explained_variance_ratio)
right.plot(range(1, PIXELS + 1), 100 * held, color=plots.colour("PCA"))
counts = {share: int((held < share).sum()) + 1 for share in (0.9, 0.95, 0.99)}
for (share, k), marker in zip(counts.items(), "os^"):
    look = {"color": plots.colour("PCA"), "label": f"{k} components hold {share:.0%}"}
    right.plot(k, 100 * share, marker, **look)
right.set(xscale="log", xlabel="principal components", ylabel="variance held (%)")
right.legend(frameon=False)
plots.finish(
    fig,
    title=f"{counts[0.95]} directions hold 95 % of what varies in 784 pixels: "
    "a code below 784 loses little",
    caption="Left: error of the denoisers against their width. Right: share of the "
    "variance of the training images that the leading components hold.",
)

# %% [markdown]
# ## 8. The answer (•••, text, 6 points)
#
# In fifteen to twenty-five sentences, with figures from your runs and from the table:
#
# 1. Which width is best by each rule? Is it an optimum, or merely the end of the range?
#    What would you have said after a third of the epochs, and what not?
# 2. Did you find a successful denoiser with fewer than 784 code units? By which
#    measure, and by how much?
# 3. Explain why so few can do: what does redundancy mean here, and which figures show
#    it? Why does going on beyond 784 still help a little?
#
# *How it is marked.* Two points for 1: both rules are applied, with widths and errors;
# what the end of the range and the longer training allow one to say is said, and no
# more. Two points for 2: an error stands beside that of a baseline that was scored like
# it; the measure was named before its use, and the spread over seeds stands with it.
# Two points for 3: a figure for how many directions the images use is tied to the width
# that suffices; the answer says what extra units are good for when half of the pixels
# are missing, and by what mechanism. A score with the corruption off gets no points
# under 2.

# %% [markdown] text="answer" points=6
# Model answer. The smallest mean error, 0.0099, is that of the widest model, 1,568
# units, and no narrower one comes within a standard error of it: both rules name 1,568.
# That is the end of the range and no optimum. The error falls at every step, but ever
# more slowly: 0.0137 with 128 units, 0.0102 with 784, 0.0101 with 940. Nothing in
# particular happens at 784. After a third of the epochs I would have said the same: the
# answers of both rules are those of 12 epochs, and so is the ranking of the widths;
# from 32 units on only the errors were larger. From 128 units on the longer training
# takes 8 to 11 % off, so the values may fall further still. Narrow codes are another
# matter. With 8 and 16 units the longer training, at twice the rate, ended 13 and 16 %
# *worse*, and with 16 units the seeds lie between 0.025 and 0.036. There, of the two
# seeds in which they were counted, 12 and 8 of the 16 units are dead: a narrow code has
# none to spare, while 1,568 units do well without 290. The fall will end, too: the
# widest model's error is 8 % larger on validation than on training images, and up to 64
# units there is no such gap. Wider models have begun to remember.
#
# A successful denoiser below 784: I had fixed the measure before, mean error plus one
# standard error at least a tenth below the best affine denoiser, all scored on the same
# validation images with half of the pixels gone. The affine one reaches 0.0174, the
# corrupted input itself 0.21. With 128 units, a sixth of 784, the error is 0.0137,
# about 21 % below the affine one; the seeds differ by about 0.0001. So yes: 128, 256
# and 512 all succeed. 64 units are better than the affine denoiser, but only by a
# twentieth (0.0165). That 128 is the first to succeed was so after 12 epochs already
# (0.0150), and it stays so with four times the training: 64 units come to 0.0157 in 144
# epochs, three seeds, and miss the limit by a hair.
#
# Why so few? The 784 pixels of a garment are not 784 independent facts: neighbours are
# alike and garments have few shapes. 84 principal components hold 90 % of the variance
# and 187 hold 95 %. Redundancy *of the data* is what lets a small code do: it needs
# room for the strong directions only, and since half of the pixels are missing, the
# weak ones could hardly be restored. It is also what makes denoising possible
# at all: a missing pixel is told by those that remain. Redundancy *of the code*, the
# chapter's 1.2 times 784, helps in another way: when half of the pixels are gone, a
# unit's sum is noisy; many units that see the same pattern through different pixels
# average that noise, and more ReLU units make a finer nonlinear map. That gain is real
# but small: 3 % from 784 to 1,568, which doubles the weights.

# %% [markdown]
# ## The last number
#
# Everything above was chosen on validation images. The test images are scored once,
# here, for the widths we chose.

# %%
final = sweeps.summary(wide, "test_error").set_index("latent_dim")
chosen = {"rule one": rule_one, "rule two": rule_two, "smallest successful": smallest}
rows = {}
for name, dim in chosen.items():
    if dim:
        error, deviation = final["mean"][dim], final["deviation"][dim]
        rows[name] = {
            "units": dim,
            "test error": error,
            "deviation over seeds": deviation,
        }
        rows[name]["dB"] = metrics.psnr(error)
last = pd.DataFrame.from_dict(rows, orient="index")
print(f"the corrupted input: {metrics.psnr(input_error):.1f} dB")
last.round({"test error": 4, "deviation over seeds": 4, "dB": 1})

# %% [markdown]
# ## What you have done
#
# You built a denoiser's sweep from its parts, scored it with the corruption on, chose
# by a rule that you can defend, and tied the answer to how the images are made. *Latent
# sweep 2* asks the same of MNIST, and begins with a prediction. The last cell asks all
# questions once more and adds up.

# %% tags=["closing"]
check.all(globals())
