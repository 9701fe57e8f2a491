"""Command line: ``python -m meanfield solve | diagram``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from .checks import real_array, shortest, whole_number
from .command_line import run_command
from .depth_scales import depth_scales
from .ensemble import Ensemble
from .files import atomic_path, require_writable
from .finite_width import finite_width_transition
from .fixed_points import FixedPoint
from .overlap_depth import overlap_depth_scale
from .phase_diagram import phase_diagram
from .phase_diffusion import readable_depth
from .symmetry import as_symmetry


@dataclass
class Solve:
    """Print the fixed point, susceptibilities and depth scales for one symmetry and sigma_w."""

    symmetry: Annotated[str, tyro.conf.Positional] = "U(1)"
    """'U(1)', 'O(k)' or 'generic(k)'."""
    sigma_w: Annotated[float, tyro.conf.Positional] = 1.5
    """Weight scale; for these activations the transition is at 1/f'(0)."""
    activation: str = "tanh"
    """tanh, erf, algebraic, saturated or linear."""
    width: int | None = None
    """Capsules in a layer: then also what order 1/N says of so narrow a network."""
    rho: float | None = None
    """With --width, --sigma-b or --asymmetry: overlap Delta/c* of two inputs, whose phase, or angles, such a network
    keeps for so many layers; in (0, 1), 0.9 if left out."""
    sigma_b: float = 0.0
    """Scale of biases, which break the symmetry: E |b|^2 = sigma_b^2 for a capsule."""
    asymmetry: float = 0.0
    """Share of the weights' variance that ignores the symmetry."""

    def run(self) -> None:
        self._check_options()
        if self._inexact:
            self._print_broken(Ensemble(self.symmetry, self.activation, self.sigma_w, self.sigma_b, self.asymmetry))
            return
        scales = depth_scales(self.sigma_w, self.symmetry, self.activation)
        point = scales.fixed_point
        narrow = [] if self.width is None else self._finite_width(point, self.width)  # may fail, before a line is out
        at = shortest(self.sigma_w)
        print(f"{point.symmetry}, {point.activation.name}, sigma_w = {at}: {_phase(point)}")
        goldstone = ", Goldstone-like" if point.symmetry.conserves_angles else ""
        rows = [
            ("c*", point.c, "order parameter, Eq. (6), (8)"),
            ("d*", scales.d_star, "pre-activation order parameter, Eq. (50)"),
            ("chi_c", scales.chi_c, "a deviation of c from c* shrinks by this factor per layer"),
            ("xi_c", scales.xi_c, "its depth scale, layers"),
            ("chi_delta", scales.chi_delta, "Delta shrinks by this factor per layer"),
            ("xi_delta", scales.xi_delta, "its depth scale, layers"),
            ("chi_jacobian", scales.chi_jacobian, "mean squared singular value of a layer's Jacobian"),
            ("  amplitude", scales.amplitude, "  its part along the capsules' radii"),
            ("  angular", scales.angular, f"  its part at right angles{goldstone}"),
            ("chi_gram", scales.chi_gram, "anisotropy of one input's Gram matrix shrinks by this factor"),
        ]
        _print_rows(rows)
        print(f"  residual F(c*)/c* - 1 = {float(point.residual):.1e}, {point.status}")
        for line in narrow:
            print(line)

    @property
    def _inexact(self) -> bool:
        return bool(self.sigma_b or self.asymmetry)

    @property
    def _overlap(self) -> float:
        return 0.9 if self.rho is None else self.rho

    def _check_options(self) -> None:
        """Before anything is computed or printed."""
        if self.width is not None:
            if self._inexact:
                raise ValueError(f"width must be left out where the symmetry is not exact, got {self.width}")
            whole_number("width", self.width, 1)
        if self.rho is None:
            return
        if self.width is None and not self._inexact:
            raise ValueError(f"rho must be left out without --width, --sigma-b or --asymmetry, got {self.rho:g}")
        if not as_symmetry(self.symmetry).conserves_angles:
            raise ValueError(f"rho must be left out for {self.symmetry}, which conserves no angle, got {self.rho:g}")
        if not 0.0 < self.rho < 1.0:
            raise ValueError(f"rho must be in (0, 1), got {self.rho:g}")

    def _print_broken(self, ensemble: Ensemble) -> None:
        found = ensemble.explicit_breaking()
        region = "ordered" if found.ordered else "chaotic"
        print(f"{ensemble!r}: {found.status.item()}, {region}")
        meanings = {
            "c_star": "order parameter, Eq. (6)",
            "d_star": "pre-activation order parameter, sigma_w^2 c* + sigma_b^2",
            "rho_star": "overlap Delta*/c* that any two inputs end with",
            "chi_c": "a deviation of c from c* shrinks by this factor per layer",
            "xi_c": "its depth scale, layers",
            "chi_delta": "a deviation of Delta from Delta* shrinks by this factor per layer",
            "xi_delta": "its depth scale, layers",
            "chi_phi": "a small angle between two inputs shrinks by this factor per layer in the end",
            "xi_phi": "its depth scale there, layers",
            "chi_jacobian": "mean squared singular value of a layer's Jacobian",
        }
        rows = [(name, found[name].item(), meaning) for name, meaning in meanings.items()]
        if ensemble.symmetry.conserves_angles:
            half_life = ensemble.angle_half_life(self._overlap).half_life.item()
            meaning = f"layers after which it has fallen to half, where Delta/c* begins at {shortest(self._overlap)}"
            rows.insert(list(meanings).index("xi_phi") + 1, ("half_life", half_life, meaning))
        _print_rows(rows)

    def _finite_width(self, point: FixedPoint, width: int) -> list[str]:
        transition = finite_width_transition(width, self.symmetry, self.activation)
        lines = [f"  with {width} capsules in a layer the transition is at sigma_w = {transition:.6g}"]
        if point.phase != "broken":
            return lines
        mean = overlap_depth_scale(width, self.sigma_w, self.symmetry, self.activation)
        if mean.wide:
            lines.append(f"  the mean of Delta has a depth scale longer by {float(mean.xi_shift):.4g} layers")
        if point.symmetry.conserves_angles:
            read = readable_depth(width, self.sigma_w, self._overlap, self.symmetry, self.activation)
            wide = "" if read.wide else " (an order of magnitude: too narrow for order 1/N)"
            angles = "angle" if point.symmetry.capsule_dimension == 2 else "angles"
            kept = "phase" if point.symmetry.has_phase else angles
            told = f"two inputs with Delta/c* = {shortest(self._overlap)} keep their {kept}"
            lines.append(f"  and {told} for {float(read.depth):.4g} layers{wide}")
        return lines


def _phase(point: FixedPoint) -> str:
    """The phase, in words that fit what symmetry there is."""
    phase = str(point.phase)
    if point.symmetry.conserves_angles:
        return f"symmetry {phase}"
    ordered = "ordered: c* > 0 (no continuous symmetry to break)"
    return {"broken": ordered, "unbroken": "disordered: c* = 0"}.get(phase, phase)


def _print_rows(rows: Iterable[tuple[str, float | np.ndarray, str]]) -> None:
    for name, value, meaning in rows:
        shown = "-" if np.isnan(value) else f"{float(value):.12g}"
        print(f"  {name:<13} {shown:>20}   {meaning}")


@dataclass
class Diagram:
    """Write a phase diagram: a figure and a netCDF file."""

    symmetry: tuple[str, ...] = ("U(1)", "O(4)", "O(8)")
    """Symmetries to compare."""
    activation: str = "tanh"
    start: float = 0.5
    """First sigma_w."""
    stop: float = 3.0
    """Last sigma_w."""
    points: int = 501
    """Number of sigma_w."""
    out: Path = Path("results/phase_diagram")
    """Where to write, without the endings .png and .nc."""

    def run(self) -> None:
        image, table = self._places()
        diagram = phase_diagram(self._sigma_w(), list(self.symmetry), self.activation)
        from .plots import overview  # matplotlib is only needed here

        with atomic_path(image) as path:
            overview(diagram).savefig(path, dpi=160)
        with atomic_path(table) as path:
            diagram.to_netcdf(path)
        print(f"wrote {image} and {table}")

    def _places(self) -> list[Path]:
        if not self.out.name or self.out.suffix in (".png", ".nc"):
            raise ValueError(f"out must be a name without the endings .png and .nc, got {self.out}")
        places = [self.out.with_name(f"{self.out.name}{ending}") for ending in (".png", ".nc")]
        for place in places:
            require_writable(place)
        return places

    def _sigma_w(self) -> np.ndarray:
        whole_number("points", self.points, 2)
        for name in ("start", "stop"):
            real_array(name, getattr(self, name), minimum=0.0)
        if self.start >= self.stop:
            raise ValueError(f"stop must be > start = {self.start:g}, got {self.stop:g}")
        return np.linspace(self.start, self.stop, self.points)


def main() -> int:
    """Run the command line."""
    return run_command({"solve": Solve, "diagram": Diagram}, prog="python -m meanfield")


if __name__ == "__main__":
    sys.exit(main())
