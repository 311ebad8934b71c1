# %% [markdown]
# # Exercise 4. New, copied, or merely grey?
#
# Whoever sells a generator shows you its best pictures. Here you write what decides about them: a perturbation that is not tied to one picture's strokes, a test that finds
# copies among twelve suspects, and codes from nowhere that must stand up to both of lesson 04's distances.
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
# Nothing is trained but a small distribution. Under every task stands a check that says what was expected, what came and the likely cause.
# The marks come from further checks, on other images, that you do not see.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. Images are (N, 1, 28, 28) with values in [0, 1]. The denoising autoencoder with its 940 units is lesson 03's, trained beforehand.

# %%
import torch

from course_utils import data, metrics, plots, pretrained
from course_utils.checks import check

train = data.load_images("FashionMNIST", "train")
validation = data.load_images("FashionMNIST", "validation")
DAE = pretrained.load("dae").requires_grad_(False)
encoder, decoder = DAE
codes = metrics.apply_in_batches(encoder, train.images[:6000])  # (6000, 940), never negative
print(f"{len(train):,} training images, {len(validation):,} held out, codes {tuple(codes.shape)}")

# %% [markdown]
# ## Worked: what the chapter's recipe leaves at zero
#
# The chapter multiplies a code by `1 + perturbation`. A unit at zero stays there, so every sample is drawn with its original's strokes.

# %%
one = codes[:1]
shaken = one * (1 + torch.randn(one.shape, generator=torch.Generator().manual_seed(0)))
print(f"units at zero: {int((one == 0).sum())} before, {int((shaken == 0).sum())} after; units below zero: {int((one < 0).sum())} before, {int((shaken < 0).sum())} after")

# %% [markdown]
# ## 1. A perturbation that can wake a unit (•, 2 points)
#
# *Add* noise instead: to each unit a normal random number times `strength` times **that unit's own** standard deviation over the training codes. A ReLU never returns a negative
# number, so neither may you. The same `seed` gives the same result, and nobody else's random numbers are disturbed. Fill the two blanks.

# %% nbgrader={"grade": false, "grade_id": "perturb", "locked": false, "schema_version": 3, "solution": true, "task": false}
def perturb(encoded, deviation, strength, seed):
    """encoded: float32 (N, k), codes; deviation: (k,), of each unit -> perturbed codes (N, k), none below zero."""
    noise = torch.randn(encoded.shape, generator=torch.Generator().manual_seed(seed))
    # perturbed = encoded + ____
    # return ____, with everything below zero set to zero
    ### BEGIN SOLUTION
    return (encoded + strength * deviation * noise).clamp(min=0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_perturb", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
flat, uneven = torch.zeros(4000, 2), torch.tensor([1.0, 3.0])
check("half of the units at zero wake up", lambda: round(float((perturb(flat, uneven, 1.0, seed=0) > 0).float().mean()), 1), 0.5, {"multiplied: a zero stays zero": 0.0})
check("no code is negative", lambda: float(perturb(flat, uneven, 1.0, seed=0).min()), 0.0, likely="clamp(min=0)")
check("each unit by its own deviation", lambda: perturb(100 + flat, uneven, 2.0, seed=0).std(dim=0).round(), [2.0, 6.0],
      {"one deviation for all units": [2.0, 2.0], "strength is left out": [1.0, 3.0]})
### BEGIN HIDDEN TESTS
import sys, course_utils; sys.path.insert(0, course_utils.__path__[0] + "/..")
from grading.judging import hidden
hidden("04_sampling", "check_perturb", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The nearest training image (•, 2 points)
#
# For each picture return the distance to the nearest of `images`, the **root of the mean squared difference per pixel**, and that image's index. All pairs times 784 pixels do not fit into memory: take
# one picture at a time, or `torch.cdist`, which returns the root of the *summed* squares of two matrices' rows.

# %% nbgrader={"grade": false, "grade_id": "nearest", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nearest(samples, images):
    """samples: (N, 1, 28, 28), images: (M, 1, 28, 28) -> distances float (N,), indices into images int (N,)."""
    ### BEGIN SOLUTION
    distances = torch.cdist(samples.flatten(1), images.flatten(1)) / 28  # 28 is the root of 784 pixels
    return distances.min(dim=1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_nearest", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
greys = torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1).expand(-1, 1, 28, 28)
asked = torch.tensor([0.9, 0.4]).reshape(2, 1, 1, 1).expand(-1, 1, 28, 28)
check("two grey pictures, three grey images: distances", lambda: nearest(asked, greys)[0], [0.1, 0.1], {
    "the mean of the squares; the root is missing": [0.01, 0.01], "the sum over the pixels, not the mean": [2.8, 2.8], "one for each training image; the minimum runs over the images": [0.4, 0.1, 0.1]}, tolerance=2e-3)
check("and indices", lambda: nearest(asked, greys)[1], [2, 1], {"one for each training image; one for each picture is asked for": [1, 1, 0]})
### BEGIN HIDDEN TESTS
hidden("04_sampling", "check_nearest", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Which of twelve are copies? (••, 4 points)
#
# Twelve pictures, all said to be new. Some were made by the chapter's recipe, some are real pictures that were never trained on, and some are training images with a little noise.

# %%
random = torch.Generator().manual_seed(4)
known, unknown = train.images[torch.randperm(len(train), generator=random)[:5]], validation.images[torch.randperm(len(validation), generator=random)[:6]]
some = encoder(unknown[:4])
made = decoder(some * (1 + torch.randn(some.shape, generator=random)))
boot = train.images[torch.nonzero(train.labels == 9)[2]].flip(-1)
suspects = torch.cat([known + 0.03 * torch.randn(known.shape, generator=random), made, unknown[4:], boot]).clamp(0, 1)
suspects = suspects[torch.randperm(12, generator=random)]

# %% [markdown]
# Return for each picture whether it is a copy. Is a distance of 0.05 small? That depends on the data, so the limit comes from them: a picture is called a **copy** if it lies nearer to the training images than
# **99 of 100 real pictures that were never trained on** do. `held_out` holds such pictures. (`torch.quantile` helps.)

# %% nbgrader={"grade": false, "grade_id": "copies", "locked": false, "schema_version": 3, "solution": true, "task": false}
def copies(samples, images, held_out):
    """samples (N, 1, 28, 28); images: training images; held_out: real pictures that are not among them -> list of N bools."""
    ### BEGIN SOLUTION
    limit = torch.quantile(nearest(held_out, images)[0], 0.01)
    return (nearest(samples, images)[0] < limit).tolist()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check_copies", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
real = validation.images[:500]
noisy = (train.images[:60] + 0.03 * torch.randn(60, 1, 28, 28, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
check("sixty training images with some noise are copies", lambda: sum(copies(noisy, train.images, real)), 60, {
    "only exact copies were found, or the limit came from training images, each of which is its own nearest": 0})
check("the same in pale print", lambda: sum(copies(0.3 * noisy, 0.3 * train.images, 0.3 * real)), 60)
check("of real pictures, about one in a hundred is called one", lambda: sum(copies(real, train.images, real)) <= 10, True, likely="the limit is the mean distance, or one that was typed in: it must come from held_out")
check("and of pale ones", lambda: sum(copies(0.3 * real, 0.3 * train.images, 0.3 * real)) <= 10, True, likely="the limit was typed in; pale pictures are all near each other")
check("of the twelve suspects", lambda: sum(copies(suspects, train.images, real)), 5)
### BEGIN HIDDEN TESTS
hidden("04_sampling", "check_copies", globals())
### END HIDDEN TESTS

# %% [markdown]
# Your verdicts. Look at them well: **one copy escapes the test**, and task 5 asks which one.

# %% tags=["show"]
try:
    distance, index = nearest(suspects, train.images)
    verdict = copies(suspects, train.images, real)
    rows = {"suspect": suspects, "nearest training image": train.images[index]}
    columns = [f"{i + 1}: {'copy' if guilty else 'new'}\n{d:.2f}" for i, (guilty, d) in enumerate(zip(verdict, distance.tolist()))]
    title = f"Of twelve suspects {sum(verdict)} lie nearer to a training image than real pictures do"
except Exception as error:
    rows, columns, title = {"suspect": suspects}, [str(i + 1) for i in range(12)], f"Not yet: {type(error).__name__}"
plots.image_rows(rows, title, "The twelve suspects, below them the training image nearest to each; over the columns the verdict and the distance.", columns)

# %% [markdown]
# ## 4. Codes from nowhere (•••, 4 points)
#
# Learn where `codes` lie and draw `n` **new** codes. The decoder makes pictures of them, and these are measured in both directions, against another set of real pictures:
#
# - from picture to nearest training image, and from real picture to nearest of yours, **on average not farther than real pictures**;
# - no picture may have an original: not more than 5 in 100 **codes** are copies (the rule of task 3, with distances between codes), and none uses only units that one training image uses;
# - no code below zero; the same `seed` draws the same codes, another seed others.
#
# Lesson 04 did it with a mixture of Gaussians in 32 dimensions. Fewer than a second is enough.

# %% nbgrader={"grade": false, "grade_id": "draw_codes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def draw_codes(codes, n, seed):
    """codes: float32 (N, 940), of training images -> float32 (n, 940), new codes."""
    ### BEGIN SOLUTION
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    axes = PCA(32, random_state=seed).fit(codes.numpy())
    mixture = GaussianMixture(15, reg_covar=1e-3, tol=0.01, random_state=seed).fit(axes.transform(codes.double().numpy()))
    points = axes.inverse_transform(mixture.sample(n)[0])
    return torch.from_numpy(points).float().clamp(min=0)
    ### END SOLUTION

# %% [markdown]
# Ten of yours, beside ten codes whose every number was taken from another image:

# %% tags=["wanted"]
random = torch.Generator().manual_seed(0)
shuffled = decoder(codes.gather(0, torch.randint(len(codes), (300, codes.shape[1]), generator=random)))
rows = {"shuffled codes": shuffled[:10]}
try:
    drawn = draw_codes(codes, 300, seed=0)
    new_samples = decoder(drawn)
    ten = new_samples[torch.randperm(len(new_samples), generator=random)[:10]]
    rows |= {"yours": ten, "nearest training image": train.images[nearest(ten, train.images)[1]]}
    title = (f"From a real picture to the nearest of 300: yours {float(nearest(validation.images[:300], new_samples)[0].mean()):.3f}, "
             f"other real pictures {float(nearest(validation.images[:300], validation.images[300:600])[0].mean()):.3f}, "
             f"shuffled {float(nearest(validation.images[:300], shuffled)[0].mean()):.3f}")
except Exception as error:
    drawn, title = None, f"Not yet: {type(error).__name__}"
plots.image_rows(rows, title, "Pictures from codes that belong to no image: drawn number by number, and drawn from a learned distribution; below, the training image nearest to each of the latter.")

# %% nbgrader={"grade": true, "grade_id": "check_draw_codes", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def far(samples, images):
    return float(torch.cdist(samples.flatten(1), images.flatten(1)).amin(1).mean()) / 28


first, second = validation.images[:300], validation.images[300:600]
active = (codes > 0).float()
check("300 codes of 940 numbers", lambda: tuple(draw_codes(codes, 300, seed=0).shape), (300, 940))
check("none below zero", lambda: bool((drawn >= 0).all()), True, likely="the ReLU's codes are never negative: clamp(min=0)")
check("one seed, one set of codes; another seed, another", lambda: [bool((draw_codes(codes, 300, seed) == drawn).all()) for seed in (0, 1)], [True, False], likely="a generator that is not made from seed, or a seed that is typed in")
check("picture to nearest training image, over that of real ones", lambda: far(decoder(drawn), train.images) / far(second, train.images) <= 1, True, likely="the units were drawn one by one, or from one single Gaussian")
check("real picture to nearest of yours, over that to real ones", lambda: far(first, decoder(drawn)) / far(first, second) <= 1, True, likely="not every kind of garment is there, or no picture is one")
check("most codes lie farther from the training codes than any real one does at its nearest", lambda: bool(torch.cdist(drawn, codes).amin(1).median() > torch.cdist(encoder(real), codes).amin(1).min()), True, likely="training codes with a little noise")
check("no code uses only units of one training image", lambda: bool((active @ (drawn > 0).float().T == (drawn > 0).float().sum(1)).any()), False, likely="training codes, or training codes multiplied by something")
### BEGIN HIDDEN TESTS
hidden("04_sampling", "check_draw_codes", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Better than real? (••, text, 3 points)
#
# A company's samples lie, on average, clearly nearer to the training images than real pictures do that were never trained on. "Our samples are more typical than reality." In at most ten sentences: which two explanations
# are there that are not to the company's credit? Which measurements tell them apart from a good generator, and from each other? And which of the twelve suspects is a copy that the test of task 3 does not find; how can it be found?
#
# *How it is marked.* One point: copies (perhaps with a little noise), and smooth, grey pictures that lie near everything. One point: the share of samples below the limit of task 3, or a look at the nearest images, finds copies; the
# distance from real pictures to samples finds that kinds are missing, which a grey mean fails; a look at the pictures. One point: the right suspect, how it was changed, and a test that finds it.

# %% [markdown] nbgrader={"grade": true, "grade_id": "better", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# Model answer. They may be copies with a little noise; or they may be blurred, since a smooth grey picture lies near everything, as the mean image does. Copies show themselves one by one: far more than one sample in a hundred lies
# below the limit of task 3, and its nearest training image is the same garment. Grey pictures do not fall below that limit, but from most real pictures there is none of them near: the second distance is large. I would also look at the pictures.
# Among the suspects the ankle boot that points to the right is a copy: a mirrored training image, since the boots of this data set point to the left. The test compares pixel by pixel, so a mirrored, shifted or inverted copy looks new to it. It is
# found by testing every suspect's mirror image as well: `nearest(suspects.flip(-1), train.images)` is zero for this one.

# %% [markdown]
# ## What you have done
#
# You can tell a new picture from a copied one, say where your test is blind, and draw pictures that have no original. Exercise 5 turns to networks that know which pixels are neighbours.
