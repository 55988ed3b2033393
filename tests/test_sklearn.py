"""scikit-learn's face: the estimators keep its contract and predict well."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from sklearn import config_context, metrics
from sklearn.base import clone
from sklearn.datasets import load_iris, make_friedman1
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

import zeroin as zi
from zeroin.data.examples import split
from zeroin.errors import TaskError
from zeroin.nn import Metric, Task, sample_weights
from zeroin.nn.metrics import METRICS
from zeroin.sklearn import TunedClassifier, TunedRegressor
from zeroin.space import Float, Space

EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "a share of the examples, chosen by chance, judges the configs: "
    "an example given twice can be in both shares, one of weight two cannot",
}
SHORT = {"trials": 2, "max_epochs": 20, "random_state": 0}


@pytest.fixture(scope="module")
def iris():
    data = load_iris()
    return data.data, data.target_names[data.target]


@pytest.fixture(scope="module")
def fitted(iris):
    return TunedClassifier(**SHORT).fit(*iris)


def test_a_classifier_with_string_labels(fitted, iris):
    X, y = iris
    assert list(fitted.classes_) == ["setosa", "versicolor", "virginica"]
    assert fitted.n_features_in_ == 4
    shares = fitted.predict_proba(X)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert (fitted.predict(X) == fitted.classes_[shares.argmax(1)]).all()
    assert fitted.score(X, y) > 0.9
    assert fitted.best_score_ > 0.9
    assert {"lr", "layers"} <= set(fitted.best_config_)


def test_pickle_gives_the_same_predictions_and_clone_an_unfitted_one(fitted, iris, tmp_path):
    X, _ = iris
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.tuned_.report(tmp_path / "r.html").stat().st_size > 10_000
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    assert not hasattr(fresh, "classes_")


def test_the_same_random_state_gives_the_same_network(fitted, iris):
    X, y = iris
    np.testing.assert_array_equal(TunedClassifier(**SHORT).fit(X, y).predict_proba(X), fitted.predict_proba(X))


def test_a_regressor_in_a_pipeline_under_cross_validation():
    X, y = make_friedman1(300, noise=0.1, random_state=0)
    model = make_pipeline(StandardScaler(), TunedRegressor(trials=2, max_epochs=30, random_state=0))
    assert cross_val_score(model, X, 1e6 + 1e3 * y, cv=2).min() > 0.7


class Layers(nn.Sequential):
    """Its `train` returns nothing, as it is often written."""

    def train(self, mode=True):
        super().train(mode)


def test_a_network_and_a_space_of_ones_own(iris):
    def build(features, classes, config):
        return Layers(nn.Linear(features, config["width"]), nn.Tanh(), nn.Linear(config["width"], classes))

    space = zi.Space(lr=zi.Float(1e-3, 1.0, scale="log", default=0.1), width=zi.Int(4, 32))
    model = TunedClassifier(build, space, **SHORT).fit(*iris)
    assert set(model.best_config_) == {"lr", "width"}
    assert isinstance(model.tuned_.network[1], nn.Tanh)
    assert not model.tuned_.network.training


class Remembering(nn.Module):
    """Its state begins with zeros in single precision, as it is often written."""

    def __init__(self, outputs):
        super().__init__()
        self.cells, self.last = nn.LSTM(1, 8, batch_first=True), nn.Linear(8, outputs)

    def forward(self, x):
        begin = torch.zeros(1, len(x), 8)
        return self.last(self.cells(x[..., None], (begin, begin))[0][:, -1])


def test_a_network_that_works_in_single_precision_alone_predicts(iris):
    X, y = iris
    space = zi.Space(lr=zi.Float(1e-3, 1.0, scale="log", default=0.03))
    model = TunedClassifier(lambda features, classes, config: Remembering(classes), space, **SHORT).fit(X, y)
    assert model.score(X, y) > 0.8
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1, rtol=1e-12)
    regressor = TunedRegressor(lambda features, one, config: Remembering(one), space, **SHORT).fit(X, 1e9 * X[:, 0])
    assert regressor.score(X, 1e9 * X[:, 0]) > 0.8


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (np.zeros((3, 2)), [0, 1, 1], "minimum of 4"),
        (np.zeros((9, 2)), ["a"] * 9, "one class"),
        (np.full((9, 2), np.nan), [0, 1, 1] * 3, "NaN"),
    ],
)
def test_spoiled_data_are_refused_in_a_sentence(X, y, words):
    with pytest.raises(ValueError, match=words):
        TunedClassifier(**SHORT).fit(X, y)


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.2])
def test_a_share_that_is_none_is_refused_in_a_sentence(share, iris):
    with pytest.raises(ValueError, match=r"between 0 and 1; validation_fraction=.*: use 0.2"):
        TunedClassifier(**SHORT, validation_fraction=share).fit(*iris)


def test_sparse_data_are_refused_in_a_sentence():
    from scipy.sparse import csr_matrix

    with pytest.raises(TypeError, match="Sparse data was passed"):
        TunedClassifier(**SHORT).fit(csr_matrix(np.eye(9)), [0, 1, 1] * 3)


def test_data_frames_keep_their_names(iris):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(iris[0], columns=["a", "b", "c", "d"])
    model = TunedClassifier(trials=1, max_epochs=2, random_state=0).fit(frame, iris[1])
    assert list(model.feature_names_in_) == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))


@pytest.mark.slow  # every check fits anew, a hundred fits in all
@pytest.mark.parametrize("model", [TunedClassifier, TunedRegressor])
def test_scikit_learns_own_checks(model):
    results = check_estimator(
        model(trials=2, max_epochs=12, random_state=0), on_skip=None, expected_failed_checks=EXPECTED
    )
    done = [result["check_name"] for result in results if result["status"] == "passed"]
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    failed = {result["check_name"] for result in results if result["status"] == "xfail"}
    assert len(done) > 40
    assert failed == set(EXPECTED)
    assert skipped <= {"check_array_api_input"}  # needs SCIPY_ARRAY_API=1 set before scipy is imported


def test_weights_count_in_the_loss_and_in_the_score(iris):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    wrong = rng.random(300) < 0.5  # half of the examples say the opposite, and count a hundredth
    y, weight = (X[:, 0] > 0) ^ wrong, np.where(wrong, 0.01, 1.0)
    model = TunedClassifier(**SHORT).fit(X, y, sample_weight=weight)
    assert (model.predict(X) == (X[:, 0] > 0)).mean() > 0.9
    assert model.best_score_ > 0.9
    for metric in (
        "balanced_accuracy",
        "roc_auc",
        "loss",
        Metric("own", "maximize", lambda o, t: float(t.dtype.is_floating_point)),
    ):
        TunedClassifier(trials=1, max_epochs=2, random_state=0, metric=metric).fit(X, y, sample_weight=weight)
    number = np.where(wrong, -3.0, 3.0) * X[:, 0]
    for metric in ("r2", "rmse", "mae"):
        model = TunedRegressor(**SHORT, metric=metric).fit(X, number, sample_weight=weight)
        assert np.corrcoef(model.predict(X), 3 * X[:, 0])[0, 1] > 0.95


def test_the_third_argument_is_the_weights_as_in_scikit_learn(iris):
    X, y = iris
    weight = np.arange(150) % 5 + 1.0
    model = TunedClassifier(trials=1, max_epochs=3, random_state=0)
    by_name = clone(model).fit(X, y, sample_weight=weight).predict_proba(X)
    np.testing.assert_array_equal(model.fit(X, y, weight).predict_proba(X), by_name)


def test_equal_weights_are_as_none_and_a_weight_of_0_is_as_not_there(iris):
    X, y = iris
    plain = TunedClassifier(**SHORT).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(
        TunedClassifier(**SHORT).fit(X, y, sample_weight=np.full(150, 3)).predict_proba(X), plain, atol=1e-3
    )
    less = TunedClassifier(**SHORT).fit(X[::2], y[::2]).predict_proba(X)
    model = TunedClassifier(**SHORT).fit(X, y, sample_weight=np.arange(150) % 2 == 0)
    np.testing.assert_allclose(model.predict_proba(X), less, atol=1e-3)
    with pytest.raises(ValueError, match="Negative values"):
        TunedClassifier(**SHORT).fit(X, y, sample_weight=-np.ones(150))
    with pytest.raises(ValueError, match=r"4 examples count.*above 0 for 2"):
        TunedClassifier(**SHORT).fit(X, y, sample_weight=np.arange(150) < 2)


@pytest.mark.parametrize("name", METRICS)
def test_weighted_scores_are_scikit_learns(name):
    rng = np.random.default_rng(0)
    weight = rng.uniform(0, 3, 200)
    if name in ("accuracy", "balanced_accuracy", "roc_auc"):
        y, output = rng.integers(0, 2, 200), rng.normal(size=(200, 2))
        said = output[:, 1] - output[:, 0] if name == "roc_auc" else output.argmax(1)
        loss, theirs = "cross_entropy", getattr(metrics, f"{name}_score")(y, said, sample_weight=weight)
    else:
        y, output = rng.normal(size=(2, 200))
        theirs = {
            "r2": metrics.r2_score,
            "mae": metrics.mean_absolute_error,
            "mse": metrics.mean_squared_error,
            "rmse": metrics.root_mean_squared_error,
        }[name](y, output, sample_weight=weight)
        loss, output = "mse", output[:, None]
    ours = sample_weights.metric_of(name, loss)
    target = torch.from_numpy(sample_weights.with_weights(y, weight))
    assert ours.compute(torch.from_numpy(output), target) == pytest.approx(theirs, rel=1e-5)
    assert ours.goal == METRICS[name].goal


def test_roc_auc_of_three_classes_is_refused_before_any_training(iris, monkeypatch):
    monkeypatch.setattr("zeroin.sklearn.tune", lambda task, **_: task.check(task.space_for(1.0)))
    for weight in (None, np.linspace(1, 2, 150)):
        with pytest.raises(zi.TaskError, match=r"roc_auc is of two classes; .* 3 of them: use metric='balanced_acc"):
            TunedClassifier(**SHORT, metric="roc_auc").fit(*iris, sample_weight=weight)


def test_a_weighted_metric_goes_to_workers():
    for name in METRICS:
        pickle.dumps(sample_weights.metric_of(name, "mse"))


def test_a_network_made_once_is_refused():
    kept = nn.Linear(4, 2)
    model = TunedClassifier(build=lambda features, classes, config: kept, space=Space(lr=Float(0.01, 0.1)), **SHORT)
    with pytest.raises(TaskError, match="gave the same weight twice"):
        model.fit(np.eye(4)[[0, 1] * 20], [0, 1] * 20)


def test_groups_are_trained_on_or_judged_by(monkeypatch):
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(20), 10)
    X = np.column_stack([who, rng.normal(size=200)])
    y = rng.normal(size=20)[who]
    groups = np.array([f"P{i}" for i in who])
    seen = []
    monkeypatch.setattr("zeroin.sklearn.Task", lambda *a, **k: seen.append(a[1:3]) or Task(*a, **k))
    TunedRegressor(**SHORT).fit(X, y)
    TunedRegressor(**SHORT).fit(X, y, groups=groups)
    (rows, judged_by), (train, valid) = seen
    assert set(rows[0][:, 0]) & set(judged_by[0][:, 0])
    assert not set(train[0][:, 0]) & set(valid[0][:, 0])
    assert 30 <= len(valid[0]) <= 50  # a fifth of the rows and of each size of y, as near as whole groups allow
    with pytest.raises(ValueError, match="there are 3 for 200 examples"):
        TunedRegressor(**SHORT).fit(X, y, groups=[1, 2, 3])
    with pytest.raises(ValueError, match="1 different"):
        TunedClassifier(**SHORT).fit(X, y > 0, groups=np.ones(200))
    with pytest.raises(ValueError, match=r"100 of 200 are missing: leave those"):
        TunedRegressor(**SHORT).fit(X, y, groups=[None, "a"] * 100)
    Pipeline([("scale", StandardScaler()), ("net", TunedRegressor(**SHORT))]).fit(X, y, net__groups=groups)
    with config_context(enable_metadata_routing=True):
        model = TunedRegressor(**SHORT).set_fit_request(groups=True)
        assert len(cross_val_score(model, X, y, cv=GroupKFold(2), params={"groups": groups})) == 2
    assert all(not set(t[0][:, 0]) & set(v[0][:, 0]) for t, v in seen[-2:])


def test_a_constant_is_predicted_as_it_is():
    X = np.random.default_rng(0).normal(size=(20, 2))
    model = TunedRegressor(trials=1, max_epochs=1, random_state=0).fit(X, np.full(20, 7.0))
    assert model.predict(X).tolist() == [7.0] * 20


def test_what_an_earlier_fit_found_does_not_predict_after_one_that_ended_early(iris, monkeypatch):
    X, y = iris
    classifier, regressor = TunedClassifier(**SHORT).fit(X, y), TunedRegressor(**SHORT).fit(X, X[:, 0])

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("zeroin.sklearn.tune", interrupted)
    for model, other in ((classifier, np.char.upper(y)), (regressor, 1e6 * X[:, 1]), (TunedClassifier(**SHORT), y)):
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, other)
        with pytest.raises(NotFittedError):
            model.predict(X)


def test_a_metric_of_the_other_estimator_is_refused_in_a_sentence(iris):
    X, y = iris
    for weight in (None, np.ones(150)):
        with pytest.raises(zi.TaskError, match=r"one of r2, mae, .*; got 'accuracy': use metric='r2'"):
            TunedRegressor(**SHORT, metric="accuracy").fit(X, X[:, 0], sample_weight=weight)
        with pytest.raises(zi.TaskError, match=r"one of accuracy, .*; got 'f1': use metric='accuracy'"):
            TunedClassifier(**SHORT, metric="f1").fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("weight", [None, np.ones(60)])
def test_where_a_metric_is_not_defined_the_loss_judges(weight):
    """A class of two examples may have none among those that are held out, whichever they are."""
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) < 2
    with pytest.warns(UndefinedMetricWarning, match=r"roc_auc compares.*the 12 held out have the same"):
        model = TunedClassifier(trials=1, max_epochs=2, random_state=0, metric="roc_auc").fit(
            X, y, sample_weight=weight
        )
    held_out = split(y, None, 0.2, True, int(check_random_state(0).randint(2**31 - 1)))[1]
    judged = metrics.log_loss(y[held_out], model.predict_proba(X[held_out]), labels=[False, True])
    assert model.best_score_ == pytest.approx(judged, rel=1e-4)


def test_a_number_that_is_missing_is_told(iris):
    with pytest.raises(ValueError, match="Input y contains NaN"):
        TunedRegressor(**SHORT).fit(iris[0], np.array([1.0, None, 2.0] * 50, dtype=object))


def test_fits_in_threads_are_those_of_one_after_another(iris):
    X, y = iris
    models = [TunedClassifier(trials=2, max_epochs=3, random_state=seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        at_once = [fitted.predict_proba(X) for fitted in threads.map(lambda model: clone(model).fit(X, y), models)]
    for model, shares in zip(models, at_once, strict=True):
        np.testing.assert_array_equal(model.fit(X, y).predict_proba(X), shares)
