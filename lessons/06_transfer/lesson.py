# %% [markdown] question="When does pre-training help?" source="seminar, 4.2"
# # 6. Transfer: few labels
#
# Pictures are cheap, labels are not. Suppose somebody gave us 55,000 images of clothes
# and named a hundred of them. An autoencoder can learn from all 55,000, since it needs
# no labels. **Does what it learned help a classifier that has only a hundred?** And
# what if there are five thousand?
#
# **After this lesson you can**
# - reuse an encoder in two ways, frozen and fine-tuned, and freeze it so that it really
#   stays as it was;
# - give pre-trained and new layers their own learning rates;
# - measure what pre-training buys, with error bars, against honest baselines, and say
#   where it stops paying;
# - find out whether an encoder travels to another data set.
#
# **Minutes:** 50 to read and think, 2 to run. **Needs:** lesson 2 (a head on an
# encoder), lesson 5 (the encoders). New words are in the [glossary](../GLOSSARY.md).

# %% tags=["label-budget"]
import copy
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

from course_utils import metrics, models, plots, pretrained
from course_utils.data import load_images, one_of_each
from course_utils.losses import classification
from course_utils.training import fit

# %% [markdown]
# (Cells that carry the tag `label-budget` are also those that made the shipped table of
# section 4.)

# %%
train = load_images("FashionMNIST", "train")
validation = load_images("FashionMNIST", "validation")
test = load_images("FashionMNIST", "test")
counts = f"{len(train):,} training, {len(validation):,} validation, {len(test):,} test"
print(f"{counts} images ({train.source} data)")

# %% [markdown]
# ## 1. A hundred labels
#
# We draw the labelled images at random, the same number from each class, and pretend
# that all other labels do not exist. Which hundred we happen to draw matters a good
# deal, so the draw has a number, and later we repeat everything for several draws.


# %% tags=["label-budget"]
def draw_labels(image_set, n, draw):
    """The same number of each class: images (n, 1, 28, 28) and labels (n,)."""
    generator = torch.Generator().manual_seed(draw)
    chosen = []
    for c in range(10):
        members = torch.nonzero(image_set.labels == c).flatten()
        chosen.append(
            members[torch.randperm(len(members), generator=generator)[: n // 10]]
        )
    chosen = torch.cat(chosen)
    return image_set.images[chosen], image_set.labels[chosen]


# %% [markdown]
# The hundred of draw 0, one row for each class:

# %%
labelled = draw_labels(train, 100, draw=0)
images, labels = labelled
plots.image_rows(
    {name: images[labels == c] for c, name in enumerate(test.class_names)},
    title=f"All that has a name: {len(images)} of {len(train):,} images",
    caption="Ten rows of ten training images, one row for each class: "
    "the labelled images of draw 0.",
)

# %% [markdown]
# ## 2. Three networks that differ only in their past
#
# All three are the seminar's encoder (576 numbers) and a **head** of new layers, which
# turns the code into ten scores.
#
# | | encoder starts from | encoder is trained |
# |---|---|---|
# | **from scratch** | random weights | yes |
# | **frozen** | the autoencoder's weights | no |
# | **fine-tuned** | the autoencoder's weights | yes, at a smaller rate |
#
# The autoencoder is the seminar's, from lesson 5, after six epochs on 55,000 images; no
# label was ever seen. The package ships it as `conv_short`.


# %% tags=["label-budget"]
def new_head(encoder):
    """The new layers: the code's numbers -> 64 -> a score for each of ten classes."""
    numbers = metrics.apply_in_batches(encoder, torch.zeros(1, 1, 28, 28)).numel()
    return nn.Sequential(
        nn.Flatten(), nn.Linear(numbers, 64), nn.ReLU(), nn.Linear(64, 10)
    )


# %% [markdown]
# The encoder is the first half of the autoencoder, and the head is the larger part of
# the two:

# %%
autoencoder = pretrained.load("conv_short")
pretrained_encoder = autoencoder[0]  # the chapter's way to take the encoder out
parts = {"encoder": pretrained_encoder, "head": new_head(pretrained_encoder)}


def count_parameters(model):
    return sum(p.numel() for p in model.parameters())


sizes = {name: count_parameters(part) for name, part in parts.items()}
pd.DataFrame({"parameters": sizes})

# %% [markdown]
# ### Frozen means frozen
#
# To freeze a network most code says `requires_grad_(False)` and leaves it there: the
# optimiser will not move a single parameter. We try this on the ResNet encoder of
# lesson 5 and run twenty batches through it, as training a head would do. The head is
# not even there. **Will the code of an image be the same afterwards?**

# %% tags=["prediction"]
my_change = 0.0  # relative change of the ten images' codes, in per cent

# %% [markdown]
# Suppose that the labelled images are shoes. First the codes of our ten test images as
# they should be:

# %%
resnet_encoder = pretrained.load("resnet_64")[0]
ten = one_of_each(test)
footwear = train.images[torch.isin(train.labels, torch.tensor([5, 7, 9]))]
batches = footwear[:640].split(32)


def codes_of_ten(encoder):
    with torch.no_grad():
        return encoder.eval()(ten.images)


code_before = codes_of_ten(resnet_encoder)

# %% [markdown]
# The careless way. `train()` is what every training loop calls at the start of an
# epoch.

# %%
careless = copy.deepcopy(resnet_encoder).requires_grad_(False)
careless.train()
for batch in batches:
    careless(batch)

pairs = zip(resnet_encoder.parameters(), careless.parameters())
moved = max(float((a - b).detach().abs().max()) for a, b in pairs)
code_after = codes_of_ten(careless)
change = 100 * float((code_after - code_before).norm() / code_before.norm())
print(f"largest change of a parameter: {moved}")
print(f"change of the codes: your guess {my_change} %    measured {change:.0f} %")

# %% [markdown]
# Not one parameter has moved, and yet the codes are different. The culprit is **batch
# normalisation**. In training mode it normalises by the current batch, and it keeps
# *running averages* for later use; those are buffers, not parameters, and no gradient
# is needed to move them. A frozen network must have no gradients **and** stay in `eval`
# mode, even when somebody calls `train()` on the model around it.


# %% tags=["label-budget"]
class Frozen(nn.Module):
    """A network that neither learns nor drifts: no gradients, and always eval mode."""

    def __init__(self, network):
        super().__init__()
        self.network = network.requires_grad_(False)
        self.train(False)

    def train(self, mode=True):
        return super().train(False)

    def forward(self, images):
        return self.network(images)


# %% [markdown]
# The same twenty batches once more, through a model with such an encoder and a head:

# %%
encoder = Frozen(copy.deepcopy(resnet_encoder))
careful = nn.Sequential(encoder, new_head(resnet_encoder))
careful.train()
for batch in batches:
    careful(batch)
print("codes unchanged:", torch.equal(codes_of_ten(encoder), code_before))

# %% [markdown]
# > **Pitfall.** `requires_grad_(False)` without `eval()`: dropout keeps dropping and
# > batch normalisation keeps drifting. It is one of the commonest errors in public
# > transfer code, and no error message comes. (The course's `fit` looks after layers
# > that hold only frozen parameters. Other people's loops do not.)
#
# The seminar's encoder has neither dropout nor batch normalisation, so for it the
# careless way happens to be safe. A habit should not depend on that.
#
# ## 3. Training with two rates
#
# Fine-tuning begins where the frozen model ended: the head is trained already. Were it
# random, so the usual reason goes, its first large errors would flow back and wreck
# what pre-training had built. Then everything may move, the **pre-trained layers at a
# smaller rate** than the new ones: they need an adjustment, not a new beginning. An
# optimiser takes such groups as a list. Fine-tuning thus trains in two stages, so the
# network from scratch gets twice the epochs: a comparison in which one side trained
# longer would prove nothing.

# %% tags=["label-budget"]
# labels: epochs of one stage; fewer labels, more passes
EPOCHS = {100: 40, 500: 20, 1000: 12, 5000: 4}


def train_classifier(model, labelled, groups, seed, stages=1):
    """Cross-entropy, Adam, batches of 32, a rate that falls to zero."""
    epochs = stages * EPOCHS[len(labelled[0])]

    def falling(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)

    fit(
        model, labelled, classification,
        epochs=epochs, batch_size=32, seed=seed, device="cpu", progress=False,
        optimizer=torch.optim.Adam(groups, lr=1e-3), schedule=falling,
    )  # fmt: skip


# %% [markdown]
# From scratch, the network trains as long as the two stages of fine-tuning together:


# %% tags=["label-budget"]
def from_scratch(labelled, seed, build=models.conv_autoencoder):
    torch.manual_seed(seed)
    encoder = build()[0]
    model = nn.Sequential(encoder, new_head(encoder))
    train_classifier(model, labelled, [{"params": model.parameters()}], seed, stages=2)
    return model


# %% [markdown]
# The other two begin with a copy of a pre-trained encoder, and the second of them where
# the first one ends. (A frozen encoder gives the same codes in every epoch, so it is
# enough to compute them once.)


# %% tags=["label-budget"]
def frozen(labelled, seed, pretrained_encoder):
    images, labels = labelled
    encoder = Frozen(copy.deepcopy(pretrained_encoder))
    codes = metrics.apply_in_batches(encoder, images)
    torch.manual_seed(seed)
    head = new_head(encoder)
    train_classifier(head, (codes, labels), [{"params": head.parameters()}], seed)
    return nn.Sequential(encoder, head)


def head_first(labelled, seed, pretrained_encoder, rate=3e-4):
    encoder, head = frozen(labelled, seed, pretrained_encoder)
    model = nn.Sequential(encoder.network, head).requires_grad_(True)  # thawed
    old = {"params": encoder.network.parameters(), "lr": rate}
    new = {"params": head.parameters()}
    train_classifier(model, labelled, [old, new], seed)
    return model


def all_at_once(labelled, seed, pretrained_encoder, rate=1e-3):
    encoder = copy.deepcopy(pretrained_encoder).requires_grad_(True)
    torch.manual_seed(seed)
    head = new_head(encoder)  # random, as in `frozen`
    model = nn.Sequential(encoder, head)
    old = {"params": encoder.parameters(), "lr": rate}
    new = {"params": head.parameters()}
    train_classifier(model, labelled, [old, new], seed, stages=2)
    return model


# %% [markdown]
# One look before the numbers: did each of the three move what it should, and nothing
# else?


# %%
def three_ways(labelled, draw):
    return {
        "from scratch": from_scratch(labelled, draw),
        "frozen": frozen(labelled, draw, pretrained_encoder),
        "fine-tuned": fine_tuned(labelled, draw, pretrained_encoder),
    }


def largest_move(model):
    """The largest difference in any weight from the pre-trained encoder."""
    encoder = model[0].network if isinstance(model[0], Frozen) else model[0]
    pairs = zip(encoder.parameters(), pretrained_encoder.parameters())
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


trained = three_ways(labelled, draw=0)
moves = {name: largest_move(model) for name, model in trained.items()}
pd.DataFrame({"largest difference from the pre-trained encoder": moves}).round(3)

# %% [markdown]
# Frozen: exactly zero. Fine-tuned: a little. From scratch: another network altogether.
# Now the question of the lesson. With a hundred labels, which of the three is best on
# the test images, and by how many percentage points over *from scratch*?

# %% tags=["prediction"]
my_best, my_points = "fine-tuned", 10

# %% [markdown]
# Accuracy is the share of right answers:


# %% tags=["label-budget"]
def accuracy(model, image_set):
    """Share of images whose largest score stands at the right class."""
    scores = metrics.apply_in_batches(model, image_set.images)
    return float((scores.argmax(dim=1) == image_set.labels).float().mean())


# %% [markdown]
# Five draws, three methods, fifteen networks:

# %%
reached = {}
for draw in range(5):
    trained = three_ways(draw_labels(train, 100, draw), draw)
    reached[draw] = {
        name: 100 * accuracy(model, test) for name, model in trained.items()
    }
wide = pd.DataFrame(reached).T  # one row for each draw

best = wide.mean().idxmax()
points = wide[best].mean() - wide["from scratch"].mean()
print(f"your guess: {my_best}, {my_points} points    measured: {best}, {points:+.1f}")
gain = wide[["frozen", "fine-tuned"]].sub(wide["from scratch"], axis=0)
both = pd.concat([wide, gain.add_suffix(" minus scratch")], axis=1)
both.agg(["mean", "std"]).round(1)

# %% [markdown]
# Five draws of a hundred labels each, test accuracy in per cent. The first three
# columns are the methods, the last two the differences **on the same draw**. Look at
# the deviations: which hundred images we happened to draw moves every method by a point
# or two, and a lucky hundred helps all of them. Comparing within a draw takes that luck
# out of the comparison, and it belongs in every experiment of this kind.
#
# > **Pitfall.** One draw, one seed, one number: with so few labels the order of two
# > methods can be an accident. Repeat, and print the deviation.

# %% [markdown]
# ## 4. Where pre-training stops paying
#
# The same with 500, 1,000 and 5,000 labels, and with two baselines that need no
# network: logistic regression on the pixels and on 64 PCA numbers. That takes too long
# for a lesson, so it was run once, on the full data, by `table.py` in the lesson's
# folder, with the functions of this page, and its table is shipped. In a clone of the
# course you can run it again.

# %%
table = pd.read_csv(files("course_utils") / "tables" / "transfer.csv")
print(f"{len(table)} classifiers trained and tested; the first three:")
table.head(3)

# %% [markdown]
# **Predict.** Fine-tuned minus from scratch, for the seminar's encoder, in percentage
# points: at 100 labels, at 1,000 and at 5,000.

# %% tags=["prediction"]
my_gains = {100: 5, 1000: 2, 5000: 1}

# %% [markdown]
# Two small helpers first: one picks rows of the table, one writes a mean with its
# deviation.

# %%
BUDGETS = [100, 500, 1000, 5000]


def runs_of(table, method, encoder):
    """Accuracies in per cent: (draws, budgets)."""
    chosen = table[(table.method == method) & (table.encoder == encoder)]
    by_draw = chosen.pivot(index="draw", columns="labels", values="accuracy")
    return 100 * by_draw[BUDGETS].to_numpy()


def written(values):
    """Mean ± deviation over the draws, one text for each budget."""
    pairs = zip(values.mean(0), values.std(0, ddof=1))
    return [f"{mean:+.1f} ± {deviation:.1f}" for mean, deviation in pairs]


# %% [markdown]
# What fine-tuning adds, in points, paired by draw:

# %%
METHODS = ("from scratch", "frozen", "fine-tuned")
conv = {method: runs_of(table, method, "conv") for method in METHODS}
pixels = runs_of(table, "pixels", "none")
gain = conv["fine-tuned"] - conv["from scratch"]  # (draws, budgets)
differences = {
    "over from scratch": written(gain),
    "your guess": [my_gains.get(n, "") for n in BUDGETS],
    "over pixels": written(conv["fine-tuned"] - pixels),
}
pd.DataFrame(differences, index=pd.Index(BUDGETS, name="labels"))

# %% [markdown]
# For the lines behind these differences each method gets a colour, a marker and a line
# of its own.

# %%
STYLE = {  # colour, marker, line
    "from scratch": (plots.PALETTE["baseline"], "o", "-"),
    "frozen": (plots.PALETTE["affine"], "s", "--"),
    "fine-tuned": (plots.PALETTE["cured"], "^", "-"),
    "PCA": (plots.PALETTE["PCA"], "D", ":"),
    "pixels": (plots.PALETTE["chapter"], "v", ":"),
}


def draw_lines(ax, lines):
    """Mean and deviation against the labels; ``lines``: label -> (runs, style)."""
    for i, (label, (values, (colour, marker, line))) in enumerate(lines.items()):
        x = np.array(BUDGETS) * 1.03 ** (i - len(lines) / 2)  # bars side by side
        look = {"color": colour, "marker": marker, "linestyle": line, "capsize": 3}
        ax.errorbar(x, values.mean(0), values.std(0, ddof=1), label=label, **look)
    ax.set(xscale="log", xlabel="labelled images", ylabel="test accuracy (%)")
    ax.set_xticks(BUDGETS, [f"{n:,}" for n in BUDGETS])
    ax.minorticks_off()


# %% [markdown]
# Five methods, from all draws:

# %% tags=["readme"]
shown = {name: (values, STYLE[name]) for name, values in conv.items()}
for name in ("PCA", "pixels"):
    label = f"{name} + logistic regression"
    shown[label] = (runs_of(table, name, "none"), STYLE[name])
fig, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
draw_lines(ax, shown)
ax.legend(frameon=False, loc="lower right")

few, many = gain[:, 0].mean(), gain[:, 3].mean()
plots.finish(
    fig,
    title=f"Fine-tuning gains {few:+.1f} points at 100 labels and {many:+.1f} at 5,000",
    caption="Test accuracy against the number of labels, five draws, error bars of one "
    "standard deviation. All lines rise; fine-tuned stays above from scratch.",
)

# %% [markdown]
# Follow two lines. **Fine-tuned** stays above **from scratch**, and the distance
# shrinks as labels are added: it is worth most at a hundred and least at five thousand,
# where the labels themselves can teach the encoder what it needs. Is this where
# pre-training stops paying? For this encoder nearly; section 5 finds one for which it
# does.
#
# The sobering lines are **frozen** and **pixels**. Frozen is level with the network
# from scratch at a hundred labels and then falls behind: what a code made for drawing
# has left out, no head can bring back. And logistic regression on raw pixels, which
# knows nothing of pre-training, is ahead of the network from scratch up to a thousand
# labels. The last column of the table above tells how much of the gain is left beside
# that line: at a hundred labels no more than the luck of the draw.
#
# > **Pitfall.** "Pre-training helps", measured only against the same network from
# > scratch. The baseline is the best *simple* method.
#
# <details><summary><b>Check yourself.</b> Logistic regression on raw pixels does so
# well with a hundred labels. Does that make the autoencoder useless?</summary>
#
# It makes the comparison honest. Fashion-MNIST images are centred and alike, so pixels
# are good features already, and a simple model on them is hard to beat with few labels.
# What pre-training buys this network is that it catches up with them. On photographs,
# where a single pixel means little, the gap is far larger.
# </details>
#
# ## 5. Which code knows most about clothes?
#
# Three encoders were trained on the same images without labels: the seminar's; the
# denoising one of lesson 3, which learned to repair; and the ResNet of lesson 5, which
# had the smallest error of all codes of its size. They differ in much:

# %%
WEIGHTS = {"conv": "conv_short", "DAE": "dae", "ResNet": "resnet_64"}
encoders = {kind: pretrained.load(name)[0] for kind, name in WEIGHTS.items()}
differ = {}
for kind, encoder in encoders.items():
    differ[kind] = {
        "numbers in the code": metrics.apply_in_batches(encoder, ten.images)[0].numel(),
        "parameters": count_parameters(encoder),
        "epochs of pre-training": pretrained.card(WEIGHTS[kind])["epochs"],
    }
pd.DataFrame(differ).T

# %% [markdown]
# **With which code does a frozen head do best at a hundred labels?**

# %% tags=["prediction"]
my_encoder = "ResNet"  # or "conv", "DAE"

# %% [markdown]
# The table knows; five draws of a hundred labels each:

# %%
NAMES = {"conv": "seminar's", "DAE": "denoising", "ResNet": "ResNet"}
at_100 = {kind: runs_of(table, "frozen", kind)[:, 0] for kind in NAMES}
best_frozen = max(at_100, key=lambda kind: at_100[kind].mean())
reached = at_100[best_frozen]
print(f"your guess: {my_encoder}    best at 100 labels: {best_frozen},", end=" ")
print(f"{reached.mean():.1f} ± {reached.std(ddof=1):.1f} %")

# %% [markdown]
# And with more labels?

# %%
shown = {}
looks = {"conv": ("convolutional", "o"), "DAE": ("DAE", "s"), "ResNet": ("ResNet", "^")}
for kind, (colour, marker) in looks.items():
    label = f"{NAMES[kind]}, {differ[kind]['numbers in the code']} numbers, frozen"
    style = (plots.PALETTE[colour], marker, "--")
    shown[label] = (runs_of(table, "frozen", kind), style)
shown["pixels + logistic regression"] = (pixels, STYLE["pixels"])

fig, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
draw_lines(ax, shown)
ax.legend(frameon=False, loc="lower right")
plots.finish(
    fig,
    title="Frozen, 100 labels: the best code is that of the "
    f"{NAMES[best_frozen]} encoder",
    caption="Test accuracy of a head on three frozen encoders (dashed) and of logistic "
    "regression on pixels (dotted), five draws, bars of one standard deviation.",
)

# %% [markdown]
# A surprise. The denoising encoder is a single dense layer, the simplest of the three,
# and it never learned to copy; yet with every number of labels its code is the best one
# for a head, several points above the two convolutional ones and above the pixels. To
# repair an image one must know what garments look like; to copy it, one need not. And
# the ResNet's 64 numbers serve a head as well as the seminar's 576, or better.
# **Neither a small reconstruction error nor a wide code is the goal of pre-training**,
# and choosing an encoder by them is choosing by the wrong number.
#
# ### And when the encoder may move?
#
# Now each of the three networks from scratch, frozen and fine-tuned. **For which of
# them is pre-training worth least at 5,000 labels?**

# %% tags=["prediction"]
my_least = "DAE"  # or "conv", "ResNet"

# %% [markdown]
# Fine-tuned minus from scratch, in points, paired by draw:

# %%
gains = {}
for kind in NAMES:
    scratch = runs_of(table, "from scratch", kind)
    gains[kind] = runs_of(table, "fine-tuned", kind) - scratch
least = min(gains, key=lambda kind: gains[kind][:, -1].mean())
print(f"your guess: {my_least}    measured: {least}")
minus_scratch = {NAMES[kind]: written(gain) for kind, gain in gains.items()}
pd.DataFrame(minus_scratch, index=pd.Index(BUDGETS, name="labels"))

# %% [markdown]
# The accuracies themselves, one panel for each network:

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 4.2), sharey=True, layout="constrained")
for ax, (kind, gain) in zip(axes, gains.items()):
    lines = {name: (runs_of(table, name, kind), STYLE[name]) for name in METHODS}
    draw_lines(ax, lines)
    few, many = gain[:, 0].mean(), gain[:, -1].mean()
    gained = f"{few:+.1f} points at 100, {many:+.1f} at 5,000"
    ax.set_title(f"{NAMES[kind]} encoder:\n{gained}", fontsize=10)
    ax.label_outer()
axes[0].legend(frameon=False, loc="lower right")

plots.finish(
    fig,
    title="What fine-tuning adds to training from scratch depends on the network: "
    f"least with the {least} encoder",
    caption="Test accuracy against the number of labels, three encoders, five draws. "
    "In the first two panels fine-tuned lies above scratch, in the third they meet.",
)

# %% [markdown]
# The table behind both figures (per cent, mean ± deviation over the draws; encoder
# "none" means that no network was used):


# %%
def per_cent(shares):
    return f"{100 * shares.mean():.1f} ± {100 * shares.std():.1f}"


cells = table.groupby(["encoder", "method", "labels"]).accuracy.agg(per_cent)
cells.unstack().fillna("")

# %% [markdown]
# With the seminar's encoder and the denoising one, fine-tuning is worth about three
# points at a hundred labels, and less at five thousand. **With the ResNet it is hardly
# worth anything, and at 5,000 labels the network from scratch is ahead**: there
# pre-training has stopped paying. A network whose layers suit pictures learns quickly
# from the labels themselves; what a short pre-training on copying gave it, it can find
# alone, and better. Look across the panels, too: at a hundred labels the ResNet from
# scratch does at least as well as the seminar's encoder fine-tuned. Choosing the
# network well bought as much as pre-training the other one.
#
# And the one-layer denoising encoder, fine-tuned or merely frozen, is among the best
# that a hundred labels can buy here.
#
# ## 6. Which layers to keep, and how fast they may move
#
# The seminar advises: keep the *lower* layers, renew the upper ones, then fine-tune.
# Lower layers see edges and patches, of use for any task; upper layers serve the task
# they were trained for, here the reconstruction. We try it with a hundred labels: two
# blocks kept and the third renewed; and everything kept, but with **one rate** for old
# and new layers.


# %% tags=["label-budget"]
def lower_layers(labelled, seed, pretrained_encoder):
    """Two pre-trained blocks at the smaller rate; third block and head are new."""
    torch.manual_seed(seed)
    kept = copy.deepcopy(pretrained_encoder[:6]).requires_grad_(True)
    third_block = models.conv_autoencoder()[0][6:]
    renewed = nn.Sequential(third_block, new_head(pretrained_encoder))
    model = nn.Sequential(kept, renewed)
    old = {"params": kept.parameters(), "lr": 3e-4}
    new = {"params": renewed.parameters()}
    train_classifier(model, labelled, [old, new], seed, stages=2)
    return model


# %% [markdown]
# The same five draws as in section 3:

# %%
kept = pd.DataFrame(
    {"nothing kept": wide["from scratch"], "all kept, slower": wide["fine-tuned"]}
)
for draw in kept.index:
    labelled = draw_labels(train, 100, draw)
    one_rate = fine_tuned(labelled, draw, pretrained_encoder, rate=1e-3)
    two_blocks = lower_layers(labelled, draw)
    kept.loc[draw, "all kept, one rate"] = 100 * accuracy(one_rate, test)
    kept.loc[draw, "two blocks kept, third new"] = 100 * accuracy(two_blocks, test)
kept.agg(["mean", "std"]).round(1)

# %% [markdown]
# The same as bars:

# %%
reused = kept.drop(columns="nothing kept").mean()
gained = reused.mean() - kept["nothing kept"].mean()
apart = reused.max() - reused.min()
plots.bars(
    kept.mean().to_dict(),
    errors=kept.std().to_dict(),
    ylabel="test accuracy (%)",
    fmt="{:.1f}",
    title=f"Reusing the encoder gains {gained:.1f} points; "
    f"what exactly is kept changes {apart:.1f}",
    caption="Mean test accuracy over five draws with error bars of one standard "
    "deviation. The bar of nothing kept is the lowest, the others differ little.",
)

# %% [markdown]
# Compare the bars with their error bars before you believe an order. "Nothing kept" is
# the lowest; whether two blocks or all three are kept, and whether the old layers move
# at a third of the rate or at the full one, matters far less than the draw of labels.
# On such a small encoder the choice is not critical. The habit of the smaller rate
# comes from large networks, where one wild step can cost what weeks have built.
#
# ## 7. From one data set to the other
#
# The bravest transfer: an encoder learns from handwritten **digits** and never sees a
# garment; its code must tell shirts from coats. And back. **Will the foreign encoder,
# fine-tuned with 100 labels, be better or worse than training from scratch?**

# %% tags=["prediction"]
my_foreign = "better"  # or "worse", "the same"

# %% [markdown]
# We pre-train one encoder on each set, in the same way and in a few seconds.


# %% tags=["label-budget"]
def pretrain(images, start):
    """The encoder of the seminar's model after four passes over 10,000 images."""
    torch.manual_seed(start)
    autoencoder = models.conv_autoencoder()
    how = {"epochs": 4, "seed": start, "device": "cpu", "progress": False}
    fit(autoencoder, images[:10_000], **how)
    return autoencoder[0]


# %%
sets = {
    "clothes": (train, test),
    "digits": (load_images("MNIST", "train"), load_images("MNIST", "test")),
}
encoders = {name: pretrain(seen.images) for name, (seen, _) in sets.items()}

# %% [markdown]
# Now both get a hundred labels of either set.

# %%
rows = []
for labels_of, (pool, exam) in sets.items():
    for draw in range(3):
        labelled = draw_labels(pool, 100, draw)
        trained = {"from scratch": from_scratch(labelled, draw)}
        for origin, encoder in encoders.items():
            whose = "own images" if origin == labels_of else "other images"
            trained[whose] = fine_tuned(labelled, draw, encoder)
        reached = {name: 100 * accuracy(model, exam) for name, model in trained.items()}
        rows.append({"labels of": labels_of, "draw": draw} | reached)
cross = pd.DataFrame(rows).set_index(["labels of", "draw"])
cross = cross[["from scratch", "other images", "own images"]]
cross.groupby("labels of").agg(["mean", "std"]).round(1)

# %% [markdown]
# Test accuracy in per cent. What the two encoders add to the random start, in points:

# %%
over = cross.sub(cross["from scratch"], axis=0).groupby("labels of").mean()
print(f"your guess: a foreign encoder is {my_foreign}    measured, over scratch:")
over[["other images", "own images"]].round(1)

# %% [markdown]
# Beside each other:

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
colours = [plots.PALETTE[name] for name in ("baseline", "DAE", "cured")]
for ax, what in zip(axes, sets):
    part = cross.loc[what]
    look = {"color": colours, "yerr": part.std(), "capsize": 4}
    drawn = ax.bar(part.columns, part.mean(), **look)
    ax.bar_label(drawn, fmt="%.1f", padding=2)
    ax.set(title=f"labels of {what}", ylabel="test accuracy (%)", ylim=(0, 105))

clothes, digits = over["other images"].loc[["clothes", "digits"]]
plots.finish(
    fig,
    title="An encoder from the other data set, fine-tuned with 100 labels: "
    f"{clothes:+.1f} points on clothes, {digits:+.1f} on digits",
    caption="Test accuracy from scratch, with the encoder from the other data set, and "
    "with that from the same; three draws, error bars of one standard deviation.",
)

# %% [markdown]
# Did you expect this? On the full data the foreign encoder is no help but a
# **handicap**, on clothes and on digits: the network from scratch does better. And on
# digits even the encoder that saw digits loses against a random start. This is called
# *negative transfer*. The likely reason is that these encoders are no neutral starting
# point: a short pre-training has bent them towards copying, and a hundred labels at a
# small rate do not bend them back. On clothes the longer pre-training of section 3 was
# worth more than this one, with 10,000 images and four passes, and the own encoder at
# least does no harm.
#
# > **Pitfall.** "Pre-trained" sounds like "better". Keep the random start in every
# > comparison; sometimes it wins.
#
# <details><summary><b>Check yourself.</b> Was it cheating to pre-train on all 55,000
# images when we pretend to have only a hundred labels?</summary>
#
# No: pre-training read no label. It would have been cheating to include the *test*
# images, though even that is done ("transductive" learning). It would also be cheating
# to choose rates and epochs on the test set, or on a validation set with 5,000 labels
# while claiming to own a hundred. We are not quite innocent: our rates and epochs were
# fixed once, on the validation images, with one draw of labels, and are the same for
# all methods. That should be said in a paper.
# </details>
#
# ## 8. Weights from elsewhere
#
# For photographs one would start from a network trained on ImageNet's million labelled
# images. Where the machine can reach the network, three lines fetch such weights; the
# rest of this lesson stays as it is.
#
# ```python
# from torchvision.models import resnet18
# resnet = resnet18(weights="DEFAULT")  # 45 MB, fetched once
# encoder = models.resnet_encoder(64, resnet=resnet)
# ```
#
# Its last linear layer is new and random, so train that first, with the body `Frozen`,
# as in section 2. Keep in mind what ImageNet has that we have not: labels. An
# autoencoder asks of its code only that the *pixels* can be redrawn, and most of what
# is needed to redraw a shirt (its exact outline, its shade) does not help to call it a
# shirt. Methods that ask better questions without labels, such as contrastive learning
# or masked autoencoders, have taken the lead since; they are this lesson's idea with
# another loss.
#
# ## What we have seen
#
# - An encoder is reused frozen or fine-tuned. Frozen needs two things, no gradients
#   *and* eval mode, since batch normalisation drifts while no parameter moves and no
#   error message comes.
# - Head first, then everything, with a smaller rate for what was pre-trained.
# - Gains are measured over draws of labels, paired, and beside PCA and pixels.
#   Fine-tuning is worth most where labels are fewest, and its gain melts as they become
#   many; with the ResNet it was gone at 5,000.
# - The best code for a head is not the one that reconstructs best: the denoising
#   encoder won. And transfer can hurt: an encoder from the other data set did worse
#   than a random start.
#
# **Your turn:** the [exercise](../exercises/06_transfer/06_transfer.ipynb) to this
# lesson.
#
# **Next:** [lesson 7](07_dimensionality_reduction.ipynb) looks at the codes themselves:
# when is an autoencoder the better way to fewer dimensions?
