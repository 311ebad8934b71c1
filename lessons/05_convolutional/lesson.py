# %% [markdown] question="Do neighbours matter?" source="chapter, 6; seminar, 3"
# # 5. Convolution: where things are matters
#
# A dense layer treats an image as a list of 784 numbers: it would learn just as well if
# somebody had shuffled the pixels. A convolutional layer knows that pixels have
# neighbours. What does an autoencoder gain from that, and how would we know?
#
# **After this lesson you can**
# - build a convolutional autoencoder and say the shape and the parameters of every
#   layer before the computer does;
# - tell whether a small error was earned, by asking how many numbers the code holds;
# - recognise a network that cannot start to learn, and repair it;
# - turn a ResNet into an encoder, and grow an image again without a checkerboard.
#
# **Minutes:** 55 to read and think, 2 to run. **Needs:** lesson 1 (training, the PCA
# baseline). New words are in the [glossary](../GLOSSARY.md).

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
# its table lists it. The encoder repeats one step three times: a **convolution** looks
# at every 3 × 3 neighbourhood with the same small set of weights, `ReLU` keeps what is
# positive, and **max-pooling** keeps the largest of every 2 × 2 pixels, which halves
# height and width. The number of channels doubles from 16 to 64, so the image becomes
# smaller and deeper.
#
# The decoder goes back up with **transposed convolutions**: each pixel of the small map
# paints a 3 × 3 or 2 × 2 patch on the large one, and neighbouring patches start
# `stride` pixels apart.

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
# **Predict.** An image enters as 1 × 28 × 28. How high (and wide) is it after each of
# the three pooling layers? And how many parameters does the first convolution have: one
# 3 × 3 filter and one bias for each of 16 channels?

# %% tags=["prediction"]
my_heights = [14, 7, 4]  # after each pooling: change what you would say differently
my_parameters = 16 * 3 * 3  # of the first convolution

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

guesses = {"heights": my_heights, "parameters": my_parameters}
found = {"heights": heights, "parameters": count_parameters(encoder[0])}
pd.DataFrame({"your guess": guesses, "measured": found})

# %% [markdown]
# The parameters are 16 filters of 1 × 3 × 3, and 16 biases. The third pooling is where
# people slip: 7 is odd, so 2 × 2 windows fit three times and the **last row and column
# are dropped**. Here is the whole table; `torchinfo` prints it for any model.

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
# The decoder must turn 3 × 3 into 7 × 7. With kernel $k$ and stride $s$ a transposed
# convolution makes height $(h-1)\,s + k$ out of height $h$: $(3-1)\cdot 2 + 3 = 7$. It
# is often called "deconvolution", as if it undid a convolution. Let us see what it
# undoes.

# %%
torch.manual_seed(0)
image, kernel = torch.rand(1, 1, 7, 7), torch.randn(1, 1, 3, 3)
small = F.conv2d(image, kernel, stride=2)  # 7x7 -> 3x3
back = F.conv_transpose2d(small, kernel, stride=2)  # 3x3 -> 7x7, with the same weights
print("shapes:", *(tuple(x.shape[2:]) for x in (image, small, back)))
print(f"largest difference from the image: {(image - back).abs().max():.2f}")

# %% [markdown]
# The **shape** comes back, the values do not: nine numbers cannot restore 49. The name
# says what the operation really is. Written as a matrix, it is the *transpose* of the
# convolution, and a transpose is not an inverse. A matrix and its transpose give the
# same inner products, so we can check it:

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
# > **Pitfall.** When a decoder's output is 24 × 24 or 29 × 29, the loss function
# > complains, or worse, *broadcasts*. An odd size on the way down is the usual cause.
# > Print the shapes once, before training.
#
# ## 2. Training: a few epochs here, a hundred from the shelf
#
# The seminar trains with the squared error for each pixel, Adam with its default
# settings, batches of 128, for 100 epochs. We run the first five of them. `fit` is the
# loop that lesson 1 wrote out.

# %%
torch.manual_seed(0)
autoencoder = models.conv_autoencoder()  # the model above, from the course's package
saved = "checkpoints/05_conv.ckpt"
history = fit(autoencoder, train, epochs=5, validation=validation, checkpoint=saved)
history.table().round(4)

# %% [markdown]
# (After an interruption the same cell goes on where it stopped, thanks to the
# checkpoint.) A hundred epochs would take twenty times as long, so the course ships the
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
pink, orange = plots.colour("convolutional"), plots.colour("chapter")
ax.plot(long.epoch, long.train_loss, color=pink, label="training, shipped run")
ax.plot(long.epoch, long.validation_loss, "k--", lw=1, label="validation, shipped run")
epochs = range(1, len(history) + 1)
ax.plot(epochs, history.validation_loss, "o", color=orange, label="validation, our run")
ax.set(xlabel="epoch", ylabel="mean squared error per pixel", yscale="log")
ax.legend(frameon=False)

side = "above" if gap > 0 else "below"
plots.finish(
    fig,
    title=f"After {len(long)} epochs validation lies {abs(gap):.1f} % {side} training",
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
        "5 epochs": autoencoder(ten.images),
        "100 epochs": shipped(ten.images),
    }
after_5 = metrics.reconstruction_error(autoencoder, test.images)
after_100 = metrics.reconstruction_error(shipped, test.images)
plots.image_rows(
    reconstructed,
    columns=ten.class_names,
    title="Every garment is recognised: "
    f"error {after_5:.4f} after 5 epochs, {after_100:.4f} after 100",
    caption="Ten test images above their reconstructions after 5 and 100 epochs: "
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
# The same as bars; hatched means shuffled.

# %%
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
colours = [plots.colour("convolutional"), plots.colour("cured")]
for place, (name, colour) in enumerate(zip(table.index, colours)):
    pair = table.loc[name, list(ORDERS)]
    look = {"color": colour, "hatch": ["", "//"], "edgecolor": "white"}
    drawn = ax.bar([place - 0.2, place + 0.2], pair, width=0.38, **look)
    written = [f"{order}\n{error:.4f}" for order, error in pair.items()]
    ax.bar_label(drawn, written, fontsize=9, padding=2)
ax.set(xticks=range(len(table)), ylabel="validation error per pixel")
ax.set_xticklabels(["convolutional", "dense, 64 numbers"])
ax.margins(y=0.25)

grows = f"{factor['convolutional']:.1f}-fold"
plots.finish(
    fig,
    title=f"Shuffled pixels: the convolutional error grows {grows}, "
    f"the dense one {factor['dense']:.2f}-fold",
    caption="Validation error with pixels in order (plain) and shuffled (hatched). "
    "The dense pair is level, the convolutional pair is not.",
)

# %% [markdown]
# The dense model does not care, as promised: for it the image never had a shape. The
# convolutional model falls far behind, because its only assumption, *what is near
# belongs together*, has been made false. That assumption (an **inductive bias**) is why
# it gets so far with so few weights, and it is worth exactly as much as it is true of
# the data.
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
# We count in steps of five until PCA's validation error is no larger than the model's.

# %%
conv_error = metrics.reconstruction_error(shipped, validation.images)
pca_error = {k: pca.error(validation.images, k) for k in range(1, 577, 5)}
needed = next(k for k in pca_error if pca_error[k] <= conv_error)
print(f"your guess: {my_components}    measured: about {needed}")
print(f"PCA with 256 components: {pca_error[256]:.4f}, the model: {conv_error:.4f}")

# %% [markdown]
# Here is the other side of the coin. A compression of 1.36 is hardly compression; PCA,
# which can only draw straight lines, matches the model with about a third of its
# numbers, and with 256 of them it is clearly ahead. The seminar's picture of good
# reconstructions is true, and it says little: **a code that is wide enough makes any
# autoencoder look good.**
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
# Four kinds of code at equal size: PCA; the dense model of lesson 1 with its linear
# code on centred images; the stacked hourglass; the convolutional one. Each ran for the
# same eight epochs with a rate that falls to zero, three times, from different seeds,
# on the full data. The table is shipped; `table.py` in the lesson's folder made it.
# (With 576 numbers the hourglass ran once.) Which of the four do you expect to be best
# at 10 numbers, and will it still be best at 64?

# %% tags=["prediction"]
my_best_at_10 = "convolutional"  # or "PCA", "cured dense", "stacked"
my_best_at_64 = "convolutional"

# %% [markdown]
# The table, with mean and deviation over three seeds, and its winners at 10 and at 64:

# %%
from importlib.resources import files

runs = pd.read_csv(files("course_utils") / "tables" / "code_sizes.csv")
mean_error = runs.groupby(["model", "k"]).test_error.mean()
best = {k: mean_error.xs(k, level="k").idxmin() for k in (10, 32, 64)}
print(f"at 10 numbers: your guess {my_best_at_10}, measured {best[10]}")
print(f"at 64 numbers: your guess {my_best_at_64}, measured {best[64]}")


def plus_minus(errors):
    """Mean ± standard deviation as text; a single run has no deviation."""
    deviation = f" ± {errors.std():.4f}" if len(errors) > 1 else ""
    return f"{errors.mean():.4f}{deviation}"


cells = runs.groupby(["k", "model"]).test_error.agg(plus_minus)
cells.unstack().fillna("")

# %% [markdown]
# The same as a picture, for the three sizes that all four models have:

# %%
order = ["PCA", "cured dense", "stacked", "convolutional"]
common = [10, 32, 64]
series = {}
for name in order:
    chosen = runs[(runs.model == name) & runs.k.isin(common)]
    by_seed = chosen.pivot(index="seed", columns="k", values="test_error")
    series[name] = by_seed.to_numpy()  # (seeds, sizes)

plots.lines(
    common,
    series,
    xlabel="numbers in the code",
    ylabel="mean squared error per pixel",
    log_x=True,
    log_y=True,
    title=f"At equal code size: {best[10]} leads at 10 numbers, {best[64]} at 64",
    caption="Test error falls with the size of the code; one line for each model. "
    "Shaded: one standard deviation over three seeds; PCA has none.",
)

# %% [markdown]
# Read the figure from left to right. With **ten** numbers the deep models are far ahead
# of PCA and of the one-layer model: they bend, and a bent surface through the data
# needs fewer coordinates. As the code grows the gain melts away: PCA's line falls
# steeply while a deep model's line flattens. What holds it back is no longer its code
# but what its few layers can draw, and how long we train. Depth pays where numbers are
# scarce.
#
# At 576 numbers (last row of the table; the convolutional model's error there is the
# one above the pictures) the order has turned over completely. And convolution? It
# leads nowhere in this table. What it has is thrift: look at what each model spends.

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
# ## 5. A network that cannot start: ReLU as the last layer
#
# The seminar's table ends with a ReLU, and so does our model. It trained well. Now we
# build it **ten times**, with ten different random starts, and show each a few thousand
# images. **How many of the ten will learn?**

# %% tags=["prediction"]
my_learners = 10

# %% [markdown]
# Each start is looked at before training, and its error taken after one short pass.
# Beside the ReLU we try a sigmoid from the same seeds.

# %%
few, held_out = train.images[:3840], validation.images[:1000]


def start(last, seed):
    """One random start and its error after one short pass."""
    torch.manual_seed(seed)
    model = models.conv_autoencoder(last=last)
    bias = model[1][-2].bias.item()  # of the only output channel
    with torch.no_grad():
        black = bool((model(few[:200]) == 0).all())
    fit(model, few, epochs=1, batch_size=64, seed=seed)
    error = metrics.reconstruction_error(model, held_out)
    return {"seed": seed, "bias": bias, "black": black, "error": error}


relu = pd.DataFrame([start(nn.ReLU(), seed) for seed in range(10)])
sigmoid = pd.DataFrame([start(nn.Sigmoid(), seed) for seed in range(10)])

# %% [markdown]
# A model that paints every image black has the error of a black image. Whoever stays
# there has not learned.

# %%
all_black = float(held_out.square().mean())
relu["stuck"] = relu.error > 0.99 * all_black
sigmoid["stuck"] = sigmoid.error > 0.99 * all_black
n_relu, n_sigmoid = relu.stuck.sum(), sigmoid.stuck.sum()
print(f"your guess: {my_learners} learn")
print(f"measured: with ReLU {10 - n_relu} of 10, with sigmoid {10 - n_sigmoid} of 10")

# %% [markdown]
# Model by model:

# %%
fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
ax.axhline(all_black, linestyle=":", color="black", label="error of a black image")
pink, blue = plots.colour("convolutional"), plots.colour("cured")
look = {"linestyle": "none", "markersize": 8}
ax.plot(relu.seed, relu.error, "o", color=pink, label="ReLU last", **look)
ax.plot(sigmoid.seed, sigmoid.error, "^", color=blue, label="sigmoid last", **look)
ax.set(xlabel="seed of the random start", ylabel="validation error per pixel")
ax.set(xticks=relu.seed, ylim=(0, 1.25 * all_black))
ax.legend(frameon=False, loc="upper center", ncol=3)

plots.finish(
    fig,
    title=f"With ReLU on the pixels {n_relu} of 10 models never start; "
    f"with a sigmoid {n_sigmoid}",
    caption="Error after one short pass, ten random starts. Some circles (ReLU) lie "
    "exactly on the line of a black image, no triangle (sigmoid) does.",
)

# %% [markdown]
# The stuck models paint black and go on painting black, whatever the data. Why? Look at
# the one number that all 784 output pixels share: the bias of the only output channel.

# %%
relu[["seed", "bias", "black", "stuck"]].round(2)

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
# is nothing to see.
#
# It is lesson 1's illness in its severe form. There, ReLU killed single code units;
# here it kills the whole network, because everything passes through one channel. The
# cures are as simple: a **sigmoid** (its slope is never zero), or no activation, or a
# last bias set to a small positive number. ReLU has one merit, too: it can paint exact
# black, the colour of so many pixels here, and a sigmoid only comes close.
#
# > **Pitfall.** A loss that stands still from the first epoch on is not "a hard
# > problem". Print the largest gradient. If it is 0.0, no learning rate will help.
#
# ## 6. A borrowed encoder: ResNet without its head
#
# The chapter says: an encoder can be a network that was made for something else, such
# as **ResNet with its classification head removed**; the decoder then has to grow the
# image back step by step. We take ResNet from torchvision and look at what each part
# makes of a 28 × 28 image. `BasicBlock, [1, 1, 1, 1]` is the smallest of the family,
# one block for each stage (ResNet-18 has two).

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
# instead of three, we sum the first layer's filters over colour, which is exact and
# keeps pre-trained weights usable.

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
# `models.resnet_encoder(64, resnet=…)` accepts it). We do not need them: this one was
# trained here, on our images, and is shipped.
#
# The decoder has to do the opposite of a ResNet: **grow**. Each step enlarges the map
# (4 → 7 → 14 → 28) and thins its channels. There are two usual ways to enlarge, and
# section 7 compares them; here we repeat pixels, then convolve.


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
    title=f"A ResNet as encoder: error {at_64['ResNet']:.4f} with 64 numbers, "
    f"PCA {at_64['PCA']:.4f}",
    caption="Test error with 64 code numbers, one bar for each of five models; "
    "the ResNet's is the shortest.",
)

# %% [markdown]
# Of the five it has the smallest error, after the same eight epochs. It is also the
# largest of the convolutional models by far, so this is no proof that *residual*
# connections did it. The pixels are one thing; whether its *code* knows more about
# clothes is another, and the next lesson asks it.
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
# ## 7. Checkerboards
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
    title=f"Only {len(cover) - len(even)} of the four covers the image unevenly: "
    "3x3 with stride 2",
    caption="How many patches cover each pixel. 3x3 with stride 2 shows a checkerboard "
    "of ones, twos and fours; the others are flat inside their borders.",
)

# %% [markdown]
# A kernel that is a multiple of its stride covers evenly; 3 × 3 with stride 2 does not,
# and the seminar's first step up is of that kind. How much does it matter in practice?
# The eye overlooks what a spectrum does not, so we measure: a checkerboard is a wave of
# the shortest length there is, two pixels.


# %%
def finest_share(images):
    """Share of the variation in images (N, 1, 28, 28) that sits in two-pixel waves.

    They run along rows, columns or both: row and column 14 of the spectrum.
    """
    power = torch.fft.fft2(images[:, 0]).abs().square().mean(0)  # (28, 28)
    power[0, 0] = 0  # the mean brightness is no wave
    finest = power[14].sum() + power[:, 14].sum() - power[14, 14]
    return float(finest / power.sum())


# %% [markdown]
# Two decoders learn from the **same frozen codes** of the ResNet encoder. They differ
# only in the way they grow. On the way we look at what each makes of the ten test
# images.

# %%
LOOKS = [0, 5, 20, 50, 100, 200]  # training steps
few = train.images[:6000]
codes = metrics.apply_in_batches(resnet_autoencoder[0], few)  # (6000, 64)
test_codes = metrics.apply_in_batches(resnet_autoencoder[0], ten.images)


def watch(resize):
    """Train a decoder; at each look, the ten test images as it decodes them."""
    torch.manual_seed(0)
    decoder, seen = models.upsampling_decoder(64, resize=resize), {}
    optimizer = torch.optim.Adam(decoder.parameters())
    for step in range(max(LOOKS) + 1):
        if step in LOOKS:
            with torch.no_grad():
                seen[step] = decoder(test_codes)
        batch = torch.randint(len(few), (64,))
        loss = F.mse_loss(decoder(codes[batch]), few[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return seen


# %% [markdown]
# (The encoder is not trained any further, so its codes are computed once.) Both ways to
# grow, and the share of two-pixel waves in their pictures, in per cent of the
# variation:

# %%
GROW = {"transposed 3x3": False, "resize, then 3x3": True}  # name: resize or not
grown = {name: watch(resize) for name, resize in GROW.items()}
shares = pd.DataFrame(
    {
        name: {step: 100 * finest_share(images) for step, images in seen.items()}
        for name, seen in grown.items()
    }
)
shares.rename_axis("steps").round(2)

# %% [markdown]
# First the pictures, each stretched to its own darkest and lightest pixel, because an
# untrained decoder paints grey on grey.

# %%
fig, axes = plt.subplots(2, 4, figsize=(8.5, 4.8), layout="constrained")
for row, (name, seen) in zip(axes, grown.items()):
    row[0].set_ylabel(name)
    for ax, step in zip(row, (0, 20, 50, 200)):
        ax.imshow(seen[step][0, 0], cmap="gray", interpolation="nearest")
        ax.set(xticks=[], yticks=[], title=f"{step} steps")

plots.finish(
    fig,
    title="Before training, transposed convolution paints a checkerboard; "
    "resizing does not",
    caption="A T-shirt decoded before training and after 20, 50 and 200 steps. Above, "
    "a fine grid at the start, below soft blocks; at the end both show the shirt.",
)

# %% [markdown]
# Then the measure, beside that of the original images:

# %%
fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for name, marker, model in zip(shares, "os", ("chapter", "cured")):
    ax.plot(shares[name], marker=marker, color=plots.colour(model), label=name)
originals = 100 * finest_share(ten.images)
ax.axhline(originals, linestyle="--", color="black", label="the original images")
ax.set(xlabel="training steps", ylabel="variation in two-pixel waves (%)", yscale="log")
ax.set_xscale("symlog", linthresh=5)
ax.set_xticks(LOOKS, LOOKS)
ax.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
ax.minorticks_off()
ax.set_xlim(-1, 250)
ax.legend(frameon=False)

first, last = shares.iloc[0], shares.iloc[-1]
plots.finish(
    fig,
    title=f"Two-pixel waves at the start: {first.iloc[0]:.0f} % of all variation "
    f"against {first.iloc[1]:.1f} %; at the end {last.iloc[0]:.2f} % "
    f"and {last.iloc[1]:.2f} %",
    caption="The transposed decoder starts with much of its variation in two-pixel "
    "waves and loses it in training; the resizing decoder starts near zero.",
)

# %% [markdown]
# So the checkerboard is what the operation puts in **before** any learning, and
# training takes it out. But this was one random start of each decoder. How much does
# the grid depend on the start? Twelve of each, untrained (per cent of the variation):

# %%
at_start = {}
for name, resize in GROW.items():
    for seed in range(12):
        torch.manual_seed(seed)
        untrained = models.upsampling_decoder(64, resize=resize)
        with torch.no_grad():
            at_start[name, seed] = 100 * finest_share(untrained(codes[:200]))
starts = pd.Series(at_start).unstack(0)[list(GROW)]
starts.agg(["min", "median", "max"]).round(1)

# %% [markdown]
# It depends much on the start; but even the faintest grid of a transposed decoder is
# far stronger than the strongest of a resizing one. Our squared error removes it
# quickly: it compares pixel with pixel, and two-pixel waves are cheap to see and cheap
# to unlearn. The advice "resize, then convolve" (Odena and others, 2016) comes from
# generative networks, which are trained without an original to compare with, on much
# larger images; there the pattern stays. On 28 × 28 pixels with a squared error either
# way will do. It is worth knowing which of the two you are looking at when a picture
# shows a grid.
#
# > **Pitfall.** "Transposed convolutions make checkerboards" is repeated everywhere,
# > and so is "they do not matter". Both are true somewhere. A spectrum takes five lines
# > and settles it for *your* model.
#
# ## What we have seen
#
# - Every shape and all 43,889 parameters of the seminar's table can be said in advance;
#   7 → 3 loses a row and a column; a transposed convolution gives back the shape, not
#   the values.
# - Validation stays with training for 100 epochs, and the small error is bought with
#   576 numbers. At equal code size depth pays where numbers are few, and PCA catches up
#   as they become many. Convolution's gift is that it knows neighbours: shuffle the
#   pixels, and it is lost.
# - ReLU as the last layer leaves nearly half of all random starts without any gradient.
#   A sigmoid, or a positive bias, cures it.
# - A ResNet without head serves as encoder; a decoder grows in steps. Checkerboards
#   come from uneven overlap, before training.
#
# **Next:** [lesson 6](06_transfer.ipynb) takes these encoders and asks what they are
# worth when only a hundred images have labels. **Now you:** the exercise
# [05_convolutional](../exercises/05_convolutional/05_convolutional.ipynb).
