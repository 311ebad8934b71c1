"""The two latent sweeps: right answers in other styles, and wrong ones that students hand in."""

from grading.corpus.build import Case

FASHION, MNIST = "latent_sweep_fashion_mnist", "latent_sweep_mnist"
TRAIN = "check_train_dae"


def function(header: str, body: str) -> str:
    return f"def {header}:\n    " + body.strip().replace("\n", "\n    ") + "\n"


def trainer(body: str) -> dict[str, str]:
    return {"train_dae": function("train_dae(images, latent_dim, epochs, seed, checkpoint=None)", body)}


SKIP = trainer("raise NotImplementedError")  # leaves the training out where it is not the matter, to save time


def wrong(name: str, cell: str, header: str, body: str, *loses: str, **options) -> Case:
    return Case(name, FASHION, {**SKIP, cell: function(header, body)}, (*loses, TRAIN), **options)


def of_mnist(name: str, cell: str, header: str, body: str, **options) -> Case:
    return Case(name, MNIST, {cell: function(header, body)}, (f"check_{cell}",), **options)


CASES = [
    Case("right, the solution", FASHION),
    Case("right, torch's own dropout, own loop, numpy", FASHION, {
        "corrupt": function("corrupt(images, p=0.5)", "return nn.functional.dropout(images, p, training=True)"),
        "make_dae": "make_dae = models.dense_autoencoder\n" + function("denoising_loss(model, images, labels)", "return nn.functional.mse_loss(model(corrupt(images)), images)"),
        **trainer("""
torch.manual_seed(seed)
model = models.dense_autoencoder(latent_dim)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(epochs):
    for batch in torch.randperm(len(images)).split(100):
        optimizer.zero_grad()
        denoising_loss(model, images[batch], None).backward()
        optimizer.step()
return model"""),
        "best_dimensions": function("best_dimensions(table)", """
groups = {dim: part["validation_error"].to_numpy() for dim, part in table.groupby("latent_dim")}
means = {dim: errors.mean() for dim, errors in groups.items()}
best = min(means, key=means.get)
limit = means[best] + groups[best].std(ddof=1) / np.sqrt(len(groups[best]))
return best, min(dim for dim in means if means[dim] <= limit)"""),
        "components_needed": function("components_needed(images, share)", """
x = images.flatten(1).numpy().astype(float)
held = np.cumsum(np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2)
return int(np.argmax(held >= share * held[-1])) + 1""")}),
    wrong("wrong 1, p turned round", "corrupt", "corrupt(images, p=0.5)", "return images * (torch.rand(images.shape) < p) / (1 - p)", "check_corrupt", say="not the share that stays"),
    wrong("wrong 1, not divided", "corrupt", "corrupt(images, p=0.5)", "return images * (torch.rand(images.shape) >= p)", "check_corrupt", say="divided by 1 - p"),
    wrong("wrong 3, scored on clean images", "denoising_error", "denoising_error(model, images, seed=0)", """
model.eval()
with torch.no_grad():
    return float(((model(images) - images) ** 2).mean())""", "check_denoising_error", say="clean images"),
    wrong("wrong 3, in train mode", "denoising_error", "denoising_error(model, images, seed=0)", """
torch.manual_seed(seed)
with torch.no_grad():
    return float(((model.train()(corrupt(images)) - images) ** 2).mean())""", "check_denoising_error", say="train mode"),
    Case("wrong 4, trained without corruption", FASHION, trainer("torch.manual_seed(seed)\nmodel = make_dae(latent_dim)\ntraining.fit(model, images, epochs=epochs, seed=seed)\nreturn model"), (TRAIN,),
         say="without corruption"),
    Case("wrong 4, the seed after the model", FASHION, trainer(
        "model = make_dae(latent_dim)\ntraining.fit(model, images, denoising_loss, epochs=epochs, seed=seed)\nreturn model"), (TRAIN,), say="another model"),
    wrong("wrong 5, deviation for standard error", "best_dimensions", "best_dimensions(table)", """
groups = table.groupby("latent_dim")["validation_error"]
mean, best = groups.mean(), groups.mean().idxmin()
return int(best), int(mean[mean <= mean[best] + groups.std()[best]].index.min())""", "check_best_dimensions", say="standard error"),
    wrong("wrong 6, no margin", "successful_below", "successful_below(table, affine_error, pixels=784, margin=0.1)", """
groups = table.groupby("latent_dim")["validation_error"]
upper = groups.mean() + groups.sem()
return sorted(int(dim) for dim, error in upper.items() if dim < pixels and error < affine_error)""", "check_successful_below"),
    wrong("wrong 7, not centred", "components_needed", "components_needed(images, share)", """
variances = torch.linalg.svdvals(images.flatten(1).double()) ** 2
return int((variances.cumsum(0) / variances.sum() < share).sum()) + 1""", "check_components_needed", say="not centred"),
    Case("right, the solution", MNIST),
    Case("right, lists and loops", MNIST, {
        "pca_curve": function("pca_curve(variances, pixels=784)", "values = [float(v) for v in variances]\nreturn torch.tensor([sum(values[k:]) / pixels for k in range(len(values) + 1)])"),
        "crossing": function("crossing(dims, first, second)", """
order = [(dim, np.sign(a - b)) for dim, a, b in zip(dims, first, second) if a != b]
for i in range(len(order) - 1):
    if order[i][1] != order[i + 1][1]:
        return order[i][0], order[i + 1][0]"""),
        "difference": function("difference(mnist_errors, fashion_errors)", """
from statistics import mean, variance
error = (variance(mnist_errors) / len(mnist_errors) + variance(fashion_errors) / len(fashion_errors)) ** 0.5
return mean(mnist_errors) - mean(fashion_errors), error""")}),
    of_mnist("wrong 1, what is kept", "pca_curve", "pca_curve(variances, pixels=784)", "return torch.cat([torch.zeros(1), variances.cumsum(0)]) / pixels", say="kept"),
    of_mnist("wrong 1, not per pixel", "pca_curve", "pca_curve(variances, pixels=784)",
             "return torch.cat([variances.flip(0).cumsum(0).flip(0), torch.zeros(1)])", say="divide by `pixels`"),
    of_mnist("wrong 2, one direction only", "crossing", "crossing(dims, first, second)", """
for i in range(len(dims) - 1):
    if first[i] > second[i] and first[i + 1] < second[i + 1]:
        return dims[i], dims[i + 1]"""),
    of_mnist("wrong 4, validation and test exchanged", "measure", "measure(splits, dims, seeds, epochs, store=None)", """
splits = splits[0], splits[2], splits[1]
return sweeps.latent_sweep(models.dense_autoencoder, dims, seeds, {"measured": splits}, corruptor=corruption.Dropout(0.5), epochs=epochs, store=store)""", say="splits"),
    of_mnist("wrong 5, n for n - 1", "difference", "difference(mnist_errors, fashion_errors)", """
a, b = np.array(mnist_errors), np.array(fashion_errors)
return a.mean() - b.mean(), np.sqrt(a.var() / len(a) + b.var() / len(b))""", say="n - 1"),
]
