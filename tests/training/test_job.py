import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.idx_files import SIDE, write
from training import job as jobs
from training import runner
from training.adam import Adam
from training.conventions import ADAM_BETAS, ADAM_EPS
from training.data import Source, load
from training.job import Job, Training
from training.measure import evaluate
from training.runner import Interrupted
from training.shape import Model, Shape
from training.stack import Stack

from .killed import killed

MODELS = (Model(1.5, 0), Model(0.7, 1), Model(1.5, 0, learning_rate=3e-3), Model(1.5, 0, epsilon=1e-4))
SHAPE = Shape("U(1)", 8, 3, SIDE**2)


def run(*arguments, **options):
    """The rows of a job."""
    return runner.run(*arguments, **options).rows


@pytest.fixture
def job(tmp_path):
    load.cache_clear()
    write(tmp_path / "data")
    measures = ("jacobian", "rank_at_readout", "rank_of_layers")
    return Job(Source("mnist", str(tmp_path / "data")), SHAPE, MODELS, 2, 16, measures, (0, 5))


def values(rows, quantity):
    return np.array([row.value for row in rows if row.quantity == quantity])


def test_a_stack_gives_what_separate_runs_give_to_the_last_bit(job):
    together = run(job)
    alone = [run(replace(job, models=(model,))) for model in MODELS]
    assert sorted(together) == sorted(row for rows in alone for row in rows)
    # 3 of the Jacobian, 1 rank and 4 of layers at two steps; 4 numbers after each of two epochs of 4 steps
    assert [len(rows) for rows in alone] == [24] * 4
    assert len({tuple(values(rows, "test_loss")) for rows in alone}) == 4


def test_measurements_are_noted_when_they_were_taken(job):
    rows = run(replace(job, models=MODELS[:1]))
    assert [(r.step, r.epoch) for r in rows if r.quantity == "accuracy"] == [(4, 1.0), (8, 2.0)]
    assert [(r.step, r.epoch, r.layer) for r in rows if r.quantity == "jacobian_norm"] == [(0, 0.0, 3), (5, 1.25, 3)]
    assert [r.layer for r in rows if r.quantity == "rank" and r.step == 5] == [3, 0, 1, 2, 3]


def test_what_is_taken_up_again_is_not_measured_again(job, tmp_path, monkeypatch):
    """Nor is a job that stops at its deadline before the first step."""
    wanted = run(job, tmp_path / "stack.pt")

    def refused(*_):
        raise AssertionError("measured")

    monkeypatch.setattr(jobs, "MEASURES", dict.fromkeys(jobs.MEASURES, refused))
    assert run(job, tmp_path / "stack.pt") == wanted
    with pytest.raises(runner.Interrupted):
        run(job, tmp_path / "other.pt", deadline=0.0)
    monkeypatch.undo()
    assert run(job, tmp_path / "other.pt") == wanted


def test_it_learns(job):
    rows = run(replace(job, models=(Model(1.5, 0, learning_rate=1e-2),), epochs=30))
    assert values(rows, "accuracy")[-1] >= 0.9
    assert values(rows, "loss")[-1] < 0.1


def test_an_epoch_sees_every_image_once(job):
    """With a learning rate of 0 the mean loss over an epoch is that of the train set; the last batch is smaller."""
    still = replace(job, models=(Model(1.2, 3, learning_rate=0.0),), batch=25)
    data = load(job.source)
    stack = Stack(SHAPE, still.models)
    _, loss = evaluate(stack, torch.from_numpy(data.train), torch.from_numpy(data.train_labels))
    np.testing.assert_allclose(values(run(still), "loss"), [loss.item()] * 2, rtol=1e-6)


def test_every_epoch_has_its_own_order(job, tmp_path):
    """With a learning rate of 0, the loss of an epoch's first batch tells which images were in it."""
    still = replace(job, models=(Model(1.2, 3, learning_rate=0.0),), epochs=4, measures=())
    training, first = Training(still, load(job.source)), []
    while training.step < training.steps:
        training.advance()
        if training.step % 4 == 1:  # 60 images are 4 batches
            training.save(tmp_path / "state.pt")
            first.append(torch.load(tmp_path / "state.pt", weights_only=True)["loss"].item())
    assert len(set(first)) == 4


def test_deep_below_the_transition_all_is_finite(job):
    rows = run(replace(job, shape=replace(SHAPE, depth=150), models=(Model(0.3),), measures=("jacobian",)))
    assert np.isfinite([row.value for row in rows]).all()
    # chi_J tends to sigma_w^2 = 0.09 at c = 0
    assert values(rows, "jacobian_norm")[0] < 1e-100
    assert abs(values(rows, "loss")[0] - math.log(10.0)) < 0.05


def test_a_model_that_diverges_says_so_and_leaves_the_others_alone(job):
    job = replace(job, models=(Model(1.5, 0, learning_rate=1e38), Model(1.5, 0)), at=(8,))
    rows = run(job)
    wild, tame = ([row for row in rows if row.learning_rate == rate] for rate in (1e38, 1e-3))
    assert values(wild, "diverged")[-1] == 1.0
    assert np.isnan(values(wild, "rank")).all()
    assert tame == run(replace(job, models=job.models[1:]))
    assert not values(tame, "diverged").any()


def test_settings_of_torch_are_put_back(job):
    before = torch.get_num_threads()
    run(replace(job, epochs=0, measures=()))
    assert torch.get_num_threads() == before
    assert (torch.tensor(1e-40) * 1.0).item() > 0.0


@pytest.fixture
def rounding():
    """What a caller may have allowed; on some machines products would be of bfloat16 with it."""
    torch.set_float32_matmul_precision("medium")
    yield
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision("highest")


@pytest.fixture
def seen(monkeypatch):
    """The precision of products whenever a stack's states or losses are computed."""
    found = []

    def spied(right):
        return lambda *arguments: (found.append(torch.get_float32_matmul_precision()), right(*arguments))[1]

    for name in ("loss", "states"):
        monkeypatch.setattr(Stack, name, spied(getattr(Stack, name)))
    return found


def test_what_a_caller_allows_does_not_reach_a_run(job, rounding, seen):
    rows = run(job)
    assert len(seen) > 8
    assert set(seen) == {"highest"}
    torch.set_float32_matmul_precision("highest")
    assert run(job) == rows
    torch.set_float32_matmul_precision("medium")


def test_what_a_caller_allows_does_not_reach_a_step(job, rounding, seen):
    training = Training(replace(job, measures=()), load(job.source))
    training.advance()
    assert seen == ["highest"]


def test_adam_by_hand():
    """Adam's formula in numpy."""
    models = (Model(1.5, learning_rate=1e-3), Model(1.5, learning_rate=0.1), Model(1.5, epsilon=0.5))
    stack = Stack(Shape("O(1)", 2, 1, 2, 2), models, dtype="float64")
    adam, start = Adam(stack), stack.parameters.numpy().copy()
    given = np.random.default_rng(0).standard_normal((3, *start.shape))
    for gradient in given:
        stack.gradients.copy_(torch.from_numpy(gradient))
        adam.step()
    mean, square, expected = np.zeros_like(start), np.zeros_like(start), start
    for t, gradient in enumerate(given, start=1):
        mean = ADAM_BETAS[0] * mean + (1.0 - ADAM_BETAS[0]) * gradient
        square = ADAM_BETAS[1] * square + (1.0 - ADAM_BETAS[1]) * gradient**2
        epsilon = np.array([[ADAM_EPS], [ADAM_EPS], [0.5]])
        step = mean / (1.0 - ADAM_BETAS[0] ** t) / (np.sqrt(square / (1.0 - ADAM_BETAS[1] ** t)) + epsilon)
        expected = expected - np.array([[1e-3], [0.1], [1e-3]]) * step
    np.testing.assert_allclose(stack.parameters, expected, rtol=1e-10)


def test_a_switch_is_a_new_adam_with_another_rate(job):
    """The same as to train, to hand the parameters on, and to train them from there."""
    job = replace(job, measures=(), at=())
    switched = replace(job, switch=(3, 2e-3)).start()
    first = job.start()
    for _ in range(3):
        switched.advance()
        first.advance()
    assert torch.equal(switched.stack.parameters, first.stack.parameters)
    second = replace(job, models=tuple(replace(model, learning_rate=2e-3) for model in MODELS)).start()
    second.stack.parameters.copy_(first.stack.parameters)
    second.step = 3
    for _ in range(4):
        switched.advance()
        second.advance()
        first.advance()
    assert torch.equal(switched.stack.parameters, second.stack.parameters)
    assert not torch.equal(switched.stack.parameters, first.stack.parameters)


@pytest.mark.parametrize("switch", [None, (3, 2e-3)], ids=["one rate", "a switch"])
def test_going_on_after_every_step(job, switch, tmp_path):
    """Interrupted at once, and then again and again one step further on."""
    job = replace(job, switch=switch)
    straight, checkpoint = run(job), tmp_path / "work" / "stack.pt"
    done = []
    with pytest.raises(Interrupted):
        run(job, checkpoint, deadline=0.0)
    for _ in range(8):
        done.clear()
        with pytest.raises(KeyboardInterrupt):
            run(job, checkpoint, progress=lambda flops: _stop_after(flops, done))
    assert run(job, checkpoint) == straight
    assert run(job, checkpoint) == straight  # finished: nothing is left to do


def _stop_after(flops, done):
    """Interrupt on the second report: what the checkpoint had, and a step."""
    done.append(flops)
    if len(done) == 2:
        raise KeyboardInterrupt


def test_no_step_is_lost_where_progress_fails(job, tmp_path):
    job, done, told = replace(job, measures=()), [], []

    def fail_later(flops):
        done.append(flops)
        if len(done) == 3:
            raise OSError("a full disk")

    with pytest.raises(OSError, match="a full disk"):
        run(job, tmp_path / "stack.pt", progress=fail_later)
    run(job, tmp_path / "stack.pt", progress=told.append)
    # what the checkpoint had, and the steps after it
    assert told == pytest.approx([3 * job.cost, *[job.cost] * 5])


def test_a_checkpoint_of_something_else(job, tmp_path):
    checkpoint = tmp_path / "stack.pt"
    with pytest.raises(Interrupted):
        run(job, checkpoint, deadline=0.0)
    with pytest.raises(ValueError, match=r"must be a checkpoint of Job\(.*epochs=3.*, got one of Job\(.*epochs=2"):
        run(replace(job, epochs=3), checkpoint)


def test_the_images_may_be_moved_between_two_calls(job, tmp_path):
    straight, checkpoint = run(job), tmp_path / "stack.pt"
    with pytest.raises(Interrupted):
        run(job, checkpoint, deadline=0.0)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    load.cache_clear()
    moved = replace(job, source=Source("mnist", str(tmp_path / "elsewhere")))
    assert run(moved, checkpoint) == straight
    write(tmp_path / "others", train=70)
    with pytest.raises(ValueError, match=r"must be a checkpoint of .*70 to train.*, got one of .*60 to train"):
        run(replace(job, source=Source("mnist", str(tmp_path / "others"))), checkpoint)


IMPORTS = """
from training.data import Source
from training.job import Job
from training.shape import Model, Shape
"""


def test_killed_at_random_moments_and_resumed(job, tmp_path):
    job, checkpoint = replace(job, epochs=100, models=MODELS[:2]), tmp_path / "stack.pt"
    first, second = killed(job, IMPORTS, checkpoint, 0.15, seed=11)
    assert 0 < first < second < 400
    assert run(job, checkpoint) == run(job)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": -1}, "epochs must be an integer >= 0, got -1"),
        ({"batch": 0}, "batch must be an integer >= 1, got 0"),
        ({"measures": ("accuracy",)}, "measures must be of rank_at_readout, .*, got 'accuracy'"),
        ({"switch": (0, 1e-4)}, "switch step must be an integer >= 1, got 0"),
        ({"switch": (3, -1e-4)}, "switch learning rate must be >= 0"),
        ({"switch": (3,)}, r"switch must be a pair \(step, learning rate\), got \(3,\)"),
        ({"at": 3}, "at must be a tuple of steps, got 3"),
        ({"source": "digits"}, "source must be a Source, got 'digits'"),
    ],
    ids=["epochs", "batch", "measures", "switch at", "switch to", "switch", "at", "source"],
)
def test_bad_jobs(job, change, message):
    with pytest.raises(ValueError, match=message):
        replace(job, **change)


def test_a_switch_after_the_end(job):
    with pytest.raises(ValueError, match="switch step must be below the 8 steps of the job, got 8"):
        replace(job, switch=(8, 1e-4)).start()


def test_a_shape_that_does_not_fit_the_images(job):
    with pytest.raises(ValueError, match=r"shape must have 36 features for Data\(mnist: .*, got 7"):
        run(replace(job, shape=replace(SHAPE, features=7)))
