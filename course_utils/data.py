"""PLACEHOLDER until the data task lands: reads COURSE_DATA only. Same interface."""
import os
from dataclasses import dataclass
import torch
from torch import Tensor
from torchvision import datasets

@dataclass(frozen=True)
class ImageSet:
    images: Tensor      # float32 (N, 1, 28, 28) in [0, 1]
    labels: Tensor      # int64 (N,)
    class_names: tuple
    name: str
    split: str
    source: str         # "full" or "sample"
    def __len__(self): return len(self.images)

def load_images(name: str, split: str) -> ImageSet:
    full = getattr(datasets, name)(os.environ["COURSE_DATA"], train=split != "test")
    images, labels = full.data.float().div(255).unsqueeze(1), full.targets
    if split != "test":
        g = torch.Generator().manual_seed(0)
        held = torch.cat([torch.nonzero(labels == c).flatten()[torch.randperm(int((labels == c).sum()), generator=g)][: round(int((labels == c).sum()) / 12)] for c in range(10)])
        mask = torch.zeros(len(labels), dtype=torch.bool); mask[held] = True
        mask = mask if split == "validation" else ~mask
        images, labels = images[mask], labels[mask]
    return ImageSet(images, labels, tuple(full.classes), name, split, "full")

def one_of_each(image_set: ImageSet) -> ImageSet:
    """The first image of each class, in class order: the ten images that every figure reuses."""
    first = torch.stack([torch.nonzero(image_set.labels == c)[0, 0] for c in range(10)])
    return ImageSet(image_set.images[first], image_set.labels[first], image_set.class_names, image_set.name, image_set.split, image_set.source)
