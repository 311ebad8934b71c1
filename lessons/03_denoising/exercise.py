# %% [markdown]
# # Exercise 3. Score a denoiser so that it cannot fool you
#
# Lesson 3 set a trap: `nn.Dropout` does nothing in eval mode, so a denoiser that is
# "tested" there gets clean pictures and looks excellent. Here you write the corruption
# and the scoring yourself, so that no mode of any module can switch the test off, and
# then train a network that beats the best affine map.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | the trap, once more | · | 3 | – |
# | 1 | a corruption that you can repeat | • | 6 | 2 |
# | 2 | a score that the eval trap cannot fool | •• | 12 | 4 |
# | 3 | a denoiser that beats the affine one | •• | 10 | 3 |
# | 4 | which control would you ask for? (text) | •• | 8 | 3 |
#
# Training takes less than a minute in all. Under every task in code stands a check: run
# it as often as you like. It says what was expected, what came, and the likely cause.
# Your marks come from the same questions, asked with other inputs. Where a task sets a
# limit, the check's is a little wider: chance costs no point.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1]. `epochs`
# gives about 2,000 steps, however many images there are.

# %%
import torch
from torch import nn

from course_utils import corruption, data, losses, metrics, models, plots, training
from course_utils.checks import Checks

check = Checks("03_denoising")
train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
epochs = max(4, round(2000 * 128 / len(train)))
print(f"{len(train):,} images for training, {len(validation):,} for validation")
print(f"{epochs} epochs")

# %% [markdown]
# ## Worked: the trap, once more
#
# A module that drops pixels has two modes. In train mode it drops them *and* divides
# the others by 1 − p; in eval mode it returns its input.

# %%
dropout = nn.Dropout(0.5)
picture = torch.ones(1, 1, 2, 4)
print("train mode:", dropout.train()(picture).unique().tolist())
print("eval mode: ", dropout.eval()(picture).unique().tolist())

# %% [markdown]
# ## 1. A corruption that you can repeat (•, 2 points)
#
# Each pixel becomes 0 with probability `p`, independently of all others; the pixels
# that survive **stay as they are**. The same `seed` must give the same damage, another
# seed another. Nobody else's random numbers may be disturbed: use a generator of your
# own. Nor may the images that are handed in be changed **in place**: return new ones.
#
# <details><summary>A nudge</summary>
#
# A comparison of random numbers with `p` gives a mask of true and false. Images times
# such a mask are new images.
# </details>
# <details><summary>A push</summary>
#
# `torch.rand` returns numbers from 0 to 1. A share of p of them lies below p: those
# pixels are lost, the others are kept.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# keep = torch.rand(…, generator=generator) >= …
# return images * …
# ```
# </details>


# %% answer="corrupt"
def corrupt(images, p, seed):
    """images: float32 (N, 1, 28, 28) -> the same shape, each pixel 0 with chance p."""
    generator = torch.Generator().manual_seed(seed)
    # uniform numbers in [0, 1), one for each pixel: torch.rand(____, generator=…)
    # keep a pixel where its number is at least p
    ### BEGIN SOLUTION
    keep = torch.rand(images.shape, generator=generator) >= p
    return images * keep.to(images.device)  # the generator draws on the CPU
    ### END SOLUTION


# %% check="corrupt"
check("corrupt", corrupt)

# %% [markdown]
# ## 2. A score that the eval trap cannot fool (••, 4 points)
#
# `corruptor` is anything that can be called on images: a function, or a module such as
# `nn.Dropout`, **in whatever mode its owner left it**. The score is the mean squared
# error per pixel between what `model` makes of the corrupted images and the images
# themselves. It must
#
# - corrupt, also when the corruptor is a module in eval mode;
# - run the model in eval mode and without gradients, whatever mode it comes in;
# - leave both as it found them (`module.training` says which mode a module is in).
#
# <details><summary>A nudge</summary>
#
# Four steps: remember the modes, set them, score, put them back. A plain function has
# no mode: `isinstance(corruptor, nn.Module)` tells.
# </details>
# <details><summary>A push</summary>
#
# `module.train(mode)` with `mode` true or false sets either mode. The corruptor goes
# into train mode, the model into eval mode.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# modules = [m for m in (model, corruptor) if isinstance(…)]
# modes = [m.training for m in modules]
# …                                   # the corruptor wakes, the model calms down
# with …:                             # no gradients are needed
#     error = ((model(…) - images) ** 2).…
# for module, mode in zip(…):         # back to where they were
#     …
# ```
# </details>


# %% answer="denoising_score"
def denoising_score(model, images, corruptor):
    """Mean squared error per pixel of model(corruptor(images)) against images."""
    ### BEGIN SOLUTION
    modules = [part for part in (model, corruptor) if isinstance(part, nn.Module)]
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


# %% check="denoising_score"
check("denoising_score", denoising_score)

# %% [markdown]
# ## 3. A denoiser that beats the affine one (••, 3 points)
#
# The best affine map needs no training: it solves a linear system. Write a function
# that builds and trains a network which restores images whose pixels were zeroed with
# probability 0.5 (as in task 1), **at least 5 % better** than the affine map on images
# that were held out. `losses.denoising(corruptor)` is the loss of lesson 3;
# `corruption.Masking(0.5)` corrupts whenever it is called. Use the images that you are
# given, and only those. A dense autoencoder with 256 units is large enough; a learning
# rate of 0.003 suits so few steps.
#
# <details><summary>A nudge</summary>
#
# The corruption belongs in the loss: the model sees damaged images and is compared
# with the clean ones.
# </details>
# <details><summary>A push</summary>
#
# `losses.denoising` takes a corruptor and returns a loss, which is the third argument
# of `training.fit`.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# DAE = models.dense_autoencoder(…)
# training.fit(DAE, images, losses.denoising(…), epochs=epochs, …)
# ```
# </details>


# %% answer="train_denoiser"
def train_denoiser(images, epochs, seed):
    """images: float32 (N, 1, 28, 28), clean -> a model that restores damaged ones."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    DAE = models.dense_autoencoder(256)
    loss = losses.denoising(corruption.Masking(0.5))
    training.fit(DAE, images, loss, epochs=epochs, lr=3e-3, seed=seed)
    return DAE
    ### END SOLUTION


# %% [markdown]
# The next cell trains it and shows what it makes of ten validation images, one of each
# class. It takes about half a minute.

# %% tags=["wanted"]
corruptor = corruption.Masking(0.5)
some = train.images[:20000]
affine = metrics.AffineDenoiser(corruptor(some), some)
ten = data.one_of_each(validation)
damaged = corruptor(ten.images, torch.Generator().manual_seed(0))
rows = {"original": ten.images, "corrupted": damaged, "affine": affine(damaged)}
try:
    DAE = train_denoiser(train.images, epochs, seed=0)
    rows["yours"] = metrics.apply_in_batches(DAE, damaged)
    yours = denoising_score(DAE, validation.images, corruptor)
    inputs = corruptor(validation.images)
    other = metrics.reconstruction_error(affine, validation.images, inputs)
    title = f"Yours restores with an error of {yours:.4f}, "
    title += f"the best affine map with one of {other:.4f}"
except Exception as error:
    title = f"Not yet: {type(error).__name__}"

plots.image_rows(
    rows,
    title=title,
    caption="Ten held-out images, one of each class; half of the pixels were set to "
    "zero. Error per pixel on all held-out images.",
    columns=ten.class_names,
)

# %% [markdown]
# The check trains one more, on other images, bent a little, and lets it restore images
# that your function has not seen.

# %% check="train_denoiser"
check("train_denoiser", train_denoiser)

# %% [markdown]
# ## 4. Which control would you ask for? (••, text, 3 points)
#
# Somebody shows you a denoiser with 940 units whose error on clean test images is
# 0.004, and concludes that it has learned what clothes look like. In at most ten
# sentences: what has been measured? Which two further numbers do you ask for, and what
# would each tell you?
#
# *How it is marked.* One point each: what the number shows, and what it cannot show; a
# first number, on the task that a denoiser is for, beside a baseline that you name; a
# second one that separates what training on damage has taught, with what either
# outcome would mean.

# %% [markdown] text="control" points=3
# Model answer. The number measures copying: 940 units can pass 784 pixels through, so a
# network that has learned nothing about clothes reaches it as well. First I ask for the
# error on corrupted test images, with the corruptor surely on, beside that of the best
# affine map and the corrupted input's own error; only below the affine map has a
# nonlinear network earned its keep. Second I ask for the same network trained without
# corruption, scored in the same way: if it restores as well, the training on damaged
# images has taught nothing. Another kind of damage, a missing block say, would tell
# whether clothes were learned or one kind of repair.

# %% [markdown]
# ## What you have done
#
# You have a corruption that can be repeated, a score that no mode switches off, and a
# denoiser that has been tested. Exercise 4 asks what is new about a new image. The last
# cell asks all questions once more and adds up.

# %% tags=["closing"]
check.all(globals())
