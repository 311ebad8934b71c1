# %% [markdown]
# # Exercise 4. New, copied, or merely grey?
#
# Whoever sells a generator shows you its best pictures. Here you write what decides
# about them: a perturbation that is not tied to one picture's strokes, a test that
# finds copies among twelve suspects, and codes from nowhere that must stand up to both
# of lesson 4's distances.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | what the chapter's recipe leaves at zero | · | 3 | – |
# | 1 | a perturbation that can wake a unit | • | 6 | 2 |
# | 2 | the nearest training image | • | 6 | 2 |
# | 3 | which of twelve are copies? | •• | 10 | 4 |
# | 4 | codes from nowhere | ••• | 12 | 4 |
# | 5 | better than real? (text) | •• | 8 | 3 |
#
# Nothing is trained but a small distribution. Under every task in code stands a check:
# run it as often as you like. It says what was expected, what came, and the likely
# cause. Your marks come from the same questions, asked with other inputs. Where a task
# sets a limit, the check's is a little wider: chance costs no point.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1]. The denoising
# autoencoder with its 940 units is lesson 3's, trained beforehand. `known` are the
# training images with which everything is compared, `codes` are their codes, and
# `held_out` are real pictures that were never trained on.

# %%
import torch

from course_utils import data, metrics, plots, pretrained
from course_utils.checks import Checks

check = Checks("04_sampling")
train = data.load_images("FashionMNIST", "train")
known, known_labels = train.images[:6000], train.labels[:6000]
held_out = data.load_images("FashionMNIST", "validation").images[:600]
DAE = pretrained.load("dae").requires_grad_(False)
encoder, decoder = DAE
codes = metrics.apply_in_batches(encoder, known)  # (6000, 940), never negative
print(f"{len(known):,} training images, {len(held_out):,} held out")
print(f"codes: {tuple(codes.shape)}")

# %% [markdown]
# ## Worked: what the chapter's recipe leaves at zero
#
# The chapter multiplies a code by `1 + perturbation`. A unit at zero stays there, so
# every sample is drawn with its original's strokes.

# %%
one = codes[:1]
noise = torch.randn(one.shape, generator=torch.Generator().manual_seed(0))
shaken = one * (1 + noise)
for name, code in {"before": one, "after": shaken}.items():
    at_zero, below = int((code == 0).sum()), int((code < 0).sum())
    print(f"{name:>6}: {at_zero} units at zero, {below} below zero")

# %% [markdown]
# ## 1. A perturbation that can wake a unit (•, 2 points)
#
# *Add* noise instead: to each unit a normal random number times `strength` times **that
# unit's own** standard deviation over the training codes. A ReLU never returns a
# negative number, so neither may you. The same `seed` gives the same result, and nobody
# else's random numbers are disturbed. Fill the two blanks.
#
# <details><summary>A nudge</summary>
#
# `noise` has the shape (N, k) and `deviation` the shape (k,): their product gives each
# unit, in every code, its own deviation.
# </details>
# <details><summary>A push</summary>
#
# `tensor.clamp(min=…)` and `torch.relu` both cut off what lies below zero.
# </details>


# %% answer="perturb"
def perturb(encoded, deviation, strength, seed):
    """encoded: float32 (N, k), codes; deviation: (k,), of each unit.

    Returns perturbed codes (N, k), none below zero.
    """
    noise = torch.randn(encoded.shape, generator=torch.Generator().manual_seed(seed))
    # perturbed = encoded + ____
    # return ____, with everything below zero set to zero
    ### BEGIN SOLUTION
    perturbed = encoded + strength * deviation * noise
    return perturbed.clamp(min=0)
    ### END SOLUTION


# %% check="perturb"
check("perturb", perturb)

# %% [markdown]
# ## 2. The nearest training image (•, 2 points)
#
# For each picture return the distance to the nearest of `images`, the **root of the
# mean squared difference per pixel**, and that image's index. All differences of all
# pairs do not fit into memory. `torch.cdist` needs no such room: it takes two matrices
# with one picture a row, and returns the root of the *summed* squares for each pair.
#
# <details><summary>A nudge</summary>
#
# From the root of a sum to the root of a mean it is one division. An image has 784
# pixels.
# </details>
# <details><summary>A push</summary>
#
# `distances.min(dim=…)` returns both the smallest values and their places. One answer
# for each picture: the minimum runs over the images.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# distances = torch.cdist(samples.flatten(1), …) / …
# return distances.min(…)
# ```
# </details>


# %% answer="nearest"
def nearest(samples, images):
    """samples: (N, 1, 28, 28), images: (M, 1, 28, 28).

    Returns distances, float (N,), and indices into images, int (N,).
    """
    ### BEGIN SOLUTION
    pairs = torch.cdist(samples.flatten(1), images.flatten(1))
    return (pairs / 28).min(dim=1)  # 28 is the root of 784 pixels
    ### END SOLUTION


# %% check="nearest"
check("nearest", nearest)

# %% [markdown]
# ## 3. Which of twelve are copies? (••, 4 points)
#
# Twelve pictures, all said to be new. Some were made by the chapter's recipe, some are
# real pictures that were never trained on, and some are training images with a little
# noise. (Run the next cell without reading it: it tells who is who.)

# %%
random = torch.Generator().manual_seed(4)
copied = known[torch.randperm(len(known), generator=random)[:5]]
copied = copied + 0.03 * torch.randn(copied.shape, generator=random)
real = held_out[torch.randperm(len(held_out), generator=random)[:6]]
some = encoder(real[:4])
made = decoder(some * (1 + torch.randn(some.shape, generator=random)))
last = known[torch.nonzero(known_labels == 9)[2]].flip(-1)
suspects = torch.cat([copied, made, real[4:], last]).clamp(0, 1)
suspects = suspects[torch.randperm(12, generator=random)]

# %% [markdown]
# Return for each picture whether it is a copy. Is a distance of 0.05 small? That
# depends on the data, so the limit comes from them: a picture is called a **copy** if
# it lies nearer to the training images than **99 of 100 real pictures that were never
# trained on** do. `held_out` holds such pictures. The check asks twice, the second time
# in pale print.
#
# <details><summary>A nudge</summary>
#
# How near do the held-out pictures come to the training images? That is a list of
# distances, and the limit lies at its lower end.
# </details>
# <details><summary>A push</summary>
#
# `torch.quantile(distances, 0.01)` is the value below which one of a hundred lies.
# `nearest` gives the distances, of the held-out pictures and of the samples alike.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# limit = torch.quantile(nearest(…)[0], …)
# return (nearest(…)[0] < …).tolist()
# ```
# </details>


# %% answer="copies"
def copies(samples, images, held_out):
    """samples: (N, 1, 28, 28); images: training images; held_out: real pictures that
    are not among them. Returns a list of N bools."""
    ### BEGIN SOLUTION
    limit = torch.quantile(nearest(held_out, images)[0], 0.01)
    return (nearest(samples, images)[0] < limit).tolist()
    ### END SOLUTION


# %% check="copies"
check("copies", copies)

# %% [markdown]
# Your verdicts. Look at them well: **one copy escapes the test**, and task 5 asks which
# one.

# %% tags=["show"]
rows, columns = {"suspect": suspects}, [str(number) for number in range(1, 13)]
try:
    distance, index = nearest(suspects, known)
    verdicts = copies(suspects, known, held_out)
    rows["nearest training image"] = known[index]
    for number, guilty in enumerate(verdicts):
        word = "copy" if guilty else "new"
        columns[number] += f": {word}\n{float(distance[number]):.2f}"
    title = f"Of twelve suspects {sum(verdicts)} lie nearer to a training image than "
    title += "real pictures do"
except Exception as error:
    title = f"Not yet: {type(error).__name__}"

plots.image_rows(
    rows,
    title=title,
    caption="The twelve suspects, below them the training image nearest to each; over "
    "the columns the verdict and the distance.",
    columns=columns,
)

# %% [markdown]
# ## 4. Codes from nowhere (•••, 4 points)
#
# Learn where `codes` lie and draw `n` **new** codes. The decoder makes pictures of
# them, and these are measured in both directions, against another set of real pictures:
#
# - from picture to nearest training image, and from real picture to nearest of yours,
#   **on average not farther than real pictures**;
# - no picture may have an original: not more than 5 in 100 **codes** are copies (the
#   rule of task 3, with distances between codes), and none uses only units that one
#   training image uses;
# - no code below zero; the same `seed` draws the same codes, another seed others.
#
# Where most codes are training codes, or training codes multiplied by something, no
# point is given at all. Lesson 4 did it with a mixture of Gaussians in 32 dimensions. A
# few seconds are enough.
#
# <details><summary>A nudge</summary>
#
# There are 940 units, far too many for a mixture that has to learn covariances. PCA
# first; its inverse brings the drawn points back.
# </details>
# <details><summary>A push</summary>
#
# scikit-learn has both: `sklearn.decomposition.PCA` and
# `sklearn.mixture.GaussianMixture`. Both take `random_state=seed`; the mixture's
# `sample(n)` returns points and the number of the Gaussian from which each came.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# axes = PCA(32, …).fit(codes.numpy())
# mixture = GaussianMixture(15, reg_covar=1e-3, …).fit(axes.transform(…))
# points = axes.inverse_transform(…)
# return torch.from_numpy(points).float().…
# ```
# </details>


# %% answer="draw_codes"
def draw_codes(codes, n, seed):
    """codes: float32 (N, 940), of training images -> float32 (n, 940), new codes."""
    ### BEGIN SOLUTION
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    axes = PCA(32, random_state=seed).fit(codes.numpy())
    points = axes.transform(codes.numpy()).astype("float64")
    mixture = GaussianMixture(15, reg_covar=1e-3, tol=0.01, random_state=seed)
    drawn, _ = mixture.fit(points).sample(n)
    return torch.from_numpy(axes.inverse_transform(drawn)).float().clamp(min=0)
    ### END SOLUTION


# %% [markdown]
# Ten of yours, beside ten codes whose every number was taken from another image:

# %% tags=["wanted"]
random = torch.Generator().manual_seed(0)
rows_of_units = torch.randint(len(codes), (300, codes.shape[1]), generator=random)
shuffled = decoder(codes.gather(0, rows_of_units))
first, second = held_out[:300], held_out[300:]
rows = {"shuffled codes": shuffled[:10]}
try:
    new_samples = decoder(draw_codes(codes, 300, seed=0))
    ten = new_samples[torch.randperm(len(new_samples), generator=random)[:10]]
    rows |= {"yours": ten, "nearest training image": known[nearest(ten, known)[1]]}
    sets = {"yours": new_samples, "other real pictures": second, "shuffled": shuffled}
    title = "From a real picture to the nearest of 300: " + ", ".join(
        f"{name} {float(nearest(first, images)[0].mean()):.3f}"
        for name, images in sets.items()
    )
except Exception as error:
    title = f"Not yet: {type(error).__name__}"

plots.image_rows(
    rows,
    title=title,
    caption="Pictures from codes that belong to no image: drawn number by number, and "
    "drawn from a learned distribution; below, the training image nearest to each of "
    "the latter.",
)

# %% check="draw_codes"
check("draw_codes", draw_codes)

# %% [markdown]
# ## 5. Better than real? (••, text, 3 points)
#
# A company's samples lie, on average, clearly nearer to the training images than real
# pictures do that were never trained on. "Our samples are more typical than reality."
# In at most ten sentences: which two explanations are there that are not to the
# company's credit? Which measurements tell them apart from a good generator, and from
# each other? And which of the twelve suspects is a copy that the test of task 3 does
# not find; how can it be found?
#
# *How it is marked.* One point each: two explanations that differ in kind; for each of
# them a measurement that finds it and that the other one passes; the right suspect,
# what was done to it, and a test that finds it.

# %% [markdown] text="better" points=3
# Model answer. They may be copies with a little noise; or they may be blurred, since a
# smooth grey picture lies near everything, as the mean image does. Copies show
# themselves one by one: far more than one sample in a hundred lies below the limit of
# task 3, and its nearest training image is the same garment. Grey pictures do not fall
# below that limit, but from most real pictures there is none of them near: the second
# distance is large. I would also look at the pictures. Among the suspects the ankle
# boot that points to the right is a copy: a mirrored training image, since the boots of
# this data set point to the left. The test compares pixel by pixel, so a mirrored,
# shifted or inverted copy looks new to it. It is found by testing every suspect's
# mirror image as well: `nearest(suspects.flip(-1), known)` is zero for this one.

# %% [markdown]
# ## What you have done
#
# You can tell a new picture from a copied one, say where your test is blind, and draw
# pictures that have no original. Exercise 5 turns to networks that know which pixels
# are neighbours. The last cell asks all questions once more and adds up.

# %% tags=["closing"]
check.all(globals())
