import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

import pytest
import torch

from simulate.blocks import (
    BLOCK,
    IN_FLIGHT,
    LARGEST_TORCH_SEED,
    PartialResultWarning,
    derived_seed,
    generator,
    run_blocks,
    torch_seed,
)


def identity(blocks):
    return list(blocks)


def slow_at_first(blocks):
    time.sleep(0.05 if blocks[0] == 0 else 0.0)
    return list(blocks)


def dies_at_three(blocks):
    if 3 in blocks:
        os._exit(1)
    return list(blocks)


def fails_at_two(blocks):
    if 2 in blocks:
        raise MemoryError("no room")
    return list(blocks)


def overflows_at_two(blocks):
    if 2 in blocks:
        raise OverflowError("too large")
    return list(blocks)


def gather(compute, n_networks, **options):
    got = []
    taken = run_blocks(compute, n_networks, got.extend, **options)
    return got, taken


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_every_block_once_and_in_order(at_once):
    counted = []
    got, taken = gather(identity, 4 * BLOCK + 1, at_once=at_once, progress=counted.append)
    assert got == [0, 1, 2, 3, 4]
    assert taken == sum(counted) == 4 * BLOCK + 1


def test_every_block_of_every_seed_has_random_numbers_of_its_own():
    """They are seeds of 32 bits, 4000 of which would all differ by chance in 499 of 500 cases."""
    seeds = [generator(seed, block, torch.device("cpu")).initial_seed() for seed in (0, 1) for block in range(2000)]
    assert len(set(seeds)) == 4000


def test_ensembles_of_a_run_are_independent():
    seeds = [derived_seed(seed, case, step) for seed in range(3) for case in range(3) for step in range(4)]
    assert len(set(seeds)) == 36
    assert set(seeds).isdisjoint({0, 1, 2})


def test_a_seed_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"seed must be an integer >= 0, got -1"):
        derived_seed(-1, 0)
    with pytest.raises(ValueError, match=r"seed must be at most 2\^64 - 1, got 18446744073709551616"):
        derived_seed(2**64, 0)


def test_threads_that_finish_out_of_order():
    with ThreadPoolExecutor(4) as executor:
        got, _ = gather(slow_at_first, 100 * BLOCK, executor=executor)
    assert got == list(range(100))


def test_only_so_many_tasks_are_handed_out_at_a_time():
    class Counting(ThreadPoolExecutor):
        submitted = 0

        def submit(self, *args):
            self.submitted += 1
            return super().submit(*args)

    with Counting(1) as executor:
        seen = []
        run_blocks(identity, 1000 * BLOCK, lambda _: seen.append(executor.submitted), executor=executor)
    assert seen[0] == IN_FLIGHT
    assert max(submitted - taken for taken, submitted in enumerate(seen)) == IN_FLIGHT


def test_what_is_not_wanted_any_more_is_not_computed():
    """One worker, held at the second task until the run has been stopped after the first."""
    stopped, computed = threading.Event(), []

    def compute(blocks):
        computed.extend(blocks)
        assert not blocks[0] or stopped.wait(60.0)
        return list(blocks)

    def stop(_):
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor:
        with pytest.warns(PartialResultWarning):
            gather(compute, 40 * BLOCK, executor=executor, progress=stop)
        stopped.set()
    assert computed in ([0], [0, 1])


@pytest.mark.parametrize("of", ["take", "progress"])
def test_after_an_error_nothing_more_is_computed(of):
    """One worker, held at the third task until the run has failed at the second result."""
    failed, computed, seen = threading.Event(), [], []

    def compute(blocks):
        computed.extend(blocks)
        assert blocks[0] < 2 or failed.wait(60.0)
        return list(blocks)

    def fail(_):
        seen.append(1)
        if len(seen) == 2:
            raise ZeroDivisionError

    def run():
        calls = {"take": lambda _: None, "progress": None} | {of: fail}
        with ThreadPoolExecutor(1) as executor:
            try:
                run_blocks(compute, 100 * BLOCK, executor=executor, **calls)
            finally:
                failed.set()

    with pytest.raises(ZeroDivisionError):
        run()
    assert computed in ([0, 1], [0, 1, 2])


def test_what_is_finished_before_memory_runs_out_is_kept():
    with pytest.warns(PartialResultWarning, match=f"{2 * BLOCK} of 100 networks were finished.*MemoryError: no room"):
        got, taken = gather(fails_at_two, 100)
    assert (got, taken) == ([0, 1], 2 * BLOCK)


def test_what_a_device_says_of_memory_is_told_from_its_other_errors():
    def fails(message):
        def at_two(blocks):
            if 2 in blocks:
                raise torch.AcceleratorError(message)
            return list(blocks)

        return at_two

    with pytest.warns(PartialResultWarning, match="AcceleratorError: CUDA error: out of memory"):
        assert gather(fails("CUDA error: out of memory"), 100) == ([0, 1], 2 * BLOCK)
    with pytest.raises(torch.AcceleratorError, match="illegal memory access"):
        gather(fails("CUDA error: an illegal memory access was encountered"), 100)


def test_a_dead_worker_of_dask_loses_nothing_either():
    distributed = pytest.importorskip("distributed")

    def killed_at_two(blocks):
        if 2 in blocks:
            raise distributed.KilledWorker("task", SimpleNamespace(address="tcp://127.0.0.1:1"), 3)
        return list(blocks)

    with pytest.warns(PartialResultWarning, match="KilledWorker"):
        assert gather(killed_at_two, 100) == ([0, 1], 2 * BLOCK)


def test_an_error_of_the_networks_is_no_partial_result():
    """Those before the first that overflows are not a sample of all."""
    with pytest.raises(OverflowError, match="too large"):
        gather(overflows_at_two, 100)


def test_an_error_in_progress_is_shown():
    with pytest.raises(ZeroDivisionError):
        gather(identity, 100, progress=lambda finished: 1 / 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_tasks_of_many_networks_are_not_listed_in_advance(workers):
    """A range takes 48 bytes: those of 625,000 blocks 30 MB."""
    executor = ThreadPoolExecutor(workers) if workers else None

    def stop(_):
        raise KeyboardInterrupt

    tracemalloc.start()
    with pytest.warns(PartialResultWarning, match=f"{BLOCK} of 10000000 networks were finished"):
        assert gather(identity, 10**7, executor=executor, progress=stop) == ([0], BLOCK)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_a_run_that_never_began_fails():
    with pytest.raises(MemoryError):
        gather(fails_at_two, 100, at_once=10)


def test_a_dead_worker_loses_nothing_that_was_finished():
    with (
        ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as executor,
        pytest.warns(PartialResultWarning, match="BrokenProcessPool"),
    ):
        got, taken = gather(dies_at_three, 20 * BLOCK, executor=executor)
    assert got == [0, 1, 2]
    assert taken == 3 * BLOCK


INTERRUPTED = """
import signal, sys, warnings, simulate
from meanfield import Ensemble
warnings.simplefilter("ignore")
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell turns off for what runs behind it
said = lambda n: print("block", flush=True)
sizes = {"width": 16, "depth": 5, "n_networks": 10**7}
out = simulate.ensemble_statistics(Ensemble(), [[1.0, 0.0], [1.0, 1.0]], progress=said, **sizes)
print(out.attrs["partial"], out.attrs["n_networks"])
"""


def test_ctrl_c_returns_what_is_finished():
    run = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        assert run.stdout.readline() == "block\n"
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=60)
    partial, networks = out.splitlines()[-1].split()
    assert partial == "1"
    assert int(networks) >= 3 * BLOCK


def test_seeds_have_as_many_bits_as_torch_keeps():
    draws = [torch.randn(3, generator=torch.Generator().manual_seed(LARGEST_TORCH_SEED + more)) for more in (0, 1)]
    zero = torch.randn(3, generator=torch.Generator().manual_seed(0))
    assert [torch.equal(draw, zero) for draw in draws] == [False, True]
    assert torch_seed("seed", LARGEST_TORCH_SEED) == LARGEST_TORCH_SEED
    told = r"seed must be at most 2\^32 - 1, as of more bits torch's generator keeps the last 32, got 4294967296"
    with pytest.raises(ValueError, match=told):
        torch_seed("seed", LARGEST_TORCH_SEED + 1)


def test_bad_number():
    with pytest.raises(ValueError, match="n_networks must be an integer >= 1, got 0"):
        gather(identity, 0)
