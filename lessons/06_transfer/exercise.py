# %% [markdown]
# # Exercise 6. A hundred labels, well spent
#
# A pre-trained encoder, a hundred labels, and a claim: "it helps". Here you build the
# three tools that such a claim needs, a proof of what was frozen, learning rates layer
# by layer, and a comparison in which luck cancels, and then make the claim come true.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | a draw of labels | · | 3 | – |
# | 1 | what has moved? | • | 7 | 3 |
# | 2 | a learning rate for each layer | •• | 8 | 3 |
# | 3 | a fair comparison | •• | 9 | 3 |
# | 4 | better than pixels, by 1.5 points | ••• | 12 | 4 |
# | 5 | what is wrong with this paper? (text) | •• | 6 | 3 |
#
# Training takes less than a minute in all. Under every task in code stands a check: run
# it as often as you like. It says what was expected, what came, and the likely cause.
# Your marks come from the same questions, asked with other inputs. Where a task sets a
# limit, the check's is a little wider: chance costs no point.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1]. The three
# encoders are lesson 6's: none of them has seen a label.

# %%
import copy

import pandas as pd
import torch
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from torch import nn

from course_utils import data, losses, metrics, models, plots, pretrained, training
from course_utils.checks import Checks

check = Checks("06_transfer")
train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
pool, exam = (train.images, train.labels), (validation.images, validation.labels)
encoders = {
    "conv": pretrained.load("conv_short")[0],
    "DAE": pretrained.load("dae")[0],
    "ResNet": pretrained.load("resnet_64")[0],
}
sizes = {
    name: {
        "numbers in the code": encoder(train.images[:1]).numel(),
        "parameters": sum(p.numel() for p in encoder.parameters()),
    }
    for name, encoder in encoders.items()
}
pd.DataFrame(sizes).T

# %% [markdown]
# ## Worked: a draw of labels
#
# Lesson 6's draw: as many of each class, at random, and the same again for the same
# number. With it the baseline that every claim has to beat, logistic regression on
# pixels.


# %%
def draw_labels(labels, n, draw):
    """labels: (N,) -> indices of n of them, as many of each of the ten classes."""
    generator = torch.Generator().manual_seed(draw)
    chosen = []
    for c in range(10):
        members = torch.nonzero(labels == c).flatten()
        order = torch.randperm(len(members), generator=generator)
        chosen.append(members[order[: n // 10]])
    return torch.cat(chosen)


def pixels(images, labels, seed):
    """Logistic regression on the pixels: a function, images -> scores (N, 10)."""
    classifier = LogisticRegression(max_iter=1000)
    classifier.fit(images.flatten(1).numpy(), labels.numpy())

    def scores(images):
        return torch.from_numpy(classifier.decision_function(images.flatten(1).numpy()))

    return scores


hundred = draw_labels(train.labels, 100, draw=0)
print("images of each class:", train.labels[hundred].bincount().tolist())

# %% [markdown]
# ## 1. What has moved? (•, 3 points)
#
# A network's `state_dict()` holds everything that it keeps, by name: parameters **and**
# buffers, such as the running averages of batch normalisation. Run `action` once and
# return the names of all entries that are different afterwards, be it by a millionth.
# Mind that `state_dict()` hands out the *living* tensors: what you keep must be a copy.
# Fill the two blanks.
#
# <details><summary>A nudge</summary>
#
# Change one weight of a network and look at the dictionary that you got before. What
# has happened to it?
# </details>
# <details><summary>A push</summary>
#
# `.clone()` is a copy; `.detach()` is not. To compare two tensors number by number and
# without a tolerance, torch has a function that returns True or False.
# </details>


# %% answer="moved"
def moved(network, action):
    """Calls action() -> list of the names in network.state_dict() that it changed."""
    # before = {name: ____ for name, value in network.state_dict().items()}
    # action()
    # after = network.state_dict().items()
    # return [name for name, value in after if ____]
    ### BEGIN SOLUTION
    before = {name: value.clone() for name, value in network.state_dict().items()}
    action()
    after = network.state_dict().items()
    return [name for name, value in after if not torch.equal(value, before[name])]
    ### END SOLUTION


# %% check="moved"
check("moved", moved)

# %% [markdown]
# ## 2. A learning rate for each layer (••, 3 points)
#
# The deeper a layer lies below the head, the less it should move. Return parameter
# groups for an optimiser: the head with `rate`, the encoder's **last** layer with
# `rate * factor`, the one before it with `rate * factor**2`, and so on. `encoder` is an
# `nn.Sequential`; its layers are its children *that have parameters*: a ReLU or a
# pooling does not count, and a block of several layers is one. Every parameter must be
# in exactly one group.
#
# <details><summary>A nudge</summary>
#
# From which end would you go through the encoder, so that the rate only ever shrinks?
# </details>
# <details><summary>A push</summary>
#
# `reversed(encoder)` gives the children from the last to the first, and
# `list(child.parameters())` is empty for a ReLU. Multiply `rate` by `factor` as you go.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# groups = [{"params": list(head.parameters()), "lr": …}]
# for layer in …:
#     if …:
#         rate = …
#         groups.append(…)
# ```
# </details>


# %% answer="layer_groups"
def layer_groups(encoder, head, rate, factor):
    """-> list of {"params": [...], "lr": ...}, to be handed to torch.optim.Adam."""
    ### BEGIN SOLUTION
    groups = [{"params": list(head.parameters()), "lr": rate}]
    for layer in reversed(encoder):
        if list(layer.parameters()):
            rate = rate * factor
            groups.append({"params": list(layer.parameters()), "lr": rate})
    return groups
    ### END SOLUTION


# %% check="layer_groups"
check("layer_groups", layer_groups)

# %% [markdown]
# ## 3. A fair comparison (••, 3 points)
#
# A *method* is a function `method(images, labels, seed)` that returns a trained model
# (or another function from images to scores (N, 10)), like `pixels` above. Compare two
# of them: for each `draw`, take `n` labelled images of the pool with `draw_labels`,
# give **the same ones and the same seed** (the draw's number) to both, and score both
# on the exam. Return the mean over the draws of *second minus first*, in percentage
# points, and the **standard error of these differences** (their deviation, with
# draws − 1 in the denominator, over the root of the number of draws).
#
# <details><summary>A nudge</summary>
#
# One number for each draw comes first. Mean and error are then those of one list.
# </details>
# <details><summary>A push</summary>
#
# `metrics.apply_in_batches(model, images)` gives the scores of a model as of a
# function; the class is where the score is largest, `argmax(dim=1)`. A tensor's
# `.std()` has draws − 1 in the denominator; numpy's has not.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# for draw in …:
#     chosen = draw_labels(…)
#     images, labels = pool[0][chosen], …
#     gains.append(accuracy(second(…)) - accuracy(first(…)))
# ```
# </details>


# %% answer="compare"
def compare(first, second, pool, exam, n, draws):
    """pool, exam: (images, labels); draws: list of numbers -> (mean gain of second over
    first, its standard error), in points."""

    ### BEGIN SOLUTION
    def accuracy(model):
        names = metrics.apply_in_batches(model, exam[0]).argmax(dim=1)
        return 100 * (names == exam[1]).double().mean()

    gains = []
    for draw in draws:
        chosen = draw_labels(pool[1], n, draw)
        images, labels = pool[0][chosen], pool[1][chosen]
        one, other = first(images, labels, draw), second(images, labels, draw)
        gains.append(accuracy(other) - accuracy(one))
    gains = torch.stack(gains)
    return float(gains.mean()), float(gains.std() / len(gains) ** 0.5)
    ### END SOLUTION


# %% check="compare"
check("compare", compare)

# %% [markdown]
# ## 4. Better than pixels, by 1.5 points (•••, 4 points)
#
# Write a method that beats logistic regression on pixels by **at least 1.5 points**,
# with a hundred labels, on average over the draws. It gets lesson 6's three encoders;
# choose with that lesson's results in mind, and train a head on it or the encoder, too
# (that takes `layer_groups`, and a smaller rate). `training.fit` with the loss
# `losses.classification` trains; at most a few seconds for each draw. Use only the
# images and labels that you are given: the check gives the classes other numbers, and a
# gain that a hundred labels cannot give is refused. **Leave the encoders as they
# were**: the next draw starts from them.
#
# <details><summary>A nudge</summary>
#
# Which of lesson 6's three encoders was best with a hundred labels when it was frozen?
# </details>
# <details><summary>A push</summary>
#
# A frozen encoder gives each image the same code in every epoch: compute the codes
# once, `metrics.apply_in_batches(encoder, images)`, and train a small head on them.
# Then `nn.Sequential(encoder, head)` is the model. `copy.deepcopy` makes the encoder
# yours.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# encoder = copy.deepcopy(encoders[…]).eval()
# codes = metrics.apply_in_batches(…)
# head = nn.Sequential(nn.Linear(codes.shape[1], 64), …)
# training.fit(head, (codes, labels), losses.classification, epochs=…, batch_size=…)
# ```
# </details>


# %% answer="few_labels"
def few_labels(encoders, images, labels, seed):
    """encoders: {"conv", "DAE", "ResNet"}, pre-trained; images (100, 1, 28, 28), labels
    (100,) -> a model, images -> scores (N, 10)."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    encoder = copy.deepcopy(encoders["DAE"]).requires_grad_(False).eval()
    codes = metrics.apply_in_batches(encoder, images)
    head = nn.Sequential(nn.Linear(codes.shape[1], 64), nn.ReLU(), nn.Linear(64, 10))
    how = {"epochs": 40, "batch_size": 32, "lr": 1e-3, "progress": False}
    training.fit(head, (codes, labels), losses.classification, seed=seed, **how)
    return nn.Sequential(encoder, head)
    ### END SOLUTION


# %% [markdown]
# Eight draws of three methods: the seminar's convolutional network from scratch, with
# as many epochs as a head and a fine-tuning would take together; logistic regression on
# pixels; and yours. (Whoever chose another encoder than the convolutional one gains or
# loses by the difference of the two networks, too.) Each line is one draw of the
# labels.


# %%
def conv_from_scratch(images, labels, seed):
    torch.manual_seed(seed)
    head = nn.Sequential(nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10))
    model = nn.Sequential(models.conv_autoencoder()[0], nn.Flatten(), head)
    how = {"epochs": 80, "batch_size": 32, "progress": False}
    training.fit(model, (images, labels), losses.classification, seed=seed, **how)
    return model


def yours(images, labels, seed):
    return few_labels(encoders, images, labels, seed)


def accuracies_of(method):
    """For each of eight draws the accuracy on held-out images, in per cent."""
    found = []
    for draw in range(8):
        chosen = draw_labels(train.labels, 100, draw)
        model = method(train.images[chosen], train.labels[chosen], draw)
        names = metrics.apply_in_batches(model, exam[0]).argmax(dim=1)
        found.append(100 * float((names == exam[1]).float().mean()))
    return found


def gain_over(rival):
    gain = table["yours"] - table[rival]
    return f"{gain.mean():+.1f} points over {rival} (standard error {gain.sem():.1f})"


# %% tags=["wanted"]
table = pd.DataFrame()
title = "Not yet"
try:
    for method in (conv_from_scratch, pixels, yours):
        table[method.__name__.replace("_", " ")] = accuracies_of(method)
    title = f"Yours gains {gain_over('pixels')} and {gain_over('conv from scratch')}"
except Exception as error:
    title = f"Not yet: {type(error).__name__}"

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for draw, values in table.iterrows():
    look = {"marker": plots.MARKERS[draw], "color": plots.CLASS_COLOURS[draw]}
    ax.plot(table.columns, values, **look)
ax.set(ylabel="accuracy on held-out images (%)")
plots.finish(
    fig,
    title=title,
    caption="Accuracy with a hundred labels for each of the three methods; one line "
    "for each of eight draws of the labels. A gain is a mean difference.",
)

# %% [markdown]
# The check trains yours on eight other draws and asks it about other held-out images.

# %% check="few_labels"
check("few_labels", few_labels)

# %% [markdown]
# ## 5. What is wrong with this paper? (••, text, 3 points)
#
# "We pre-trained an autoencoder on all images, training and test. With 100 labels we
# trained a head for 40 epochs and then everything for 40 more; the same network from
# random weights, trained for 40 epochs, was ten points worse. The best of five draws is
# reported for each. Pre-training is what matters when labels are few." In at most ten
# sentences: name three faults of this comparison. In which direction does each push the
# gain, and how would you repair it?
#
# *How it is marked.* One point for each fault: it is one of this comparison, its
# direction is right, and the repair would work.

# %% [markdown] text="paper" points=3
# Model answer. The network from scratch was trained for half as long, which makes the
# gain look larger; give it eighty epochs. The best of five draws is luck, and it is a
# different luck for each method; it flatters the method that varies more, and it comes
# without an error. Compare on the same draws and report the mean difference with its
# standard error. There is no simple baseline: in the lesson logistic regression on
# pixels was better than the network from scratch, so that much of the gain is the poor
# rival's; the claim needs that line. Last, the test images took part in the
# pre-training: without labels, but the code was fitted to them, which can only help the
# pre-trained side; leave them out, or say so. (To pre-train on training images without
# their labels is no fault.)

# %% [markdown]
# ## What you have done
#
# You can prove what was frozen, give every layer its own pace, and say "it helps" with
# an error beside it. Exercise 7 asks whether a linear autoencoder finds PCA's space,
# and what a map in the plane has kept of the images. The last cell asks all questions
# once more and adds up.

# %% tags=["closing"]
check.all(globals())
