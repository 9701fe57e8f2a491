"""Figures on a dask cluster of two processes: the same bits as here, also when it is stopped in between."""

import time
from dataclasses import replace

import pytest

from training import runner, table
from training.experiments import run_experiment
from training.presets import PRESETS
from training.runner import Interrupted

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    sizes = {"train": 64, "test": 40, "batch": 32, "epochs": 2, "width": 4, "depths": (3,), "sigma_w": (0.8, 1.5)}
    monkeypatch.setitem(PRESETS["figure3"], "quick", replace(PRESETS["figure3"]["quick"], order_networks=4, **sizes))


def test_a_cluster_gives_the_same_table(client):
    told = []
    there = run_experiment(
        "figure3", executor=client.get_executor(), progress=lambda done, total: told.append((done, total))
    )
    assert table.frame(there).equals(table.frame(run_experiment("figure3")))
    assert sum(done for done, _ in told) == pytest.approx(told[0][1])


def test_a_cluster_goes_on_after_its_time(client, tmp_path):
    options = {"executor": client.get_executor(), "work": tmp_path / "work"}
    with pytest.raises(Interrupted):
        run_experiment("figure3", time_budget=0.0, **options)
    saved = [path.name for path in sorted((tmp_path / "work").glob("*.pt"))]
    assert saved == [f"stack_00{number}.pt" for number in range(4)]
    assert table.frame(run_experiment("figure3", **options)).equals(table.frame(run_experiment("figure3")))


def test_a_cluster_stops_when_it_is_no_longer_waited_for(client, monkeypatch, tmp_path):
    """Ctrl-C here, while jobs of hours are under way there: they save their state and end."""
    monkeypatch.setitem(PRESETS["figure3"], "quick", replace(PRESETS["figure3"]["quick"], epochs=10**6))

    def pressed(*_):
        wait_until(lambda: any(client.processing().values()))
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_gather", pressed)
    with pytest.raises(KeyboardInterrupt):
        run_experiment("figure3", executor=client.get_executor(), work=tmp_path / "work")
    wait_until(lambda: list((tmp_path / "work").glob("*.pt")))
    assert not list((tmp_path / "work").glob("wanted_*"))


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
