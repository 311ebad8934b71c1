# %% [markdown]
# # Exercise 2. Prove that the encoder did not move
#
# Lesson 2 took an encoder out, froze it and trained a new head on its code. Everybody
# *says* that the encoder was frozen. Here you build the instrument that shows it, find
# out whether it can be deceived, and then train a head that reads the clothes from a
# code that did not move.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | what can be trained? | · | 3 | – |
# | 1 | an encoder, frozen, with a new head | • | 8 | 2 |
# | 2 | what has moved? | •• | 10 | 3 |
# | 3 | train the head, and nothing else | •• | 12 | 4 |
# | 4 | two ways to be deceived (text) | •• | 7 | 3 |
#
# Training takes less than a minute in all. Under every task in code stands a check: run
# it as often as you like. It says what was expected, what came, and the likely cause.
# Your marks come from the same questions, asked with other inputs. Where a task sets a
# limit, the check's is a little wider: chance costs no point.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1], labels are 0
# to 9. It trains an autoencoder with a code of 32 numbers and keeps its encoder.

# %%
import copy

import torch
from torch import nn

from course_utils import data, losses, metrics, models, plots, training
from course_utils.checks import Checks

check = Checks("02_encoder")
train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(5, round(1500 * 128 / len(train)))

torch.manual_seed(0)
autoencoder = models.dense_autoencoder(32, nn.Identity())
some = train.images[:20000]
training.fit(autoencoder, some, epochs=max(3, round(1000 * 128 / len(some))), lr=3e-3)
encoder = autoencoder[0]
print(f"{len(train):,} images for training, {len(validation):,} for validation")

# %% [markdown]
# ## Worked: what can be trained?
#
# Backward gives a gradient only to parameters whose `requires_grad` is true, and an
# optimiser moves only those that have one. This counts the numbers that may move.


# %%
def trainable(model):
    """Number of single numbers in the model that an optimiser may move."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


trainable(encoder), trainable(nn.Linear(32, 10))

# %% [markdown]
# ## 1. An encoder, frozen, with a new head (•, 2 points)
#
# Return `nn.Sequential(encoder, head)`: no parameter of the encoder may be trained; the
# head is **one linear layer** from the code to `classes` scores and may be trained. The
# scores are logits: no softmax, since the loss brings its own. Half of the function
# stands there; the code's size is found by asking the encoder.
#
# <details><summary>A nudge</summary>
#
# The worked cell reads `requires_grad` of every parameter. It can be set, too.
# </details>
# <details><summary>A push</summary>
#
# Freeze before you add the head, so that the loop meets the encoder's parameters only.
# `k` is the size of the code: the head's inputs.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# for parameter in encoder.…:
#     parameter.requires_grad = …
# head = nn.Linear(…, classes)
# ```
# </details>


# %% answer="with_head"
def with_head(encoder, classes):
    """encoder: images (N, 1, 28, 28) -> codes (N, k).

    Returns nn.Sequential(encoder, head), of which only the head can be trained.
    """
    with torch.no_grad():
        look = copy.deepcopy(encoder).eval()  # a copy: nothing of yours moves
        k = look(torch.zeros(1, 1, 28, 28)).shape[1]
    # for every parameter of the encoder: parameter.requires_grad = ____
    # the head: from ____ numbers to ____ scores
    ### BEGIN SOLUTION
    for parameter in encoder.parameters():
        parameter.requires_grad = False
    return nn.Sequential(encoder, nn.Linear(k, classes))
    ### END SOLUTION


# %% check="with_head"
check("with_head", with_head)

# %% [markdown]
# ## 2. What has moved? (••, 3 points)
#
# Two functions. `snapshot(model)` keeps everything that the model's `state_dict()`
# holds (parameters *and* buffers), so that later changes of the model do **not** change
# the snapshot. `moved(before, model)` returns the names, in alphabetical order, of all
# entries that are not exactly as they were.
#
# <details><summary>A nudge</summary>
#
# The tensors of a `state_dict()` are not copies: they *are* the model's memory. And
# `model.parameters()` holds less than `model.state_dict()`.
# </details>
# <details><summary>A push</summary>
#
# `tensor.clone()` is a copy with memory of its own. `torch.equal(a, b)` is true only if
# all numbers agree exactly; a sum, a mean or a tolerance can be deceived.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# copy = {name: … for name, value in model.state_dict().items()}
# names = [name for name in model.state_dict() if not torch.equal(…)]
# ```
# </details>


# %% answer="moved"
def snapshot(model):
    """A copy of the model's state: name -> tensor."""
    ### BEGIN SOLUTION
    state = model.state_dict()
    return {name: value.detach().clone() for name, value in state.items()}
    ### END SOLUTION


def moved(before, model):
    """Names of the entries of the model's state that differ from `before`, sorted."""
    ### BEGIN SOLUTION
    now = model.state_dict()
    return sorted(name for name in now if not torch.equal(before[name], now[name]))
    ### END SOLUTION


# %% check="moved"
check("moved", snapshot, moved)

# %% [markdown]
# ## 3. Train the head, and nothing else (••, 4 points)
#
# Put the two together: a function that takes an encoder, images and labels, trains a
# head on the frozen code and returns `nn.Sequential(encoder, head)`. The head may be
# `with_head`'s one linear layer or have more layers. Two things are asked:
#
# - **the encoder is bit for bit the one that was handed in**;
# - with a code of 32 numbers the scores name the right class of held-out images **in at
#   least 72 of 100**.
#
# The loss is `losses.classification`. `training.fit(model, (images, labels), loss,
# epochs=…)` moves only what may move.
#
# <details><summary>A nudge</summary>
#
# `with_head` has done the freezing. What is left is one call of `training.fit`.
# </details>
# <details><summary>A push</summary>
#
# With so few steps a linear head needs large ones: a learning rate of 0.01, ten times
# the usual one. Pass the seed on.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# classifier = with_head(…)
# training.fit(classifier, (images, labels), losses.classification, epochs=epochs, …)
# ```
# </details>


# %% answer="train_head"
def train_head(encoder, images, labels, epochs, seed):
    """images: float32 (N, 1, 28, 28), labels: int64 (N,) from 0 to 9.

    Returns nn.Sequential(encoder, head), trained.
    """
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    classifier = with_head(encoder, 10)
    loss, pairs = losses.classification, (images, labels)
    training.fit(classifier, pairs, loss, epochs=epochs, lr=1e-2, seed=seed)
    return classifier
    ### END SOLUTION


# %% [markdown]
# The next cell trains your head and draws, for each class, how often its images are
# recognised.

# %% tags=["wanted"]
share = dict.fromkeys(validation.class_names, 0.0)
try:
    before = snapshot(encoder)
    classifier = train_head(encoder, train.images, train.labels, epochs, seed=0)
    scores = metrics.apply_in_batches(classifier, validation.images)
    right = (scores.argmax(1) == validation.labels).float()
    for number, name in enumerate(validation.class_names):
        share[name] = float(right[validation.labels == number].mean())
    title = (
        f"A frozen code of 32 numbers names {100 * right.mean():.0f} of 100 garments"
    )
    title += f"; entries of the encoder that moved: {len(moved(before, encoder))}"
except Exception as error:
    title = f"Not yet: {type(error).__name__}"

plots.bars(
    share,
    ylabel="recognised (share)",
    fmt="{:.2f}",
    title=title,
    caption="Share of each class's held-out images that get the right name.",
)

# %% [markdown]
# The check trains a head of yours on another encoder and other images. It asks for the
# encoder's numbers first, and then for the head's scores of codes that the encoder
# should have made.

# %% check="train_head"
check("train_head", train_head)

# %% [markdown]
# ## 4. Two ways to be deceived (••, text, 3 points)
#
# A colleague writes: "I set `requires_grad = False` on all of the encoder's parameters,
# so it cannot have changed; I also compared `sum(p.sum())` before and after." In at
# most ten sentences: name two ways in which the encoder may nevertheless have changed,
# or its change may have gone unnoticed, and say what would have shown it.
#
# *How it is marked.* One point for each of two real ways, with the mechanism behind it;
# one point for a remedy that would have caught both.

# %% [markdown] text="deceived" points=3
# Model answer. First, a state holds buffers as well as parameters: a batch
# normalisation in train mode updates its running mean at every forward pass, gradient
# or not, so the code changes. Second, a sum over all numbers stays the same when some
# grow and others shrink, so equal sums prove little. (Also right: a snapshot that
# shares memory with the model; an optimiser that got the parameters before they were
# frozen, and whose old gradients were kept, goes on with momentum or weight decay.)
# What shows all of it is a cloned
# copy of the whole state_dict before training, compared entry by entry with torch.equal
# afterwards; putting the encoder into eval mode keeps the buffers still.

# %% [markdown]
# ## What you have done
#
# You can show that a frozen encoder is frozen, and you know what its code is worth to
# somebody else. Exercise 3 is as suspicious of a denoiser. The last cell asks all
# questions once more and adds up.

# %% tags=["closing"]
check.all(globals())
