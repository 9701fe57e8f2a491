"""Argument checks. Every error names the argument, what it must be, and what it was."""

from __future__ import annotations

import numpy as np

LARGEST_S = 1e300  # of sigma_w^2 c: beyond it 1/s is no normal float
SMALLEST_S = 1e-300  # below it a layer is linear to every digit
ROUNDING_OF_A_LAYER = 1e-10  # of a Gram matrix's eigenvalues: f = 1 takes square roots of rounding errors


def _first_bad(array: np.ndarray, good: np.ndarray) -> str:
    return f"{array[~good].flat[0]:.6g}" if array.ndim else f"{float(array):.6g}"


def shortest(number: float) -> str:
    """A float as text that reads as the same float: next to the transition six digits are not enough."""
    text = f"{number:g}"
    return text if float(text) == number else repr(float(number))


def real_array(name: str, value, *, minimum: float | None = None, strict: bool = False) -> np.ndarray:
    """A finite, non-empty float64 array, optionally >= minimum (> minimum when strict).

    Raises
    ------
    ValueError
        Naming the argument otherwise.
    """
    try:
        array = np.asarray(value)
        # numpy would drop imaginary parts and masks, read strings and dates, make NaN of None and 1 of True
        if array.dtype.kind not in "iufO" or np.ma.is_masked(value):
            raise TypeError
        if array.dtype.kind == "O":
            array = np.reshape([x.__float__() for x in array.flat], array.shape)
        array = array.astype(float)
    except OverflowError as error:  # an exact number, which may have too many digits to be shown
        raise ValueError(f"{name} must be finite, got a number beyond the largest float") from error
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:  # the last of a tensor that wants a gradient
        hint = " (of a torch tensor take .item() or .detach().cpu())" if hasattr(value, "detach") else ""
        raise ValueError(f"{name} must be a real number or an array of real numbers{hint}, got {value!r}") from error
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got an array of shape {array.shape}")
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"{name} must be finite, got {_first_bad(array, finite)}")
    if minimum is not None:
        good = array > minimum if strict else array >= minimum
        if not good.all():
            sign = ">" if strict else ">="
            raise ValueError(f"{name} must be {sign} {minimum:g}, got {_first_bad(array, good)}")
    return array


def real_number(name: str, value, *, minimum: float | None = None, strict: bool = False) -> float:
    """One finite number, optionally >= minimum (> minimum when strict).

    Raises
    ------
    ValueError
        Naming the argument otherwise.
    """
    array = real_array(name, value, minimum=minimum, strict=strict)
    if array.ndim:
        raise ValueError(f"{name} must be one number, got shape {array.shape}")
    return float(array)


def one_dimensional(name: str, value, *, minimum: float | None = None, strict: bool = False) -> np.ndarray:
    """A finite number or sequence of numbers as a one-dimensional array, optionally >= minimum (> minimum when strict).

    Raises
    ------
    ValueError
        Naming the argument otherwise.
    """
    array = real_array(name, value, minimum=minimum, strict=strict)
    if array.ndim > 1:
        raise ValueError(f"{name} must be a number or one-dimensional, got shape {array.shape}")
    return np.atleast_1d(array)


def whole_number(name: str, value, minimum: int) -> int:
    """An integer >= minimum.

    Raises
    ------
    ValueError
        Naming the argument otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}")
    return int(value)


def sigma_w_array(sigma_w, activation) -> np.ndarray:
    """sigma_w as a float64 array, >= 0 (> 0 for an activation without a slope at the origin).

    Raises
    ------
    ValueError
        For a bad array, or one whose square overflows.
    """
    array = real_array("sigma_w", sigma_w, minimum=0.0, strict=activation.is_saturated)
    if array.max() > np.sqrt(LARGEST_S):
        raise ValueError(f"sigma_w must be at most {np.sqrt(LARGEST_S):g}, got {array.max():.6g}")
    return array


def sigma_w_number(sigma_w, activation) -> float:
    """One number, as :func:`sigma_w_array` allows it.

    Raises
    ------
    ValueError
        For an array, or a number that :func:`sigma_w_array` refuses.
    """
    return float(sigma_w_array(real_number("sigma_w", sigma_w), activation))


def times_square(sigma_w: np.ndarray | float, c: np.ndarray | float) -> np.ndarray:
    """sigma_w^2 c, of every size: where sigma_w^2 loses digits or underflows, the product need not."""
    square = np.square(sigma_w)
    with np.errstate(over="ignore"):
        return np.where(square < np.finfo(float).tiny, sigma_w * (sigma_w * c), square * c)[()]


def asymmetry_array(asymmetry, symmetry) -> np.ndarray:
    """The share of the weights' variance that ignores the symmetry, as a float64 array in [0, 1].

    Raises
    ------
    ValueError
        Outside of it; above 0 where all weights ignore the symmetry, or there is no angle to see it by.
    """
    array = real_array("asymmetry", asymmetry, minimum=0.0)
    if array.max() > 1.0:
        raise ValueError(f"asymmetry must be in [0, 1], got {array.max():.6g}")
    if array.max() > 0.0 and not symmetry.conserves_angles:
        raise ValueError(
            f"asymmetry must be 0 but for 'U(1)' and 'O(k)' with k >= 2, got {array.max():.6g} with '{symmetry}'"
        )
    return array


def preactivation_power(
    sigma_w: np.ndarray | float, c: np.ndarray | float, sigma_b: np.ndarray | float = 0.0
) -> np.ndarray:
    """s = sigma_w^2 c + sigma_b^2, which every average is a function of.

    Raises
    ------
    ValueError
        Where it is out of range.
    """
    with np.errstate(over="ignore"):
        s = times_square(sigma_w, c) + np.square(sigma_b)
    if s.max() > LARGEST_S:
        with_bias = " + sigma_b^2" if np.any(sigma_b) else ""
        raise ValueError(f"sigma_w^2 c{with_bias} must be at most {LARGEST_S:g}, got {s.max():.6g}")
    return s


def layer_power(activation, sigma_w: np.ndarray, c: np.ndarray, sigma_b: np.ndarray | float = 0.0) -> np.ndarray:
    """s = sigma_w^2 c + sigma_b^2 as the averages of an activation are to have it.

    f = 1 knows no scale, so every s > 0 is the same to it. It is given 1, which does not under- or overflow.
    """
    if activation.is_saturated:
        return ((np.asarray(c) > 0.0) | (np.asarray(sigma_b) > 0.0)).astype(float)
    return times_square(sigma_w, c) + np.square(sigma_b)


def check_gram(name: str, gram: np.ndarray, rounding: float = 1e-12, components: int = 1) -> None:
    """Finite matrices C (..., B, B) must be Hermitian (symmetric if real) and positive semi-definite, up to rounding.

    Every input counts by its own size: C_ab and C_ba may differ by 1e-12 sqrt(C_aa C_bb), and no eigenvalue of
    C_ab/sqrt(C_aa C_bb) may be below -B `rounding`. Where an input has several `components`, rows in turn, C_aa is
    there the largest of them: what a layer makes of a capsule is right relative to that.

    Raises
    ------
    ValueError
        Naming the argument otherwise.
    """
    rows = gram.shape[-1]
    norms = np.diagonal(gram, axis1=-2, axis2=-1).real
    if norms.min() < 0.0:
        raise ValueError(f"{name} must have a diagonal >= 0, got {norms.min():.6g}")
    largest = norms.reshape(*norms.shape[:-1], -1, components).max(axis=-1)
    size = np.sqrt(np.repeat(largest, components, axis=-1))
    bound = size[..., :, None] * size[..., None, :]
    if np.any(np.abs(gram - np.conj(np.swapaxes(gram, -1, -2))) > 1e-12 * bound):
        raise ValueError(f"{name} must be symmetric (Hermitian if complex), got one that is not")
    if np.any(gram[bound == 0.0]):  # of an input without a size, which the eigenvalues need not show
        raise ValueError(f"{name} must be positive semi-definite, got C_aa = 0 with another entry in its row")
    size = np.where(size > 0.0, size, 1.0)
    overlaps = gram / size[..., :, None] / size[..., None, :]
    try:  # much faster than eigenvalues
        np.linalg.cholesky(overlaps + rows * rounding * np.eye(rows))
    except np.linalg.LinAlgError:
        lowest = np.linalg.eigvalsh(overlaps)[..., 0].min()
        if lowest < -rows * rounding:
            raise ValueError(
                f"{name} must be positive semi-definite, got an eigenvalue {lowest:.6g} of C_ab/sqrt(C_aa C_bb)"
            ) from None


def pair_of(c, name: str = "c") -> tuple:
    """(c_1, c_2) of two inputs, from a tuple of two or from what both share; `name` is the argument's.

    Raises
    ------
    ValueError
        If it is a tuple of another length.
    """
    if not isinstance(c, tuple):
        return c, c
    if len(c) != 2:
        raise ValueError(
            f"{name} must be an array for both inputs or a tuple ({name}_1, {name}_2), got a tuple of {len(c)}"
        )
    return c


def broadcast(**arrays) -> list[np.ndarray]:
    """Broadcast named arrays against each other.

    Raises
    ------
    ValueError
        Naming the arrays and their shapes when they do not fit.
    """
    try:
        return list(np.broadcast_arrays(*arrays.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in arrays.items())
        raise ValueError(f"these arguments must broadcast against each other: {shapes}") from error
