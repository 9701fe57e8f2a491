"""Labelled arrays in, labelled arrays out, for functions that act on every element alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature

import numpy as np
import xarray as xr


def elementwise(*names: str) -> Callable[[Callable], Callable]:
    """Let the arguments of these names, or pairs of them in a tuple, be xarray.DataArrays too.

    Where one is, the result is one too, and dimensions are paired by their names, not by their positions. Coordinates
    have to be equal, and what has no labels has to be one number.

    Raises
    ------
    ValueError
        By the decorated function, for an array without labels beside one that has some, or for coordinates that differ.
    """

    def decorate(function: Callable) -> Callable:
        parameters = signature(function)

        @wraps(function)
        def labelled(*args, **kwargs):
            bound = parameters.bind(*args, **kwargs)
            given = {name: bound.arguments[name] for name in names}
            pairs = {name: value if isinstance(value, tuple) else (value,) for name, value in given.items()}
            flat = [each for pair in pairs.values() for each in pair]
            if not any(isinstance(each, xr.DataArray) for each in flat):
                return function(*args, **kwargs)

            for name, pair in pairs.items():
                for each in pair:
                    if not isinstance(each, xr.DataArray) and np.ndim(each):
                        raise ValueError(
                            f"{name} must be one number or an xarray.DataArray beside others of these, as nothing says "
                            f"which of their dimensions are its own, got shape {np.shape(each)}"
                        )

            def plain(*arrays: np.ndarray):
                left = iter(arrays)
                for name, pair in pairs.items():
                    own = tuple(next(left) for _ in pair)
                    bound.arguments[name] = own if isinstance(given[name], tuple) else own[0]
                return np.asarray(function(*bound.args, **bound.kwargs))

            return xr.apply_ufunc(plain, *flat, keep_attrs=False)

        return labelled

    return decorate
