# %% [markdown]
# # Exercise 7. The same space, and a map of it
#
# Lesson 7 set autoencoders beside PCA, and maps beside each other. Here you build the
# instruments for both: angles between two spaces, PCA's error without a single
# projection, and two numbers that say what a map in the plane has kept. In between you
# train a linear autoencoder that really ends where PCA is, and see that a good error
# does not yet prove it.
#
# | | task | difficulty | minutes | points |
# |---|---|---|---|---|
# | worked | a basis for the span of columns | · | 2 | – |
# | 1 | the angles between two spaces | • | 7 | 3 |
# | 2 | how many components? | •• | 9 | 3 |
# | 3 | a linear autoencoder that finds PCA's space | ••• | 11 | 4 |
# | 4 | what has the map kept? | •• | 9 | 3 |
# | 5 | three sentences from a report (text) | •• | 7 | 3 |
#
# The code runs for about a minute in all. Under every task in code stands a check: run
# it as often as you like. It says what was expected, what came, and the likely cause.
# Your marks come from the same questions, asked with other inputs. Where a task sets a
# limit, the check's is a little wider: chance costs no point.

# %% [markdown]
# ## What you need
#
# Run this cell as it is. `train` and `held_out` are images (N, 1, 28, 28) with values
# in [0, 1]; 7,000 of them are plenty here. `epochs` is chosen so that training takes
# about 1,000 steps.

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

from course_utils import data, metrics, models, plots, training
from course_utils.checks import Checks

check = Checks("07_dimensionality_reduction")
train = data.load_images("FashionMNIST", "train").images[:7000]
validation = data.load_images("FashionMNIST", "validation")
held_out = validation.images
pca = metrics.PCABaseline(train)
epochs = max(1, round(1000 * 128 / len(train)))
print(
    f"{len(train):,} images for training, {len(held_out):,} held out, {epochs} epochs"
)

# %% [markdown]
# ## Worked: a basis for the span of columns
#
# Columns span a space, and many sets of columns span the same one. For nearly all work
# with a space we first want columns of length one at right angles to each other: an
# *orthonormal basis*. The QR decomposition makes one: of `columns = Q @ R` we keep Q.


# %%
def basis(columns):
    """columns: (n, k) -> (n, k), an orthonormal basis of what they span."""
    return torch.linalg.qr(columns)[0]


leaning = torch.tensor([[1.0, 1.0], [0.0, 0.2], [0.0, 0.0]])  # two columns in a plane
q = basis(leaning)
q.T @ q  # all products of two columns

# %% [markdown]
# Each column has the product one with itself and zero with the other (up to rounding),
# though the two that we began with nearly lay on each other.
#
# ## 1. The angles between two spaces (•, 3 points)
#
# The **principal angles** between two spaces: the smallest angle that a direction of
# one can make with a direction of the other; then the smallest among the directions at
# right angles to those two; and so on, until the smaller space is used up. With
# orthonormal bases Q₁ and Q₂ they need no search: the singular values of Q₁ᵀQ₂ are
# their **cosines** (Björck and Golub, 1973). Rounding can lift a cosine a little above
# one, where the arc cosine is not defined. Fill the two blanks; the angles are to be
# in degrees, the smallest first.
#
# <details><summary>A nudge</summary>
#
# `basis` is defined above: use it on both. The *columns* are the vectors, so which of
# the two bases has to be transposed?
# </details>
# <details><summary>A push</summary>
#
# `torch.linalg.svdvals` returns singular values from large to small; large cosines
# belong to small angles. A tensor's `clamp` clips it.
# </details>


# %% answer="principal_angles"
def principal_angles(one, other):
    """(n, p), (n, q) -> the min(p, q) principal angles in degrees, ascending."""
    # Fill the blanks: the matrix of products, and cosines that arccos can take.
    # products = ____
    # cosines = torch.linalg.svdvals(products)____
    ### BEGIN SOLUTION
    products = basis(one).T @ basis(other)
    cosines = torch.linalg.svdvals(products).clamp(-1, 1)
    ### END SOLUTION
    return torch.rad2deg(torch.arccos(cosines))


# %% check="principal_angles"
check("principal_angles", principal_angles)

# %% [markdown]
# ## 2. How many components? (••, 3 points)
#
# PCA's error is known for *every* k before any image is projected. Let λ₁ ≥ λ₂ ≥ … be
# the variances along the components: the mean over the N images of the squared
# coordinate, so the sum is divided by N and not by N − 1. Whoever keeps k components
# loses exactly the others, so the error per pixel **on the same images** is
#
# $$\frac{1}{784}\,(\lambda_{k+1} + \lambda_{k+2} + \dots + \lambda_{784}).$$
#
# Write three short functions. They never see a library's PCA.
#
# - `spectrum`: the 784 variances of at least 784 images, largest first.
# - `components_for_share`: the smallest k whose first k variances hold **at least**
#   this share of the sum.
# - `components_for_error`: the smallest k (0 is allowed: the mean image) for which the
#   error is **at most** the given one.
#
# <details><summary>A nudge</summary>
#
# The singular values s of the centred images (N, 784) hold it all: which power of s,
# divided by what, is a mean of squares? For the other two, `values.cumsum(dim=0)` has
# one entry for each k, beginning with k = 1.
# </details>
# <details><summary>A push</summary>
#
# A comparison such as `kept >= share` gives a row of False, then True. Counting the
# False ones tells how many components do not suffice yet. For the error, put the total
# (nothing kept) before the first entry, so that position 0 means k = 0.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# singular = torch.linalg.svdvals(x - …)           # spectrum
# kept = values.cumsum(dim=0) / …                  # components_for_share
# left = values.sum() - torch.cat([torch.zeros(1), …])  # components_for_error
# ```
# </details>


# %% answer="spectrum"
def spectrum(images):
    """images: (N, 1, 28, 28), N >= 784 -> (784,) variances along the components."""
    x = images.flatten(1)  # (N, 784)
    ### BEGIN SOLUTION
    singular = torch.linalg.svdvals(x - x.mean(dim=0))
    return singular**2 / len(x)
    ### END SOLUTION


# %% check="spectrum"
check("spectrum", spectrum)


# %% answer="components_for_share"
def components_for_share(values, share):
    """values: (784,) variances, largest first; share in (0, 1] -> int."""
    ### BEGIN SOLUTION
    kept = values.cumsum(dim=0)
    return int((kept / kept[-1] < share).sum()) + 1  # kept[-1]: all, rounded alike
    ### END SOLUTION


# %% check="components_for_share"
check("components_for_share", components_for_share)


# %% answer="components_for_error"
def components_for_error(values, error):
    """values: (784,) variances, largest first; error per pixel -> int, 0 to 784."""
    ### BEGIN SOLUTION
    kept = torch.cat([torch.zeros(1, dtype=values.dtype), values.cumsum(dim=0)])
    left = (kept[-1] - kept) / 784  # entry k: the error with k components
    return int((left > error).sum())
    ### END SOLUTION


# %% check="components_for_error"
check("components_for_error", components_for_error)

# %% [markdown]
# Your formula beside PCA itself. The promise is for the images that PCA was made from;
# on held-out images the error is larger, by a share that grows with the code's length.

# %%
try:
    values = spectrum(train).double()
    rows = {}
    for share in (0.90, 0.95, 0.99):
        k = components_for_share(values, share)
        rows[f"{share:.0%} of the variance"] = {
            "k": k,
            "from the spectrum": float(values[k:].sum()) / 784,
            "PCA, same images": pca.error(train, k),
            "PCA, held-out images": pca.error(held_out, k),
        }
    print(f"an error of 0.01 takes {components_for_error(values, 0.01)} components")
    table = pd.DataFrame(rows).T.astype({"k": int}).round(5)
except Exception as error:
    table = print(f"not yet: {type(error).__name__}: {error}")
table

# %% [markdown]
# ## 3. A linear autoencoder that finds PCA's space (•••, 4 points)
#
# Baldi and Hornik proved in 1989 that the error of a linear autoencoder has its only
# minimum at PCA's subspace; every other place where the slope vanishes is a saddle.
# But a saddle can hold up a training for long. Write a function that builds **and**
# trains `nn.Sequential(encoder, decoder)` with `k` numbers and no activation anywhere.
# On images that were held out it must reach
#
# - an error **within 1 %** of PCA's with k components,
# - a largest principal angle **below 5°** between what its decoder draws and PCA's
#   first k components.
#
# The axes of the code need not be the components, and to copy PCA's components into the
# weights is no training. The obvious way, written out here, meets neither reliably.


# %%
def obvious(images, k, epochs, seed):
    """Linear down, linear up; the rest as it comes."""
    torch.manual_seed(seed)
    mean_image = images.mean(dim=0)
    encoder = models.Encoder(k, nn.Identity(), mean_image)
    drawing = nn.Linear(k, 784)
    drawing.bias.data = mean_image.flatten().clone()
    decoder = nn.Sequential(drawing, nn.Unflatten(1, (1, 28, 28)))
    autoencoder = nn.Sequential(encoder, decoder)
    training.fit(autoencoder, images, epochs=epochs, seed=seed)
    return autoencoder


# %% [markdown]
# What would you change?
#
# <details><summary>A nudge</summary>
#
# Look at what the training starts from: how long is a column of
# `nn.Linear(4, 784).weight`, and how long is one of PCA's components? All of this
# random drawing has to be unlearned before the last direction can be found.
# </details>
# <details><summary>A push</summary>
#
# Start from short columns, or from columns of length one at right angles:
# `nn.init.orthogonal_` does that to a weight. And 1,000 steps of Adam at 0.001 are few;
# try three times the rate.
# </details>
# <details><summary>Half of the code</summary>
#
# Take the function above, change the random start before the training,
#
# ```python
# nn.init.orthogonal_(…)
# ```
#
# and give `fit` a learning rate: `training.fit(…, lr=…)`.
# </details>


# %% answer="train_linear"
def train_linear(images, k, epochs, seed):
    """images (N, 1, 28, 28) -> a trained, linear nn.Sequential(encoder, decoder)."""
    torch.manual_seed(seed)
    ### BEGIN SOLUTION
    mean_image = images.mean(dim=0)
    encoder = models.Encoder(k, nn.Identity(), mean_image)
    drawing = nn.Linear(k, 784)
    nn.init.orthogonal_(drawing.weight)  # short columns: little to unlearn
    drawing.bias.data = mean_image.flatten().clone()
    decoder = nn.Sequential(drawing, nn.Unflatten(1, (1, 28, 28)))
    autoencoder = nn.Sequential(encoder, decoder)
    training.fit(autoencoder, images, epochs=epochs, lr=3e-3, seed=seed)
    return autoencoder
    ### END SOLUTION


# %% [markdown]
# The next cell trains the obvious one and yours, k = 4, and compares both with PCA.


# %%
def beside_pca(autoencoder, k):
    """Error as a multiple of PCA's, and all principal angles to PCA's components."""
    with torch.no_grad():
        columns = autoencoder[1](torch.eye(k)) - autoencoder[1](torch.zeros(1, k))
    error = metrics.reconstruction_error(autoencoder, held_out)
    angles = principal_angles(columns.flatten(1).T, pca.components[:k].T)
    row = {"error / PCA's": error / pca.error(held_out, k)}
    return row | {f"angle {i + 1} (°)": float(a) for i, a in enumerate(angles)}


rows = {}
for name, trained in (("obvious", obvious), ("yours", train_linear)):
    try:
        rows[name] = beside_pca(trained(train, 4, epochs, seed=0), 4)
    except Exception as error:
        print(f"{name}, not yet: {type(error).__name__}: {error}")
pd.DataFrame(rows).T.round(3)

# %% [markdown]
# Read the row of the obvious one: the error is only some per cent from PCA's,
# and yet its last angle is tens of degrees. To trade the last component for the next
# one costs no more than the difference of their two variances. So look at the error
# *and* at the angles, and try a second and a third seed before you trust a training.
#
# The check trains yours once more, on other images, and asks encoder and decoder apart.

# %% check="train_linear"
check("train_linear", train_linear)

# %% [markdown]
# ## 4. What has the map kept? (••, 3 points)
#
# t-SNE (van der Maaten and Hinton, 2008) makes a map on which neighbours stay
# neighbours. It promises nothing about what lies far apart. Two instruments, for points
# (N, D) and their places on a map (N, 2):
#
# - `neighbours_kept`: for each point, which share of its k nearest neighbours in the D
#   dimensions is also among its k nearest on the map? Return the mean over all points.
#   A point is **not** its own neighbour.
# - `centres_agree`: the centre of a class is the mean of its points. Take the distances
#   between all *pairs* of centres, once in D dimensions and once on the map, and return
#   the **rank** correlation (Spearman's) of the two lists: 1 where the map keeps their
#   order, about 0 where it knows nothing of it.
#
# <details><summary>A nudge</summary>
#
# `torch.cdist(points, points)` holds all distances, with zeros on the diagonal. What
# must the diagonal be so that no point is its own nearest? `torch.pdist(centres)` holds
# every pair once.
# </details>
# <details><summary>A push</summary>
#
# `away.topk(k, largest=False).indices` are the k nearest of each row. Two lists of
# neighbours can be compared as sets, row by row, or as tables of 0 and 1.
# `scipy.stats.spearmanr(a, b).statistic` is the rank correlation.
# </details>
# <details><summary>Half of the code</summary>
#
# ```python
# away = torch.cdist(…).fill_diagonal_(…)
# here, there = nearest(points), nearest(flat)  # each (N, k)
# shared = [len(set(a) & set(b)) for a, b in zip(…)]
#
# centres = torch.stack([p[labels == c].mean(…) for c in labels.unique()])
# ```
# </details>


# %% answer="neighbours_kept"
def neighbours_kept(points, flat, k):
    """points (N, D), flat (N, 2), both float32 tensors -> float in [0, 1]."""

    ### BEGIN SOLUTION
    def nearest(p):
        away = torch.cdist(p, p).fill_diagonal_(float("inf"))
        return away.topk(k, largest=False).indices.tolist()

    pairs = zip(nearest(points), nearest(flat))
    shared = [len(set(here) & set(there)) for here, there in pairs]
    return sum(shared) / (k * len(points))
    ### END SOLUTION


# %% check="neighbours_kept"
check("neighbours_kept", neighbours_kept)


# %% answer="centres_agree"
def centres_agree(points, flat, labels):
    """points (N, D), flat (N, 2), labels (N,) -> float in [-1, 1]."""
    from scipy.stats import spearmanr

    ### BEGIN SOLUTION
    def distances(p):
        centres = [p[labels == c].mean(dim=0) for c in labels.unique()]
        return torch.pdist(torch.stack(centres))

    return float(spearmanr(distances(points), distances(flat)).statistic)
    ### END SOLUTION


# %% check="centres_agree"
check("centres_agree", centres_agree)

# %% [markdown]
# Now look at 800 pictures of clothes, first by PCA, then by t-SNE, which takes
# some seconds. The third map is the control: the places of the second, dealt out at
# random.

# %%
from sklearn.manifold import TSNE


def t_sne(points):
    method = TSNE(perplexity=30, init="pca", random_state=0)
    return torch.from_numpy(method.fit_transform(points.numpy()))


pixels = held_out[:800].flatten(1)
labels = validation.labels[:800]
maps = {"PCA": pca.encode(held_out[:800], 2), "t-SNE": t_sne(pixels)}
dealt = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
maps["t-SNE, dealt out"] = maps["t-SNE"][dealt]


def measured(points, flat, labels):
    """Both instruments, or what keeps them from working."""
    try:
        kept = neighbours_kept(points, flat, 10)
        return {"kept": kept, "centres": centres_agree(points, flat, labels)}
    except Exception as error:
        print(f"not yet: {type(error).__name__}: {error}")
        return {"kept": float("nan"), "centres": float("nan")}


found = {name: measured(pixels, flat, labels) for name, flat in maps.items()}

# %% tags=["wanted"]
fig, axes = plt.subplots(1, 3, figsize=(12, 4.6), layout="constrained")
for ax, (name, flat) in zip(axes, maps.items()):
    for c, of_class in enumerate(validation.class_names):
        look = {"marker": plots.MARKERS[c], "color": plots.CLASS_COLOURS[c]}
        ax.scatter(*flat[labels == c].T, s=9, linewidths=0, label=of_class, **look)
    kept, centres = found[name]["kept"], found[name]["centres"]
    ax.set_title(f"{name}\nneighbours kept {kept:.0%}, centres {centres:.2f}")
    ax.set(xlabel="first number", ylabel="second number")
handles = axes[0].get_legend_handles_labels()
fig.legend(*handles, loc="outside right center", markerscale=2.5)

chance = 10 / (len(pixels) - 1)
best = {key: max(found, key=lambda name: found[name][key]) for key in found["PCA"]}
plots.finish(
    fig,
    title=f"The map that keeps most neighbours is {best['kept']}; "
    f"the order of the centres' distances is kept best by {best['centres']}",
    caption=f"{len(pixels)} held-out images, coloured by class. Over each map: the "
    "share of the 10 nearest neighbours that it keeps, and the rank correlation of the "
    f"distances between class centres. By chance a map keeps {chance:.0%}.",
)

# %% [markdown]
# On these pictures t-SNE keeps many neighbours and most of the order of the large
# distances too, though less of it than PCA's plain shadow. May we rely on that? Here
# are clouds whose truth we know: three wide ones and three narrow ones, at distances
# that differ several times.

# %%
random = torch.Generator().manual_seed(0)
directions = torch.linalg.qr(torch.randn(50, 6, generator=random))[0].T  # (6, 50)
width = torch.tensor([1.0, 0.2, 1.0, 0.2, 1.0, 0.2])
reach = torch.tensor([20.0, 20.0, 40.0, 80.0, 160.0, 160.0])
cloud = torch.arange(6).repeat_interleave(60)
noise = torch.randn(360, 50, generator=random)
points = (directions * reach[:, None])[cloud] + width[cloud][:, None] * noise
flat = t_sne(points)


def sizes(p):
    """The root mean squared distance of each cloud's points from their centre."""
    parts = [p[cloud == c] for c in range(6)]
    return [float((q - q.mean(0)).square().sum(1).mean().sqrt()) for q in parts]


def near_and_far(p):
    """The largest of the distances between centres, as a multiple of the smallest."""
    away = torch.pdist(torch.stack([p[cloud == c].mean(0) for c in range(6)]))
    return float(away.max() / away.min())


clouds = measured(points, flat, cloud)
print(f"centres: rank correlation {clouds['centres']:.2f}")
print(f"largest / smallest distance: {near_and_far(points):.1f} in 50 dimensions,")
print(f"                             {near_and_far(flat):.1f} on the map")
of_cloud = [f"cloud {c + 1}" for c in range(6)]
in_space, on_map = "size in 50 dimensions", "size on the map"
rows = {in_space: sizes(points), on_map: sizes(flat)}
pd.DataFrame(rows, index=of_cloud).T.round(1)

# %% [markdown]
# Wide and narrow clouds are drawn alike, and what was far is no longer far. t-SNE
# measures each point's surroundings with a ruler of its own, chosen so that all points
# have about equally many neighbours (the perplexity). Wattenberg, Viégas and Johnson
# (2016) show many such pictures. On the clothes the centres came out better. The map
# itself does not tell which of the two cases you have: only a measurement in the
# original space does.
#
# ## 5. Three sentences from a report (••, text, 3 points)
#
# A report shows one t-SNE map of images of clothes, 784 pixels each, coloured by class.
# Below it stands:
#
# > A. "Of the ten nearest neighbours of an image on this map, about half are among its
# > ten nearest in pixels; with places dealt out at random it would be one in a
# > hundred. So who stands side by side here mostly looks alike."
# >
# > B. "The island of trousers is half as wide as the island of bags: trousers differ
# > from each other half as much."
# >
# > C. "Bags lie four times as far from sandals as from shirts, so shirts are more
# > similar to bags than sandals are."
#
# In at most ten sentences: which of the three may be said, which not, and why? For each
# that may not, say what you would measure instead.
#
# *How it is marked.* One point for each sentence of the report: the verdict, with the
# reason in what t-SNE keeps or does not keep; and, where it may not be said, what would
# have to be measured, and where. A point needs verdict and reason.

# %% [markdown] text="report" points=3
# Model answer. A may be said: it rests on a measurement, in pixels and on the map, and
# stands beside its chance level; to keep neighbours is what t-SNE is made for. It does
# say "mostly", and the other half shows that a single pair may deceive. B may not: each
# point's surroundings are measured by a ruler of their own, so that dense and loose
# groups are drawn alike in size; wide and narrow clouds came out equal above. I would
# measure the spread of each class around its centre among the 784 pixels. C may not be
# read off the map: distances between islands are hardly part of what t-SNE fits, their
# ratios least of all, and another start or perplexity can move whole islands. The
# conclusion may even be true, and for clothes the order of the centres is partly kept;
# but I would measure the distances between the class centres in pixels, and report the
# rank correlation with those on the map.

# %% [markdown]
# ## What you have done
#
# You can compare two spaces whatever their axes, read PCA's error off its spectrum, and
# have trained a linear autoencoder into PCA's space. You have two instruments that tell
# what a map has kept, and a control for each. The last cell asks all questions once
# more and adds up.

# %% tags=["closing"]
check.all(globals())
