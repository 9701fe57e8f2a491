"""The commands of ``python -m training``."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from matplotlib.figure import Figure
from tqdm.std import tqdm

from meanfield.files import atomic_path, require_writable
from simulate.devices import as_device, workers
from simulate.provenance import UNKNOWN, provenance

from . import places, table
from .experiment import command_to_run, counted
from .experiments import EXPERIMENTS, run_experiment, so_far
from .places import COMMITTED, MINE, committed, find, finished, mine, own, read
from .report import in_one_line
from .runner import Interrupted
from .summary import HEAD, summary
from .work import CHECKPOINTS

# what is counted are floating-point operations, which tell a user nothing
BAR = "{percentage:3.0f} % done |{bar}| {remaining} left, {elapsed} so far ([h:]min:s)"
ON_GPU = 8  # stacks at a time, if it has memory for so many: one alone leaves most of it idle

if TYPE_CHECKING:
    Name = str
    PresetName = str
else:
    Name = Literal[tuple(EXPERIMENTS)]
    PresetName = Literal[tuple(dict.fromkeys(preset for each in EXPERIMENTS.values() for preset in each.presets))]


@contextmanager
def as_executor(name: str, device: str) -> Iterator[Executor]:
    """``"threads"`` or ``"processes"``, or a dask scheduler's address.

    One for each core that this process may use (`taskset` says which). Threads share a GPU, processes do not.

    Raises
    ------
    ImportError
        For a scheduler without the extra `dask`, saying what to install.
    ValueError
        For another name.
    """
    number = workers(device)
    if name == "threads":
        with ThreadPoolExecutor(number if as_device(device).type == "cpu" else ON_GPU) as threads:
            yield threads
    elif name == "processes":
        # a fork would inherit locks that torch's threads hold
        with ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), _begin_worker) as processes:
            yield processes
    elif "://" in name:
        try:
            from distributed import Client
        except ModuleNotFoundError as error:
            told = f"a dask scheduler needs {error.name}: pip install goldstone-propagation[dask]"
            raise ImportError(told) from error
        with Client(name) as client:
            yield client.get_executor()
    else:
        raise ValueError(f"executor must be 'threads', 'processes' or a dask scheduler's address, got {name!r}")


def _begin_worker() -> None:
    """What each process of a pool does first.

    Ctrl-C goes to all processes of a terminal, and those which are no longer waited for save their state and end. One
    whose parent is killed would sleep for ever, with all its memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # files are written whole or not at all, so that any moment will do


@dataclass
class List:
    """The figures, what the paper claims, and what their presets train."""

    def run(self) -> int:
        for name, experiment in EXPERIMENTS.items():
            print(f"{name}: {experiment.claim}\n  judged by: {experiment.criterion}")
            for preset, size in experiment.presets.items():
                print(f"  {preset:<8} {counted(size.networks, 'network')}: {experiment.describe(size.settings)}")
        return 0


@dataclass
class Run:
    """Run a figure, or go on with it where it was interrupted; exit code 3 when the time ended first, or Ctrl-C.

    Of a run that is finished nothing is trained once more: it is reported, and runs anew when its table is removed.
    """

    name: Annotated[Name, tyro.conf.Positional]
    preset: PresetName = "quick"
    """How large. Most are of some figures only: `python -m training list` shows those of each."""
    data_dir: str | None = None
    """Folder with MNIST or Fashion-MNIST as IDX files; downloaded if left out. `quick` presets use digits."""
    device: Literal["auto", "cpu", "cuda"] | str = "cpu"
    executor: str = "threads"
    """Where stacks of networks run: threads, processes, or the address of a dask scheduler (tcp://host:port)."""
    time_budget: float = math.inf
    """Seconds after which to save everything and stop."""
    results: Path = MINE
    """Folder for the table, the figure, and checkpoints while it runs."""

    def run(self) -> int:
        name, results = f"{self.name}_{self.preset}", self.results.absolute()
        out, work = results / f"{name}.csv", results / f".{name}"
        if self._told_to_be_finished(out, work):
            return Report(self.name, self.preset, results).run()
        stopped = Event()

        def tell(done: float, total: float) -> None:
            if stopped.is_set():
                raise Interrupted
            bar.total = total
            bar.update(done)

        with (
            # shown after a second, so that what is refused at once leaves a message and no bar
            tqdm(bar_format=BAR, leave=False, delay=1.0) as bar,
            as_executor(self.executor, self.device) as executor,
        ):
            try:
                run_experiment(
                    self.name,
                    self.preset,
                    out=out,
                    work=work,
                    data_dir=self.data_dir,
                    device=self.device,
                    executor=executor,
                    time_budget=self.time_budget,
                    progress=tell,
                )
            except BrokenExecutor as error:
                raise RuntimeError(f"{error} The same command goes on from {work}: {self._command}") from error
            except (Interrupted, KeyboardInterrupt):
                stopped.set()  # threads that are still at work end with their next step
                bar.close()
                print(f"stopped before the end; the same command goes on from {work}:\n  {self._command}")
                return 3
        print(f"wrote {out}")
        return Report(self.name, self.preset, results).run()

    @property
    def _command(self) -> str:
        """What was typed, but for what is as it is by default."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        default = {each.name: each.default for each in fields(self)}
        return command_to_run(given.pop("name"), {key: value for key, value in given.items() if value != default[key]})

    def _told_to_be_finished(self, out: Path, work: Path) -> bool:
        """Whether the table is there and what was asked for, which is then said."""
        if any(work.glob(CHECKPOINTS)) or not out.is_file():  # a run killed after its table was written goes on
            return False
        result = finished(self.name, self.preset, out)
        if result is None:
            print(f"{out} is not a whole result of this preset and its settings: the run takes its place")
            return False
        theirs, ours = result.attrs.get("commit", UNKNOWN), provenance()["commit"]
        made = "" if theirs == ours else f" It is of commit {theirs}, and this is {ours}."
        print(f"{out} is finished, so that nothing is trained.{made} To run anew remove that file.")
        return True


@dataclass
class SoFar:
    """The table of a run of recurrent networks that was stopped, up to the last test that all of it has made.

    Runs of deep networks have a table at their end only.
    """

    name: Annotated[Name, tyro.conf.Positional]
    preset: PresetName
    """Of the run: `python -m training list` shows those of each figure."""
    data_dir: str | None = None
    weights: bool = False
    """Keep the weights that the networks have now, in a file of numpy arrays beside the table."""
    results: Path = MINE
    """Folder of the run, and for the table."""

    def run(self) -> int:
        name, results = f"{self.name}_{self.preset}", self.results.absolute()
        result = so_far(self.name, self.preset, results / f".{name}", data_dir=self.data_dir, weights=self.weights)
        out = results / f"{name}.csv"
        if out.exists() and "unfinished" not in table.read(out).attrs:
            raise ValueError(f"results must be a folder without a table of a whole run, got {out}; move it first")
        table.write(result, out)
        print(f"wrote {out}")
        return Report(self.name, self.preset, results).run()


@dataclass
class Report:
    """Judge a figure's table by its criterion, and draw it.

    Your own results come first, and those that come with the package where you have none of the figure or the preset.
    """

    name: Annotated[Name, tyro.conf.Positional]
    preset: PresetName | None = None
    """The largest of your own results, if left out; of those that come with the package if you have none."""
    results: Path | None = None
    """Folder with the table, where no other one is looked for, and for the figure. If left out, your own results are
    those in results/training, of the working directory or the first folder above which has it."""

    def run(self) -> int:
        # not the largest of both: who has just tried a figure on a small scale asks for that
        first = own(self.name) if self.preset is None and self.results is None else []
        path = find(self.name, first[-1] if first else self.preset, self.results)
        result, experiment = read(self.name, path), EXPERIMENTS[self.name]
        preset = path.stem.removeprefix(f"{self.name}_")
        print(f"{self.name} ({preset}): {result.attrs['claim']}\n  judged by: {result.attrs['criterion']}")
        if result.attrs["criterion"] != experiment.criterion:
            print(f"  which has changed since; what follows is judged by: {experiment.criterion}")
        print(f"  read from {places.told(path)}\n  {in_one_line(self.name, result)}")
        for check in experiment.judge(table.frame(result)):
            print(f"  {check}")
        if experiment.details is not None:
            print(f"\n{experiment.details(result)}")
        panels = experiment.drawn(result)
        figure = Figure(figsize=(5.2 * len(panels), 3.6), layout="constrained")
        for panel, ax in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
            panel(result, ax)
        out = (self.results or mine()).absolute() / f"{path.stem}.png"
        with atomic_path(out) as temporary:
            figure.savefig(temporary, dpi=160)
        print(f"wrote {out}")
        if others := self._others(preset):
            print(f"other results of {self.name}, shown with --preset: {', '.join(others)}")
        return 0

    def _others(self, shown: str) -> list[str]:
        """What else there is to report, and whose it is; of a preset in both places what :func:`find` would take."""
        package = "committed" if self.results is None else "committed, without --results"
        here = dict.fromkeys(own(self.name, self.results), places.whose(self.results or mine()))
        each = dict.fromkeys(committed(self.name), package) | here
        presets = [preset for preset in EXPERIMENTS[self.name].presets if preset in each and preset != shown]
        return [f"{preset} ({each[preset]})" for preset in presets]


@dataclass
class Summarise:
    """Write one table of all results in a folder, README.md beside them."""

    results: Path = COMMITTED
    """Folder with the tables. If left out, that of the committed ones, in a checkout of the source only: the folder of
    an installed package stays as it is."""

    def run(self) -> int:
        if self.results == COMMITTED and not (COMMITTED.parents[1] / "pyproject.toml").is_file():
            told = f"got {COMMITTED}, an installed package's own"
            raise ValueError(f"results must be a folder of yours outside of a checkout of the source, {told}")
        if not any(self.results.glob("*.csv")):
            raise FileNotFoundError(f"results must be a folder with tables of results, got {self.results}")
        out = self.results / "README.md"
        if out.exists() and not out.read_text().startswith(HEAD.partition("\n")[0]):
            raise ValueError(f"results must be a folder without a README.md of its own, got {self.results}")
        require_writable(out, name="README.md of results")
        with atomic_path(out) as path:
            path.write_text(summary(self.results))
        print(f"wrote {out}")
        return 0


COMMANDS: dict[str, Callable[..., Any]] = {
    "list": List,
    "run": Run,
    "so-far": SoFar,
    "report": Report,
    "summarise": Summarise,
}
