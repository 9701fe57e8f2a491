"""The commands of ``python -m simulate``: each is its options, and what `run` does with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from matplotlib import style
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from tqdm.std import tqdm

from meanfield import NAMED_ACTIVATIONS, Ensemble, trajectory
from meanfield.files import atomic_path, require_writable
from meanfield.plots import STYLE

from .blocks import Progress
from .data import load_images
from .devices import one_thread, workers
from .ensemble_statistics import ensemble_statistics
from .figure2 import figure2, plot_figure2
from .figure9 import FULL, QUICK, figure9, plot_figure9
from .glance import glance, plot_glance
from .plots import overview
from .report import comma_separated, table
from .setup import cosine
from .verify import CASES, WIDTH_RATIOS, Verification, verify
from .verify_full import MORE_NETWORKS

Device = Literal["auto", "cpu", "cuda"] | str
SamplerName = Literal["networks", "collective"]
STOPPED = 130

if TYPE_CHECKING:
    ActivationName = str
else:
    ActivationName = Literal[tuple(NAMED_ACTIVATIONS)]


@contextmanager
def working(total: int, device: str) -> Iterator[tuple[Executor, Progress]]:
    """One thread for each core, or one for a GPU, and a progress bar over `total` networks."""
    # the bar is shown after a second, so that what is refused at once leaves a message and no bar
    with (
        one_thread(),
        ThreadPoolExecutor(workers(device)) as executor,
        tqdm(total=total, unit="networks", leave=False, delay=1.0) as bar,
    ):
        yield executor, bar.update


@dataclass
class Verify:
    """Compare the mean-field theory with sampled networks; exit code 1 when they disagree."""

    data_dir: Path | None = None
    """Folder with IDX files (MNIST, Fashion-MNIST), plain or gzipped; scikit-learn's digits if left out."""
    n_networks: int = 768
    """Independent networks of each width."""
    samplers: tuple[SamplerName, ...] | None = None
    """What draws them: every weight (networks, if left out), or Gram matrices only (collective)."""
    full: bool = False
    """Both samplers, and also Jacobians and the theory of order 1/N: some minutes."""
    seed: int = 0
    """Of all random numbers: the same seed samples the same networks."""
    device: Device = "auto"
    """Where to compute: cpu, cuda, or cuda:i; auto takes a GPU where there is one."""
    out: Path = Path("results/verify.png")
    """Figure to write; the whole table goes beside it, ending in .csv."""

    def run(self) -> int:
        start = time.perf_counter()
        places = {sampler: self._place(number, sampler) for number, sampler in enumerate(self._chosen())}
        for out in places.values():
            require_figure(out, ".csv")
        images = load_images(self.data_dir)
        passed = True
        for number, (sampler, out) in enumerate(places.items()):
            full = self.full and number == 0
            total = len(CASES) * len(WIDTH_RATIOS) * self.n_networks * (3 + MORE_NETWORKS if full else 1)
            with working(total, self.device) as (executor, progress):
                result = verify(
                    images,
                    n_networks=self.n_networks,
                    seed=self.seed,
                    cases=CASES,
                    sampler=sampler,
                    full=full,
                    device=self.device,
                    executor=executor,
                    progress=progress,
                )
            print(f"{images!r}\nsampler: {sampler}\n\n{table(result)}")
            self._write(result, out)
            print(f"wrote {out} and {out.with_suffix('.csv')}; {time.perf_counter() - start:.0f} s")
            passed = passed and result.passed
        return 0 if passed else 1

    def _chosen(self) -> tuple[SamplerName, ...]:
        if self.samplers is None:
            return ("networks", "collective") if self.full else ("networks",)
        if not self.samplers:
            raise ValueError("samplers must name at least one sampler, got none")
        if self.full:
            raise ValueError(f"samplers must be left out with full, which uses both, got {' '.join(self.samplers)}")
        if len(set(self.samplers)) < len(self.samplers):
            raise ValueError(f"samplers must name each sampler once, got {' '.join(self.samplers)}")
        return self.samplers

    def _place(self, number: int, sampler: SamplerName) -> Path:
        """The figure of one of the samplers."""
        return self.out if number == 0 else self.out.with_stem(f"{self.out.stem}_{sampler}")

    def _write(self, result: Verification, out: Path) -> None:
        write_figure(overview(result), out)
        with atomic_path(out.with_suffix(".csv")) as path:
            path.write_text(comma_separated(result))


@dataclass
class Run:
    """Sample an ensemble and write means, variances and standard errors of c, d, Delta and phi, layer by layer."""

    symmetry: str = "U(1)"
    """'U(1)', 'O(k)' or 'generic(k)'; quoted, because of the brackets."""
    activation: ActivationName = "tanh"
    """The radial f of phi(x) = f(|x|) x/|x|, by name."""
    sigma_w: tuple[float, ...] = (1.5,)
    """Weight scales, each with the same draws of the weights; the transition is at 1 for tanh."""
    width: int = 64
    """N, capsules in a layer."""
    depth: int = 50
    """L, layers after the input layer."""
    n_networks: int = 256
    """Independent networks."""
    sampler: SamplerName = "networks"
    """Draw every weight (networks), or Gram matrices only (collective)."""
    data_dir: Path | None = None
    """Folder with IDX files; scikit-learn's digits if left out."""
    images: tuple[int, ...] = (0, 10)
    """Which of them enter, by number."""
    seed: int = 0
    """Of all random numbers: the same seed samples the same networks."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the states."""
    device: Device = "auto"
    """Where to compute: cpu, cuda, or cuda:i; auto takes a GPU where there is one."""
    out: Path = Path("results/run.nc")
    """netCDF file to write."""

    def run(self) -> int:
        require_writable(self.out, [".nc"])
        inputs = self._inputs()
        with working(self.n_networks, self.device) as (executor, progress):
            result = ensemble_statistics(
                Ensemble(self.symmetry, self.activation),
                inputs,
                sigma_w=self.sigma_w,
                width=self.width,
                depth=self.depth,
                n_networks=self.n_networks,
                sampler=self.sampler,
                seed=self.seed,
                dtype=self.dtype,
                device=self.device,
                executor=executor,
                progress=progress,
            )
        write_dataset(result, self.out)
        last = result.assign(self._theory(inputs)).isel(layer=-1)
        names = ("c", "c_se", "c_theory", "d", "d_se", "delta", "delta_se", "delta_theory", "phi", "phi_se")
        shown = [name for name in names if name in last]
        print(last[shown].isel(input=0).to_dataframe()[shown].to_string(float_format="{:.6g}".format))
        print("(last layer, first input, and of delta and phi the second; theory: wide networks, deviations are ~ 1/N)")
        print(f"wrote {self.out}")
        return exit_code(result)

    def _theory(self, inputs: np.ndarray) -> dict[str, xr.DataArray]:
        """c and Delta of wide networks after the random input layer."""
        pair = {"delta": cosine(inputs)} if len(inputs) > 1 else {}
        run = trajectory(
            self.depth, np.array(self.sigma_w), symmetry=self.symmetry, activation=self.activation, d=1.0, **pair
        )
        return {f"{name}_theory": run[name] for name in ("c", *pair)}

    def _inputs(self) -> np.ndarray:
        images = load_images(self.data_dir)
        if not self.images:
            raise ValueError("images must name at least one image, got none")
        for each in self.images:
            if not 0 <= each < len(images.labels):
                raise ValueError(f"images must be numbers from 0 to {len(images.labels) - 1}, got {each}")
        return images.features(list(self.images))


@dataclass
class Figure2:
    """The paper's Figure 2: c of sampled networks across the transition, beside the theory's fixed point."""

    symmetry: str = "U(1)"
    """'U(1)', 'O(k)' or 'generic(k)'; quoted, because of the brackets."""
    width: int = 16
    """N, capsules in a layer."""
    depth: int = 100
    """L, layers after the input layer."""
    n_networks: int = 256
    """Independent networks."""
    sampler: SamplerName = "networks"
    """Draw every weight (networks), or Gram matrices only (collective)."""
    data_dir: Path | None = None
    """Folder with IDX files; scikit-learn's digits if left out."""
    seed: int = 0
    """Of all random numbers: the same seed samples the same networks."""
    device: Device = "auto"
    """Where to compute: cpu, cuda, or cuda:i; auto takes a GPU where there is one."""
    out: Path = Path("results/figure2.png")
    """Figure to write; the numbers go beside it, ending in .nc."""

    def run(self) -> int:
        require_figure(self.out, ".nc")
        inputs = load_images(self.data_dir).features([0])
        with working(self.n_networks, self.device) as (executor, progress):
            result = figure2(
                inputs,
                symmetry=self.symmetry,
                width=self.width,
                depth=self.depth,
                n_networks=self.n_networks,
                sampler=self.sampler,
                seed=self.seed,
                device=self.device,
                executor=executor,
                progress=progress,
            )
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        plot_figure2(result, figure.subplots())
        write_figure(figure, self.out)
        write_dataset(result, self.out.with_suffix(".nc"))
        shown = result[["c_star", "c_width", "c", "c_se"]].to_dataframe()
        print(shown.to_string(float_format="{:.4f}".format, na_rep=""))
        print(f"(c_width: theory for N = {self.width} to order 1/N, blank where that is too narrow for it)")
        print(f"wrote {self.out} and {self.out.with_suffix('.nc')}")
        return exit_code(result)


@dataclass
class Figure9:
    """The paper's Figure 9: the protected component of the Jacobian, equivariant and generic, across the transition."""

    symmetry: str = "U(1)"
    """'U(1)', 'O(k)' or 'generic(k)'; quoted, because of the brackets."""
    depths: tuple[int, ...] = (5, 20, 50)
    """Layers after the input layer, of each curve."""
    quick: bool = False
    """Fewer and narrower networks."""
    seed: int = 0
    """Of all random numbers: the same seed samples the same networks."""
    device: Device = "auto"
    """Where to compute: cpu, cuda, or cuda:i; auto takes a GPU where there is one."""
    out: Path = Path("results/figure9.png")
    """Figure to write; the numbers go beside it, ending in .nc."""

    def run(self) -> int:
        require_figure(self.out, ".nc")
        with working(2 * (QUICK if self.quick else FULL)[1], self.device) as (executor, progress):
            result = figure9(
                self.symmetry,
                depths=self.depths,
                seed=self.seed,
                quick=self.quick,
                device=self.device,
                executor=executor,
                progress=progress,
            )
        figure = Figure(figsize=(7.0, 4.6), layout="constrained")
        plot_figure9(result, figure.subplots())
        write_figure(figure, self.out)
        write_dataset(result, self.out.with_suffix(".nc"))
        print(result.protected.isel(layer=-1, drop=True).to_pandas().T.to_string(float_format="{:.4g}".format))
        print(f"(protected component at the last depth) wrote {self.out} and {self.out.with_suffix('.nc')}")
        return exit_code(result)


@dataclass
class Glance:
    """The README's figure: size, overlap and phase in U(1) and in generic networks, theory through sampled points."""

    width: int = 1024
    """N, capsules in a layer."""
    depth: int = 60
    """L, layers after the input layer."""
    n_networks: int = 512
    """Independent networks of either symmetry; an eighth as many more across sigma_w."""
    data_dir: Path | None = None
    """Folder with IDX files; scikit-learn's digits if left out."""
    seed: int = 0
    """Of all random numbers: the same seed samples the same networks."""
    device: Device = "auto"
    """Where to compute: cpu, cuda, or cuda:i; auto takes a GPU where there is one."""
    out: Path = Path("results/glance.png")
    """Figure to write; the numbers go beside it, ending in .nc."""

    def run(self) -> int:
        require_figure(self.out, ".nc")
        inputs = load_images(self.data_dir).features([0, 10])
        with working(2 * (self.n_networks + self.n_networks // 8), self.device) as (executor, progress):
            result = glance(
                inputs,
                width=self.width,
                depth=self.depth,
                n_networks=self.n_networks,
                seed=self.seed,
                device=self.device,
                executor=executor,
                progress=progress,
            )
        with style.context(STYLE):
            write_figure(plot_glance(result), self.out)
        write_dataset(result, self.out.with_suffix(".nc"))
        shown = result[["delta", "delta_se", "delta_theory", "phi", "phi_se", "phi_theory"]].isel(layer=-1, drop=True)
        print(shown.to_dataframe().to_string(float_format="{:.4f}".format))
        print(f"(last layer) wrote {self.out} and {self.out.with_suffix('.nc')}")
        return exit_code(result)


def exit_code(result: xr.Dataset) -> int:
    """0, or a shell's code for Ctrl-C where the run was stopped before it had all its networks."""
    return STOPPED if result.partial else 0


def require_figure(out: Path, beside: str) -> None:
    """Refuse a figure that could not be written, or the file of its numbers, which has the ending `beside`.

    Raises
    ------
    ValueError
        Naming `out`.
    """
    require_writable(out, [f".{each}" for each in sorted(FigureCanvasBase.get_supported_filetypes())])
    require_writable(out.with_suffix(beside))


def write_figure(figure: Figure, out: Path) -> None:
    """Save a figure, whole or not at all."""
    with atomic_path(out) as path:
        figure.savefig(path, dpi=160)


def write_dataset(result: xr.Dataset, out: Path) -> None:
    """Save a dataset as netCDF, whole or not at all."""
    with atomic_path(out) as path:
        result.to_netcdf(path)


COMMANDS: dict[str, Callable[..., Any]] = {
    "verify": Verify,
    "run": Run,
    "figure2": Figure2,
    "figure9": Figure9,
    "glance": Glance,
}
