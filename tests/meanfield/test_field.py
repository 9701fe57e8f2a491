"""The complex field of Appendix A against exact solutions, its symmetries, and an independent integrator."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy import integrate, optimize

from meanfield import field_plots, plots
from meanfield.field import equilibrium_radius, evolve_field, potential, right_moving_bump
from meanfield.field_modes import field_frequencies, measured_frequencies, noisy_field, scheme_frequencies

LENGTH = 20.0
K = 2 * np.pi / LENGTH  # the smallest wavenumber
PHASES = pytest.mark.parametrize("r", [1.3, -0.8])


def line(points, length=LENGTH):
    return np.arange(points) * (length / points)


def rough_start(points=64, seed=0):
    """A large smooth field with no symmetry at all, far from every equilibrium."""
    rng = np.random.default_rng(seed)
    waves = np.exp(1j * K * np.outer(np.arange(-3, 4), line(points)))
    draw = rng.normal(size=(2, 7)) + 1j * rng.normal(size=(2, 7))
    return 0.3 * draw @ waves


def frequency(y, spacing):
    """Of a sampled oscillation with its mean and second harmonic: the one that fits best in the least-squares sense."""
    t = spacing * np.arange(len(y))

    def residual(omega):
        basis = np.exp(1j * omega * t[:, None] * [1, 2, 0])
        basis = np.concatenate([basis.real, basis[:, :2].imag], axis=1)
        return basis @ np.linalg.lstsq(basis, y, rcond=None)[0] - y

    rough = np.pi * np.argmax(np.abs(np.fft.rfft(y * np.hanning(len(y)), 16 * len(y)))) / (8 * t[-1] + 8 * spacing)
    grid = rough + np.linspace(-1, 1, 9) * 0.2 / t[-1]
    best = grid[np.argmin([np.sum(np.abs(residual(omega)) ** 2) for omega in grid])]
    found = optimize.least_squares(
        lambda p: residual(p[0]) / np.abs(y).max(), [best], xtol=3e-16, ftol=3e-16, gtol=3e-16
    )
    return found.x[0]


# ---- the potential ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("r", "coupling"), [(-0.5, 1.0), (-3.0, 0.2), (2.0, 0.7)])
def test_minimum_of_the_potential(r, coupling):
    """A numerical minimisation finds the ring |phi|^2 = -r/(2 lambda), or the point 0, of Section 1.1."""
    found = optimize.minimize_scalar(
        lambda size: float(potential(size * np.exp(0.7j), r, coupling)), bounds=(0, 10), options={"xatol": 1e-9}
    )
    assert equilibrium_radius(r, coupling) == pytest.approx(found.x, abs=1e-6)
    if r < 0:
        depth = potential(equilibrium_radius(r, coupling) * np.exp(1j * np.array([0.0, 1.0, 4.0])), r, coupling)
        np.testing.assert_allclose(depth, -(r**2) / (4 * coupling), rtol=1e-14)


def test_potential_is_that_of_eq_15():
    assert potential([0.0, 2.0, 3.0 + 4.0j], -1.5, 0.5).tolist() == [0.0, -6.0 + 8.0, -37.5 + 312.5]


# ---- the solution ----------------------------------------------------------------------------------------------------


@PHASES
def test_agrees_with_an_independent_integrator(r):
    """Runge-Kutta of order 8 on Eq. (15) with its second derivative as a sum over waves: to the error of dt^4, and the
    error falls sixteenfold, up to terms of order dt^6, when dt is halved."""
    points, coupling, duration = 64, 0.6, 7.0
    start = rough_start(points)
    n = np.arange(points) - points // 2
    waves = np.exp(1j * K * np.outer(line(points), n))
    second = (waves * -((K * n) ** 2)) @ waves.conj().T / points

    def motion(_, y):
        phi, velocity = y.reshape(2, points)
        return np.concatenate([velocity, second @ phi - r * phi - 2 * coupling * np.abs(phi) ** 2 * phi])

    reference = integrate.solve_ivp(motion, (0, duration), start.ravel(), "DOP853", rtol=1e-12, atol=1e-12)
    phi, velocity = reference.y[:, -1].reshape(2, points)
    errors = []
    for dt in (0.05, 0.025):
        end = evolve_field(*start, [0.0, duration], LENGTH, r, coupling, dt=dt).isel(time=-1)
        errors.append([np.abs(end.phi - phi).max().item(), np.abs(end.velocity - velocity).max().item()])
    assert max(errors[0]) < 2e-4
    assert 14 < errors[0][0] / errors[1][0] < 18
    assert 14 < errors[0][1] / errors[1][1] < 18


def test_one_way_phase_waves_do_not_change():
    """phi = v exp(i f(x - t)) solves Eq. (15) for any f, here of height 2 and winding once around the ring of minima.

    It solves the scheme, too: only rounding is left after it went around the line three and a half times.
    """
    r, coupling, points = -0.8, 0.6, 128
    v = np.sqrt(-r / (2 * coupling))

    def exact(x):
        return v * np.exp(1j * (K * x + 2 * np.exp(np.cos(K * x) - 1) + 0.5 * np.sin(2 * K * x)))

    def slope(x):
        return K * (1 - 2 * np.sin(K * x) * np.exp(np.cos(K * x) - 1) + np.cos(2 * K * x))

    x = line(points)
    run = evolve_field(exact(x), -1j * slope(x) * exact(x), [0.0, 3.5 * LENGTH], LENGTH, r, coupling)
    assert np.abs(run.phi[-1] - exact(x - 3.5 * LENGTH)).max() < 1e-11


@PHASES
def test_large_plane_waves(r):
    """phi = A exp(i(k x - omega t)) solves Eq. (15) exactly with omega^2 = k^2 + r + 2 lambda A^2."""
    coupling, size, k = 0.6, 1.4, 2 * K
    omega = np.sqrt(k**2 + r + 2 * coupling * size**2)
    x, time = line(32), np.array([1.0, 4.0, 30.0])
    wave = size * np.exp(1j * k * x)
    errors = []
    for dt in (0.04, 0.02):
        run = evolve_field(wave, -1j * omega * wave, time, LENGTH, r, coupling, dt=dt)
        exact = wave * np.exp(-1j * omega * (time - 1.0))[:, None]
        errors.append(np.abs(run.phi - exact).max().item())
    assert errors[0] < 1e-3
    assert 14 < errors[0] / errors[1] < 18
    # the integrals of Q and E are sums over a constant; V is measured from its minimum
    assert run.charge[0] == pytest.approx(-2 * omega * size**2 * LENGTH, rel=1e-13)
    bottom = -(r**2) / (4 * coupling) if r < 0 else 0.0
    density = (omega**2 + k**2 + r) * size**2 + coupling * size**4 - bottom
    assert run.energy[0] == pytest.approx(density * LENGTH, rel=1e-13)


@PHASES
def test_conserved(r):
    """The charge up to rounding; the energy up to dt^4, with no growth over a time forty times longer."""
    start = rough_start(32)
    drift = []
    for dt in (0.1, 0.05):
        run = evolve_field(*start, np.arange(0.0, 201.0), LENGTH, r, 0.5, dt=dt)
        off = np.abs(run.energy.values / run.energy.values[0] - 1)
        drift.append(off.max())
        assert off[-100:].max() < 3 * off[:6].max()
        charge = run.charge.values
        assert np.abs(charge - charge[0]).max() < 1e-11 * np.abs(run.phi * run.velocity).max() * LENGTH
    assert drift[1] < 1e-5
    assert 10 < drift[0] / drift[1] < 24  # maxima over times at which the error is sampled: 16 is not met exactly


@PHASES
def test_symmetries_of_the_solver(r):
    """Rotation, conjugation, shift, reflection and reversal of time commute with it, up to rounding."""
    phi, velocity = rough_start()

    def end(phi, velocity):
        run = evolve_field(phi, velocity, [0.0, 5.0], LENGTH, r, 0.6).isel(time=-1)
        return np.stack([run.phi, run.velocity])

    after = end(phi, velocity)
    turn = np.exp(0.7j)
    np.testing.assert_allclose(end(turn * phi, turn * velocity), turn * after, atol=1e-12)
    np.testing.assert_allclose(end(phi.conj(), velocity.conj()), after.conj(), atol=1e-12)
    np.testing.assert_allclose(end(np.roll(phi, 5), np.roll(velocity, 5)), np.roll(after, 5, axis=1), atol=1e-12)
    np.testing.assert_allclose(end(phi[::-1], velocity[::-1]), after[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(end(after[0], -after[1]), [phi, -velocity], atol=1e-12)


def test_output_times_do_not_matter():
    """Stops that are multiples of the step change nothing; the first time is where the field starts."""
    start = rough_start()
    often = evolve_field(*start, np.linspace(3.0, 5.0, 9), LENGTH, -1.0, dt=0.05)
    once = evolve_field(*start, [0.0, 2.0], LENGTH, -1.0, dt=0.05)
    np.testing.assert_allclose(often.phi[-1], once.phi[-1], atol=1e-12)
    np.testing.assert_array_equal(often.phi[0], start[0])
    assert often.attrs == {"length": LENGTH, "r": -1.0, "coupling": 1.0, "dt": 0.05}
    assert all(variable.attrs["long_name"] for variable in often.variables.values())


# ---- small waves -----------------------------------------------------------------------------------------------------


WAVES = [(kind, mode) for kind in ("unbroken", "amplitude", "phase") for mode in (0, 1, 3, 8)]


@pytest.mark.parametrize(("kind", "mode"), [wave for wave in WAVES if wave != ("phase", 0)])
def test_dispersion_relations(kind, mode):
    """Eq. (16), Eq. (17) and omega = sqrt(k^2 - 2 r), from one small standing wave of size e around the equilibrium.

    The scheme's own frequency is met up to the waves' nonlinearity: the cubic force 2 lambda e^2 shifts omega by at
    most lambda e^2/omega; with the quadratic forces of r < 0 the shift of the amplitude is 3 lambda e^2/omega at k = 0
    (Poincaré and Lindstedt), and less for the phase. A factor 3 is allowed on top, and rounding of size 1e-16 v/e. The
    scheme meets the equation at order dt^4.
    """
    size, coupling, points, spacing = 1e-5, 0.7, 64, 0.25
    r = 1.3 if kind == "unbroken" else -0.8
    mass_squared = {"unbroken": 1.3, "amplitude": 1.6, "phase": 0.0}[kind]
    v = 0.0 if r > 0 else np.sqrt(-r / (2 * coupling))
    k = mode * K
    exact = np.sqrt(k**2 + mass_squared)
    wave = size * np.cos(k * line(points)) * (1j if kind == "phase" else 1.0)
    column = "phase" if kind == "phase" else "amplitude"
    allowed = 9 * coupling * size**2 / exact + 1e-10
    # a uniform wave of the amplitude swings around -d, d = 3 lambda v e^2/m^2, which the library's fit does not know.
    # In a time T of a sinusoid that shifts its frequency by at most 2 d/(e T cos(omega s/2)).
    offset = 6 * coupling * v * size / (exact**2 * 60 * np.cos(exact * spacing / 2)) if kind == "amplitude" else 0.0
    errors = []
    for dt in (0.125, 0.0625):
        run = evolve_field(v + wave, np.zeros(points), np.arange(0, 60, spacing), LENGTH, r, coupling, dt=dt)
        y = (run.phi - v).values @ np.exp(-1j * k * line(points)) * (-1j if kind == "phase" else 1.0)
        found = frequency(y.real, spacing)
        measured = measured_frequencies(run)[column].sel(k=k, method="nearest").item()
        assert abs(measured - found) < allowed + offset
        assert abs(scheme_frequencies(k, r, dt)[column] - found) < allowed
        errors.append(abs(found - exact))
    assert field_frequencies(k, r)[column].item() == pytest.approx(exact, rel=1e-15)
    if kind == "phase":
        assert max(errors) < allowed
    else:
        assert errors[0] < 1e-3
        assert errors[0] / errors[1] == pytest.approx(16, rel=0.1)


def test_uniform_amplitude_softens():
    """Poincaré and Lindstedt for the amplitude mode at k = 0: omega = m - 3 lambda e^2/m + O(e^4), m^2 = -2 r."""
    r, coupling = -0.8, 0.7
    v, m = np.sqrt(-r / (2 * coupling)), np.sqrt(-2 * r)
    shifts = []
    for size in (0.04, 0.02):
        # at its turning point the amplitude is e + e^2 x_2 with x_2 = -(alpha/(2 m^2))(1 - 1/3), alpha = 6 lambda v
        start = v + size - 2 * coupling * v / m**2 * size**2
        period = optimize.brentq(_speed, 0.9 * 2 * np.pi / m, 1.1 * 2 * np.pi / m, args=(start, r, coupling))
        shifts.append((2 * np.pi / period - m) / size**2)
    expected = -3 * coupling / m
    assert shifts[1] == pytest.approx(expected, rel=0.01)
    assert (shifts[0] - expected) / (shifts[1] - expected) == pytest.approx(4, rel=0.2)  # the rest is of order e^4


def _speed(time, start, r, coupling):
    return evolve_field(np.full(2, start), np.zeros(2), [0.0, time], 1.0, r, coupling, dt=0.02).velocity[-1, 0].real


def test_standing_phase_waves_feel_each_other():
    """omega^2 = k^2 [1 - 2 e^2 k^2 m^2/(m^4 - 16 k^4)] + O(e^4): derived in the module, and measured here from the time
    of the first zero of theta, which is a quarter of the period whatever the harmonics (they are odd)."""
    r, coupling, points, k = -2.0, 1.0, 64, K
    v, m = np.sqrt(-r / (2 * coupling)), np.sqrt(-2 * r)
    x = line(points)
    shifts = []
    for size in (0.4, 0.2):
        growth = 0.5 * (size * k) ** 2 * (np.cos(2 * k * x) / (m**2 + 4 * k**2) - 1 / (m**2 - 4 * k**2))
        phi = v * (1 + growth) * np.exp(1j * size * np.cos(k * x))

        def angle(time, phi=phi):
            run = evolve_field(phi, np.zeros(points), [0.0, time], LENGTH, r, coupling)
            return np.angle(run.phi[-1].values) @ np.cos(k * x)

        quarter = optimize.brentq(angle, 0.95 * np.pi / (2 * k), 1.1 * np.pi / (2 * k), xtol=1e-11)
        shifts.append(((np.pi / (2 * quarter) / k) ** 2 - 1) / size**2)
    expected = -2 * k**2 * m**2 / (m**4 - 16 * k**4)
    assert shifts[1] == pytest.approx(expected, rel=0.02)
    assert (shifts[0] - expected) / (shifts[1] - expected) == pytest.approx(4, rel=0.3)


@PHASES
def test_noise_shows_all_frequencies(r):
    """One run gives the whole of Eq. (16), or (17) and the amplitude's, for all waves that are in the noise."""
    start = noisy_field(64, LENGTH, r, size=1e-6, seed=3)
    assert np.std((start[0] - equilibrium_radius(r)).imag) == pytest.approx(1e-6, rel=0.5)
    measured = measured_frequencies(evolve_field(*start, np.arange(0, 60, 0.2), LENGTH, r))
    k = measured.k.values
    assert k.max() == pytest.approx(15 * K)  # half of 32 K, less one
    amplitude = np.sqrt(k**2 + (r if r > 0 else -2 * r))
    # forces of second order are 1e-6 of the first, on waves up to 100 times smaller than the largest; the rest is dt^4
    np.testing.assert_allclose(measured.amplitude, amplitude, atol=2e-4)
    np.testing.assert_allclose(measured.phase[k > 0], amplitude[k > 0] if r > 0 else k[k > 0], atol=2e-4)
    again = noisy_field(64, LENGTH, r, size=1e-6, seed=3)
    np.testing.assert_array_equal(again[0], start[0])
    turned = evolve_field(1j * start[0], start[1], np.arange(0, 60, 0.2), LENGTH, r)
    if r < 0:  # the direction of the equilibrium is found
        np.testing.assert_allclose(measured_frequencies(turned).amplitude, measured.amplitude, atol=1e-8)


# ---- Figure 8 --------------------------------------------------------------------------------------------------------


def test_figure_8():
    """The same bump: for r < 0 it arrives as it was; for r > 0 it has spread as the linear theory says, in which each
    wave has its own frequency."""
    points, length, time, height = 256, 120.0, 50.0, 0.01
    x, k = line(points, length), 2 * np.pi * np.fft.fftfreq(points, length / points)
    bump = height * np.exp(-((x - 30.0) ** 2) / 8)
    start = {r: right_moving_bump(points, length, r, height=height, width=2.0) for r in (1.0, -1.0)}
    end = {r: evolve_field(*bumps, [0.0, time], length, r).phi[-1].values for r, bumps in start.items()}
    for phi, _ in start.values():
        np.testing.assert_allclose(phi.real, bump, atol=1e-17)
    np.testing.assert_allclose(np.abs(start[-1.0][0]), np.sqrt(0.5), rtol=1e-14)
    np.testing.assert_allclose(end[-1.0].real, height * np.exp(-((x - 30.0 - time) ** 2) / 8), atol=1e-12)
    omega = np.sqrt(k**2 + 1)
    linear = np.fft.ifft(np.fft.fft(bump) * (np.cos(omega * time) - 1j * k / omega * np.sin(omega * time)))
    # the cubic force 2 height^3 acts for the time 50
    np.testing.assert_allclose(end[1.0], linear, atol=2 * height**3 * time)
    assert np.abs(end[1.0]).max() < 0.5 * height


def test_drawn_as_computed(tmp_path):
    """Surfaces, maps, snapshots, points and animations show the numbers they are given."""
    run = evolve_field(*right_moving_bump(32, 20.0, -1.0), np.arange(0.0, 4.5, 0.5), 20.0, -1.0)
    with plt.style.context(plots.STYLE):
        figure, (ax, other, third) = plt.subplots(1, 3)
        assert field_plots.space_time(run, ax) is ax
        np.testing.assert_array_equal(ax.collections[0].get_array().ravel(), run.phi.real.values.ravel())
        np.testing.assert_allclose(np.diff(ax.lines[0].get_xdata()), np.diff(ax.lines[0].get_ydata()))
        assert field_plots.snapshots(run, (0.0, 2.1), other) is other
        shown = [line.get_ydata() for line in other.lines if len(line.get_xdata()) == 32]
        np.testing.assert_allclose(shown[0], run.phi[0].real)
        np.testing.assert_allclose(shown[1] - other.get_yticks()[1], run.phi[4].real, atol=1e-15)
        assert shown[1].min() > shown[0].max()
        assert [label.get_text() for label in other.get_yticklabels()] == ["$t = 0$", "$t = 2$"]
        measured = xr.Dataset(
            {name: ("k", value) for name, value in {"amplitude": [1.5, 2.5], "phase": [0.5, 2.0]}.items()}
            | {f"{name}_se": ("k", [0.1, 0.1]) for name in ("amplitude", "phase")},
            {"k": [0.5, 2.0]},
            {"r": -1.0},
        )
        assert field_plots.frequencies(measured, third) is third
        drawn = {line.get_label(): line.get_data() for line in third.lines}
        k, omega = drawn["phase, $|k|$ (17)"]
        np.testing.assert_allclose(omega, k)
        np.testing.assert_allclose(drawn[r"amplitude, $\sqrt{k^2 - 2r}$"][1], np.sqrt(k**2 + 2))
        assert any(np.array_equal(line.get_ydata(), [0.5, 2.0]) for line in third.lines)
        plt.close(figure)
        figure, ax = plt.subplots(subplot_kw={"projection": "3d"})
        assert field_plots.potential_surface(-1.0, ax) is ax
        x, y, height = ax.lines[0].get_data_3d()
        np.testing.assert_allclose(np.hypot(x, y), np.sqrt(0.5))
        np.testing.assert_allclose(height, -0.25)
        plt.close(figure)
        movie = field_plots.animation({"a": run.isel(time=[0, 4])})
        movie.save(tmp_path / "movie.gif", writer="pillow", dpi=30)
        np.testing.assert_array_equal(movie._fig.axes[0].lines[0].get_ydata(), run.phi[4].real)
        plt.close(movie._fig)


# ---- bad input -------------------------------------------------------------------------------------------------------

GOOD = {"phi": np.ones(16), "velocity": np.zeros(16), "time": [0.0, 1.0], "length": 4.0, "r": -1.0}
RUN = evolve_field(**GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phi": np.full(16, np.nan)}, "phi must be finite numbers"),
        ({"phi": np.ones((2, 16))}, r"phi must be one-dimensional, got shape \(2, 16\)"),
        ({"phi": [1.0], "velocity": [0.0]}, "phi must have at least 2 points, got 1"),
        ({"velocity": np.zeros(8)}, r"velocity must have the shape of phi, \(16,\), got \(8,\)"),
        ({"velocity": ["a"] * 16}, "velocity must be finite numbers"),
        ({"time": [0.0, 0.0]}, "time must be an increasing sequence"),
        ({"time": [0.0, np.inf]}, "time must be finite"),
        ({"length": 0.0}, "length must be > 0, got 0"),
        ({"length": [1.0, 2.0]}, "length must be one number"),
        ({"r": np.nan}, "r must be finite"),
        ({"coupling": 0.0}, "coupling must be > 0, got 0"),
        ({"dt": -0.1}, "dt must be > 0, got -0.1"),
        ({"dt": 0.25, "r": 3.0}, r"dt must be at most a quarter of the grid spacing \(0.0625\).*got 0.25"),
        ({"phi": np.full(16, 1e6)}, "dt must be smaller for a field as large as this: it overflowed, got 0.0625"),
    ],
)
def test_evolve_field_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        evolve_field(**GOOD | change)


def test_a_wide_bump_has_no_edge():
    """Around the circle the line has no ends: the steepest part is the bump's own, height/(width sqrt(e))."""
    _, velocity = right_moving_bump(400, 40.0, 1.0, height=0.3, width=5.0)
    assert np.abs(velocity).max() == pytest.approx(0.3 / (5.0 * np.sqrt(np.e)), rel=1e-2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: potential("x", 1.0), "phi must be finite numbers"),
        (lambda: potential(1.0, 1.0, -1.0), "coupling must be > 0, got -1"),
        (lambda: equilibrium_radius([1.0, 2.0]), r"r must be one number, got shape \(2,\)"),
        (lambda: right_moving_bump(1, 1.0, 1.0), "points must be an integer >= 2, got 1"),
        (lambda: right_moving_bump(8, 9.0, -1.0, height=0.8), "height must be < 0.707107.*got 0.8"),
        (lambda: right_moving_bump(8, 9.0, -1.0, width=0.0), "width must be > 0, got 0"),
        (lambda: right_moving_bump(8, 40.0, 1.0, width=6.0), "width must be at most length/8 = 5, got 6"),
        (lambda: right_moving_bump(8, 9.0, -1.0), r"width must be at most length/8 = 1\.125, got 2"),
        (lambda: field_frequencies([[1.0]], 1.0), r"k must be a number or one-dimensional, got shape \(1, 1\)"),
        (lambda: scheme_frequencies(1.0, 1.0, 0.0), "dt must be > 0, got 0"),
        (lambda: scheme_frequencies([1.0, 2.0], 1.0, [0.01, 0.02]), r"dt must be one number, got shape \(2,\)"),
        (lambda: noisy_field(8, 1.0, 1.0, size=[0.1, 0.2]), r"size must be one number, got shape \(2,\)"),
        (lambda: scheme_frequencies(9.0, 1.0, 0.5), "dt must be smaller for waves with k up to 9, got 0.5"),
        (lambda: noisy_field(8, 1.0, 1.0, size=0.0), "size must be > 0, got 0"),
        (lambda: noisy_field(8, 1.0, 1.0, seed=-1), "seed must be an integer >= 0, got -1"),
        (lambda: measured_frequencies(RUN), "run must have three or more equally spaced times, got 2"),
        (lambda: measured_frequencies(evolve_field(**GOOD | {"time": [0, 1, 3]})), "equally spaced times"),
        (lambda: measured_frequencies(evolve_field(**GOOD | {"time": [0, 50, 100]})), "run must have small waves"),
    ],
)
def test_the_others_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()
