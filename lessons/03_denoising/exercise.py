# %% [markdown]
# # Exercise 3. Score a denoiser so that it cannot fool you
#
# Lesson 03 set a trap: `nn.Dropout` does nothing in eval mode, so a denoiser that is "tested" there gets clean pictures and looks
# excellent. Here you write the corruption and the scoring yourself, so that no mode of any module can switch the test off, and then
# train a network that beats the best affine map.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | the trap, once more | · | 3 | – |
# | 1 | a corruption that you can repeat | • | 6 | 2 |
# | 2 | a score that the eval trap cannot fool | •• | 12 | 4 |
# | 3 | a denoiser that beats the affine one | •• | 10 | 3 |
# | 4 | which control would you ask for? (text) | •• | 8 | 3 |
#
# Training takes less than a minute in all. Under every task stands a check that says what was expected, what came and the likely cause.
# The marks come from further checks, on other images, that you do not see.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1]. `epochs` gives about 2,000 steps, however many images there are.

# %%
import torch
from torch import nn

from course_utils import corruption, data, metrics, models, plots, training
from course_utils.checks import check

train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(4, round(2000 * 128 / len(train)))
print(f"{len(train):,} images for training, {len(validation):,} for validation, {epochs} epochs")

# %% [markdown]
# ## Worked: the trap, once more
#
# A module that drops pixels has two modes. In train mode it drops them *and* divides the others by 1 − p; in eval mode it returns its input.

# %%
dropout = nn.Dropout(0.5)
picture = torch.ones(1, 1, 2, 4)
print("train mode:", dropout.train()(picture).unique().tolist())
print("eval mode: ", dropout.eval()(picture).unique().tolist())

# %% [markdown]
# ## 1. A corruption that you can repeat (•, 2 points)
#
# Each pixel becomes 0 with probability `p`, independently of all others; the pixels that survive **stay as they are**. The same `seed` must give the
# same damage, another seed another, and nobody else's random numbers may be disturbed: use a generator of your own. One line is to be written.

# %% nbgrader={"grade": false, "grade_id": "corrupt", "locked": false, "schema_version": 3, "solution": true, "task": false}
def corrupt(images, p, seed):
    """images: float32 (N, 1, 28, 28) -> the same shape, each pixel 0 with probability p."""
    generator = torch.Generator().manual_seed(seed)
    # uniform numbers in [0, 1), one for each pixel: torch.rand(____, generator=generator)
    # keep a pixel where its number is at least p
    ### BEGIN SOLUTION
    keep = torch.rand(images.shape, generator=generator) >= p
    return images * keep
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_corrupt", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
ones = torch.ones(500, 1, 28, 28)
check("a share of 0.3 is gone", lambda: round(float((corrupt(ones, 0.3, seed=1) == 0).float().mean()), 1), 0.3, {"p is the chance to lose a pixel, not to keep it": 0.7})
check("survivors stay as they are", lambda: float(corrupt(ones, 0.3, seed=1).max()), 1.0, {"the survivors were divided by 1 - p, as nn.Dropout does": 1 / 0.7})
check("every image gets its own damage", lambda: bool((corrupt(ones, 0.5, seed=1)[0] == corrupt(ones, 0.5, seed=1)[1]).all()), False,
      likely="one mask for all images: its shape must be images.shape")
check("one seed, one damage", lambda: bool((corrupt(ones, 0.5, seed=1) == corrupt(ones, 0.5, seed=1)).all()), True, likely="the generator is not used")
### BEGIN HIDDEN TESTS
import sys, course_utils; sys.path.insert(0, course_utils.__path__[0] + "/..")
from grading.judging import hidden
hidden("03_denoising", "check_corrupt", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. A score that the eval trap cannot fool (••, 4 points)
#
# `corruptor` is anything that can be called on images: a function, or a module such as `nn.Dropout`, **in whatever mode its owner left it**. The score is
# the mean squared error per pixel between what `model` makes of the corrupted images and the images themselves. It must
#
# - corrupt, also when the corruptor is a module in eval mode;
# - run the model in eval mode and without gradients, whatever mode it comes in;
# - leave both as it found them (`module.training` says which mode a module is in).

# %% nbgrader={"grade": false, "grade_id": "denoising_score", "locked": false, "schema_version": 3, "solution": true, "task": false}
def denoising_score(model, images, corruptor):
    """Mean squared error per pixel of model(corruptor(images)) against images, a float."""
    ### BEGIN SOLUTION
    modules = [module for module in (model, corruptor) if isinstance(module, nn.Module)]
    modes = [module.training for module in modules]
    if isinstance(corruptor, nn.Module):
        corruptor.train()
    model.eval()
    with torch.no_grad():
        error = ((model(corruptor(images)) - images) ** 2).mean()
    for module, mode in zip(modules, modes):
        module.train(mode)
    return float(error)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_denoising_score", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
copy, some = nn.Identity(), validation.images[:500]
spoiled = metrics.mse(corruption.Dropout(0.5)(some), some)
check("a model that only copies, Dropout in eval mode", lambda: denoising_score(copy, some, nn.Dropout(0.5).eval()), spoiled,
      {"the corruptor was in eval mode and did nothing": 0.0, "sum over the pixels instead of mean": spoiled * 784}, tolerance=0.03)
check("a corruptor that is a plain function", lambda: denoising_score(copy, some, lambda images: corrupt(images, 0.5, seed=0)), metrics.mse(corruption.Masking(0.5)(some), some),
      likely="only modules have modes", tolerance=0.03)
check("a model with a dropout of its own is judged in eval mode", lambda: denoising_score(nn.Dropout(0.5).train(), some, lambda images: images), 0.0,
      {"the model was judged in train mode": spoiled}, tolerance=0.03)


def modes_after():
    model, corruptor = nn.Dropout(0.1).train(), nn.Dropout(0.5).eval()
    denoising_score(model, some[:10], corruptor)
    return model.training, corruptor.training


check("both are left as they were", modes_after, (True, False), likely="put the modes back at the end: module.train(mode)")
### BEGIN HIDDEN TESTS
hidden("03_denoising", "check_denoising_score", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A denoiser that beats the affine one (••, 3 points)
#
# The best affine map needs no training: it solves a linear system. Write a function that builds and trains a network which restores images whose pixels were
# zeroed with probability 0.5 (as in task 1), **at least 5 % better** than the affine map on images that were held out. `losses.denoising(corruptor)` is the
# loss of lesson 03; `corruption.Masking(0.5)` corrupts whenever it is called. Use the images that you are given, and only those.
# A dense autoencoder with 256 units is large enough; a learning rate of 0.003 suits so few steps.

# %% nbgrader={"grade": false, "grade_id": "train_denoiser", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_denoiser(images, epochs, seed):
    """images: float32 (N, 1, 28, 28), clean -> a trained model, corrupted images to restored ones."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    DAE = models.dense_autoencoder(256)
    training.fit(DAE, images, losses.denoising(corruption.Masking(0.5)), epochs=epochs, lr=3e-3, seed=seed)
    return DAE
    ### END SOLUTION

# %% [markdown]
# The next cell trains it and shows what it makes of the ten fixed images. It takes about half a minute.

# %% tags=["wanted"]
corruptor = corruption.Masking(0.5)
affine = metrics.AffineDenoiser(corruptor(train.images[:20000]), train.images[:20000])
ten = data.one_of_each(validation)
damaged = corruptor(ten.images, torch.Generator().manual_seed(0))
rows = {"original": ten.images, "corrupted": damaged, "affine": affine(damaged)}
try:
    DAE = train_denoiser(train.images, epochs, seed=0)
    rows["yours"] = metrics.apply_in_batches(DAE, damaged)
    title = f"Yours restores with an error of {denoising_score(DAE, validation.images, corruptor):.4f}, the best affine map of {metrics.reconstruction_error(affine, validation.images, corruptor(validation.images)):.4f}"
except Exception as error:
    DAE, title = None, f"Not yet: {type(error).__name__}"
plots.image_rows(rows, title, "Ten held-out images, one of each class; half of the pixels were set to zero. Error per pixel on all held-out images.", ten.class_names)

# %% nbgrader={"grade": true, "grade_id": "check_train_denoiser", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
held_out, damaged = validation.images, corruptor(validation.images, torch.Generator().manual_seed(1))
limit = 0.95 * metrics.reconstruction_error(affine, held_out, damaged)
check("restored images have the images' shape", lambda: tuple(DAE(damaged[:3]).shape), (3, 1, 28, 28))
check("5 % better than the affine map", lambda: metrics.reconstruction_error(DAE, held_out, damaged) < limit, True,
      likely="trained on clean images, or against the corrupted ones, or too small a learning rate")
### BEGIN HIDDEN TESTS
hidden("03_denoising", "check_train_denoiser", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Which control would you ask for? (••, text, 3 points)
#
# Somebody shows you a denoiser with 940 units whose error on clean test images is 0.004, and concludes that it has learned what clothes look like. In at most
# ten sentences: what has been measured? Which two further numbers do you ask for, and what would each tell you?
#
# *How it is marked.* One point: on clean input a wide network can only show that it copies; nothing was restored. One point: the error with corruption on, beside
# a baseline (the affine map or the corrupted input itself). One point: the same network trained without corruption as control, or another kind or level
# of damage, with what the outcome would mean.

# %% [markdown] nbgrader={"grade": true, "grade_id": "control", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# Model answer. The number measures copying: 940 units can pass 784 pixels through, so a network that has learned nothing about clothes reaches it as well. First I
# ask for the error on corrupted test images, with the corruptor surely on, beside the affine map's 0.017 and the corrupted input's own error; only below the
# affine map has a nonlinear network earned its keep. Second I ask for the same network trained without corruption, scored in the same way: if it restores as well, the
# training on damaged images has taught nothing. Another kind of damage, a missing block say, would tell whether clothes were learned or one kind of repair.

# %% [markdown]
# ## What you have done
#
# You have a corruption that can be repeated, a score that no mode switches off, and a denoiser that has been tested. Exercise 4 asks what is new about a new image.
