"""Confirmation: the best again with fresh seeds, the default beside them, all within the budget."""

import math

import numpy as np
import pytest

import zeroin as zi
from zeroin.confirm import Confirm, Finish
from zeroin.exports import trial_with_weights
from zeroin.history import History
from zeroin.report.compare import groups
from zeroin.types import Asked, Ended, Job, Kind, Observation, Observed, Status
from zeroin.winner import interval, scores, winner

SPACE = zi.Space(x=zi.Float(0, 1, default=0.9))


def noisy(spread):
    def objective(config, run):
        rng = np.random.default_rng(run.seed)
        for epoch in run.epochs():
            run.report((config["x"] - 0.3) ** 2 + spread * rng.normal() + 1 / (epoch + 1), test=config["x"])

    return objective


def test_the_best_and_the_default_get_the_fresh_seeds_that_were_promised():
    study = zi.tune(noisy(0.01), SPACE, max_epochs=4, epochs=240, confirm=5, store=None)
    best, *others = scores(study.history)
    default = others[-1]
    assert (best.kind, default.kind) == (Kind.CONFIRM, Kind.DEFAULT)
    assert len(default.losses) == 5 <= len(best.losses) == len(best.tests)  # what a beaten contender leaves goes on top
    assert default.config == SPACE.default
    assert best.mean < default.mean
    assert set(best.tests) == {best.config["x"]}
    assert study.best.config == best.config
    assert study.best.kind.is_search
    after = [t for t in study.trials if not t.kind.is_search]
    assert all(t.epoch == 4 for t in after)
    assert len({t.seed for t in study.trials}) == len(study.trials)  # every seed is fresh
    assert len(after) <= Confirm(5).most


def test_a_lucky_trial_does_not_win():
    """One trial of the search reports far too well; over fresh seeds it falls behind."""

    def lucky(config, run):
        bonus = 5.0 if run.trial == 3 and not run.final else 0.0
        for _ in run.epochs():
            run.report((config["x"] - 0.3) ** 2 - bonus)

    study = zi.tune(lucky, SPACE, max_epochs=2, epochs=80, confirm=3, store=None)
    assert winner(study.history) != study.trials[3].config
    assert study.best.number != 3
    assert abs(study.best.config["x"] - 0.3) < 0.1


def test_contenders_that_fall_behind_drop_out():
    def objective(config, run):
        worse = 1.0 if run.final and config["x"] != best[0] else 0.0
        for _ in run.epochs():
            run.report((config["x"] - 0.3) ** 2 + worse + 1e-4 * (run.seed % 10))

    plain = zi.tune(lambda c: (c["x"] - 0.3) ** 2, SPACE, trials=20, store=None)
    best = [plain.best.config["x"]]
    study = zi.tune(objective, SPACE, trials=40, epochs=60, confirm=5, store=None)
    counts = sorted(len(s.losses) for s in scores(study.history) if s.kind is Kind.CONFIRM)
    assert counts[-1] == 5
    assert sum(counts) <= 15


def test_what_a_dropped_contender_leaves_over_goes_to_those_not_separated():
    configs = ({"x": 0.1}, {"x": 0.2}, {"x": 0.9})
    with zi.Study(SPACE, store=None, searcher=Confirm(4, 3, configs)) as study:
        while (jobs := study.ask()) and jobs[0].kind is Kind.CONFIRM:
            noise = np.random.default_rng(jobs[0].seed).normal()
            study.tell(jobs[0], losses=[0.01 * noise + (0.5 if jobs[0].config["x"] > 0.5 else 0.0)])
    confirmed = [s for s in scores(study.history) if s.kind is Kind.CONFIRM]
    assert [len(s.losses) for s in confirmed] == [5, 5, 2]
    low, high = interval(confirmed[0].losses)
    assert low < confirmed[0].mean < high
    half = 2.776 * np.std(confirmed[0].losses, ddof=1) / 5**0.5  # t of four degrees of freedom
    assert high - low == pytest.approx(2 * half, rel=1e-3)


@pytest.mark.parametrize("trainings", [0, 1, 2, 3, 6, 10, 30, 60, 1000])
@pytest.mark.parametrize("seeds", [0, 1, 5, 20])
def test_it_never_takes_more_than_a_third(trainings, seeds):
    asked = Confirm.within(trainings, seeds)
    assert asked.most <= trainings / 3
    assert asked.seeds <= seeds
    if trainings >= 60 and seeds:
        assert asked.seeds >= min(seeds, 5)


def test_a_contender_that_diverges_with_another_seed_does_not_win():
    def fragile(config, run):
        for _ in run.epochs():
            run.report(math.nan if run.final and 0.25 < config["x"] < 0.35 else (config["x"] - 0.3) ** 2)

    study = zi.tune(fragile, SPACE, trials=20, confirm=3, store=None)
    told = scores(study.history)
    assert any(s.failures for s in told)
    assert study.best.loss is not None
    sound = [s for s in told if s.kind is Kind.CONFIRM and not s.failures]
    if sound:
        assert study.best.config == sound[0].config


def test_nothing_is_confirmed_where_nothing_worked():
    with pytest.raises(zi.StudyError, match="all of the first 5 trials"):
        zi.tune(lambda c: 1 / 0, SPACE, trials=20, confirm=3, store=None)
    study = zi.tune(lambda c: math.nan, SPACE, trials=20, confirm=3, store=None)
    assert all(t.kind.is_search for t in study.trials)


def test_the_best_is_carried_on_to_the_end():
    study = zi.Study(zi.Space(x=zi.Float(0, 1)), max_epochs=4, store=None)
    for _ in range(3):
        job = study.ask()[0]
        study.tell(job, losses=[job.config["x"] + 1 / epoch for epoch in range(job.start + 1, job.stop + 1)])
    best = study.best
    assert best.epoch < 4
    job = study.decide(Finish(), 1)[0]
    assert (job.trial, job.start, job.stop) == (best.number, best.epoch, 4)
    assert study.decide(Finish(), 1) == []  # it runs
    study.tell(job, losses=[0.0] * job.epochs)
    assert study.decide(Finish(), 1) == []  # it is over


@pytest.mark.parametrize(("budget", "spent"), [({"epochs": 30}, 30), ({"trials": 3}, None)])
def test_a_task_with_a_budget_too_small_for_fresh_seeds_ends_with_a_network_trained_in_full(budget, spent):
    nn = pytest.importorskip("zeroin.nn")
    rng = np.random.default_rng(0)
    data = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
    space = zi.Space(lr=zi.Float(1e-4, 1.0, scale="log"))
    task = nn.Task(lambda config: nn.mlp(4, 3, config), train=data, valid=data, space=space, max_epochs=8)
    study = zi.tune(task, store=None, **budget)
    assert study.best.epoch == 8
    assert spent is None or study.history.spent <= spent
    assert all(trial.kind.is_search for trial in study.trials)


def test_a_race_that_ended_within_a_turn_is_won_by_the_lower_mean():
    """One contender has a seed more than the other and is worse; a third one fell behind after its first seed."""
    history = History(1)
    losses = [(0.1, [0.3] * 3), (0.2, [0.2] * 2), (0.3, [0.25] * 1)]
    for x, seen in losses:
        for loss in seen:
            number = len(history.jobs)
            job = Job(number, number, {"x": x}, number, 0, 1, Kind.CONFIRM, "")
            history.apply(Asked((job,)))
            history.apply(Observed(number, Observation(1, loss)))
            history.apply(Ended(number, Status.DONE))
    assert winner(history) == {"x": 0.2}
    assert [score.config["x"] for score in scores(history)] == [0.2, 0.1, 0.3]


@pytest.mark.slow
def test_what_a_study_finds_when_it_goes_on_wins_with_fewer_fresh_seeds(tmp_path):
    """The second comparison had time for two seeds, the first for five."""
    options = {"max_epochs": 4, "store": tmp_path / "z.db", "name": "on", "playbook": False}
    zi.tune(noisy(0.01), zi.Space(x=zi.Float(0.7, 1)), epochs=160, confirm=5, **options)
    study = zi.tune(noisy(0.01), zi.Space(x=zi.Float(0, 1)), epochs=260, confirm=2, **options)
    assert study.best.config["x"] == pytest.approx(0.3, abs=0.15)


def test_a_default_that_was_changed_is_trained_afresh_as_well(tmp_path):
    options = {"max_epochs": 4, "confirm": 2, "store": tmp_path / "z.db", "name": "on", "playbook": False}
    zi.tune(noisy(0.01), SPACE, epochs=80, **options)
    changed = zi.Space(x=zi.Float(0, 1, default=0.6))
    for space, epochs, now, before in ((changed, 120, 0.6, 0.9), (SPACE, 124, 0.9, 0.6)):
        study = zi.tune(noisy(0.01), space, epochs=epochs, **options)
        rows = [g for g in groups(study.header, study.history) if g.kind is Kind.DEFAULT]
        found = [(g.label, g.config["x"], g.trained) for g in rows]
        assert found == [("default config", now, 2), ("former default config", before, 2)]


def test_a_default_config_that_beats_the_winner_over_fresh_seeds_is_the_best():
    """The search's best was lucky; what is taken out is not worse than what was there before."""
    space = zi.Space(x=zi.Float(0, 1, default=0.5))
    losses = iter([0.1] + [0.3] * 100)

    def objective(config):
        return next(losses) if config["x"] != 0.5 else 0.2

    study = zi.tune(objective, space, trials=8, confirm=2, store=None, playbook=False)
    assert [s.kind for s in scores(study.history)][-1] is Kind.DEFAULT
    assert winner(study.history) == study.best.config == {"x": 0.5}
    assert study.best.loss == 0.2


@pytest.mark.parametrize(("trials", "seeds"), [(6, 1), (12, 2)])
def test_a_default_that_the_search_holds_for_the_best_is_not_trained_twice(trials, seeds):
    study = zi.tune(noisy(0.0), zi.Space(x=zi.Float(0, 1, default=0.3)), trials=trials, confirm=2, store=None)
    assert study.best.config == {"x": 0.3}
    assert [s.config["x"] for s in scores(study.history)].count(0.3) == 1
    assert sum(trial.config["x"] == 0.3 and not trial.kind.is_search for trial in study.trials) == seeds


def test_where_scores_are_equal_the_test_is_that_of_the_network_that_is_kept():
    """A network is kept for its lower loss where scores are equal; which epoch that is, the last of them knows."""

    def objective(config, run):
        for epoch in run.epochs():
            run.report((0.5, 0.3, 0.3, 0.4)[epoch] + 0 * config["x"], test=(0.1, 0.2, 0.7, 0.7)[epoch])

    study = zi.tune(objective, SPACE, max_epochs=4, epochs=120, confirm=2, store=None)
    assert {test for score in scores(study.history) for test in score.tests} == {0.7}


def test_two_seeds_seldom_part_contenders_that_are_equal_and_soon_those_far_apart():
    """Two standard errors part a third of the equal ones, as two seeds hardly tell how large an error is."""
    configs = ({"x": 0.1}, {"x": 0.2}, {"x": 0.3})

    def parted(gap, races=200):
        rng, found = np.random.default_rng(0), 0
        for _ in range(races):
            history = History(1)
            for number in range(6):
                job = Job(number, number, configs[number % 3], number, 0, 1, Kind.CONFIRM, "")
                loss = rng.standard_normal() + gap * (number % 3 == 2)
                for event in (Asked((job,)), Observed(number, Observation(1, loss)), Ended(number, Status.DONE)):
                    history.apply(event)
            proposals = Confirm(5, 3, configs).decide(SPACE, history, 3, max_epochs=1, seed=0).proposals
            found += len({p.config["x"] for p in proposals}) < 3
        return found / races

    assert parted(0.0) < 0.2
    assert parted(10.0) > 0.9


def test_true_is_not_taken_for_the_option_1_where_the_network_is_exported(tmp_path):
    def objective(config, run):
        for epoch in run.epochs():
            lucky = run.final and config["x"] is not True and run.seed % 2
            run.report(0.5 if config["x"] is True else 0.0 if lucky else 2.0)
            (run.checkpoint / "epoch.txt").write_text(str(epoch))

    space = zi.Space(x=zi.Choice(1, True))
    study = zi.tune(objective, space, max_epochs=2, epochs=40, confirm=4, store=tmp_path / "z.db", seed=1)
    assert any(t.loss == 0.0 for t in study.trials)
    assert winner(study.history)["x"] is True
    assert trial_with_weights(study.history, study.folder).config["x"] is True
