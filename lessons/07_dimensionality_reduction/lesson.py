# %% [markdown] question="Better than PCA: when?" source="seminar, 4.1"
# # 7. Dimensionality reduction: better than PCA, but when?
#
# A seminar paper from which this course grew says that the code of an autoencoder is
# *typically better than PCA's*. Lesson 1 met an autoencoder that was worse. Both are
# right somewhere, and this lesson finds out where: for which model, for how many
# numbers, and on which pictures. On the way, a question that sounds simple, "which data
# set needs more dimensions?", turns out to have two answers.
#
# After this lesson you will be able to
#
# 1. say how fast the variance of a data set runs out, and what "95 % explained" does
#    and does not promise;
# 2. say what a linear autoencoder has in common with PCA, and measure it with principal
#    angles;
# 3. compare models fairly, error against code size, with several seeds, and say when
#    bending beats a straight cut;
# 4. draw a data set in two dimensions, with an autoencoder and with t-SNE, and not read
#    too much into the picture.
#
# **Time**: about 45 minutes to read and answer; the code runs for under two minutes on
# two cores, without a GPU.
#
# **You need**: [lesson 1](01_dense_autoencoder.ipynb) (the code, the PCA baseline).
#
# Words with a link are explained in the [glossary](../GLOSSARY.md), which also names
# them in Hebrew and Croatian.

# %% [markdown]
# ## 1. How fast does the variance run out?
#
# **[Principal component analysis](../GLOSSARY.md)** (PCA) turns the axes of the
# 784-dimensional pixel space. The first new axis, the first *component*, points where
# the images differ most; the second, where they differ most apart from that; and so on.
# Whoever keeps the first `k` coordinates loses the variance along all others, and no
# other linear code of `k` numbers loses less (on the training images, measured as
# squared error).
#
# Two data sets accompany us: the clothes, and the handwritten digits of MNIST. Both
# have as many images, of the same size.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from course_utils import plots
from course_utils.data import load_images
from course_utils.metrics import PCABaseline, apply_in_batches

NAMES = ("FashionMNIST", "MNIST")
SPLITS = ("train", "validation", "test")
parts = {name: {split: load_images(name, split) for split in SPLITS} for name in NAMES}
fashion, digits = parts["FashionMNIST"], parts["MNIST"]
pca = {name: PCABaseline(parts[name]["train"].images) for name in NAMES}
for name in NAMES:
    images = parts[name]["train"]
    print(f"{name}: {len(images):,} training images ({images.source} data)")

# %% [markdown]
# **Predict.** Fashion-MNIST has 784 pixels. How many principal components hold 95 % of
# its variance?

# %% tags=["prediction"]
my_components = 50  # your guess, then run on

# %% [markdown]
# The shares of the variance, added up, answer it for any share.

# %%
cumulative = {name: np.cumsum(pca[name].explained_variance_ratio) for name in NAMES}


def components_for(share, name):
    """The smallest k whose first k components hold this share of the variance."""
    return int(np.searchsorted(cumulative[name], share)) + 1


SHARES = (0.90, 0.95, 0.99)
counts = {name: [components_for(share, name) for share in SHARES] for name in NAMES}
print(f"your guess: {my_components}    measured: {counts['FashionMNIST'][1]}")
pd.DataFrame(counts, index=[f"{share:.0%} of the variance" for share in SHARES])

# %% [markdown]
# The same for every number of components:

# %%
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, style, fill in (("FashionMNIST", "-", "full"), ("MNIST", "--", "none")):
    ax.plot(range(1, 785), 100 * cumulative[name], style, color="black", label=name)
    for k, share, marker in zip(counts[name], SHARES, "osD"):
        ax.plot(k, 100 * share, marker, color="black", fillstyle=fill)
ax.set(xlabel="components kept, k (logarithmic)", ylabel="variance explained (%)")
ax.set_xscale("log")
ax.set_xticks([1, 2, 5, 10, 20, 50, 100, 200, 500])
ax.xaxis.set_major_formatter("{x:.0f}")
ax.minorticks_off()
ax.legend(loc="lower right")

needed = {name: ", ".join(map(str, counts[name])) for name in NAMES}
plots.finish(
    fig,
    title=f"90, 95 and 99 % of the variance take {needed['FashionMNIST']} components "
    f"of Fashion-MNIST and {needed['MNIST']} of MNIST",
    caption="Share of variance against number of components; marks at 90, 95 and 99 %. "
    "Fashion-MNIST (solid) starts far higher, MNIST (dashed) catches up.",
)

# %% [markdown]
# The clothes spend most of their variance at once: the first component alone, roughly
# "how much bright cloth is there", holds more than a quarter. After that the rest runs
# out slowly. The digits begin lower, and finish earlier.
#
# One number sums up how evenly the variance is spread: the **participation ratio**
# $(\sum_i\lambda_i)^2 / \sum_i\lambda_i^2$ of the variances $\lambda_i$. It is 784 when
# all components matter equally and 1 when one has everything.

# %%
evenness = {}
for name in NAMES:
    ratio = pca[name].explained_variance_ratio
    evenness[name] = {
        "first component (%)": 100 * ratio[0],
        "participation ratio": ratio.sum() ** 2 / (ratio**2).sum(),
    }
pd.DataFrame(evenness).round(1)

# %% [markdown]
# Now you: write the participation ratio, from the shares of the variance.


# %% tags=["fill-in"]
def my_participation(shares):
    """Shares of the variance (784,) -> how many components matter, from 1 to 784."""
    # the square of the sum …
    # … divided by the sum of the squares: return it


wanted = evenness["FashionMNIST"]["participation ratio"]
mine = my_participation(pca["FashionMNIST"].explained_variance_ratio)
right = mine is not None and abs(mine - wanted) < 0.01
print("right" if right else f"not yet: {mine}; wanted {wanted:.2f}")

# %% [markdown]
# <details><summary><b>One way to write it</b></summary>
#
# ```python
# def my_participation(shares):
#     squared_sum = shares.sum() ** 2
#     return squared_sum / (shares**2).sum()
# ```
# </details>
#
# > **Pitfall.** "95 % of the variance" is not "95 % of what you can see", nor 95 % of
# > the accuracy of a classifier. Variance is squared pixel differences and nothing
# > else: a shirt's broad shape outweighs the collar that makes it a shirt.
#
# Keep the two curves in mind; section 4 comes back to them.

# %% [markdown]
# ## 2. An autoencoder without bends
#
# Take every bend out of the autoencoder: one linear layer down to ten numbers, one
# linear layer up, no ReLU, no sigmoid. We know the best it can do, since PCA *is* the
# best linear code. But does gradient descent, which was never told of variances and
# axes, arrive at the same place?
#
# **Predict.** Two ten-dimensional subspaces of a 784-dimensional space meet at ten
# *principal angles*: 0° means a shared direction, 90° a direction of one that is
# foreign to all of the other. After training, how large is the **largest** angle
# between what the linear decoder can draw and the span of PCA's first ten components?

# %% tags=["prediction"]
my_angle = 45  # degrees

# %% [markdown]
# The model first. Nothing in it bends:

# %%
from torch import nn

from course_utils import models

K = 10
mean_image = pca["FashionMNIST"].mean.reshape(1, 28, 28)


def linear_autoencoder():
    """Both layers linear; the mean image goes out before them and comes back after."""
    encoder = models.Encoder(K, nn.Identity(), mean_image)
    drawing = nn.Linear(K, 784)
    drawing.bias.data = mean_image.flatten().clone()  # a start; it may move
    decoder = nn.Sequential(drawing, nn.Unflatten(1, (1, 28, 28)))
    return nn.Sequential(encoder, decoder)


# %% [markdown]
# SciPy measures the angles between the spaces that two sets of columns span. With
# orthonormal bases $A$ and $B$ of the two spaces (784 × 10 each) the cosines of the ten
# angles $\theta_i$ are the singular values $\sigma_i$ of a 10 × 10 matrix,
#
# $$\cos\theta_i = \sigma_i\big(A^\top B\big):$$
#
# 1 for a direction that both spaces share, 0 for one that is foreign to the other.

# %%
from scipy.linalg import subspace_angles

components = pca["FashionMNIST"].components[:K].T.numpy()  # (784, 10), one a column


def angles(autoencoder):
    """Ten principal angles in degrees, largest first: decoder against PCA."""
    columns = autoencoder[1][0].weight.detach().cpu().numpy()  # (784, 10)
    return np.degrees(subspace_angles(columns, components))


# %% [markdown]
# We train it three times from different random starts, and write the angles down before
# training and after each epoch: eight epochs of the full data, or as many steps on a
# smaller set.

# %%
from course_utils import training
from course_utils.metrics import reconstruction_error

EPOCHS = round(8 * 55_000 / len(fashion["train"]))
paths, linear_errors = [], []
for seed in range(3):
    torch.manual_seed(seed)
    linear = linear_autoencoder()
    path = [angles(linear)]
    note = lambda model, history: path.append(angles(model))
    how = {"epochs": EPOCHS, "lr": 2e-3, "seed": seed, "on_epoch": note}
    training.fit(linear, fashion["train"], **how)
    paths.append(path)
    linear_errors.append(reconstruction_error(linear, fashion["validation"].images))

paths = np.array(paths)  # (seeds, 1 + EPOCHS, 10)
largest = paths[:, -1, 0]
found = f"{largest.mean():.1f}° ± {largest.std(ddof=1):.1f}°"
print(f"your guess: {my_angle}°    measured: {found} over three seeds")

# %% [markdown]
# Four of the ten angles on their way, mean of the three seeds:

# %%
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
mean_path = paths.mean(axis=0)  # (1 + EPOCHS, 10)
look = {"color": plots.colour("linear"), "markevery": max(1, EPOCHS // 8)}
for i, label in enumerate(("largest angle", "second largest", "third largest")):
    look |= {"marker": "osD"[i], "alpha": 1 - 0.25 * i}
    ax.plot(mean_path[:, i], label=label, **look)
look |= {"marker": "v", "alpha": 1, "linestyle": ":"}
ax.plot(mean_path[:, -1], label="smallest", **look)
ax.set(xlabel="epoch", ylabel="principal angle to PCA (degrees)", ylim=(0, 92))
ax.legend()

before, after, lowest = mean_path[0, 0], mean_path[-1, 0], mean_path[0].min()
plots.finish(
    fig,
    title="Gradient descent turns towards PCA's subspace: "
    f"the largest of ten angles falls from {before:.0f}° to {after:.0f}°",
    caption="Principal angles between the linear decoder and PCA's first ten "
    f"components against the epoch. All start at {lowest:.0f}° or more; the larger "
    "fall last.",
)

# %% [markdown]
# Does the error agree? Neither of the two is held to the range of pixels here: both may
# draw a pixel darker than black.

# %%
best = pca["FashionMNIST"].error(fashion["validation"].images, K)
mean, deviation = np.mean(linear_errors), np.std(linear_errors, ddof=1)
print(f"validation error of PCA                 {best:.5f}")
print(f"validation error of the autoencoder     {mean:.5f} ± {deviation:.5f}")
print(f"the autoencoder lies {mean / best - 1:+.1%} from PCA")

# %% [markdown]
# And how far apart are the variances of the components around the tenth, where the cut
# is made? Shares of the variance in per cent:

# %%
ratio = pca["FashionMNIST"].explained_variance_ratio[:12]
pd.DataFrame([100 * ratio], columns=range(1, 13), index=["share (%)"]).round(1)

# %% [markdown]
# At the start the two subspaces have nothing to do with each other, as is usual for
# random directions in 784 dimensions. Then the angles close one after the other. The
# last takes longest, and for a good reason: the tenth and the eleventh component hold
# small and similar shares, so trading one for the other costs little error, and
# gradient descent sees little slope. (Baldi and Hornik proved in 1989 that the minimum
# is PCA's subspace and that there is no other minimum to get stuck in.)
#
# So are the ten pictures in the decoder's weights *the principal components*?
# **Predict**: yes or no?

# %% tags=["prediction"]
same_pictures = "yes"  # or "no"

# %% [markdown]
# For each component we look for the column that resembles it most, by the cosine
# between the two.

# %%
drawing = linear[1][0].weight.detach().numpy()  # (784, 10)
unit = drawing / np.linalg.norm(drawing, axis=0)
closest = np.abs(unit.T @ components).max(axis=0)  # for each component
print(f"your guess: {same_pictures}")
print("|cosine| between each component and the decoder's most similar column:")
print(f"{closest.min():.2f} to {closest.max():.2f} (1 = the same picture)")

# %% [markdown]
# If the space is the same, the right mixtures of the ten columns are the components.
# Least squares finds them.


# %%
def as_pictures(columns):
    """Columns (784, n) -> pictures; zero is grey, each scaled by its largest value."""
    scaled = 0.5 + 0.5 * columns / np.abs(columns).max(axis=0)
    return scaled.T.reshape(-1, 1, 28, 28)


mixture = np.linalg.lstsq(drawing, components, rcond=None)[0]  # (10, 10)
plots.image_rows(
    {
        "PCA": as_pictures(components),
        "decoder's columns": as_pictures(drawing),
        "columns, mixed": as_pictures(drawing @ mixture),
    },
    columns=[str(i + 1) for i in range(K)],
    title="The same space, other axes: mixed in the right way the decoder's columns "
    "are the components",
    caption="Top: PCA's first ten components, from broad shapes to details. Middle: "
    "the decoder's columns; some resemble a component, none is one. Bottom: mixtures "
    "of the columns, the same pictures as in the top row.",
)

# %% [markdown]
# No. A column may resemble a component, as the largest cosine says, but none of them is
# one. The error only asks what the ten columns can draw *together*. Mix the code with
# any invertible matrix, undo it in the decoder, and nothing changes: the autoencoder
# has no reason to prefer PCA's axes, nor to sort them. The bottom row proves that
# nothing is missing: mixtures of the middle row give the top row back.
#
# > **Pitfall.** To compare two codes, compare the *spaces* they span (principal
# > angles), or their errors, never unit 3 with component 3. The same holds for two runs
# > of one network: unit 3 of one seed is not unit 3 of another.
#
# <details><summary><b>Check yourself.</b> We subtracted the mean image for the encoder.
# Would the autoencoder have failed without it?</summary>
#
# No, only slower: its two biases can learn the mean. A PCA without centring, though, is
# another method: its first component points at the mean image, and one of the k numbers
# is lost on it.
# </details>
#
# > **Stop here**: [task 1 of the
# exercise](../exercises/07_dimensionality_reduction/07_dimensionality_reduction.ipynb),
# > *the angles between two spaces*, 7 minutes.

# %% [markdown]
# ## 3. Better than PCA: when?
#
# Straight layers cannot win. So which of the course's models can, and for which `k`? We
# compare at *equal code size*, on the *test* images: the chapter's model with its ReLU
# code, the same model cured by a linear code (lesson 1), the stacked hourglass
# 784-256-128-k, and a convolutional one.
#
# ![The same bent row of points twice, one for each image. Left, PCA: a straight line
# through them; the points at the ends and in the middle are far from it. Right, a
# network with bends: a curve that follows the row, with all points near it. Both keep
# one number for each image, its place along the line.](planes.svg)
#
# ### First, a fair PCA
#
# A sigmoid cannot leave the interval from 0 to 1. PCA can, and does: it adds up
# components and knows nothing of black and white. A pixel drawn at −0.1 is certainly
# wrong, and setting it to 0 brings it nearer to any true value. So before PCA meets the
# networks, its pictures are cut to [0, 1]. **By how much does that lower its error on
# MNIST, with 100 components?**

# %% tags=["prediction"]
my_cut = 1  # per cent

# %% [markdown]
# Both versions of PCA on the validation images:

# %%
rows = {}
for name in NAMES:
    for k in (10, 50, 100):
        images = parts[name]["validation"].images
        raw = pca[name].error(images, k)
        cut = pca[name].error(images, k, clip=True)
        rows[name, k] = {"raw": raw, "cut": cut, "gain (%)": 100 * (1 - cut / raw)}
fair = pd.DataFrame(rows).T.rename_axis(["data set", "k"])
gained = fair.loc[("MNIST", 100), "gain (%)"]
print(f"your guess: {my_cut} %    measured: {gained:.0f} %")
fair.round({"raw": 5, "cut": 5, "gain (%)": 1})

# %% [markdown]
# One line of code, no training, and a good part of what a network might have been
# praised for. It matters most for digits, whose pixels are nearly all black or white.
# From here on PCA is cut.
#
# ### The models
#
# The convolutional network of lesson 5 would take too long for a table, so here is a
# quicker one that strides instead of pooling. (It behaves differently, too: carry no
# rank from lesson 5's table to this one.)

# %% tags=["error-table"]
import torch
from torch import nn

from course_utils import models, training
from course_utils.metrics import reconstruction_error


def small_convolutional(latent_dim):
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(),  # 28x28 -> 14x14
        nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(),  # 14x14 -> 7x7
        nn.Flatten(), nn.Linear(32 * 7 * 7, latent_dim),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 32 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.ReLU(),  # -> 14x14
        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1), nn.Sigmoid(),  # -> 28x28
    )  # fmt: skip
    return nn.Sequential(encoder, decoder)


# %% [markdown]
# One function trains one model and returns a row of the table. Nothing was tuned: Adam
# at its usual rate, a batch of 128, and the epochs that stand here.

# %% tags=["error-table"]
BUILD = {  # name: (what makes the model, epochs)
    "chapter (ReLU code)": (models.dense_autoencoder, 6),
    "cured (linear code)": (lambda k: models.dense_autoencoder(k, nn.Identity()), 6),
    "stacked": (models.stacked_autoencoder, 6),
    "convolutional": (small_convolutional, 3),
}


def train_one(name, k, seed, train, validation, test):
    build, epochs = BUILD[name]
    torch.manual_seed(seed)
    autoencoder = build(k)
    history = training.fit(autoencoder, train, epochs=epochs, seed=seed)
    row = {"data_set": train.name, "model": name, "k": k, "seed": seed}
    row["validation_error"] = reconstruction_error(autoencoder, validation.images)
    row["test_error"] = reconstruction_error(autoencoder, test.images)
    row |= {"epochs": epochs, "seconds": sum(history.seconds)}
    return row, autoencoder


# %% [markdown]
# One row of the table, trained now: the hourglass with ten numbers, which section 6
# uses again.

# %%
row, stacked = train_one("stacked", 10, 0, **fashion)
at_ten = {"PCA, cut": fair.loc[("FashionMNIST", 10), "cut"]}
at_ten["stacked"] = row["validation_error"]
pd.DataFrame({"validation error, ten numbers": at_ten}).round(4)

# %% [markdown]
# **Predict.** The whole table has six code sizes: 2, 5, 10, 20, 50 and 100 numbers. The
# hourglass wins at ten. Write down the sizes at which you expect it to beat PCA on
# Fashion-MNIST for every seed.

# %% tags=["prediction"]
my_sizes = [2, 5, 10, 20, 50, 100]  # strike out those where you expect PCA to be better

# %% [markdown]
# Both data sets, all sizes and three seeds take a while, so the table comes with the
# course (the convolutional model, the slowest, at three of the sizes). `table.py` in
# this lesson's folder made it on the full data, with the two cells above that define
# models and training; set the switch to train it again.

# %%
from importlib.resources import files

RECOMPUTE = False  # True trains everything again, on the data that you have
table = pd.read_csv(files("course_utils") / "tables" / "error_against_k.csv")
if RECOMPUTE:
    rows = []
    for row in table.to_dict("records"):
        images = parts[row["data_set"]]
        if row["model"] == "PCA":
            error = pca[row["data_set"]].error(images["test"].images, row["k"], True)
            rows.append(row | {"test_error": error})
        else:
            rows.append(train_one(row["model"], row["k"], row["seed"], **images)[0])
    table = pd.DataFrame(rows)

trained = table[table["model"] != "PCA"]
minutes = trained["seconds"].sum() / 60
print(f"{len(trained)} models, {minutes:.0f} minutes of training where it was made")

# %% [markdown]
# First the verdict, a strict one: better than PCA means that *every* seed has the
# smaller test error.

# %%
by_size = table.groupby(["data_set", "model", "k"])["test_error"]
error = by_size.agg(["mean", "std", "max"])


def beats_pca(name, model):
    """The code sizes at which every seed has a smaller error than PCA."""
    worst, linear = error.loc[(name, model), "max"], error.loc[(name, "PCA"), "mean"]
    return [int(k) for k in worst.index if worst[k] < linear[k]]


won = beats_pca("FashionMNIST", "stacked")
print(f"your guess: {my_sizes}")
print(f"the stacked model beats PCA on Fashion-MNIST at {won}")
verdict = {
    name: {model: str(beats_pca(name, model) or "never") for model in BUILD}
    for name in NAMES
}
pd.DataFrame(verdict).rename_axis("beats PCA, all seeds, at k =")

# %% [markdown]
# And by how much? Above the errors, below the same divided by PCA's.


# %%
def draw_against_pca(above, below, name):
    """All models' test errors on one data set; below, the same divided by PCA's."""
    linear = error.loc[(name, "PCA"), "mean"]
    for model, marker in zip(("PCA", *BUILD), plots.MARKERS):
        line = error.loc[(name, model)].fillna({"std": 0})
        look = {"marker": marker, "markersize": 5, "color": plots.colour(model)}
        look |= {"capsize": 3, "label": model}
        mean, deviation, pcas = line["mean"], line["std"], linear[line.index]
        above.errorbar(line.index, mean, deviation, **look)
        below.errorbar(line.index, mean / pcas, deviation / pcas, **look)


# %% [markdown]
# One column for each data set:

# %%
how = {"sharex": True, "sharey": "row", "layout": "constrained"}
fig, axes = plt.subplots(2, 2, figsize=(10, 7), **how)
sizes = sorted(table["k"].unique())
for (above, below), name in zip(axes.T, NAMES):
    draw_against_pca(above, below, name)
    above.set(title=name, yscale="log")
    below.set(xlabel="numbers in the code, k (logarithmic)", xscale="log")
    below.set_xticks(sizes, sizes)
    below.minorticks_off()
axes[0, 0].set_ylabel("test error per pixel (logarithmic)")
axes[1, 0].set_ylabel("error / PCA's error at the same k")
axes[0, 0].legend(fontsize=9)

lost = " and ".join(str(k) for k in sizes if k not in won)
plots.finish(
    fig,
    title="Depth wins while the code is small: on Fashion-MNIST the stacked model, "
    f"after six epochs, beats PCA up to k = {max(won)}, not at {lost}",
    caption="Above: test error against code size, mean over three seeds with one "
    "standard deviation; PCA is cut to [0, 1]. Below: the same divided by PCA's; under "
    "1 is better. The stacked model gains most at small k and then stops improving. "
    "The convolutional one goes on improving; its lead over PCA shrinks with k on the "
    "clothes and grows on MNIST. The linear code stays near PCA on Fashion-MNIST and "
    "falls well below it on MNIST as k grows.",
)

# %% [markdown]
# The hourglass seems to hit a wall beyond twenty numbers. Is that its shape (everything
# must pass through 128 units on either side of the code) or its six epochs? Lesson 5's
# table has the same hourglass with 64 numbers, trained for longer:

# %%
longer = pd.read_csv(files("course_utils") / "tables" / "code_sizes.csv")
longer = longer[(longer["k"] == 64) & longer["model"].isin(["PCA", "stacked"])]
by_epochs = longer.groupby(["model", "epochs"])["test_error"]
by_epochs.agg(["mean", "std", "count"]).round(4)

# %% [markdown]
# It was the epochs, most of all. Trained nearly four times as long, the hourglass comes
# level with PCA at 64 numbers. The right half of each panel above shows what six epochs
# can do, no law about depth; the left half stands, since there the hourglass is ahead
# already.
#
# Now the seminar's sentence can be finished. An autoencoder is better than PCA
#
# - **when it bends and the code is small.** A handful of numbers can name a garment and
#   its size, and a deep decoder knows the rest. That knowledge is stored in its weights
#   and need not pass through the code.
# - **when its code can use every unit.** The chapter's ReLU code wastes some, and lies
#   behind the linear code everywhere.
# - **when the last layer suits the pictures.** Look at MNIST with a wide code: one
#   linear layer and a *sigmoid* take a third off PCA's error, though PCA is cut. Most
#   pixels of a digit are black or white, and a sigmoid gets both by saturating. Clothes
#   are grey; there the same model is hardly ahead of PCA at fifty numbers, and behind
#   at a hundred.
# - **and, with a wide code, the hourglass only if it is trained for long.** (The
#   convolutional model was ahead at fifty numbers after three epochs.) PCA for its part
#   costs seconds, has one answer and nothing to tune.
#
# > **Pitfall.** Four ways to make an autoencoder "better than PCA" on paper: give it
# > more numbers than PCA gets; compare its *training* error with PCA's test error; let
# > PCA run on images whose mean was not subtracted; and let PCA draw outside of [0, 1]
# > while a sigmoid keeps the network inside.
#
# > **Stop here**: [task 2 of the
# exercise](../exercises/07_dimensionality_reduction/07_dimensionality_reduction.ipynb),
# > *how many components?*, 9 minutes.

# %% [markdown]
# ## 4. Which data set needs more numbers?
#
# Same size, same number of images, same number of classes. The textbook chapter asks
# what differs between the two.
#
# **Predict.** To reach the same error, which data set needs a longer code,
# `"FashionMNIST"` or `"MNIST"`?

# %% tags=["prediction"]
my_harder = "FashionMNIST"  # or "MNIST"

# %% [markdown]
# For the answer we need PCA's error at every `k`. One component after the other is
# added to the pictures, and each time a cut copy is measured.


# %%
def error_for_every_k(name, last=300):
    """PCA's validation error, cut to [0, 1], with k = 0, 1, ..., last components."""
    images = parts[name]["validation"].images.flatten(1)  # (N, 784)
    codes = pca[name].encode(parts[name]["validation"].images, last)  # (N, last)
    drawn, errors = pca[name].mean.repeat(len(images), 1), []
    for k in range(last + 1):
        if k:
            drawn.addr_(codes[:, k - 1], pca[name].components[k - 1])
        errors.append(float((drawn.clamp(0, 1) - images).square().mean()))
    return np.array(errors)


curve = {name: error_for_every_k(name) for name in NAMES}
assert abs(curve["MNIST"][10] - fair.loc[("MNIST", 10), "cut"]) < 1e-6

# %% [markdown]
# From which `k` on are the clothes harder for PCA?

# %%
harder = curve["FashionMNIST"] > curve["MNIST"]
first, last = (int(k) for k in np.nonzero(~harder)[0][[0, -1]])  # digits harder
crossing = last + 1  # from here to k = 300 the clothes are
print(f"your guess: {my_harder}    PCA's curves cross at k = {crossing}")

# %% [markdown]
# Both curves in one figure, and with them the hourglass from the table, measured on the
# same validation images:

# %%
fig, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
stacked_rows = table[table["model"] == "stacked"]
stacked_error = stacked_rows.groupby(["data_set", "k"])["validation_error"].mean()
black, green = plots.colour("PCA"), plots.colour("stacked")
for name, style, fill in (("FashionMNIST", "-", "full"), ("MNIST", "--", "none")):
    k = range(2, 301)
    ax.plot(k, curve[name][2:], style, color=black, label=f"PCA, {name}")
    look = {"linestyle": style, "marker": "D", "fillstyle": fill, "color": green}
    ax.plot(stacked_error[name], label=f"stacked, {name}", **look)
crossed = f"PCA's curves cross, k = {crossing}"
ax.axvline(crossing, color="#777777", linestyle=":", label=crossed)
ax.set(xlabel="numbers in the code, k (logarithmic)", xscale="log", yscale="log")
ax.set_ylabel("validation error per pixel (logarithmic)")
ax.set_xticks([2, 5, 10, 20, 50, 100, 200], [2, 5, 10, 20, 50, 100, 200])
ax.minorticks_off()
ax.legend()

plots.finish(
    fig,
    title=f"PCA's curves cross at k = {crossing}: from {first} to {last} components "
    "the digits are harder, from there on the clothes",
    caption="Error against code size for PCA, cut to [0, 1] (black), and the stacked "
    "model after six epochs (green, a crossing of its own). With few numbers MNIST "
    "(dashed) has the larger error; with many, Fashion-MNIST.",
)

# %% [markdown]
# Both answers are right, one on each side of the crossing. (With no component, or
# one, the clothes are the harder ones again: they simply vary more.) Do the networks'
# curves cross, too? From the table, which knows only some sizes:

# %%
rows = {}
for model in ("PCA", *BUILD):
    clothes, digit = (error.loc[(name, model), "mean"] for name in NAMES)
    harder = clothes > digit
    from_here_on = [k for k in harder.index if harder.loc[k:].all()]
    rows[model] = {
        "clothes are harder from k =": min(from_here_on, default="never"),
        "sizes in the table": ", ".join(map(str, harder.index)),
    }
pd.DataFrame(rows).T

# %% [markdown]
# They do, the hourglass's sooner than the others (after six epochs). So the answer
# depends on the model as well. Here is the question in all its forms, for PCA:


# %%
def numbers_for(limit, name):
    """The smallest k with which PCA's validation error is at most this."""
    return int(np.argmax(curve[name] <= limit))


rows = {}
for share in SHARES:
    rows[f"{share:.0%} of the variance"] = [components_for(share, n) for n in NAMES]
for limit in (0.03, 0.02, 0.01, 0.005):
    rows[f"an error of {limit}"] = [numbers_for(limit, name) for name in NAMES]
needs = pd.DataFrame(rows, index=NAMES).T
tie = needs["FashionMNIST"] == needs["MNIST"]
needs["needs more"] = needs.idxmax(axis="columns").mask(tie, "neither")
needs

# %% [markdown]
# "Fashion-MNIST needs more dimensions" is **true or false depending on the error that
# you ask for**. Why?
#
# A garment is first of all a bright area of a certain outline, and outlines of clothes
# are few: the first components say much. What is left is prints, folds and seams,
# different in every picture, which no short code holds: the tail is long. A digit is a
# thin stroke that can pass anywhere, so there is no leading direction, many components
# matter about equally (the participation ratio said it), and a short code is poor. But
# a stroke is smooth, and once its course is known nothing is left to tell: the tail is
# short.
#
# Shares and errors do not cross at the same place, either, since a share is measured
# against the data set's own variance, and the clothes vary more. This is the error that
# the mean image alone leaves:

# %%
of_mean_image = {name: curve[name][0] for name in NAMES}
pd.DataFrame({"error of the mean image": of_mean_image}).round(4)

# %% [markdown]
# > **Pitfall.** "The intrinsic dimension of this data is d" is an answer without its
# > question. Say which error, which share, which model.
#
# <details><summary><b>Check yourself.</b> A colleague keeps 95 % of the variance on
# both data sets "so that they are treated alike". Are they?</summary>
#
# In share, yes. In error per pixel, no: five per cent of a larger variance is a larger
# error. And in code length, no: see the table's second row.
# </details>

# %% [markdown]
# ## 5. Two numbers: a map
#
# With `k = 2` the code is a point in the plane and a data set becomes a map. We train
# the hourglass down to two numbers and set its map beside PCA's. The colours are the
# classes, which neither method was told.

# %%
torch.manual_seed(0)
flat = models.stacked_autoencoder(2)
training.fit(flat, fashion["train"], epochs=5, seed=0)

shown = fashion["test"].images[:1000]
labels = fashion["test"].labels[:1000].numpy()
maps = {
    "PCA, 2 numbers": pca["FashionMNIST"].encode(shown, 2).numpy(),
    "stacked, 2 numbers": apply_in_batches(flat[0], shown).numpy(),
}

# %% [markdown]
# How well does a map sort the classes? We ask each point's fifteen nearest neighbours
# on the map to vote on its class.

# %%
from sklearn.neighbors import KNeighborsClassifier


def neighbours_agree(points, draws=10):
    """Accuracy of 15 nearest neighbours: mean and deviation over random halves."""
    scores = []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(points))
        known, asked = np.array_split(order, 2)
        voters = KNeighborsClassifier(15).fit(points[known], labels[known])
        scores.append(voters.score(points[asked], labels[asked]))
    return np.mean(scores), np.std(scores, ddof=1)


agree = {name: neighbours_agree(points) for name, points in maps.items()}

# %% [markdown]
# (Half of the points vote on the other half. The deviation is over ten ways to halve
# the points of *one* map; another training gives another map, and the course's tests
# compare three.) Each class gets its colour and its marker, as in all lessons:


# %%
def scatter(ax, points):
    for c, name in enumerate(fashion["test"].class_names):
        look = {"marker": plots.MARKERS[c], "color": plots.CLASS_COLOURS[c]}
        look |= {"s": 9, "alpha": 0.6, "linewidths": 0}
        ax.scatter(*points[labels == c].T, label=name, **look)


def legend(fig, ax):
    handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="outside right center", markerscale=2.5)


# %% [markdown]
# The two maps, and over each of them how well neighbours agree:

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
for ax, (name, points) in zip(axes, maps.items()):
    scatter(ax, points)
    mean, deviation = agree[name]
    ax.set_title(f"{name}: neighbours agree {mean:.0%} ± {deviation:.0%}")
    ax.set(xlabel="first number", ylabel="second number")
legend(fig, axes[0])

of_pca, of_stacked = (mean for mean, _ in agree.values())
plots.finish(
    fig,
    title="The autoencoder's map sorts the clothes better: a point's neighbours tell "
    f"its class {of_stacked:.0%} of the time, on PCA's map {of_pca:.0%}",
    caption="1,000 test images, coloured by class. PCA: one wide cloud of classes that "
    "overlap. Autoencoder: trousers and shoes pull away, upper garments overlap.",
)

# %% [markdown]
# Colours tell where the classes lie, pictures tell what the two numbers *mean*. We put
# small images at the places of their codes, one wherever there is room.

# %%
from matplotlib.offsetbox import AnnotationBbox, OffsetImage


def thumbnails(ax, points, apart=0.055):
    """Test images at their places on the map, where the last one leaves room."""
    size, placed = np.ptp(points, axis=0), []
    look = {"cmap": "gray_r", "zoom": 0.85, "interpolation": "nearest"}
    for point, image in zip(points, shown):
        if all(np.hypot(*((point - other) / size)) > apart for other in placed):
            placed.append(point)
            picture = OffsetImage(image[0].numpy(), **look)
            ax.add_artist(AnnotationBbox(picture, point, frameon=False))
    ax.set(xlabel="first number", ylabel="second number")
    ax.scatter(*points.T, s=0)  # so that the axes know their limits
    ax.margins(0.06)


# %% [markdown]
# Dark on white here, as on paper: bright cloth is drawn dark.

# %% tags=["readme"]
fig, axes = plt.subplots(1, 2, figsize=(12, 6.2), layout="constrained")
for ax, (name, points) in zip(axes, maps.items()):
    thumbnails(ax, points)
    ax.set_title(name)

plots.finish(
    fig,
    title="Neighbours on the map look alike: brightness and outline are what two "
    "numbers can hold",
    caption="Test images at their two-dimensional codes (dark on white). Shoes, "
    "trousers and tops have regions of their own; dark and bright lie apart.",
)

# %% [markdown]
# Follow one direction on either map and watch what changes: cloth becomes brighter,
# trousers widen into dresses, shoes grow a shaft. There are also large empty regions.
# What would the decoder draw there? Move the cross over the hourglass's map and see. It
# moves (also by the arrow keys) in JupyterLab, in Colab and on the course's site; on
# GitHub you see where it starts. Lesson 8 takes this up.

# %%
from course_utils import widgets

points = torch.from_numpy(maps["stacked, 2 numbers"])
names = fashion["test"].class_names
widgets.latent_map(flat[1], points, fashion["test"].labels[:1000], names)

# %% [markdown]
# ## 6. t-SNE: beautiful, and easy to over-read
#
# **[t-SNE](../GLOSSARY.md)** (van der Maaten and Hinton, 2008) makes maps and nothing
# else. It moves points about in the plane until those that were neighbours in many
# dimensions are neighbours again. How many neighbours count is a setting, the
# **perplexity**; we draw each map with two of them, 3 and 30. We give it the ten-number
# codes of the hourglass from section 3. Beside them, as a control, a *single* cloud of
# noise without any groups: Gaussian, of the same size, with the mean and the covariance
# of the codes.
#
# **Predict.** Will the noise look like one cloud on its two maps?

# %% tags=["prediction"]
my_noise = "one cloud on both"  # or "clumps on both", "clumps at 3", "clumps at 30"

# %% [markdown]
# Both get the same two perplexities; otherwise the comparison would be unfair.

# %%
from sklearn.manifold import TSNE, trustworthiness


def t_sne(points, perplexity):
    method = TSNE(perplexity=perplexity, init="pca", random_state=0)
    return method.fit_transform(points)


codes = apply_in_batches(stacked[0], shown).numpy()  # (1000, 10)
rng = np.random.default_rng(0)
noise = rng.multivariate_normal(codes.mean(0), np.cov(codes.T), size=len(codes))
clouds = {"codes": codes, "noise": noise}
PERPLEXITIES = (3, 30)
drawn = {
    (name, p): t_sne(points, p) for name, points in clouds.items() for p in PERPLEXITIES
}
maps["t-SNE of 10 numbers"] = drawn["codes", 30]

# %% [markdown]
# A number for the clumps: how many times farther away is the tenth neighbour than the
# nearest one? In clumps of a few points the nearest is close by and the tenth sits in
# another clump, so the ratio is large. For scale we measure it on points strewn at
# random over a square.

# %%
from sklearn.neighbors import NearestNeighbors


def clumpiness(points):
    """Median distance to the tenth nearest neighbour over that to the nearest."""
    away = NearestNeighbors(n_neighbors=10).fit(points).kneighbors()[0]  # (N, 10)
    return np.median(away[:, 9]) / np.median(away[:, 0])


strewn = clumpiness(rng.uniform(size=(1000, 2)))
clumps = pd.DataFrame(
    {name: [clumpiness(drawn[name, p]) for p in PERPLEXITIES] for name in clouds},
    index=[f"perplexity {p}" for p in PERPLEXITIES],
)
few, many = clumps["noise"]
print(f"your guess: {my_noise}    noise at 3 and 30: {few:.1f}, {many:.1f}", end="")
print(f"    strewn at random: {strewn:.1f}")
clumps.round(1)

# %% [markdown]
# The four maps:

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
for row, name in zip(axes, clouds):
    for ax, p in zip(row, PERPLEXITIES):
        points = drawn[name, p]
        if name == "codes":
            scatter(ax, points)
        else:
            ax.scatter(*points.T, s=9, color="#555555")
        ax.set(title=f"{name}, perplexity {p}", xlabel="t-SNE 1", ylabel="t-SNE 2")
legend(fig, axes[0, 0])

plots.finish(
    fig,
    title="At perplexity 3 pure noise falls into clumps, too; at 30 the noise is one "
    "cloud and the clothes keep their islands",
    caption="Above: 1,000 codes, coloured by class; at perplexity 3 many small clumps, "
    "at 30 a few islands that follow the classes. Below: as many points of noise with "
    "the same covariance; at 3 clumps and strings everywhere, at 30 an even disc.",
)

# %% [markdown]
# On the left a small perplexity asks each point for three neighbours only, and t-SNE
# tears the plane to satisfy all of them: clumps come out whether there are groups or
# not. On the right the two rows differ. That is the evidence for groups in the codes: a
# control that could have shown them and did not.
#
# > **Pitfall.** In a t-SNE map the *size* of an island, the *distance* between islands
# > and the *emptiness* between them might not mean anything, and small clumps may be
# > made of noise. Change the perplexity and the seed, and put noise beside your data,
# > before you believe a shape. And t-SNE has no encoder for a new image and no decoder
# > back: it is a way to look, not a code.
#
# (**UMAP**, by McInnes and others, 2018, is its younger and faster relative. It can
# place new points on a finished map; sizes and distances need the same caution.)
#
# How honest is each map? Two measures: do neighbours share a class, and
# **trustworthiness**: are neighbours on the map neighbours among the 784 pixels (1 =
# always, as for the pixels themselves)?

# %%
pixels = shown.flatten(1).numpy()
maps["t-SNE of 784 pixels"] = t_sne(pixels, perplexity=30)
everything = {"784 pixels": pixels, "stacked, 10 numbers": codes, **maps}
rows = {}
for name, points in everything.items():
    agreement, deviation = neighbours_agree(points)
    rows[name] = {
        "numbers": points.shape[1],
        "neighbours agree": agreement,
        "±": deviation,
        "trustworthiness": trustworthiness(pixels, points, n_neighbors=10),
    }
honest = pd.DataFrame(rows).T.astype({"numbers": int})
both_ways = ["no" if "t-SNE" in name else "yes" for name in honest.index]
honest["encodes new images, and draws"] = both_ways
honest.round(3)

# %% [markdown]
# Read it from the top. From 784 pixels to ten numbers nothing is lost that the
# deviation would not cover; the step down to two costs PCA very much and the hourglass
# little. And t-SNE? The islands look far tidier than the hourglass's own map, yet made
# from the same ten numbers they are no more faithful. Made from the pixels, t-SNE keeps
# a little more of the neighbourhoods, which is all that it is asked to do. It needs the
# whole set at once and cannot place image 1,001; the hourglass encodes it, and draws a
# picture for any place on its map.
#
# <details><summary><b>Check yourself.</b> You must shrink a million images to 20
# numbers each, on a machine without a GPU, today, and tomorrow another thousand arrive.
# Which method first?</summary>
#
# PCA: seconds, one answer, encodes new images, and the baseline for all others. If its
# error at 20 numbers is too large, a stacked or convolutional autoencoder has most to
# offer at exactly such small sizes (section 3). t-SNE cannot take tomorrow's images.
# </details>
#
# <details><summary><b>Check yourself.</b> Two trainings of the same stacked model give
# maps that look different. Is one of them wrong?</summary>
#
# Not for that reason. As in section 2, the error does not care how the code is turned,
# stretched or bent, as long as the decoder undoes it. Compare errors, or who is whose
# neighbour.
# </details>

# %% [markdown]
# ## What you have seen
#
# 1. Variance runs out early and then slowly for the clothes, evenly and then fast for
#    the digits; a share of variance is a statement about squared pixels.
# 2. A linear autoencoder turns into PCA's subspace, angle by angle, but not into PCA's
#    axes; and on the training images it cannot beat PCA.
# 3. Beside a PCA that is cut to [0, 1], bending pays most when the code is small, and a
#    last layer that suits the pictures pays when it is wide. With a wide code the
#    hourglass needs long training to come level with PCA, and ReLU codes waste units.
# 4. Which data set "needs more dimensions" depends on the error asked for: the curves
#    cross.
# 5. Two-dimensional maps: PCA's, an autoencoder's, t-SNE's, what each may be read for,
#    and noise as the control for clumps.
#
# **Next**: the map has empty regions, and the decoder has never been told what to draw
# there. [Lesson 8](08_variational.ipynb) makes the space a place.
#
# **Exercises**: [exercise 7][angles] builds the angles, the error curve and two
# instruments for maps. Then find the best code size of a *denoising* autoencoder in the
# latent sweep on [Fashion-MNIST][sweep], and see on [MNIST][digits] whether its curves
# cross, too.
#
# [angles]: ../exercises/07_dimensionality_reduction/07_dimensionality_reduction.ipynb
# [sweep]: ../exercises/latent_sweep_fashion_mnist/latent_sweep_fashion_mnist.ipynb
# [digits]: ../exercises/latent_sweep_mnist/latent_sweep_mnist.ipynb
