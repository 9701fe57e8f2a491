"""Networks that were trained on a GPU next to the same ones trained on a CPU, in the committed results.

Rounding differs, and training at large rates is chaotic, so that single networks end elsewhere: what must agree is
their distribution. Where training is not chaotic single networks must agree too.
"""

import pandas as pd
import pytest
from scipy import stats

from training import table
from training.places import COMMITTED, read

NETWORK = ["symmetry", "sigma_w", "learning_rate", "seed"]


@pytest.fixture(scope="module")
def accuracies():
    """On the test set: of 144 networks with the same weights and images, by device, after one epoch and after two."""
    found = {}
    for device, preset in (("cuda", "paper"), ("cpu", "cpu")):
        result = read("own_rate", COMMITTED / f"own_rate_{preset}.csv")
        assert result.attrs["device"] == device
        rows = table.frame(result)
        found[device] = rows[rows.quantity == "accuracy"].set_index([*NETWORK, "epoch"]).value
    both = pd.DataFrame(found).dropna().unstack("epoch")
    assert both.shape == (144, 4)
    return both


@pytest.mark.parametrize("epoch", [1.0, 2.0])
def test_the_distribution(accuracies, epoch):
    gpu, cpu = accuracies["cuda", epoch], accuracies["cpu", epoch]
    difference = gpu - cpu
    assert abs(difference.mean()) < 4.0 * difference.std() / len(difference) ** 0.5
    assert difference.std() > 0.01  # else they are not two runs
    assert stats.ks_2samp(gpu, cpu).pvalue > 1e-3


def test_single_networks_where_training_is_not_chaotic(accuracies):
    """The smallest rate, at the smallest sigma_w: to ten of 10,000 images, where seeds scatter by sixty and more.

    Generic(4) is left out: a rate three times as large makes one of its networks fail there, so that it is near chaos.
    """
    calm = accuracies.loc[(["U(1)", "O(4)", "generic(2)"], 1.2, 3e-5), :]
    assert len(calm) == 9
    assert (calm["cuda", 2.0] - calm["cpu", 2.0]).abs().max() <= 0.001
    assert calm["cpu", 2.0].groupby("symmetry").std().min() > 0.006
