"""Laws of what losses are expected to fall: by names that are known alone, and as far as a study bears it out."""

import numpy as np
import pytest

import zeroin as zi
from zeroin.header import Header
from zeroin.history import History
from zeroin.playbook import lesson_of
from zeroin.search import outlook
from zeroin.search.model import build
from zeroin.search.rows import Memory
from zeroin.types import Advised, Asked, Bet, Ended, Job, Kind, Observation, Observed, Status

NAMED = zi.Space(lr=zi.Float(1e-4, 0.1, scale="log"), momentum=zi.Float(0.1, 0.99, scale="one_minus_log"))
UNNAMED = zi.Space(a=NAMED.params["lr"], b=NAMED.params["momentum"])
RUNGS = (2, 4, 8, 16)


LEVELS = np.random.default_rng(1).uniform(1.0, 2.0, 60)


def history_of(space):
    """Sixty trials to T/8, whatever their config."""
    history = History(RUNGS[-1])
    for number, point in enumerate(np.random.default_rng(0).random((60, 2))):
        job = Job(number, number, space.config(point), number, 0, RUNGS[0], Kind.SCREEN, "")
        history.apply(Asked((job,)))
        for epoch in range(1, RUNGS[0] + 1):
            history.apply(Observed(number, Observation(epoch, float(LEVELS[number] * np.exp(-0.1 * epoch)))))
        history.apply(Ended(number, Status.DONE))
    return history


def model_of(space, learned):
    """What sixty trials to T/8 tell."""
    memory = Memory(space, history_of(space), RUNGS, learned)
    return build(memory.rows(), memory)


def test_it_applies_to_sgd_with_momentum_alone():
    assert outlook.known(NAMED) == {"lr": "lr", "momentum": "momentum"}
    assert outlook.known(UNNAMED) == {}
    assert outlook.known(NAMED.renamed({"lr": "Learning-Rate"})) == {"lr": "Learning-Rate", "momentum": "momentum"}
    assert outlook.known(zi.Space(**NAMED.params, learning_rate=NAMED["lr"])) == {"lr": "lr", "momentum": "momentum"}
    assert outlook.known(zi.Space(base_lr=NAMED["lr"], learning_rate=NAMED["lr"], momentum=NAMED["momentum"])) == {}
    assert outlook.known(zi.Space(lr=zi.Float(1e-4, 0.1, scale="log"))) == {}
    params = dict(NAMED.params)
    assert outlook.known(zi.Space(**params, optimizer=zi.Choice("sgd", "nesterov")))
    assert not outlook.known(zi.Space(**params, optim=zi.Choice("SGD", "Adam")))
    assert not outlook.known(zi.Space(**params, optimizer=zi.Choice("sgd", "adamw")))
    conditional = zi.Float(0.1, 0.99, when={"optimizer": "sgd"})
    assert not outlook.known(zi.Space(lr=params["lr"], optimizer=zi.Choice("sgd", "adamw"), momentum=conditional))


def test_a_configs_place_is_in_the_ranges_learned_and_the_middle_where_nothing_is_known():
    learned = outlook.shipped()
    names = {"lr": "learning_rate", "weight_decay": "weight_decay"}
    place = learned.traits({"learning_rate": 7.0, "weight_decay": 0.0}, names)
    told = dict(zip(learned.learned, place, strict=True))
    assert told.pop("lr") == 1.0
    assert told.pop("weight_decay") == -1.0
    assert not any(told.values())


def test_what_comes_with_zeroin_fits_its_terms():
    learned = outlook.shipped()
    n, k = 5, len(learned.learned)
    rng = np.random.default_rng(0)
    x = outlook.terms(rng.normal(size=n), rng.normal(size=n), rng.uniform(-1, 1, (n, k)))
    assert learned.weights.shape == (3, x.shape[1])
    assert np.isfinite(learned.weights).all()
    assert tuple(learned.learned) == outlook.NAMES


def test_a_study_follows_what_was_learned_as_far_as_its_own_trials_do():
    rng = np.random.default_rng(1)
    expected = np.c_[rng.normal(size=(20, 1)) @ [[1.0, 2 / 3, 1 / 3]], np.zeros(20)]
    nothing = np.full((20, 4), np.nan)
    nothing[:, 0] = rng.normal(size=20)
    assert outlook.followed(nothing, expected, RUNGS) == 1.0
    falls = -np.log2(np.array(RUNGS) / RUNGS[0]) / 3 * expected[:, :1]
    assert outlook.followed(falls, expected, RUNGS) == pytest.approx(1.0)
    assert outlook.followed(-falls, expected, RUNGS) == 0.0
    assert outlook.followed(9 * falls, expected, RUNGS) == outlook.MOST
    few = np.where(np.arange(20)[:, None] < 3, -falls, np.nan)
    assert outlook.followed(few, 0.05 * expected, RUNGS) > 0.2  # three trials that hardly differ decide little


def test_the_model_expects_more_of_what_falls_late_but_the_best_is_one_that_was_seen():
    ask = np.array([[0.9, 0.5], [0.1, 0.5]])
    named, unnamed, without = (
        model_of(NAMED, outlook.shipped()),
        model_of(UNNAMED, outlook.shipped()),
        model_of(NAMED, None),
    )
    (large, small), (as_large, as_small) = (model.predict(ask)[0] for model in (named, unnamed))
    assert large - small < as_large - as_small
    assert without.predict(ask)[0] == pytest.approx(unnamed.predict(ask)[0])
    assert named.best == unnamed.best == pytest.approx(np.log(LEVELS.min()) - 0.2)


def test_a_lesson_knows_of_how_losses_still_fall_what_its_study_knew():
    def taught(space, *learned):
        history = history_of(space)
        memory = Memory(space, history, RUNGS, *learned)
        lesson = lesson_of(Header("s", "minimize", history.max_epochs, 0, space), history, memory)
        return lesson.levels, lesson.scores, lesson.luck, tuple(lesson.importance.values())

    usual, without = taught(NAMED), taught(NAMED, None)
    assert without == taught(UNNAMED)
    assert usual == taught(NAMED, outlook.shipped()) != without


def after_the_coarse_round(space):
    """A study whose losses at T/8 hardly differ, up to the model's first trial; jobs to each rung, but checks."""
    study = zi.Study(space, max_epochs=RUNGS[-1], store=None)
    ends = []
    while (job := study.ask(1)[0]).kind in (Kind.SCREEN, Kind.EXPLORE):
        level = LEVELS[job.trial] ** 0.1
        study.tell(job, [float(level * np.exp(-0.1 * epoch)) for epoch in range(job.start + 1, job.stop + 1)])
        ends.extend([job.stop] if job.kind is Kind.SCREEN else [])
    return study, [ends.count(rung) for rung in RUNGS]


def test_where_names_tell_the_coarse_round_ranks_by_the_end_to_expect_and_fewer_go_on():
    named, fewer = after_the_coarse_round(NAMED)
    unnamed, more = after_the_coarse_round(UNNAMED)
    assert (fewer, more) == ([18, 2, 1, 1], [18, 3, 2, 2])  # 12, and a quarter of 24 first looks; a check is the fourth
    (whole,) = (trial for trial in named.trials if trial.epoch == RUNGS[-1])
    lowest = min((trial for trial in unnamed.trials if trial.epoch == RUNGS[-1]), key=lambda t: t.losses[RUNGS[0] - 1])
    assert whole.config["lr"] > 0.01 > lowest.config["a"]  # hardly behind at T/8, and large steps fall late
    assert any("by the end to expect after 2 epochs" in job.why for job in named.history.jobs)


def after_the_bet(space):
    """The job after three fresh trials and a bet of large steps, which is a little behind them at T/8."""
    study = zi.Study(space, max_epochs=RUNGS[-1], store=None)
    lr, momentum = space
    study.history.apply(Advised((Bet({lr: 0.1, momentum: 0.98}, "did well"),)))
    for level in (1.0, 1.01, 1.02, 1.011):
        job = study.ask(1)[0]
        study.tell(job, [level * np.exp(-0.1 * epoch) for epoch in range(1, job.stop + 1)])
    assert study.trials[3].kind is Kind.PLAYBOOK
    return study.ask(1)[0]


def test_where_names_tell_a_bet_too_is_judged_by_the_end_to_expect():
    goes_on, stays = after_the_bet(NAMED), after_the_bet(UNNAMED)
    assert (goes_on.kind, goes_on.trial, goes_on.start) == (Kind.PLAYBOOK, 3, RUNGS[0])
    assert (stays.kind, stays.start) == (Kind.SCREEN, 0)
