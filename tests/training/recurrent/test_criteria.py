"""Verdicts on made-up results that bear a claim out, and that do not."""

import math

import pandas as pd
import pytest

from training.recurrent import Setting
from training.recurrent.criteria import (
    accurate_by_symmetry,
    as_large,
    blank_rule,
    bursts,
    controls,
    lasting_pairs,
    lower_loss,
    more_accurate,
    only_one_solves,
    readings,
)
from training.recurrent.rows import Row, row

IMAGES = ("validation_loss", "validation_accuracy", "test_accuracy", "test_loss")


def table(values, quantities=("validation_loss", "test_loss"), task="a task"):
    """Rows of {(kind, size, learning rate): values by seed}, the same in all quantities."""
    rows = [
        row(task, Setting(kind, size, seed, rate), 9, 100, quantity, value)
        for (kind, size, rate), own in values.items()
        for seed, value in enumerate(own)
        for quantity in quantities
    ]
    return pd.DataFrame(rows, columns=list(Row._fields))


def verdicts(checks):
    return [check.verdict for check in checks]


def test_lower_loss():
    values = {
        ("RNN", 32, 1e-3): (0.1, 0.11, 0.12),
        ("RNN", 64, 1e-3): (1e-3, 1.1e-3, 1.2e-3),
        ("U(1) RNN", 32, 1e-3): (1e-2, 1.1e-2, 1.2e-2),
        ("U(1) RNN", 32, 1e-4): (0.5, 0.5, 0.5),  # not selected
    }
    checks = lower_loss(table(values))
    assert verdicts(checks) == ["agrees", "contradicts"]
    assert [check.mean for check in checks] == pytest.approx([1.0, -1.0])
    values[("RNN", 64, 1e-3)] = (1e-3, 1e-2, 1.0)
    assert verdicts(lower_loss(table(values)))[1] == "undecided"


def test_which_seed_is_which_does_not_matter():
    """Weights of two models have nothing in common, whatever their seeds' numbers."""
    values = {
        ("U(1) GRU", 32, 1e-3): (0.12, 0.19, 0.24),
        ("GRU", 32, 1e-3): (0.30, 0.40, 0.41),
        ("generic(2) RNN", 32, 1e-3): (0.2, 0.3, 0.5),
        ("U(1) RNN", 32, 1e-3): (0.3, 0.4, 0.7),
    }
    accuracies = {("O(3) RNN", 8, 1e-3): (0.6, 0.7, 0.9), ("RNN", 8, 1e-3): (0.5, 0.55, 0.7)}
    accuracies[("generic(3) RNN", 8, 1e-3)] = (0.5, 0.6, 0.65)
    for judge, own in (
        (lower_loss, values),
        (controls, values),
        (more_accurate, accuracies),
        (as_large, accuracies),
        (accurate_by_symmetry, accuracies),
    ):
        first = next(iter(own))
        found = judge(table(own, IMAGES))
        assert found
        turned = judge(table(own | {first: (*own[first][1:], own[first][0])}, IMAGES))
        assert list(map(str, turned)) == list(map(str, found))


def test_only_one_solves():
    values = {("U(1) GRU", 32, 1e-3): (0.1, 9e-5, 0.1), ("GRU", 32, 1e-3): (0.1, 0.1, 1.1e-4)}
    # with more batches the other may solve it too
    assert verdicts(only_one_solves(table(values))) == ["agrees", "undecided"]
    assert verdicts(only_one_solves(table(values).assign(step=1_000_000))) == ["agrees", "agrees"]
    values[("GRU", 32, 1e-3)] = (0.1, 0.1, 0.9e-4)
    assert verdicts(only_one_solves(table(values))) == ["agrees", "contradicts"]
    values[("U(1) GRU", 32, 1e-3)] = (0.1, 0.1, 0.1)
    assert verdicts(only_one_solves(table(values))) == ["undecided", "contradicts"]
    whole = table(values).assign(step=1_000_000)
    assert verdicts(only_one_solves(whole)) == ["contradicts", "contradicts"]


@pytest.mark.parametrize("lost", [math.nan, 1e30])
def test_a_model_with_a_diverged_seed_leaves_what_is_asked_of_it_undecided(lost):
    def whole(values):
        return table(values).assign(step=1_000_000)

    values = {("U(1) GRU", 32, 1e-3): (9e-5, lost, 9e-5), ("GRU", 32, 1e-3): (0.1, 0.2, 0.1)}
    values[("GRU", 64, 1e-3)] = (0.3, 0.2, 0.3)
    assert verdicts(only_one_solves(whole(values))) == ["undecided", "agrees"]
    assert verdicts(lower_loss(table(values))) == ["undecided"] * 2
    values[("U(1) GRU", 32, 1e-4)] = (9e-5, 0.1, 0.1)  # a setting without one is chosen
    assert verdicts(only_one_solves(whole(values))) == ["agrees", "agrees"]
    values[("GRU", 32, 1e-3)] = (0.1, 0.2, lost)
    assert verdicts(only_one_solves(whole(values))) == ["agrees", "undecided"]
    values[("GRU", 64, 1e-3)] = (0.1, 9e-5, 0.1)
    assert verdicts(only_one_solves(whole(values))) == ["agrees", "contradicts"]


def test_more_accurate():
    values = {
        ("RNN", 8, 1e-3): (0.5, 0.51),
        ("GRU", 8, 1e-3): (0.9, 0.91),
        ("O(3) RNN", 8, 1e-3): (0.6, 0.61),
        ("U(1) GRU", 8, 1e-3): (0.8, 0.81),
        ("U(1) GRU", 16, 1e-3): (0.99, 0.99),  # without a partner
    }
    rows = table(values, IMAGES)
    controls = [  # are asked nothing
        table({(kind, 8, 1e-3): (0.1, 0.1)}, IMAGES).assign(model=f"{kind} 8, b_z = {bias}")
        for kind, bias in (("GRU", 2), ("U(1) GRU", 0))
    ]
    checks = more_accurate(pd.concat([rows, *controls]))
    assert [check.text for check in checks] == [
        "a task: accuracy, O(3) RNN 8 minus RNN 8",
        "a task: accuracy, U(1) GRU 8 minus GRU 8",
        *(check.text for check in as_large(rows)),  # all have as many weights here
    ]
    assert verdicts(checks) == ["agrees", "contradicts", *verdicts(as_large(rows))]
    assert len(as_large(rows)) == 3


def test_accurate_by_symmetry():
    """Against generic weights of as many components, the same cell and the same size, and nothing else."""
    values = {
        ("O(3) RNN", 8, 1e-3): (0.6, 0.61),
        ("generic(3) RNN", 8, 1e-3): (0.5, 0.51),
        ("generic(2) RNN", 8, 1e-3): (0.9, 0.9),
        ("generic(3) GRU", 8, 1e-3): (0.9, 0.9),
        ("generic(3) RNN", 16, 1e-3): (0.9, 0.9),
        ("RNN", 8, 1e-3): (0.9, 0.9),
        ("U(1) GRU", 8, 1e-3): (0.8, 0.81),
        ("generic(2) GRU", 8, 1e-3): (0.7, 0.71),
        ("generic(2) GRU", 8, 1e-2): (0.9, 0.91),  # selected
    }
    checks = accurate_by_symmetry(table(values, IMAGES))
    assert [check.text for check in checks] == [
        "a task: accuracy, O(3) RNN 8 minus generic(3) RNN 8",
        "a task: accuracy, U(1) GRU 8 minus generic(2) GRU 8",
    ]
    assert [check.mean for check in checks] == pytest.approx([0.1, -0.1])
    assert verdicts(checks) == ["agrees", "contradicts"]


def test_blank_rule():
    """It must help U(1) models, and within a factor of 1.4 do nothing to ordinary ones."""
    losses = {
        ("U(1) RNN", True): 0.1, ("U(1) RNN", False): 0.2, ("RNN", True): 0.1, ("RNN", False): 0.1 * 10**0.14,
        ("U(1) GRU", True): 0.1, ("U(1) GRU", False): 0.09, ("GRU", True): 0.1, ("GRU", False): 0.1 * 10**-0.16,
        ("generic(2) RNN", True): 1.0,
    }  # fmt: skip
    rows = [
        row("a task", Setting(kind, 32, seed, frozen_blank=frozen), 9, 100, quantity, value * (1.0 + 1e-4 * seed))
        for (kind, frozen), value in losses.items()
        for seed in range(3)
        for quantity in ("validation_loss", "test_loss")
    ]
    checks = blank_rule(pd.DataFrame(rows, columns=list(Row._fields)))
    text = "a task: log10 loss, {0}, blank trained minus {0}"
    names = ("U(1) RNN 32", "RNN 32", "RNN 32", "U(1) GRU 32", "GRU 32", "GRU 32")
    assert [check.text for check in checks] == [text.format(name) for name in names]
    assert [check.mean for check in checks] == pytest.approx([math.log10(2), 0.14, 0.14, math.log10(0.9), -0.16, -0.16])
    assert verdicts(checks) == ["agrees", "agrees", "agrees", "contradicts", "agrees", "contradicts"]


def test_readings():
    """Each encoder on its own, though validation would select one of them; both sides of the bound."""
    losses = {"deviation 0.001": 0.1 * 10**-0.2, "variance 0.001": 0.1}
    rows = [
        row("a task", Setting("U(1) RNN", 32, seed, encoder=encoder), 9, 100, quantity, value * (1.0 + 1e-4 * seed))
        for encoder, value in losses.items()
        for seed in range(3)
        for quantity in ("validation_loss", "test_loss")
    ]
    checks = readings(pd.DataFrame(rows, columns=list(Row._fields)))
    text = "a task: log10 loss, U(1) RNN 32, deviation 0.001 minus U(1) RNN 32, variance 0.001"
    assert [check.text for check in checks] == [text, text]
    assert [check.mean for check in checks] == pytest.approx([-0.2, -0.2])
    assert verdicts(checks) == ["agrees", "contradicts"]
    rows += [each._replace(seed=3, value=5e22) for each in rows if each.seed == 0 and each.encoder == "variance 0.001"]
    checks = readings(pd.DataFrame(rows, columns=list(Row._fields)))  # a seed that diverged has no loss to compare
    assert verdicts(checks) == ["undecided", "undecided"]
    assert all(math.isnan(check.mean) for check in checks)


def test_as_large():
    """Of several larger ordinary models the smallest one counts, whatever its hidden size."""
    values = {"RNN 8": (90, 0.5), "RNN 20": (400, 0.8), "RNN 30": (900, 0.1), "O(3) RNN 8": (300, 0.7)}
    values |= {"GRU 8": (200, 0.9), "U(1) GRU 8": (500, 0.95)}  # without a GRU as large
    rows = [
        row("a task", Setting(kind, int(size), seed), parameters, 100, quantity, accuracy + 0.01 * seed)
        for name, (parameters, accuracy) in values.items()
        for kind, size in [name.rsplit(" ", 1)]
        for seed in range(2)
        for quantity in IMAGES
    ]
    (check,) = as_large(pd.DataFrame(rows, columns=list(Row._fields)))
    assert check.text == "a task: accuracy, O(3) RNN 8 (300 weights) minus RNN 20 (400)"
    assert check.mean == pytest.approx(-0.1)
    assert check.verdict == "contradicts"


def grid(loss, read_off, beyond, *, before=(0.125, 0.0), seed=0):
    """So much kept beyond chance in each channel, at steps 8 to 13; symbols end with 9, the delay with 12.

    `before` training so much is read off, and kept beyond chance in both channels.
    """
    setting = Setting("grid RNN", 16, seed, channels=2)
    rows = [row("a task", setting, 9, 100, "test_loss", loss)]
    for step in (0, 100):
        rows.append(row("a task", setting, 9, step, "read_off", read_off if step else before[0], -1, 12))
        for channel, trained in enumerate(beyond):
            for time in range(8, 14):
                # what is while symbols come and after the go token does not count
                more = (trained if step else before[1]) if 9 <= time < 13 else (-0.5 if step else 0.5)
                rows.append(row("a task", setting, 9, step, "chance", 0.5, channel, time))
                rows.append(row("a task", setting, 9, step, "kept", 0.5 + more, channel, time))
    return pd.DataFrame(rows, columns=list(Row._fields))


def test_lasting_pairs():
    checks = lasting_pairs(grid(1e-5, 0.5, (0.3, 0.2)))
    assert verdicts(checks) == ["agrees"] * 4
    assert [check.mean for check in checks] == pytest.approx([1e-5, 0.375, 0.2, 0.25])
    short = grid(1e-2, 0.1, (0.1, -0.2))
    assert verdicts(lasting_pairs(short)) == ["undecided"] + ["contradicts"] * 3
    assert "0.01" in str(lasting_pairs(short)[0])
    whole = short.assign(step=short.step.replace(100, 1_000_000))
    assert verdicts(lasting_pairs(whole)) == ["contradicts"] * 4
    empty = short[~short.quantity.isin(["kept", "chance"])]  # without a single vortex
    assert verdicts(lasting_pairs(empty)) == ["undecided", "contradicts", "undecided", "undecided"]


def test_vortices_count_from_the_last_symbol_to_the_end_of_the_delay():
    """Steps 9 to 12, each as much as another; before and after them nothing counts."""
    rows = grid(1e-5, 0.5, (0.0, 0.0))
    kept = (rows.quantity == "kept") & (rows.step == 100)
    rows.loc[kept, "value"] = 0.5 + rows.time.map({8: 0.4, 9: 0.1, 10: 0.0, 11: 0.0, 12: 0.3, 13: -0.5})
    _, _, least, more = lasting_pairs(rows)
    assert (least.mean, more.mean) == pytest.approx((0.1, 0.1))


def test_lasting_pairs_of_several_seeds():
    """Intervals over seeds, of each seed's own least channel and own gain; one unsolved seed is enough to fail."""
    sizes = (1e-5, 0.5, (0.3, 0.2), 0.125), (1e-5, 0.6, (0.1, 0.3), 0.2), (1e-5, 0.4, (0.2, 0.4), 0.1)
    rows = pd.concat([grid(*some, before=(told, 0.05), seed=4 - n) for n, (*some, told) in enumerate(sizes)])
    loss, told, least, more = lasting_pairs(rows)
    assert sorted(told.values) == pytest.approx([0.3, 0.375, 0.4])
    assert sorted(least.values) == pytest.approx([0.1, 0.2, 0.2])
    assert sorted(more.values) == pytest.approx([0.15, 0.2, 0.25])
    assert verdicts((loss, told, least, more)) == ["agrees"] * 4
    assert more.half_width == pytest.approx(4.302652730 * 0.05 / 3**0.5, rel=1e-6)  # Student's, of two degrees
    assert loss.text == "test cross-entropy, largest 1e-05"
    scattered = pd.concat([rows[rows.seed > 2], grid(1.0, 0.1, (0.2, -0.1), before=(0.125, 0.05))])
    assert verdicts(lasting_pairs(scattered)) == ["undecided"] * 4
    late = scattered.assign(step=scattered.step.replace(100, 1_000_000))
    assert verdicts(lasting_pairs(late))[0] == "contradicts"
    late.loc[(late.quantity == "test_loss") & (late.seed == 3), "value"] = math.nan
    assert verdicts(lasting_pairs(late))[0] == "contradicts"
    hidden = (rows.channel == 1) & (rows.seed == 4) & (rows.step > 0) & rows.quantity.isin(["kept", "chance"])
    assert verdicts(lasting_pairs(rows[~hidden])) == ["agrees", "agrees", "undecided", "undecided"]
    _, _, least, more = lasting_pairs(rows[~hidden])  # a channel without vortices is not passed over
    assert [sum(map(math.isnan, check.values)) for check in (least, more)] == [1, 1]


def test_an_untrained_grid_does_not_bear_the_claim_out():
    """However much its winding numbers tell, and however long its vortices last."""
    checks = lasting_pairs(grid(1.0, 0.4, (0.3, 0.2), before=(0.4, 0.25)))
    assert verdicts(checks) == ["undecided", "undecided", "agrees", "undecided"]
    less = lasting_pairs(grid(1.0, 0.35, (0.3, 0.2), before=(0.4, 0.3)))
    assert verdicts(less) == ["undecided", "contradicts", "agrees", "contradicts"]


def test_controls():
    values = {
        ("U(1) RNN", 32, 1e-3): (1e-3, 1.1e-3, 1.2e-3),
        ("generic(2) RNN", 32, 1e-3): (1e-1, 1.1e-1, 1.2e-1),
        ("RNN", 32, 1e-3): (1.0, 1.0, 1.0),  # of no control
    }
    (check,) = controls(table(values))
    assert check.mean == pytest.approx(2.0)
    assert check.verdict == "agrees"
    rows = [
        row("a task", Setting(kind, 32, seed, update_bias=bias), 9, 100, quantity, value * (1.0 + 0.1 * seed))
        for kind, bias, value in (("GRU", None, 1e-1), ("GRU", 2.0, 1e-2), ("U(1) GRU", None, 1e-2))
        for seed in range(3)
        for quantity in ("validation_loss", "test_loss")
    ]
    checks = controls(pd.DataFrame(rows, columns=list(Row._fields)))
    assert [check.text for check in checks] == [
        "a task: log10 loss, GRU 32 minus GRU 32, b_z = 2",
        "a task: log10 loss, GRU 32, b_z = 2 minus U(1) GRU 32",
    ]
    assert [check.mean for check in checks] == pytest.approx([1.0, 0.0])
    assert verdicts(checks) == ["agrees", "undecided"]


def test_bursts():
    """A mean over an epoch above 10, or none at all, in whichever epoch; each activation by itself."""

    def losses(relu, tanh):
        rows = [
            row("permuted mnist", Setting("RNN", 8, seed, activation=activation), 9, step, quantity, value)
            for activation, runs in (("relu", relu), ("tanh", tanh))
            for seed, means in enumerate(runs)
            for step, value in zip((5, 10), means, strict=True)
            for quantity in ("train_loss", "validation_loss")
        ]
        return bursts(pd.DataFrame(rows, columns=list(Row._fields)))

    def stretch(relu, tanh):
        """The last check, of each seed's spectral radius; that with tanh does not count."""
        rows = [
            row("permuted mnist", Setting("RNN", 8, seed, activation=activation), 9, 10, quantity, value)
            for activation, radii in (("relu", relu), ("tanh", tanh))
            for seed, radius in enumerate(radii)
            for quantity, value in (("train_loss", 2.0), ("spectral_radius", radius))
        ]
        return bursts(pd.DataFrame(rows, columns=list(Row._fields)))[-1]

    just = 10 ** (3.0 / 784)
    assert stretch((just + 1e-6, 2.0), (1.0, 1.0)).verdict == "agrees"
    assert stretch((just - 1e-6, 2.0), (5.0, 5.0)).verdict == "contradicts"
    assert stretch((math.nan, 2.0), (5.0, 5.0)).verdict == "undecided"
    calm = ((2.3, 2.1), (2.2, 1.9))
    assert verdicts(losses(((2.3, 11.0), (2.2, 1.9)), calm)) == ["agrees", "agrees"]
    assert verdicts(losses(((1e20, 2.0), (2.2, 1.9)), calm)) == ["agrees", "agrees"]
    assert verdicts(losses(calm, ((2.2, 2.1), (2.0, math.nan)))) == ["contradicts", "contradicts"]
    assert verdicts(losses(calm, calm)) == ["contradicts", "agrees"]
    assert [check.mean for check in losses(((math.inf, 2.0), (math.nan, math.nan)), calm)] == [2.0, 0.0]
