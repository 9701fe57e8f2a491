"""Which results are a part of the paper's own runs, and what a report calls them."""

import pytest
import xarray as xr

from training.extent import Extent, extent
from training.presets import PRESETS as DEEP
from training.recurrent.presets import PRESETS, Size
from training.report import in_one_line, size_of_run


def of(settings, **attributes):
    """A result with these settings; of nothing else does its extent depend."""
    return xr.Dataset(attrs={"settings": settings, "device": "cpu", "seconds": 60.0, **attributes})


@pytest.mark.parametrize(
    ("name", "preset", "expected"),
    [
        ("figure6", "paper", (10**6, 10**6)),
        ("figure6", "rnns", (10**6, 10**6)),  # one of two tasks
        ("figure6", "grus", (50_000, 10**6)),  # of the other one, without the controls
        ("figure6", "all_grus", (10**6, 10**6)),
        ("figure6", "short", (25_000, 10**6)),
        ("figure6", "rates", None),  # other learning rates, and fewer seeds
        ("figure6", "cpu", None),  # other tasks
        ("symmetry", "longer", None),  # three of four rates: fewer to choose from
        ("figure7", "paper", None),  # images
    ],
)
def test_extent(name, preset, expected):
    found = extent(name, of(PRESETS[name][preset].settings))
    assert found == (None if expected is None else Extent(*expected))


def test_a_run_on_its_way():
    rnns = PRESETS["figure6"]["rnns"].settings
    assert extent("figure6", of(rnns, unfinished=640_000)) == (640_000, 10**6)
    assert not extent("figure6", of(rnns, unfinished=640_000)).whole
    assert extent("figure6", of(rnns)).whole


def test_the_shortest_part_counts():
    whole, beginning = (PRESETS["figure6"][preset].parts for preset in ("rnns", "grus"))
    assert extent("figure6", of(Size((*whole, *beginning)).settings)) == (50_000, 10**6)


def test_all_parts_must_be_the_paper_s():
    whole, other = (PRESETS["figure6"][preset].parts for preset in ("rnns", "cpu"))
    assert extent("figure6", of(Size((*whole, *other)).settings)) is None


def test_deep_networks_have_none():
    assert extent("figure3", of(DEEP["figure3"]["paper"].settings)) is None


@pytest.mark.parametrize(
    ("preset", "attributes", "label"),
    [
        ("paper", {}, ""),
        ("paper", {"unfinished": 20}, "**unfinished, after 20 batches:** "),
        ("rnns", {}, "**a part of the paper's, at its full size:** "),
        ("rnns", {"unfinished": 640_000}, "**unfinished, after 640,000 batches:** "),
        ("grus", {}, "**reduced:** "),
        ("cpu", {}, "**reduced:** "),
    ],
)
def test_what_a_report_calls_it(preset, attributes, label):
    told = size_of_run("figure6", of(PRESETS["figure6"][preset].settings, **attributes))
    assert told.startswith(f"{label}copy, T <= ")
    assert (". Preset `paper`: copy, T <= 25" in told) == bool(label)
    plain = in_one_line("figure6", of(PRESETS["figure6"][preset].settings, **attributes))
    assert plain == (told.replace("**", "") if label else f"size of preset `paper`: {told}")
