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
# The marks come from further checks, on other networks and images, that you do not see.

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

from course_utils import data, metrics, models, plots, pretrained, training
from course_utils.checks import check

train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
pool, exam = (train.images, train.labels), (validation.images, validation.labels)
encoders = {"conv": pretrained.load("conv_short")[0], "DAE": pretrained.load("dae")[0], "ResNet": pretrained.load("resnet_64")[0]}
for name, encoder in encoders.items():
    print(f"{name:7} code of {encoder(train.images[:1]).numel()} numbers, {sum(p.numel() for p in encoder.parameters()):,} parameters")

# %% [markdown]
# ## Worked: a draw of labels
#
# Lesson 06's draw: as many of each class, at random, and the same again for the same number. With it the baseline that every claim has to beat, logistic regression on pixels.

# %%
def draw_labels(labels, n, draw):
    """labels: (N,) -> indices of n of them, as many of each of the ten classes."""
    generator = torch.Generator().manual_seed(draw)
    of_class = [torch.nonzero(labels == c).flatten() for c in range(10)]
    return torch.cat([members[torch.randperm(len(members), generator=generator)[: n // 10]] for members in of_class])


def pixels(images, labels, seed):
    """Logistic regression on the pixels: a function, images -> scores (N, 10)."""
    classifier = LogisticRegression(max_iter=1000).fit(images.flatten(1).numpy(), labels.numpy())
    return lambda images: torch.from_numpy(classifier.decision_function(images.flatten(1).numpy()))


hundred = draw_labels(train.labels, 100, draw=0)
print("images of each class:", train.labels[hundred].bincount().tolist())

# %% [markdown]
# ## 1. What has moved? (•, 3 points)
#
# A network's `state_dict()` holds everything that it keeps, by name: parameters **and** buffers, such as the running averages of batch normalisation. Run `action` once and return the names of all entries that are
# different afterwards. Mind that `state_dict()` hands out the *living* tensors: what you keep must be a copy. Fill the two blanks.

# %% nbgrader={"grade": false, "grade_id": "moved", "locked": false, "schema_version": 3, "solution": true, "task": false}
def moved(network, action):
    """Calls action() -> list of the names in network.state_dict() whose values it changed."""
    # before = {name: ____ for name, value in network.state_dict().items()}
    # action()
    # return [name for name, value in network.state_dict().items() if ____]
    ### BEGIN SOLUTION
    before = {name: value.clone() for name, value in network.state_dict().items()}
    action()
    return [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_moved", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 4), nn.BatchNorm1d(4))


def a_step(network, rate):
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    network(train.images[:8])[:, 0].exp().sum().backward()
    optimizer.step()


frozen, awake = small_network().requires_grad_(False), small_network()
check("no gradients, but train mode", lambda: sorted(moved(frozen, lambda: frozen.train()(train.images[:8]))), ["2.num_batches_tracked", "2.running_mean", "2.running_var"],
      {"what was kept moved along (value.clone() is a copy), or the buffers are left out (state_dict() has them)": []})
check("no gradients, eval mode", lambda: moved(frozen.eval(), lambda: frozen(train.images[:8])), [])
check("one step of gradient descent in eval mode", lambda: sorted(moved(awake.eval(), lambda: a_step(awake, 1.0))), ["1.bias", "1.weight", "2.bias", "2.weight"], likely="value.clone(): a copy that shares memory moves along")
### BEGIN HIDDEN TESTS
import sys, course_utils; sys.path.insert(0, course_utils.__path__[0] + "/..")
from grading.judging import hidden
hidden("06_transfer", "check_moved", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. A learning rate for each layer (••, 3 points)
#
# The deeper a layer lies below the head, the less it should move. Return parameter groups for an optimiser: the head with `rate`, the encoder's **last** layer with `rate * factor`, the one before it with
# `rate * factor**2`, and so on. `encoder` is an `nn.Sequential`; its layers are its children *that have parameters*: a ReLU or a pooling does not count. Every parameter must be in exactly one group.

# %% nbgrader={"grade": false, "grade_id": "layer_groups", "locked": false, "schema_version": 3, "solution": true, "task": false}
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

# %% nbgrader={"grade": true, "grade_id": "check_layer_groups", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def handed_over():
    return torch.optim.Adam(layer_groups(two_layers, a_head, 0.01, 0.5), lr=0.01).param_groups


two_layers, a_head = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU()), nn.Linear(6, 10)
check("rates of two layers and a head", lambda: [[round(g["lr"], 6) for g in handed_over() if any(p is q for q in g["params"])] for p in (two_layers[1].weight, two_layers[3].weight, a_head.weight)], [[0.0025], [0.005], [0.01]], {
    "turned round: the layer next to the head moves most": [[0.005], [0.0025], [0.01]], "layers without parameters were counted": [[0.000625], [0.0025], [0.01]],
    "the head got a smaller rate, too": [[0.00125], [0.0025], [0.005]], "one rate for the whole encoder": [[0.005], [0.005], [0.01]], "the head is missing": [[0.0025], [0.005], []],
    "the last layer's rate is rate * factor": [[0.005], [0.01], [0.01]]})
check("every parameter once", lambda: sum(p.numel() for g in handed_over() for p in g["params"]), 784 * 8 + 8 + 8 * 6 + 6 + 6 * 10 + 10, {"the biases are missing": 784 * 8 + 8 * 6 + 6 * 10})
### BEGIN HIDDEN TESTS
hidden("06_transfer", "check_layer_groups", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A fair comparison (••, 3 points)
#
# A *method* is a function `method(images, labels, seed)` that returns a trained model (or another function from images to scores (N, 10)), like `pixels` above. Compare two of them: for each `draw`, take `n` labelled images of the pool with
# `draw_labels`, give **the same ones and the same seed** (the draw's number) to both, and score both on the exam. Return the mean over the draws of *second minus first*, in percentage points, and the **standard
# error of these differences** (their deviation, with draws − 1 in the denominator, over the root of the number of draws).

# %% nbgrader={"grade": false, "grade_id": "compare", "locked": false, "schema_version": 3, "solution": true, "task": false}
def compare(first, second, pool, exam, n, draws):
    """pool, exam: (images, labels); draws: list of numbers -> (mean gain of second over first, its standard error), in points."""
    ### BEGIN SOLUTION
    def accuracy(model):
        return 100 * (metrics.apply_in_batches(model, exam[0]).argmax(dim=1) == exam[1]).double().mean()

    gains = []
    for draw in draws:
        chosen = draw_labels(pool[1], n, draw)
        images, labels = pool[0][chosen], pool[1][chosen]
        gains.append(accuracy(second(images, labels, draw)) - accuracy(first(images, labels, draw)))
    gains = torch.stack(gains)
    return float(gains.mean()), float(gains.std() / len(gains) ** 0.5)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_compare", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
few = (validation.images[:200], validation.labels[:200])


def oracle(right_in_per_cent):
    """A method that cheats: with seed s it is right for the first right_in_per_cent[s] per cent of the exam."""
    def method(images, labels, seed):
        def scores(images):
            place = torch.cdist(images.flatten(1), few[0].flatten(1)).argmin(dim=1)
            return nn.functional.one_hot((few[1][place] + (place >= 2 * right_in_per_cent[seed])) % 10, 10).float()
        return scores
    return method


def nearest_mean(images, labels, seed):
    """The nearest class mean, seen through pixels that the seed chooses: a quick method that depends on everything."""
    seen = (torch.rand(784, generator=torch.Generator().manual_seed(seed)) < 0.1).float()
    means = torch.stack([images[labels == c].flatten(1).mean(0) * seen for c in range(10)])
    return lambda images: -torch.cdist(images.flatten(1) * seen, means)


check("known gains of 2, 4 and 0 points", lambda: compare(oracle([50, 60, 70]), oracle([52, 64, 70]), pool, few, 100, [0, 1, 2]), (2.0, 2 / 3**0.5), {
    "first minus second": (-2.0, 2 / 3**0.5), "accuracy is a share here, points are asked for": (0.02, 0.02 / 3**0.5), "the deviation was not divided by the root of the number of draws": (2.0, 2.0),
    "n - 1 belongs into the denominator": (2.0, (8 / 9) ** 0.5), "the error of unpaired values: the luck of the draw does not cancel": (2.0, ((100 + 84) / 3) ** 0.5)}, tolerance=1e-3)
check("a method against itself", lambda: compare(nearest_mean, nearest_mean, pool, few, 100, [3, 4, 5, 6]), (0.0, 0.0), likely="both must get the same images and the same seed")
### BEGIN HIDDEN TESTS
hidden("06_transfer", "check_compare", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Better than pixels, by 1.5 points (•••, 4 points)
#
# Write a method that beats logistic regression on pixels by **at least 1.5 points** with a hundred labels, on average over the draws. It gets lesson 06's three encoders; choose with that lesson's results in mind, and train a head on it or the
# encoder, too (that takes `layer_groups`, and a smaller rate). `training.fit` with the loss `losses.classification` trains; at most a few seconds for each draw. Use only the images and labels that you are given, and **leave the
# encoders as they were**: the next draw starts from them.

# %% nbgrader={"grade": false, "grade_id": "few_labels", "locked": false, "schema_version": 3, "solution": true, "task": false}
def few_labels(encoders, images, labels, seed):
    """encoders: {"conv", "DAE", "ResNet"}, pre-trained; images (100, 1, 28, 28), labels (100,) -> a model, images -> scores (N, 10)."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    encoder = copy.deepcopy(encoders["DAE"]).requires_grad_(False).eval()
    codes = metrics.apply_in_batches(encoder, images)
    head = nn.Sequential(nn.Linear(codes.shape[1], 64), nn.ReLU(), nn.Linear(64, 10))
    training.fit(head, (codes, labels), losses.classification, epochs=40, batch_size=32, lr=1e-3, seed=seed, progress=False)
    return nn.Sequential(encoder, head)
    ### END SOLUTION

# %% [markdown]
# Eight draws of three methods: the same network from scratch, with as many epochs as a head and a fine-tuning would take together, logistic regression on pixels, and yours. Each line is one draw of the labels.

# %% tags=["wanted"]
def from_scratch(images, labels, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(models.conv_autoencoder()[0], nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10))
    training.fit(model, (images, labels), losses.classification, epochs=80, batch_size=32, seed=seed, progress=False)
    return model


methods = {"from scratch": from_scratch, "pixels": pixels, "yours": lambda images, labels, seed: few_labels(encoders, images, labels, seed)}
accuracies, gain = {}, None
try:
    for name, method in methods.items():
        models_of = [method(*(part[draw_labels(train.labels, 100, draw)] for part in pool), draw) for draw in range(8)]
        accuracies[name] = [100 * float((metrics.apply_in_batches(model, exam[0]).argmax(1) == exam[1]).float().mean()) for model in models_of]
    gains = {name: torch.tensor(accuracies["yours"]) - torch.tensor(accuracies[name]) for name in ("pixels", "from scratch")}
    gain = float(gains["pixels"].mean())
    title = "Yours gains " + " and ".join(f"{float(g.mean()):+.1f} ± {float(g.std()) / len(g) ** 0.5:.1f} points over {name}" for name, g in gains.items())
except Exception as error:
    title = f"Not yet: {type(error).__name__}"
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for draw, values in enumerate(zip(*accuracies.values())):
    ax.plot(list(accuracies), values, marker=plots.MARKERS[draw], color=plots.CLASS_COLOURS[draw])
ax.set(ylabel="accuracy on held-out images (%)")
plots.finish(fig, title, "Accuracy with a hundred labels for each of the three methods; one line for each of eight draws of the labels. A gain is a mean difference with its standard error.")

# %% nbgrader={"grade": true, "grade_id": "check_few_labels", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
labelled = train.images[hundred], train.labels[hundred]
untouched = {"conv": pretrained.load("conv_short")[0], "DAE": pretrained.load("dae")[0], "ResNet": pretrained.load("resnet_64")[0]}
check("ten scores for each image", lambda: tuple(metrics.apply_in_batches(few_labels(encoders, *labelled, 0), validation.images[:7]).shape), (7, 10), likely="scores are asked for, not classes")
check("the encoders are as they were", lambda: [name for name in encoders if any(not torch.equal(a, b) for a, b in zip(encoders[name].state_dict().values(), untouched[name].state_dict().values()))], [],
      likely="train a copy, copy.deepcopy; or keep a frozen encoder in eval mode")
check("1.5 points better than pixels", lambda: gain is not None and gain >= 1.5, True, likely="another encoder; too few epochs for the head; fine-tuning with too large a rate")
### BEGIN HIDDEN TESTS
hidden("06_transfer", "check_few_labels", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. What is wrong with this paper? (••, text, 3 points)
#
# "We pre-trained an autoencoder on all images, training and test. With 100 labels we trained a head for 40 epochs and then everything for 40 more; the same network from random weights, trained for 40 epochs, was ten points worse. The best of five
# draws is reported for each. Pre-training is what matters when labels are few." In at most ten sentences: name three faults of this comparison. In which direction does each push the gain, and how would you repair it?
#
# *How it is marked.* One point for each fault with direction and repair. Faults are: half of the training for the network from scratch; the best of five draws instead of mean and error of paired differences; no simple baseline, such as
# logistic regression on pixels or PCA; test images in the pre-training, without labels but seen. Not a fault: pre-training on images whose labels are not used.

# %% [markdown] nbgrader={"grade": true, "grade_id": "paper", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# Model answer. The network from scratch was trained for half as long, which makes the gain look larger; give it eighty epochs. The best of five draws is luck, and it is a different luck for each method; it flatters the method that varies more,
# and it comes without an error. Compare on the same draws and report the mean difference with its standard error. There is no simple baseline: in the lesson logistic regression on pixels was better than the network from scratch, so that much
# of the gain is the poor rival's; the claim needs that line. Last, the test images took part in the pre-training: without labels, but the code was fitted to them, which can only help the pre-trained side; leave them out, or say so.

# %% [markdown]
# ## What you have done
#
# You can prove what was frozen, give every layer its own pace, and say "it helps" with an error beside it. Exercise 8 is the next one: lesson 07 has none.
