import shutil
import subprocess

import pytest

import simulate.provenance
from simulate.provenance import UNKNOWN, commit, gpu, provenance

WITH_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


@pytest.fixture(autouse=True)
def _asked_anew():
    simulate.provenance._found.cache_clear()
    yield
    simulate.provenance._found.cache_clear()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository of its own, which tracks this package's file; what runs git in it."""
    monkeypatch.setattr(simulate.provenance, "__file__", str(tmp_path / "simulate" / "provenance.py"))
    (tmp_path / "simulate").mkdir()
    for name in ("simulate/provenance.py", "other.py", "notes.txt"):
        (tmp_path / name).write_text("as committed\n")

    def git(*arguments):
        me = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
        asked = ["git", "-C", str(tmp_path), *me, *arguments]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    git("add", "simulate/provenance.py", "other.py", "notes.txt")
    git("commit", "-m", "all")
    return git


def test_versions_are_named():
    found = provenance()
    assert {"version_python", "version_numpy", "version_torch", "version_xarray", "processor", "commit"} <= found.keys()
    assert all(isinstance(value, str) for value in found.values())


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"the card {device.index}")
    assert gpu("cuda:1") == {"gpu": "the card 1"}
    assert gpu("cpu") == {}


@WITH_GIT
def test_the_commit_of_a_checkout(checkout, tmp_path):
    head = checkout("rev-parse", "HEAD")
    assert len(head) == 40
    assert commit() == head
    assert provenance()["commit"] == head
    (tmp_path / "notes.txt").write_text("no code\n")
    (tmp_path / "new.py").write_text("not tracked\n")
    assert commit() == head
    (tmp_path / "other.py").write_text("other code\n")
    assert commit() == f"{head}-dirty"
    checkout("add", "other.py")
    assert commit() == f"{head}-dirty"


@WITH_GIT
def test_somebody_else_s_repository_is_not_ours(checkout):
    """As where the package is installed in a virtual environment inside of another project."""
    checkout("rm", "--cached", "simulate/provenance.py")
    checkout("commit", "-m", "a project that does not track the package")
    assert commit() == UNKNOWN


@WITH_GIT
def test_no_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(simulate.provenance, "__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == UNKNOWN


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 5.0)])
def test_no_git_or_one_that_hangs(monkeypatch, error):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr(simulate.provenance.subprocess, "run", fail)
    assert provenance()["commit"] == UNKNOWN
