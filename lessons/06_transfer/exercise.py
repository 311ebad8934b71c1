# %% [markdown]
# # Exercise 6. A hundred labels, well spent
#
# A pre-trained encoder, a hundred labels, and a claim: "it helps". Here you build the three tools that such a claim needs, a proof of what was frozen, learning rates layer by layer, and a comparison in which luck
# cancels, and then make the claim come true.
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
# Training takes less than a minute in all. Under every task stands a check that says what was expected, what came and the likely cause.
# Your marks come from the same questions, asked with other inputs.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1]. The three encoders are lesson 06's: none of them has seen a label.

# %%
import copy

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
for name, encoder in encoders.items():
    print(
        f"{name:7} code of {encoder(train.images[:1]).numel()} numbers, {sum(p.numel() for p in encoder.parameters()):,} parameters"
    )

# %% [markdown]
# ## Worked: a draw of labels
#
# Lesson 06's draw: as many of each class, at random, and the same again for the same number. With it the baseline that every claim has to beat, logistic regression on pixels.


# %%
def draw_labels(labels, n, draw):
    """labels: (N,) -> indices of n of them, as many of each of the ten classes."""
    generator = torch.Generator().manual_seed(draw)
    of_class = [torch.nonzero(labels == c).flatten() for c in range(10)]
    return torch.cat(
        [
            members[torch.randperm(len(members), generator=generator)[: n // 10]]
            for members in of_class
        ]
    )


def pixels(images, labels, seed):
    """Logistic regression on the pixels: a function, images -> scores (N, 10)."""
    classifier = LogisticRegression(max_iter=1000).fit(
        images.flatten(1).numpy(), labels.numpy()
    )
    return lambda images: torch.from_numpy(
        classifier.decision_function(images.flatten(1).numpy())
    )


hundred = draw_labels(train.labels, 100, draw=0)
print("images of each class:", train.labels[hundred].bincount().tolist())

# %% [markdown]
# ## 1. What has moved? (•, 3 points)
#
# A network's `state_dict()` holds everything that it keeps, by name: parameters **and** buffers, such as the running averages of batch normalisation. Run `action` once and return the names of all entries that are
# different afterwards. Mind that `state_dict()` hands out the *living* tensors: what you keep must be a copy. Fill the two blanks.


# %% answer="moved"
def moved(network, action):
    """Calls action() -> list of the names in network.state_dict() whose values it changed."""
    # before = {name: ____ for name, value in network.state_dict().items()}
    # action()
    # return [name for name, value in network.state_dict().items() if ____]
    ### BEGIN SOLUTION
    before = {name: value.clone() for name, value in network.state_dict().items()}
    action()
    return [
        name
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    ]
    ### END SOLUTION


# %% check="moved"
check("moved", moved)

# %% [markdown]
# ## 2. A learning rate for each layer (••, 3 points)
#
# The deeper a layer lies below the head, the less it should move. Return parameter groups for an optimiser: the head with `rate`, the encoder's **last** layer with `rate * factor`, the one before it with
# `rate * factor**2`, and so on. `encoder` is an `nn.Sequential`; its layers are its children *that have parameters*: a ReLU or a pooling does not count. Every parameter must be in exactly one group.


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
# A *method* is a function `method(images, labels, seed)` that returns a trained model (or another function from images to scores (N, 10)), like `pixels` above. Compare two of them: for each `draw`, take `n` labelled images of the pool with
# `draw_labels`, give **the same ones and the same seed** (the draw's number) to both, and score both on the exam. Return the mean over the draws of *second minus first*, in percentage points, and the **standard
# error of these differences** (their deviation, with draws − 1 in the denominator, over the root of the number of draws).


# %% answer="compare"
def compare(first, second, pool, exam, n, draws):
    """pool, exam: (images, labels); draws: list of numbers -> (mean gain of second over first, its standard error), in points."""

    ### BEGIN SOLUTION
    def accuracy(model):
        return (
            100
            * (metrics.apply_in_batches(model, exam[0]).argmax(dim=1) == exam[1])
            .double()
            .mean()
        )

    gains = []
    for draw in draws:
        chosen = draw_labels(pool[1], n, draw)
        images, labels = pool[0][chosen], pool[1][chosen]
        gains.append(
            accuracy(second(images, labels, draw))
            - accuracy(first(images, labels, draw))
        )
    gains = torch.stack(gains)
    return float(gains.mean()), float(gains.std() / len(gains) ** 0.5)
    ### END SOLUTION


# %% check="compare"
check("compare", compare)

# %% [markdown]
# ## 4. Better than pixels, by 1.5 points (•••, 4 points)
#
# Write a method that beats logistic regression on pixels by **at least 1.5 points** with a hundred labels, on average over the draws. It gets lesson 06's three encoders; choose with that lesson's results in mind, and train a head on it or the
# encoder, too (that takes `layer_groups`, and a smaller rate). `training.fit` with the loss `losses.classification` trains; at most a few seconds for each draw. Use only the images and labels that you are given, and **leave the
# encoders as they were**: the next draw starts from them.


# %% answer="few_labels"
def few_labels(encoders, images, labels, seed):
    """encoders: {"conv", "DAE", "ResNet"}, pre-trained; images (100, 1, 28, 28), labels (100,) -> a model, images -> scores (N, 10)."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    encoder = copy.deepcopy(encoders["DAE"]).requires_grad_(False).eval()
    codes = metrics.apply_in_batches(encoder, images)
    head = nn.Sequential(nn.Linear(codes.shape[1], 64), nn.ReLU(), nn.Linear(64, 10))
    training.fit(
        head,
        (codes, labels),
        losses.classification,
        epochs=40,
        batch_size=32,
        lr=1e-3,
        seed=seed,
        progress=False,
    )
    return nn.Sequential(encoder, head)
    ### END SOLUTION


# %% [markdown]
# Eight draws of three methods: the same network from scratch, with as many epochs as a head and a fine-tuning would take together, logistic regression on pixels, and yours. Each line is one draw of the labels.


# %% tags=["wanted"]
def from_scratch(images, labels, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(
        models.conv_autoencoder()[0],
        nn.Flatten(),
        nn.Linear(576, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    training.fit(
        model,
        (images, labels),
        losses.classification,
        epochs=80,
        batch_size=32,
        seed=seed,
        progress=False,
    )
    return model


methods = {
    "from scratch": from_scratch,
    "pixels": pixels,
    "yours": lambda images, labels, seed: few_labels(encoders, images, labels, seed),
}
accuracies, gain = {}, None
try:
    for name, method in methods.items():
        models_of = [
            method(*(part[draw_labels(train.labels, 100, draw)] for part in pool), draw)
            for draw in range(8)
        ]
        accuracies[name] = [
            100
            * float(
                (metrics.apply_in_batches(model, exam[0]).argmax(1) == exam[1])
                .float()
                .mean()
            )
            for model in models_of
        ]
    gains = {
        name: torch.tensor(accuracies["yours"]) - torch.tensor(accuracies[name])
        for name in ("pixels", "from scratch")
    }
    gain = float(gains["pixels"].mean())
    title = "Yours gains " + " and ".join(
        f"{float(g.mean()):+.1f} ± {float(g.std()) / len(g) ** 0.5:.1f} points over {name}"
        for name, g in gains.items()
    )
except Exception as error:
    title = f"Not yet: {type(error).__name__}"
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for draw, values in enumerate(zip(*accuracies.values())):
    ax.plot(
        list(accuracies),
        values,
        marker=plots.MARKERS[draw],
        color=plots.CLASS_COLOURS[draw],
    )
ax.set(ylabel="accuracy on held-out images (%)")
plots.finish(
    fig,
    title,
    "Accuracy with a hundred labels for each of the three methods; one line for each of eight draws of the labels. A gain is a mean difference with its standard error.",
)

# %% check="few_labels"
check("few_labels", few_labels)

# %% [markdown]
# ## 5. What is wrong with this paper? (••, text, 3 points)
#
# "We pre-trained an autoencoder on all images, training and test. With 100 labels we trained a head for 40 epochs and then everything for 40 more; the same network from random weights, trained for 40 epochs, was ten points worse. The best of five
# draws is reported for each. Pre-training is what matters when labels are few." In at most ten sentences: name three faults of this comparison. In which direction does each push the gain, and how would you repair it?
#
# *How it is marked.* One point for each fault: it is one of this comparison, its direction is right,
# and the repair would work.

# %% [markdown] text="paper" points=3
# Model answer. The network from scratch was trained for half as long, which makes the gain look larger; give it eighty epochs. The best of five draws is luck, and it is a different luck for each method; it flatters the method that varies more,
# and it comes without an error. Compare on the same draws and report the mean difference with its standard error. There is no simple baseline: in the lesson logistic regression on pixels was better than the network from scratch, so that much
# of the gain is the poor rival's; the claim needs that line. Last, the test images took part in the pre-training: without labels, but the code was fitted to them, which can only help the pre-trained side; leave them out, or say so.

# %% [markdown]
# ## What you have done
#
# You can prove what was frozen, give every layer its own pace, and say "it helps" with an error beside it. Exercise 7 looks at the codes themselves.

# %% tags=["closing"]
check.all(globals())
