"""The README's figure: both models follow their theory, and only the symmetric one keeps the phase."""

import itertools
import sys

import numpy as np
import pytest

import simulate.__main__ as command_line
from meanfield import precise
from meanfield.fluctuations import fluctuation_trajectory
from simulate import load_images
from simulate.blocks import PartialResultWarning
from simulate.glance import MODELS, glance, plot_glance

SIZES = {"width": 128, "depth": 8, "n_networks": 128, "device": "cpu"}


@pytest.fixture(scope="module")
def inputs():
    return load_images().features([0, 10])


@pytest.fixture(scope="module")
def data(inputs):
    return glance(inputs, **SIZES)


@pytest.fixture(scope="module")
def narrow(inputs):
    """Networks of half the width, independent of the others."""
    return glance(inputs, **(SIZES | {"width": SIZES["width"] // 2, "seed": 1}))


def test_only_the_symmetry_keeps_the_phase(data):
    assert list(data.model.values) == list(MODELS)
    start = data.isel(layer=0)
    assert np.all(np.abs(start.phi - 1.0) < 5 * start.phi_se)
    assert np.all(start.phi_se < 0.004)
    deep = data.isel(layer=slice(1, None))
    for model, phi in zip(MODELS, (1.0, 0.0), strict=True):
        one = deep.sel(model=model)
        assert np.all(np.abs(one.phi - phi) < 5 * one.phi_se)
        np.testing.assert_allclose(one.phi_theory, phi, atol=1e-14)
        assert np.all(one.phi_se > 1e-4)


def test_samples_lie_on_the_theory(data, narrow):
    """Of Delta two widths remove order 1/N. c may leave c*, whose fifteen digits are another route's, by twice what
    theory gives for it, since what is left after that is smaller.
    """
    wide = 2.0 * data.delta - narrow.delta
    assert np.all(np.abs(wide - data.delta_theory) < 5 * np.hypot(2.0 * data.delta_se, narrow.delta_se))
    exact = float(precise.fixed_point(2.0, digits=15))
    at = data.sel(sigma_w=2.0)
    shift = [fluctuation_trajectory(SIZES["depth"], SIZES["width"], 2.0, d=1.0, symmetry=s).mean_shift for s in MODELS]
    assert np.all(np.abs(at.c - exact) < 5 * at.c_se + 2 * np.abs([float(each[-1]) for each in shift]))
    # below the transition c falls by sigma_w^2 in each of the layers and starts below 1
    assert np.all(data.c.sel(sigma_w=0.6) < 0.36 ** SIZES["depth"] * 1.1)


def test_what_the_models_have_in_common(data):
    assert data.attrs["symmetry"] == "U(1), generic(2)"
    assert [data.attrs[name] for name in ("seed", "partial", "width", "depth", "n_networks")] == [0, 0, 128, 8, 128]


def test_an_eighth_of_the_networks_is_taken_across_sigma_w(inputs):
    counted = []
    glance(inputs, width=4, depth=1, n_networks=48, device="cpu", progress=counted.append)
    assert counted == [6, 16, 16, 16, 6, 16, 16, 16]


def test_a_part_that_was_stopped_shows(inputs):
    """Ctrl-C while U(1) networks follow the two inputs; all others are finished."""
    calls = []

    def stop(finished):
        calls.append(finished)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.warns(PartialResultWarning, match="32 of 64 networks"):
        data = glance(inputs, width=4, depth=2, n_networks=64, device="cpu", progress=stop)
    assert (data.attrs["partial"], data.attrs["n_networks"]) == (1, 32)


def test_every_model_of_every_seed_has_its_own_random_numbers(data, inputs):
    other = glance(inputs, **SIZES, seed=1)
    assert (data.attrs["seed"], other.attrs["seed"]) == (0, 1)
    c = np.concatenate([one.c.sel(sigma_w=slice(1.2, None)).values for one in (data, other)])
    for i, j in itertools.combinations(range(4), 2):
        assert np.all(np.abs(c[i] - c[j]) > 1e-6)  # in common they would differ by rounding only


def test_the_plot(data):
    size, covariance, phase = plot_glance(data).axes
    np.testing.assert_array_equal(size.containers[1].lines[0].get_ydata(), data.c[1])
    for name, ax in (("delta", covariance), ("phi", phase)):
        lines = [line.get_ydata() for line in ax.get_lines()]
        for model in range(2):
            assert any(np.array_equal(data[f"{name}_theory"][model], y) for y in lines)
            np.testing.assert_array_equal(ax.containers[model].lines[0].get_ydata(), data[name][model])
        assert [text.get_text() for text in ax.get_legend().get_texts()] == list(MODELS)
    assert phase.get_ylabel().endswith("[rad]")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": [[1.0, 0.0]]}, r"inputs must be two rows of features, got shape \(1, 2\)"),
        ({"n_networks": 15}, "n_networks must be an integer >= 16, got 15"),
        ({"depth": 0}, "depth must be an integer >= 1, got 0"),
        ({"seed": "a"}, "seed must be an integer >= 0, got 'a'"),
        ({"n_networks": 16.5}, "n_networks must be an integer >= 16, got 16.5"),
        ({"inputs": [[1.0], [1.0, 2.0]]}, "inputs must be a real number or an array of real numbers"),
        ({"inputs": np.ones(2)}, r"inputs must be two rows of features, got shape \(2,\)"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        glance(**({"inputs": np.eye(2)} | SIZES | options))


def test_the_command(monkeypatch, tmp_path, capsys):
    out = tmp_path / "glance.png"
    sizes = ["--width", "8", "--depth", "3", "--n-networks", "16", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["simulate", "glance", *sizes, "--out", str(out)])
    assert command_line.main() == 0
    assert out.stat().st_size > 10_000
    assert out.with_suffix(".nc").exists()
    assert "generic(2)" in capsys.readouterr().out
