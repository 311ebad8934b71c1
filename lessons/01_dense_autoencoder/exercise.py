# %% [markdown]
# # Exercise 1. Bring the dead units back
#
# Lesson 1 ended with a surprise: an autoencoder that keeps ten numbers for each image
# lost to PCA with ten numbers, because half of its code was switched off. Here you
# build the two instruments that show it, and then an autoencoder that wins.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | how busy is each unit? | · | 3 | – |
# | 1 | find the dead units | • | 6 | 2 |
# | 2 | the error of PCA, from its definition | •• | 10 | 3 |
# | 3 | an autoencoder of ten numbers that beats PCA | ••• | 15 | 4 |
# | 4 | why did it die, why does yours live? (text) | •• | 8 | 3 |
#
# Training takes less than a minute in all. Under every task in code stands a check: run
# it as often as you like. It says what was expected, what came, and the likely cause.
# Your marks come from the same questions, asked with other inputs. Where a task sets a
# limit, the check's is a little wider: chance costs no point.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. `train` and `validation` hold images (N, 1, 28, 28) with
# values in [0, 1]; the test set stays closed. `epochs` is chosen so that training takes
# about 2,500 steps, however many images there are.

# %%
import torch
from torch import nn

from course_utils import data, metrics, models, plots, training
from course_utils.checks import Checks

check = Checks("01_dense_autoencoder")
train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(5, round(2500 * 128 / len(train)))
print(f"{len(train):,} images for training, {len(validation):,} for validation")
print(f"{epochs} epochs")

# %% [markdown]
# ## Worked: how busy is each unit?
#
# A unit of the code is *on* for an image when its value is above zero. The share of
# images that switch it on is a mean over the **images**, which are the rows of the
# code: `dim=0`.


# %%
def share_on(codes):
    """codes: float32 (N, units) -> for each unit the share of images above zero."""
    return (codes > 0).float().mean(dim=0)


two_images = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]])  # and three units
share_on(two_images)

# %% [markdown]
# The first unit is never on, the second for one of two images, the third always.
#
# ## 1. Find the dead units (•, 2 points)
#
# A unit is dead when it is zero for **every** image. Return the numbers (positions) of
# the dead units as a list, smallest first: for `two_images` that is `[0]`. Two blanks
# are to be filled. A code that is not behind a ReLU may be negative; such a unit is
# alive.
#
# <details><summary>A nudge</summary>
#
# Which single comparison is true for a silent unit and false for a negative one?
# </details>
# <details><summary>A push</summary>
#
# `silent` has the shape of `codes`. `silent.all(dim=…)` must leave one answer for each
# unit, so it has to run over the images: look at `share_on`.
# </details>


# %% answer="dead_units"
def dead_units(codes):
    """codes: float32 (N, units) -> list of int, the units that are zero everywhere."""
    # Fill the blanks: when is a unit silent, and over which dimension must it be so?
    # silent = codes ____
    # always = silent.all(dim=____)
    ### BEGIN SOLUTION
    silent = codes == 0
    always = silent.all(dim=0)
    ### END SOLUTION
    return [unit for unit, dead in enumerate(always.tolist()) if dead]


# %% check="dead_units"
check("dead_units", dead_units)

# %% [markdown]
# ## 2. The error of PCA, from its definition (••, 3 points)
#
# No autoencoder is judged alone. PCA with `k` components works like this: subtract the
# mean of the **training** images; the `k` leading right singular vectors of what is
# left are the components; a code is the projection on them; add the mean again. The
# error is the mean squared difference per pixel, on images that need not be the
# training images. Write it with `torch.linalg.svd`, not with a library's PCA.
#
# <details><summary>A nudge</summary>
#
# `torch.linalg.svd(a, full_matrices=False)` returns U, S and Vh. The rows of Vh are the
# right singular vectors, the most important first. `full_matrices=False` keeps it
# small.
# </details>
# <details><summary>A push</summary>
#
# There is one mean, that of `x`. It is subtracted from `x` before the SVD, from `y`
# before the projection, and added at the end.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# mean = x.mean(…)
# components = torch.linalg.svd(…)[2][:k]  # (k, 784)
# code = (y - mean) @ …                    # (N, k)
# ```
# </details>


# %% answer="pca_error"
def pca_error(train_images, images, k):
    """Both (N, 1, 28, 28) -> the error per pixel of PCA with k components on images."""
    x, y = train_images.flatten(1), images.flatten(1)  # (N, 784)
    ### BEGIN SOLUTION
    mean = x.mean(dim=0)
    _, _, rows = torch.linalg.svd(x - mean, full_matrices=False)  # one direction a row
    components = rows[:k]  # (k, 784)
    code = (y - mean) @ components.T  # (N, k)
    rebuilt = code @ components + mean
    return float(((rebuilt - y) ** 2).mean())
    ### END SOLUTION


# %% check="pca_error"
check("pca_error", pca_error)

# %% [markdown]
# ## 3. An autoencoder of ten numbers that beats PCA (•••, 4 points)
#
# Write a function that builds **and** trains an autoencoder, `nn.Sequential(encoder,
# decoder)`, whose code has exactly ten numbers. With the chapter's model it would look
# as below, would lose about half of its units, and would lose to PCA. Change what is
# needed. How is up to you: lesson 1 shows more than one cure. Your function gets the
# images to train on; use those and no others, for it will be called with images that
# you have never seen. It must reach, on images that were held out,
#
# - an error at least **2 % below** that of PCA with ten components,
# - with **no dead unit**.
#
# ```python
# autoencoder = models.dense_autoencoder(10)
# training.fit(autoencoder, images, epochs=epochs, seed=seed)
# ```
#
# With so few steps a learning rate of 0.003 does better than the usual 0.001.
#
# <details><summary>A nudge</summary>
#
# What do all of lesson 1's cures take away from the code unit?
# </details>
# <details><summary>A push</summary>
#
# `models.dense_autoencoder` takes an `activation` for the code, and a `mean_image` that
# it subtracts. They are explained in `models.Encoder?`
# </details>


# %% answer="train_autoencoder"
def train_autoencoder(images, epochs, seed):
    """images (N, 1, 28, 28) -> a trained nn.Sequential(encoder, decoder)."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    mean_image = images.mean(dim=0)
    autoencoder = models.dense_autoencoder(10, nn.Identity(), mean_image)
    training.fit(autoencoder, images, epochs=epochs, lr=3e-3, seed=seed)
    return autoencoder
    ### END SOLUTION


# %% [markdown]
# The next cell trains yours and, for comparison, the chapter's. It takes some seconds.

# %% tags=["wanted"]
torch.manual_seed(0)
chapters = models.dense_autoencoder(10)
training.fit(chapters, train, epochs=epochs, lr=3e-3)
held_out = validation.images
errors = {"chapter's autoencoder": metrics.reconstruction_error(chapters, held_out)}
try:
    autoencoder = train_autoencoder(train.images, epochs, seed=0)
    errors["PCA"] = pca_error(train.images, held_out, 10)
    yours = metrics.reconstruction_error(autoencoder, held_out)
    errors["your cured autoencoder"] = yours
except Exception as error:
    print(f"not yet: {type(error).__name__}: {error}")

best = min(errors, key=errors.get)
plots.bars(
    errors,
    ylabel="error per pixel",
    fmt="{:.4f}",
    title=f"Ten numbers for each image: the smallest error is that of {best}",
    caption=f"Mean squared error per pixel on {len(held_out):,} held-out images, "
    f"after {epochs} epochs; the chapter's was trained at a rate of 0.003, too.",
)

# %% [markdown]
# The check trains yours once more, on other images, bent a little, and asks encoder and
# decoder apart: each is a copy that knows nothing of what the other one saw.

# %% check="train_autoencoder"
check("train_autoencoder", train_autoencoder)

# %% [markdown]
# ## 4. Why did it die, why does yours live? (••, text, 3 points)
#
# In at most ten sentences: what happens to a ReLU unit of the chapter's encoder so that
# it never fires again, although it did at the start? Why does the loss curve not show
# it? And which step of that story is broken by your cure?
#
# *How it is marked.* One point each: the answer names the mechanism that keeps a dead
# unit dead; it says what pushes the unit there, or why the curve hides it; it ties your
# cure to that cause, and does not only say that it works.

# %% [markdown] text="why" points=3
# Model answer. The slope of a ReLU is zero wherever its output is zero. Pixels are
# never negative, so a step that lowers a unit's weights lowers its input for nearly all
# images at once; when it is below zero for every image of every batch, no gradient
# reaches the unit's weights again and it stays off. The loss goes on falling, since the
# other units learn to carry what they can: the curve has no mark at the place. My
# encoder subtracts the mean image and has no ReLU on the code: the slope is one
# everywhere, so no unit can lose its gradient.

# %% [markdown]
# ## What you have done
#
# You have an instrument for dead units, a baseline of your own, and a code of ten
# numbers that beats it. Exercise 2 asks what such a code knows. The last cell asks all
# questions once more and adds up.

# %% tags=["closing"]
check.all(globals())
