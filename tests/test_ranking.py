"""The best by the model: a lucky draw does not win, a failed trial never does."""

import numpy as np

import zeroin as zi
from zeroin.search.ranking import best_configs

SPACE = zi.Space(x=zi.Float(0, 1))


def studied(noise, trials=40):
    with zi.Study(SPACE, store=None, searcher=None) as study:
        rng = np.random.default_rng(3)
        for _ in range(trials):
            job = study.ask()[0]
            if job.config["x"] > 0.95:
                study.tell(job, status="diverged")
            else:
                study.tell(job, losses=[1 + (job.config["x"] - 0.3) ** 2 + noise * rng.standard_normal()])
    return study


def test_without_noise_it_is_the_best_seen():
    study = studied(0.0)
    best = best_configs(SPACE, study.history, 3)
    assert abs(best[0]["x"] - 0.3) < 0.02
    assert len(best) == len({config["x"] for config in best}) == 3


def test_under_noise_it_is_nearer_to_the_truth_than_the_luckiest_draw():
    study = studied(0.1, trials=80)
    lucky = min(study.trials, key=lambda t: np.inf if t.loss is None else t.loss)
    best = best_configs(SPACE, study.history, 1)[0]
    assert abs(best["x"] - 0.3) <= abs(lucky.config["x"] - 0.3) + 0.05
    assert abs(best["x"] - 0.3) < 0.2


def test_true_is_not_the_option_1():
    space = zi.Space(norm=zi.Choice(1, True, 2, False, 0, None))
    study = zi.tune(lambda config: str(config["norm"]).count("e"), space, trials=6, store=None)
    assert len(best_configs(space, study.history, 6)) == 5  # all but the default


def test_too_few_trials_give_none():
    assert best_configs(SPACE, studied(0.0, trials=3).history, 3) == []


def test_a_trial_too_good_to_be_true_comes_last_and_its_neighbours_do_not_profit():
    start = [{"x": i / 24} for i in range(25)]
    with zi.Study(SPACE, store=None, start=start) as study:
        for _ in start:
            job = study.ask()[0]
            x = job.config["x"]
            study.tell(job, losses=[1 + (x - 0.3) ** 2 - (0.9 if x == 0.75 else 0.0)])
    best = best_configs(SPACE, study.history, 3)
    assert [abs(config["x"] - 0.3) < 0.1 for config in best] == [True, True, False]
    assert best[-1]["x"] == 0.75


def test_trials_that_were_trained_in_full_come_before_what_the_model_expects_of_short_ones():
    with zi.Study(SPACE, max_epochs=8, store=None) as study:
        whole: dict[float, float] = {}
        for _ in range(40):
            job = study.ask()[0]
            x = job.config["x"]
            study.tell(job, losses=[1 + (x - 0.4) ** 2 + 4 / epoch for epoch in range(job.start + 1, job.stop + 1)])
            if job.stop == 8:
                whole[x] = (x - 0.4) ** 2
        assert len(whole) >= 3
        assert len(study.trials) > len(whole)
        best = best_configs(SPACE, study.history, 1)
        several = best_configs(SPACE, study.history, 3)
        everything = best_configs(SPACE, study.history, len(study.trials))
    assert abs(best[0]["x"] - min(whole, key=whole.get)) < 0.05
    assert {config["x"] for config in several} <= whole.keys()
    assert len(everything) > len(whole)  # too few in full: short ones as well
