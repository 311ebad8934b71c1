"""PLACEHOLDER until the training task lands: a plain fit with the agreed interface."""
import time
import torch
from torch import nn
from torch.nn import functional as F

def reconstruction(model, images, labels):
    return F.mse_loss(model(images), images)

def denoising(corruptor):
    def loss(model, images, labels):
        return F.mse_loss(model(corruptor(images)), images)
    return loss

def classification(model, images, labels):
    return F.cross_entropy(model(images), labels)

class History:
    def __init__(self): self.train_loss, self.validation_loss, self.seconds, self.learning_rate = [], [], [], []
    def table(self):
        import pandas as pd
        return pd.DataFrame({"epoch": range(1, len(self.train_loss) + 1), "train_loss": self.train_loss, "validation_loss": self.validation_loss or None, "seconds": self.seconds})
    def plot(self, title="", caption=""):
        from course_utils import plots
        return plots.loss_curves({"": self}, title=title, caption=caption)

def fit(model, data, loss=reconstruction, *, epochs, batch_size=128, validation=None, lr=1e-3, optimizer=None,
        schedule=None, patience=None, seed=0, device=None, checkpoint=None, progress=None, on_epoch=None):
    torch.manual_seed(seed)
    pair = lambda d: (d.images, d.labels) if hasattr(d, "images") else (d if isinstance(d, tuple) else (d, torch.zeros(len(d), dtype=torch.long)))
    images, labels = pair(data)
    opt = optimizer or torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr, fused=True)
    h = History()
    for epoch in range(epochs):
        t = time.time(); model.train(); total = 0.
        for idx in torch.randperm(len(images)).split(batch_size):
            l = loss(model, images[idx], labels[idx]); opt.zero_grad(); l.backward(); opt.step(); total += float(l.detach()) * len(idx)
        h.train_loss.append(total / len(images)); h.seconds.append(time.time() - t); h.learning_rate.append(opt.param_groups[0]["lr"])
        model.eval()
        if validation is not None:
            vi, vl = pair(validation)
            with torch.no_grad():
                h.validation_loss.append(sum(float(loss(model, vi[s], vl[s])) * len(s) for s in torch.arange(len(vi)).split(1000)) / len(vi))
        if on_epoch: on_epoch(model, h)
    return h
