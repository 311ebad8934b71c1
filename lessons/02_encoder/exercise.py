# %% [markdown]
# # Exercise 2. Prove that the encoder did not move
#
# Lesson 02 took an encoder out, froze it and trained a new head on its code. Everybody *says* that the encoder was frozen. Here you build the
# instrument that shows it, find out whether it can be deceived, and then train a head that reads the clothes from a code that did not move.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | what can be trained? | · | 3 | – |
# | 1 | an encoder, frozen, with a new head | • | 8 | 2 |
# | 2 | what has moved? | •• | 10 | 3 |
# | 3 | train the head, and nothing else | •• | 12 | 4 |
# | 4 | two ways to be deceived (text) | •• | 7 | 3 |
#
# Training takes less than a minute in all. Under every task stands a check that says what was expected, what came and the likely cause.
# The marks come from further checks, with other encoders and images, that you do not see.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1], labels are 0 to 9.

# %%
import torch
from torch import nn

from course_utils import data, metrics, models, plots, training
from course_utils.checks import check

train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(5, round(1500 * 128 / len(train)))
torch.manual_seed(0)
autoencoder = models.dense_autoencoder(32, nn.Identity())
training.fit(autoencoder, train.images[:20000], epochs=max(3, round(1000 * 128 / min(len(train), 20000))), lr=3e-3)
encoder = autoencoder[0]
print(f"{len(train):,} images for training, {len(validation):,} for validation; a code of 32 numbers")

# %% [markdown]
# ## Worked: what can be trained?
#
# An optimiser moves a parameter only if `requires_grad` is true. This counts the numbers that may move.

# %%
def trainable(model):
    """Number of single numbers in the model that an optimiser may move."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


trainable(encoder), trainable(nn.Linear(32, 10))

# %% [markdown]
# ## 1. An encoder, frozen, with a new head (•, 2 points)
#
# Return `nn.Sequential(encoder, head)`: no parameter of the encoder may be trained, the head is one linear layer from the code to `classes` scores
# (logits: no softmax, since the loss brings its own) and may be trained. Half of it stands there; the code's size is found by asking the encoder.

# %% nbgrader={"grade": false, "grade_id": "with_head", "locked": false, "schema_version": 3, "solution": true, "task": false}
def with_head(encoder, classes):
    """encoder: images (N, 1, 28, 28) -> codes (N, k). Returns nn.Sequential(encoder, head), only the head trainable."""
    with torch.no_grad():
        k = encoder(torch.zeros(2, 1, 28, 28)).shape[1]
    # for every parameter of the encoder: parameter.requires_grad = ____
    # the head: from ____ numbers to ____ scores
    ### BEGIN SOLUTION
    for parameter in encoder.parameters():
        parameter.requires_grad = False
    return nn.Sequential(encoder, nn.Linear(k, classes))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_with_head", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
fresh = models.dense_autoencoder(7)[0]
check("trainable numbers with a code of 7 and 10 classes", lambda: trainable(with_head(fresh, 10)), 7 * 10 + 10,
      {"the encoder is not frozen": 784 * 7 + 7 + 80, "nothing can be trained, not even the head": 0})
check("scores for ten classes", lambda: tuple(with_head(fresh, 10)(validation.images[:4]).shape), (4, 10))
check("scores are not probabilities", lambda: bool((with_head(fresh, 10)(validation.images[:4]).sum(1) - 1).abs().max() < 1e-4), False, likely="a softmax at the end; the loss has its own")
### BEGIN HIDDEN TESTS
import sys, course_utils; sys.path.insert(0, course_utils.__path__[0] + "/..")
from grading.judging import hidden
hidden("02_encoder", "check_with_head", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. What has moved? (••, 3 points)
#
# Two functions. `snapshot(model)` keeps everything that the model's `state_dict()` holds (parameters *and* buffers), so that later changes of the model do
# **not** change the snapshot. `moved(before, model)` returns the names, in alphabetical order, of all entries that are not exactly as they were.

# %% nbgrader={"grade": false, "grade_id": "moved", "locked": false, "schema_version": 3, "solution": true, "task": false}
def snapshot(model):
    """A copy of the model's state: name -> tensor."""
    ### BEGIN SOLUTION
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
    ### END SOLUTION


def moved(before, model):
    """Names of the entries of the model's state that differ from `before`, sorted."""
    ### BEGIN SOLUTION
    now = model.state_dict()
    return sorted(name for name in now if not torch.equal(before[name], now[name]))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_moved", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def one_change(change):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    before = snapshot(model)
    with torch.no_grad():
        change(model)
    return moved(before, model)


check("nothing moved", lambda: one_change(lambda model: None), [])
check("a weight moved a little", lambda: one_change(lambda model: model[0].weight[1, 2].add_(1e-6)), ["0.weight"],
      {"the snapshot shares its memory with the model: clone it": []}, likely="compare exactly, not with a tolerance")
check("a buffer moved", lambda: one_change(lambda model: model[1].running_mean.add_(1)), ["1.running_mean"], {"buffers belong to the state, too": []})
check("one up, one down", lambda: one_change(lambda model: model[0].bias.copy_(model[0].bias.flip(0))), ["0.bias"], likely="a sum does not notice it")
### BEGIN HIDDEN TESTS
hidden("02_encoder", "check_moved", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Train the head, and nothing else (••, 4 points)
#
# Put the two together: a function that takes an encoder, images and labels, trains a head on the frozen code and returns `nn.Sequential(encoder, head)`. It is
# asked for two things: **the encoder is bit for bit the one that was handed in**, and the scores name the right class of held-out images **in at least 72 of 100**
# with a code of 32 numbers. The loss is `losses.classification`; `training.fit(model, (images, labels), loss, epochs=…)` moves only what may move.

# %% nbgrader={"grade": false, "grade_id": "train_head", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_head(encoder, images, labels, epochs, seed):
    """images: float32 (N, 1, 28, 28), labels: int64 (N,) from 0 to 9 -> nn.Sequential(encoder, head), trained."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    classifier = with_head(encoder, 10)
    training.fit(classifier, (images, labels), losses.classification, epochs=epochs, lr=1e-2, seed=seed)
    return classifier
    ### END SOLUTION

# %% [markdown]
# The next cell trains your head and draws, for each class, how often its images are recognised.

# %% tags=["wanted"]
before = snapshot(encoder)
try:
    classifier = train_head(encoder, train.images, train.labels, epochs, seed=0)
    predicted = metrics.apply_in_batches(classifier, validation.images).argmax(1)
    share = {name: float((predicted == validation.labels)[validation.labels == c].float().mean()) for c, name in enumerate(validation.class_names)}
    title = f"A frozen code of 32 numbers names {100 * float((predicted == validation.labels).float().mean()):.0f} of 100 garments; entries of the encoder that moved: {len(moved(before, encoder))}"
except Exception as error:
    classifier, share, title = None, dict.fromkeys(validation.class_names, 0.0), f"Not yet: {type(error).__name__}"
plots.bars(share, title, "Share of each class's held-out images that get the right name.", ylabel="recognised (share)", fmt="{:.2f}")

# %% nbgrader={"grade": true, "grade_id": "check_train_head", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("the encoder did not move", lambda: moved(before, classifier[0]), [], likely="its parameters were trainable, or it was put into train mode with buffers that follow the data")
check("at least 72 of 100 right", lambda: float((metrics.apply_in_batches(classifier, validation.images).argmax(1) == validation.labels).float().mean()) >= 0.72, True,
      likely="too few or too small steps: try a learning rate of 0.01")
### BEGIN HIDDEN TESTS
hidden("02_encoder", "check_train_head", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Two ways to be deceived (••, text, 3 points)
#
# A colleague writes: "I set `requires_grad = False` on all of the encoder's parameters, so it cannot have changed; I also compared `sum(p.sum())` before and after." In at
# most ten sentences: name two ways in which the encoder may nevertheless have changed, or its change may have gone unnoticed, and say what would have shown it.
#
# *How it is marked.* One point for each of two real ways (buffers such as batch normalisation's running mean follow the data in train mode; a sum does not see changes that
# cancel; a snapshot that shares memory; the optimiser got the parameters before they were frozen and goes on with momentum or weight decay). One point for the remedy: an
# exact comparison, entry by entry, of a cloned state, and eval mode.

# %% [markdown] nbgrader={"grade": true, "grade_id": "deceived", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# Model answer. First, a state holds buffers as well as parameters: a batch normalisation in train mode updates its running mean at every forward pass, gradient or not, so the code
# changes. Second, a sum over all numbers stays the same when some grow and others shrink, so equal sums prove little. What shows both is a cloned copy of the whole
# state_dict before training, compared entry by entry with torch.equal afterwards; putting the encoder into eval mode keeps the buffers still.

# %% [markdown]
# ## What you have done
#
# You can show that a frozen encoder is frozen, and you know what its code is worth to somebody else. Exercise 3 asks the same suspicion of a denoiser.
