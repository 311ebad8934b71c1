# %% [markdown] question="Is it new?" source="chapter, 5"
# # 4. Sampling: is it new?
#
# A decoder turns numbers into pictures. Until now the numbers came from an encoder, so
# that each belonged to a picture that existed. Nothing stops us from making numbers up.
# What comes out, a garment that nobody has ever photographed, a copy of one that
# somebody has, or neither? It is less easy than it seems to say which.
#
# After this lesson you will be able to
#
# 1. sample new pictures as the chapter does, and say what its multiplication can and
#    cannot change;
# 2. decide with distances whether a sample is new, a copy, or merely grey;
# 3. say, with measurements, where among all codes those of real pictures lie;
# 4. fit a simple distribution to the codes, choose its size on validation data, and
#    sample from that; and walk from one garment to another.
#
# **Time**: about 45 minutes to read and answer; the code runs for about a minute on two
# cores, without a GPU.
#
# **You need**: [lesson 3](03_denoising.ipynb), whose denoising autoencoder we sample
# from.
#
# Words with a link are explained in the [glossary](../GLOSSARY.md), which also names
# them in Hebrew and Croatian.

# %% [markdown]
# ## 1. The chapter's samples
#
# We train lesson 3's network again, and take both halves in hand.

# %%
import torch
from torch import nn

from course_utils import plots
from course_utils.corruption import Dropout
from course_utils.data import load_images, one_of_each
from course_utils.losses import denoising
from course_utils.models import Decoder, Encoder
from course_utils.training import fit

splits = ("train", "validation", "test")
train, validation, test = (load_images("FashionMNIST", split) for split in splits)
ten = one_of_each(test)

latent_dim = int(784 * 1.2)
torch.manual_seed(0)
DAE = nn.Sequential(Encoder(latent_dim), Decoder(latent_dim))

# %% [markdown]
# As in lesson 3, a checkpoint keeps the state on the disk: a restart costs no training.

# %%
epochs = 6 if train.source == "full" else 30  # the small sample needs more passes
loss = denoising(Dropout(0.5))
options = {"epochs": epochs, "checkpoint": f"checkpoints/04_DAE_{train.source}.ckpt"}
history = fit(DAE, train, loss, validation=validation, **options)
print(f"validation error, corruption on: {history.validation_loss[-1]:.4f}")

# %% [markdown]
# Now the chapter's recipe, line by line. A real picture is encoded; the code is shaken,
# each number by a random share of itself; the shaken codes are decoded. No corruption
# this time: dropout was for training.

# %%
encoder = DAE[0]
decoder = DAE[1]
one_img = ten.images[[2]]  # a pullover, (1, 1, 28, 28)

torch.manual_seed(0)
num_samples = 2
with torch.no_grad():
    encoded = encoder(one_img)  # (1, 940)
    perturbation = torch.randn((num_samples, *encoded.size()))  # (2, 1, 940)
    perturbed_latent = encoded * (1 + perturbation)
    new_samples = decoder(perturbed_latent)

# %% [markdown]
# What has come out? Beside the samples we lay the plain reconstruction, which is the
# same without the shaking, and measure how far each is from the original: the root of
# the mean squared difference per pixel, 0 for equal pictures, 1 between black and
# white.


# %%
def apart(a, b):
    """Distance of each picture in `a` from its partner in `b`."""
    return ((a - b) ** 2).flatten(1).mean(1).sqrt()


with torch.no_grad():
    reconstruction = decoder(encoded)

pictures = torch.cat([one_img, reconstruction, new_samples.reshape(-1, 1, 28, 28)])
off = apart(pictures, one_img)
names = ("original", "reconstruction", "new sample", "new sample")
plots.image_rows(
    {"pullover": pictures},
    columns=[f"{name}\n{d:.2f}" for name, d in zip(names, off)],
    title="Two new pullovers, and most of what is new about them is in the plain "
    "reconstruction already",
    caption="Over each picture its distance from the original. The samples are softer "
    "than the original, with a blurred chest; so is the reconstruction, which was "
    "never shaken.",
)

# %% [markdown]
# This is the first network of the course that *produces* something, a **[generative
# model](../GLOSSARY.md)** in the making. Its samples are pullovers, and differ from the
# original. But without the second column we should credit the recipe with what the
# network's blur has done. What does the recipe itself do to the code?

# %% [markdown]
# ## 2. What the multiplication changes
#
# The code has 940 numbers, and the ReLU has set many of them to zero. **Of those zeros,
# how many does the perturbation change?**

# %% tags=["prediction"]
my_changed_zeros = 100  # change this to your own guess, then run on

# %% [markdown]
# We look for the zeros of the code, and count those that are zero no longer:

# %%
zeros = (encoded == 0).expand_as(perturbed_latent[0])
changed_zeros = int((perturbed_latent[0][zeros] != 0).sum())
print(f"units at zero: {int(zeros.sum())} of {latent_dim}")
print(f"your guess: {my_changed_zeros}    changed by the perturbation: {changed_zeros}")

# %% [markdown]
# None, and no random number could: `0 * (1 + anything)` is 0. The recipe changes *how
# much* of each active unit is in the picture, never *which* units are. And it does
# something else to the active ones:

# %%
active = ~zeros
negative = (perturbed_latent[:, active] < 0).float().mean()
print(f"active units pushed below zero: {negative:.0%} (a ReLU returns none there)")

# %% [markdown]
# Over many pictures it is one in six, as often as a normal number falls below −1. No
# picture in the world has such a code. The decoder, a single layer, does not mind: it
# draws the unit's stroke in black instead of white.
#
# Is it a loss to be tied to the original's set of active units? How different are these
# sets from one picture to another?

# %%
import pandas as pd

from course_utils.metrics import apply_in_batches

on = apply_in_batches(encoder, validation.images) > 0  # (N, 940)
labels = validation.labels


def overlap(a, b):
    """Active units that two pictures share, of those that either has; mean of pairs."""
    return ((a & b).sum(1) / (a | b).sum(1)).mean().item()


torch.manual_seed(0)
other = torch.randperm(len(on))
same_class = labels == labels[other]
partner = on[other]
overlaps = {
    "pictures of two classes": overlap(on[~same_class], partner[~same_class]),
    "pictures of one class": overlap(on[same_class], partner[same_class]),
    "a picture and its samples": overlap(active, perturbed_latent[0] != 0),
}
print(f"active units per picture: {on.float().sum(1).mean():.0f} of {latent_dim}")
pd.DataFrame({"overlap of the active sets": overlaps}).round(2)

# %% [markdown]
# Two pictures, even of one class, switch on sets that differ widely; a sample and its
# original never do. That is why the samples stay so close to home, and why the recipe
# cannot leave it: all that you can reach from this pullover is drawn with this
# pullover's strokes.
#
# > **Pitfall.** "Add noise to the code" and "multiply the code by noise" are different
# > models. Public code has both under the same name. Ask which units can move.
#
# > **Stop here**: [task 1 of the
# > exercise](../exercises/04_sampling/04_sampling.ipynb),
# > *a perturbation that can wake a unit*, 6 minutes.

# %% [markdown]
# ## 3. How far may one go?
#
# The chapter multiplies by `1 + perturbation`. We put a knob on it,
# `1 + strength * perturbation`, keep the perturbation and turn the knob from 0 to 2.

# %%
strengths = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
torch.manual_seed(1)
strips = {}
with torch.no_grad():
    for which in (0, 2, 8):
        code = encoder(ten.images[[which]])
        direction = torch.randn(latent_dim)
        perturbed = torch.cat([code * (1 + s * direction) for s in strengths])
        strips[ten.class_names[which]] = decoder(perturbed)

plots.image_rows(
    strips,
    columns=[f"{s:g}" for s in strengths],
    title="The harder a code is shaken, the more speckled the garment",
    caption="Three garments, each perturbed in one random direction with a strength "
    "that grows from 0 (plain reconstruction) to 2. Up to about 0.5 hardly a change; "
    "at 2 the T-shirt is speckled but whole, the bag has lost its outline.",
)

# %% [markdown]
# By eye the garments hold until about 1. The eye is easily pleased, though. We need a
# measure.

# %% [markdown]
# ## 4. New, or a copy?
#
# A generator that returns training pictures would draw perfectly, and be worthless. So
# beside each sample we lay the **nearest training picture**, by the distance of section
# 1.

# %%
from sklearn.neighbors import NearestNeighbors


def nearest(asked, among):
    """For each picture its distance to the nearest of `among`, and that one's place."""
    search = NearestNeighbors(n_neighbors=1, algorithm="brute")
    search.fit(among.flatten(1).numpy())
    distance, index = search.kneighbors(asked.flatten(1).numpy())
    rms = distance[:, 0] / 784**0.5  # from a sum over pixels to a mean
    return torch.from_numpy(rms), torch.from_numpy(index[:, 0])


# %% [markdown]
# One sample from each of our ten, and what lies nearest to it:

# %%
torch.manual_seed(0)
with torch.no_grad():
    encoded = encoder(ten.images)
    samples = decoder(encoded * (1 + torch.randn(encoded.size())))

distance, index = nearest(samples, train.images)
rows = {
    "original": ten.images,
    "sample": samples,
    "nearest training image": train.images[index],
}
plots.image_rows(
    rows,
    columns=[f"{d:.2f}" for d in distance],
    title="No sample is a training image: the nearest one is "
    f"{distance.min():.2f} to {distance.max():.2f} away",
    caption="Originals from the test set, a sample made from each, and the training "
    "image nearest to the sample: of the same sort, but another piece of clothing. "
    "Over the columns the distance between sample and neighbour.",
)

# %% [markdown]
# Is 0.12, say, near or far? A distance, too, needs a neighbour: the distances among
# *real* pictures. And since the samples were made from originals, we ask a second
# thing: is the original, which the network never trained on, nearer to its sample than
# *every* training picture is? One picture stands against thousands; by chance it would
# practically never win. **In what share of cases?**

# %% tags=["prediction"]
my_share = 0.2  # change this to your own guess, then run on

# %% [markdown]
# We ask with 300 pictures of the validation set.

# %%
real = validation.images[:300]
torch.manual_seed(0)
with torch.no_grad():
    encoded = encoder(real)
    shaken = decoder(encoded * (1 + torch.randn(encoded.size())))

to_training, _ = nearest(shaken, train.images)
among_real, _ = nearest(real, train.images)
to_origin = apart(shaken, real)
some = train.images[:300]
with torch.no_grad():
    copied = apart(DAE(some), some)

share = (to_origin < to_training).float().mean()
print(f"your guess: {my_share:.2f}    the original is nearest: {share:.2f}")
found = pd.DataFrame(
    {
        "real picture to nearest training image": among_real,
        "sample to nearest training image": to_training,
        "sample to its own original": to_origin,
        "training image, drawn by the DAE, to itself": copied,
    }
)
found.agg(["mean", "std"]).T.round(3)

# %% [markdown]
# The samples lie about as far from the training set as real pictures do. By itself that
# proves little: the last row is a copy without any shaking, and the decoder's blur
# alone puts it nearly as far away. That no sample is a copy of a training picture we
# know from how it was made, with none of them as its start. And that start, *one*
# picture, is on average about as near to the sample as the nearest of all training
# pictures: the honest verdict on the chapter's recipe. Its pictures are new as a
# variation is new, and each needs a picture to vary. It cannot answer the question
# "show me a garment".
#
# Now we can also answer section 3's question with a measure. The same 300 pictures, the
# same perturbations, other strengths:

# %%
rows = {}
for strength in strengths:
    torch.manual_seed(0)
    with torch.no_grad():
        shaken = decoder(encoded * (1 + strength * torch.randn(encoded.size())))
    to_real, _ = nearest(shaken, train.images)
    rows[strength] = [to_real.mean().item(), apart(shaken, real).mean().item()]

names = ["DAE's sample to nearest training image", "DAE's sample to its original"]
further = pd.DataFrame.from_dict(rows, orient="index", columns=names)

# %% [markdown]
# Two lines, and as a level what real pictures have:

# %%
level = among_real.mean().item()
reach = further.index[further[names[0]] <= level].max()
plots.lines(
    further.index,
    further.to_dict("list"),
    levels={"real picture to nearest training image": level},
    xlabel="strength of the perturbation",
    ylabel="distance (root mean square per pixel)",
    title=f"Up to a strength of {reach:g} samples lie as near to training images as "
    "real pictures do",
    caption="Mean distance of 300 samples to the nearest training image and to their "
    "own originals. Both lines climb; the level, grey and dashed, is what real "
    "pictures have.",
)

# %% [markdown]
# At the chapter's own strength the samples lie no farther from training images than
# real pictures do; well beyond it they drift away from all real clothes. The measure
# agrees with the eye. But look at the left end, too: at strength 0, where nothing was
# perturbed, the distances are *smaller* than those of real pictures. The decoder blurs,
# and what is blurred lies near to much. Keep that in mind for all that follows.
#
# <details><summary><b>Check yourself.</b> At strength 0 the "sample" is the plain
# reconstruction. Would its distance to the training set be as small if the picture had
# been a training picture?</summary>
#
# Smaller still, most likely: then the original itself is among the pictures that are
# asked. So originals must come from pictures that the network has not seen, as ours do.
# </details>
#
# > **Stop here**: [task 2 of the
# > exercise](../exercises/04_sampling/04_sampling.ipynb),
# > *the nearest training image*, 6 minutes.
# > Then task 3 asks which of twelve are copies.

# %% [markdown]
# ## 5. Codes from nowhere
#
# So we drop the original and invent whole codes. Two ways offer themselves:
#
# * **normal**: each of the 940 numbers drawn from a normal distribution, with the mean
#   and deviation that this unit has on training images;
# * **shuffled**: each number taken from the code of *another* training image, drawn at
#   random for each unit. So every single number is one that the encoder did produce,
#   and as often as it did: zeros, too.
#
# **What will the shuffled codes look like?**

# %% tags=["prediction"]
my_expectation = "mixed garments"  # or "garments", "grey porridge"

# %% [markdown]
# Both kinds of codes, from those of 6,000 training images:

# %%
n = 300
known = train.images[:6000]
codes = apply_in_batches(encoder, known)  # (6000, 940)

torch.manual_seed(0)
mean, deviation = codes.mean(0), codes.std(0)
normal_codes = (mean + deviation * torch.randn(n, latent_dim)).clamp(min=0)
donors = torch.randint(len(codes), (n, latent_dim))  # which image gives which number
shuffled_codes = codes.gather(0, donors)

# %% [markdown]
# And decoded:

# %%
normal_samples = apply_in_batches(decoder, normal_codes)
shuffled_samples = apply_in_batches(decoder, shuffled_codes)
zero = {"real": codes, "normal": normal_codes, "shuffled": shuffled_codes}
print(
    "zeros:", ", ".join(f"{k} {(c == 0).float().mean():.0%}" for k, c in zero.items())
)
print(f"your guess: {my_expectation}")
plots.image_rows(
    {"normal": normal_samples[:10], "shuffled": shuffled_samples[:10]},
    title="Invented codes: ten times nearly the same lump, and never a garment",
    caption="Two rows of ten samples. All show nearly the same blurred grey lump, part "
    "shirt and part boot.",
)

# %% [markdown]
# Grey porridge, ten times nearly the same. Of the normal codes one could still say that
# their numbers are wrong: they have only half as many zeros as real codes have. In the
# second row each number on its own is beyond reproach, and the porridge is the same. So
# what is wrong is their *company*. In a real code the units go together (this sleeve
# with that sleeve), and drawn one by one they know nothing of each other. Two
# measurements show how much company there is.


# %%
def directions_needed(codes, share=0.9):
    """How many directions carry `share` of the codes' variance."""
    spread = torch.linalg.eigvalsh(torch.cov(codes.T)).flip(0).clamp(min=0)
    carried = (spread / spread.sum()).cumsum(0)
    return int((carried < share).sum()) + 1


def to_nearest_code(asked):
    """Mean distance (root mean square) to the nearest of the 6,000 training codes."""
    return (torch.cdist(asked, codes).amin(1).mean() / latent_dim**0.5).item()


# %% [markdown]
# Every column of the codes shuffled gives as many shuffled codes as there are real
# ones, for a fair count of directions.

# %%
places = [torch.randperm(len(codes)) for _ in range(latent_dim)]
many_shuffled = codes.gather(0, torch.stack(places, dim=1))
real_codes = apply_in_batches(encoder, real)

directions = [directions_needed(codes), directions_needed(many_shuffled)]
distances = [to_nearest_code(real_codes), to_nearest_code(shuffled_codes)]
table = {
    "directions for 90 % of the variance": directions,
    "distance to the nearest training code": distances,
}
pd.DataFrame(table, index=["real codes", "shuffled codes"]).round(2)

# %% [markdown]
# Real codes spread over a small part of the 940 directions; the shuffled ones need
# several times as many. And a shuffled code lies more than twice as far from the
# nearest training code as the code of a new picture does. The codes of clothes are a
# thin sheet in a huge room, and a random point of the room misses the sheet. Nothing in
# the training told the decoder what to do out there.
#
# ![Two drawings of the space of all codes, in which the codes of real images form a
# thin, bent line. Left: a code made up number by number lies off the line; each number
# is right, together they are nowhere. Right: the straight line between two real codes
# leaves the bent one; half way it lies off it, too.](sheet.svg)
#
# (The right half is for section 7.)
#
# Before we do better, we need a score for "better", and here is a trap:


# %%
def score(samples, real=real):
    """Mean distance to the nearest, in both directions.

    From each sample to the training images, and from 300 real pictures to the samples.
    """
    to_real, _ = nearest(samples, train.images)
    to_sample, _ = nearest(real, samples)
    return {
        "sample to real": to_real.mean().item(),
        "real to sample": to_sample.mean().item(),
    }


others = validation.images[n : 2 * n]
mean_image = train.images.mean(0, keepdim=True).expand(n, -1, -1, -1)
scores = {
    "other real pictures": score(others),
    f"{n} times the mean image": score(mean_image),
    "normal codes": score(normal_samples),
    "shuffled codes": score(shuffled_samples),
}
pd.DataFrame(scores).T.round(3)

# %% [markdown]
# Look at the mean image in the first column. It lies about as near to a training
# picture as *real pictures do*, for a grey average is not very far from anything.
# Judged by the first distance alone, three hundred copies of one blur would pass for a
# fine generator. The second distance gives it away: from most real pictures there is no
# sample anywhere near.
#
# > **Pitfall.** One distance measures half of the matter. *Sample to real* asks: is
# > each sample plausible? *Real to sample* asks: is each kind of garment represented? A
# > generator must do well in both (the literature speaks of precision and recall;
# > Kynkäänniemi et al., 2019).

# %% [markdown]
# ## 6. Learn where the codes are
#
# If the codes fill a thin sheet, let us describe the sheet and draw from the
# description. First PCA lays 32 axes along it; a cell below prints what share of the
# codes' variance they carry. More axes would carry more, and leave too few codes for
# each number that has to be estimated. In these 32 numbers we fit a **[mixture of
# Gaussians](../GLOSSARY.md)**: a sum of bell-shaped clouds, each with its own place,
# shape and weight. One cloud can be tilted, so it knows which units go together;
# several can follow a sheet that is bent or torn into classes.
#
# How many clouds? More always fit the training codes better, so we ask the validation
# codes how likely they are under each mixture. **Your guess?**

# %% tags=["prediction"]
my_components = 10  # one for each class? 1, 5, 10, 20, 40 or 80

# %% [markdown]
# First the axes, and the codes as places along them:

# %%
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

held_out = apply_in_batches(encoder, validation.images)
axes = PCA(32, random_state=0).fit(codes.numpy())
known_32 = axes.transform(codes.double().numpy())
held_out_32 = axes.transform(held_out.double().numpy())
print(f"32 axes carry {axes.explained_variance_ratio_.sum():.0%} of the variance")

# %% [markdown]
# Then six mixtures, and how likely they find codes that they were fitted to, and
# others:

# %%
components = [1, 5, 10, 20, 40, 80]
settings = {"reg_covar": 1e-3, "tol": 0.01, "random_state": 0}
mixtures = {k: GaussianMixture(k, **settings).fit(known_32) for k in components}
on_training = {k: mixture.score(known_32) for k, mixture in mixtures.items()}
on_validation = {k: mixture.score(held_out_32) for k, mixture in mixtures.items()}

# %% [markdown]
# Both as lines:

# %%
best = max(on_validation, key=on_validation.get)
print(f"your guess: {my_components}    best on validation codes: {best}")
series = {
    "training codes": list(on_training.values()),
    "validation codes": list(on_validation.values()),
}
plots.lines(
    components,
    series,
    xlabel="Gaussians in the mixture",
    ylabel="mean log-likelihood per code (nats)",
    log_x=True,
    title=f"Validation codes are likeliest under {best} clouds; training codes always "
    "ask for more",
    caption="The training line climbs all the way; the validation line climbs at "
    "first, then levels off or falls, and the gap between the two opens.",
)

# %% [markdown]
# The gap between the lines is overfitting, here of a density: a cloud that sits on a
# handful of codes makes them very likely and helps no other. Now we sample: draw 32
# numbers from the mixture, go back to 940, and decode. The `clamp` returns to zero what
# a ReLU would never have let below.


# %%
def sample(mixture, n):
    """Draw n codes from a mixture over the 32 axes, and decode them."""
    points, _ = mixture.sample(n)
    new_codes = torch.from_numpy(axes.inverse_transform(points)).float().clamp(min=0)
    drawn = apply_in_batches(decoder, new_codes)
    # scikit-learn returns them cloud by cloud; we want them mixed
    return drawn[torch.randperm(n, generator=torch.Generator().manual_seed(0))]


one_cloud, many_clouds = sample(mixtures[1], n), sample(mixtures[best], n)

# %% [markdown]
# Ten of each, beside the shuffled codes of the last section:

# %% tags=["readme"]
distance, index = nearest(many_clouds[:10], train.images)
rows = {
    "shuffled codes": shuffled_samples[:10],
    "one Gaussian": one_cloud[:10],
    f"{best} Gaussians": many_clouds[:10],
    "nearest training image": train.images[index],
}
plots.image_rows(
    rows,
    title="Garments from nowhere, soft and of many kinds; the nearest training image "
    f"is {distance.min():.2f} to {distance.max():.2f} away",
    caption="Shuffled codes give grey porridge, one Gaussian gives ghosts of garments, "
    "the mixture gives mostly recognisable, blurred ones; below, the training image "
    "nearest to each of the mixture's samples, similar but different.",
)

# %% [markdown]
# These pictures had no original. Most of them are recognisable, some lie between two
# kinds. Now the score. The number of clouds was chosen on validation images, so we
# report on *test* images, beside what is possible at all. Two more neighbours belong
# there: real pictures that took the samples' whole way, through the encoder, the 32
# axes and the decoder (no sample of this kind can be expected to do better); and real
# pictures that were only *blurred*, by a weighted mean over 3 × 3 pixels.


# %%
def through_the_axes(images):
    """What encoder, 32 axes and decoder leave of real pictures."""
    places = axes.transform(apply_in_batches(encoder, images).double().numpy())
    back = torch.from_numpy(axes.inverse_transform(places)).float().clamp(min=0)
    return apply_in_batches(decoder, back)


# %% [markdown]
# Nine candidates, the best that can be hoped for first:

# %%
weights = torch.tensor([1.0, 2.0, 1.0])
weights = (weights[:, None] * weights / 16).reshape(1, 1, 3, 3)
asked, others = test.images[:n], test.images[n : 2 * n]
the_mixture = f"{best} Gaussians"
compared = {
    "other real pictures": others,
    "real, blurred": nn.functional.conv2d(others, weights, padding=1),
    "real, through the DAE": apply_in_batches(DAE, others),
    "real, through DAE and axes": through_the_axes(others),
    the_mixture: many_clouds,
    "one Gaussian": one_cloud,
    "shuffled codes": shuffled_samples,
    "normal codes": normal_samples,
    "mean image": mean_image,
}
scores = {name: score(samples, asked) for name, samples in compared.items()}
pd.DataFrame(scores).T.sort_values("real to sample").round(3)

# %% [markdown]
# The same as a map, each row a mark. Both distances should be small, so that good
# generators are at the lower left.

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for (name, pair), mark in zip(scores.items(), plots.MARKERS):
    shade = "#0072B2" if "real" in name else "black"
    ax.scatter(*pair.values(), marker=mark, color=shade, s=50, label=name)
ax.margins(x=0.1, y=0.1)
ax.legend(frameon=False, loc="upper left")
ax.set(xlabel="sample to nearest training image", ylabel="test image to nearest sample")
gap = {name: pair["real to sample"] for name, pair in scores.items()}
plots.finish(
    fig,
    title=f"The mixture ({gap[the_mixture]:.3f}) comes near its limit "
    f"({gap['real, through DAE and axes']:.3f}); blur helps even real pictures",
    caption="Mean distance of samples to training images (rightwards) and of test "
    "images to samples (upwards). Blue: real pictures, as they are or processed. "
    "Blurred ones lie below and left of sharp ones; the mixture lies between its "
    "limit, real pictures through DAE and axes, and one Gaussian.",
)

# %% [markdown]
# The mixture comes close to its limit; one tilted cloud does less well; the invented
# codes are far off, with the mean image. But compare the real pictures with the same
# ones blurred: blur *improves* both distances. So "nearer than real pictures" is no
# praise, and only rows that are equally blurred may be compared. Among these the order
# is sound.
#
# <details><summary><b>Check yourself.</b> How can the mixture be nearer to test images
# than <i>real</i> pictures are, though its samples are visibly worse?</summary>
#
# A distance per pixel forgives blur and punishes detail: a sharp pattern in the wrong
# place costs twice, a smooth grey costs half. Two real shirts with different stripes
# are "far" from each other. No single number judges a generator; look at the pictures
# as well.
# </details>

# %% [markdown]
# ## 7. From one garment to another
#
# A last way to new codes: between two known ones. **Interpolation** walks along the
# straight line from one code to another. Its rival is the cross-fade, which mixes the
# two pictures pixel by pixel. **Whose middle is nearer to real garments?**

# %% tags=["prediction"]
my_middle = "the code's"  # or "the cross-fade's"

# %% [markdown]
# We meet halfway between 150 pairs of real pictures. To be fair the cross-fade mixes
# the two *reconstructions*, so that it is as blurred as the code's middle. Four more
# stand beside them: the darker of the two reconstructions, pixel by pixel, which shows
# only what both have in common; one end, with nothing mixed; and two controls, the
# cross-fade dimmed to the brightness of the code's middle, and a black picture.

# %%
first, second = real[: n // 2], real[n // 2 :]  # 150 pairs of real pictures
with torch.no_grad():
    one_end, other_end = DAE(first), DAE(second)
    middles = {
        "cross-fade": (one_end + other_end) / 2,
        "code": decoder((encoder(first) + encoder(second)) / 2),
        "darker of the two": torch.minimum(one_end, other_end),
        "one end": one_end,
    }

bright = {name: middles[name].mean((1, 2, 3), True) for name in ("code", "cross-fade")}
middles["cross-fade, dimmed"] = middles["cross-fade"] * bright["code"]
middles["cross-fade, dimmed"] /= bright["cross-fade"]
middles["black"] = torch.zeros_like(one_end)
middle = {}
for name, pictures in middles.items():
    middle[name] = nearest(pictures, train.images)[0].mean().item()
nearer = "the code's" if middle["code"] < middle["cross-fade"] else "the cross-fade's"
print(f"your guess: {my_middle}    nearer to real garments: {nearer}")
pd.DataFrame({"to the nearest training image": middle}).round(3)

# %% [markdown]
# The code is ahead of the cross-fade. But look at the controls: a cross-fade that is
# only dimmed as much lies nearer than the code's middle, and a black picture nearer
# than any of them. This distance rewards darkness, since dark pixels are what all
# garments share. Has the code found a way through the garments at all? For this decoder
# we need not guess, we can *calculate* what it draws. It is one linear layer and a
# sigmoid, and the sigmoid's inverse is the logit,
# $\operatorname{logit} x = \log\frac{x}{1-x}$. So the logits of the picture $x(z)$ that
# is drawn from a code $z$ are $Wz + b$, with the layer's weights $W$ and biases $b$,
# and halfway between two codes
#
# $$\operatorname{logit} x\Big(\frac{z_1+z_2}{2}\Big)
# = W\,\frac{z_1+z_2}{2} + b
# = \frac{\operatorname{logit} x(z_1) + \operatorname{logit} x(z_2)}{2},$$
#
# the mean of the two pictures' logits. No way through code space: a formula for two
# finished pictures.

# %%
logits = (torch.logit(one_end.double()) + torch.logit(other_end.double())) / 2
by_formula = torch.sigmoid(logits).float()
difference = (by_formula - middles["code"]).abs().max().item()
print(f"largest difference between formula and decoder: {difference:.6f}")

low, high = torch.minimum(one_end, other_end), torch.maximum(one_end, other_end)
only_one = (high > 0.6) & (low < 0.1)  # bright at one end, dark at the other
for name in ("cross-fade", "code"):
    print(f"{name}, where one end is bright: {middles[name][only_one].mean():.2f}")

# %% [markdown]
# What does a mean of logits do? Where one end is black, its logit is strongly negative
# and pulls the mean down. So what only *one* of the two has is dimmed, far more than by
# a cross-fade; what both have stays. It is much like the *geometric* mean $\sqrt{xy}$,
# in which one zero is enough, where the cross-fade is the arithmetic one.

# %%
geometric = (one_end * other_end).sqrt()
rows = {
    "one end": one_end[:10],
    "other end": other_end[:10],
    "cross-fade": middles["cross-fade"][:10],
    "code": middles["code"][:10],
    "geometric mean": geometric[:10],
}
to_geometric = apart(middles["code"], geometric).mean()
to_fade = apart(middles["code"], middles["cross-fade"]).mean()
plots.image_rows(
    rows,
    title="The code's middle is nearly the geometric mean of the two pictures: "
    f"{to_geometric:.2f} away from it, {to_fade:.2f} from the cross-fade",
    caption="Ten pairs. Third row: both garments, half transparent. Fourth row: what "
    "they share is bright, what only one has is dark; fifth row: nearly the same.",
)

# %% [markdown]
# An overlap has a cleaner outline than a double exposure, and it is darker, which is
# why it lies nearer to real garments. (The bare overlap, darker still, lies nearer
# still.) It is not a garment on the way from one to the other. Along the whole walk
# each pixel's logit runs straight from its value at one end to that at the other. No
# pixel can light up on the way that is dark at both ends: nothing can *move*, no sleeve
# can lengthen bit by bit.
#
# Now you: write the walk. At the share $t$ of the way stands $(1-t)$ of the first and
# $t$ of the second.


# %% tags=["fill-in"]
def my_walk(first, second, steps):
    """The points on the straight line, one for each share in `steps`: (n, 940)."""
    # for each t: its mixture of first and second, (1, 940) …
    # … and all of them under each other, torch.cat: return it


with torch.no_grad():
    ends = encoder(ten.images[[0]]), encoder(ten.images[[8]])
mine, wanted = my_walk(*ends, [0.0, 0.25, 1.0]), torch.lerp(*ends, 0.25)[0]
right = mine is not None and len(mine) == 3 and torch.allclose(mine[1], wanted)
print("right" if right else "not yet: a quarter of the way is three parts to one")

# %% [markdown]
# <details><summary><b>One way to write it</b></summary>
#
# ```python
# def my_walk(first, second, steps):
#     mixtures = [(1 - t) * first + t * second for t in steps]
#     return torch.cat(mixtures)
# ```
#
# `torch.lerp` is the same for one $t$. What else could `first` and `second` be?
# Pictures: then the walk is a cross-fade.
# </details>

# %%
steps = torch.linspace(0, 1, 9).tolist()
first, second = ten.images[[0]], ten.images[[8]]
with torch.no_grad():
    ends = encoder(first), encoder(second)
    by_code = decoder(torch.cat([torch.lerp(*ends, t) for t in steps]))
by_pixels = torch.cat([torch.lerp(by_code[:1], by_code[-1:], t) for t in steps])

plots.image_rows(
    {"by code": by_code, "by pixels": by_pixels},
    columns=[f"{eighths}/8" for eighths in range(9)],
    title="From a T-shirt to a bag nothing moves: one fades out, the other in",
    caption="Nine steps, by code above and by pixels below. By pixels both garments "
    "show through one another; by code what only one of them has is darker.",
)

# %% [markdown]
# The codes of garments may fill a bent sheet; the line between two of them leaves it,
# and a decoder of one layer can only mix what stands at the ends. To walk *along* the
# sheet, a decoder needs layers that bend, and codes that were laid out for walking:
# [lesson 8](08_variational.ipynb).
#
# Take the walk yourself: choose two of the ten pictures, and a place between them (the
# arrow keys move the sliders, too). Here the pictures themselves are cross-faded, so
# that their mixture is sharper than the code's.

# %%
from course_utils import widgets

widgets.interpolation(DAE, ten.images)

# %% [markdown]
# ## 8. Where this leads
#
# We have built a generator in two stages: first a network that was never told to
# generate, then a distribution fitted to whatever codes it had made. The field has gone
# three ways from here.
#
# A **variational autoencoder** (Kingma and Welling, 2014) does both at once: while it
# learns to reconstruct, its codes are pressed into a given distribution, so that a
# random code is a good code. Its pictures are soft. It is
# [lesson 8](08_variational.ipynb), and this lesson's failures are its motive.
#
# A **[GAN](../GLOSSARY.md)**, a generative adversarial network (Goodfellow et al.,
# 2014), has no encoder. A generator turns random numbers into pictures, and a second
# network learns to tell these from real ones; each trains on the other's mistakes. The
# pictures are sharp. The training is delicate, and a generator may leave out whole
# kinds of pictures, the fault that our second distance was made to notice.
#
# A **[diffusion model](../GLOSSARY.md)** (Sohl-Dickstein et al., 2015; Ho et al., 2020)
# is, put roughly, lesson 3 taken very seriously: a network trained to remove noise at
# *every* level, applied many times in a row, starting from noise alone. It is slow, and
# today the strongest of the three for pictures; many work on the codes of an
# autoencoder instead of on pixels (Rombach et al., 2022), so that what you have learned
# here is in use.

# %% [markdown]
# ## What you have seen
#
# 1. The chapter's `encoded * (1 + perturbation)` varies a picture. Zeros stay zero, so
#    a sample is drawn with its original's units, and that one original is about as near
#    to it as the nearest of all training pictures.
# 2. "New" is a question of distances, measured against those among real pictures, in
#    *both* directions: the mean image passes the one and fails the other.
# 3. Shuffled codes fail although each number is right, because codes fill a thin part
#    of their space; the directions and distances say how thin.
# 4. A mixture of Gaussians, its size chosen on validation codes, samples garments from
#    nowhere. Between two codes a decoder of one layer averages logits: what both ends
#    have in common stays, and nothing moves.
#
# **Your turn**: the [exercise](../exercises/04_sampling/04_sampling.ipynb) to this
# lesson.
#
# **Next**: all our layers so far have treated a picture as a list of 784 numbers in
# which no pixel has a neighbour. [Lesson 5](05_convolutional.ipynb) changes that.
