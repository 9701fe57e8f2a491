"""Networks with equivariant layers, trained: deep ones, the paper's Figures 3, 4, 5, 10 and 11, here, and in
`training.recurrent` those of Figures 6, 7, 12 and 13; :func:`run_experiment` runs either.

>>> from training import Model, Shape, Stack, run_experiment
>>> result = run_experiment("figure5a")  # doctest: +SKIP
>>> # or by hand: networks that differ in sigma_w and seed, as one program
>>> stack = Stack(Shape("U(1)", width=64, depth=100, features=784), [Model(1.5, seed) for seed in range(5)])
>>> # what the paper leaves open, and what is done here, is in training.conventions
"""

try:
    import filelock as _filelock  # noqa: F401
    import pandas as _pandas  # noqa: F401
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(f"training needs {error.name}: pip install goldstone-propagation[training]") from error

from .data import Source, load
from .experiments import run_experiment, so_far
from .job import Job
from .measure import effective_rank, evaluate, jacobian, ranks
from .order import order_parameter
from .runner import Interrupted, run
from .shape import Model, Shape
from .stack import Stack

__all__ = [
    "Interrupted",
    "Job",
    "Model",
    "Shape",
    "Source",
    "Stack",
    "effective_rank",
    "evaluate",
    "jacobian",
    "load",
    "order_parameter",
    "ranks",
    "run",
    "run_experiment",
    "so_far",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "recurrent"])
