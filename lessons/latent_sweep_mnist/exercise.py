# %% [markdown]
# # Latent sweep 2. Predict, then measure: MNIST against Fashion-MNIST
#
# The two data sets agree in everything but their content: image size, number of images,
# ten classes. The chapter asks what a sweep says about the difference between them.
# Here you say first what it **will** say, from the spectra alone; then you measure;
# then you explain where the two part. *Latent sweep 1* should be done: what it taught
# is used, not asked for again.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | 1 | the error of PCA at every width, from the spectrum | •• | 10 | 3 |
# | 2 | where do two curves cross? | •• | 10 | 3 |
# | 3 | your prediction (text) | • | 8 | 2 |
# | 4 | measure MNIST | •• | 12 | 3 |
# | 5 | is a difference more than noise? | •• | 8 | 2 |
# | 6 | where prediction and measurement part (text) | ••• | 20 | 7 |
#
# Training takes one to five minutes in all. Under every task in code stands a check:
# run it as often as you like. It says what was expected, what came, and what the likely
# cause is. Your marks come from the same questions, asked with other inputs.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1]. Everything is
# chosen on validation images.

# %%
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt

from course_utils import corruption, data, metrics, models, plots, sweeps
from course_utils.checks import Checks

check = Checks("latent_sweep_mnist")
NAMES = ["FashionMNIST", "MNIST"]
train = {name: data.load_images(name, "train") for name in NAMES}
validation = {name: data.load_images(name, "validation") for name in NAMES}
test = {name: data.load_images(name, "test") for name in NAMES}
PIXELS = 784
epochs = max(4, round(1700 * 128 / len(train["MNIST"])))
sizes = {
    name: {"training": len(train[name]), "validation": len(validation[name])}
    for name in NAMES
}
print(f"{epochs} epochs")
pd.DataFrame(sizes).T

# %% [markdown]
# This is what you will predict from: the variance of each data set along each of its
# principal components, and, at the right, an image of each of nine classes.
# MNIST's spectrum starts lower and falls later; both fall over several powers of ten.

# %%
spectra = {}  # name -> variances along the principal components, largest first, (784,)
for name in NAMES:
    total = train[name].images.flatten(1).var(0, correction=0).sum()
    shares = metrics.PCABaseline(train[name].images).explained_variance_ratio
    spectra[name] = total * torch.from_numpy(shares)

styles = {
    "FashionMNIST": {"color": plots.PALETTE["chapter"], "linestyle": "-"},
    "MNIST": {"color": plots.PALETTE["cured"], "linestyle": "--"},
}
fig, axes = plt.subplots(
    1, 3, figsize=(10, 3.6), width_ratios=[2, 1, 1], layout="constrained"
)
for name in NAMES:
    label = f"{name}, {float(spectra[name].sum()):.0f} in all"
    axes[0].plot(range(1, 513), spectra[name][:512], **styles[name], label=label)
axes[0].set(xscale="log", yscale="log", xlabel="principal component")
axes[0].set(ylabel="variance along it (pixel values squared)")
axes[0].legend(frameon=False)
for ax, name in zip(axes[1:], NAMES):
    nine = data.one_of_each(test[name]).images[:9].reshape(3, 3, 28, 28)
    nine = nine.permute(0, 2, 1, 3).reshape(84, 84)
    ax.imshow(nine, cmap="gray", interpolation="nearest")
    ax.set(title=name, xticks=[], yticks=[])

first_ten = {
    name: float(all_[:10].sum() / all_.sum()) for name, all_ in spectra.items()
}
plots.finish(
    fig,
    title=f"Ten components hold {first_ten['FashionMNIST']:.0%} of the variance of "
    f"Fashion-MNIST and {first_ten['MNIST']:.0%} of MNIST's",
    caption="Left: variance along each principal component of the training images. "
    "Right: nine images of each data set.",
)

# %% [markdown]
# ## 1. The error of PCA at every width, from the spectrum (••, 3 points)
#
# PCA with `k` components drops all others, so its error per image is the sum of the
# variances that are dropped. Write the curve: the mean squared error **per pixel** with
# k = 0, 1, …, 784 components, 785 numbers. At `k = 0` only the mean image is left; with
# all components nothing is lost. Of the variances 6, 3 and 1 and two pixels it makes 5,
# 2, 0.5, 0.
#
# <details><summary>A nudge</summary>
#
# How much is dropped when all components but the last are kept? And when all but the
# last two are? The curve is built from its small end.
# </details>
# <details><summary>A push</summary>
#
# `variances.flip(0).cumsum(0)` sums from the small end. That leaves it in the wrong
# order, and without the place where nothing is dropped.
# </details>


# %% answer="pca_curve"
def pca_curve(variances, pixels=784):
    """variances: float (n,), largest first -> float tensor (n + 1,): the errors per
    pixel with 0, 1, ..., n components."""
    # Fill the blanks: what is dropped with k components, for all k at once?
    # dropped = torch.cat([____, torch.zeros(1)])
    # return ____
    ### BEGIN SOLUTION
    from_the_small_end = variances.flip(0).cumsum(0)
    dropped = torch.cat([from_the_small_end.flip(0), torch.zeros(1)])
    return dropped / pixels
    ### END SOLUTION


# %% check="pca_curve"
check("pca_curve", pca_curve)

# %% [markdown]
# ## 2. Where do two curves cross? (••, 3 points)
#
# Two curves are given at the same widths. Return the two neighbouring widths between
# which their order changes, as a pair, for the **first** such place; return `None` if
# one curve lies above the other throughout. Equal values do not count as an order: look
# at the next width then. For instance:
#
# | widths | first | second | answer |
# |---|---|---|---|
# | 8, 16, 32, 64 | 9, 6, 4, 3 | 7, 5, 4.5, 4 | `(16, 32)` |
# | 8, 16, 32 | 3, 2, 1 | 4, 3, 2 | `None` |
# | 8, 16, 32 | 3, 2, 1 | 2, 2, 2 | `(8, 32)` |
#
# <details><summary>A nudge</summary>
#
# At each width one of three things holds: the first is larger, the second is larger,
# neither. What must you remember on the way from width to width?
# </details>
# <details><summary>A push</summary>
#
# Remember the last width at which the two differed, and which was larger there. Begin
# with nothing to remember.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# before = None
# for dim, a, b in zip(…):
#     if …:
#         continue  # no order here
#     …  # another order than before? then the pair is found
#     before = …
# ```
# </details>


# %% answer="crossing"
def crossing(dims, first, second):
    """dims: increasing widths; first, second: the two curves' errors at these widths
    -> (width before, width after) or None."""
    ### BEGIN SOLUTION
    before = None  # the last width at which they differed, and if the first was larger
    for dim, a, b in zip(dims, first, second):
        if a == b:
            continue
        if before is not None and (a > b) != before[1]:
            return before[0], dim
        before = (dim, bool(a > b))
    return None
    ### END SOLUTION


# %% check="crossing"
check("crossing", crossing)

# %% [markdown]
# What the spectra say: PCA's curves of both data sets, and the widths at which they
# change places. The right half is still empty; the same figure comes again, filled,
# after your measurement.

# %% tags=["wanted"]
fig, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4.2), sharex=True, sharey=True, layout="constrained"
)
left.set(title="predicted: PCA of clean images", xscale="log", yscale="log")
left.set(xlabel="components", ylabel="mean squared error per pixel")
left.set(xlim=(1, 1568), ylim=(6e-4, 0.2))
right.set(title="measured: denoiser, half of the pixels missing", xlabel="code units")
look = {
    "ha": "center",
    "va": "center",
    "fontsize": 13,
    "color": plots.PALETTE["baseline"],
}
right.text(0.5, 0.5, "to be measured\nin task 4", transform=right.transAxes, **look)
try:
    curves = {name: pca_curve(spectra[name]) for name in NAMES}
    for name in NAMES:
        left.plot(range(1, 785), curves[name][1:], **styles[name], label=name)
    left.legend(frameon=False)
    fashion, mnist = (curves[name].tolist() for name in NAMES)
    where = crossing(range(785), fashion, mnist)
    after = where[1]
    second = crossing(range(after, 785), fashion[after:], mnist[after:])
    print(f"with no component: Fashion-MNIST {fashion[0]:.4f}, MNIST {mnist[0]:.4f}")
    print(f"first crossing: {where}; second: {second}")
    title = f"PCA's curves cross at {where[1]} and at {second[1]} components: "
    title += "where will the denoisers' cross?"
except Exception as error:
    title = f"Not yet: {type(error).__name__}"
plots.finish(
    fig,
    title=title,
    caption="Left: PCA's error on clean training images against the number of "
    "components, one line for each data set. Right: axes still empty, since the "
    "measurement would give the answer away.",
)

# %% [markdown]
# ## 3. Your prediction (•, text, 2 points)
#
# Before you measure: for a *denoiser* with 8, 64, 256 and 940 code units, on which data
# set will the error be larger? Between which of the widths 8, 16, 32, 64, 128, 256,
# 512, 784, 940, 1568 will the curves cross, if they do? Say which property of the
# spectra each answer rests on.
#
# *How it is marked.* One point: four definite answers and a crossing (or "none"). One
# point: each rests on a property of the spectra that is true and that is named. Whether
# the prediction comes true does not matter: do not change it afterwards.

# %% [markdown] text="prediction" points=2
# Model answer. With 8 units MNIST has the larger error: its spectrum is flatter at the
# start, so that 8 components leave 0.038 against 0.027. With 64 units it is about even,
# with MNIST a little lower, since PCA's curves change places at 49 components. With 256
# and 940 units Fashion-MNIST has the larger error: its spectrum has the longer tail
# (459 components for 99 % of the variance, MNIST 331). So I expect one crossing,
# between 32 and 64.

# %% [markdown]
# ## 4. Measure MNIST (••, 3 points)
#
# The course's engine runs the sweep: `sweeps.latent_sweep(build, dims, seeds, datasets,
# …)` trains a model for each data set, width and seed, scores it with the corruption
# on, and returns a table with one row each; its docstring lists the columns. Write
# `measure`, which calls it with the chapter's model (`models.dense_autoencoder`) and
# its corruption (`corruption.Dropout(0.5)`), for **one** data set.
#
# <details><summary>A nudge</summary>
#
# `sweeps.latent_sweep?` shows all of its arguments. Which does your function hand on,
# and which does it choose?
# </details>
# <details><summary>A push</summary>
#
# A data set of one's own is given as a dict: its name, and the three splits in the
# order in which you got them.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# table = sweeps.latent_sweep(
#     …, dims, seeds, {"measured": …}, corruptor=…, epochs=…, store=…
# )
# ```
# </details>


# %% answer="measure"
def measure(splits, dims, seeds, epochs, store=None):
    """splits: (train, validation, test), images (N, 1, 28, 28) each -> the sweep's
    table, its data set called "measured".

    store: a folder in which finished runs are kept, or None.
    """
    ### BEGIN SOLUTION
    return sweeps.latent_sweep(
        models.dense_autoencoder,
        dims,
        seeds,
        {"measured": splits},
        corruptor=corruption.Dropout(0.5),
        epochs=epochs,
        together=256,
        store=store,
    )
    ### END SOLUTION


# %% check="measure"
check("measure", measure)

# %% [markdown]
# Now your own sweep of both data sets: one seed of five widths each, one to three
# minutes. An interrupted sweep goes on where it was: finished runs are kept in the
# folder `checkpoints`.

# %% tags=["show"]
my_dims = [8, 32, 64, 256, 940]
mine_at = None
try:
    mine = {}
    for name in NAMES:
        splits = [split[name].images for split in (train, validation, test)]
        table = measure(splits, my_dims, [0], epochs, "checkpoints/latent_sweep")
        mine[name] = table.set_index("latent_dim")["validation_error"]
    mine_at = pd.DataFrame(mine)
    mine_at["larger"] = mine_at[NAMES].idxmax(axis=1)
    where = crossing(my_dims, *(mine_at[name].tolist() for name in NAMES))
    print("the curves cross between", where)
except Exception as error:
    print(f"not yet: {type(error).__name__}: {error}")
mine_at

# %% [markdown]
# And the long sweep that comes with the course: ten widths, three seeds, 36 epochs on
# the full data. `RECOMPUTE = True` computes it again: about two hours for each data
# set on two cores, in pieces.

# %%
RECOMPUTE = False
wide = {name: sweeps.shipped(name) for name in NAMES}
if RECOMPUTE:
    for name, table in wide.items():
        wide[name] = sweeps.latent_sweep(
            models.dense_autoencoder,
            sorted(set(table["latent_dim"])),
            [0, 1, 2],
            [name],
            epochs=int(table["epochs"].max()),
            lr=float(table["lr"].max()),
            together=256,
            store="checkpoints/latent_sweep",
        )
groups = {
    name: table.groupby("latent_dim")["validation_error"]
    for name, table in wide.items()
}
at = pd.DataFrame({name: group.mean() for name, group in groups.items()})
at["larger"] = at[NAMES].idxmax(axis=1)
at.round(4)

# %% tags=["show"]
half = corruption.Dropout(0.5)
affine = {}
for name in NAMES:
    torch.manual_seed(0)
    images, held_out = train[name].images, validation[name].images
    denoiser = metrics.AffineDenoiser(half(images), images)
    affine[name] = metrics.reconstruction_error(denoiser, held_out, half(held_out))

narrow = [dim for dim in at.index if dim <= 512]
pca_at = {}
for name in NAMES:
    dropped = [float(spectra[name][dim:].sum()) / PIXELS for dim in narrow]
    pca_at[name] = pd.Series(dropped, index=narrow)

# %% [markdown]
# Prediction and measurement, side by side:

# %% tags=["show"]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for name in NAMES:
    left.plot(pca_at[name], marker="o", **styles[name], label=name)
    look = {"marker": "o", "capsize": 3, **styles[name], "label": name}
    right.errorbar(at.index, at[name], groups[name].std(), **look)
    look = {"color": styles[name]["color"], "linestyle": ":"}
    right.axhline(affine[name], **look, label=f"best affine denoiser, {name}")
ticks = [dim for dim in at.index if dim != 940]  # its label would lie on that of 784
left.set(title="predicted: PCA of clean images")
right.set(title="measured: denoiser, half of the pixels missing")
for ax in (left, right):
    ax.set(xscale="log", yscale="log", xlabel="code units or components")
    ax.set(xticks=ticks, xticklabels=ticks)
    ax.minorticks_off()
    ax.tick_params(axis="x", labelrotation=60)
    ax.legend(framealpha=1, edgecolor="none")
left.set(ylabel="mean squared error per pixel", ylim=(6e-4, None))
right.set(yticks=[0.01, 0.02, 0.04], yticklabels=[0.01, 0.02, 0.04])
widths = list(at.index)
try:
    of_pca = crossing(narrow, *(pca_at[name].tolist() for name in NAMES))
    of_dae = crossing(widths, *(at[name].tolist() for name in NAMES))
    title = f"PCA's curves cross between {of_pca[0]} and {of_pca[1]} components, "
    title += f"the denoisers' between {of_dae[0]} and {of_dae[1]} units"
except Exception:
    title = "Error against width: predicted from the spectra, and measured"
plots.finish(
    fig,
    title=title,
    caption="Left: PCA's error on clean training images. Right: error of restored "
    "validation images, mean and deviation over three seeds.",
)

# %% [markdown]
# ## 5. Is a difference more than noise? (••, 2 points)
#
# At each width there are three seeds for each data set. Return the difference of the
# means (MNIST minus Fashion-MNIST) and its standard error: the root of the sum of the
# two squared standard errors, each the deviation over seeds (n - 1 in the denominator)
# divided by the root of n.
#
# <details><summary>A nudge</summary>
#
# Two independent errors do not add; their squares do.
# </details>
# <details><summary>A push</summary>
#
# numpy's `var` and `std` divide by n unless they are told otherwise: `ddof=…`. pandas
# and Python's `statistics` divide by n - 1.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# a, b = np.asarray(…), np.asarray(…)
# standard_error = np.sqrt(… / len(a) + …)
# ```
# </details>


# %% answer="difference"
def difference(mnist_errors, fashion_errors):
    """Two lists of errors, one for each seed -> (difference of the means, its standard
    error), two floats."""
    ### BEGIN SOLUTION
    a, b = np.asarray(mnist_errors, float), np.asarray(fashion_errors, float)
    standard_error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return float(a.mean() - b.mean()), float(standard_error)
    ### END SOLUTION


# %% check="difference"
check("difference", difference)

# %% [markdown]
# At each width of the long sweep:

# %%
told = None
try:
    errors = {name: group.apply(list) for name, group in groups.items()}
    rows = {
        dim: difference(*(errors[name][dim] for name in NAMES[::-1])) for dim in widths
    }
    told = pd.DataFrame(rows, index=["difference", "standard error"]).T
    told["in standard errors"] = (told["difference"] / told["standard error"]).round(1)
    where = crossing(widths, *(at[name].tolist() for name in NAMES))
    print("crossing of the long sweep, 36 epochs:", where)
except Exception as error:
    print(f"not yet: {type(error).__name__}: {error}")
told if told is None else told.round(5)

# %% [markdown]
# Would you have said the same after a shorter training? The course brings the same
# sweep stopped after 12 epochs, three seeds as well, with half the learning rate. **Was
# the crossing elsewhere then, and on which side?**

# %% tags=["prediction"]
my_guess = "same place"  # or "further left", "further right"

# %% tags=["show"]
early = {}
for name in NAMES:
    table = sweeps.shipped(name, epochs=12)
    early[name] = table.groupby("latent_dim")["validation_error"]
earlier = pd.DataFrame({name: group.mean() for name, group in early.items()})
earlier["larger"] = earlier.idxmax(axis=1)
for name in NAMES:
    earlier[f"{name}: gain by 36"] = 1 - at[name] / earlier[name]
try:
    rows = {
        dim: difference(*(list(early[name].get_group(dim)) for name in NAMES[::-1]))
        for dim in widths
    }
    earlier["in standard errors"] = [round(d / error) for d, error in rows.values()]
    of_early = crossing(widths, *(earlier[name].tolist() for name in NAMES))
    print(f"your guess: {my_guess}    crossing after 12 epochs: {of_early}")
except Exception as error:
    print(f"not yet: {type(error).__name__}: {error}")
earlier.round(4)

# %% [markdown]
# ### Three clues
#
# Before you explain: three more measurements. The **best linear denoiser that passes
# through k numbers** (reduced-rank regression) is the fair linear counterpart of a
# denoiser with k units: like it, it sees half of the pixels. At no width does it do
# better than the affine denoiser. Second, how often is a pixel neither black nor white?
# Third, by how much does the widest nonlinear denoiser beat the affine one?


# %% tags=["show"]
def rank_k_errors(name, dims):
    """Error on corrupted validation images of the best affine denoiser of each rank:
    the affine one, its answers projected on k directions."""
    torch.manual_seed(0)
    images, held_out = train[name].images, validation[name].images
    corrupted = half(images)
    denoiser = metrics.AffineDenoiser(corrupted, images)
    answers = corrupted.flatten(1) @ denoiser.weight + denoiser.bias
    centre = answers.mean(0)
    scatter = (answers - centre).T @ (answers - centre)
    directions = torch.linalg.eigh(scatter)[1].flip(1)  # (784, 784), strongest first
    answers = half(held_out).flatten(1) @ denoiser.weight + denoiser.bias - centre
    errors = []
    for k in dims:
        strongest = directions[:, :k]
        restored = (answers @ strongest @ strongest.T + centre).clamp(0, 1)
        errors.append(metrics.mse(restored.reshape(held_out.shape), held_out))
    return errors


def grey_share(images):
    """Of the inked pixels, the share that is neither black nor white."""
    inked = images[images > 0.1]
    return float((inked < 0.9).float().mean())


linear_dims = [8, 16, 32, 64, 128, 256, 512]
clues = {}
for name in NAMES:
    errors = rank_k_errors(name, linear_dims)
    of_name = {
        f"best linear denoiser, rank {k}": e for k, e in zip(linear_dims, errors)
    }
    of_name["best affine denoiser"] = affine[name]
    of_name["denoiser with 1,568 units"] = at[name][1568]
    of_name["gain of the nonlinear one"] = 1 - at[name][1568] / affine[name]
    of_name["inked pixels that are grey (0.1 to 0.9)"] = grey_share(train[name].images)
    clues[name] = of_name
pd.DataFrame(clues).round(4)

# %% [markdown]
# ## 6. Where prediction and measurement part (•••, text, 7 points)
#
# In fifteen to twenty-five sentences, with figures:
#
# 1. What came true of the prediction from the spectra, and what did not, after 36 and
#    after 12 epochs? Name the widths and the crossings.
# 2. Explain the difference. What does PCA's curve leave out that a denoiser has to do?
#    What do the three clues add?
# 3. Which width is best on MNIST by each of the two rules, and is there a successful
#    denoiser below 784? (The cell below applies the rules.)
# 4. What can you say about the difference between the data sets? Is one of them
#    "harder", or does it "need more dimensions"?
#
# *How it is marked.* Two points for 1: what came true and what did not, with the widths
# of the crossings at both budgets. Two points for 2: the answer names what a denoiser
# has to do that PCA's curve leaves out, and what that does to its error at large
# widths; it says what the clues rule out, and ties the order at large widths to how the
# images look. One point for 3: both rules, and a successful width with its error beside
# the baseline's. Two points for 4: "harder" is tied to a width and a measure; the
# difference is put in words of what the images hold, not of curves.

# %% tags=["show"]
rules = {}
for name in NAMES:
    mean, standard_error = groups[name].mean(), groups[name].sem()
    best = mean.idxmin()
    near = mean[mean <= mean[best] + standard_error[best]].index.min()
    good = (mean + standard_error < 0.9 * affine[name]) & (mean.index < PIXELS)
    rules[name] = {
        "smallest error": round(mean[best], 4),
        "its width": best,
        "smallest width within one standard error": near,
        f"successful below {PIXELS}": list(mean.index[good]),
        "their errors": list(mean[good].round(4)),
        "best affine denoiser": round(affine[name], 4),
    }
    upper = early[name].mean() + early[name].sem()
    succeeded = upper.index[(upper < 0.9 * affine[name]) & (upper.index < PIXELS)]
    rules[name][f"below {PIXELS} after 12 epochs"] = list(succeeded)
pd.DataFrame(rules)

# %% [markdown] text="answer" points=7
# Model answer. True was the order at both ends: narrow codes find MNIST harder (0.045
# against 0.039 with 8 units), wide ones Fashion-MNIST (0.0101 against 0.0083 with 940).
# PCA's curves cross at 49 components, between 32 and 64 of our widths. The denoisers'
# cross next door, between 64 and 128, and not sharply: at 64 units the two errors
# differ by 1.3 standard errors, so the crossing may as well lie a step to the left.
# (There it goes, where PCA's is: with 72 epochs, and with 144, MNIST has the smaller
# error at 64 units, 0.0157 against 0.0160 and then 0.0146 against 0.0157, and still the
# larger one at 32; three seeds.) From 128 on MNIST is the easier one, by many standard
# errors. But that took 36 epochs at twice the rate. In my short sweep the denoisers'
# curves had not crossed even at 940 units, and after 12 epochs they cross between 256
# and 512; there every difference was six standard errors or more, so that one would
# have called it a fact about the data. A standard error over seeds says nothing of what
# all seeds share, and all had stopped early. MNIST gains more by the longer training:
# from 128 to 512 units its error falls by 21 to 28 % from 12 epochs to 36, that of
# Fashion-MNIST by 8 to 11 %.
#
# PCA sees clean images: its error is only what its k directions cannot express, and it
# goes to zero. A denoiser has in addition to guess what half of the pixels were, so its
# error ends on a floor that no width removes. At 64 units that guess is already a large
# part of the error, and PCA's curve knows nothing of it. The first clue shows it: the
# best linear denoiser through k numbers has its floor at 0.0174 and 0.0176, and on
# MNIST it is never the better one: with linear means there is no crossing at all. So
# the agreement with PCA's 49 is no proof that PCA knows the reason. What turns the
# order is the nonlinear part: the widest network takes 54 % off the affine error on
# MNIST and 43 % on Fashion-MNIST. MNIST's strokes are smooth and of one thickness, and
# half of their inked pixels are white or nearly so (in Fashion-MNIST an eighth: the
# second clue), so that a few remaining pixels decide about a missing one. A network
# with ReLU and sigmoid can draw that conclusion where a weighted sum can only answer
# grey. Fabric patterns of Fashion-MNIST are grey and fine; when their pixels are gone
# nothing tells them. That gain takes many units or many epochs.
#
# On MNIST, too, both rules name the widest model, 1,568 units, the end of the range.
# Successful below 784 are 128, 256 and 512 units: 0.0126 with 128, against the affine
# denoiser's 0.0176. After 12 epochs 128 units had missed that, by little (0.0160);
# after 72, and after 144, 64 come in. So the limit, too, belongs to a training.
#
# Is one of the sets harder? It depends on the width and the measure. Fashion-MNIST has
# a few very strong directions (how large, dress or shoe, how bright) and then a long
# tail of texture: a narrow code does much, and the rest is slow. MNIST has no such
# directions; digits differ by where strokes lie, which takes many directions of like
# size, but little is left after them. "Needs more dimensions" is true of MNIST for a
# rough picture and of Fashion-MNIST for a fine one.

# %% [markdown]
# ## What you have done
#
# You predicted from a linear summary of the data, measured, and found where the summary
# ends: it knows how many directions the images use, and neither what a corruption takes
# away nor what a nonlinear model can put back. The last cell asks all questions once
# more and adds up.

# %% tags=["closing"]
check.all(globals())
