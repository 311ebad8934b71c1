# %% [markdown]
# # 6. Transfer: few labels
#
# Pictures are cheap, labels are not. Suppose somebody gave us 55,000 images of clothes and named a hundred of them. An
# autoencoder can learn from all 55,000, since it needs no labels. **Does what it learned help a classifier that has only a
# hundred?** And what if there are five thousand?
#
# **After this lesson you can**
# - reuse an encoder in two ways, frozen and fine-tuned, and freeze it so that it really stays as it was;
# - give pre-trained and new layers their own learning rates;
# - measure what pre-training buys, with error bars, against honest baselines, and say where it stops paying;
# - find out whether an encoder travels to another data set.
#
# **Minutes:** 50 to read and think, 2 to run. **Needs:** lesson 2 (a head on an encoder), lesson 5 (the encoders). New
# words are in the [glossary](../GLOSSARY.md).

# %% tags=["label-budget"]
import copy
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import metrics, models, plots, pretrained
from course_utils.data import load_images, one_of_each
from course_utils.training import classification, fit

# %% [markdown]
# (Cells that carry the tag `label-budget` are also those that made the shipped table of section 4.)

# %%
train = load_images("FashionMNIST", "train")
validation = load_images("FashionMNIST", "validation")
test = load_images("FashionMNIST", "test")
print(f"{len(train):,} training, {len(validation):,} validation, {len(test):,} test images ({train.source} data)")

# %% [markdown]
# ## 1. A hundred labels
#
# We draw the labelled images at random, the same number from each class, and pretend that all other labels do not exist.
# Which hundred we happen to draw matters a good deal, so the draw has a number, and later we repeat everything for several.

# %% tags=["label-budget"]
def draw_labels(image_set, n, draw):
    """``n`` labelled images, the same number of each class: images (n, 1, 28, 28), labels (n,)."""
    generator = torch.Generator().manual_seed(draw)
    chosen = []
    for c in range(10):
        members = torch.nonzero(image_set.labels == c).flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[: n // 10]])
    chosen = torch.cat(chosen)
    return image_set.images[chosen], image_set.labels[chosen]

# %% [markdown]
# The hundred of draw 0, one row for each class:

# %%
labelled = draw_labels(train, 100, draw=0)
plots.image_rows({name: labelled[0][labelled[1] == c] for c, name in enumerate(test.class_names)},
                 f"All that has a name: {len(labelled[0])} of {len(train):,} images",
                 "Ten rows of ten training images, one row for each class: the labelled images of draw 0.")

# %% [markdown]
# ## 2. Three networks that differ only in their past
#
# All three are the seminar's encoder (576 numbers) and a **head** of new layers, which turns the code into ten scores.
#
# | | encoder starts from | encoder is trained |
# |---|---|---|
# | **from scratch** | random weights | yes |
# | **frozen** | the autoencoder's weights | no |
# | **fine-tuned** | the autoencoder's weights | yes, at a smaller rate |
#
# The autoencoder is the seminar's, from lesson 5, after six epochs on 55,000 images; no label was ever seen. The package
# ships it as `conv_short`.

# %% tags=["label-budget"]
def new_head(encoder):
    """The new layers: a code as wide as the encoder's -> 64 -> one score for each of the ten classes."""
    numbers = metrics.apply_in_batches(encoder, torch.zeros(1, 1, 28, 28)).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(numbers, 64), nn.ReLU(), nn.Linear(64, 10))

# %% [markdown]
# The encoder is the first half of the autoencoder, and the head is the larger part of the two:

# %%
autoencoder = pretrained.load("conv_short")
pretrained_encoder = autoencoder[0]  # the chapter's way to take the encoder out
head = new_head(pretrained_encoder)
for name, part in {"encoder": pretrained_encoder, "head": head}.items():
    print(f"{name:8} {sum(p.numel() for p in part.parameters()):,} parameters")

# %% [markdown]
# ### Frozen means frozen
#
# To freeze a network most code says `requires_grad_(False)` and leaves it there: the optimiser will not move a single
# parameter. We try this on the ResNet encoder of lesson 5 and run twenty batches through it, as training a head would do.
# The head is not even there. **Will the code of an image be the same afterwards?**

# %% tags=["prediction"]
my_change = 0.0  # relative change of the ten images' codes, in per cent

# %%
resnet_encoder = pretrained.load("resnet_64")[0]
ten = one_of_each(test)
with torch.no_grad():
    code_before = resnet_encoder.eval()(ten.images)

careless = copy.deepcopy(resnet_encoder).requires_grad_(False)
careless.train()  # what every training loop does at the start of an epoch
parameters_before = [p.clone() for p in careless.parameters()]
footwear = train.images[(train.labels == 5) | (train.labels == 7) | (train.labels == 9)]  # suppose the labelled images are shoes
for batch in footwear[:640].split(32):
    careless(batch)

with torch.no_grad():
    code_after = careless.eval()(ten.images)
moved = max(float((a - b).abs().max()) for a, b in zip(parameters_before, careless.parameters()))
change = 100 * float((code_after - code_before).norm() / code_before.norm())
print(f"largest change of a parameter: {moved}")
print(f"change of the codes: your guess {my_change} %    measured {change:.0f} %")

# %% [markdown]
# Not one parameter has moved, and yet the codes are different. The culprit is **batch normalisation**. In training mode it
# normalises by the current batch, and it keeps *running averages* for later use; those are buffers, not parameters, and no
# gradient is needed to move them. A frozen network must have no gradients **and** stay in `eval` mode, even when somebody
# calls `train()` on the model around it.

# %% tags=["label-budget"]
class Frozen(nn.Module):
    """A network that neither learns nor drifts: no gradients, and eval mode whatever is asked of it."""

    def __init__(self, network):
        super().__init__()
        self.network = network.requires_grad_(False)
        self.train(False)

    def train(self, mode=True):
        return super().train(False)

    def forward(self, images):
        return self.network(images)

# %% [markdown]
# The same twenty batches once more, through a model with such an encoder and a head.

# %%
careful = nn.Sequential(Frozen(copy.deepcopy(resnet_encoder)), new_head(resnet_encoder))
careful.train()
for batch in footwear[:640].split(32):
    careful(batch)
with torch.no_grad():
    print("codes unchanged:", torch.equal(careful.eval()[0](ten.images), code_before))

# %% [markdown]
# > **Pitfall.** `requires_grad_(False)` without `eval()`: dropout keeps dropping and batch normalisation keeps drifting. It
# > is one of the commonest errors in public transfer code, and no error message comes. (The course's `fit` looks after
# > layers that hold only frozen parameters. Other people's loops do not.)
#
# The seminar's encoder has neither dropout nor batch normalisation, so for it the careless way happens to be safe. A habit
# should not depend on that.
#
# ## 3. Training with two rates
#
# Fine-tuning begins where the frozen model ended: the head is trained already. Were it random, its first large errors would
# flow back and wreck what pre-training had built. Then everything may move, the **pre-trained layers at a smaller rate**
# than the new ones: they need an adjustment, not a new beginning. An optimiser takes such groups as a list. Fine-tuning
# thus trains in two stages, so the network from scratch gets twice the epochs: a comparison in which one side trained
# longer would prove nothing.

# %% tags=["label-budget"]
EPOCHS = {100: 40, 500: 20, 1000: 12, 5000: 4}  # of one stage; fewer labels, more passes


def train_classifier(model, labelled, groups, seed, stages=1):
    """Cross-entropy, Adam, batches of 32, a rate that falls to zero: the same for every method."""
    epochs = stages * EPOCHS[len(labelled[0])]
    fit(model, labelled, classification, epochs=epochs, batch_size=32, seed=seed, device="cpu", progress=False,
        optimizer=torch.optim.Adam(groups, lr=1e-3),
        schedule=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs))


def from_scratch(labelled, seed, build=models.conv_autoencoder):
    torch.manual_seed(seed)
    encoder = build()[0]
    model = nn.Sequential(encoder, new_head(encoder))
    train_classifier(model, labelled, [{"params": model.parameters()}], seed, stages=2)  # as long as fine-tuning's two stages
    return model

# %% [markdown]
# The other two begin with a copy of a pre-trained encoder, and the second of them where the first one ends.

# %% tags=["label-budget"]
def frozen(labelled, seed, pretrained_encoder):
    encoder = Frozen(copy.deepcopy(pretrained_encoder))
    codes = metrics.apply_in_batches(encoder, labelled[0])  # a frozen encoder gives the same codes every epoch: once is enough
    torch.manual_seed(seed)
    head = new_head(encoder)
    train_classifier(head, (codes, labelled[1]), [{"params": head.parameters()}], seed)
    return nn.Sequential(encoder, head)


def fine_tuned(labelled, seed, pretrained_encoder, rate=3e-4):
    model = frozen(labelled, seed, pretrained_encoder)
    model = nn.Sequential(model[0].network, model[1]).requires_grad_(True)  # thawed
    train_classifier(model, labelled, [{"params": model[0].parameters(), "lr": rate}, {"params": model[1].parameters()}], seed)
    return model

# %% [markdown]
# One look before the numbers: did each of the three move what it should, and nothing else?

# %%
def largest_move(model):
    """How far the encoder went from the pre-trained weights: the largest difference in any weight."""
    encoder = model[0].network if isinstance(model[0], Frozen) else model[0]
    return max(float((a - b).detach().abs().max()) for a, b in zip(encoder.parameters(), pretrained_encoder.parameters()))


trained = {"from scratch": from_scratch(labelled, 0), "frozen": frozen(labelled, 0, pretrained_encoder),
           "fine-tuned": fine_tuned(labelled, 0, pretrained_encoder)}
for name, model in trained.items():
    print(f"{name:13} largest difference from the pre-trained encoder: {largest_move(model):.3f}")

# %% [markdown]
# Frozen: exactly zero. Fine-tuned: a little. From scratch: another network altogether. Now the question of the lesson. With
# a hundred labels, which of the three is best on the test images, and by how many percentage points over *from scratch*?

# %% tags=["prediction"]
my_best, my_points = "fine-tuned", 10

# %% tags=["label-budget"]
def accuracy(model, image_set):
    """Share of images whose largest score stands at the right class."""
    return float((metrics.apply_in_batches(model, image_set.images).argmax(dim=1) == image_set.labels).float().mean())

# %% [markdown]
# Five draws, three methods, fifteen networks:

# %%
live = []
for draw in range(5):
    labelled = draw_labels(train, 100, draw)
    classifiers = {"from scratch": from_scratch(labelled, draw), "frozen": frozen(labelled, draw, pretrained_encoder),
                   "fine-tuned": fine_tuned(labelled, draw, pretrained_encoder)}
    live += [{"draw": draw, "method": name, "accuracy": 100 * accuracy(model, test)} for name, model in classifiers.items()]
wide = pd.DataFrame(live).pivot(index="draw", columns="method", values="accuracy")
gain = wide[["frozen", "fine-tuned"]].sub(wide["from scratch"], axis=0)
best = wide.mean().idxmax()
points = wide[best].mean() - wide["from scratch"].mean()
print(f"your guess: {my_best}, {my_points} points    measured: {best}, {points:+.1f} points")
pd.concat([wide, gain.add_suffix(" minus scratch")], axis=1).agg(["mean", "std"]).round(1)

# %% [markdown]
# Five draws of a hundred labels each, test accuracy in per cent. The first three columns are the methods, the last two the
# differences **on the same draw**. Look at the deviations: which hundred images we happened to draw moves every method by a
# point or two, and a lucky hundred helps all of them. Comparing within a draw takes that luck out of the comparison, and it
# belongs in every experiment of this kind.
#
# > **Pitfall.** One draw, one seed, one number: with so few labels the order of two methods can be an accident. Repeat, and
# > print the deviation.

# %% [markdown]
# ## 4. Where pre-training stops paying
#
# The same with 500, 1,000 and 5,000 labels, and with two baselines that need no network: logistic regression on the pixels
# and on 64 PCA numbers. That takes too long for a lesson, so it was run once, on the full data, by
# `tools/make_transfer_table.py`, with the functions of this page, and its table is shipped. Set the switch to do it again
# (in a clone of the course).

# %%
RECOMPUTE = False
if RECOMPUTE:
    import subprocess
    import sys

    subprocess.run([sys.executable, "../tools/make_transfer_table.py", "checkpoints/transfer.csv"], check=True)
table = pd.read_csv("checkpoints/transfer.csv" if RECOMPUTE else files("course_utils") / "tables" / "transfer.csv")
print(f"{len(table)} classifiers trained and tested; the first three:")
table.head(3)

# %% [markdown]
# **Predict.** Fine-tuned minus from scratch, for the seminar's encoder, in percentage points: at 100 labels, at 1,000 and
# at 5,000.

# %% tags=["prediction"]
my_gains = {100: 5, 1000: 2, 5000: 1}

# %%
BUDGETS = [100, 500, 1000, 5000]
STYLE = {"from scratch": (plots.PALETTE["baseline"], "o", "-"), "frozen": (plots.PALETTE["affine"], "s", "--"),
         "fine-tuned": (plots.PALETTE["cured"], "^", "-"), "PCA": (plots.PALETTE["PCA"], "D", ":"),
         "pixels": (plots.PALETTE["chapter"], "v", ":")}


def runs_of(rows, method, encoder, budgets=BUDGETS):
    """Accuracies in per cent: (draws, budgets)."""
    chosen = rows[(rows.method == method) & (rows.encoder == encoder)]
    return 100 * chosen.pivot(index="draw", columns="labels", values="accuracy")[budgets].to_numpy()


def draw_lines(ax, lines, budgets=BUDGETS):
    """Mean and deviation over the draws against the number of labels; ``lines``: label -> (runs, (colour, marker, line))."""
    for i, (label, (values, (colour, marker, line))) in enumerate(lines.items()):
        x = np.array(budgets) * 1.03 ** (i - len(lines) / 2)  # side by side, so that error bars do not hide each other
        ax.errorbar(x, values.mean(0), yerr=values.std(0, ddof=1), color=colour, marker=marker, linestyle=line, capsize=3,
                    label=label)
    ax.set(xscale="log", xlabel="labelled images", ylabel="test accuracy (%)")
    ax.set_xticks(budgets, [f"{n:,}" for n in budgets])
    ax.minorticks_off()

# %% [markdown]
# (Two small helpers: one picks rows of the table, one draws a line for each method.)

# %%
conv = {method: runs_of(table, method, "conv") for method in ("from scratch", "frozen", "fine-tuned")}
gain = (conv["fine-tuned"] - conv["from scratch"])  # (draws, budgets), paired by draw
over_pixels = conv["fine-tuned"] - runs_of(table, "pixels", "none")
print("fine-tuned minus the others, in points    from scratch    pixels")
for i, n in enumerate(BUDGETS):
    others = "".join(f"    {d[:, i].mean():+.1f} ± {d[:, i].std(ddof=1):.1f}" for d in (gain, over_pixels))
    print(f"{n:5,} labels                          {others}" + (f"    your guess {my_gains[n]:+}" if n in my_gains else ""))

# %% [markdown]
# The lines behind these differences:

# %% tags=["readme"]
shown = {name: (values, STYLE[name]) for name, values in conv.items()}
shown |= {f"{name} + logistic regression": (runs_of(table, name, "none"), STYLE[name]) for name in ("PCA", "pixels")}
fig, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
draw_lines(ax, shown)
ax.legend(frameon=False, loc="lower right")
plots.finish(fig, f"Fine-tuning gains {gain[:, 0].mean():+.1f} points at 100 labels and {gain[:, 3].mean():+.1f} at 5,000",
             "Test accuracy against the number of labels, five methods, five draws each, error bars of one standard deviation. "
             "All lines rise; the pre-trained ones start above the scratch line.")

# %% [markdown]
# Follow two lines. **Fine-tuned** stays above **from scratch**, and the distance shrinks as labels are added: it is worth
# most at a hundred and least at five thousand, where the labels themselves can teach the encoder what it needs. Is this where
# pre-training stops paying? For this encoder nearly; section 5 finds one for which it does.
#
# The sobering lines are **frozen** and **pixels**. Frozen is level with the network from scratch at a hundred labels and then
# falls behind: what a code made for drawing has left out, no head can bring back. And logistic regression on raw pixels,
# which never heard of pre-training, is ahead of the network from scratch up to a thousand labels. The second column of the
# printed table tells how much of the gain is left beside that line: at a hundred labels no more than the luck of the draw.
#
# > **Pitfall.** "Pre-training helps", measured only against the same network from scratch. The baseline is the best
# > *simple* method.
#
# <details><summary><b>Check yourself.</b> Logistic regression on raw pixels does so well with a hundred labels. Does that
# make the autoencoder useless?</summary>
#
# It makes the comparison honest. Fashion-MNIST images are centred and alike, so pixels are good features already, and a
# simple model on them is hard to beat with few labels. What pre-training buys this network is that it catches up with them.
# On photographs, where a single pixel means little, the gap is far larger.
# </details>
#
# ## 5. Which code knows most about clothes?
#
# Three encoders were trained on the same images without labels: the seminar's; the denoising one of lesson 3, which learned to
# repair; and the ResNet of lesson 5, which had the smallest error of all codes of its size. They differ in much:

# %%
WEIGHTS = {"conv": "conv_short", "DAE": "dae", "ResNet": "resnet_64"}
encoders = {kind: pretrained.load(name)[0] for kind, name in WEIGHTS.items()}
pd.DataFrame({kind: {
    "numbers in the code": metrics.apply_in_batches(encoder, ten.images)[0].numel(),
    "parameters": sum(p.numel() for p in encoder.parameters()),
    "epochs of pre-training": pretrained.card(WEIGHTS[kind])["epochs"],
} for kind, encoder in encoders.items()}).T

# %% [markdown]
# **With which code does a frozen head do best at a hundred labels?**

# %% tags=["prediction"]
my_encoder = "ResNet"  # or "conv", "DAE"

# %%
ENCODERS = {"conv": ("seminar's, 576 numbers", plots.PALETTE["convolutional"], "o"),
            "DAE": ("denoising, 940 numbers", plots.PALETTE["DAE"], "s"),
            "ResNet": ("ResNet, 64 numbers", plots.PALETTE["ResNet"], "^")}
shown = {f"{name}, frozen": (runs_of(table, "frozen", kind), (colour, marker, "--"))
         for kind, (name, colour, marker) in ENCODERS.items()}
shown["pixels + logistic regression"] = (runs_of(table, "pixels", "none"), STYLE["pixels"])
at_100 = {kind: runs_of(table, "frozen", kind)[:, 0] for kind in ENCODERS}
best_frozen = max(at_100, key=lambda kind: at_100[kind].mean())
print(f"your guess: {my_encoder}    best at 100 labels: {best_frozen}, "
      f"{at_100[best_frozen].mean():.1f} ± {at_100[best_frozen].std(ddof=1):.1f} %")

fig, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
draw_lines(ax, shown)
ax.legend(frameon=False, loc="lower right")
plots.finish(fig, f"Frozen, 100 labels: the best code is that of the {ENCODERS[best_frozen][0].split(',')[0]} encoder",
             "Test accuracy against the number of labels, a head on each of three frozen encoders (dashed) and logistic "
             "regression on the pixels (dotted), five draws, error bars of one standard deviation.")

# %% [markdown]
# A surprise. The denoising encoder is a single dense layer, the simplest of the three, and it never learned to copy; yet with
# every number of labels its code is the best one for a head, several points above the two convolutional ones and above the
# pixels. To repair an image one must know what garments look like; to copy it, one need not. And the ResNet's 64 numbers serve
# a head as well as the seminar's 576, or better. **Neither a small reconstruction error nor a wide code is the goal of
# pre-training**, and choosing an encoder by them is choosing by the wrong number.
#
# ### And when the encoder may move?
#
# Now each of the three networks from scratch, frozen and fine-tuned. **For which of them is pre-training worth least at
# 5,000 labels?**

# %% tags=["prediction"]
my_least = "DAE"  # or "conv", "ResNet"

# %%
gains = {kind: runs_of(table, "fine-tuned", kind) - runs_of(table, "from scratch", kind) for kind in ENCODERS}
least = min(gains, key=lambda kind: gains[kind][:, -1].mean())
print(f"your guess: {my_least}    measured: {least}, fine-tuned minus scratch at 5,000 labels "
      f"{gains[least][:, -1].mean():+.1f} ± {gains[least][:, -1].std(ddof=1):.1f} points")
fig, axes = plt.subplots(1, 3, figsize=(11, 4.2), sharey=True, layout="constrained")
for ax, (kind, (name, *_)) in zip(axes, ENCODERS.items()):
    draw_lines(ax, {method: (runs_of(table, method, kind), STYLE[method]) for method in ("from scratch", "frozen", "fine-tuned")})
    ax.set_title(f"{name}:\n{gains[kind][:, 0].mean():+.1f} points at 100, {gains[kind][:, -1].mean():+.1f} at 5,000", fontsize=10)
    ax.label_outer()
axes[0].legend(frameon=False, loc="lower right")
plots.finish(fig, f"What fine-tuning adds to training from scratch depends on the network: least with the {least} encoder",
             "Three panels, one for each encoder: test accuracy against the number of labels, from scratch, frozen, fine-tuned; "
             "five draws, error bars of one standard deviation. In the first two panels fine-tuned lies above scratch, in the "
             "third the two meet.")

# %% [markdown]
# The table behind both figures (per cent, mean ± deviation over the draws; encoder "none" means that no network was used):

# %%
cells = table.groupby(["encoder", "method", "labels"]).accuracy
cells.agg(lambda a: f"{100 * a.mean():.1f} ± {100 * a.std(ddof=1):.1f}").unstack().fillna("")

# %% [markdown]
# With the seminar's encoder and the denoising one, fine-tuning is worth about three points at a hundred labels, and less at
# five thousand. **With the ResNet it is hardly worth anything, and at 5,000 labels the network from scratch is ahead**:
# there pre-training has stopped paying. A network whose layers suit pictures learns quickly from the labels themselves; what
# a short pre-training on copying gave it, it can find alone, and better. Look across the panels, too: at a hundred labels the
# ResNet from scratch does at least as well as the seminar's encoder fine-tuned. Choosing the network well bought as much as
# pre-training the other one.
#
# And the one-layer denoising encoder, fine-tuned or merely frozen, belongs to the best that a hundred labels can buy here.
#
# ## 6. Which layers to keep, and how fast they may move
#
# The seminar advises: keep the *lower* layers, renew the upper ones, then fine-tune. Lower layers see edges and patches, of
# use for any task; upper layers serve the task they were trained for, here the reconstruction. We try it with a hundred
# labels: two blocks kept and the third renewed; and everything kept, but with **one rate** for old and new layers.

# %%
def lower_layers(labelled, seed):
    """Two pre-trained blocks at the smaller rate; the third block and the head are new."""
    torch.manual_seed(seed)
    kept = copy.deepcopy(pretrained_encoder[:6]).requires_grad_(True)
    renewed = nn.Sequential(models.conv_autoencoder()[0][6:], new_head(pretrained_encoder))
    model = nn.Sequential(kept, renewed)
    groups = [{"params": kept.parameters(), "lr": 3e-4}, {"params": renewed.parameters()}]
    train_classifier(model, labelled, groups, seed, stages=2)
    return model


kept = wide[["from scratch", "fine-tuned"]].rename(columns={"from scratch": "nothing kept", "fine-tuned": "all kept, slower"})
for draw in kept.index:
    labelled = draw_labels(train, 100, draw)
    kept.loc[draw, "all kept, one rate"] = 100 * accuracy(fine_tuned(labelled, draw, pretrained_encoder, rate=1e-3), test)
    kept.loc[draw, "two blocks kept, third new"] = 100 * accuracy(lower_layers(labelled, draw), test)
reused = kept.drop(columns="nothing kept").mean()
kept.agg(["mean", "std"]).round(1)

# %%
plots.bars(kept.mean().to_dict(), f"Reusing the encoder gains {reused.mean() - kept['nothing kept'].mean():.1f} points; "
           f"what exactly is kept changes {reused.max() - reused.min():.1f}",
           "Mean test accuracy of four ways to reuse the encoder, one bar for each, with error bars of one standard deviation "
           "over five draws.",
           ylabel="test accuracy (%)", errors=kept.std().to_dict(), fmt="{:.1f}")

# %% [markdown]
# Compare the bars with their error bars before you believe an order. "Nothing kept" is the lowest; whether two blocks or
# all three are kept, and whether the old layers move at a third of the rate or at the full one, is far less than the draw of
# labels decides. On such a small encoder the choice is not critical. The habit of the
# smaller rate comes from large networks, where one wild step can cost what weeks have built.
#
# ## 7. From one data set to the other
#
# The bravest transfer: an encoder learns from handwritten **digits** and never sees a garment; its code must tell shirts
# from coats. And back. **Will the foreign encoder, fine-tuned with 100 labels, be better or worse than training from
# scratch?**

# %% tags=["prediction"]
my_foreign = "better"  # or "worse", "the same"

# %%
def pretrain(images):
    """The seminar's autoencoder after four passes over 10,000 images; its encoder."""
    torch.manual_seed(0)
    autoencoder = models.conv_autoencoder()
    fit(autoencoder, images[:10_000], epochs=4, device="cpu", progress=False)
    return autoencoder[0]


sets = {"clothes": (train, test), "digits": (load_images("MNIST", "train"), load_images("MNIST", "test"))}
encoders = {name: pretrain(unlabelled.images) for name, (unlabelled, _) in sets.items()}

# %% [markdown]
# Two encoders, made in the same way and in a few seconds, one from each set. Now both get a hundred labels of either set.

# %%
rows = []
for labels_of, (unlabelled, exam) in sets.items():
    for draw in range(3):
        labelled = draw_labels(unlabelled, 100, draw)
        trained = {"from scratch": from_scratch(labelled, draw)}
        for origin, encoder in encoders.items():
            trained["own images" if origin == labels_of else "other images"] = fine_tuned(labelled, draw, encoder)
        rows += [{"labels of": labels_of, "encoder": name, "draw": draw, "accuracy": 100 * accuracy(model, exam)}
                 for name, model in trained.items()]
cross = pd.DataFrame(rows).pivot(index=["labels of", "draw"], columns="encoder", values="accuracy")
cross.groupby("labels of").agg(["mean", "std"]).round(1)

# %%
over = cross.sub(cross["from scratch"], axis=0).groupby("labels of").mean()
there, back = over.loc["clothes", "other images"], over.loc["digits", "other images"]
print(f"your guess: {my_foreign}    measured, over scratch: clothes {there:+.1f} points, digits {back:+.1f} points")
print("the own encoder, over scratch: " + ", ".join(f"{name} {over.loc[name, 'own images']:+.1f} points" for name in sets))
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, what in zip(axes, sets):
    part = cross.loc[what][["from scratch", "other images", "own images"]]
    drawn = ax.bar(part.columns, part.mean(), yerr=part.std(), capsize=4,
                   color=[plots.PALETTE[name] for name in ("baseline", "DAE", "cured")])
    ax.bar_label(drawn, [f"{value:.1f}" for value in part.mean()], padding=2)
    ax.set(title=f"labels of {what}", ylabel="test accuracy (%)", ylim=(0, 105))
plots.finish(fig, f"An encoder from the other data set, fine-tuned with 100 labels: {there:+.1f} points on clothes, "
                  f"{back:+.1f} on digits",
             "Two panels, labels of clothes and of digits. Three bars each: from scratch, encoder from the other data set, "
             "encoder from the same. Three draws, error bars of one standard deviation.")

# %% [markdown]
# Did you expect this? On the full data the foreign encoder is no help but a **handicap**, on clothes and on digits: the
# network from scratch does better. And on digits even the encoder that saw digits loses against a random start. This is
# called *negative transfer*. The likely reason is that these encoders are no neutral starting point: a short pre-training
# has bent them towards copying, and a hundred labels at a small rate do not bend them back. On clothes the longer
# pre-training of section 3 was worth more than this one, with 10,000 images and four passes, and the own encoder at least
# does no harm.
#
# > **Pitfall.** "Pre-trained" sounds like "better". Keep the random start in every comparison; sometimes it wins.
#
# <details><summary><b>Check yourself.</b> Was it cheating to pre-train on all 55,000 images when we pretend to have only a
# hundred labels?</summary>
#
# No: pre-training read no label. It would have been cheating to include the *test* images, though even that is done
# ("transductive" learning). It would also be cheating to choose rates and epochs on the test set, or on a validation set
# with 5,000 labels while claiming to own a hundred. Ours were set once and are the same for all methods, and that should be
# said in a paper.
# </details>
#
# ## 8. Weights from elsewhere
#
# For photographs one would start from a network trained on ImageNet's million labelled images. Where the machine can reach
# the network, two lines fetch such weights; the rest of this lesson stays as it is.
#
# ```python
# from torchvision.models import resnet18
# encoder = models.resnet_encoder(64, resnet=resnet18(weights="DEFAULT"))  # 45 MB, fetched once
# ```
#
# Its last linear layer is new and random, so train that first, with the body `Frozen`, as in section 2. Keep in mind what
# ImageNet has that we have not: labels. An autoencoder asks of its code only that the *pixels* can be redrawn, and most of
# what is needed to redraw a shirt (its exact outline, its shade) does not help to call it a shirt. Methods that ask better
# questions without labels, such as contrastive learning or masked autoencoders, have taken the lead since; they are this
# lesson's idea with another loss.
#
# ## What we have seen
#
# - An encoder is reused frozen or fine-tuned. Frozen needs two things, no gradients *and* eval mode, since batch
#   normalisation drifts without either parameter or error message.
# - Head first, then everything, with a smaller rate for what was pre-trained.
# - Gains are measured over draws of labels, paired, and beside PCA and pixels. Fine-tuning is worth most where labels are
#   fewest, and its gain melts as they become many; with the ResNet it was gone at 5,000.
# - The best code for a head is not the one that reconstructs best: the denoising encoder won. And transfer can hurt: an
#   encoder from the other data set did worse than a random start.
#
# **Your turn:** the [exercise](../exercises/06_transfer/06_transfer.ipynb) to this lesson.
#
# **Next:** [lesson 7](07_dimensionality_reduction.ipynb) looks at the codes themselves: when is an autoencoder the better
# way to fewer dimensions?
