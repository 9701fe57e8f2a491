import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import xarray as xr

from training import runner
from training.recurrent import CopyTask, ImageTask, Setting, Training
from training.recurrent.job import Job
from training.recurrent.selection import holm, select, summarise, welch
from training.recurrent.stability import spectral_radius
from training.recurrent.stacked_adam import StackedAdam, clip_norms, clip_values
from training.recurrent.stacking import stack
from training.recurrent.vortex_memory import field_of_angles

MIXED = [
    Setting("U(1) RNN", 4, seed=0, learning_rate=1e-3),
    Setting("U(1) RNN", 4, seed=1, learning_rate=3e-2, recurrent="uniform"),
    Setting("U(1) RNN", 4, seed=2, learning_rate=1e-2, encoder="variance 0.001", frozen_blank=True),
]


def alone(setting, task, steps, batch, clip_norm=None, clip_value=None, drop_at=None):
    """One model trained by torch's own optimiser and clipping."""
    copying = isinstance(task, CopyTask)
    model = setting.build(10 if copying else 1, every_step=copying)
    optimiser = torch.optim.Adam(model.parameters(), lr=setting.learning_rate)
    for step in range(steps):
        x, targets = (part[0] for part in task.batch(step, batch, [setting.seed]))
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x).flatten(0, -2), targets.flatten()).backward()
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        if clip_value is not None:
            torch.nn.utils.clip_grad_value_(model.parameters(), clip_value)
        if drop_at is not None and step >= drop_at:
            optimiser.param_groups[0]["lr"] = 0.1 * setting.learning_rate
        optimiser.step()
    return model


@pytest.mark.parametrize(
    "options", [{}, {"clip_norm": 0.05}, {"clip_value": 0.01}, {"drop_at": 4}], ids=["plain", "norm", "value", "drop"]
)
def test_a_stack_trains_as_its_models_alone(options):
    task = CopyTask(2)
    training = Training(task, MIXED, 8, batch=5, **options).run()
    for i, setting in enumerate(MIXED):
        single = alone(setting, task, 8, 5, **options)
        for name, parameter in single.named_parameters():
            torch.testing.assert_close(training.model.get_parameter(name)[i], parameter, rtol=2e-3, atol=2e-6)


def test_images_train_as_alone():
    task, settings = ImageTask(), [Setting("O(3) RNN", 4, seed=s, biases="tables") for s in (0, 1)]
    training = Training(task, settings, 4, batch=16).run()
    single = alone(settings[1], task, 4, 16)
    for name, parameter in single.named_parameters():
        torch.testing.assert_close(training.model.get_parameter(name)[1], parameter, rtol=2e-3, atol=2e-6)
    result = training.result()
    x, labels = task.test[:]
    accuracy = (single(x).argmax(-1) == labels).double().mean()
    np.testing.assert_allclose(result.test_accuracy[1], accuracy, atol=1 / 300 + 1e-9)
    loss = torch.nn.functional.cross_entropy(single(task.validation[:][0]), task.validation.labels)
    np.testing.assert_allclose(result.validation_loss[1, -1], loss.detach(), rtol=1e-3)


def test_going_on_after_an_interruption_changes_nothing(tmp_path):
    task = CopyTask(2)
    whole = Training(task, MIXED, 10, batch=5, test_every=4).run()
    half = Training(task, MIXED, 10, batch=5, test_every=4).run(5)
    half.save(tmp_path / "state")
    again = Training(task, MIXED, 10, batch=5, test_every=4)
    again.restore(tmp_path / "state")
    assert again.step == 5
    xr.testing.assert_identical(again.run().result(), whole.result())
    with pytest.raises(ValueError, match="must be a checkpoint of"):
        Training(task, MIXED[:2], 10, batch=5, test_every=4).restore(tmp_path / "state")
    for other in ({"batch": 6}, {"test_every": 5}, {"clip_norm": 1.0}, {"drop_at": 7}):
        with pytest.raises(ValueError, match="must be a checkpoint of"):
            Training(task, MIXED, 10, **{"batch": 5, "test_every": 4, **other}).restore(tmp_path / "state")
    with pytest.raises(ValueError, match="must be a checkpoint of"):
        Training(CopyTask(3), MIXED, 10, batch=5, test_every=4).restore(tmp_path / "state")


def test_what_a_kind_is_made_of():
    settings = [Setting(kind, 9) for kind in ("GRU", "O(3) RNN", "generic(2) GRU", "grid RNN")]
    found = [(each.symmetry, each.cell, each.is_grid) for each in settings]
    assert found == [
        ("", "GRU", False), ("O(3)", "RNN", False), ("generic(2)", "GRU", False), ("U(1)", "RNN", True)
    ]  # fmt: skip
    assert repr(settings[0]).startswith("Setting(kind='GRU', hidden_size=9, seed=0, learning_rate=0.001, recurrent=")


def test_initial_weights_are_those_of_the_seed_in_threads_too():
    """Large enough that two threads draw at once, and of every kind; torch's own random numbers stay as they are."""
    settings = [
        Setting("U(1) GRU", 512, seed=0),
        Setting("U(1) GRU", 512, seed=1, recurrent="uniform", encoder="variance 0.001"),
        Setting("generic(2) RNN", 200, recurrent="uniform"),
        Setting("GRU", 512),
        Setting("RNN", 512, recurrent="uniform"),
        Setting("grid RNN", 400, channels=64, recurrent="uniform"),
    ]

    def build(setting):
        return setting.build(10, every_step=True).state_dict()

    alone, before = [build(setting) for setting in settings], torch.random.get_rng_state()
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(build, 3 * settings))
    for found, right in zip(together, 3 * alone, strict=True):
        assert all(torch.equal(found[name], right[name]) for name in right)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_users_default_precision_does_not_matter():
    torch.set_default_dtype(torch.float64)
    try:
        training = Training(CopyTask(2), MIXED, 2, batch=5).run()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {parameter.dtype for parameter in training.model.parameters()} == {torch.float32}


def test_the_spectral_radius_is_recorded_at_the_end():
    """Of the weights as they are then, by numpy; U(1)'s as complex numbers."""
    for settings in (
        MIXED,
        (Setting("RNN", 4, 0), Setting("RNN", 4, 1)),
        (Setting("O(3) RNN", 4, recurrent="uniform"),),
    ):
        training = Training(CopyTask(1), settings, 3, batch=2, test_every=2).run()
        result, weights = training.result(), training.model.layer.recurrent.detach().double().numpy()
        if settings is MIXED:
            weights = weights[:, 0] + 1j * weights[:, 1]
        assert result.spectral_radius.dims == ("model",)
        expected = np.abs(np.linalg.eigvals(weights)).max(-1)
        np.testing.assert_allclose(result.spectral_radius, expected, rtol=1e-6)
        with torch.no_grad():
            training.model.layer.recurrent[0].view(-1)[0] = torch.nan
        found = spectral_radius(training.model.layer).numpy()
        assert np.isnan(found[0])
        np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-6)
    for kind in ("GRU", "U(1) GRU"):
        gated = Training(CopyTask(1), (Setting(kind, 4),), 1, batch=2).run()
        assert "spectral_radius" not in gated.result()


def test_what_is_recorded():
    task = CopyTask(2)
    training = Training(task, MIXED, 10, batch=5, test_every=4)
    result = training.run().result()
    assert result.step.values.tolist() == [4, 8, 10]
    assert result.learning_rate.values.tolist() == [1e-3, 3e-2, 1e-2]
    # encoder 8 x 10, complex 4 x 4, readout 10 x 8 and 10
    assert result.parameters.values.tolist() == [80 + 32 + 90] * 3
    assert all(result[name].attrs["long_name"] for name in result.data_vars)
    assert result.attrs["task"] == "CopyTask(max_delay=2, fixed=False)"
    # the last number is of 100 batches of 50, the others of one
    for split in ("validation", "test"):
        each = [task.batch(10 + number, 50, [0, 1, 2], split=split) for number in range(100)]
        x, targets = (torch.cat(parts, 1) for parts in zip(*each, strict=True))
        logits = training.model(x).detach()
        for i in range(3):
            loss = torch.nn.functional.cross_entropy(logits[i].flatten(0, 1), targets[i].flatten())
            np.testing.assert_allclose(result[f"{split}_loss"][i, -1], loss, rtol=1e-5)
    # of untrained models the mean training loss is that of the batches themselves
    still = [Setting("U(1) RNN", 4, seed=s, learning_rate=0.0) for s in (0, 1)]
    idle = Training(task, still, 3, batch=5)
    losses = [
        torch.nn.functional.cross_entropy(idle.model(x)[1].flatten(0, 1), targets[1].flatten()).item()
        for x, targets in (task.batch(step, 5, [0, 1]) for step in range(3))
    ]
    np.testing.assert_allclose(idle.run().result().train_loss[1, -1], np.mean(losses), rtol=1e-6)


def test_a_diverged_model_leaves_the_others_alone():
    wild = [*MIXED[:2], Setting("U(1) RNN", 4, seed=5, learning_rate=1e30)]
    calm = Training(CopyTask(2), MIXED[:2], 6, batch=5).run().result()
    result = Training(CopyTask(2), wild, 6, batch=5).run().result()
    np.testing.assert_allclose(result.test_loss[:2], calm.test_loss, rtol=1e-4)
    assert not result.test_loss[2, -1] < 10.0


def test_the_blank_column_stays_zero():
    training = Training(CopyTask(2), MIXED, 4, batch=5).run()
    columns = training.model.layer.encoder[:, :, 0]
    assert torch.all(columns[2] == 0.0)
    assert torch.all(columns[:2] != 0.0)


def test_convolutions_are_exact_in_a_step_and_as_before_after_it(monkeypatch):
    def flags():
        return torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.deterministic

    inside, outside, gradients = [], flags(), Training._gradients
    monkeypatch.setattr(Training, "_gradients", lambda *args: (inside.append(flags()), gradients(*args))[1])
    Training(CopyTask(0), [Setting("grid RNN", 9, channels=2)], 1, batch=2).run()
    assert inside == [("ieee", True)]
    assert flags() == outside != inside[0]


def test_products_are_exact_in_a_step_and_as_before_after_it(monkeypatch):
    inside, gradients, precision = [], Training._gradients, torch.get_float32_matmul_precision
    monkeypatch.setattr(Training, "_gradients", lambda *args: (inside.append(precision()), gradients(*args))[1])
    try:
        torch.set_float32_matmul_precision("medium")
        Training(CopyTask(0), [Setting("U(1) RNN", 4)], 1, batch=2).run()
        assert precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert inside == ["highest"]


def test_learning_a_short_task():
    """Below what a model without memory can reach."""
    task = CopyTask(0)
    settings = [Setting("U(1) GRU", 16, learning_rate=3e-2, recurrent="uniform", encoder="variance 0.001")]
    result = Training(task, settings, 300, batch=32).run().result()
    assert result.test_loss[0, -1] < 0.85 * task.loss_without_memory


@pytest.mark.parametrize("clip", [clip_norms, clip_values])
def test_clipping_leaves_a_shared_gradient_alone(clip):
    """As autograd may give one to two parameters, or one number to many places."""
    parameters = [torch.nn.Parameter(torch.zeros(2, 3)) for _ in range(2)]
    shared = torch.ones(2, 1).expand(2, 3)
    for parameter in parameters:
        parameter.grad = shared
    clip(parameters, 0.5)
    for parameter in parameters:
        size = 0.5 if clip is clip_values else 0.5 / 6.0**0.5
        torch.testing.assert_close(parameter.grad, torch.full((2, 3), size))
    assert (shared == 1.0).all()


def test_adam_drops_gradients_and_needs_them():
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    adam = StackedAdam([parameter], [0.1, 0.0])
    with pytest.raises(ValueError, match=r"must all have gradients .*, got 1 of 1 without"):
        adam.step()
    parameter.sum().backward()
    adam.step()
    assert parameter.grad is None
    # Adam's first step is the learning rate in size
    torch.testing.assert_close(parameter.detach(), torch.tensor([[0.9] * 3, [1.0] * 3]))


def test_clipping_is_by_model():
    a, b = (torch.nn.Parameter(torch.zeros(2, n)) for n in (3, 4))
    a.grad, b.grad = torch.tensor([[3.0, 0, 0], [0.3, 0, 0]]), torch.tensor([[0, 4.0, 0, 0], [0, 0.4, 0, 0]])
    clip_norms([a, b], 1.0)
    torch.testing.assert_close(a.grad[:, 0], torch.tensor([0.6, 0.3]))
    torch.testing.assert_close(b.grad[:, 1], torch.tensor([0.8, 0.4]))
    clip_values([a, b], 0.5)
    torch.testing.assert_close(b.grad[:, 1], torch.tensor([0.5, 0.4]))


@pytest.mark.parametrize("size", [1e20, float("inf")])
def test_gradients_that_overflow_are_clipped_as_by_torch(size):
    mine, theirs = (torch.nn.Parameter(torch.zeros(1, 3)) for _ in range(2))
    for parameter in (mine, theirs):
        parameter.grad = torch.tensor([[size, 1.0, -size]])
    clip_norms([mine], 1.0)
    torch.nn.utils.clip_grad_norm_([theirs], 1.0)
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=0.0, atol=0.0, equal_nan=True)
    assert float(mine.grad[0, 1]) == 0.0
    assert bool(mine.grad[0, 0].isnan()) == (size == float("inf"))


def made_up():
    """Two kinds, two learning rates, three seeds; the test would choose otherwise than validation does."""
    rows = [(kind, rate, seed) for kind in ("RNN", "GRU") for rate in (1e-3, 1e-4) for seed in range(3)]
    validation = {("RNN", 1e-3): 0.5, ("RNN", 1e-4): 0.1, ("GRU", 1e-3): 0.2, ("GRU", 1e-4): np.nan}
    values = np.array([[9.0, validation[kind, rate] + 0.01 * seed] for kind, rate, seed in rows])
    test = np.array([[9.0, [3e-5, 2e-4, 9e-5][seed] * (1 if rate == 1e-4 else 2)] for _, rate, seed in rows])
    coords = {"kind": [r[0] for r in rows], "learning_rate": [r[1] for r in rows], "seed": [r[2] for r in rows]}
    coords |= {"parameters": [5] * 12, "hidden_size": [8] * 12, "recurrent": ["identity"] * 12}
    coords |= {"encoder": ["standard"] * 12, "activation": ["tanh"] * 12, "label": [f"{r[0]} 8" for r in rows]}
    return xr.Dataset(
        {"validation_loss": (("model", "step"), values), "test_loss": (("model", "step"), test)},
        coords={"step": [1, 2], **{name: ("model", column) for name, column in coords.items()}},
    )


def test_selection_is_by_validation():
    chosen = select(made_up())
    assert sorted(set(zip(chosen.kind.values.tolist(), chosen.learning_rate.values.tolist(), strict=True))) == [
        ("GRU", 1e-3),
        ("RNN", 1e-4),
    ]
    assert chosen.sizes["model"] == 6


def test_accuracy_decides_where_there_is_one():
    results = made_up()
    results["validation_accuracy"] = -results.validation_loss.where(results.kind != "RNN", -results.validation_loss)
    chosen = select(results)
    assert set(chosen.learning_rate.values[chosen.kind.values == "RNN"]) == {1e-3}


@pytest.mark.parametrize("by", ["validation_loss", "validation_accuracy"])
def test_validation_counts_at_the_last_step(by):
    """Not where it was best."""
    results = made_up().isel(model=slice(0, 6))
    better = results.learning_rate == 1e-4
    results["validation_loss"] = xr.where(better, 0.2, 0.4) + 0.0 * results.step
    results["validation_loss"][:, 0] = np.where(better, 0.3, 0.1)
    if by == "validation_accuracy":
        results["validation_accuracy"] = 1.0 - results.validation_loss
    assert set(select(results).learning_rate.values) == {1e-4}


@pytest.mark.parametrize("lost", [np.nan, 1e30])
def test_what_diverged_has_an_accuracy_but_no_say(lost):
    """Weights that are not finite still give an answer: some accuracy, here the best one."""
    results = made_up()
    results["validation_accuracy"] = xr.where(results.learning_rate == 1e-3, 0.9, 0.5) + 0.0 * results.step
    results["test_accuracy"] = 0.5 + 0.1 * results.seed
    results["validation_loss"] = xr.where(results.validation_loss > 1.0, 1.0, 0.3)
    results.validation_loss[1, -1] = lost  # RNN, 1e-3
    assert set(select(results).learning_rate.values[:3]) == {1e-4}
    results.test_loss[1, -1] = lost
    table = summarise(results.isel(model=slice(0, 3)))
    assert (table.diverged.item(), table.seeds.item()) == (1, 3)
    np.testing.assert_allclose(table["mean"], [(0.5 + 0.7) / 2])


def test_summary_and_solved():
    table = summarise(select(made_up()))
    assert table.group.values.tolist() == ["RNN 8", "GRU 8"]
    values = np.array([3e-5, 2e-4, 9e-5])
    np.testing.assert_allclose(table["mean"], [values.mean(), 2 * values.mean()])
    np.testing.assert_allclose(table["std"], [values.std(ddof=1), 2 * values.std(ddof=1)])
    assert table.solved.values.tolist() == [2, 1]
    assert table.seeds.values.tolist() == [3, 3]
    assert table.diverged.values.tolist() == [0, 0]
    assert table.parameters.values.tolist() == [5, 5]


def test_welch_by_its_formula():
    results = select(made_up())
    a = np.array([3e-5, 2e-4, 9e-5])
    variance = a.var(ddof=1) / 3
    t = (a.mean() - 2 * a.mean()) / np.sqrt(variance + 4 * variance)
    table = welch(results)
    assert table.pair.values.tolist() == ["RNN 8 - GRU 8"]
    np.testing.assert_allclose(table.t, [t])
    # Welch-Satterthwaite degrees of freedom, and Student's tail by integration
    freedom = (5 * variance) ** 2 / ((variance**2 + (4 * variance) ** 2) / 2)
    x = np.tan(np.linspace(np.arctan(abs(t)), np.pi / 2, 200_001)[:-1])
    density = (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    whole = np.tan(np.linspace(0, np.pi / 2, 200_001)[:-1])
    p = np.trapezoid(density, x) / np.trapezoid((1 + whole**2 / freedom) ** (-(freedom + 1) / 2), whole)
    np.testing.assert_allclose(table.p, [p], rtol=1e-3)


def test_holm_by_hand():
    """Smallest first: 4 x 0.005, 3 x 0.01, 2 x 0.03, 0.04; none below the one before it, and none above 1."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.2]), [0.2])


def test_diverged_seeds_are_counted():
    results = made_up().isel(model=slice(0, 3)).copy(deep=True)
    results.test_loss[1, -1] = np.nan
    table = summarise(results)
    assert table.diverged.values.tolist() == [1]
    assert table.seeds.values.tolist() == [3]
    np.testing.assert_allclose(table["mean"], [(6e-5 + 1.8e-4) / 2])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Setting("LSTM", 4), "kind must be 'RNN', 'GRU' or"),
        (lambda: Setting("RNN", 4, biases="many"), "biases must be 'equations' or 'tables', got 'many'"),
        (lambda: Setting("RNN", 4, learning_rate=-1.0), "learning_rate must be >= 0"),
        (lambda: Setting("RNN", 4, learning_rate=[1e-3, 1e-4]), "learning_rate must be one number"),
        (lambda: Setting("RNN", -1), "hidden_size must be an integer >= 1, got -1"),
        (lambda: Setting("grid RNN", 4.0), r"hidden_size must be an integer >= 1, got 4\.0"),
        (lambda: Setting("SU(2) RNN", 4), r"symmetry must be .*, got 'SU\(2\)'"),
        (lambda: Setting("U(1) RNN", 4, activation="relu"), "activation must be 'tanh', or 'relu' for ordinary models"),
        (lambda: Setting("RNN", 4, activation="sine"), "activation must be 'tanh', or 'relu' for ordinary models"),
        (lambda: Setting("RNN", 4, update_bias=2.0), "update_bias must be None for RNN, which has no gates, got 2"),
        (lambda: Setting("RNN", 4, encoder="low"), "encoder must be one of 'standard'"),
        (lambda: CopyTask(2).tokens(0, 1, [0], split="foo"), "split must be one of 'train', 'validation', 'test'"),
        (lambda: Setting("U(1)  RNN", 4), "kind must be 'RNN', 'GRU' or a symmetry and one of these"),
        (lambda: Setting(" RNN", 4), "kind must be 'RNN', 'GRU' or a symmetry and one of these"),
        (lambda: Setting("GRU", 4, update_bias="x"), "update_bias must be a real number"),
        (lambda: Setting("grid RNN", 9, channels=0), "channels must be an integer >= 1, got 0"),
        (lambda: Setting("RNN", 4, frozen_blank="yes"), "frozen_blank must be True or False, got 'yes'"),
        (lambda: CopyTask(2, "no"), "fixed must be True or False, got 'no'"),
        (lambda: CopyTask(2).batch(0, 1, 0), "seeds must be a sequence of integers, one for each model, got 0"),
        (lambda: CopyTask(2).batch(0, 1, []), r"seeds must be a sequence of integers, one for each model, got \[\]"),
        (lambda: [CopyTask(2).batch(0, 1, each) for each in ([9], [9.0])], "seeds must be an integer >= 0, got 9.0"),
        (lambda: ImageTask(permuted="no"), "permuted must be True or False, got 'no'"),
        (lambda: ImageTask().batch(-1, 4, [0]), "step must be an integer >= 0, got -1"),
        (lambda: ImageTask().batch(0, 4, []), "seeds must be a sequence of integers"),
        (lambda: Training(CopyTask(2), None, 5), "settings must be a sequence of Setting, got None"),
        (lambda: Training(CopyTask(2), ["RNN"], 5), r"settings must be a sequence of Setting, got \['RNN'\]"),
        (lambda: Training(CopyTask(2), MIXED, 5, clip_norm=[1.0, 2.0]), "clip_norm must be one number"),
        (lambda: Training(CopyTask(2), MIXED, 5).run(1.5), "more must be an integer >= 0, got 1.5"),
        (lambda: Training(CopyTask(2), [], 5), "models must not be empty"),
        (lambda: Training(CopyTask(2), [Setting("RNN", 4), Setting("GRU", 4)], 5), "models must be alike"),
        (lambda: Training(CopyTask(2), MIXED, 0), "steps must be an integer >= 1"),
        (lambda: Training(CopyTask(2), MIXED, 5, clip_norm=0.0), "clip_norm must be > 0"),
        (lambda: Training(CopyTask(2), MIXED, 5, drop_at=0), "drop_at must be an integer >= 1, got 0"),
        (lambda: Training(CopyTask(2), MIXED, 5, drop_at=1.5), "drop_at must be an integer >= 1, got 1.5"),
        (lambda: Training(None, MIXED, 5), "task must be a CopyTask or an ImageTask, got None"),
        (lambda: CopyTask(2).tokens(-1, 1, [0]), "step must be an integer >= 0, got -1"),
        (lambda: CopyTask(2).batch(0, 1, [0.5]), "seeds must be an integer >= 0, got 0.5"),
        (lambda: Setting(None, 4), "kind must be a string such as 'U\\(1\\) RNN', got None"),
        (lambda: Setting("RNN", 4, seed=2**32), r"seed must be at most 2\^32 - 1, as .* last 32, got 4294967296"),
        (lambda: CopyTask(2).batch(0, 1, [0, 2**32]), r"seeds must be at most 2\^32 - 1, .* got 4294967296"),
        (lambda: ImageTask().batch(0, 4, [2**32]), r"seeds must be at most 2\^32 - 1, .* got 4294967296"),
        (lambda: Job(()), r"settings must name at least one Setting and nothing else, got \(\)"),
        (lambda: Job(MIXED, images="cifar"), "images must be one of 'digits', 'mnist', got 'cifar'"),
        (lambda: Job(MIXED, epochs=-1), "epochs must be an integer >= 0, got -1"),
        (lambda: Job(MIXED, steps=7), "steps must be left out for images, got 7"),
        (lambda: Job(MIXED, epochs=1, drop_at=3), "drop_at must be left out for images, got 3"),
        (lambda: Job(MIXED, 3, steps=5, epochs=9), "epochs must be left out for a copy task, got 9"),
        (lambda: Job(MIXED, 3, images="mnist"), "images must be left out for a copy task, got 'mnist'"),
        (
            lambda: Job((Setting("RNN", 4, biases="tables"), Setting("RNN", 4, seed=1)), 2),
            r"settings must differ in name, .* or in seeds alone; got .*biases='tables'.* and .*seed=1",
        ),
        (lambda: Job((Setting("RNN", 4), Setting("RNN", 4)), 2), "settings must be different ones, got one twice"),
        (lambda: stack(iter([])), "models must be a sequence of models, got list_iterator"),
        (lambda: Job(MIXED, -1), "max_delay must be an integer >= 0, got -1"),
        (lambda: field_of_angles("wavy", 1, 4, 0), "kind must be one of 'alike', 'smooth', 'rough', got 'wavy'"),
        (lambda: runner.run(Job(MIXED, 1, steps=1), every=math.nan), "every must be a number of seconds >= 0, got nan"),
        (lambda: StackedAdam([torch.nn.Parameter(torch.ones(2, 3))], [0.1]), "learning_rates must be one for each"),
    ],
)
def test_bad_input(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_step_that_fails_is_not_counted(monkeypatch):
    """Not by Adam either, whose corrections would be of another step."""
    task, settings = CopyTask(1), [Setting("RNN", 3, learning_rate=1e-2)]
    whole, training = Training(task, settings, 4, batch=2).run(), Training(task, settings, 4, batch=2).run(2)

    def fail(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(Training, "_gradients", fail)
        with pytest.raises(torch.OutOfMemoryError):
            training.run()
    assert training.step == training._adam.step_count == 2
    for mine, yours in zip(training.run().model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine, yours)


def test_there_is_no_step_after_the_last_one():
    training = Training(CopyTask(1), [Setting("RNN", 3)], 2, batch=2).run()
    assert training.run(5).step == 2
    for further in (training.advance, training.proceed):
        with pytest.raises(RuntimeError, match="training has ended after its 2 steps"):
            further()
    assert training.step == 2


def test_initial_weights_do_not_depend_on_the_default_type():
    settings = (Setting("GRU", 4, recurrent="uniform"), Setting("U(1) RNN", 4, encoder="variance 0.001"))
    before = [setting.build(10, every_step=True).state_dict() for setting in settings]
    torch.set_default_dtype(torch.float64)
    try:
        after = [setting.build(10, every_step=True).state_dict() for setting in settings]
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    for first, second in zip(before, after, strict=True):
        assert all(torch.equal(value, second[name]) for name, value in first.items())
