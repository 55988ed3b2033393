"""The executor that trains jobs in stacks: what a job gives does not depend on its company, nor on a kill."""

import json
import shutil
import subprocess
import sys
import time
import types
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from test_kill import everything, kill_again_and_again, rows, run
from test_nn_loop import loud
from test_nn_stack import FULL, configs, data, members, same, task
from zeroin.executors.inline import Inline
from zeroin.executors.perform import perform
from zeroin.executors.processes import Processes
from zeroin.nn import Metric, Task, loop, mlp
from zeroin.nn.export import newest
from zeroin.nn.loop import fresh
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking import calibration, memory
from zeroin.nn.stacking.calibration import Calibration, Calibrations
from zeroin.nn.stacking.executor import KEPT, Stacked
from zeroin.nn.stacking.grouping import signature
from zeroin.nn.stacking.stack import Stack, stack
from zeroin.nn.stacking.steps import BACKWARD
from zeroin.nn.stacking.timing import Took
from zeroin.space import Float, Int, Space
from zeroin.types import Job, Kind

torch.set_num_threads(1)
EPOCHS = 4


def work(executor, jobs, known=None, heard=None):
    """Do jobs; the observations of each by job number, and how they ended."""
    seen, ended = {}, {}
    for job in jobs:
        executor.start(job, (known or {}).get(job.number, job.start))

    def report(job, observation, *, with_next=False):
        known = seen.setdefault(job.number, [])
        if not known or observation.epoch > known[-1].epoch:  # an epoch trained again is known already
            known.append(observation)
        if heard:
            heard(seen)
        return True

    while len(ended) < len(jobs):
        ended |= {e.job: e for e in executor.wait(report)}
    return seen, ended


def jobs(some, start=0, stop=EPOCHS, kind=Kind.SCREEN, first=0):
    return [Job(first + i, i, c, i, start, stop, kind, "") for i, c in enumerate(some)]


def stacked(problem, folder, rows=8):
    """Stacks for networks of any size, without measuring."""
    calibrations = Calibrations(problem, folder, 6.0 * rows)
    calibrations._kept = {size: Calibration(rows, BACKWARD) for size in range(12)}
    return Stacked(problem, folder, EPOCHS, calibrations, rows)


def test_each_size_of_network_is_measured_by_one_process_of_a_study(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(
        calibration, "measured", lambda *_: told.append(1) or Calibration(8 if len(told) == 1 else 1, BACKWARD)
    )
    problem = task(n=100).problem
    here, there = Calibrations(problem, tmp_path, 48.0), Calibrations(problem, tmp_path, 48.0)
    small, large = next(iter(configs(1))), next(iter(configs(1, units=4096)))
    assert here.of(small) == there.of(small)
    assert there.of(large) == here.of(large)
    assert len(told) == 2
    assert Calibrations(problem, tmp_path, 48.0)._kept == here._kept
    assert [path.name for path in tmp_path.iterdir()] == [calibration.FILE]


def took(monkeypatch, idle, stacked):
    """A step of one network takes 1 s, `idle` of it beside the kernels' work, one of a stack `stacked` s a row."""

    def seconds(problem, config, found=None, sizes=(), to_come=0):
        return {1: Took(idle if config["batch_size"] == 2 else 1.0)} | {rows: Took(rows * stacked) for rows in sizes}

    monkeypatch.setattr(calibration, "timed", seconds)


def test_a_network_whose_step_is_the_kernels_work_is_trained_alone_without_a_look_at_stacks(monkeypatch):
    took(monkeypatch, 0.15, 0.1)
    monkeypatch.setattr(calibration, "verdict", None)
    found = calibration.measured(task(n=100).problem, next(iter(configs(1))))
    assert (found.rows, found.why) == (1, "a stack of 8 would be 1.15 times as fast at most")


def test_stacks_are_less_full_where_shapes_are_searched(monkeypatch):
    took(monkeypatch, 0.9, 0.5)
    problem, config = task(n=100).problem, next(iter(configs(1)))
    assert calibration.measured(problem, config).rows == 8
    assert calibration.measured(problem, config, shared=1e9).rows == 1
    took(monkeypatch, 0.9, 0.4)
    assert calibration.measured(problem, config, shared=1e9).rows == 8


def test_where_a_shape_is_trained_for_few_steps_its_checks_take_more_than_a_stack_saves(monkeypatch):
    took(monkeypatch, 0.9, 0.1)
    problem, config = task(n=100).problem, next(iter(configs(1)))
    assert calibration.measured(problem, config, shared=1e3).rows == 8
    monkeypatch.setattr(calibration, "verdict", None)
    assert calibration.measured(problem, config, shared=10).rows == 1


def test_where_no_stack_could_pay_a_few_steps_alone_are_timed_for_the_plan(monkeypatch):
    told = []
    monkeypatch.setattr(calibration, "timed", lambda *a, **k: told.append((a[1], k)) or {1: Took(0.5)})
    problem, config = task(n=100).problem, next(iter(configs(1)))
    steps = -(-100 // config["batch_size"])
    found = calibration.measured(problem, config, shared=2.0)
    assert (found.rows, found.seconds) == (1, 0.5 * steps)
    assert told == [(config, {"to_come": steps})]


class Own(nn.Linear):
    """Keeps what `build` says."""

    def forward(self, x):
        return super().forward(x) * self.loudness


def own_loudness(config):
    made = Own(6, 3)
    made.loudness = config["loudness"]
    return made


def test_where_build_sets_what_all_networks_read_they_are_trained_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "measured", lambda *_: Calibration(8, BACKWARD, seconds=2.0))
    space = Space(lr=Float(1e-3, 1.0, scale="log"), loudness=Float(0.1, 10.0, scale="log"))
    for name, build, kind in (("own", own_loudness, Stacked), ("all", loud, Inline)):
        made = task(build, space=space)
        rest = {"max_epochs": 4, "workers": 1, "space": made.space_for(1.0), "trainings": 48.0}
        executor = made.executor(tmp_path / name, **rest)
        assert isinstance(executor, kind)
        assert executor.seconds == 2.0
        said = json.loads((tmp_path / name / "training.json").read_text())["words"]
        assert ("because build sets Loud.loudness by the config" in said) == (kind is Inline)


def test_a_study_has_as_many_networks_at_once_as_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "measured", lambda *_: Calibration(4, BACKWARD, 2.5))
    lr, units = Float(1e-3, 1.0, scale="log"), Int(4, 64)
    for space, slots, alike in ((Space(lr=lr), 4, ""), (Space(lr=lr, units=units), 8, ", 4 of a shape")):
        folder, made = tmp_path / str(slots), task(space=space)
        executor = made.executor(folder, max_epochs=4, workers=1, space=made.space_for(1.0), trainings=60.0)
        said = json.loads((folder / "training.json").read_text())["words"]
        assert executor.slots == slots
        assert said == f"trains up to {slots} networks at once{alike}, 2.5 times as fast as one by one"


def saved(folder, trial):
    return newest(folder / f"trial-{trial:05d}")


def test_each_epoch_tells_what_its_job_took_its_share_of_a_stack(tmp_path):
    began = time.monotonic()
    seen, ended = work(stacked(task(n=100).problem, tmp_path), jobs(configs(5)))
    assert sum(e.seconds for e in ended.values()) < time.monotonic() - began
    for number, observations in seen.items():
        took = [one.seconds for one in observations]
        assert took == sorted(took)
        assert 0 < took[-1] <= ended[number].seconds


@pytest.mark.parametrize("rows", [1, 8])
def test_the_calibration_that_is_kept_says_whether_steps_are_compiled(rows, tmp_path):
    calibrations = Calibrations(task(compile=True).problem, tmp_path, 48.0)
    calibrations._kept = {4: Calibration(rows, BACKWARD, 3.0, "it is faster")}
    calibrations._write()
    said = json.loads((tmp_path / "training.json").read_text())["words"]
    assert ("compiled" in said) == (rows > 1 and shutil.which("g++") is not None)


def a_layer_twice(_config):
    twice = nn.Linear(6, 6)
    return nn.Sequential(twice, nn.Tanh(), twice, nn.Linear(6, 3))


def tied_weights(_config):
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), second, nn.Linear(6, 3))


@pytest.mark.parametrize("build", [a_layer_twice, tied_weights])
def test_what_is_shared_within_a_network_is_trained_and_saved(build, tmp_path):
    problem = task(build, n=100).problem
    for start, stop in ((0, 2), (2, EPOCHS)):
        _, ended = work(stacked(problem, tmp_path), jobs([{"lr": 0.01, "batch_size": 16}] * 2, start, stop))
        assert [str(e.status) for e in ended.values()] == ["done", "done"]
    made = build({})
    made.load_state_dict(saved(tmp_path, 0)["model"], strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "nadam"])
def test_a_job_gives_the_same_in_any_company_cut_or_whole(optimizer, tmp_path):
    problem = task(n=100, test=data(40, 2)).problem
    some = [c | {"units": 12 if i % 3 else 8} for i, c in enumerate(configs(7, optimizer=optimizer))]
    whole, _ = work(stacked(problem, tmp_path / "whole"), jobs(some, kind=Kind.CONFIRM))
    for i, job in enumerate(jobs(some, kind=Kind.CONFIRM)[:3]):
        alone, _ = work(stacked(problem, tmp_path / "alone"), [job])
        assert alone[i] == whole[i]
        assert "test" in alone[i][-1].metrics
    cut = {}
    for start, stop in ((0, 1), (1, 3), (3, 4)):  # paused in between, with another executor and in fours
        part, ended = work(stacked(problem, tmp_path / "cut", 4), jobs(some, start, stop, Kind.CONFIRM))
        assert {str(e.status) for e in ended.values()} == {"done"}
        for number, observations in part.items():
            cut.setdefault(number, []).extend(observations)
    assert cut == whole
    for i in range(7):
        a, b = (saved(tmp_path / where, i) for where in ("whole", "cut"))
        assert same(a["model"], b["model"])
        assert a["best"]["rank"] == b["best"]["rank"]


def in_two_processes(problem, folder):
    return Processes(partial(stacked, problem, folder, 4), 1, rows=4, here=stacked(problem, folder, 4))


@pytest.mark.slow
def test_jobs_in_two_processes_give_the_same_and_a_worker_that_is_killed_is_replaced(tmp_path):
    problem = Task(build=perceptron, train=data(100, 0), valid=data(50, 1)).problem
    some = [c | {"units": 12 if i % 3 else 8} for i, c in enumerate(configs(12))]
    whole, _ = work(stacked(problem, tmp_path / "one"), jobs(some))
    executor = in_two_processes(problem, tmp_path / "two")
    killed = []

    def kill(seen):
        (place,) = executor._workers or [None]
        if place and place.jobs and not killed and any(known for _, known in place.jobs.values()):
            killed.append(place.process.pid)
            place.process.kill()

    try:
        first, _ = work(executor, jobs(some, 0, 2))  # while the worker starts
        while executor.slots < 8:
            executor._listen(None)
        rest, ended = work(executor, jobs(some, 2, EPOCHS), heard=kill)
    finally:
        executor.close()
    assert killed
    assert {str(e.status) for e in ended.values()} == {"done"}
    assert {i: first[i] + rest[i] for i in first} == whole


def perceptron(config):
    return mlp(6, 3, config)


@pytest.mark.slow
def test_its_checkpoint_goes_on_one_by_one_and_back(tmp_path):
    problem = task(n=100).problem
    for i, optimizer in enumerate(("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "nadam")):
        config = FULL | {"optimizer": optimizer, "lr": 0.01}
        folder = tmp_path / optimizer
        executor = stacked(problem, folder)
        work(executor, jobs([config], 0, 1))
        seen = []
        (middle,) = jobs([config], 1, 3)
        assert perform(loop.objective(problem), middle, folder, 1, EPOCHS, lambda o, s=seen: s.append(o) or True)
        last, _ = work(executor, jobs([config], 3, 4))
        whole, _ = work(stacked(problem, tmp_path / f"{optimizer}-whole"), jobs([config]))
        mixed = [o.metrics["train_loss"] for o in (*seen, *last[0])]
        assert mixed == pytest.approx([o.metrics["train_loss"] for o in whole[0][1:]], rel=1e-4), i


def strict(output, target):
    """Refuses NaN, as scikit-learn does, and writes into what it is given."""
    assert output.isfinite().all()
    return (output.argmax(1) == target.add_(1) - 1).double().mean()


def test_a_row_that_diverges_or_cannot_be_built_leaves_the_others_alone(tmp_path, caplog):
    def build(config):
        if config["units"] == 13:
            raise ValueError("no network of 13")
        return nn.Sequential(nn.Linear(6, config["units"]), nn.ReLU(), nn.Linear(config["units"], 3))

    problem = replace(task(build=build, n=100).problem, metric=Metric("strict", "maximize", strict))
    some = [{"lr": 0.1, "optimizer": "sgd", "units": 8} for _ in range(4)]
    healthy, _ = work(stacked(problem, tmp_path / "healthy"), jobs(some))
    some[1] = some[1] | {"lr": 1e30}
    some[2] = some[2] | {"units": 13}
    seen, ended = work(stacked(problem, tmp_path / "sick"), jobs(some))
    assert [str(ended[i].status) for i in range(4)] == ["done", "diverged", "failed", "done"]
    assert "in epoch 1" in ended[1].note
    assert "no network of 13" in ended[2].note
    assert all(seen[i] == healthy[i] for i in (0, 3))
    assert not caplog.text  # nothing was trained one by one


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What is trained, six configs, and what their jobs give where nothing is in the way."""
    problem, some = task(n=100).problem, list(configs(6))
    return problem, some, work(stacked(problem, tmp_path_factory.mktemp("whole")), jobs(some))[0]


def test_a_job_whose_checkpoint_is_gone_is_trained_anew(tmp_path, undisturbed):
    problem, some, whole = undisturbed
    seen, _ = work(stacked(problem, tmp_path / "lost"), jobs(some, 2, EPOCHS))
    assert seen == whole  # those that are known are told again, and not counted


def test_where_memory_runs_out_half_as_many_are_trained_at_once(tmp_path, monkeypatch, caplog, undisturbed):
    problem, some, whole = undisturbed
    real = Stack.train_epoch

    def short_of_memory(self, max_epochs):
        if len(self.rows) > 2:
            real(self, max_epochs)  # it runs out at the end of an epoch
            raise RuntimeError("DefaultCPUAllocator: not enough memory, out of memory")
        return real(self, max_epochs)

    monkeypatch.setattr(Stack, "train_epoch", short_of_memory)
    seen, _ = work(stacked(problem, tmp_path / "short"), jobs(some))
    assert seen == whole
    assert "at most 3 from here on" in caplog.text
    assert "at most 1 from here on" in caplog.text


def test_as_many_are_trained_at_once_as_there_is_memory_for(tmp_path, monkeypatch, caplog, undisturbed):
    problem, some, whole = undisturbed
    sizes, real = [], Stack.train_epoch
    monkeypatch.setattr(Stack, "train_epoch", lambda self, most: sizes.append(len(self.rows)) or real(self, most))
    layout = stack(problem, members(problem, some[:1])).layout
    a_row = layout.bytes + memory.COPIES * 4 * sum(shape.numel() for shape in layout.shapes.values())
    monkeypatch.setattr(memory, "at_hand", lambda _: 3.5 * a_row / memory.SHARE)
    assert work(stacked(problem, tmp_path / "short"), jobs(some))[0] == whole
    assert max(sizes) == 3
    assert "there is memory for 3 of some networks at once" in caplog.text
    sizes.clear()
    monkeypatch.setattr(memory, "at_hand", lambda _: 1.5 * a_row / memory.SHARE)
    seen, _ = work(stacked(problem, tmp_path / "scarce"), jobs(some))
    assert all(len(one) == EPOCHS for one in seen.values())
    assert not sizes


@pytest.mark.slow
def test_what_was_recorded_for_shapes_long_past_is_let_go(tmp_path):
    executor = stacked(task(n=40).problem, tmp_path)
    for first in range(0, 2 * 11, 2):
        work(executor, jobs(list(configs(2, units=4 + first)), stop=1, first=first))
    kept = [way.layout for way in executor._ways.values() if way.layout.workspaces]
    assert len(executor._ways) == 11
    assert len(kept) == KEPT


def test_the_memory_at_hand_is_what_a_limit_leaves():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    free = memory.at_hand("cpu")
    used = int(memory.OWN.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), before[1]))
    try:
        assert 32 << 20 < memory.at_hand("cpu") <= 64 << 20 < free
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(("most", "left"), [("5000", 5000 - 4000 + 700 + 200), ("max", None)])
def test_the_memory_at_hand_is_what_a_container_leaves(most, left, tmp_path, monkeypatch):
    files = {"max": most, "current": "4000", "stat": "anon 3000\nactive_file 200\ninactive_file 700"}
    for name, text in files.items():
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "GROUP", tmp_path / "none")
    without = memory.at_hand("cpu")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert memory.at_hand("cpu") == (left or pytest.approx(without, rel=0.2))


@pytest.mark.parametrize(("words", "rows"), [("can't allocate memory", 4), ("no such kernel", 1)])
def test_a_stack_that_stops_as_it_is_timed_is_not_used(words, rows, monkeypatch):
    real = Stack.train_epoch

    def train_epoch(self, max_epochs):
        if len(self.rows) > 4 or rows == 1:
            raise RuntimeError(words)
        return real(self, max_epochs)

    monkeypatch.setattr(Stack, "train_epoch", train_epoch)
    monkeypatch.setattr(calibration, "PAYS", 0.0)
    found = calibration.measured(task(n=100).problem, next(iter(configs(1))))
    assert found.rows == rows
    assert found.why == ("" if rows > 1 else f"a stack of 8 stopped with '{words}'")


SHORT = """
import json, logging, resource, sys
from pathlib import Path
import torch
from test_nn_stacked import configs, first_way, jobs, memory, stacked, task, work
torch.set_num_threads(1)
logging.basicConfig(level=logging.WARNING)
problem, some = task(n=64).problem, list(configs(8, units=400, layers=3, batch_size=32))
memory.at_hand = lambda _: 1e12
executor = stacked(problem, Path(sys.argv[1]))
if len(sys.argv) > 2:
    executor._way(*first_way(problem, some[0]))  # the check is not what is tried here
    used = int(memory.OWN.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]) * 2**20, resource.RLIM_INFINITY))
seen, ended = work(executor, jobs(some))
print(json.dumps([[o.loss for o in seen[i]] for i in sorted(seen)]))
"""


def first_way(problem, config):
    return signature(fresh(problem, config, 0).train(), recipe(config), config), config


def test_a_job_for_which_there_is_no_memory_waits_for_others_to_end(tmp_path, monkeypatch, undisturbed):
    problem, some, whole = undisturbed
    executor = stacked(problem, tmp_path / "short")

    def short_of_memory(*args):
        if len(executor._members) > 2:
            raise RuntimeError("can't allocate memory")
        return stack(*args)

    monkeypatch.setattr("zeroin.nn.stacking.executor.stack", short_of_memory)
    seen, ended = work(executor, jobs(some))
    assert seen == whole
    assert {str(one.status) for one in ended.values()} == {"done"}


@pytest.mark.slow
def test_where_memory_really_runs_out_nothing_is_lost(tmp_path):
    pytest.importorskip("resource")
    said = []
    for limit in ((), ("130",)):
        command = [sys.executable, "-c", SHORT, str(tmp_path / f"of{limit}"), *limit]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
        assert done.returncode == 0, done.stderr
        said.append((json.loads(done.stdout), done.stderr))
    assert "memory ran out" not in said[0][1]
    assert "memory ran out with 8 networks at once; at most 4 from here on" in said[1][1]
    assert said[0][0] == said[1][0]


def test_networks_that_a_stack_gets_wrong_are_trained_one_by_one_with_the_reason(tmp_path, caplog):
    def build(config):
        if config["units"] == 8:
            return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        return nn.Sequential(nn.Linear(6, 8), nn.RReLU(), nn.Linear(8, 3))

    problem = task(build=build, n=100).problem
    some = [{"lr": 0.01, "units": units} for units in (8, 9, 8, 9)]
    seen, ended = work(stacked(problem, tmp_path), jobs(some))
    assert {str(e.status) for e in ended.values()} == {"done"}
    assert all(len(o) == EPOCHS for o in seen.values())
    assert caplog.text.count("one by one, because stacked it stops with") == 1


class Projected(nn.Module):
    """Random features that no state_dict holds."""

    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.randn(6, 20), persistent=False)
        self.out = nn.Linear(20, 3)

    def forward(self, x):
        return self.out(torch.cos(x @ self.w))


def test_a_row_is_tested_with_what_no_state_dict_holds(tmp_path):
    mine = task(build=lambda _: Projected(), n=100, test=data(60, 2))
    some = [{"lr": 0.01, "batch_size": 16}] * 3
    seen, _ = work(stacked(mine.problem, tmp_path / "stacked"), jobs(some, kind=Kind.CONFIRM))
    alone, _ = work(Inline(loop.objective(mine.problem), tmp_path / "alone", EPOCHS), jobs(some, kind=Kind.CONFIRM))
    for i in range(3):
        ours, theirs = (one[i][-1].metrics["test_loss"] for one in (seen, alone))
        assert ours == pytest.approx(theirs, rel=1e-5)


class Centred(nn.Module):
    """A moving average that no state_dict holds."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(6), persistent=False)
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.mean.lerp_(x.mean(0), 0.01)
        return self.out(x - self.mean)


@pytest.mark.parametrize("way", ["stacked", "alone"])
def test_a_trial_goes_on_with_what_no_state_dict_holds(way, tmp_path):
    problem = task(build=lambda _: Centred(), n=100).problem

    def executor(folder):
        return stacked(problem, folder) if way == "stacked" else Inline(loop.objective(problem), folder, EPOCHS)

    some = [{"lr": 0.01, "batch_size": 16}] * 2
    whole, _ = work(executor(tmp_path / "whole"), jobs(some))
    work(executor(tmp_path / "cut"), jobs(some, 0, 2))
    seen, _ = work(executor(tmp_path / "cut"), jobs(some, 2, EPOCHS))
    for i in range(2):
        assert [o.metrics for o in seen[i]] == [o.metrics for o in whole[i][2:]]


class Scaled(nn.Module):
    def __init__(self, held, forward):
        super().__init__()
        self.a, self.held, self.f = nn.Linear(6, 3), held, forward

    def forward(self, x):
        return self.f(self.a(x), self.held)


class Holder:
    def __init__(self, value):
        self.value = value


def of_a_local_class(config):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(6, 3)

        def forward(self, x):
            return self.a(x) * config["scale"]

    return Net()


def hooked(config):
    model = nn.Sequential(nn.Linear(6, 3))
    model.register_forward_hook(lambda _module, _inputs, out: out * config["scale"])
    return model


def of_a_made_class(config):
    forward = lambda self, x: nn.Linear.forward(self, x) * self.scale  # noqa: E731
    return type("Made", (nn.Linear,), {"scale": config["scale"], "forward": forward})(6, 3)


def of_an_instance(config):
    model = nn.Linear(6, 3)
    scaled = lambda self, x: nn.Linear.forward(self, x) * config["scale"]  # noqa: E731
    model.forward = types.MethodType(scaled, model)
    return model


def with_an_attribute(config):
    def scaled(x, _):
        return x * scaled.by

    scaled.by = config["scale"]
    return Scaled(None, scaled)


class Asking(nn.Linear):
    def __init__(self, config):
        super().__init__(6, 3)
        self.config = config

    def forward(self, x):
        return super().forward(x) * (self.config["scale"] if self.training else 1)


def hooked_dropout(config):
    dropout = nn.Dropout(0.0)
    dropout.register_forward_hook(lambda _module, _inputs, out: out * config["scale"])
    return nn.Sequential(dropout, nn.Linear(6, 3))


class Tied(nn.Module):
    """Its last layer has the weights of its first or of its second; `whole`: it is that layer."""

    def __init__(self, config, whole):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        source = self.a if config["scale"] < 1 else self.b
        self.c = source if whole else nn.Linear(6, 6)
        self.c.weight = source.weight

    def forward(self, x):
        return self.out(self.c(torch.tanh(self.b(torch.tanh(self.a(x))))))


def large(scale):
    return torch.cat([torch.ones(2000), torch.tensor([scale]), torch.ones(2000)])


UNLIKE = {
    "class": of_a_local_class,
    "hook": hooked,
    "closure": lambda c: Scaled(None, lambda x, _: x * c["scale"]),
    "object": lambda c: Scaled(Holder(c["scale"]), lambda x, held: x * held.value),
    "tensor": lambda c: Scaled(torch.tensor(1 + 1e-6 * c["scale"]), lambda x, held: x * held),
    "large tensor": lambda c: Scaled(large(c["scale"]), lambda x, held: x * held[2000]),
    "config": lambda c: Scaled(c, lambda x, held: x * held["scale"]),
    "config, asked as it trains": Asking,
    "attribute of a function": with_an_attribute,
    "method of an instance": of_an_instance,
    "made class": of_a_made_class,
    "hook on dropout": hooked_dropout,
    "tied weights": lambda c: Tied(c, False),
    "tied layers": lambda c: Tied(c, True),
}


@pytest.mark.parametrize("build", UNLIKE.values(), ids=UNLIKE)
def test_networks_that_differ_in_what_they_hold_are_not_stacked_together(build, tmp_path):
    mine = task(build=build, n=100)
    some = [{"lr": lr, "scale": scale, "batch_size": 16} for scale in (0.5, 2.0) for lr in (0.01, 0.02)]
    executor = stacked(mine.problem, tmp_path)
    seen, _ = work(executor, jobs(some, stop=2))
    assert [way.order for way in executor._ways.values()] == [BACKWARD] * 2
    alone, _ = work(Inline(loop.objective(mine.problem), tmp_path / "alone", EPOCHS), jobs(some, stop=2))
    for i in range(4):
        for ours, theirs in zip(seen[i], alone[i], strict=True):
            assert ours.metrics["valid_loss"] == pytest.approx(theirs.metrics["valid_loss"], rel=1e-5)


TASK = """
import numpy as np
import zeroin as zi
from torch import nn
from zeroin.nn import Task, mlp

rng = np.random.default_rng(0)
x = rng.normal(size=(200, 6)).astype("f")
y = (x[:, 0] * x[:, 1] > 0).astype(int)
space = zi.Space(lr=zi.Float(1e-3, 1.0, scale="log"), dropout=zi.Float(0, 0.5), weight_decay=zi.Float(0, 0.1))
task = Task(build=lambda c: NETWORK, train=(x[:128], y[:128]),
            valid=(x[128:], y[128:]), space=space, max_epochs=4)
"""


COLUMNS = "mlp(6, 2, {**c, 'units': 12, 'batchnorm': True})"
COMPILED = COLUMNS.replace("'units'", "'layers': 1, 'units'")
IMAGES = """nn.Sequential(
    nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 8, 2), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
    nn.Dropout2d(c["dropout"]), nn.Flatten(), nn.Linear(16, 2),
)"""


@pytest.mark.slow  # each kill is a process that imports PyTorch
@pytest.mark.parametrize(
    ("kills", "compiled", "network"), [(5, False, COLUMNS), (2, False, IMAGES), (1, True, COMPILED)]
)
def test_a_study_killed_in_the_middle_of_a_stack_equals_the_unbroken_one(tmp_path, kills, compiled, network):
    own = TASK.replace("max_epochs=4", f"max_epochs=4, compile={compiled}").replace("NETWORK", network)
    (tmp_path / "own.py").write_text(own)
    for store in ("whole", "killed"):
        folder = tmp_path / f"{store}.files" / "s"
        folder.mkdir(parents=True)
        rows_at_once = 2 if compiled else 8  # for each number of rows a step is compiled
        sizes = {size: asdict(Calibration(rows_at_once, BACKWARD, 3.0)) for size in range(12)}
        (folder / calibration.FILE).write_text(json.dumps({"words": "by hand", "sizes": sizes}))
    command = ["tune", tmp_path / "own.py", "--epochs", "120", "--confirm", "2", "--name", "s"]
    code, _, err = run(*command, "--store", tmp_path / "whole.db")
    assert code == 0, err
    kill_again_and_again(tmp_path, command, kills, seed=kills)
    jobs_of = rows(tmp_path / "whole.db", "jobs", "status")
    assert len(jobs_of) > 20
    assert everything(tmp_path / "killed.db")["observations"]
    assert "by hand" in (folder / calibration.FILE).read_text()  # so it was trained in stacks
