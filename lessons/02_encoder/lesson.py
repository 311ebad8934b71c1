# %% [markdown] question="What does the code know?" source="chapter, 3"
# # 2. The encoder, taken out: what does the code know?
#
# Nobody told the autoencoder what a shirt is. It saw pictures, never a label, and
# learned to write each one down in ten numbers. Do those ten numbers know a shirt from
# a boot all the same? We cut the network in two, keep the first half, set a small
# classifier on it, and ask. Then we put the same question to PCA, to the bare pixels
# and to an encoder that was never trained.
#
# After this lesson you will be able to
#
# 1. take the encoder out of a trained autoencoder, freeze it, and *prove* that only the
#    new layer learned;
# 2. measure what a code knows, with a linear probe, few labels, several draws and an
#    honest set of baselines;
# 3. say how a worse code shows downstream, and what a code of ten numbers loses;
# 4. search for similar pictures by their codes instead of their pixels.
#
# **Time**: about 40 minutes to read and answer; the code runs for about a minute on two
# cores, without a GPU.
#
# **You need**: [lesson 1](01_dense_autoencoder.ipynb): the chapter's `Encoder` and
# `Decoder`, dead units and the linear code.
#
# Words with a link are explained in the [glossary](../GLOSSARY.md), which also names
# them in Hebrew and Croatian.

# %% [markdown]
# ## 1. Cut the network in two
#
# We train the chapter's autoencoder again, as in lesson 1 but for somewhat fewer
# epochs. Its classes and its training loop, which you have written out there, now come
# from the course's package: `fit` is that loop. The labels stay in their drawer.

# %%
import torch
from torch import nn

from course_utils import plots
from course_utils.data import load_images, one_of_each
from course_utils.models import Decoder, Encoder
from course_utils.training import fit

splits = ("train", "validation", "test")
train, validation, test = (load_images("FashionMNIST", split) for split in splits)
ten = one_of_each(test)

epochs = 8 if train.source == "full" else 30  # the small sample needs more passes
torch.manual_seed(0)
autoencoder = nn.Sequential(Encoder(10), Decoder(10))
history = fit(autoencoder, train, epochs=epochs, validation=validation)
error = history.validation_loss[-1]
print(f"validation error per pixel after {epochs} epochs: {error:.4f}")

# %% [markdown]
# And now the operation itself. We cut at the code, keep what stands before it, and set
# something new on it:
#
# ![The network cut at the code: the encoder is kept and frozen, its code of 10 numbers
# goes on to a new head, a linear layer from 10 to 10 numbers, which gives one score for
# each class; the decoder is left behind. The gradient stops at the head.](cut.svg)
#
# `nn.Sequential` can be indexed like a list, and the encoder stands first:

# %%
encoder = autoencoder[0]

with torch.no_grad():
    encoded = encoder(ten.images)
print(f"{tuple(ten.images.shape)} -> {tuple(encoded.shape)}")
first_code = [round(number, 1) for number in encoded[0].tolist()]
print("the code of the first picture:", first_code)

# %% [markdown]
# That is all it takes. The decoder, half of what we trained, is set aside: it was the
# teacher that forced the encoder to keep what matters, and its work is done. Among the
# zeros of that code are lesson 1's dead units, which are zero for every picture.
#
# > **Pitfall.** `autoencoder[0]` is not a copy. It is the *same* module under a second
# > name: train it further, and the autoencoder changes under your hands. Where you need
# > both, take `copy.deepcopy(autoencoder[0])`.

# %% [markdown]
# ## 2. A new head, and nothing else moves
#
# On top of the encoder we put one linear layer, the **[head](../GLOSSARY.md)**: ten
# code numbers in, ten class scores out. The encoder is **[frozen](../GLOSSARY.md)**,
# that is, its parameters receive no gradient. What the head achieves is then due to the
# code alone.
#
# **How many numbers will this training move?** The whole classifier has 7,960.

# %% tags=["prediction"]
my_number = 7960  # change this to your own guess, then run on

# %% [markdown]
# We freeze the encoder, set the head on it, and count. A copy of all parameters is kept
# for a later look.

# %%
encoder.requires_grad_(False)  # freeze: no gradient reaches the encoder
classifier = nn.Sequential(encoder, nn.Linear(10, 10))  # the head is new
before = {name: value.clone() for name, value in classifier.state_dict().items()}

total = sum(p.numel() for p in classifier.parameters())
trainable = sum(p.numel() for p in classifier.parameters() if p.requires_grad)
print(f"your guess: {my_number:,}")
print(f"parameters that can move: {trainable} of {total:,}")

# %% [markdown]
# > **Stop here**: [task 1 of the
# > exercise](../exercises/02_encoder/02_encoder.ipynb),
# > *an encoder, frozen, with a new head*, 8 minutes.
#
# Now labels come into play, and only a few: five thousand, as if someone had sat down
# for a day or two to write them. The loss is cross-entropy, as for any classifier. The
# loop is written out, because the line that matters is the one with the optimiser.

# %%
torch.manual_seed(0)
few = torch.randperm(len(train))[:5000]  # the pictures whose labels we look at
images, labels = train.images[few], train.labels[few]
optimizer = torch.optim.Adam(classifier[1].parameters(), lr=0.01)  # the head's, only

for epoch in range(20):
    for batch in torch.randperm(len(images)).split(128):
        loss = nn.functional.cross_entropy(classifier(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %% [markdown]
# How often is the new head right on pictures that it has not seen?


# %%
def share_right(model):
    """Share of the validation images that a classifier gets right."""
    with torch.no_grad():
        answers = model(validation.images).argmax(dim=1)
    return (answers == validation.labels).float().mean().item()


frozen = share_right(classifier)
print(f"right on {frozen:.1%} of the validation images (guessing: 10 %)")

# %% [markdown]
# Ten numbers that no label had a hand in, and a layer of 110 parameters. But did only
# the layer move? Do not trust the line with `requires_grad_`; **compare before and
# after**.

# %%
import pandas as pd

rows = {}
for name, value in classifier.state_dict().items():
    change = (value - before[name]).abs().max().item()
    rows[name] = {
        "numbers": value.numel(),
        "largest change": change,
        "verdict": "moved" if change else "exactly as before",
    }
pd.DataFrame.from_dict(rows, orient="index").round(4)

# %% [markdown]
# Encoder: not a digit. Head: moved. Such a check takes a few lines and belongs in every
# transfer experiment, for it is easily got wrong:
#
# > **Pitfall.** Freezing must happen *before* the training, and layers with a memory of
# > their own (batch normalisation) move even without a gradient, as long as they are in
# > train mode. Neither mistake raises an error. The accuracy may even go *up*, and is
# > no longer about the code.
#
# What does the mistake look like? We make it on purpose, on a copy.

# %%
import copy

from course_utils.losses import classification

unfrozen = copy.deepcopy(encoder).requires_grad_(True)  # freezing forgotten
forgetful = nn.Sequential(unfrozen, nn.Linear(10, 10))
fit(forgetful, (images, labels), classification, epochs=20, lr=0.01)

moved = (unfrozen.linear.weight - before["0.linear.weight"]).abs().max()
print(f"frozen {frozen:.1%}    not frozen {share_right(forgetful):.1%}")
print(f"largest change of an encoder weight: {moved:.2f}")

# %% [markdown]
# A better number, for another question. Unfrozen, the network is an ordinary classifier
# that started from our weights: the labels have rewritten the code. That is called
# fine-tuning and is a fine thing; [lesson 6](06_transfer.ipynb) is about it. Here we
# ask what the code knew *before* it met a label, and for that it has to stay frozen.
#
# > **Stop here**: [task 2 of the
# > exercise](../exercises/02_encoder/02_encoder.ipynb),
# > *what has moved?*, 10 minutes.

# %% [markdown]
# ## 3. A number needs a neighbour
#
# Is that accuracy good? Good beside what? A linear layer on frozen features is known as
# a **[linear probe](../GLOSSARY.md)**; trained to its end it is *logistic regression*,
# which scikit-learn fits in a blink. That lets us put the same question to others:
#
# | representation | numbers | what it tells us |
# |---|---|---|
# | the chapter's code | 10 | our question |
# | lesson 1's linear code | 10 | the same, cured of its dead units |
# | PCA | 10 | is a network needed at all? |
# | random directions | 10 | is *training* needed at all? |
# | the chapter's encoder, untrained | 10 | the same, with the ReLU |
# | pixels | 784 | what was lost on the way to ten numbers? |
#
# Everything is scaled to unit variance, and each probe is repeated with five different
# draws of the labelled images. The two untrained encoders are drawn anew with each of
# the five, since one lottery ticket says little about the lottery.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def probe(features, held_out, n_labels, draw):
    """A linear classifier's accuracy on the validation images, from `n_labels` labels.

    `features` and `held_out` are the codes of training and validation images (N, k).
    """
    generator = torch.Generator().manual_seed(draw)
    few = torch.randperm(len(features), generator=generator)[:n_labels]
    # many features need a stronger regularisation
    strength = 1.0 if features.shape[1] < 100 else 0.01
    regression = LogisticRegression(C=strength, max_iter=1000)
    classifier = make_pipeline(StandardScaler(), regression)
    classifier.fit(features[few].numpy(), train.labels[few].numpy())
    return classifier.score(held_out.numpy(), validation.labels.numpy())


# %% [markdown]
# The cured encoder is trained like the first.

# %%
from course_utils.metrics import PCABaseline, apply_in_batches


def encode_both(encode):
    """The codes of the training and of the validation images."""
    return [apply_in_batches(encode, part.images) for part in (train, validation)]


torch.manual_seed(0)
cured = nn.Sequential(Encoder(10, activation=nn.Identity()), Decoder(10))
fit(cured, train, epochs=epochs)

pca = PCABaseline(train.images)
encoders = {
    "pixels": nn.Flatten(),
    "PCA": lambda images: pca.encode(images, 10),
    "linear code": cured[0],
    "chapter's code": encoder,
}
codes = {name: encode_both(encode) for name, encode in encoders.items()}

# %% [markdown]
# Before we look: **with 1,000 labels, what share of the validation images does the
# probe get right on PCA's ten numbers?** The pixels, all 784, reach about four in five.

# %% tags=["prediction"]
my_share = 0.5  # change this to your own guess, then run on

# %% [markdown]
# Now the probes: three numbers of labels, five draws of each.

# %%
import numpy as np

label_counts = [100, 1000, 5000]
accuracy = {}
for name, pair in codes.items():
    draws = [[probe(*pair, n, draw) for n in label_counts] for draw in range(5)]
    accuracy[name] = np.array(draws)  # (5 draws, 3 numbers of labels)

untrained = {"random directions": nn.Identity(), "untrained encoder": nn.ReLU()}
for name, activation in untrained.items():
    draws = []
    for draw in range(5):
        torch.manual_seed(draw)  # another encoder for each draw
        pair = encode_both(Encoder(10, activation))
        draws.append([probe(*pair, n, draw) for n in label_counts])
    accuracy[name] = np.array(draws)

pca_share = accuracy["PCA"][:, 1].mean()
print(f"your guess: {my_share:.2f}    PCA with 1,000 labels: {pca_share:.2f}")

# %% [markdown]
# And all of them, ± over the five draws (lesson 1 says what ± means):

# %%
table = {}
for name, values in accuracy.items():
    pairs = zip(values.mean(axis=0), values.std(axis=0, ddof=1))
    table[name] = [f"{mean:.3f} ± {deviation:.3f}" for mean, deviation in pairs]

columns = [f"{n:,} labels" for n in label_counts]
pd.DataFrame.from_dict(table, orient="index", columns=columns)

# %% [markdown]
# The same as lines, each with a band of one deviation:

# %%
with_all = {name: values[:, -1].mean() for name, values in accuracy.items()}
kept = with_all["linear code"] / with_all["pixels"]
by_lot = with_all["random directions"] / with_all["pixels"]
plots.lines(
    label_counts,
    accuracy,
    xlabel="labelled images",
    ylabel="accuracy on the validation images",
    log_x=True,
    title=f"With {label_counts[-1]:,} labels ten trained numbers keep {kept:.0%} of "
    f"the accuracy that pixels give, ten random ones {by_lot:.0%}",
    caption="Accuracy of a linear probe against the number of labels. Pixels lie on "
    "top, untrained encoders at the bottom, the trained codes and PCA between.",
)

# %% [markdown]
# Read from the bottom. *Random directions*, ten sums with weights from a lottery,
# already take us far above the 10 % of guessing: clothes differ so much in size and
# outline that nearly any ten measurements tell something. (The ReLU of the untrained
# encoder costs a good part: what is below zero is lost.) Whoever shows a probe's
# accuracy without this line sells the lottery's share as learning. Training lifts both
# codes well above it.
#
# Now the middle. The linear code is level with PCA within the spread of the draws, and
# the chapter's lies below both. And the top: with few labels the pixels hardly lead;
# with many they do. With a hundred labels a classifier cannot make use of 784
# measurements anyway, and ten good ones serve it nearly as well.
#
# One thing does not fit. Section 2's head read the chapter's code, too, with as many
# labels, and it was right less often. Both are linear; what differs is the training:
# twenty epochs of small steps there, a solver that runs to the minimum here. So let the
# head go on from where it stopped, on all its labels at once.

# %%
code = apply_in_batches(encoder, images)
head = copy.deepcopy(classifier[1])
optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
for step in range(3000):
    loss = nn.functional.cross_entropy(head(code), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

longer = share_right(nn.Sequential(encoder, head))
fitted = accuracy["chapter's code"][:, -1].mean()
print(f"section 2's head: {frozen:.1%}    3,000 steps later: {longer:.1%}")
print(f"the probe: {fitted:.1%}")

# %% [markdown]
# The head was not done: with more steps it does as well as the probe, here even a
# little better. (Both make the cross-entropy small, which is not yet the number of
# errors; and scikit-learn keeps the probe's weights small, besides.) A probe that is
# not trained to its end understates the code.
#
# > **Pitfall.** Another draw of a hundred labels moves the result by several points, as
# > the bands show. A comparison on one draw that finds "one point better" has measured
# > the draw. Use the *same* draws for every candidate, several of them, and print the
# > deviation.

# %% [markdown]
# ## 4. Two judgements of one code
#
# The chapter's code lost to PCA in lesson 1 on reconstruction, and here again on
# classes. Do the two judgements always go together? They know nothing of one another:
# the one never saw a label, the other never looked at a reconstruction. We need
# encoders from poor to good, so we vary the size of the code from 2 to 20. **How close
# will the correlation of error and accuracy be?** (−1 is a straight falling line, 0 no
# connection.)

# %% tags=["prediction"]
my_correlation = -0.5  # change this to your own guess, then run on

# %% [markdown]
# One function judges a code both ways. For PCA every size is free; of the networks we
# train a few.

# %%
from course_utils.metrics import reconstruction_error


def mean_probe(encode):
    """The probe's accuracy with 1,000 labels, mean of three draws."""
    pair = encode_both(encode)
    return np.mean([probe(*pair, 1000, draw) for draw in range(3)])


sizes = {"chapter's code": [5, 20], "linear code": [2, 5, 20]}
activations = {"chapter's code": nn.ReLU(), "linear code": nn.Identity()}
models = {("chapter's code", 10): autoencoder, ("linear code", 10): cured}
for name in sizes:
    for k in sizes[name]:
        torch.manual_seed(0)
        models[name, k] = nn.Sequential(Encoder(k, activations[name]), Decoder(k))
        fit(models[name, k], train, epochs=epochs)

# %% [markdown]
# The judgements:

# %%
points = {
    (name, k): (reconstruction_error(model, validation.images), mean_probe(model[0]))
    for (name, k), model in models.items()
}
for k in (2, 3, 5, 7, 10, 14, 20):
    found = mean_probe(lambda images: pca.encode(images, k))
    points["PCA", k] = pca.error(validation.images, k), found

correlation = np.corrcoef(np.array(list(points.values())).T)[0, 1]
print(f"your guess: {my_correlation}    it is {correlation:.2f}")

# %% [markdown]
# Each encoder as a mark, its error to the right, its accuracy upwards; the small number
# is the size of its code.

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6.5, 4.5))
ax.set(xlabel="reconstruction error (validation)", ylabel="probe, 1,000 labels")
marks = {"chapter's code": "^", "linear code": "D", "PCA": "s"}
number_at = {"chapter's code": (-14, -8), "linear code": (6, -7), "PCA": (5, 3)}
for name, mark in marks.items():
    mine = {k: point for (kind, k), point in points.items() if kind == name}
    look = {"color": plots.colour(name), "marker": mark, "s": 45, "label": name}
    ax.scatter(*zip(*mine.values()), **look)
    for k, point in mine.items():
        place = {"xytext": number_at[name], "textcoords": "offset points"}
        ax.annotate(str(k), point, **place, size=8)
ax.legend()
plots.finish(
    fig,
    title="The worse the reconstruction, the worse the probe: "
    f"correlation {correlation:.2f} over {len(points)} encoders",
    caption="Each mark is one encoder, the number the size of its code. All lie along "
    "one falling band, from codes of 20 numbers at the upper left to codes of 2 at the "
    "lower right.",
)

# %% [markdown]
# Over the whole range the two go together, whoever made the code: what is missing in
# the drawing is missing for the classifier. But the band has a width, and between two
# close neighbours the order may turn. The reconstruction error is a good guide to a
# broken code and a weak one between two of nearly the same error, since it rewards
# every pixel alike, and telling a shirt from a coat may hang on a few.
#
# A code of two numbers is a place in the plane, so that we can look at the whole code
# space at once. Here it is, the linear one:

# %%
plane = apply_in_batches(models["linear code", 2][0], validation.images[:2000])
fig, ax = plt.subplots(figsize=(7, 5))
for kind, name in enumerate(validation.class_names):
    own = plane[validation.labels[:2000] == kind]
    look = {"marker": plots.MARKERS[kind], "s": 12, "alpha": 0.7, "label": name}
    ax.scatter(*own.T, color=plots.CLASS_COLOURS[kind], **look)
ax.set(xlabel="code number 1", ylabel="code number 2")
ax.legend(fontsize=8, ncol=2)
plots.finish(
    fig,
    title="No label was used, and yet trousers, shoes and tops lie apart; within a "
    "family the classes overlap",
    caption="Each mark is a validation image at the place that its two code numbers "
    "give. Trousers lie apart, the shoes in one dense band; pullovers, coats and "
    "shirts lie on top of one another; bags are scattered between.",
)

# %% [markdown]
# <details><summary><b>Check yourself.</b> PCA's code and the linear code reach nearly
# the same accuracy. Name one reason that was to be expected.</summary>
#
# Both are linear maps to ten numbers that aim at a small squared error, so they look
# along nearly the same ten directions of the data; they differ only by a mixing of the
# ten numbers, and a linear probe undoes any mixing.
# [Lesson 7](07_dimensionality_reduction.ipynb) measures the angles between the two.
# </details>

# %% [markdown]
# ## 5. Which clothes does the code confuse?
#
# An accuracy is one number for ten classes. The **[confusion matrix](../GLOSSARY.md)**
# shows where the errors sit: true class in rows, the classifier's answer in columns.
# **Which class will be recognised worst?**

# %% tags=["prediction"]
my_class = "Bag"  # change this to your own guess, then run on
print("to choose from:", ", ".join(train.class_names))

# %% [markdown]
# We fit the probe to the labelled images of section 2 and count its answers.

# %%
probe_5000 = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
probe_5000.fit(apply_in_batches(cured[0], images).numpy(), labels.numpy())
answers = torch.from_numpy(probe_5000.predict(codes["linear code"][1].numpy()))

confusion = torch.zeros(10, 10)
places = (validation.labels, answers)
confusion.index_put_(places, torch.ones(len(answers)), accumulate=True)
confusion = confusion / confusion.sum(dim=1, keepdim=True)  # each row sums to 1

names = train.class_names
recognised = confusion.diag()
worst = int(recognised.argmin())
print(f"your guess: {my_class}")
print(f"recognised worst: {names[worst]} ({recognised[worst]:.0%})")

# %% [markdown]
# Eight of the ten classes belong to two families: five tops and dresses, and three
# kinds of shoes. How many of the errors stay inside a family, and how many would do so
# if each fell on one of the nine wrong classes by chance?

# %%
# tops and dresses, trousers, shoes, bags
family = torch.tensor([0, 1, 0, 0, 0, 2, 0, 2, 3, 2])

wrong = answers != validation.labels
own = family[validation.labels[wrong]]
at_home = (family[answers[wrong]] == own).float().mean()
by_chance = ((torch.bincount(family)[own] - 1) / 9).mean()  # 9 wrong answers
print(f"{int(wrong.sum()):,} errors, of which {at_home:.0%} stay in the family")
print(f"by chance: {by_chance:.0%}")

# %% [markdown]
# The matrix as a picture: a dark diagonal is what we wish for, a dark square off it is
# a confusion.

# %%
fig, ax = plt.subplots(figsize=(7.2, 6))
ax.imshow(confusion, cmap="Greys", vmin=0, vmax=1)
for row, column in (confusion >= 0.01).nonzero().tolist():
    share = confusion[row, column]
    ink = "white" if share > 0.5 else "black"
    ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=ink)
ax.set_xticks(range(10), names, rotation=40, ha="right")
ax.set_yticks(range(10), names)
ax.set(xlabel="the classifier's answer", ylabel="true class")

order = confusion[worst].argsort(descending=True).tolist()
first, second = [names[i] for i in order if i != worst][:2]
plots.finish(
    fig,
    title=f"{names[worst]} is recognised worst ({recognised[worst]:.0%}), "
    f"taken for {first} or {second}",
    caption="In percent of the true class; shares below 1 % are left blank. Trousers, "
    "bags and boots are safe; pullover, coat and shirt are confused with one another, "
    "shirts with T-shirts most of all, and so are the kinds of shoes.",
)

# %% [markdown]
# The errors are not scattered: twice as many stay within the two families as would do
# so by chance. The code has kept the *outline*, which a squared error over pixels pays
# for. Buttons, collars and seams cost a few pixels and make all the difference between
# a shirt and a pullover. People who see only these 28 × 28 pixels mix them up as well.
# But has the *code* lost the shirts, or can our probe not find them? We shall come back
# to that.

# %% [markdown]
# ## 6. Find me one like this
#
# A code can do something else for us: search. Two pictures are alike if their codes are
# near. For each of our ten test pictures we fetch the **[nearest
# neighbour](../GLOSSARY.md)** among the training images twice: by the distance of
# codes, and by the distance of pixels. **Of the two, which more often finds something
# of the same class?**

# %% tags=["prediction"]
my_space = "codes"  # or "pixels"

# %% [markdown]
# scikit-learn does the search; `brute` means that every distance is computed.

# %%
from sklearn.neighbors import NearestNeighbors

encode = {"codes": cured[0], "pixels": nn.Flatten()}
known, index = {}, {}
for space in encode:
    known[space] = apply_in_batches(encode[space], train.images).numpy()
    search = NearestNeighbors(n_neighbors=1, algorithm="brute")
    index[space] = search.fit(known[space])


def nearest(space, images):
    """For each picture the place of its nearest neighbour among the training images."""
    asked = apply_in_batches(encode[space], images).numpy()
    return index[space].kneighbors(asked, return_distance=False)[:, 0]


# %% [markdown]
# What do they find for our ten?

# %% tags=["readme"]
by_code, by_pixels = nearest("codes", ten.images), nearest("pixels", ten.images)
same_by_code = int((train.labels[by_code] == ten.labels).sum())
same_by_pixels = int((train.labels[by_pixels] == ten.labels).sum())
for label, found in zip(ten.labels.tolist(), train.labels[by_code].tolist()):
    if found != label:
        print(f"{names[label]}: the nearest code is that of a {names[found]}")

rows = {
    "asked for": ten.images,
    "nearest by code": train.images[by_code],
    "nearest by pixels": train.images[by_pixels],
}
plots.image_rows(
    rows,
    columns=ten.class_names,
    title=f"Same class found: {same_by_code} of 10 times by ten numbers, "
    f"{same_by_pixels} of 10 by 784 pixels",
    caption="Above the picture asked for, below it the training image with the nearest "
    "code and the one with the nearest pixels. The neighbours by code share the "
    "outline and may differ in pattern.",
)

# %% [markdown]
# Now you: the same search without scikit-learn. A distance is the root of the summed
# squared differences, and whoever has the smallest square has the smallest root.


# %% tags=["fill-in"]
def my_nearest(asked, known):
    """For each code (n, k) the place of the nearest of `known` (N, k): (n,)."""
    # the differences, (n, N, k): asked[:, None] - known[None]
    # … squared and summed over the last dimension
    # … and where the sum is smallest: return that


with torch.no_grad():
    mine = my_nearest(cured[0](ten.images), torch.from_numpy(known["codes"]))
agree = None if mine is None else sum(a == b for a, b in zip(mine.tolist(), by_code))
print("right" if agree == 10 else f"not yet: {agree or 0} of 10 as scikit-learn")

# %% [markdown]
# <details><summary><b>One way to write it</b></summary>
#
# ```python
# def my_nearest(asked, known):
#     differences = asked[:, None] - known[None]
#     squares = (differences**2).sum(dim=-1)
#     return squares.argmin(dim=1)
# ```
#
# It holds all differences at once: for each of our ten, ten numbers for every training
# image. With pixels it would be 784 for each, and so searching is left to a library.
# </details>
#
# Ten pictures make an anecdote. So we ask with a thousand validation images, or as many
# as there are.

# %%
asked, wanted = validation.images[:1000], validation.labels[:1000]
rows = {}
for space in ("codes", "pixels"):
    hits = (train.labels[nearest(space, asked)] == wanted).float()
    rows[space] = {
        "same class": hits.mean().item(),
        "standard error": (hits.var() / len(hits)).sqrt().item(),
        "size of the index (MB)": known[space].nbytes / 1e6,
    }

table = pd.DataFrame.from_dict(rows, orient="index")
print(f"your guess: {my_space}    more often right: {table['same class'].idxmax()}")
table.round({"same class": 3, "standard error": 3, "size of the index (MB)": 1})

# %% [markdown]
# Pixels find the right class more often, and now you can say what that advantage costs:
# an index about eighty times as large.
#
# How does the search compare with a linear probe on the same codes, with the same
# labels, those of all training images? And why ask only one neighbour: fifteen can
# vote. This time we ask with all validation images, since the differences are small,
# and compare image by image.

# %%
from sklearn.neighbors import KNeighborsClassifier

asked, wanted = codes["linear code"][1].numpy(), validation.labels.numpy()
readers = {
    "linear probe": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "1 neighbour": KNeighborsClassifier(1),
    "15 neighbours": KNeighborsClassifier(15),
}
right = {}
for name, reader in readers.items():
    reader.fit(known["codes"], train.labels.numpy())
    right[name] = reader.predict(asked) == wanted

# %% [markdown]
# Who reads how many rightly, and how sure is the lead?

# %%
right = pd.DataFrame(right).astype(float)
lead = right.sub(right["linear probe"], axis=0)
shirts = right[wanted == names.index("Shirt")]
table = {
    "accuracy": right.mean(),
    "lead over the probe": lead.mean(),
    "its standard error": lead.sem(),
    "of the shirts": shirts.mean(),
}
pd.DataFrame(table).round(3)

# %% [markdown]
# One neighbour reads a little more from the ten numbers than the straight cuts of a
# linear probe, and fifteen read clearly more, of the shirts above all. So part of what
# section 5 laid at the code's door was the probe's fault: some borders between classes
# are not straight, and neighbours can follow them. A probe measures what a probe *of
# its kind* can read. Databases of pictures are searched this way, with codes of some
# hundred numbers and better encoders than ours.
#
# <details><summary><b>Check yourself.</b> Would the search change if we multiplied the
# first code number by 100? And the probe?</summary>
#
# The search would: distances would then be decided by that number nearly alone. Nothing
# in the training of an autoencoder fixes the scale of a code number, because the
# decoder can undo it. The probe would not, since it scales every feature first
# (`StandardScaler`).
# </details>

# %% [markdown]
# ## 7. The last number
#
# All choices were made on validation images. The test images now say what the probes
# are worth, once.

# %%
rows = {}
for name in ("chapter's code", "linear code"):
    features = apply_in_batches(encoders[name], images)
    held_out = apply_in_batches(encoders[name], test.images)
    final = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    final.fit(features.numpy(), labels.numpy())
    score = final.score(held_out.numpy(), test.labels.numpy())
    rows[name] = {
        "labels": len(labels),
        "test accuracy": score,
        "standard error": (score * (1 - score) / len(test)) ** 0.5,
    }
pd.DataFrame.from_dict(rows, orient="index").round(3)

# %% [markdown]
# ## What you have seen
#
# 1. `encoder = autoencoder[0]` takes the encoder out, `requires_grad_(False)` freezes
#    it, and a comparison before and after proves that only the head's 110 parameters
#    moved.
# 2. A probe speaks only beside its baselines: random directions reach surprisingly far,
#    PCA draws level with the best of our codes, pixels lead where labels are plenty.
# 3. A code that lost units draws worse *and* classifies worse. Even so, ten numbers
#    keep about nine tenths of the accuracy that a linear classifier gets from all the
#    pixels, ten random ones nearly eight. What the probe cannot find, the shirts above
#    all, neighbours find in part.
# 4. Codes are an index for search, at a small part of the pixels' size.
#
# **Your turn**: the [exercise](../exercises/02_encoder/02_encoder.ipynb) to this
# lesson.
#
# **Next**: ten numbers force an encoder to choose. [Lesson 3](03_denoising.ipynb)
# removes the bottleneck altogether, with a code *larger* than the picture, and finds
# another way of keeping the network from merely copying.
