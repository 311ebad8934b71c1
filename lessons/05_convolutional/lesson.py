# %% [markdown] question="Do neighbours matter?" source="chapter, 6; seminar, 3"
# # 5. Convolution: where things are matters
#
# A dense layer treats an image as a list of 784 numbers: it would learn just as well if
# somebody had shuffled the pixels. A convolutional layer knows that pixels have
# neighbours. What does an autoencoder gain from that, and how would we know?
#
# After this lesson you will be able to
#
# - build a convolutional autoencoder and say the shape and the parameters of every
#   layer before the computer does;
# - tell whether a small error was earned, by asking how many numbers the code holds and
#   how long each rival was trained;
# - recognise a network that cannot start to learn, and repair it;
# - turn a ResNet into an encoder, and look for what a decoder leaves in its pictures.
#
# **Time**: about 55 minutes to read and answer; the code runs for about two minutes on
# two cores, without a GPU.
#
# **You need**: [lesson 1](01_dense_autoencoder.ipynb) (training, the PCA baseline).
#
# Words with a link are explained in the [glossary](../GLOSSARY.md), which also names
# them in Hebrew and Croatian.

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import metrics, models, plots, pretrained
from course_utils.data import load_images, one_of_each
from course_utils.training import fit

train = load_images("FashionMNIST", "train")
validation = load_images("FashionMNIST", "validation")
test = load_images("FashionMNIST", "test")
pca = metrics.PCABaseline(train.images)
counts = f"{len(train):,} training, {len(validation):,} validation, {len(test):,} test"
print(f"{counts} images ({train.source} data)")

# %% [markdown]
# ## 1. The model, layer by layer
#
# We build the convolutional autoencoder of a seminar paper (Zagreb, 2023), exactly as
# its table lists it. The encoder repeats one step three times: a **[convolutional
# layer](../GLOSSARY.md)** looks at every 3 × 3 neighbourhood with the same small set of
# weights, `ReLU` keeps what is positive, and **max-[pooling](../GLOSSARY.md)** keeps
# the largest of every 2 × 2 pixels, which halves height and width. The number of
# channels doubles from 16 to 64, so the image becomes smaller and deeper.
#
# The decoder goes back up with **[transposed convolutions](../GLOSSARY.md)**: each
# pixel of the small map paints a 3 × 3 or 2 × 2 patch on the large one, and
# neighbouring patches start `stride` pixels apart.

# %%
encoder = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
)  # fmt: skip
decoder = nn.Sequential(
    nn.ConvTranspose2d(64, 32, 3, stride=2), nn.ReLU(),
    nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ReLU(),
    nn.ConvTranspose2d(16, 1, 2, stride=2), nn.ReLU(),
)  # fmt: skip
autoencoder = nn.Sequential(encoder, decoder)

# %% [markdown]
# Three formulas say everything about these layers in advance. With kernel $k$, stride
# $s$ and padding $p$, a side of $h$ pixels becomes
#
# | layer | its output's side | its parameters |
# |---|---|---|
# | convolution | $\lfloor (h + 2p - k)/s \rfloor + 1$ | $c_o\,(c_i k^2+1)$ |
# | pooling ($s = k$) | $\lfloor h/k \rfloor$ | none |
# | transposed convolution | $(h-1)\,s - 2p + k$ | $c_o\,(c_i k^2+1)$ |
#
# where $c_i$ channels come in and $c_o$ go out, and $\lfloor\;\rfloor$ rounds down.
#
# **Predict.** An image enters as 1 × 28 × 28. How high (and wide) is it after each of
# the three pooling layers? And how many parameters does the first convolution have: one
# 3 × 3 filter and one bias for each of 16 channels?

# %% tags=["prediction"]
my_heights = [14, 7, 4]  # after each pooling: change what you would say differently
my_parameters = 144  # of the first convolution; 16 x 3 x 3, or some more?

# %% [markdown]
# We send one image through the encoder and write the height down after each pooling.


# %%
def count_parameters(model):
    return sum(p.numel() for p in model.parameters())


heights, x = [], test.images[:1]
for layer in encoder:
    x = layer(x)
    if isinstance(layer, nn.MaxPool2d):
        heights.append(x.shape[-1])

print(f"your guess: {my_heights} and {my_parameters}")
print(f"measured: {heights} and {count_parameters(encoder[0])}")

# %% [markdown]
# The parameters are 16 filters of 1 × 3 × 3, and 16 biases. The third pooling is where
# people slip: 7 is odd, so 2 × 2 windows fit three times and the **last row and column
# are dropped**. The three kinds of layer on one drawing:
#
# ![Three small grids and what becomes of them. Convolution 3 × 3: overlapping patches
# each give one number, all with the same nine weights. Max-pooling 2 × 2: patches side
# by side give the largest of their four numbers; of 7 rows and columns the last is
# dropped. Transposed convolution 3 × 3 with stride 2: each number paints a patch, and
# where patches overlap the paint adds up.](patches.svg)
#
# Here is the whole table; `torchinfo` prints it for any model.

# %% tags=["nbval-check-output"]
from torchinfo import summary

columns = ("output_size", "num_params")
print(summary(autoencoder, (128, 1, 28, 28), col_names=columns, verbose=0))

# %% [markdown]
# It is the seminar's table to the last digit: 160, 4,640, 18,496 parameters on the way
# down, 18,464, 2,064 and 65 on the way up, 43,889 in all, every one trainable. In the
# chapter's dense layer each weight serves one pixel; here a filter of 9 weights serves
# all 784 places, and so 64 channels cost little. (Section 4 counts what the dense
# models spend.)
#
# ### What pooling loses, and what a transposed convolution gives back
#
# The decoder must turn 3 × 3 into 7 × 7, and by the third formula it does: $(3-1)\cdot
# 2 + 3 = 7$. A transposed convolution is often called "deconvolution", as if it undid a
# convolution. Let us see what it undoes.

# %%
torch.manual_seed(0)
image, kernel = torch.rand(1, 1, 7, 7), torch.randn(1, 1, 3, 3)
small = F.conv2d(image, kernel, stride=2)  # 7x7 -> 3x3
back = F.conv_transpose2d(small, kernel, stride=2)  # 3x3 -> 7x7, with the same weights
print("shapes:", *(tuple(x.shape[2:]) for x in (image, small, back)))
print(f"largest difference from the image: {(image - back).abs().max():.2f}")

# %% [markdown]
# The **shape** comes back, the values do not: nine numbers cannot restore 49. Written
# as a matrix, the operation is the *transpose* of the convolution, and a transpose is
# not an inverse. A matrix and its transpose give the same inner products, so we can
# check it:

# %%
other = torch.randn(1, 1, 3, 3)
left = (small * other).sum()
right = (image * F.conv_transpose2d(other, kernel, stride=2)).sum()
print(f"<conv(x), y> = {left:.4f}    <x, transposed conv(y)> = {right:.4f}")

# %% [markdown]
# And pooling? We overwrite the last row and column of the 7 × 7 image and pool again.

# %%
border = image.clone()
border[..., 6, :] = border[..., :, 6] = 99
same = torch.equal(F.max_pool2d(image, 2), F.max_pool2d(border, 2))
print("pooling sees the last row and column:", not same)

# %% [markdown]
# Whatever stood in the last row and column of the 7 × 7 map is gone. The decoder cannot
# recover it; it has to learn what to paint there.
#
# Now you: write the pooling. A side that is odd loses its last row or column.


# %% tags=["fill-in"]
def my_max_pool(images):
    """The largest of each 2 x 2 pixels: (N, C, h, w) -> (N, C, h // 2, w // 2)."""
    # cut both sides to an even length …
    # … the four shifted pictures: images[..., 0::2, 0::2], images[..., 0::2, 1::2], …
    # … and the largest of the four, torch.stack(…).amax(dim=0): return it


mine, wanted = my_max_pool(image), F.max_pool2d(image, 2)
right = mine is not None and mine.shape == wanted.shape and torch.equal(mine, wanted)
print("right" if right else f"not yet: wanted the shape {tuple(wanted.shape)}")

# %% [markdown]
# <details><summary><b>One way to write it</b></summary>
#
# ```python
# def my_max_pool(images):
#     even = images[..., : images.shape[-2] // 2 * 2, : images.shape[-1] // 2 * 2]
#     rows = even[..., 0::2, :], even[..., 1::2, :]
#     four = [half[..., start::2] for half in rows for start in (0, 1)]
#     return torch.stack(four).amax(dim=0)
# ```
# </details>
#
# > **Stop here**: [task 1 of the
# > exercise](../exercises/05_convolutional/05_convolutional.ipynb),
# > *shape and parameters of a convolution*, 8 minutes.
#
# > **Stop here**: [task 2 of the
# > exercise](../exercises/05_convolutional/05_convolutional.ipynb),
# > *and of its transpose*, 8 minutes.
#
# > **Pitfall.** When a decoder's output is 24 × 24 or 29 × 29, the loss function
# > complains, or worse, *broadcasts*. An odd size on the way down is the usual cause.
# > Print the shapes once, before training.
#
# ## 2. Training: a few epochs here, a hundred from the shelf
#
# The seminar trains with the squared error for each pixel, Adam with its default
# settings, batches of 128, for 100 epochs. We run the first two of them. `fit` is the
# loop that lesson 1 wrote out. A warning first: with this model the seed matters, and
# the one below works; section 5 returns to it.

# %%
torch.manual_seed(0)
autoencoder = models.conv_autoencoder()  # the model above, from the course's package
saved = "checkpoints/05_conv.ckpt"
history = fit(autoencoder, train, epochs=2, validation=validation, checkpoint=saved)
history.table().drop(columns="seconds").round(4)

# %% [markdown]
# (After an interruption the same cell goes on where it stopped, thanks to the
# checkpoint.) A hundred epochs would take fifty times as long, so the course ships the
# weights of a run that did them, made by `tools/make_weights.py` with the very call
# above and `epochs=100`, together with its history.
#
# **Predict.** The seminar did not tune anything, because "no overfitting was seen". How
# much larger than the training loss is the validation loss after 100 epochs?

# %% tags=["prediction"]
my_gap = 10  # per cent of the training loss

# %% [markdown]
# The history of the shipped run knows:

# %%
long = pretrained.history("conv")
ratio = (long.validation_loss / long.train_loss).tail(10).mean()
gap = 100 * (ratio - 1)
print(f"your guess: {my_gap} %    mean of the last ten epochs: {gap:+.1f} %")
minutes = long.seconds.sum() / 60
print(f"the shipped run took {minutes:.0f} minutes where it was made")

# %% [markdown]
# Both curves of the shipped run, and on top of them the few epochs of our own:

# %%
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
pink = plots.colour("convolutional")
ax.plot(long.epoch, long.train_loss, color=pink, label="training, shipped run")
ax.plot(long.epoch, long.validation_loss, "k--", lw=1, label="validation, shipped run")
epochs = range(1, len(history) + 1)
ax.plot(epochs, history.validation_loss, "ko", ms=5, label="validation, our run")
ax.set(xlabel="epoch", ylabel="mean squared error per pixel", yscale="log")
ax.legend(frameon=False)

side = "above" if gap > 0 else "below"
plots.finish(
    fig,
    title=f"No overfitting in {len(long)} epochs: "
    f"validation ends {abs(gap):.1f} % {side} training",
    caption="Training and validation error fall together and stay together; "
    "the dots are our own epochs.",
)

# %% [markdown]
# The seminar's claim holds on our machine as well: the two curves lie on each other. It
# should not surprise us: 43,889 parameters face 55,000 images of 784 pixels. They have
# no room to memorise them.
#
# One subtlety: the training loss is a mean over an epoch *while the weights improved*,
# and validation comes after it. For a fair comparison we measure one finished model on
# images from each part.

# %%
shipped = pretrained.load("conv")
parts = {"training": train, "validation": validation, "test": test}
error_of = {
    name: metrics.reconstruction_error(shipped, part.images[:5000])
    for name, part in parts.items()
}
pd.DataFrame({"error of 5,000 images": error_of}).round(4)

# %% [markdown]
# The three agree but for the last digit. And this is what such an error looks like:

# %% tags=["readme"]
ten = one_of_each(test)
with torch.no_grad():
    reconstructed = {
        "original": ten.images,
        "2 epochs": autoencoder(ten.images),
        "100 epochs": shipped(ten.images),
    }
after_2 = metrics.reconstruction_error(autoencoder, test.images)
after_100 = metrics.reconstruction_error(shipped, test.images)
plots.image_rows(
    reconstructed,
    columns=ten.class_names,
    title="After 100 epochs outlines and shades are back: "
    f"error {after_2:.4f} after 2 epochs, {after_100:.4f} after 100",
    caption="Ten test images above their reconstructions after 2 and 100 epochs: "
    "outlines and large surfaces are kept, fine prints are blurred.",
)

# %% [markdown]
# Shapes, shades, even the straps of the sandal are there; what is lost is fine texture.
# The error is a small part of what lesson 1 reached with ten numbers. Before we
# celebrate, two questions: does this model really use *where things are*, and what did
# the small error cost?
#
# ## 3. Does it use the neighbourhood?
#
# Here is a clean experiment. Take one fixed shuffle of the 784 places and apply it to
# every image. No information is lost; the shuffle can be undone exactly. But neighbours
# are neighbours no more. PCA and a dense network do not notice. **By what factor will
# the convolutional model's error grow?**

# %% tags=["prediction"]
my_factor = 1.0  # 1 = does not notice either

# %% [markdown]
# One shuffle, the same for all images:

# %%
shuffle = torch.randperm(784, generator=torch.Generator().manual_seed(0))


def shuffled(images):
    """Every image's pixels in one fixed, random order; both (N, 1, 28, 28)."""
    return images.flatten(1)[:, shuffle].reshape(images.shape)


ORDERS = {"in order": lambda images: images, "shuffled": shuffled}

# %% [markdown]
# A dense and a convolutional model, each trained on 8,000 images in order and on the
# same images shuffled. That is enough to see it, and quick.


# %%
def dense(images):
    return models.dense_autoencoder(64, nn.Identity(), images.mean(dim=0))


def convolutional(images):
    return models.conv_autoencoder(last=nn.Sigmoid())


few, result = train.images[:8000], {}
for order, change in ORDERS.items():
    for name, build in {"dense": dense, "convolutional": convolutional}.items():
        torch.manual_seed(0)
        model = build(change(few))
        fit(model, change(few), epochs=3)
        error = metrics.reconstruction_error(model, change(validation.images))
        result[name, order] = error

# %% [markdown]
# Four errors, two for each model; their ratio is the factor.

# %%
table = pd.Series(result).unstack()
table["factor"] = table["shuffled"] / table["in order"]
factor = table["factor"]
print(f"your guess: {my_factor}    measured: {factor['convolutional']:.1f}")
table.round(4)

# %% [markdown]
# The same as bars; hatched means shuffled. The line is the error of the *mean image*,
# which looks at no input at all.

# %%
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
colours = [plots.colour("convolutional"), plots.colour("cured")]
for place, (name, colour) in enumerate(zip(table.index, colours)):
    pair = table.loc[name, list(ORDERS)]
    look = {"color": colour, "hatch": ["", "//"], "edgecolor": "white"}
    drawn = ax.bar([place - 0.2, place + 0.2], pair, width=0.38, **look)
    written = [f"{order}\n{error:.4f}" for order, error in pair.items()]
    ax.bar_label(drawn, written, fontsize=9, padding=2)
blind = pca.error(validation.images, 0)  # the mean image
line = {"linestyle": "--", "color": plots.colour("baseline"), "zorder": 0}
ax.axhline(blind, **line, label=f"mean image, {blind:.4f}")
ax.set(xticks=range(len(table)), ylabel="validation error per pixel")
ax.set_xticklabels(["convolutional", "dense, 64 numbers"])
ax.legend(frameon=False)
ax.margins(y=0.35)

grows = f"{factor['convolutional']:.1f}-fold"
plots.finish(
    fig,
    title=f"Shuffled pixels: the convolutional error grows {grows}, "
    f"the dense one {factor['dense']:.2f}-fold",
    caption="Validation error with pixels in order (plain) and shuffled (hatched); "
    "dashed, the mean image. The dense pair is level; the convolutional model's "
    "shuffled bar is as high as the mean image's line.",
)

# %% [markdown]
# The dense model does not care, as promised: for it the image never had a shape. The
# convolutional model has lost nearly everything. After these three short epochs it is
# at the level of the mean image (from another start somewhat below or above it),
# although 576 numbers pass through its code. Its only
# assumption, *what is near belongs together*, has been made false. That assumption (an
# **inductive bias**) is why it gets so far with so few weights, and it is worth exactly
# as much as it is true of the data.
#
# ## 4. What did the small error cost?
#
# Lesson 1's rule: no error without its baseline, and **at the same code size**. How
# many numbers does this code hold?

# %%
with torch.no_grad():
    encoded = shipped[0](test.images[:1])
numbers = encoded.numel()
print(f"code: {tuple(encoded.shape[1:])}, that is {numbers} numbers for 784 pixels")
print(f"compression: {784 / numbers:.2f}")

# %% [markdown]
# **Predict.** The shipped model's error is the one printed above the pictures. How many
# *linear* components does PCA need to match it?

# %% tags=["prediction"]
my_components = 300

# %% [markdown]
# We count in steps of fifteen until PCA's validation error is no larger than the
# model's. (PCA's pictures are cut to [0, 1] in this lesson, as a sigmoid's are; lesson
# 7 shows what that is worth.)

# %%
some = validation.images[:2000]
conv_error = metrics.reconstruction_error(shipped, some)
pca_error = {k: pca.error(some, k, clip=True) for k in range(1, 577, 15)}
needed = next(k for k in pca_error if pca_error[k] <= conv_error)
print(f"your guess: {my_components}    measured: about {needed}")
print(f"PCA with 256 components: {pca_error[256]:.4f}, the model: {conv_error:.4f}")

# %% [markdown]
# Here is the other side of the coin. A compression of 1.36 is hardly compression; PCA,
# which can only draw straight lines, matches the model with about a third of its
# numbers, and with 256 of them it is clearly ahead. The seminar's picture of good
# reconstructions is true, and it says little: **an error means nothing until the size
# of the code stands beside it.**
#
# > **Pitfall.** "The convolutional autoencoder has an error of .004, the dense one .02,
# > so convolution is five times better." The one kept 576 numbers, the other 10. Always
# > print the size of the code beside the error.
#
# ### The fair comparison
#
# We squeeze the code with one linear layer in the middle (576 → `latent_dim`), and open
# it again with one more. The last ReLU becomes a sigmoid, for reasons that section 5
# shows.

# %%
latent_dim = 10
torch.manual_seed(0)
small_code = models.conv_autoencoder(latent_dim, last=nn.Sigmoid())
print("the new middle:", small_code[0][-1], small_code[1][0], sep="\n")

# %% [markdown]
# Four kinds of code at equal size: PCA; the dense model of lesson 1, cured by a linear
# code on centred images ("cured dense" in the table); its stacked
# [hourglass](../GLOSSARY.md) ("stacked"); the convolutional one. Each network ran for
# the same eight epochs with a rate that falls to zero, three times, from different
# seeds, on the full data. The table is shipped; `table.py` in the lesson's folder made
# it. Which of the four do you expect to be best at 10 numbers, and will it still be
# best at 64?

# %% tags=["prediction"]
my_best_at_10 = "convolutional"  # or "PCA", "cured dense", "stacked"
my_best_at_64 = "convolutional"

# %% [markdown]
# The table, with mean and deviation over three seeds, and its winners at 10 and at 64:

# %%
from importlib.resources import files

runs = pd.read_csv(files("course_utils") / "tables" / "code_sizes.csv")
order = ["PCA", "cured dense", "stacked", "convolutional"]
short = runs[runs.model.isin(order) & (runs.epochs <= 8)]
mean_error = short.groupby(["model", "k"]).test_error.mean()
best = {k: mean_error.xs(k, level="k").idxmin() for k in (10, 32, 64)}
print(f"at 10 numbers: your guess {my_best_at_10}, measured {best[10]}")
print(f"at 64 numbers: your guess {my_best_at_64}, measured {best[64]}")


def plus_minus(errors):
    """Mean ± standard deviation as text; a single run has no deviation."""
    deviation = f" ± {errors.std():.4f}" if len(errors) > 1 else ""
    return f"{errors.mean():.4f}{deviation}"


cells = short.groupby(["k", "model"]).test_error.agg(plus_minus)
cells.unstack()[order].fillna("")

# %% [markdown]
# Tempting to conclude: depth pays where numbers are scarce, and at 64 of them it is
# worse than a straight cut. But look down the column of the hourglass. From 64 numbers
# to 576 its error hardly moves. A code nine times as wide cannot be what is missing.
# **What happens to the hourglass with 64 numbers if it trains for 30 epochs instead of
# 8?**

# %% tags=["prediction"]
my_long_error = 0.0140  # of the hourglass at 64 numbers; after 8 epochs see above

# %% [markdown]
# The table has those runs, too, again with a rate that falls to zero at their end:

# %%
long_runs = runs[runs.model.isin(order) & (runs.epochs == 30)]
after_30 = long_runs.groupby(["model", "k"]).test_error.mean()
hourglass = {8: mean_error["stacked", 64], 30: after_30["stacked", 64]}
print(f"your guess: {my_long_error}    measured: {hourglass[30]:.4f}")
both = runs[runs.model.isin(order) & runs.k.isin([10, 64])]
cells = both.groupby(["k", "model", "epochs"]).test_error.agg(plus_minus)
cells.unstack().rename(columns="{} epochs".format).fillna("")

# %% [markdown]
# Every run as a dot; filled after 8 epochs, open after 30:

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, k in zip(axes, (10, 64)):
    for place, name in enumerate(order):
        look = {"color": plots.colour(name), "marker": plots.MARKERS[place]}
        for epochs, aside, fill in (
            (0, 0, "full"),
            (8, -0.14, "full"),
            (30, 0.14, "none"),
        ):
            chosen = (runs.model == name) & (runs.k == k) & (runs.epochs == epochs)
            dots = runs[chosen].test_error
            at = [place + aside] * len(dots)
            ax.plot(at, dots, linestyle="none", markersize=8, fillstyle=fill, **look)
    ax.axhline(mean_error["PCA", k], color="black", linestyle=":", linewidth=1)
    ax.set_xticks(range(4), ["PCA", "cured dense", "stacked", "convolutional"], size=8)
    ax.set(title=f"{k} numbers", ylabel="test error per pixel", xlim=(-0.5, 3.5))

above = {epochs: hourglass[epochs] / mean_error["PCA", 64] - 1 for epochs in (8, 30)}
where = "level" if abs(above[30]) < 0.01 else f"{above[30]:+.0%}"
plots.finish(
    fig,
    title="At 64 numbers the budget decides: the stacked hourglass is "
    f"{above[8]:.0%} above PCA after 8 epochs, {where} after 30",
    caption="Test error of every run at 10 (left) and 64 numbers (right); filled marks "
    "after 8 epochs, open ones after 30; dotted, PCA. At 10 both deep models are far "
    "below PCA. At 64 both lie above it after 8 epochs; trained longer, the hourglass "
    "falls to PCA's line, the convolutional model below it, and the cured dense model "
    "stays ahead.",
)

# %% [markdown]
# Left, the conclusion is firm. With **ten** numbers the deep models are far ahead of
# PCA and of the cured dense model, after 8 epochs already: they bend, and a bent
# surface through the data needs fewer coordinates. More epochs only widen the gap.
# Right, it depends on patience. PCA needs no training; every network here was simply
# not finished. With 30 epochs the hourglass draws level with PCA, the convolutional
# model passes it, and the cured dense model, which had looked finished, is now clearly
# ahead of PCA and still of both. Who would say where they stand after 100?
#
# > **Pitfall.** A table of models after equally many epochs looks fair and compares how
# > *fast* they learn. Before you rank them, double the budget; if the order may change,
# > the table has not answered yet.
#
# And convolution? It leads in neither panel. What it has is thrift: look at what each
# model spends.

# %%
spent = {
    "cured dense": models.dense_autoencoder(10),
    "stacked": models.stacked_autoencoder(10),
    "convolutional": small_code,
}
sizes = {name: count_parameters(model) for name, model in spent.items()}
at_10 = {name: mean_error[name, 10] for name in spent}
pd.DataFrame({"parameters": sizes, "test error at 10 numbers": at_10}).round(4)

# %% [markdown]
# It comes close to the hourglass with an eighth of the weights. On 28 × 28 centred
# images a dense layer can afford one weight for every pixel; on a photograph of a
# million pixels it cannot, and convolution is the only one of the three that remains.
#
# <details><summary><b>Check yourself.</b> PCA at 576 components has hardly any error.
# Why does nobody call PCA-576 a good model of clothes?</summary>
#
# Because a small error at a wide code says that the code lost little, not that it found
# anything. With 784 components PCA copies every image exactly, noise images included.
# What makes a code interesting is what it can leave out.
# </details>
#
# ## 5. ReLU as the last layer
#
# The seminar's table ends with a ReLU, and so does our model. It trained well. Now we
# build it **ten times**, with ten different random starts, and show each a few thousand
# images. **How many of the ten will learn?**

# %% tags=["prediction"]
my_learners = 10

# %% [markdown]
# Each start is looked at before training, and its error taken after one short pass.

# %%
few, held_out = train.images[:2560], validation.images[:1000]


def start(seed, last=None, bias=None):
    """One random start and its error after one short pass."""
    torch.manual_seed(seed)
    model = models.conv_autoencoder(last=last)
    if bias is not None:
        nn.init.constant_(model[1][-2].bias, bias)
    at_first = model[1][-2].bias.item()  # of the only output channel
    with torch.no_grad():
        black = bool((model(few[:200]) == 0).all())
    fit(model, few, epochs=1, batch_size=32, seed=seed)
    error = metrics.reconstruction_error(model, held_out)
    return {"seed": seed, "bias": at_first, "black": black, "error": error}


relu = pd.DataFrame([start(seed) for seed in range(10)])

# %% [markdown]
# A model that paints every image black has the error of a black image. Whoever stays
# there has not learned.

# %%
all_black = float(held_out.square().mean())
relu["stuck"] = relu.error > 0.99 * all_black
n_stuck = int(relu.stuck.sum())
print(f"your guess: {my_learners} learn    measured: {10 - n_stuck} of 10")

# %% [markdown]
# The stuck models paint black and go on painting black, whatever the data. Why? Look at
# the one number that all 784 output pixels share: the bias of the only output channel.

# %%
relu.round(3)

# %% [markdown]
# The stuck ones are those that were black from the start, and the bias tells them
# apart. What does a stuck model's gradient say?

# %%
torch.manual_seed(int(relu[relu.stuck].seed.iloc[0]))
dead = models.conv_autoencoder()
F.mse_loss(dead(few[:128]), few[:128]).backward()
largest = max(p.grad.abs().max().item() for p in dead.parameters())
print("largest gradient anywhere in a stuck model:", largest)

# %% [markdown]
# Where that bias starts well below zero, every pixel's sum is negative before the last
# ReLU: output zero, slope zero, **gradient exactly zero in every layer**. Adam has
# nothing to go on, today or after 100 epochs. The bias starts uniformly between −½ and
# ½. How often is that low enough? Starts cost nothing, so we count over two hundred of
# them.

# %%
black = 0
for seed in range(200):
    torch.manual_seed(seed)
    with torch.no_grad():
        black += bool((models.conv_autoencoder()(few[:50]) == 0).all())
print(f"{black / 200:.0%} of 200 random starts paint every image black")
print(f"{float((few == 0).float().mean()):.0%} of all pixels really are black")

# %% [markdown]
# Nearly the toss of a coin. The seminar does not mention it; with one lucky start there
# is nothing to see. It is lesson 1's illness in its severe form. There, ReLU killed
# single code units; here it kills the whole network, because everything passes through
# one channel.
#
# Three cures come to mind: a **sigmoid** as the last layer (its slope is never zero),
# **no activation** at all, or the ReLU with its **last bias set to 0.1** at the start.
# We give each of them to the stuck starts. **Which of the three works?**

# %% tags=["prediction"]
my_cures = ["sigmoid", "no activation", "bias 0.1"]  # strike out what will not work

# %% [markdown]
# Same seeds, same short pass:

# %%
CURES = {
    "sigmoid": {"last": nn.Sigmoid()},
    "no activation": {"last": nn.Identity()},
    "bias 0.1": {"bias": 0.1},
}
stuck_seeds = [int(seed) for seed in relu[relu.stuck].seed]
cured = pd.DataFrame(
    {
        name: {seed: start(seed, **how)["error"] for seed in stuck_seeds}
        for name, how in CURES.items()
    }
)
works = [name for name in CURES if (cured[name] < 0.6 * all_black).all()]
print("your guess:", my_cures)
print("measured:  ", works)

# %% [markdown]
# Start by start, the three cures beside the ReLU that failed or learned:

# %%
fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
ax.axhline(all_black, linestyle=":", color="black", label="error of a black image")
look = {"linestyle": "none", "markersize": 8, "color": plots.colour("convolutional")}
ax.plot(relu.seed, relu.error, "o", label="ReLU last", **look)
for name, marker, aside in zip(CURES, "^sD", (-0.2, 0, 0.2)):
    seeds = cured.index + aside
    ax.plot(seeds, cured[name], marker, fillstyle="none", label=name, **look)
ax.set(xlabel="seed of the random start", ylabel="validation error per pixel")
ax.set(xticks=relu.seed, ylim=(0, 1.4 * all_black))
ax.legend(frameon=False, loc="upper center", ncol=3)

plots.finish(
    fig,
    title=f"With ReLU on the pixels {n_stuck} of 10 starts never learn; "
    f"{len(works)} of 3 cures free all of them",
    caption="Error after one short pass, ten random starts. Filled circles (ReLU) lie "
    "exactly on the line of a black image or far below it. Open marks: the stuck "
    "starts with a sigmoid, without activation, and with a bias of 0.1.",
)

# %% [markdown]
# And what does a cure cost later on? The shipped table has each of them for start 1,
# which stays black with a ReLU, after two epochs on all images, as in section 2:

# %%
relu_0, relu_1 = history.validation_loss[-1], float(validation.images.square().mean())
later = {"ReLU, start 0 (section 2)": relu_0, "ReLU, start 1 (black)": relu_1}
for name in ("sigmoid last", "no activation", "bias 0.1"):
    later[f"{name}, start 1"] = runs[runs.model == name].validation_error.item()
pd.DataFrame({"validation error": later}).round(4)

# %% [markdown]
# From the start that a ReLU leaves black for ever, every cure arrives near the lucky
# start's error. (These are single runs; we read no order among the cures from them.)
# The ReLU has one merit, too: it paints exact black, the colour of so many pixels here,
# and a sigmoid only comes close. With the bias set once, one can have both.
#
# > **Pitfall.** A loss that stands still from the first epoch on is not "a hard
# > problem". Print the largest gradient. If it is 0.0, no learning rate will help.
#
# ## 6. A borrowed encoder: ResNet without its head
#
# The chapter says: an encoder can be a network that was made for something else, such
# as **[ResNet](../GLOSSARY.md) with its classification head removed**; the decoder then
# has to grow the image back step by step. We take ResNet from torchvision and look at
# what each part makes of a 28 × 28 image. `BasicBlock, [1, 1, 1, 1]` is the smallest of
# the family, one block for each stage (ResNet-18 has two).

# %%
from torchvision.models.resnet import BasicBlock, ResNet

resnet = ResNet(BasicBlock, [1, 1, 1, 1]).eval()
x = test.images[:1].expand(-1, 3, -1, -1)  # ResNet expects three colours
rows = {}
with torch.no_grad():
    for name, part in resnet.named_children():
        x = part(x.flatten(1) if name == "fc" else x)
        rows[name] = {
            "output": tuple(x.shape[1:]),
            "parameters": count_parameters(part),
        }
pd.DataFrame(rows).T

# %% [markdown]
# The head is `avgpool` and `fc`, 1,000 scores for the classes of ImageNet. But
# something else is wrong for us: the network was made for 224 × 224 pixels. On our
# images the third stage works on 2 × 2 pixels and the last on **one**, where nothing is
# left of *where*. So we cut after the second stage (128 × 4 × 4). For one grey channel
# instead of three, we sum the first layer's filters over colour. For a network that
# sees three equal channels this is exact.

# %%
body = nn.Sequential(*list(resnet.children())[:6])  # up to and with layer2
grey = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
grey.weight.data = body[0].weight.data.sum(dim=1, keepdim=True)
some = test.images[:8]
with torch.no_grad():
    difference = grey(some) - body[0](some.expand(-1, 3, -1, -1))
body[0] = grey
largest = difference.abs().max()
print(f"grey against three equal channels, largest difference: {largest:.1e}")

# %% [markdown]
# One linear layer makes a code of 64 numbers of it, and the encoder is complete.

# %%
resnet_encoder = nn.Sequential(body, nn.Flatten(), nn.Linear(128 * 4 * 4, 64))
print("codes of two images:", tuple(resnet_encoder(test.images[:2]).shape))
print(f"parameters: {count_parameters(resnet_encoder):,}")

# %% [markdown]
# To begin from weights learned on ImageNet, build the encoder from
# `torchvision.models.resnet18(weights="DEFAULT")` instead (it fetches 45 MB;
# `models.resnet_encoder(64, resnet=…)` accepts it). Then the sum is *not* exact any
# more: those weights expect each colour less its own mean and divided by its own
# deviation, so the three channels of a grey image differ. It is a fair start for
# further training, and no more. We do not need it: this encoder was trained here, on
# our images, and is shipped.
#
# The decoder has to do the opposite of a ResNet: **grow**. Each step enlarges the map
# (4 → 7 → 14 → 28) and thins its channels. There are two usual ways to enlarge: the
# transposed convolution of section 1, or repeating pixels and then convolving, as here.
# Section 7 compares what they leave in the picture.


# %%
def grow(channels_in, channels_out, size):
    """One step up: repeat pixels up to ``size`` rows, then smooth and mix."""
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)
    return nn.Sequential(nn.Upsample(size=size), convolution, nn.ReLU())


upsampling_decoder = nn.Sequential(
    nn.Linear(64, 64 * 4 * 4), nn.ReLU(), nn.Unflatten(1, (64, 4, 4)),
    grow(64, 32, 7),  # 4x4 -> 7x7
    grow(32, 16, 14),  # 7x7 -> 14x14
    grow(16, 8, 28),  # 14x14 -> 28x28
    nn.Conv2d(8, 1, 3, padding=1), nn.Sigmoid(),
)  # fmt: skip
print(tuple(upsampling_decoder(torch.randn(2, 64)).shape))

# %% [markdown]
# The trained pair from the shelf (eight epochs, one training), beside the four models
# of section 4 at the same code size:

# %%
resnet_autoencoder = pretrained.load("resnet_64")
at_64 = {name: mean_error[name, 64] for name in order}  # from the shipped table
at_64["ResNet"] = metrics.reconstruction_error(resnet_autoencoder, test.images)
plots.bars(
    at_64,
    ylabel="mean squared error per pixel",
    fmt="{:.4f}",
    title="After eight epochs a ResNet as encoder has the smallest error with 64 "
    f"numbers, {at_64['ResNet']:.4f}; PCA {at_64['PCA']:.4f}",
    caption="Test error with 64 code numbers after eight epochs, one bar for each of "
    "five models; the ResNet's is the shortest.",
)

# %% [markdown]
# Of the five it has the smallest error, after the same eight epochs. (One training; and
# in section 4, after 30 epochs, the cured dense model was ahead of this and the
# convolutional one level with it.) It is also the largest of the convolutional models
# by far, so this is no proof that *residual* connections did it. The pixels are one
# thing; whether its *code* knows more about clothes is another, and the next lesson
# asks it.
#
# <details><summary><b>Check yourself.</b> ResNet contains batch normalisation. What
# must you do before you use the trained encoder on a single image?</summary>
#
# Call `eval()`. In training mode batch normalisation uses the mean and deviation of the
# current batch: the code of an image would depend on its neighbours in the batch, and
# with a batch of one image it would be worthless. Lesson 6 shows the same trap when
# freezing.
# </details>
#
# ## 7. What growing leaves behind
#
# A transposed convolution paints overlapping patches. Give it an image of ones and
# weights of ones, and each output pixel counts how many patches cover it. Where counts
# are uneven, the network must unlearn a pattern that the operation puts in. **Which of
# these four gives an even cover (away from the border)?**

# %% tags=["prediction"]
# any of "3x3, stride 2", "2x2, stride 2", "4x4, stride 2", "resize, then 3x3"
my_even = ["2x2, stride 2"]

# %% [markdown]
# We let both operations count: images and weights of ones.

# %%
ones, cover = torch.ones(1, 1, 6, 6), {}
for k in (3, 2, 4):
    weights = torch.ones(1, 1, k, k)
    cover[f"{k}x{k}, stride 2"] = F.conv_transpose2d(ones, weights, stride=2)[0, 0]
large = F.interpolate(ones, scale_factor=2)
cover["resize, then 3x3"] = F.conv2d(large, torch.ones(1, 1, 3, 3), padding=1)[0, 0]
even = [name for name, counts in cover.items() if counts[3:-3, 3:-3].std() == 0]
print("your guess:", my_even)
print("even:      ", even)

# %% [markdown]
# The four covers as grey maps:

# %%
fig, axes = plt.subplots(1, 4, figsize=(9, 3), layout="constrained")
for ax, (name, counts) in zip(axes, cover.items()):
    shown = ax.imshow(counts, cmap="gray", vmin=0, vmax=9, interpolation="nearest")
    ax.set(title=name, xticks=[], yticks=[])
fig.colorbar(shown, ax=axes, label="patches over a pixel", shrink=0.7)

plots.finish(
    fig,
    title=f"Inside the border only {len(cover) - len(even)} of the four covers the "
    "image unevenly: 3x3 with stride 2",
    caption="How many patches cover each pixel. 3x3 with stride 2 shows a checkerboard "
    "of ones, twos and fours; the others are flat inside their borders.",
)

# %% [markdown]
# A kernel that is a multiple of its stride covers evenly. The usual advice is to use
# one, or better, to resize: Odena and others (2016) found that even cover does not
# always help. For even cover is not even paint. In a 2 × 2 patch with stride 2 each of
# the four places has a weight **of its own**. Two such layers end the seminar's
# decoder, so places that agree modulo four share their weights, and neighbours do not.
# (Its first layer, 3 × 3 with stride 2, covers unevenly. The trace of that would repeat
# every eight pixels, and is averaged away in what follows.) **Does the shipped model,
# after 100 epochs, know its surfaces to be smooth?**

# %% tags=["prediction"]
my_lattice = "smooth"  # or "a lattice"

# %% [markdown]
# The eye overlooks it; averaging does not. We take the residual (drawn minus original)
# in the bright insides of garments, where nothing else is going on, and *fold* it: the
# mean of all pixels whose row and column agree modulo four.


# %%
def inside(images):
    """True where a pixel and the 5 x 5 pixels around it are all brighter than 0.3."""
    darkest = -F.max_pool2d(-F.pad(images, [2, 2, 2, 2]), 5, stride=1)
    return darkest > 0.3


def lattice(drawn, images):
    """Mean residual by row and column modulo 4, less the mean of all: (4, 4)."""
    residual, bright = drawn - images, inside(images)
    folded = torch.zeros(4, 4)
    for r in range(4):
        for c in range(4):
            chosen = bright[..., r::4, c::4]
            folded[r, c] = residual[..., r::4, c::4][chosen].mean()
    return folded - folded.mean()


def lattice_of(model):
    return lattice(metrics.apply_in_batches(model, pool), pool)


pool = validation.images[:1000]

# %% [markdown]
# Beside the shipped model: the same with 64 numbers and a sigmoid (section 4), which
# grows by the same transposed layers, but whose rate fell to zero at the end; and the
# ResNet's decoder, which resizes.

# %%
found = {
    "seminar's": lattice_of(shipped),
    "64 numbers": lattice_of(pretrained.load("conv_64")),
    "resized": lattice_of(resnet_autoencoder),
}
strength = {name: float(folded.std()) for name, folded in found.items()}
ratio = strength["seminar's"] / strength["resized"]
print(f"your guess: {my_lattice}    measured: {ratio:.0f} times the resizing decoder's")
pd.DataFrame({"deviation over the 16 places": strength}).round(4)

# %% [markdown]
# A lattice it is, and an instructive one, for the second model grows in the same way
# and has none. So the operation only makes a lattice *possible*. What put it there? One
# difference is the rate: the seminar's stays at 0.001 to the very last step, that of
# the other two falls to zero. We take 200 steps more, once at the constant rate and
# once with a rate that falls to zero, and look on every 20 steps.

# %%
LOOKS = range(20, 201, 20)


def go_on(falls):
    """200 more steps: the lattice at each look, and the model at the end."""
    torch.manual_seed(0)
    model, seen = pretrained.load("conv").train(), []
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(1, 201):
        if falls:
            optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / 200)
        batch = train.images[torch.randint(len(train), (128,))]
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in LOOKS:
            seen.append(float(lattice_of(model).std()))
    return seen, model


constant, _ = go_on(falls=False)
falling, settled = go_on(falls=True)
found["settled"] = lattice_of(settled)
ends = f"constant rate {constant[-1]:.4f}, falling rate {falling[-1]:.4f}"
print(f"lattice after 200 more steps: {ends}")
share = strength["seminar's"] ** 2 / conv_error
print(f"squared, the shipped model's lattice is {share:.0%} of its error")

# %% [markdown]
# Step by step. (The high start belongs to Adam, which begins anew and without memory
# takes some large steps.)

# %%
fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
pink = plots.colour("convolutional")
ax.plot(LOOKS, constant, "o-", color=pink, label="constant rate")
ax.plot(LOOKS, falling, "s--", color=pink, fillstyle="none", label="falling rate")
levels = {"as shipped": (pink, "-."), "resized": (plots.colour("ResNet"), ":")}
for (name, (colour, line)), key in zip(levels.items(), ("seminar's", "resized")):
    ax.axhline(strength[key], color=colour, linestyle=line, label=name)
ax.set(xlabel="more steps", ylabel="strength of the lattice", ylim=(0, None))
ax.legend(frameon=False)

late = constant[3:]
plots.finish(
    fig,
    title=f"From step {LOOKS[3]} on the lattice wanders at a constant rate "
    f"({min(late):.4f} to {max(late):.4f}); with a falling rate it ends at "
    f"{falling[-1]:.4f}",
    caption="Deviation of the mean residual over the 16 places, against further "
    "training steps of the shipped model. The solid line (constant rate) goes up and "
    "down; the dashed one (falling rate) comes down close to the dotted level of the "
    "decoder that resizes.",
)

# %% [markdown]
# The lattices themselves, in grey levels of 256:

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 3.2), layout="constrained")
look = {"cmap": "gray", "vmin": -6, "vmax": 6, "interpolation": "nearest"}
for ax, (name, folded) in zip(axes, found.items()):
    grey_levels = 255 * folded
    ax.imshow(grey_levels, **look)
    for place, value in enumerate(grey_levels.flatten()):
        ink = {"color": "black" if value > 0 else "white", "fontsize": 9}
        ax.text(place % 4, place // 4, f"{value:+.1f}", ha="center", va="center", **ink)
    ax.set(title=name, xlabel="column mod 4", xticks=range(4), yticks=range(4))
axes[0].set_ylabel("row mod 4")

span = 255 * float(found["seminar's"].max() - found["seminar's"].min())
plots.finish(
    fig,
    title=f"A lattice of {span:.0f} grey levels lies over the seminar's pictures after "
    "100 epochs; a rate that falls to zero leaves next to none",
    caption="Mean residual in bright cloth by row and column modulo four, in grey "
    "levels of 256. Left, the shipped model: whole columns too bright or too dark. The "
    "other three (64 numbers, resizing, 200 steps more with a falling rate) are flat.",
)

# %% [markdown]
# The eye does not find the lattice, and training hardly feels it: squared, it is a
# small share of the error. It is the trace of the last steps. Each of them pushes the
# weights of the sixteen places a little apart, and at a constant rate there is always a
# last push. Where the rate falls to zero the weights settle, and a transposed
# convolution paints nearly as evenly as resizing does. (The advice to resize was given
# for generative networks, which have no original to compare with. There a lattice may
# well stay.)
#
# > **Pitfall.** "Transposed convolutions make checkerboards" is repeated everywhere,
# > and so is "an even cover prevents them". Here the same two last layers left a
# > lattice in one model and none in the other, and even cover did not prevent it.
# > Folding the residual takes ten lines and settles it for *yours*.
#
# ## What we have seen
#
# - Every shape and all 43,889 parameters of the seminar's table can be said in advance;
#   7 → 3 loses a row and a column; a transposed convolution gives back the shape, not
#   the values.
# - Validation stays with training for 100 epochs, and the small error is bought with
#   576 numbers. At equal code size depth pays where numbers are few; where they are
#   many, the answer depended on how long we trained. Convolution's gift is that it
#   knows neighbours: shuffle the pixels, and it is lost.
# - ReLU as the last layer leaves nearly half of all random starts without any gradient.
#   A sigmoid, no activation, or a positive bias cures it.
# - A ResNet without head serves as encoder; a decoder grows in steps. Transposed layers
#   can paint a lattice even where they cover evenly; a rate that falls to zero removes
#   it.
#
# **Next:** [lesson 6](06_transfer.ipynb) takes these encoders and asks what they are
# worth when only a hundred images have labels. **Now you:** the exercise
# [05_convolutional](../exercises/05_convolutional/05_convolutional.ipynb).
