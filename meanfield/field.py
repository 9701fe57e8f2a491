r"""The complex field of the paper's Appendix A, solved numerically.

    (d_t^2 - d_x^2) phi = -dV/dphi^dagger = -(r + 2 lambda |phi|^2) phi,      V = r |phi|^2 + lambda |phi|^4,    (15)

on a ring of circumference `length`. Time is in units of length: the speed of light is 1.

**Conserved.** With pi = d_t phi, the energy, measured from the equilibrium with v^2 = max(-r, 0)/(2 lambda), and the
charge that belongs to the symmetry phi -> exp(i alpha) phi are

    E = int |pi|^2 + |d_x phi|^2 + V(phi) - V(v) dx,                Q = 2 int Im(phi^dagger pi) dx.

**The scheme.** Eq. (15) is the sum of two flows that are solved exactly: waves without a potential, in Fourier space,
and the kick that the potential gives to pi at fixed phi. Kick-wave-kick with half kicks is of second order in the step;
three such steps of lengths w, 1 - 2 w and w, where w = 1/(2 - 2^(1/3)), are of fourth order (Yoshida, Phys. Lett. A
150, 262, 1990). Every part commutes with rotations and shifts, conserves Q up to rounding, and is symplectic and
reversible, so that the error of the energy is of order dt^4 and does not grow with time. Derivatives are those of the
trigonometric polynomial through the grid points: a field that the grid resolves has no other error than that of dt.

**An exact solution.** Where |phi| = v the potential gives no kick, and phi = v exp(i theta) solves Eq. (15) if
d_t^2 theta = d_x^2 theta and (d_t theta)^2 = (d_x theta)^2. So a phase wave of any shape *and any height* that
travels in one direction, theta = f(x - t), travels for ever without change. The scheme has the same exact solution.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xarray as xr

from .checks import real_array, real_number, whole_number

_OUTER = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
SUBSTEPS = (_OUTER, 1.0 - 2.0 * _OUTER, _OUTER)  # of one step of fourth order, in units of dt

LONG_NAMES = {
    "phi": r"field $\phi(t, x)$, Eq. (15)",
    "velocity": r"$\partial_t \phi(t, x)$",
    "energy": "energy above that of the equilibrium",
    "charge": r"charge $2 \int \mathrm{Im}(\phi^\dagger \partial_t \phi)\,dx$",
    "time": "time $t$",
    "x": "position $x$",
}


def potential(phi, r: float, coupling: float = 1.0) -> np.ndarray:
    """V = r |phi|^2 + lambda |phi|^4, the potential energy of Section 1.1 and Eq. (15).

    Parameters
    ----------
    phi : complex array of any shape
    r : number
        Above 0 the symmetry is unbroken, below 0 it is broken.
    coupling : number > 0
        lambda.

    Returns
    -------
    float64 array with the shape of phi

    Raises
    ------
    ValueError
        For a bad argument.
    """
    r, coupling = parameters(r, coupling)
    square = np.abs(_complex_array("phi", phi)) ** 2
    return (r + coupling * square) * square


def equilibrium_radius(r: float, coupling: float = 1.0) -> float:
    """|phi| where V is least: v = sqrt(-r/(2 lambda)) for r < 0 (a ring of minima), and 0 for r >= 0.

    Raises
    ------
    ValueError
        For a bad argument; they are those of :func:`potential`.
    """
    r, coupling = parameters(r, coupling)
    return float(np.sqrt(max(-r, 0.0) / (2.0 * coupling)))


def right_moving_bump(
    points: int, length: float, r: float, coupling: float = 1.0, height: float = 0.3, width: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """A bump at length/4 that sets off to the right, the same in both phases: the beginning of Figure 8.

    Re phi = height exp(-(x - length/4)^2/(2 width^2)), and d_t phi = -d_x phi, which is how a wave would start that
    moves to the right without changing. For r >= 0 the field is real. For r < 0 it lies on the ring of minima,
    around the equilibrium -i v: the bump is one of the phase, and Re phi = v sin theta.

    Parameters
    ----------
    points : int >= 2
        Grid points.
    length : number > 0
        Circumference of the line.
    r, coupling
        As in :func:`potential`.
    height, width : numbers > 0
        Of the bump; for r < 0 the height must be less than v. A width of more than length/8 would not fit on the line.

    Returns
    -------
    phi, velocity : complex arrays of shape (points,)
        For :func:`evolve_field`.

    Raises
    ------
    ValueError
        For a bad argument.
    """
    x, k = grid(points, length)
    height, width = (
        real_number("height", height, minimum=0.0, strict=True),
        real_number("width", width, minimum=0.0, strict=True),
    )
    v = equilibrium_radius(r, coupling)
    if 0.0 < v <= height:
        raise ValueError(f"height must be < {v:.6g}, the radius of the ring of minima, got {height:.6g}")
    if width > length / 8.0:
        raise ValueError(f"width must be at most length/8 = {length / 8.0:.6g}, got {width:.6g}")
    away = np.remainder(x + length / 4.0, length) - length / 2.0  # from length/4, around the circle
    bump = height * np.exp(-(away**2) / (2.0 * width**2))
    phi = bump - 1j * np.sqrt(np.maximum(v**2 - bump**2, 0.0)) if v else bump.astype(complex)
    return phi, -np.fft.ifft(1j * k * np.fft.fft(phi))


def evolve_field(
    phi, velocity, time, length: float, r: float, coupling: float = 1.0, dt: float | None = None
) -> xr.Dataset:
    """Solve Eq. (15) on a periodic line (the scheme is described at the top of this module).

    Parameters
    ----------
    phi, velocity : complex arrays, shape (points,)
        The field and its time derivative at the first time, at x = 0, length/points, 2 length/points, ...
    time : increasing sequence
        Times of the output; the first is that of `phi`.
    length : number > 0
        Circumference of the line.
    r, coupling
        As in :func:`potential`.
    dt : number > 0, optional
        Longest time step; a quarter of the grid spacing unless given. Errors fall as dt^4.

    Returns
    -------
    xarray.Dataset
        Over ``time`` and ``x``: `phi` and `velocity` (complex); over ``time``: `energy` and `charge`, both constant in
        the exact solution, so that their drift shows the error. The attributes hold the arguments.

    Raises
    ------
    ValueError
        For a bad argument; for a step with which small waves around the equilibrium would grow, or the field did.
    """
    phi, velocity = _field("phi", phi), _field("velocity", velocity)
    if velocity.shape != phi.shape:
        raise ValueError(f"velocity must have the shape of phi, {phi.shape}, got {velocity.shape}")
    state = np.stack([phi, velocity])
    if state.shape[1] < 2:
        raise ValueError(f"phi must have at least 2 points, got {state.shape[1]}")
    x, k = grid(state.shape[1], length)
    r, coupling = parameters(r, coupling)
    time = _times(time)
    dt = x[1] / 4.0 if dt is None else real_number("dt", dt, minimum=0.0, strict=True)
    _refuse_unstable(k, r, dt)
    states = [state]
    with np.errstate(over="ignore", invalid="ignore"):  # seen below
        for start, end in pairwise(time):
            states.append(_advance(states[-1], k, r, coupling, float(end - start), dt))
    out = np.stack(states, axis=1)
    if not np.isfinite(out).all():
        raise ValueError(f"dt must be smaller for a field as large as this: it overflowed, got {dt:.6g}")
    return _dataset(out, time, x, k, {"length": float(length), "r": r, "coupling": coupling, "dt": float(dt)})


def _dataset(out: np.ndarray, time: np.ndarray, x: np.ndarray, k: np.ndarray, attrs: dict) -> xr.Dataset:
    (phi, velocity), r, coupling = out, attrs["r"], attrs["coupling"]
    data = {
        "phi": (("time", "x"), phi),
        "velocity": (("time", "x"), velocity),
        "energy": ("time", _energy(phi, velocity, x[1], k, r, coupling)),
        "charge": ("time", 2.0 * x[1] * np.imag(phi.conj() * velocity).sum(axis=-1)),
    }
    result = xr.Dataset(data, {"time": time, "x": x}, attrs)
    for name in result.variables:
        result[name].attrs["long_name"] = LONG_NAMES[str(name)]
    return result


def _energy(phi: np.ndarray, velocity: np.ndarray, dx: float, k: np.ndarray, r: float, coupling: float) -> np.ndarray:
    slope = np.abs(k * np.fft.fft(phi)) ** 2 / k.size  # Parseval: its sum is that of |d_x phi|^2 over the grid
    square = np.abs(phi) ** 2
    v_square = equilibrium_radius(r, coupling) ** 2
    # V - V(v) without cancellation
    above = (max(r, 0.0) + coupling * (square - v_square)) * (square - v_square)
    return dx * (np.abs(velocity) ** 2 + slope + above).sum(axis=-1)


# ---- one step -------------------------------------------------------------------------------------------------------


def _advance(state: np.ndarray, k: np.ndarray, r: float, coupling: float, duration: float, dt: float) -> np.ndarray:
    steps = int(np.ceil(duration / dt * (1.0 - 1e-12)))
    lengths = [duration / steps * part for part in SUBSTEPS]
    waves = [_wave(k, tau) for tau in lengths]
    phi, velocity = state
    for _ in range(steps):
        for tau, wave in zip(lengths, waves, strict=True):
            velocity = velocity + 0.5 * tau * _force(phi, r, coupling)
            hat = np.fft.fft(np.stack([phi, velocity]))
            phi, velocity = np.fft.ifft((wave * hat).sum(axis=1))
            velocity = velocity + 0.5 * tau * _force(phi, r, coupling)
    return np.stack([phi, velocity])


def _force(phi: np.ndarray, r: float, coupling: float) -> np.ndarray:
    return -(r + 2.0 * coupling * (phi.real**2 + phi.imag**2)) * phi


def _wave(k: np.ndarray, tau: float) -> np.ndarray:
    """The 2 x 2 matrix (shape (2, 2, points)) that free waves of wavenumber k apply to (phi, velocity) in tau."""
    cosine = np.cos(k * tau)
    return np.array([[cosine, tau * np.sinc(k * tau / np.pi)], [-k * np.sin(k * tau), cosine]])


def half_trace(k: np.ndarray, mass_squared: float, dt: float) -> np.ndarray:
    """Half the trace of the matrix that one step applies to (phi, d_t phi) of a small wave with force -mass^2 phi.

    The matrix has determinant 1: a wave of frequency omega has the half trace cos(omega dt), and one above 1 grows.
    """
    step = np.broadcast_to(np.eye(2), (*k.shape, 2, 2))
    for tau in (part * dt for part in SUBSTEPS):
        kick = np.array([[1.0, 0.0], [-0.5 * tau * mass_squared, 1.0]])
        step = kick @ np.moveaxis(_wave(k, tau), (0, 1), (-2, -1)) @ kick @ step
    return 0.5 * np.trace(step, axis1=-2, axis2=-1)


def masses_squared(r: float) -> tuple[float, float]:
    """mass^2 in omega^2 = k^2 + mass^2 of small changes of (amplitude, phase): `meanfield.field_modes` derives them."""
    return (r, r) if r >= 0 else (-2.0 * r, 0.0)


def _refuse_unstable(k: np.ndarray, r: float, dt: float) -> None:
    for mass_squared in masses_squared(r):
        if np.any(np.abs(half_trace(k, mass_squared, dt)) > 1.0 + 1e-9):
            raise ValueError(
                f"dt must be at most a quarter of the grid spacing ({0.25 * np.pi / np.abs(k).max():.3g}) and well "
                f"below {1.0 / np.sqrt(mass_squared):.3g}, or small waves may grow, got {dt:.6g}"
            )


# ---- arguments ------------------------------------------------------------------------------------------------------


def grid(points: int, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions x and wavenumbers k (in the order of numpy's FFT) of a periodic line."""
    points, length = whole_number("points", points, 2), real_number("length", length, minimum=0.0, strict=True)
    return length / points * np.arange(points), 2.0 * np.pi * np.fft.fftfreq(points, length / points)


def parameters(r, coupling) -> tuple[float, float]:
    """r and lambda > 0 as checked numbers."""
    return real_number("r", r), real_number("coupling", coupling, minimum=0.0, strict=True)


def _complex_array(name: str, value) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biufc" or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers, real or complex, got {value!r}")
    return array.astype(complex)


def _field(name: str, value) -> np.ndarray:
    array = _complex_array(name, value)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {array.shape}")
    return array


def _times(value) -> np.ndarray:
    time = np.atleast_1d(real_array("time", value))
    if time.ndim > 1 or np.any(np.diff(time) <= 0.0):
        raise ValueError(f"time must be an increasing sequence, got {value!r}")
    return time
