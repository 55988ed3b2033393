"""scikit-learn's face: the estimators keep its contract and predict well."""

import pickle

import numpy as np
import pytest

pytest.importorskip("torch")

from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris, make_friedman1
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

import zeroin as zi
from zeroin.nn import Task
from zeroin.sklearn import TunedClassifier, TunedRegressor

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


def test_a_network_and_a_space_of_ones_own(iris):
    def build(features, classes, config):
        return nn.Sequential(nn.Linear(features, config["width"]), nn.Tanh(), nn.Linear(config["width"], classes))

    space = zi.Space(lr=zi.Float(1e-3, 1.0, scale="log", default=0.1), width=zi.Int(4, 32))
    model = TunedClassifier(build, space, **SHORT).fit(*iris)
    assert set(model.best_config_) == {"lr", "width"}
    assert isinstance(model.tuned_.network[1], nn.Tanh)


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
    results = check_estimator(model(trials=2, max_epochs=40, random_state=0), on_skip=None)
    done = [result["check_name"] for result in results if result["status"] == "passed"]
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    assert len(done) > 40
    assert skipped <= {"check_array_api_input"}  # needs SCIPY_ARRAY_API=1 set before scipy is imported


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
    Pipeline([("scale", StandardScaler()), ("net", TunedRegressor(**SHORT))]).fit(X, y, net__groups=groups)
    with config_context(enable_metadata_routing=True):
        model = TunedRegressor(**SHORT).set_fit_request(groups=True)
        assert len(cross_val_score(model, X, y, cv=GroupKFold(2), params={"groups": groups})) == 2
    assert all(not set(t[0][:, 0]) & set(v[0][:, 0]) for t, v in seen[-2:])
