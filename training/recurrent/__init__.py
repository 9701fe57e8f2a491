"""Recurrent networks whose hidden state carries a continuous symmetry: Section 3, Appendices D.2 and D.3.

>>> import torch
>>> from training.recurrent import CapsuleRNN
>>> layer = CapsuleRNN(10, 32, "U(1)", recurrent="identity", encoder="variance 0.001")
>>> output, last = layer(torch.zeros(5, 20, 10))  # as nn.RNN(10, 64, batch_first=True)
>>> output.shape, last.shape, layer.capsules(output).shape
(torch.Size([5, 20, 64]), torch.Size([1, 5, 64]), torch.Size([5, 20, 2, 32]))
"""

from .baselines import GRU, ElmanRNN
from .capsule_layers import CapsuleGRU, CapsuleRNN
from .copy_task import CopyTask
from .image_task import ImageTask
from .layer import Recurrent
from .sequence import SequenceModel
from .settings import Setting
from .stacking import stack, unstack
from .training import Training

__all__ = [
    "GRU",
    "CapsuleGRU",
    "CapsuleRNN",
    "CopyTask",
    "ElmanRNN",
    "ImageTask",
    "Recurrent",
    "SequenceModel",
    "Setting",
    "Training",
    "stack",
    "unstack",
]


def __dir__() -> list[str]:
    return sorted(__all__)
