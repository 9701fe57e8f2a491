"""Command line: ``python -m simulate verify``."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from tqdm.std import tqdm

from meanfield.files import atomic_path

from .data import load_images
from .report import comma_separated, table
from .verify import CASES, WIDTH_RATIOS, Verification, verify


@dataclass
class Verify:
    """Compare the mean-field theory with sampled networks; exit code 1 when they disagree."""

    data_dir: Path | None = None
    """Folder with IDX files (MNIST, Fashion-MNIST), plain or gzipped; scikit-learn's digits if left out."""
    n_networks: int = 768
    """Independent networks of each width."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    out: Path = Path("results/verify.png")
    """Figure to write; the whole table goes beside it, ending in .csv."""

    def run(self) -> int:
        start = time.perf_counter()
        images = load_images(self.data_dir)
        # one thread for each block of networks serves better than several for each of its small products
        torch.set_num_threads(1)
        total = len(CASES) * len(WIDTH_RATIOS) * self.n_networks
        with ThreadPoolExecutor(os.cpu_count()) as executor, tqdm(total=total, unit="networks", leave=False) as bar:
            result = verify(
                images,
                n_networks=self.n_networks,
                seed=self.seed,
                cases=CASES,
                device=self.device,
                executor=executor,
                progress=bar.update,
            )
        print(f"{images!r}\n\n{table(result)}")
        self._write(result)
        print(f"wrote {self.out} and {self.out.with_suffix('.csv')}; {time.perf_counter() - start:.0f} s")
        return 0 if result.passed else 1

    def _write(self, result: Verification) -> None:
        from .plots import overview  # matplotlib is only needed here

        with atomic_path(self.out) as path:
            overview(result).savefig(path, dpi=160)
        with atomic_path(self.out.with_suffix(".csv")) as path:
            path.write_text(comma_separated(result))


def main() -> int:
    """Run the command line; bad values end with a message and exit code 2."""
    command = tyro.extras.subcommand_cli_from_dict({"verify": Verify}, prog="python -m simulate")
    try:
        return command.run()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
