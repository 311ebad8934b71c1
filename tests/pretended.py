"""A pretended GPU: real numbers that refuse what a GPU refuses.

A tensor of class ``OnGPU`` keeps its numbers in memory, but says that it lies on a device of its
own. There it cannot be mixed with a tensor on the CPU (single numbers apart), has no ``numpy``, and
takes no CPU generator; noise comes from a generator of the device's own. ``gpu()`` makes it the
device that ``fit`` chooses by itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

import torch
import torch._dynamo  # before the patches, which it would meet when it is loaded
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from course_utils.engine import speed

KIND = "meta"  # the one kind beside the CPU that torch lets us have without its library
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class OnGPU(Tensor):
    @staticmethod
    def __new__(cls, numbers: Tensor):
        about = {"dtype": numbers.dtype, "strides": numbers.stride(), "device": KIND}
        about["storage_offset"] = numbers.storage_offset()
        return Tensor._make_wrapper_subclass(cls, numbers.shape, **about)

    def __init__(self, numbers: Tensor):
        self.numbers = numbers

    def __tensor_flatten__(self):
        return ["numbers"], None

    @classmethod
    def __tensor_unflatten__(cls, parts, *_):
        return cls(parts["numbers"])

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})

    def tolist(self):  # torch would not have it of any subclass
        return self.detach().cpu().tolist()

    def __reduce_ex__(self, protocol):
        return self.detach().numbers.__reduce_ex__(protocol)

    def __repr__(self, **_):
        return f"OnGPU({self.detach().numbers})"


class Device(TorchDispatchMode):
    """What is made with its name lies there, too."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        wanted = (kwargs or {}).get("device")
        if wanted is None or torch.device(wanted).type != KIND:
            return operation(*args, **(kwargs or {}))  # by the tensors themselves
        return run(operation, args, kwargs)


class Noise:
    """In place of ``torch.mps``: the device's own generator."""

    state = torch.Generator().manual_seed(0).get_state()
    is_available = staticmethod(lambda: True)
    _is_in_bad_fork = staticmethod(lambda: False)

    def manual_seed(self, seed):
        self.state = torch.Generator().manual_seed(seed + 1).get_state()

    def get_rng_state(self):
        return self.state.clone()

    def set_rng_state(self, state):
        self.state = state.clone()


NOISE = Noise()


def run(operation, args, kwargs):
    """An operation on the numbers, if its tensors lie on one device."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, OnGPU)]
    here = [t for t in tensors if not isinstance(t, OnGPU) and (t.dim() or not there)]
    wanted = kwargs.get("device")
    goes = torch.device(wanted).type == KIND if wanted is not None else bool(there)
    if operation not in COPIES and there and here:
        raise RuntimeError(f"{operation}: Expected all tensors to be on the same device, found two")
    if goes and kwargs.get("generator") is not None:
        raise RuntimeError("Expected another device type for generator but found 'cpu'")
    if operation is torch.ops.aten.copy_.default:
        goes = isinstance(args[0], OnGPU)
    plain = lambda leaf: leaf.numbers if isinstance(leaf, OnGPU) else leaf
    of_cpu = tree_map(plain, kwargs) | ({"device": torch.device("cpu")} if wanted else {})
    if operation is torch.ops.aten._to_copy.default and wanted is not None:
        return (OnGPU if goes else lambda t: t)(operation(*tree_map(plain, args), **of_cpu))
    if goes:
        before = torch.get_rng_state()
        torch.set_rng_state(NOISE.state)
    try:
        result = operation(*tree_map(plain, args), **of_cpu)
    finally:
        if goes:
            NOISE.state = torch.get_rng_state()
            torch.set_rng_state(before)
    if not goes:
        return result
    result = tree_map(lambda leaf: OnGPU(leaf) if isinstance(leaf, Tensor) else leaf, result)
    return return_and_correct_aliasing(operation, args, kwargs, result) if there else result


def moved(module, how, recurse=True, whole=torch.nn.Module._apply):
    """``module.to(…)``, which touches nothing where all lies there already."""
    if all(how(tensor) is tensor for tensor in [*module.parameters(), *module.buffers()]):
        return module
    return whole(module, how, recurse)


@contextmanager
def gpu():
    """Inside the ``with`` block this machine has such a device."""
    swapped = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    patches = [
        mock.patch.object(speed, "choose_device", lambda wanted: torch.device(wanted or KIND)),
        mock.patch.object(torch, "mps", NOISE),  # torch.manual_seed sees to it
        mock.patch.object(torch, KIND, NOISE, create=True),
        mock.patch.object(torch.nn.Module, "_apply", moved),
    ]
    try:
        with Device(), patches[0], patches[1], patches[2], patches[3]:
            yield torch.device(KIND)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swapped)
