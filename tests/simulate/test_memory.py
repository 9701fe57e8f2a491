import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from meanfield import Ensemble
from simulate import ensemble_statistics, sample_networks
from simulate.blocks import BLOCK
from simulate.ensemble_statistics import MOMENTS, _Reduction
from simulate.memory import GPU_BLOCKS, blocks_at_once, budget, require, workers_here
from simulate.sampling import Networks
from simulate.setup import Setup

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
INPUTS = [[1.0, 0.0], [1.0, 1.0]]


def test_half_of_what_is_free_is_used_unless_told():
    import psutil

    assert budget(None, "cpu") == pytest.approx(psutil.virtual_memory().available / 2, rel=0.1)
    assert budget(2**20, "cpu") == 2**20


def test_half_of_what_is_free_on_a_gpu_not_of_what_it_has(monkeypatch):
    """What PyTorch keeps of an earlier run, for its next one, is free."""
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (6 * 2**30, 80 * 2**30))
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: 5 * 2**30)
    monkeypatch.setattr("torch.cuda.memory_allocated", lambda device: 2**30)
    assert budget(None, "cuda") == 5 * 2**30


def test_the_workers_of_a_pool_share_what_is_free():
    with ThreadPoolExecutor(4) as pool:
        assert budget(None, "cpu", workers_here(pool, 1000)) == pytest.approx(budget(None, "cpu") / 4, rel=0.1)
        assert budget(2**20, "cpu", workers_here(pool, 1000)) == 2**20  # said of each
        assert workers_here(pool, BLOCK + 1) == 2  # the others get nothing to do
    assert workers_here(None, 1000) == 1


def test_what_just_fits_is_allowed():
    require(2**21, 2**21, "cpu", "the work")
    with pytest.raises(ValueError, match="memory must be at least 3 MiB on cpu for the work, got 2 MiB"):
        require(3 * 2**20, 2**21, "cpu", "the work")


def test_a_gpu_takes_as_many_blocks_as_fit_and_no_more_than_it_needs():
    assert blocks_at_once(10.0, 35.0, "cuda", "") == 3
    assert blocks_at_once(1.0, 1e9, "cuda", "") == GPU_BLOCKS
    assert blocks_at_once(1.0, 1e9, "cpu", "") == 1


def test_a_block_that_does_not_fit_is_refused_before_it_is_drawn():
    with pytest.raises(ValueError, match=r"memory must be at least .* MiB on cpu for a block of 16 networks"):
        ensemble_statistics(Ensemble(), INPUTS, width=300, depth=1, n_networks=2, memory=2**20)


@pytest.mark.parametrize(
    ("sampler", "sizes", "memory", "advice"),
    [
        ("networks", {"width": 1000, "depth": 1}, 2**24, "simulate.sample_collective needs less"),
        (
            "networks",
            {"width": 2, "depth": 500},
            2**20,
            "fewer capsules, inputs, layers or values of sigma_w need less",
        ),
        ("collective", {"width": 1000, "depth": 500}, 2**20, "fewer inputs, layers or values of sigma_w need less"),
    ],
)
def test_advice_is_what_helps(sampler, sizes, memory, advice):
    with pytest.raises(ValueError, match=rf"for a block of 16 networks \({advice}\)"):
        ensemble_statistics(Ensemble(), INPUTS, n_networks=2, sampler=sampler, memory=memory, device="cpu", **sizes)


def test_results_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"memory must be at least .* the results of all 1000000 networks"):
        sample_networks(Ensemble(), INPUTS, width=2, depth=100, n_networks=1_000_000, memory=2**28)


@pytest.mark.parametrize("inputs", [1, 2])
def test_results_take_twice_what_they_are(inputs):
    """In blocks, and joined."""
    sizes = {"width": 1, "depth": 400, "sigma_w": [0.9, 1.5], "device": "cpu"}
    samples = sample_networks(Ensemble(), INPUTS[:inputs], n_networks=32, **sizes)
    taken = samples.gram.nbytes + samples.d.nbytes
    assert 32 * Setup.create(Ensemble(), INPUTS[:inputs], **sizes).result_bytes == taken
    with pytest.raises(ValueError, match="the results of all 32 networks"):
        sample_networks(Ensemble(), INPUTS[:inputs], n_networks=32, memory=2 * taken - 1, **sizes)


@pytest.mark.parametrize("memory", [0, -1.0, float("nan"), "much"])
def test_bad_budget(memory):
    with pytest.raises(ValueError, match="memory must be"):
        budget(memory, "cpu")


PEAK = """
import re, sys
from meanfield import Ensemble
from simulate.jacobians import Jacobians
from simulate.sampling import Networks
from simulate.setup import Setup
def peak():  # of this program; ru_maxrss would count the process that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
def sampler(width, depth, points, dtype, asymmetry=0.0):
    sizes = {"width": int(width), "depth": int(depth), "sigma_w": [1.0] * int(points), "dtype": dtype}
    ensemble = Ensemble(sys.argv[1], asymmetry=float(asymmetry))
    setup = Setup.create(ensemble, [[1.0, 0.0], [1.0, 1.0]], **sizes)
    return Networks(setup) if sys.argv[2] == "states" else Jacobians(setup, 0, False)
sampler(2, 1, 1, "float64")(range(1))
before = peak()
big = sampler(*sys.argv[3:])
big(range(1))
print((peak() - before) * 1024 / big.block_bytes)
"""


@LINUX
@pytest.mark.parametrize(
    "case",
    [
        "O(4) states 1200 1 1 float64",
        "U(1) states 1000 2 1 float32",
        "O(4) states 4 500 40 float32",
        "O(4) jacobians 1200 2 1 float64",
        "U(1) jacobians 1000 2 1 float32",
        "O(2) states 700 1 1 float64 0.5",
    ],
)
def test_the_estimate_holds_and_is_not_far_above_the_truth(case):
    """Peak memory of a fresh process: Gram matrices dominate in the third, weights in the others."""
    run = subprocess.run([sys.executable, "-c", PEAK, *case.split()], capture_output=True, text=True, check=True)
    assert 0.3 < float(run.stdout) < 1.1


@pytest.mark.parametrize("symmetry", ["U(1)", "O(4)"])
def test_so_does_that_of_a_block_reduced_to_its_moments(symmetry):
    setup = Setup.create(Ensemble(symmetry), INPUTS, width=2, depth=200, sigma_w=[1.0, 1.5], device="cpu")
    block = Networks(setup)(range(1))

    class Drawn:
        def __call__(self, blocks):
            return block

    drawn = Drawn()
    drawn.setup = setup
    tracemalloc.start()
    _Reduction(drawn, BLOCK)(range(1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.3 < peak / (MOMENTS * setup.result_bytes) < 1.0


STREAMED = """
import re, sys
from meanfield import Ensemble
from simulate import ensemble_statistics
def peak():  # of this program; ru_maxrss would count the process that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
def run(n):
    ensemble_statistics(Ensemble(), [[1.0, 0.0], [1.0, 1.0]], width=2, depth=200, n_networks=n)
    return peak()
few = run(64)
print((run(3200) - few) * 1024)
"""


@LINUX
def test_an_ensemble_of_any_size_runs_in_constant_memory():
    run = subprocess.run([sys.executable, "-c", STREAMED], capture_output=True, text=True, check=True)
    everything = 3200 * Networks(Setup.create(Ensemble(), INPUTS, width=2, depth=200)).setup.result_bytes
    assert float(run.stdout) < 0.1 * everything
