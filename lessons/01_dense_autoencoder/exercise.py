# %% [markdown]
# # Exercise 1. Bring the dead units back
#
# Lesson 01 ended with a surprise: an autoencoder that keeps ten numbers for each image lost to PCA with ten numbers, because half of
# its code was switched off. Here you build the two instruments that show it, and then an autoencoder that wins.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | how busy is each unit? | · | 3 | – |
# | 1 | find the dead units | • | 6 | 2 |
# | 2 | the error of PCA, from its definition | •• | 10 | 3 |
# | 3 | an autoencoder of ten numbers that beats PCA | ••• | 15 | 4 |
# | 4 | why did it die, why does yours live? (text) | •• | 8 | 3 |
#
# Training takes less than a minute in all. Under every task stands a check: run it as often as you like. It says what was expected, what
# came, and what the likely cause is. The marks come from further checks, on other images, that you do not see.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. `train` and `validation` hold images (N, 1, 28, 28) with values in [0, 1]; the test set stays closed.
# `epochs` is chosen so that training takes about 2,500 steps, however many images there are.

# %%
import torch
from torch import nn

from course_utils import data, metrics, models, plots, training
from course_utils.checks import check

train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(5, round(2500 * 128 / len(train)))
print(f"{len(train):,} images for training, {len(validation):,} for validation, {epochs} epochs")

# %% [markdown]
# ## Worked: how busy is each unit?
#
# A unit of the code is *on* for an image when its value is above zero. The share of images that switch it on is a mean over the
# **images**, which are the rows of the code: `dim=0`.

# %%
def share_on(codes):
    """codes: float32 (N, units) -> share of the N images for which each unit is above zero, (units,)."""
    return (codes > 0).float().mean(dim=0)


small = torch.tensor([[0.0, 1.0, 2.0],
                      [0.0, 0.0, 3.0]])  # two images, three units
share_on(small)

# %% [markdown]
# The first unit is never on, the second for one of two images, the third always.
#
# ## 1. Find the dead units (•, 2 points)
#
# A unit is dead when it is zero for **every** image. Return the numbers (positions) of the dead units as a list, smallest first: for
# `small` that is `[0]`. Two blanks are to be filled. A code that is not behind a ReLU may be negative; such a unit is alive.

# %% nbgrader={"grade": false, "grade_id": "dead_units", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dead_units(codes):
    """codes: float32 (N, units) -> list of int, the units that are exactly zero for all N images, smallest first."""
    # Fill the blanks: for which values is a unit silent, and over which dimension must it be silent always?
    # silent = codes ____
    # always = silent.all(dim=____)
    ### BEGIN SOLUTION
    silent = codes == 0
    always = silent.all(dim=0)
    ### END SOLUTION
    return [unit for unit, dead in enumerate(always.tolist()) if dead]

# %% nbgrader={"grade": true, "grade_id": "check_dead_units", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
codes = torch.tensor([[0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 3.0, 0.0], [0.0, 4.0, 0.5, 0.0]])
check("the dead units of a small code", lambda: dead_units(codes), [0, 3],
      {"you look along an image (dim=1), not along the images (dim=0)": [], "a unit that is zero once is not dead: all, not any": [0, 1, 3]})
check("a unit may be negative and alive", lambda: dead_units(torch.tensor([[-1.0, 0.0], [-2.0, 0.0]])), [1],
      {"zero is meant, not 'not above zero'": [0, 1]})
### BEGIN HIDDEN TESTS
import sys, course_utils; sys.path.insert(0, course_utils.__path__[0] + "/..")
from grading.judging import hidden
hidden("01_dense_autoencoder", "check_dead_units", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The error of PCA, from its definition (••, 3 points)
#
# No autoencoder is judged alone. PCA with `k` components works like this: subtract the mean of the **training** images; the `k` leading
# right singular vectors of what is left are the components; a code is the projection on them; add the mean again. The error is the mean
# squared difference per pixel, on images that need not be the training images. Write it with `torch.linalg.svd`, not with a library's PCA.
#
# Half of it stands there. `full_matrices=False` keeps the SVD small.

# %% nbgrader={"grade": false, "grade_id": "pca_error", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pca_error(train_images, images, k):
    """Both float32 (N, 1, 28, 28), k components fitted on train_images -> mean squared error per pixel on images, a float."""
    x, y = train_images.flatten(1), images.flatten(1)  # (N, 784)
    ### BEGIN SOLUTION
    mean = x.mean(dim=0)
    _, _, rows = torch.linalg.svd(x - mean, full_matrices=False)  # rows: (784, 784), one direction a row
    components = rows[:k]  # (k, 784)
    code = (y - mean) @ components.T  # (N, k)
    rebuilt = code @ components + mean
    return float(((rebuilt - y) ** 2).mean())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_pca_error", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
some, others = train.images[:1000], validation.images[:300]
x, y = some.flatten(1), others.flatten(1)
plain = torch.linalg.svd(x, full_matrices=False)[2][:10]
centred, own_mean = torch.linalg.svd(x - x.mean(0), full_matrices=False)[2][:10], y.mean(0)
expected = metrics.PCABaseline(some).error(others, 10)
check("PCA with 10 components", lambda: pca_error(some, others, 10), expected, {
    "the mean was not subtracted": float(((y @ plain.T @ plain - y) ** 2).mean()),
    "this is the sum over the pixels of an image, not the mean per pixel": expected * 784,
    "the mean of the judged images was used; it must come from the training images":
        float((((y - own_mean) @ centred.T @ centred + own_mean - y) ** 2).mean()),
    "this is the error on the training images": metrics.PCABaseline(some).error(some, 10)}, tolerance=2e-3)
check("with 0 components it is the error of the mean image", lambda: pca_error(some, others, 0), metrics.mse(some.mean(0).expand_as(others), others),
      tolerance=2e-3)
### BEGIN HIDDEN TESTS
hidden("01_dense_autoencoder", "check_pca_error", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. An autoencoder of ten numbers that beats PCA (•••, 4 points)
#
# Write a function that builds **and** trains an autoencoder, `nn.Sequential(encoder, decoder)`, whose code has exactly ten numbers. With the chapter's
# `models.dense_autoencoder(10)` it would look as below, would lose four or five units, and would lose to PCA. Change what is needed. How is up to
# you: lesson 01 shows more than one cure. Your function gets the images to train on; use those and no others, for it will be called with images
# that you have never seen. It must reach, on images that were held out,
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

# %% nbgrader={"grade": false, "grade_id": "train_autoencoder", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_autoencoder(images, epochs, seed):
    """images: float32 (N, 1, 28, 28) in [0, 1] -> a trained nn.Sequential(encoder, decoder) with a code of ten numbers."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    autoencoder = models.dense_autoencoder(10, nn.Identity(), mean_image=images.mean(dim=0))
    training.fit(autoencoder, images, epochs=epochs, lr=3e-3, seed=seed)
    return autoencoder
    ### END SOLUTION

# %% [markdown]
# The next cell trains yours and, for comparison, the chapter's. It takes about ten seconds.

# %% tags=["wanted"]
torch.manual_seed(0)
chapters = models.dense_autoencoder(10)
training.fit(chapters, train, epochs=epochs, lr=3e-3)
held_out = validation.images
errors = {"chapter's autoencoder": metrics.reconstruction_error(chapters, held_out)}
try:
    autoencoder = train_autoencoder(train.images, epochs, seed=0)
    errors["PCA"] = pca_error(train.images, held_out, 10)
    errors["your cured autoencoder"] = metrics.reconstruction_error(autoencoder, held_out)
except Exception as error:
    autoencoder = None
    print(f"not yet: {type(error).__name__}: {error}")
best = min(errors, key=errors.get)
plots.bars(errors, f"Ten numbers for each image: the smallest error is that of {best}",
           f"Mean squared error per pixel on {len(held_out):,} held-out images, after {epochs} epochs.", ylabel="error per pixel", fmt="{:.4f}")

# %% nbgrader={"grade": true, "grade_id": "check_train_autoencoder", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
reference = metrics.PCABaseline(train.images).error(held_out, 10)
check("the code has ten numbers", lambda: tuple(autoencoder[0](held_out[:5]).shape), (5, 10), likely="autoencoder[0] must return (N, 10)")
check("no dead unit", lambda: int((metrics.apply_in_batches(autoencoder[0], held_out) == 0).all(dim=0).sum()), 0,
      likely="a ReLU on the code, behind images that were not centred")
check("error below 0.98 of PCA's", lambda: metrics.reconstruction_error(autoencoder, held_out) < 0.98 * reference, True,
      likely="dead units, or a learning rate too small for so few steps")
### BEGIN HIDDEN TESTS
hidden("01_dense_autoencoder", "check_train_autoencoder", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Why did it die, why does yours live? (••, text, 3 points)
#
# In at most ten sentences: what happens to a ReLU unit of the chapter's encoder so that it never fires again, although it did at the start? Why does
# the loss curve not show it? And which step of that story is broken by your cure?
#
# *How it is marked.* One point: a unit that is zero for every image has zero gradient, so no step can move it back. One point: what pushes it
# there (all pixels are positive, so one step of its weights or bias in the wrong direction lowers its input for all images together), or why the
# curve looks healthy (the other units go on learning). One point: your cure is named and tied to that cause, not only said to work.

# %% [markdown] nbgrader={"grade": true, "grade_id": "why", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# Model answer. The slope of a ReLU is zero wherever its output is zero. Pixels are never negative, so a step that lowers a unit's weights lowers its input
# for nearly all images at once; when it is below zero for every image of every batch, no gradient reaches the unit's weights again and it stays off. The
# loss goes on falling, since the other units learn to carry what they can: the curve has no mark at the place. My encoder subtracts the mean image and has
# no ReLU on the code: the slope is one everywhere, so no unit can lose its gradient.

# %% [markdown]
# ## What you have done
#
# You have an instrument for dead units, a baseline of your own, and a code of ten numbers that beats it. Exercise 2 asks what such a code knows.
