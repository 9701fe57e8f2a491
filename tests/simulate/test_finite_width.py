"""The theory of width N against sampled networks: at N and 2 N, so that what is left of order 1/N beyond it drops out.

Statements are about N times a quantity of order 1/N. With its estimates q_N and q_2N at two widths, 2 q_2N - q_N is its
limit up to order 1/N^2, which is below the standard errors here. Five standard errors are allowed.
"""

import numpy as np
import pytest

from meanfield import Ensemble, as_gram, as_symmetry, depth_scales, fixed_point, length_map
from meanfield.anisotropy import anisotropy_trajectory
from meanfield.finite_width import finite_width_transition
from meanfield.fluctuations import fluctuation_trajectory, fluctuations
from meanfield.overlap_fluctuations import overlap_fluctuations
from meanfield.phase_diffusion import phase_diffusion
from simulate import plane_rotation, sample_networks
from simulate.collective import sample_collective
from simulate.observables import cross_block, group_element, order_parameters, overlap, summary, turn
from simulate.statistics import Estimate, extrapolate

SAMPLERS = {"networks": sample_networks, "collective": sample_collective}
OPTIONS = {"dtype": "float64", "device": "cpu"}
ONE = np.ones((1, 1))


def pair(overlap: float) -> np.ndarray:
    """Two unit vectors."""
    return np.array([[1.0, 0.0], [overlap, np.sqrt(1.0 - overlap**2)]])


def deviation(narrow: np.ndarray, wide: np.ndarray, expected) -> np.ndarray:
    """How many standard errors 2 q_2N - q_N is off; rows are networks."""
    found = extrapolate(Estimate.from_samples(narrow), Estimate.from_samples(wide))
    return np.abs(found.value - expected) / found.standard_error


def agrees(narrow: np.ndarray, wide: np.ndarray, expected: float) -> bool:
    """Whether N times a quantity is `expected` in the wide networks: within five standard errors and the C/N that is
    left of it there, which is what it changes by from half the width.
    """
    before, found = Estimate.from_samples(narrow), Estimate.from_samples(wide)
    return abs(found.value - expected) < 5 * found.standard_error + abs(found.value - before.value)


def sample_c(sampler, symmetry, width, n_networks, depth=5, sigma_w=1.5):
    """c of independent networks, shape (network, layer), after a random input layer with d = 1."""
    return SAMPLERS[sampler](
        Ensemble(symmetry, "tanh", sigma_w), ONE, width=width, depth=depth, n_networks=n_networks, seed=width, **OPTIONS
    )


def without_linear_noise(c: np.ndarray, mean: np.ndarray, symmetry: str, sigma_w: float) -> np.ndarray:
    """c - mean, less a variable that follows it and whose mean is exactly 0, so that shifts stand out.

    Without anisotropy E(c_{l+1} | c_l) is F(c_l) at every width; so y_{l+1} = chi y_l + c_{l+1} - F(c_l) has mean 0.
    """
    slope = [(length_map(m + 1e-4, sigma_w, symmetry) - length_map(m - 1e-4, sigma_w, symmetry)) / 2e-4 for m in mean]
    y = c - mean
    for layer in range(1, c.shape[1]):
        y[:, layer] = slope[layer - 1] * y[:, layer - 1] + c[:, layer]
        y[:, layer] -= length_map(c[:, layer - 1], sigma_w, symmetry)
    return c - mean - y


def with_less_noise(samples, mean: np.ndarray, symmetry: str, sigma_w: float) -> np.ndarray:
    """c - mean for any symmetry, less a variable of mean 0: E(d_{l+1} | layer l) = sigma_w^2 c_l at every width."""
    c, d = order_parameters(samples)[:, 0, :, 0], samples.d.values[:, 0, :, 0]
    states = np.concatenate([[1.0], sigma_w**2 * mean[:-1]])
    slope = [(length_map(s + 1e-4, 1.0, symmetry) - length_map(s - 1e-4, 1.0, symmetry)) / 2e-4 for s in states]
    y = slope[0] * (d - 1.0)
    for layer in range(1, c.shape[1]):
        y[:, layer] = slope[layer] * (sigma_w**2 * (y[:, layer - 1] - c[:, layer - 1]) + d[:, layer])
    return c - mean - y


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("symmetry", ["U(1)", "O(1)", "generic(3)"])
def test_fluctuations_without_anisotropy(sampler, symmetry):
    theory = fluctuation_trajectory(5, 1, 1.5, d=1.0, symmetry=symmetry)
    squares, shifts = [], []
    for width in (24, 48):
        c = order_parameters(sample_c(sampler, symmetry, width, 800))[:, 0, :, 0]
        squares.append(width * (c - theory.c.values) ** 2)
        shifts.append(width * without_linear_noise(c, theory.c.values, symmetry, 1.5)[:, 1:])
    assert deviation(*squares, theory.var_c.values).max() < 5.0
    assert deviation(*shifts, theory.mean_shift.values[1:]).max() < 5.0
    assert deviation(*shifts, 0.0).max() > 7.0  # the comparison can fail


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_fluctuations_with_anisotropy(sampler):
    """O(3): Var c, E tr T^2, and a mean shift that is mostly due to T."""
    theory, alone = (fluctuation_trajectory(5, 1, 1.5, d=1.0, symmetry=s) for s in ("O(3)", "generic(3)"))
    squares, shifts, spreads = [], [], []
    for width in (40, 80):
        samples = sample_c(sampler, "O(3)", width, 2500)
        gram, c = samples.gram.values[:, 0], order_parameters(samples)[:, 0, :, 0]
        t = 3.0 * gram / c[..., None, None] - np.eye(3)
        squares.append(width * (c - theory.c.values) ** 2)
        shifts.append(width * with_less_noise(samples, theory.c.values, "O(3)", 1.5))
        spreads.append(width * np.sum(t**2, axis=(-1, -2)))
    assert deviation(*squares, theory.var_c.values).max() < 5.0
    assert deviation(*spreads, theory.anisotropy.values).max() < 5.0
    assert deviation(*shifts, theory.mean_shift.values).max() < 5.0
    assert deviation(*shifts, alone.mean_shift.values).max() > 7.0  # without T's part


@pytest.mark.parametrize("symmetry", ["U(1)", "O(2)"])
def test_deep_networks_scatter_about_the_fixed_point(symmetry):
    theory = fluctuations(1, 1.5, symmetry)
    squares = []
    for width in (128, 256):
        c = order_parameters(sample_c("collective", symmetry, width, 2500, depth=12))[:, 0, -1, 0]
        squares.append(width * (c - float(theory.c)) ** 2)
    assert agrees(*squares, float(theory.var_c))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("symmetry", "widths"), [("U(1)", (48, 96)), ("O(3)", (48, 96)), ("O(5)", (80, 160))])
def test_phases_and_polar_factors_diffuse(sampler, symmetry, widths):
    """N times the variance of the angles between the polar factor and the group element that the inputs differ by."""
    k = as_symmetry(symmetry).capsule_dimension
    turn = plane_rotation(k, 2.0)
    theory = phase_diffusion(4, 1, 1.5, d=1.0, delta=0.8, symmetry=symmetry)
    squares = []
    for width in widths:
        samples = SAMPLERS[sampler](
            Ensemble(symmetry),
            pair(0.8),
            width=width,
            depth=4,
            n_networks=1200,
            seed=width,
            group_elements=np.stack([turn, np.eye(k)]),
            **OPTIONS,
        )
        factor = turn.T @ group_element(cross_block(samples)[:, 0], as_symmetry(symmetry))
        angles = 0.5 * (factor - np.swapaxes(factor, -1, -2))  # their sines, up to order 1/N
        squares.append(width * np.sum(angles**2, axis=(-1, -2)) / 2.0)
    assert deviation(*squares, theory.generators * theory.variance.values).max() < 5.0


def test_a_known_start_adds_no_variance():
    """U(1), c = c*, rho = 0.9: N times the accumulated variance is 2.1 at layer 10, 7.5 at layer 20."""
    c, layers = float(fixed_point(1.5).c), (1, 10, 20)
    theory = phase_diffusion(20, 1, 1.5, c=c, one_minus_rho=0.1).variance.values
    narrow, wide = (squares_of_phases(width, 2500, layers, c) for width in (256, 512))
    for layer in layers:
        assert agrees(narrow[layer], wide[layer], theory[layer])


def squares_of_phases(width: int, n_networks: int, layers: tuple[int, ...], c: float) -> dict[int, np.ndarray]:
    """N phi^2 of each network by layer, from the chain of Gram matrices, written down once more."""
    rng = np.random.default_rng(width)
    gram = np.broadcast_to(c * np.array([[1.0, 0.9], [0.9, 1.0]], complex), (n_networks, 2, 2))
    found = {}
    for layer in range(1, max(layers) + 1):
        noise = rng.standard_normal((2, n_networks, 2, width), np.float32) / np.sqrt(2.0)
        z = 1.5 * np.linalg.cholesky(gram) @ (noise[0] + 1j * noise[1])
        phi = np.tanh(np.abs(z)) * z / np.abs(z)
        gram = phi @ np.conj(np.swapaxes(phi, 1, 2)) / width
        if layer in layers:
            found[layer] = width * np.angle(gram[:, 0, 1]) ** 2
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_linear_networks_neither_grow_nor_die_at_the_transition(sampler, symmetry):
    """The logarithm of one component's power (for O(k); of all, otherwise) takes steps of mean 0, exactly."""
    sigma_w = float(finite_width_transition(4, symmetry))
    samples = SAMPLERS[sampler](
        Ensemble(symmetry, "linear", sigma_w), ONE, width=4, depth=8, n_networks=1500, seed=1, **OPTIONS
    )
    power = samples.gram.values[:, 0, :, 0, 0] if symmetry == "O(3)" else order_parameters(samples)[:, 0, :, 0]
    drift = Estimate.from_samples(np.log(power[:, -1] / power[:, 0]) / 8)
    assert abs(drift.value) < 5 * drift.standard_error
    assert 2 * np.log(sigma_w) > 10 * drift.standard_error  # what the drift would be off by at sigma_w = 1


@pytest.mark.parametrize(("sigma_w", "alive"), [(1.02, False), (1.2, True)])
def test_narrow_networks_die_below_their_own_transition(sigma_w, alive):
    """U(1), N = 4: 1.067. The drift of log c is -0.09 and 0.23 a layer, its scatter 0.5."""
    assert (sigma_w > finite_width_transition(4)) == alive
    c = order_parameters(sample_c("collective", "U(1)", 4, 64, depth=400, sigma_w=sigma_w))[:, 0, -1, 0]
    assert np.median(c) > 1e-2 if alive else np.median(c) < 1e-8


def anisotropic_networks(width: int, n_networks: int, depth: int, start: np.ndarray, sigma_w: float) -> np.ndarray:
    """Gram matrices (network, layer, 3, 3) of explicit O(3) networks whose layer 0 is anisotropic."""
    rng = np.random.default_rng(width)
    z = rng.normal(size=(n_networks, width, 3)) @ np.linalg.cholesky(start).T
    grams = []
    for _ in range(depth + 1):
        r = np.sqrt(np.sum(z**2, axis=-1, keepdims=True))
        phi = np.tanh(r) * z / r
        grams.append(np.swapaxes(phi, 1, 2) @ phi / width)
        z = sigma_w / np.sqrt(width) * rng.normal(size=(n_networks, width, width)) @ phi
    return np.stack(grams, axis=1)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_anisotropic_input_relaxes(sampler):
    start = np.array([[1.2, 0.3, 0.0], [0.3, 0.5, -0.1], [0.0, -0.1, 0.2]])
    first = anisotropy_trajectory(1, start, 1.0).gram[1].values
    expected = anisotropy_trajectory(4, first, 1.5).gram.values
    grams = []
    for width in (60, 120):
        if sampler == "networks":
            grams.append(anisotropic_networks(width, 400, 4, start, 1.5))
        else:
            options = {"width": width, "depth": 4, "n_networks": 2000, "seed": width, **OPTIONS}
            grams.append(sample_collective(Ensemble("O(3)", "tanh", 1.5), gram=start, **options).gram.values[:, 0])
    assert deviation(*grams, expected).max() < 5.0


def test_behind_the_readable_depth_the_phase_fades_slowly():
    """The numbers in `readable_depth`'s docstring: |E exp(i phi)|, where theory's variance is no longer good."""
    sigma_w, delta = 1.4, 0.8
    d = sigma_w**2 * float(fixed_point(sigma_w).c)
    start = d / 2.0 * np.kron([[1.0, delta], [delta, 1.0]], np.eye(2))
    for width, told in ((64, 0.3), (256, 0.1)):
        variance = phase_diffusion(130, width, sigma_w, d=d, delta=delta * d).variance.values
        depth = int(np.argmax(variance >= 1.0))
        options = {"width": width, "depth": 2 * depth, "n_networks": 800, "seed": width, **OPTIONS}
        q = cross_block(sample_collective(Ensemble("U(1)", "tanh", sigma_w), gram=start, **options))[:, 0]
        phase = np.arctan2(turn(q), overlap(q))
        left = np.abs(np.exp(1j * phase).mean(axis=0))
        error = 1.0 / np.sqrt(800)  # at most
        assert abs(left[depth] - np.exp(-0.5)) < 0.05 + 3 * error
        assert abs(left[-1] - told) < 0.05 + 2 * error
        assert np.exp(-variance[2 * depth] / 2.0) < 1e-3


def overlaps(sampler, symmetry, sigma_w, width, depth, n_networks, delta):
    """tr(P^T Q) of each network in the frame of its inputs and in its own, and both c; d = 1, E z_1 z_2 = delta."""
    symmetry = as_symmetry(symmetry)
    options = {"width": width, "depth": depth, "n_networks": n_networks, "seed": width, **OPTIONS}
    samples = SAMPLERS[sampler](Ensemble(symmetry, "tanh", sigma_w), pair(delta), **options)
    q, c = cross_block(samples)[:, 0], order_parameters(samples)[:, 0]
    own = overlap(np.swapaxes(group_element(q, symmetry), -1, -2) @ q)
    return overlap(q), np.abs(own), c


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)", "O(1)"])
def test_the_overlap_scatters(sampler, symmetry):
    """N times second moments, and what |C_12| exceeds Delta by, at layers where it is sharp."""
    theory = overlap_fluctuations(8, 1, 1.5, d=1.0, delta=0.8, symmetry=symmetry)
    layers, by_width = [0, 1, 3, 8], []
    for width in (100, 200):
        _, size, c = (each[:, layers] for each in overlaps(sampler, symmetry, 1.5, width, 8, 1200, 0.8))
        e, e_1, e_2 = (each - each.mean(axis=0) for each in (size, c[..., 0], c[..., 1]))
        products = np.stack([e * e, e * e_1, e_1 * e_2], axis=1) * 1200 / 1199
        by_width.append(width * np.concatenate([products, (size - theory.delta.values[layers])[:, None]], axis=1))
    names = ("var_magnitude", "cov_c_magnitude", "cov_c", "magnitude_shift")
    expected = np.stack([theory[name].values[layers] for name in names])
    assert deviation(*by_width, expected).max() < 5.0


@pytest.mark.parametrize(("symmetry", "sigma_w"), [("U(1)", 1.4), ("O(3)", 1.3)])
def test_the_mean_overlap_deviates_with_depth(symmetry, sigma_w):
    """For U(1) by 16 % at layer 60 of networks of 200 capsules: as theory says, though single ones scatter more."""
    layers = [20, 40, 60]
    theory = overlap_fluctuations(60, 1, sigma_w, d=1.0, delta=0.8, symmetry=symmetry).isel(layer=layers)
    by_width = [
        width * (overlaps("collective", symmetry, sigma_w, width, 60, 6000, 0.8)[0][:, layers] - theory.delta.values)
        for width in (100, 200)
    ]
    expected = theory.delta_shift.values
    assert deviation(*by_width, expected).max() < 4.5
    assert deviation(*by_width, 0.0)[-1] > 3.0  # there is something to be seen
    assert np.all(np.diff(expected / theory.delta.values) > 0.0)
    if symmetry == "U(1)":
        assert expected[-1] / (200 * theory.delta.values[-1]) == pytest.approx(0.16, abs=0.005)


@pytest.mark.parametrize(
    ("symmetry", "sigma_w", "last"), [("U(1)", 1.5, 10), ("O(3)", 1.3, 7), ("generic(2)", 1.5, 11)]
)
def test_where_wide_networks_end(symmetry, sigma_w, last):
    """As `meanfield.overlap_fluctuations` says: up to there the variance is at most two fifths too large at width 64,
    and the mean 2 % off; 30 layers deeper the variance is four fifths too large and more. Within 3 standard errors.
    """
    theory = overlap_fluctuations(last + 30, 64, sigma_w, d=1.0, delta=0.8, symmetry=symmetry)
    np.testing.assert_array_equal(theory.wide, theory.layer <= last)
    _, size, _ = overlaps("collective", symmetry, sigma_w, 64, last + 30, 3000, 0.8)
    mean, mean_error = size.mean(axis=0), size.std(axis=0) / np.sqrt(3000)
    squares = (size - mean) ** 2
    variance, error = squares.mean(axis=0), squares.std(axis=0) / np.sqrt(3000)
    excess, error = theory.var_magnitude.values / variance - 1.0, error / variance
    off, mean_error = (theory.delta + theory.magnitude_shift).values / mean - 1.0, mean_error / mean
    good = slice(0, last + 1)
    assert np.all(excess[good] < 0.4 + 3.0 * error[good])
    assert np.all(excess[good] > -3.0 * error[good])
    assert np.all(np.abs(off[good]) < 0.02 + 3.0 * mean_error[good])
    assert excess[-1] > 0.8 + 3.0 * error[-1]


def test_how_far_the_leading_order_of_the_phase_s_variance_goes():
    """As `meanfield.phase_diffusion` says: within 5 % at first; networks have a fifth or so on top where `wide` ends,
    and two fifths or more at 0.25.
    """
    ensemble, depth, width = Ensemble("U(1)", "tanh", 1.4), 30, 128
    samples = sample_collective(
        ensemble, gram=as_gram(1.0, 0.8), width=width, depth=depth, n_networks=4000, device="cpu"
    )
    found = summary(samples).isel(sigma_w=0)
    expected = phase_diffusion(depth, width, 1.4, d=1.0, delta=0.8)
    variance, last = expected.variance.values, int(expected.wide.sum()) - 1
    assert width > 4.0 * depth_scales(1.4).xi_delta
    early, middle, late = (
        (found.drift_var[at], found.drift_var_se[at], variance[at] - variance[0]) for at in (10, last, 30)
    )
    assert late[2] == pytest.approx(0.25, abs=0.01)
    measured, error, theory = map(float, early)
    assert abs(measured / theory - 1.0) < 0.05 + 3.0 * error / theory
    measured, error, theory = map(float, middle)
    assert variance[last] == pytest.approx(0.1, abs=0.01)
    assert abs(measured / theory - 1.2) < 0.05 + 3.0 * error / theory
    measured, error, theory = map(float, late)
    assert 1.4 - 3.0 * error / theory < measured / theory < 1.5 + 3.0 * error / theory
    assert error / theory < 0.07
