from dataclasses import replace

import torch

from benchmarks import recurrent
from benchmarks.record import QUICK


def test_jobs_compare_the_same_networks():
    """Layers and plain loops agree with the loops in float64, and torch keeps its threads."""
    threads = torch.get_num_threads()
    jobs = list(recurrent.jobs(replace(QUICK, budget=0.005)))
    assert torch.get_num_threads() == threads
    layers = [job for job in jobs if job.unit == "call"]
    assert len(layers) == 5
    for job in layers:
        loop, peer = job.peers
        assert max(job.ours.error, loop.error) < 1e-5
        assert peer.who.startswith("torch.nn.")
        assert job.target is None
    stacks = [job for job in jobs if job.unit != "call"]
    assert [job.ours.units for job in stacks] == [1, 2, 1, 2]
    assert stacks[0].ratio(stacks[0].peers[0]) == 1.0
