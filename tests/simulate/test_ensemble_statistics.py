from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import polar

from meanfield import Ensemble, phase_diffusion
from simulate import ensemble_statistics, plane_rotation, sample_networks, summary
from simulate.blocks import BLOCK, PartialResultWarning
from simulate.ensemble_statistics import _Reduction
from simulate.sampling import Networks
from simulate.setup import Setup

INPUTS = np.array([[1.0, 0.5, 0.0, 0.2], [0.8, 0.1, 0.6, 0.0]])
SIZES = {"width": 6, "depth": 3, "dtype": "float64", "device": "cpu", "sigma_w": [0.8, 1.5]}


def elements(k):
    return np.stack([plane_rotation(k, 0.8), np.eye(k)])


@pytest.mark.parametrize(("symmetry", "k"), [("U(1)", 2), ("O(3)", 3), ("generic(2)", 2)])
def test_streamed_means_are_those_of_all_networks(symmetry, k):
    """float64 rounding apart; the errors of delta and phi see a slightly different frame."""
    options = SIZES | {"n_networks": 2 * BLOCK + 5, "group_elements": elements(k)}
    streamed = ensemble_statistics(Ensemble(symmetry), INPUTS, **options)
    whole = summary(sample_networks(Ensemble(symmetry), INPUTS, **options))
    assert set(streamed.data_vars) == set(whole.data_vars)
    for name in ("gram", "gram_se", "c", "c_se", "c_var", "c_var_se", "d", "d_se", "magnitude", "delta"):
        np.testing.assert_allclose(streamed[name], whole[name], rtol=1e-11, atol=1e-15, err_msg=name)
    assert streamed.attrs["n_networks"] == 2 * BLOCK + 5
    assert streamed.attrs["partial"] == 0


def test_variances_and_the_drift_by_hand():
    options = SIZES | {"n_networks": 100, "group_elements": elements(2)}
    streamed = ensemble_statistics(Ensemble(), INPUTS, **options)
    gram = sample_networks(Ensemble(), INPUTS, **options).gram.values
    c = gram[..., 0, 0] + gram[..., 1, 1]
    np.testing.assert_allclose(streamed.c_var[..., 0], c.var(axis=0, ddof=1), rtol=1e-11)
    number = gram[..., 0, 2] + gram[..., 1, 3] + 1j * (gram[..., 1, 2] - gram[..., 0, 3])
    drift = np.angle(number * number[:, :, :1].conj())
    np.testing.assert_allclose(streamed.drift, drift.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(streamed.drift_var, drift.var(axis=0, ddof=1), rtol=1e-10, atol=1e-25)
    turned = number * np.exp(-0.8j)
    np.testing.assert_allclose(streamed.turn, turned.imag.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(streamed.overlap, turned.real.mean(axis=0), rtol=1e-11)
    np.testing.assert_allclose(streamed.magnitude, np.abs(number).mean(axis=0), rtol=1e-11)


def test_coherence_by_hand():
    """U(1): the cosine of the drift. O(3): from polar factors by another route than the code's."""
    plane = ensemble_statistics(Ensemble(), INPUTS, **SIZES, n_networks=2, group_elements=elements(2))
    gram = sample_networks(Ensemble(), INPUTS, **SIZES, n_networks=2, group_elements=elements(2)).gram.values
    number = gram[..., 0, 2] + gram[..., 1, 3] + 1j * (gram[..., 1, 2] - gram[..., 0, 3])
    turned = number * number[:, :, :1].conj()
    np.testing.assert_allclose(plane.coherence, (turned.real / np.abs(turned)).mean(axis=0), rtol=1e-12)
    options = SIZES | {"n_networks": 3, "group_elements": elements(3)}
    space = ensemble_statistics(Ensemble("O(3)"), INPUTS, **options)
    q = sample_networks(Ensemble("O(3)"), INPUTS, **options).gram.values[..., :3, 3:]
    factor = np.array([polar(each)[0] for each in q.reshape(-1, 3, 3)]).reshape(q.shape)
    kept = np.einsum("nsij,nslij->nsl", factor[:, :, 0], factor) / 3
    np.testing.assert_allclose(space.coherence, kept.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(space.coherence[:, 0], 1.0, rtol=1e-14)
    assert "coherence" not in ensemble_statistics(Ensemble("generic(2)"), INPUTS, **SIZES, n_networks=2)


@pytest.mark.parametrize(("symmetry", "k"), [("U(1)", 2), ("O(3)", 3)])
def test_coherence_is_lost_as_theory_says(symmetry, k):
    """N (1 - coherence) is (k - 1) N V/2 to leading order; of order 1/N only what two widths leave is left."""
    layers, delta, measured = slice(1, 9), 0.8, []
    for width in (128, 256):
        options = {"width": width, "depth": 8, "d_0": 1.3, "sampler": "collective", "device": "cpu", "n_networks": 400}
        known = np.linalg.cholesky([[1.0, delta], [delta, 1.0]])
        out = ensemble_statistics(Ensemble(symmetry, "tanh", 1.5), known, **options, seed=width).isel(sigma_w=0)
        measured.append((width * (1.0 - out.coherence.values[layers]), width * out.coherence_se.values[layers]))
    variance = phase_diffusion(8, 1, 1.5, d=1.3, delta=1.3 * delta, symmetry=symmetry).variance.values
    (narrow, narrow_se), (wide, wide_se) = measured
    error = np.hypot(2.0 * wide_se, narrow_se)
    expected = (k - 1) / 2 * (variance[layers] - variance[0])
    assert np.all(np.abs(2.0 * wide - narrow - expected) < 4.5 * error)
    assert np.all(expected > 10.0 * wide_se)  # a factor of 2 would be seen


def test_the_frame_is_what_turns_the_second_input_into_the_first():
    """g h^T, of elements that do not commute."""
    g, h = (np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0] for seed in (1, 2))
    assert np.abs(g @ h.T - h.T @ g).max() > 0.1
    out = ensemble_statistics(Ensemble("O(3)"), INPUTS, **SIZES, n_networks=8, group_elements=np.stack([g, h]))
    along = np.einsum("ij,slij->sl", g @ h.T, out.gram.values[..., :3, 3:])
    np.testing.assert_allclose(out.overlap, along, rtol=1e-10)


def test_the_frame_of_opposite_inputs_is_opposite():
    out = ensemble_statistics(Ensemble("generic(2)"), INPUTS * [[1.0], [-1.0]], **SIZES, n_networks=64)
    assert np.all(out.overlap > 5 * out.overlap_se)


def test_blocks_computed_together_give_the_same_bits():
    setup = Setup.create(Ensemble("O(3)"), INPUTS, **SIZES)
    task = _Reduction(Networks(setup), 5 * BLOCK)
    together = task(range(5))
    for block, moments in enumerate(together):
        (alone,) = task(range(block, block + 1))
        for name in alone:
            np.testing.assert_array_equal(moments[name].powers, alone[name].powers)


def test_executors_give_the_same_bits():
    options = SIZES | {"n_networks": 5 * BLOCK, "group_elements": elements(2)}
    here = ensemble_statistics(Ensemble("U(1)", "erf"), INPUTS, **options)
    with ThreadPoolExecutor(2) as executor:
        xr.testing.assert_identical(
            here, ensemble_statistics(Ensemble("U(1)", "erf"), INPUTS, **options, executor=executor)
        )
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as executor:
        xr.testing.assert_identical(
            here, ensemble_statistics(Ensemble("U(1)", "erf"), INPUTS, **options, executor=executor)
        )


def softened(r):
    return r / (1.0 + r)


def test_processes_are_sent_functions_at_the_top_of_a_module_only():
    """Threads take any."""

    def local(r):
        return softened(r)

    here = ensemble_statistics(Ensemble("U(1)", softened), INPUTS, **SIZES, n_networks=4)
    with ThreadPoolExecutor(1) as executor:
        threads = ensemble_statistics(Ensemble("U(1)", local), INPUTS, **SIZES, n_networks=4, executor=executor)
    np.testing.assert_array_equal(threads.c, here.c)
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as executor:
        processes = ensemble_statistics(Ensemble("U(1)", softened), INPUTS, **SIZES, n_networks=4, executor=executor)
        np.testing.assert_array_equal(processes.c, here.c)
        for function, name in ((local, "local"), (lambda r: r / (1.0 + r), "<lambda>")):
            told = rf"activation must be a function defined at the top of a module .*, got .*: Can't pickle .*{name}"
            for sample in (ensemble_statistics, sample_networks):
                with pytest.raises(ValueError, match=told):
                    sample(Ensemble("U(1)", function), INPUTS, **SIZES, n_networks=4, executor=executor)


def test_a_dask_cluster_of_two_processes_gives_the_same_bits():
    distributed = pytest.importorskip("distributed")
    options = SIZES | {"n_networks": 5 * BLOCK}
    here = ensemble_statistics(Ensemble("O(3)", "algebraic"), INPUTS, **options)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        there = ensemble_statistics(Ensemble("O(3)", "algebraic"), INPUTS, **options, executor=client.get_executor())
    xr.testing.assert_identical(here, there)


def test_a_stopped_run_is_marked_and_right():
    def stop_at_second(_):
        counted.append(1)
        if len(counted) == 2:
            raise KeyboardInterrupt

    counted = []
    options = SIZES | {"n_networks": 5 * BLOCK}
    with pytest.warns(PartialResultWarning, match="KeyboardInterrupt"):
        stopped = ensemble_statistics(Ensemble(), INPUTS, **options, progress=stop_at_second)
    assert stopped.attrs["partial"] == 1
    short = ensemble_statistics(Ensemble(), INPUTS, **(options | {"n_networks": stopped.attrs["n_networks"]}))
    np.testing.assert_array_equal(stopped.c, short.c)


def test_one_input_survives_a_file(tmp_path):
    out = ensemble_statistics(Ensemble(), INPUTS[:1], **SIZES, n_networks=20)
    assert "delta" not in out
    out.to_netcdf(tmp_path / "statistics.nc")
    with xr.open_dataset(tmp_path / "statistics.nc") as read:
        xr.testing.assert_identical(read.load(), out)


def test_a_dead_overlap_has_no_phase():
    out = ensemble_statistics(Ensemble(sigma_w=0.0), INPUTS, width=3, depth=1, n_networks=4)
    assert np.isnan(out.phi[0, 1])
    assert np.isnan(out.drift[0, 1])
    assert np.isnan(out.coherence[0, 1])
    assert abs(out.drift[0, 0]) < 1e-15
    assert out.delta[0, 1] == 0.0


@pytest.mark.parametrize("sampler", ["networks", "collective"])
@pytest.mark.parametrize(("symmetry", "k"), [("U(1)", 2), ("O(3)", 3), ("generic(2)", 2)])
def test_standard_errors_of_any_size_are_those_of_the_same_networks(symmetry, k, sampler):
    """Linear networks at 2^-7 and 2^7 are those at 1, times powers of two."""
    options = SIZES | {"depth": 70, "sigma_w": [2.0**-7, 1.0, 2.0**7], "n_networks": 20, "sampler": sampler}
    out = ensemble_statistics(Ensemble(symmetry, "linear"), INPUTS, **options, group_elements=elements(k))
    small, plain, large = (out.isel(sigma_w=point) for point in range(3))
    assert small.c[-1, 0] < 1e-290
    assert large.c[-1, 0] > 1e290
    for other in (small, large):
        factor = other.sigma_w ** (2.0 * other.layer)
        for name in ("c", "d", "delta", "overlap", "magnitude", "gram"):
            for each in (name, f"{name}_se"):
                np.testing.assert_allclose(other[each] / factor, plain[each], rtol=1e-9, atol=1e-9, err_msg=each)
        if symmetry == "U(1)":
            for name in ("phi", "phi_se", "coherence_se", "drift_se"):
                np.testing.assert_allclose(other[name], plain[name], rtol=1e-6, err_msg=name)
    for name in ("c_var", "c_var_se"):
        assert not small[name][-1].any()
        assert np.isposinf(large[name][-1]).all()


def test_what_underflows_is_dead():
    out = ensemble_statistics(Ensemble(sigma_w=1e-3), INPUTS, width=3, depth=80, n_networks=4).isel(sigma_w=0)
    assert np.all(out.c_se[:51] > 0.0)
    assert np.all(out.phi_se[:51] > 0.0)
    assert not out.c[60:].any()
    for name in ("phi", "phi_se", "drift", "coherence"):
        assert np.isfinite(out[name][:51]).all()
        assert np.isnan(out[name][60:]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "magic"}, "sampler must be 'networks'.*got 'magic'"),
        ({"sampler": ["networks"]}, r"sampler must be 'networks'.*got \['networks'\]"),
        ({"n_networks": 1}, "n_networks must be an integer >= 2, got 1"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"sampler": "collective", "tf32": True}, "tf32 must be False for the sampler 'collective'.*, got True"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        ensemble_statistics(Ensemble(), INPUTS, **({"width": 4, "depth": 1, "n_networks": 2} | options))


def test_a_missing_argument_is_this_functions_own():
    with pytest.raises(TypeError, match=r"^ensemble_statistics\(\) missing .* argument: 'depth'$"):
        ensemble_statistics(Ensemble(), INPUTS, width=4, n_networks=2)
