"""What the README prints and claims is what the library gives."""

import doctest
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import meanfield
import simulate
import training.recurrent
from training import table
from training.checklist import checklist
from training.places import COMMITTED, read
from training.recurrent.tables import COPY, paper_results

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_readme_example():
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 8
    assert result.failed == 0


def calls():
    """What the table of questions says to call."""
    return re.findall(r"^\| [^|]+ \| `((?:meanfield|simulate|training)\.[^`]+)`", README.read_text(), re.MULTILINE)


def test_there_are_calls():
    assert len(calls()) >= 10


@pytest.mark.parametrize("call", calls())
def test_calls_for_a_network_of_one_s_own(call):
    """With a module, inputs and layers such as a reader would have."""
    ensemble = meanfield.Ensemble("U(1)", "tanh", sigma_w=1.5)
    found = eval(
        call.replace("n_networks=100", "n_networks=2"),  # for the test's sake
        {
            "meanfield": meanfield,
            "simulate": simulate,
            "training": training,
            "ensemble": ensemble,
            "inputs": np.eye(2, 5),
            "layers": [torch.nn.Identity()],
            "module": torch.nn.Identity(),
            "x": torch.ones(2, 8, dtype=torch.complex128),
        },
    )
    assert found is not None


def test_weight_scales_of_torch_tensors():
    """The table's sigma_w of weights is the theory's: what one layer makes of Gaussian capsules has sigma_w^2 c."""
    n, k, sigma_w = 400, 3, 1.5
    draw = torch.Generator().manual_seed(0)
    sizes = {"U(1)": (n, n), "O(k)": (n, n), "generic(k)": (n * k, n * k)}
    for name, formula in re.findall(
        r"^\| `\"([^\"]+)\"` \| [^|]+ \| [^|]+ \| `([^`]+)`", README.read_text(), re.MULTILINE
    ):
        dtype = torch.complex128 if name == "U(1)" else torch.float64
        weights = torch.randn(*sizes[name], generator=draw, dtype=dtype)
        weights *= sigma_w / eval(formula, {"W": weights, "N": n, "k": k})
        shape = {"U(1)": (n, 1), "O(k)": (n, k), "generic(k)": (n * k, 1)}[name]
        state = torch.randn(*shape, generator=draw, dtype=dtype)
        grown = (weights @ state).abs().square().sum() / state.abs().square().sum()
        assert abs(grown.item() / sigma_w**2 - 1) < 5 * math.sqrt(4 / n)
        del sizes[name]
    assert not sizes


def test_links_lead_somewhere():
    targets = re.findall(r"\]\((?!http)([^)]+)\)", README.read_text())
    assert len(targets) > 10
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_figure_is_small():
    assert 10_000 < (ROOT / "docs" / "glance.png").stat().st_size < 150_000


# ---- the table of what holds: every row against the checklist, which computes it -------------------------------------


@pytest.fixture(scope="module")
def computed():
    return {row["item"]: row for row in checklist().to_dict("records")}


def rows():
    """The README's rows by their first cell: the cells "here" and "verdict"."""
    found = {}
    for line in README.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.match(r"\| (Figure|Table) \d+ |\| Equations ", line):
            found[cells[0]] = (cells[2], cells[3])
    return found


def numbers(text):
    """Decimal numbers, with their error where they have one."""
    return set(re.findall(r"\d+\.\d+(?:e-?\d+)?(?: ± \d+\.\d+)?", text.replace("+-", "±")))


def test_every_figure_and_table_that_was_run_has_its_row(computed):
    run = {item for item, row in computed.items() if not item.startswith("Eq.") and row["verdict"] != "not run yet"}
    assert set(rows()) == run | {"Equations"}, "rows of README.md, section 'What of the paper holds'"


def test_rows_have_the_numbers_and_verdicts_of_the_checklist(computed):
    for item, (here, verdict) in rows().items():
        if item == "Equations":
            continue
        row = computed[item]
        assert verdict == row["verdict"], item
        known = numbers(" ".join((row["expected"], row["found"], row["note"])))
        assert numbers(here) <= known, f"{item}: {numbers(here) - known} is not among {known}"
        assert here.startswith("reduced") == ("reduced" in row["note"]), item
        if "±" in row["found"].replace("+-", "±"):
            assert "±" in here, item


def test_equations_are_counted(computed):
    verdicts = [row["verdict"] for item, row in computed.items() if item.startswith("Eq.")]
    told = f"{verdicts.count('agrees')} as printed; {verdicts.count('corrected')} after the correction of a slip"
    assert rows()["Equations"] == (told, "agrees, corrected")
    assert len(verdicts) == verdicts.count("agrees") + verdicts.count("corrected")


def test_losses_of_table_2_are_as_far_from_ours_as_is_said():
    found = table.frame(read("figure6", COMMITTED / "figure6_rnns.csv"))
    last = found[(found.quantity == "test_loss") & (found.step == found.step.max())]
    printed = paper_results(COPY)["mean"].to_series()
    ratio = (last.groupby("model").value.mean() / printed).dropna()
    assert set(ratio.index) == {"RNN 32", "RNN 64", "U(1) RNN 32"}
    text = " ".join(README.read_text().split())
    least, most = re.search(r"Their losses are (\d+) to (\d+) times those of Table 2", text).groups()
    assert (ratio.min(), ratio.max()) == pytest.approx((int(least), int(most)), rel=0.05)
    apart = np.exp(np.abs(np.log(ratio / 50)).max())
    assert f"times 50 it is within a factor of {math.ceil(10 * apart) / 10} of ours" in text


# ---- speed: what is said of it against the tables of a run on a GPU --------------------------------------------------


def timed(name):
    path = ROOT / "benchmarks" / "results" / f"h200_{name}.csv"
    return pd.read_csv(path, comment="#")


def test_speed_is_that_of_the_tables():
    text = " ".join(README.read_text().split())
    deep = timed("deep_stacks").set_index("models").seconds
    each = deep[256] / 256
    assert f"takes {1e6 * each:.0f} us for each of them, {deep[1] / each:.0f} times less" in text
    stacks = timed("stacks").set_index(["kind", "models"])
    ratio = stacks.seconds_torch_nn * stacks.index.get_level_values("models") / stacks.seconds
    assert f"32 stacked U(1) RNNs take {ratio['U(1) RNN', 32]:.0f} times less time for each" in text
    assert f"U(1) GRUs {ratio['U(1) GRU', 32]:.0f} times less than `nn.GRU`" in text
    assert f"(One U(1) RNN alone is {ratio['U(1) RNN', 1]:.1f} times faster than `nn.RNN`" in text
    assert f"one U(1) GRU alone takes {1 / ratio['U(1) GRU', 1]:.1f} times as long as `nn.GRU`.)" in text
    papers = timed("paper_tables")
    assert f"The {papers.models.sum()} runs whose results Tables 2 and 3 print" in text
    assert f"would take {papers.hours.sum():.0f} hours by their measured steps" in text
    assert f"the paper states {papers.paper_hours.sum():,.0f} hours for them" in text
    copies = pd.read_csv(ROOT / "benchmarks/results/h100_copy_steps.csv", comment="#").set_index("model")
    gain = copies.seconds_loops / copies.seconds
    grus, ten = copies.loc["U(1) GRU 32"], copies.loc["RNN 32"]
    assert f"takes {1e3 * grus.seconds:.2f} ms on an H100, {gain['U(1) GRU 32']:.0f} times less" in text
    assert f"RNNs of 32 units {1e3 * ten.seconds:.2f} ms, {gain['RNN 32']:.0f} times less" in text
    assert set(copies.models[["U(1) GRU 32", "RNN 32"]]) == {10}
    rnns = read("figure6", COMMITTED / "figure6_rnns.csv").attrs
    grus = read("figure6", COMMITTED / "figure6_grus.csv").attrs
    assert "unfinished" not in rnns
    assert f"took {rnns['seconds'] / 60:.0f} minutes for the million batches of each" in text
    assert f"{1e3 * rnns['seconds'] / 1_000_000:.1f} ms a batch of all 40" in text
    assert f"take {1e3 * grus['seconds'] / 50_000:.1f} ms a batch" in text
    assert all("H100" in each["gpu"] for each in (rnns, grus))
    minutes = {
        name: read(name, COMMITTED / f"{name}_paper.csv").attrs["seconds"] / 60 for name in ("figure3", "figure11")
    }
    assert f"five epochs, took {minutes['figure11']:.0f} minutes" in text
    assert f"took {minutes['figure3']:.0f} minutes on two CPU cores" in text
