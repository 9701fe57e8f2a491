import numpy as np
import pytest
import torch

import meanfield
from simulate.tangents import generators
from training.recurrent import CapsuleRNN
from training.recurrent.autonomous import (
    _Network,
    autocorrelation,
    lyapunov_spectrum,
    neutral_exponents,
    stationary_overlap,
)

EQUIVARIANT = ("U(1)", "O(2)", "O(3)")


@pytest.mark.parametrize(("symmetry", "k", "width"), [("O(2)", 2, 4), ("O(3)", 3, 5), ("O(5)", 5, 3), ("O(4)", 4, 1)])
@pytest.mark.parametrize("rank", range(6))
def test_orbits_have_as_many_dimensions_as_predicted(symmetry, k, width, rank):
    """The rank of all tangents A h of a state h of that rank."""
    if rank > min(k, width):
        return
    rng = np.random.default_rng(0)
    state = rng.standard_normal((width, rank)) @ rng.standard_normal((rank, k))
    tangents = np.stack([(state @ a.T).ravel() for a in generators(k)])
    assert np.linalg.matrix_rank(tangents) == neutral_exponents(symmetry, rank)


def test_counts():
    assert [neutral_exponents("U(1)", r) for r in (0, 1)] == [0, 1]
    assert [neutral_exponents("O(4)", r) for r in range(5)] == [0, 3, 5, 6, 6]
    assert neutral_exponents("generic(3)", 3) == neutral_exponents("O(1)", 1) == 0


@pytest.mark.parametrize("symmetry", EQUIVARIANT)
def test_group_tangents_are_carried_to_group_tangents(symmetry):
    """J(h^t) A h^t = A h^{t+1} to rounding, for all generators."""
    network = _Network(2.5, symmetry, 6, 2, "tanh", 0)
    k = network.symmetry.capsule_dimension

    def tangents():
        columns = [(torch.from_numpy(a) @ network.state).flatten(1) for a in generators(k)]
        return torch.stack(columns, -1)

    for _ in range(5):
        carried = network.advance(tangents())
        torch.testing.assert_close(carried, tangents(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_jacobian_by_differences(symmetry):
    network = _Network(2.0, symmetry, 4, 1, "tanh", 3)
    start, size = network.state.clone(), network.state.numel()
    jacobian = network.advance(torch.eye(size, dtype=torch.float64)[None])[0]
    for column in range(size):
        ends = []
        for sign in (1, -1):
            network.state = start.clone()
            network.state.view(-1)[column] += sign * 1e-6
            ends.append(network.advance().flatten())
        np.testing.assert_allclose(jacobian[:, column], (ends[0] - ends[1]) / 2e-6, atol=1e-8)


@pytest.mark.parametrize(("symmetry", "width"), [("U(1)", 5), ("O(2)", 5), ("O(3)", 5), ("O(4)", 2)])
def test_symmetry_makes_neutral_exponents(symmetry, width):
    """As many exponents vanish as predicted from the rank of the state, or more: a few networks end on a torus."""
    result = lyapunov_spectrum(6.0, symmetry, width=width, steps=4000, transient=500, n_networks=12)
    zero = (np.abs(result.exponent.values) < 3e-3).sum(1)
    assert np.all(result.neutral.values >= 1)
    assert np.all(zero >= result.neutral.values)
    assert (zero == result.neutral.values).sum() >= 9


@pytest.mark.parametrize("k", [2, 3])
def test_generic_networks_lack_them(k):
    result = lyapunov_spectrum(6.0, f"generic({k})", width=5, steps=4000, transient=500, n_networks=12)
    assert np.all(result.neutral.values == 0)
    assert (np.abs(result.exponent.values) > 3e-3).all(1).sum() >= 9


def test_six_neutral_exponents_of_twelve():
    """A narrow O(4) network, whose weights mix the identity's columns little: aligning those would take thousands of
    steps.
    """
    found = lyapunov_spectrum(2.2, "O(4)", width=3, steps=800, n_networks=12, seed=5).isel(network=6)
    assert found.neutral == 6
    assert np.abs(found.exponent[:6]).max() < 1e-3
    assert found.exponent[6] < -0.1


def test_neutral_exponents_vanish_as_one_over_steps():
    short, long = (lyapunov_spectrum(6.0, width=5, steps=steps, transient=100, n_networks=12) for steps in (250, 2000))
    sizes = [np.abs(result.exponent.values).min(1).max() for result in (short, long)]
    assert sizes[1] < sizes[0] / 4


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_wide_chaotic_networks_have_the_exponents_of_fresh_weights(symmetry):
    """Though theirs are tied: of all directions a share m grows faster than with the theory's lambda(m). Seven times
    the width leaves less than a third of what narrow ones, which are less chaotic, are off by."""
    shares, gaps = np.array([0.05, 0.1, 0.2, 0.5, 0.8]), []
    exponents = meanfield.lyapunov_exponents(shares, 4.0, symmetry).exponent.values
    for width, n_networks in ((20, 8), (140, 1)):
        found = lyapunov_spectrum(
            4.0, symmetry, width=width, steps=200, transient=100, n_networks=n_networks, seed=3
        ).exponent.values
        gaps.append(np.abs((found[:, :, None] > exponents).mean((0, 1)) - shares).max())
    assert gaps[1] < gaps[0] / 3.0
    assert gaps[1] < 0.015


def test_dead_networks_have_the_exponents_of_their_weights():
    """Below the transition h dies, J becomes W, and exponents are log |eigenvalues of W|, each k times for O(k)."""
    result = lyapunov_spectrum(0.6, "O(2)", width=5, steps=2000, transient=0, n_networks=1)
    weights = _Network(0.6, "O(2)", 5, 1, "tanh", 0)._weights[0].numpy()
    wanted = np.sort(np.repeat(np.log(np.abs(np.linalg.eigvals(weights))), 2))[::-1]
    np.testing.assert_allclose(result.exponent[0], wanted, atol=0.01)
    assert wanted[0] < 0
    assert result.neutral.values.tolist() == result["rank"].values.tolist() == [0]
    assert result.c.values[0] < 0.1


@pytest.mark.parametrize(("least", "rank"), [(1e-8, 2), (1e-12, 1)])
def test_the_rank_is_relative_to_the_size_of_the_state(least, rank):
    """Of a state that has shrunk, but is not dead."""
    network = _Network(1.0, "O(2)", 4, 1, "tanh", 0)
    network.state.zero_()
    network.state[0, 0, 0], network.state[0, 1, 1] = 1e-5, least
    assert network.ranks() == [rank]


@pytest.mark.parametrize("transient", [0, 15])
def test_volume_shrinks_by_the_determinants(transient):
    """The sum of all exponents is the mean of log |det J|, J the product of phi's derivative and W."""
    steps = 40
    result = lyapunov_spectrum(1.7, "O(3)", width=4, steps=steps, transient=transient, n_networks=1)
    network = _Network(1.7, "O(3)", 4, 1, "tanh", 0)
    log_det, c = [], []
    for _ in range(transient + steps):
        network.advance()
        y = network.state.norm(dim=-2).flatten().numpy()  # |phi| = tanh r
        r = np.arctanh(y)
        log_det.append(3 * np.linalg.slogdet(network._weights[0].numpy())[1])
        log_det[-1] += np.sum(np.log(1 - y**2) + 2 * np.log(y / r))
        c.append(np.sum(y**2) / 4)
    np.testing.assert_allclose(result.exponent.sum(), np.mean(log_det[transient:]), rtol=1e-9)
    np.testing.assert_allclose(result.c[0], np.mean(c[transient:]), rtol=1e-12)


@pytest.mark.parametrize(
    ("symmetry", "sigma_w", "narrow"),
    # narrow O(3) networks are now and then not chaotic
    [("U(1)", 2.5, 250), ("U(1)", 4.0, 250), ("O(3)", 6.0, 500), ("generic(2)", 4.0, 250)],
)
def test_autocorrelation_is_noise_of_the_predicted_size(symmetry, sigma_w, narrow):
    """N E|Delta/c|^2 at lags 1 to 4 against 1/(n (1 - chi_Delta^2)), in wide networks; C from half the width."""
    chi = np.exp(-1.0 / meanfield.depth_scales(sigma_w, symmetry=symmetry).xi_delta)
    expected = 1.0 / (1.0 - chi**2) / {"U(1)": 1, "O(3)": 3, "generic(2)": 2}[symmetry]
    assert stationary_overlap(sigma_w, symmetry, width=500) == pytest.approx(expected / 500, rel=1e-9)
    means, errors = [], []
    for width, networks in ((narrow, 12), (2 * narrow, 6)):
        result = autocorrelation(
            sigma_w, symmetry, width=width, lags=4, steps=100, transient=50, n_networks=networks, seed=1
        )
        assert np.allclose(result.square.sel(lag=0), 1.0)
        values = width * result.square.sel(lag=slice(1, 4)).mean("lag")
        means.append(float(values.mean()))
        errors.append(float(values.std(ddof=1)) / np.sqrt(networks))
    # a correction C/N, from both widths; the wider one has half of what the narrower one has
    correction = abs(means[0] - means[1])
    assert abs(means[1] - expected) <= 5.0 * np.hypot(*errors) + correction
    assert np.hypot(*errors) < 0.5 * means[1]


def test_autocorrelation_by_hand():
    result = autocorrelation(1.5, "U(1)", width=4, lags=2, steps=3, transient=2, n_networks=2, seed=5)
    network = _Network(1.5, "U(1)", 4, 2, "tanh", 5)
    states = []
    for _ in range(7):
        states.append(torch.view_as_complex(network.state[..., 0].clone()).numpy())
        network.advance()
    path = np.stack(states)[2:]
    for lag in range(3):
        pairs = [(path[t], path[t + lag]) for t in range(3)]
        values = [abs((a.conj() * b).sum(1)) / np.sqrt((abs(a) ** 2).sum(1) * (abs(b) ** 2).sum(1)) for a, b in pairs]
        np.testing.assert_allclose(result.overlap.sel(lag=lag), np.mean(values, 0), rtol=1e-12)
        np.testing.assert_allclose(result.square.sel(lag=lag), np.mean(np.square(values), 0), rtol=1e-12)
    assert autocorrelation(2.0, "O(3)", width=4, lags=1, steps=2).overlap.sel(lag=0).item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: neutral_exponents("O(3)", 4), r"rank must be at most 3 for O\(3\), got 4"),
        (lambda: neutral_exponents("U(1)", 2), "rank must be at most 1"),
        (lambda: lyapunov_spectrum(1.5, width=0, steps=5), "width must be an integer >= 1"),
        (lambda: lyapunov_spectrum(1.5, width=3, steps=0), "steps must be an integer >= 1"),
        (lambda: lyapunov_spectrum(-1.5, width=3, steps=5), "sigma_w must be >= 0"),
        (lambda: autocorrelation(1.5, width=3, lags=-1, steps=5), "lags must be an integer >= 0"),
        (
            lambda: autocorrelation(0.1, width=4, lags=2, steps=5),
            "broken phase.* got 0.1: states died out",
        ),
        (
            lambda: autocorrelation(0.7, width=64, lags=2, steps=5),
            "broken phase.* got 0.7: states died out",
        ),
        (
            lambda: autocorrelation([1.5, 2.0], width=3, lags=1, steps=5),
            r"sigma_w must be one number, got shape \(2,\)",
        ),
        (lambda: lyapunov_spectrum(0.0, width=3, steps=5, activation="saturated"), "sigma_w must be > 0, got 0"),
        (
            lambda: lyapunov_spectrum(1.5, width=3, steps=5, seed=2**32),
            r"seed must be at most 2\^32 - 1, .* 4294967296",
        ),
        (lambda: stationary_overlap(0.9, width=3), "sigma_w must be in the broken phase, got 0.9"),
    ],
)
def test_bad_input(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_blank_with_weights_is_a_bias():
    """Two histories that hear one and the same token at every step, with tied weights: `meanfield.trajectory` with
    biases, extrapolated from two widths."""
    sigma_w, sigma_b, steps = 1.5, 0.3, 8
    c = float(meanfield.fixed_point(sigma_w).c)
    found = []
    for width, count in ((64, 800), (256, 200)):
        generator = torch.Generator().manual_seed(width)
        products = []
        for _ in range(count):
            layer = CapsuleRNN(1, width, "U(1)").requires_grad_(False)
            layer.recurrent.normal_(0.0, sigma_w / (2 * width) ** 0.5, generator=generator)
            layer.encoder.normal_(0.0, sigma_b / 2**0.5, generator=generator)
            one, two = torch.randn(2, width, dtype=torch.complex64, generator=generator) * c**0.5
            start = torch.stack([one * np.exp(1j), 0.8 * one + 0.6 * two])
            states, _ = layer(torch.ones(2, steps, 1), torch.cat([start.real, start.imag], 1)[None])
            h = torch.complex(*layer.capsules(states).unbind(-2))
            products.append((h[0] * h[1].conj()).mean(-1))
        products = torch.stack(products)
        mean = products.mean(0)
        turned = products * mean.conj() / mean.abs()
        found.append((mean.angle(), turned.imag.std(0) / count**0.5 / mean.abs()))
    (narrow, narrow_error), (wide, wide_error) = found
    phase, error = (4.0 * wide - narrow) / 3.0, torch.hypot(4.0 * wide_error, narrow_error) / 3.0
    run = meanfield.trajectory(steps, sigma_w, c=c, delta=0.8 * c, phi=1.0, sigma_b=sigma_b)
    theory = torch.from_numpy(run.phi.values[1:])
    assert ((phase - theory).abs() / error).max() < 4.0
    assert error.max() < 0.03  # the phase falls by far more
    assert theory[-1] < 0.7


def test_a_blank_with_weights_ends_the_memory_of_the_identity():
    """Each capsule is alone with its field b: |h| settles at (3b)^(1/3), angles fade over 3^(1/3) b^(-2/3) steps, and
    lengths over a third of that, to leading order in b."""
    b = 1e-5
    layer = CapsuleRNN(1, 1, "U(1)", recurrent="identity").double().requires_grad_(False)
    layer.encoder.copy_(torch.tensor([[b], [0.0]]))
    silence = torch.ones(3, 20_000, 1, dtype=torch.float64)
    size = (3.0 * b) ** (1.0 / 3.0)
    starts = size * torch.tensor([[1.0, 0.0], [np.cos(0.01), np.sin(0.01)], [1.01, 0.0]], dtype=torch.float64)
    states = layer(silence, starts[None])[0]
    assert states[0, -1, 0] == pytest.approx(size, rel=0.01)
    steps = 3.0 ** (1.0 / 3.0) * b ** (-2.0 / 3.0)
    angle = torch.atan2(states[1, :, 1], states[1, :, 0])
    length = (states[2] - states[0]).norm(dim=-1)
    for fading, scale in ((angle, steps), (length, steps / 3.0)):
        early, late = int(scale / 2), int(1.5 * scale)
        assert (late - early) / torch.log(fading[early] / fading[late]) == pytest.approx(scale, rel=0.02)
