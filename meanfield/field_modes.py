r"""Small waves of the complex field of Eq. (15): their frequencies, in theory, in the numerical scheme, and measured.

**Around phi = 0** (r > 0) the force is -r phi to first order, for the real and the imaginary part alike:

    omega^2 = k^2 + r.                                                                                        (16)

**Around a point v of the ring of minima** (r < 0, 2 lambda v^2 = -r) write phi = v + a + i b. The force is

    -(r + 2 lambda |phi|^2) phi = -(4 lambda v a + 2 lambda (a^2 + b^2)) (v + a + i b) = 2 r a + (second order):

it is real. Amplitude a and phase b = v theta are decoupled, and each has its own frequency,

    amplitude:  omega^2 = k^2 - 2 r,          phase:  omega = |k|,                                            (17)

Eq. (17) being exact at every k in the linear theory: it needs small waves, not long ones. (The amplitude mode, the
"Higgs mode", has the mass^2 -2 r: half of the curvature -4 r of V along the radius, since the kinetic energy is
|pi|^2 and not |pi|^2/2.) One-way phase waves keep Eq. (17) at any height (`meanfield.field`).

**Two phase waves that meet** do feel each other, through the amplitude: its source is v (theta_t^2 - theta_x^2). A
standing wave theta = e cos(k x) cos(omega t) makes |phi| = v (1 + eta), with m^2 = -2 r and to second order in e,

    eta = (e^2 k^2/2) [cos(2 k x)/(m^2 + 4 k^2) - cos(2 k t)/(m^2 - 4 k^2)],

which acts back on the phase by the conservation of charge, d_t (|phi|^2 theta_t) = d_x (|phi|^2 theta_x). The part that
is in resonance with theta changes its frequency:

    omega^2 = k^2 [1 - 2 e^2 k^2 m^2/(m^4 - 16 k^4)] + O(e^4).

The change vanishes as k -> 0: long Goldstone waves pass through each other freely.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .checks import one_dimensional, real_number, whole_number
from .field import SUBSTEPS, equilibrium_radius, grid, half_trace, masses_squared, parameters

_SEEN = 0.01  # of the largest wave: smaller ones may be of second order in it

LONG_NAMES = {
    "amplitude": r"frequency $\omega$ of the amplitude",
    "phase": r"frequency $\omega$ of the phase",
    "amplitude_se": r"standard error of $\omega$ of the amplitude",
    "phase_se": r"standard error of $\omega$ of the phase",
    "k": "wavenumber $k$",
}


def field_frequencies(k, r: float) -> xr.Dataset:
    """omega(k) of small waves, exact in the linear theory: Eq. (16) for r >= 0; for r < 0 Eq. (17) for the phase, and
    omega = sqrt(k^2 - 2 r) for the amplitude (derived at the top of this module).

    Parameters
    ----------
    k : number or sequence
        Wavenumbers.
    r : number
        As in :func:`meanfield.field.potential`.

    Returns
    -------
    xarray.Dataset
        Over ``k``: `amplitude` and `phase`. For r >= 0 both are Eq. (16): there is no direction in which to tell them
        apart, and they are the real and the imaginary part.

    Raises
    ------
    ValueError
        For a bad argument.
    """
    k = one_dimensional("k", k)
    r, _ = parameters(r, 1.0)
    return _over_k(k, {name: np.sqrt(k**2 + m) for name, m in _masses(r).items()}, r)


def scheme_frequencies(k, r: float, dt: float) -> xr.Dataset:
    """omega(k) that :func:`meanfield.field.evolve_field` gives to small waves at the time step dt, exactly.

    A step multiplies (phi, d_t phi) of a small wave by a matrix of determinant 1 and half trace cos(omega dt). The
    result differs from :func:`field_frequencies` by O(dt^4), and not at all for the phase at r < 0.

    Parameters
    ----------
    k, r
        As in :func:`field_frequencies`.
    dt : number > 0
        The step that is taken; waves must turn by less than half a turn in it.

    Returns
    -------
    xarray.Dataset
        As that of :func:`field_frequencies`.

    Raises
    ------
    ValueError
        For a bad argument, or if a wave would grow.
    """
    exact = field_frequencies(k, r)
    dt = real_number("dt", dt, minimum=0.0, strict=True)
    out = {}
    for name, mass_squared in _masses(float(r)).items():
        cosine = half_trace(exact.k.values, mass_squared, dt)
        turn = max(map(abs, SUBSTEPS)) * dt * exact[name].values
        if np.any(np.abs(cosine) > 1.0 + 1e-9) or np.any(turn > np.pi):
            raise ValueError(
                f"dt must be smaller for waves with k up to {np.abs(exact.k.values).max():.6g}, got {dt:.6g}"
            )
        out[name] = np.arccos(np.clip(cosine, -1.0, 1.0)) / dt
    return _over_k(exact.k.values, out, r).assign_attrs(dt=dt)


def noisy_field(
    points: int, length: float, r: float, coupling: float = 1.0, size: float = 1e-4, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A field at rest, at the equilibrium v plus small real and imaginary noise in all long waves.

    Parameters
    ----------
    points, length, r, coupling
        As in :func:`meanfield.field.right_moving_bump`.
    size : number > 0
        Standard deviation of the real and of the imaginary part of the noise. Waves have |k| < pi points/(2 length),
        half of the largest wavenumber of the grid, and equal power on average.
    seed : int >= 0
        Of numpy's default generator.

    Returns
    -------
    phi, velocity : complex arrays of shape (points,)

    Raises
    ------
    ValueError
        For a bad argument.
    """
    _, k = grid(points, length)
    size = real_number("size", size, minimum=0.0, strict=True)
    noise = np.random.default_rng(whole_number("seed", seed, 0)).normal(size=(2, points))
    kept = np.abs(k) < 0.5 * np.abs(k).max()
    smooth = np.fft.ifft(np.where(kept, np.fft.fft(noise[0] + 1j * noise[1]), 0.0)) / np.sqrt(kept.mean())
    return equilibrium_radius(r, coupling) + size * smooth, np.zeros(points, complex)


def measured_frequencies(run: xr.Dataset) -> xr.Dataset:
    """omega(k) of the amplitude and the phase, from a field with small waves around its equilibrium.

    The Fourier coefficients y_k of both parts of the field turn with one frequency each, so that, at equal spacings s
    of the output,

        y(t + s) + y(t - s) = 2 cos(omega s) y(t),

    from which cos(omega s) is found by least squares. This is exact for small waves. Where r < 0 forces of second order
    scatter the points around the fit, which the standard error shows. It does not show that frequencies themselves
    change with the square of the size of the waves (and with dt^4).

    Parameters
    ----------
    run : xarray.Dataset
        From :func:`meanfield.field.evolve_field`, at three or more equally spaced times.

    Returns
    -------
    xarray.Dataset
        Over ``k`` >= 0: `amplitude`, `phase`, `amplitude_se` and `phase_se`, of the waves that have at least a
        hundredth of the size of the largest one (smaller ones may be its harmonics) and turn by less than half a turn
        between outputs. Others are left out, or NaN where one of amplitude and phase is there. For r < 0 the direction
        of the equilibrium is that of the mean field at the first time.

    Raises
    ------
    ValueError
        If the times are too few or not equally spaced, or no wave can be measured.
    """
    time = run.time.values
    if time.size < 3 or not np.allclose(np.diff(time), time[1] - time[0], rtol=1e-9):
        raise ValueError(f"run must have three or more equally spaced times, got {time.size} of them")
    spacing = float(time[1] - time[0])
    r, half = run.attrs["r"], run.sizes["x"] // 2
    turned = run.phi.values * (np.exp(-1j * np.angle(run.phi.values[0].mean())) if r < 0 else 1.0)
    k = 2.0 * np.pi / run.attrs["length"] * np.arange(half)
    exact = field_frequencies(k, r)
    parts = {"amplitude": turned.real - equilibrium_radius(r, run.attrs["coupling"]), "phase": turned.imag}
    waves = {name: np.fft.fft(part)[:, :half] for name, part in parts.items()}
    largest = max(np.abs(y).max() for y in waves.values())
    out = {}
    for name, y in waves.items():
        seen = (np.abs(y).max(axis=0) > _SEEN * largest) & (exact[name].values * spacing < np.pi)
        omega, error = _turning(y, spacing)
        out[name], out[f"{name}_se"] = np.where(seen, omega, np.nan), np.where(seen, error, np.nan)
    result = _over_k(k, out, r).dropna("k", how="all")
    if not result.sizes["k"]:
        raise ValueError("run must have small waves that turn by less than half a turn between outputs, got none")
    return result


def _turning(y: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """The frequency of each column, and its standard error from the scatter around the fit."""
    middle, sides = y[1:-1], 0.5 * (y[2:] + y[:-2])
    power = np.maximum((np.abs(middle) ** 2).sum(axis=0), np.finfo(float).tiny)
    cosine = np.clip((middle.conj() * sides).real.sum(axis=0) / power, -1.0, 1.0)
    scatter = (np.abs(sides - cosine * middle) ** 2).sum(axis=0) / max(len(middle) - 1, 1)
    slope = spacing * np.sqrt(np.maximum(1.0 - cosine**2, np.finfo(float).eps))  # d cos/d omega, above rounding
    return np.arccos(cosine) / spacing, np.sqrt(scatter / power) / slope


def _masses(r: float) -> dict[str, float]:
    return dict(zip(("amplitude", "phase"), masses_squared(r), strict=True))


def _over_k(k: np.ndarray, data: dict, r: float) -> xr.Dataset:
    out = xr.Dataset({name: ("k", value) for name, value in data.items()}, {"k": k}, {"r": float(r)})
    for name in out.variables:
        out[name].attrs["long_name"] = LONG_NAMES[str(name)]
    return out
