"""The paper's numbers beside ours, on made-up results."""

import numpy as np
from scipy.stats import ttest_ind

from training import table
from training.recurrent import Setting
from training.recurrent.comparison import comparison
from training.recurrent.rows import row


def result(experiment, task, values, quantities):
    rows = [
        row(task, Setting(kind, size, seed), 1234, 100, quantity, value)
        for (kind, size), own in values.items()
        for seed, value in enumerate(own)
        for quantity in quantities
    ]
    return table.as_dataset(rows, {"experiment": experiment})


TESTED = ("test_accuracy", "test_loss")
LOSSES = {("RNN", 32): (0.5, 0.6, 0.7), ("U(1) RNN", 32): (2e-5, 0.3, 0.4)}


def test_copy_task():
    text = comparison(result("figure6", "copy, T <= 10", LOSSES, ("validation_loss", "test_loss")))
    line = next(line for line in text.splitlines() if "U(1) RNN 32 |" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    ours = np.array(LOSSES["U(1) RNN", 32])
    assert cells == [
        "copy, T <= 10",
        "U(1) RNN 32",
        "1,234",
        "identity, standard, 0.001",
        "0.000726 +- 0.00055 (copy, T <= 25); times 50: 0.0363 +- 0.027",
        f"{ours.mean():.3g} +- {ours.std(ddof=1):.2g}",
        "3",
        "1",
    ]
    chosen = "chosen: recurrent start, input start, learning rate"
    told = "loss, mean +- SD over seeds"
    assert text.startswith(
        f"| task here | model | parameters | {chosen} | paper: {told} | here: {told} | seeds | solved |\n"
    )
    p = ttest_ind(*LOSSES.values(), equal_var=False).pvalue
    assert f"copy, T <= 10, RNN 32 - U(1) RNN 32: p = {p:.2g} ({p:.2g})" in text


def test_p_is_adjusted_for_the_number_of_pairs():
    values = {**LOSSES, ("RNN", 64): (9.0, 9.1, 9.2)}
    text = comparison(result("figure6", "copy, T <= 10", values, ("validation_loss", "test_loss")))
    p = ttest_ind(values["RNN", 32], values["RNN", 64], equal_var=False).pvalue
    assert "t-tests of the losses themselves, 3 pairs, in brackets p adjusted for that many by Holm's method: " in text
    assert f"RNN 32 - RNN 64: p = {p:.2g} ({3 * p:.2g})" in text  # the smallest of the three


def test_images_have_accuracies_and_nothing_to_solve():
    values = {("GRU", 64): (0.5,), ("GRU", 32): (0.4,)}
    text = comparison(result("figure7", "permuted digits", values, ("validation_loss", "validation_accuracy", *TESTED)))
    assert "0.913 +- 0.019 (permuted mnist) | 0.5 | 1 |" in text
    assert "identity, standard, 0.001 |  | 0.4 | 1 |" in text  # not in the paper's table
    assert "| paper: accuracy, mean +- SD over seeds | here: accuracy, mean +- SD over seeds | seeds |\n" in text
    assert "solved" not in text
    assert "nan" not in text
    assert "One seed of each model" in text


def test_models_that_diverged_are_named():
    values = {("RNN", 32): (np.nan, 0.6), ("GRU", 32): (0.5, 0.6)}
    text = comparison(result("figure6", "copy, T <= 10", values, ("validation_loss", "test_loss")))
    assert (
        "| copy, T <= 10 | RNN 32 |  | none: seeds diverged | 0.0084 +- 0.00044 (copy, T <= 25); times 50: 0.42" in text
    )
    assert "nan" not in text


def test_experiments_without_a_table_in_the_paper():
    text = comparison(result("copy200", "copy, T <= 5", LOSSES, ("validation_loss", "test_loss")))
    assert "identity, standard, 0.001 |  | 0.6 +- 0.1 | 3 | 0 |" in text
