"""The classical tanh network (D = 1) by neural-tangents, in an environment of its own (``make bench-peers``).

Run by the benchmark as ``python -m benchmarks.neural_tangents_peer depth side budget``; prints one JSON object. Neither
`meanfield` nor its dependencies are imported here.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace

import jax
import jax.numpy as jnp
import numpy as np
from neural_tangents import stax

from .timing import measure

TRAJECTORY_NODES, GRID_NODES = (25, 100, 200), (25, 50)
STARTS = ((1.5, 0.9), (3.0, 0.99))  # sigma_w, delta


def trajectories(depth: int, nodes: int):
    """A compiled function of sigma_w and an array of rho: c (depth,) and Delta (depth, rho) of layers 1..depth, for
    inputs with c = 1.
    """

    def run(sigma_w, rho):
        layer = stax.serial(stax.Dense(1, W_std=sigma_w, b_std=None), stax.ElementwiseNumerical(jnp.tanh, deg=nodes))[2]
        root = jnp.sqrt(2.0)  # |x|^2/2 = 1
        first = layer(jnp.array([[root, 0.0]]), root * jnp.stack([rho, jnp.sqrt(1.0 - rho**2)], axis=-1))

        def step(kernel, _):
            after = layer(kernel)
            return after, after

        _, later = jax.lax.scan(step, first, None, length=depth - 1)
        return [
            jnp.concatenate([a[None], b]).reshape(depth, -1)
            for a, b in ((first.cov1, later.cov1), (first.nngp, later.nngp))
        ]

    return run


def main() -> None:
    depth, side, budget = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    jax.config.update("jax_enable_x64", True)
    found = []
    for nodes in TRAJECTORY_NODES:
        for sigma_w, rho in STARTS:
            compiled = jax.jit(trajectories(depth, nodes))
            found.append(_entry("trajectory", nodes, sigma_w, compiled, sigma_w, jnp.array([rho]), budget))
    sigma_w, rho = jnp.linspace(0.5, 3.0, side), jnp.linspace(0.01, 0.99, side)
    for nodes in GRID_NODES:
        compiled = jax.jit(jax.vmap(trajectories(depth, nodes), in_axes=(0, None)))
        found.append(_entry("grid", nodes, None, compiled, sigma_w, rho, budget))
    print(json.dumps(found))


def _entry(job: str, nodes: int, at: float | None, compiled, sigma_w, rho, budget: float) -> dict:
    def call():
        return jax.block_until_ready(compiled(sigma_w, rho))

    _, compiling = measure(call, 0.0)
    (c, delta), timing = measure(call, budget)
    return {
        "job": job,
        "nodes": nodes,
        "sigma_w": at,
        "c": np.asarray(c).tolist(),
        "delta": np.asarray(delta).tolist(),
        "timing": asdict(replace(timing, first=compiling.first)),
    }


if __name__ == "__main__":
    main()
