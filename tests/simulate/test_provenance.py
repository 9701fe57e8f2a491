import subprocess

import pytest

import simulate.provenance
from simulate.provenance import provenance


@pytest.fixture(autouse=True)
def _asked_anew():
    simulate.provenance._found.cache_clear()
    yield
    simulate.provenance._found.cache_clear()


def test_versions_are_named():
    found = provenance()
    assert {"version_python", "version_numpy", "version_torch", "version_xarray"} <= found.keys()
    assert all(isinstance(value, str) for value in found.values())


@pytest.mark.parametrize(("code", "there"), [(0, True), (128, False)])
def test_commit_only_in_a_checkout(monkeypatch, code, there):
    done = subprocess.CompletedProcess([], code, stdout="abc123\n", stderr="")
    monkeypatch.setattr(simulate.provenance.subprocess, "run", lambda *args, **options: done)
    assert provenance().get("commit") == ("abc123" if there else None)


def test_no_git(monkeypatch):
    def missing(*args, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(simulate.provenance.subprocess, "run", missing)
    assert "commit" not in provenance()
