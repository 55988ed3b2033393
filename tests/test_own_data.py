"""Data of one's own, without code: tuned, exported and predicted from the command line; what is wrong is told."""

import csv
import dataclasses
import io
import pickle
import re
import subprocess
import sys
import unicodedata
import warnings
from decimal import Decimal

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
Image = pytest.importorskip("PIL.Image")

from zeroin.data import images, own  # noqa: E402
from zeroin.data.amounts import amounts, style_of  # noqa: E402
from zeroin.data.arrays import as_inputs  # noqa: E402
from zeroin.data.columns import Column, in_bins, learn, numbers  # noqa: E402
from zeroin.data.files import read  # noqa: E402
from zeroin.data.kinds import as_numbers, written  # noqa: E402
from zeroin.data.predict import predictions  # noqa: E402
from zeroin.data.preparation import from_plain  # noqa: E402
from zeroin.data.split import by_group, split  # noqa: E402
from zeroin.data.table import Columns, Reading, of_table  # noqa: E402
from zeroin.data.vocabulary import is_text, words_of  # noqa: E402
from zeroin.errors import TaskError  # noqa: E402

TINY = ("--epochs", "6", "--max-epochs", "2", "--confirm", "0")
ROWS = 120


def houses():
    """A table with a number to predict, dates, categories, missing values and a long-tailed amount."""
    rng = np.random.default_rng(0)
    size, town = rng.uniform(20, 200, ROWS), rng.choice(["Ulm", "Jena", "Köln"], ROWS)
    sold = pd.date_range("2020-01-01", periods=ROWS, freq="7D").strftime("%d.%m.%Y")
    price = 3000 * size + 50_000 * (town == "Köln") + rng.normal(0, 10_000, ROWS)
    frame = pd.DataFrame({"size": size.round(1), "town": town, "sold": sold, "price": price.round()})
    frame["debt"] = rng.lognormal(8, 2, ROWS).round()
    frame.loc[::9, "size"] = np.nan
    frame.loc[::11, "town"] = None
    return frame


def passengers():
    rng = np.random.default_rng(1)
    sex, age = rng.choice(["male", "female"], ROWS), rng.uniform(1, 80, ROWS).round()
    lived = np.where(rng.random(ROWS) < np.where(sex == "female", 0.9, 0.1), "yes", "no")
    frame = pd.DataFrame({"sex": sex, "age": age, "class": rng.choice(["1st", "2nd"], ROWS), "lived": lived})
    frame.loc[::7, "age"] = np.nan
    return frame


def reviews():
    rng = np.random.default_rng(2)
    stars = rng.integers(1, 3, ROWS)
    words = [["bad", "stale", "never again"], ["good", "fresh, tasty", 'my "best" tea']]
    text = [" ".join(rng.choice(words[s - 1], 6)) + "\nbought online" for s in stars]
    return pd.DataFrame({"review": text, "stars": stars})


def goods():
    """Numbers, categories and texts, all three of which the target takes."""
    rng = np.random.default_rng(4)
    good, new, price = rng.random(ROWS) < 0.5, rng.random(ROWS) < 0.5, rng.uniform(1, 9, ROWS)
    said = [" ".join(rng.choice(["fine", "sturdy"] if g else ["poor", "late"], 9)) + " on the whole" for g in good]
    stars = 3.0 * good + 2.0 * new - price / 2 + rng.normal(0, 0.1, ROWS)
    return pd.DataFrame({"price": price, "state": np.where(new, "new", "used"), "review": said, "stars": stars})


def digits(folder):
    """Images of two classes, grey ones of several sizes and formats."""
    rng = np.random.default_rng(3)
    for i in range(ROWS):
        pixels = rng.integers(0, 90, (12 + i % 3, 12), dtype=np.uint8)
        pixels[2:6] += np.uint8(160 * (i % 2))
        place = folder / ("light" if i % 2 else "dark")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{i}.{'png' if i % 5 else 'bmp'}")
    return folder


def tuned(zeroin, path, *options, study=None):
    """Tune, export, and give the model's file and what tuning said."""
    code, said, errors = zeroin("tune", path, *TINY, *options)
    assert code == 0, errors
    code, out, errors = zeroin("export", study or path.stem, "--model", "best.pt")
    assert code == 0, errors
    assert "zeroin predict best.pt" in out
    return zeroin.folder / "best.pt", said


def predicted(zeroin, model, data):
    code, out, errors = zeroin("predict", model, data)
    assert code == 0, errors
    return pd.DataFrame(list(csv.DictReader(io.StringIO(out))))


# ----------------------------------------------------------------------------------------------------- end to end


def test_a_table_with_a_number_to_predict(zeroin):
    path = zeroin.folder / "houses.csv"
    houses().to_csv(path, index=False)
    model, said = tuned(zeroin, path, "--target", "price", "--fix", "lr=0.01")
    assert "'price' is predicted, a number" in said
    table = predicted(zeroin, model, path)
    assert np.corrcoef(table["prediction"].astype(float), houses()["price"])[0, 1] > 0.5
    new = zeroin.folder / "new.csv"  # other columns in another order, without the target, unknown words, all missing
    new.write_text("town,debt,sold,size,extra\nParis,,,,1\nKöln,10,24.12.2025,60.5,2\n", encoding="utf-8")
    assert np.isfinite(predicted(zeroin, model, new)["prediction"].astype(float)).all()
    with pytest.warns(UserWarning, match="all such words count"):
        assert len(predictions("best.pt", "new.csv")) == 2  # in Python as the command does
    code, out, _ = zeroin("predict", model, new, "--out", "pred.csv")
    assert (code, out.strip()) == (0, "pred.csv")
    assert len((zeroin.folder / "pred.csv").read_text().splitlines()) == 3
    new.write_text("town,sold\nParis,24.12.2025\n", encoding="utf-8")
    code, _, errors = zeroin("predict", model, new)
    assert code == 2
    assert "lacks 'size', 'debt'" in errors


def test_a_table_with_classes_says_the_same_in_parquet(zeroin):
    path = zeroin.folder / "passengers.csv"
    passengers().to_csv(path, index=False)
    model, _ = tuned(zeroin, path, "--target", "lived", "--fix", "lr=0.01")
    table = predicted(zeroin, model, path)
    assert (table["prediction"] == passengers()["lived"]).mean() > 0.7
    chances = table[["p(no)", "p(yes)"]].astype(float)
    assert chances.sum(axis=1).to_numpy() == pytest.approx(np.ones(ROWS), abs=1e-5)
    new = zeroin.folder / "new.csv"
    given = {"sex": ["male", "none", "none", "male"], "age": "", "class": ["1st", "", "2nd", "2nd"]}
    passengers().head(4).assign(**given).to_csv(new, sep="|", index=False)
    code, out, errors = zeroin("predict", model, new)
    assert (code, len(out.splitlines())) == (0, 5)
    assert "note: 2 of 4 rows have a 'sex' that fewer than 3 rows to train on had, such as 'none'" in errors
    assert "note: 1 of 4 rows have no 'class', which all rows to train on had: they count as the average" in errors
    assert "no 'age'" not in errors  # which some rows to train on lacked
    passengers().drop(columns="lived").to_parquet(zeroin.folder / "new.parquet")
    assert predicted(zeroin, model, zeroin.folder / "new.parquet").equals(table)


def test_texts(zeroin):
    path = zeroin.folder / "reviews.csv"
    reviews().to_csv(path, index=False)
    model, said = tuned(zeroin, path, "--text", "review", "--target", "stars", "--fix", "lr=0.01")
    assert "2 different whole numbers, taken as classes" in said
    new = zeroin.folder / "new.csv"
    new.write_text('review\n"bad stale bad stale bad"\n"good fresh tasty good best"\n""\n', encoding="utf-8")
    assert predicted(zeroin, model, new)["prediction"].tolist()[:2] == ["1", "2"]
    new.write_text("review\nschlecht und alt\nfrisch und gut\n", encoding="utf-8")
    assert "'review' has no word known from training in 100 % of the rows" in zeroin("predict", model, new)[2]


def test_a_table_with_texts(zeroin):
    path = zeroin.folder / "goods.csv"
    goods().to_csv(path, index=False)
    options = ("--target", "stars", "--fix", "lr=0.01", "--epochs", "20", "--max-epochs", "20")
    model, said = tuned(zeroin, path, *options)
    assert "'review' is read as text" in said
    rows = "price,review,state,stars\n"  # in another order
    rows += "".join(
        f"5,{text},{state},\n" for text in ("poor late poor", "fine sturdy fine") for state in ("used", "new")
    )
    new = zeroin.folder / "new.csv"
    new.write_text(rows, encoding="utf-8")
    old_poor, new_poor, old_fine, new_fine = predicted(zeroin, model, new)["prediction"].astype(float)
    assert old_poor < min(new_poor, old_fine) <= max(new_poor, old_fine) < new_fine
    new.write_text("price,review,state\n5,,used\n,unheard of,\n", encoding="utf-8")
    assert np.isfinite(predicted(zeroin, model, new)["prediction"].astype(float)).all()
    new.write_text("price,state\n5,used\n", encoding="utf-8")
    code, _, errors = zeroin("predict", model, new)
    assert code == 2
    assert "lacks 'review'" in errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop!", ["don't", "stop", "!"]),
        ("Große Café cafe\u0301", ["große", "café", "café"]),
        ("料理はとても美味しい。", list("料理はとても美味しい")),
        ("房间很干净！Wi-Fi 5", ["房", "间", "很", "干", "净", "！", "wi", "fi", "5"]),
        ("खाना बढ़िया था", ["खाना", "बढ़िया", "था"]),
        ("ดีมาก", list("ดีมาก")),
        ("음식이 맛있다", ["음식이", "맛있다"]),
        ("الطعامُ لذيذٌ", ["الطعامُ", "لذيذٌ"]),
    ],
)
def test_words_of_many_scripts(text, words):
    assert words_of(text) == [unicodedata.normalize("NFC", word) for word in words]


def test_texts_without_blanks_are_texts():
    rng = np.random.default_rng(0)
    said = [
        f"这里的{a}{b}，{c}"
        for a, b, c in rng.choice(["食物", "房间", "服务", "很好", "糟糕", "干净", "太慢"], (60, 3))
    ]
    assert is_text(pd.Series([f"{one}，{i}号" for i, one in enumerate(said)]))
    assert not is_text(pd.Series([f"上海{i}号" for i in range(60)]))


def test_an_empty_line_of_a_single_column_is_a_row_so_that_predictions_keep_their_places(tmp_path):
    (tmp_path / "t.csv").write_text("text\ngood\n\nbad\n")
    assert read(tmp_path / "t.csv")["text"].fillna("").tolist() == ["good", "", "bad"]
    (tmp_path / "t.csv").write_text("  \na,b\n1,2\n   \n3,4\n")  # and blanks alone are no more than nothing
    assert read(tmp_path / "t.csv").to_numpy().tolist() == [["1", "2"], ["3", "4"]]
    (tmp_path / "t.csv").write_text('  \ntext\n"one\n  \ntwo"\n  \n')  # but within quotes they are part of a text
    assert read(tmp_path / "t.csv")["text"].fillna("").tolist() == ["one\n  \ntwo", ""]


def test_which_columns_are_texts(tmp_path, recwarn):
    def made(**asked):
        recwarn.clear()
        goods().assign(more=[f"I {word} it" for word in ["like", "hate"] * 60]).to_csv(tmp_path / "t.csv", index=False)
        task = own.task_of(tmp_path / "t.csv", target="stars", **asked)
        return from_plain(task.preparation).inputs, task

    inputs, task = made()
    assert ([c.name for c in inputs.columns], [t.column for t in inputs.texts]) == (
        ["price", "state", "more"],
        ["review"],
    )
    assert from_plain(task.preparation).plain() == task.preparation
    assert task.train[0].shape[1] == sum(c.width for c in inputs.columns) + inputs.texts[0].length
    inputs, _ = made(text=["more"])
    assert [t.column for t in inputs.texts] == ["review", "more"]
    inputs, _ = made(drop=["review"])
    assert not inputs.texts
    inputs, task = made(text="review", drop=["price", "state", "more"])
    assert (inputs.column, task.train[0].dtype) == ("review", np.int64)


def test_a_folder_of_images(zeroin):
    folder = digits(zeroin.folder / "pictures")
    model, _ = tuned(zeroin, folder, "--fix", "lr=0.01")
    table = predicted(zeroin, model, folder)
    assert (table["prediction"] == table["file"].str.partition("/")[0]).mean() > 0.8
    assert len(predicted(zeroin, model, folder / "dark" / "0.bmp")) == 1
    for hidden in (folder / "dark" / "._0.bmp", folder / ".thumbs" / "0.bmp"):  # as macOS leaves them, and others
        hidden.parent.mkdir(exist_ok=True)
        hidden.write_bytes(b"no image")
    assert len(predicted(zeroin, model, folder)) == len(table)


@pytest.mark.parametrize("shape", [(5,), (6, 3), (9, 7, 3)], ids=["rows", "steps", "images, channels last"])
def test_arrays(shape, zeroin):
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b"], 60)
    x = rng.normal(size=(60, *shape)) + (y == "b").reshape(-1, *[1] * len(shape))
    np.savez(zeroin.folder / "some.npz", X=x, y=y)
    model, _ = tuned(zeroin, zeroin.folder / "some.npz")
    for count in (7, 1):
        np.savez(zeroin.folder / "new.npz", X=x[:count])
        assert set(predicted(zeroin, model, zeroin.folder / "new.npz")["prediction"]) <= {"a", "b"}


def test_a_study_is_not_continued_with_other_data(zeroin):
    path = zeroin.folder / "passengers.csv"
    passengers().to_csv(path, index=False)
    tuned(zeroin, path, "--target", "lived")
    passengers().assign(age=1.0, sex="male").to_csv(path, index=False)
    code, _, errors = zeroin("tune", path, *TINY, "--target", "lived")
    assert code == 2
    assert "add --name passengers-2" in errors


# ---------------------------------------------------------------------------------------------------- preparation


def test_a_preparation_is_plain_and_comes_back(tmp_path):
    houses().to_csv(tmp_path / "houses.csv", index=False)
    with pytest.warns(UserWarning, match="r2 is tuned"):
        task = own.task_of(tmp_path / "houses.csv", target="price")
    ready = from_plain(task.preparation)
    assert ready.plain() == task.preparation
    x = ready.inputs.encoded(ready.inputs.opened(tmp_path / "houses.csv"))
    known = {row.tobytes() for row in x}
    assert all(row.tobytes() in known for part in (task.train, task.valid, task.test) for row in part[0])
    assert task.problem.train.x[:, 0].mean().abs() < 1e-3  # its size


def test_only_training_rows_teach(tmp_path):
    frame = houses()
    frame.to_csv(tmp_path / "a.csv", index=False)
    with pytest.warns(UserWarning, match="r2 is tuned"):
        task = own.task_of(tmp_path / "a.csv", target="price")
    prices = task.train[1] * task.preparation["answer"]["scale"] + task.preparation["answer"]["mean"]
    assert np.mean(prices) == pytest.approx(task.preparation["answer"]["mean"], rel=1e-5)
    size = next(c for c in task.preparation["inputs"]["columns"] if c["name"] == "size")
    assert size["fill"] == frame["size"][frame["price"].isin(np.round(prices))].median()


def test_columns_as_numbers():
    frame = pd.DataFrame(
        {
            "n": ["1", "2", "3", None],
            "c": ["x", "x", "x", "y"],
            "d": ["01/02/2024", "31/12/2024", None, "31/12/2024"],
            "same": ["a"] * 4,
        }
    )
    columns = learn(frame)
    assert [(c.name, c.kind, c.width) for c in columns] == [("n", "number", 2), ("c", "category", 2), ("d", "date", 28)]
    x = numbers(columns, frame)  # number, missing; x, another; year, circles, missing
    assert x[:, 0] == pytest.approx(np.sqrt(2) * np.array([-1, 0, 1, 0]))
    assert x[:, 1:4].tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert x[:, 4] == pytest.approx(np.array([-3, 1, 1, 1]) / np.sqrt(3))  # the median of the others is in December
    assert x[:, -1].tolist() == [0, 0, 1, 0]
    assert numbers(columns, frame.assign(n=["-1e9", "1", "2", "3"]))[0, 0] == -5  # no further than this
    with pytest.raises(TaskError, match=r"'n' held numbers written like '1234\.5' in training and here holds 'old'"):
        numbers(columns, frame.assign(n=["1", "old", "2", "3"]))


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n1,5;x\n2;y\n",
        "a\tb\n1.5\tx\n2\ty\n",
        '\ufeffa,b\r\n1.5,"x"\r\n2,y\r\n',
        "a,b\r1.5,x\r2,y\r",
        "a|b\n\n1.5|x\n2|y\n",
        "\ufeffsep=;\r\na;b\r\n1,5;x\r\n2;y\r\n",
    ],
)
def test_the_usual_forms_of_csv(text, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    frame = read(path)
    assert list(frame.columns) == ["a", "b"]
    assert as_numbers(frame["a"], written(frame["a"], frame.attrs["mark"])).tolist() == [1.5, 2.0]
    assert frame["b"].tolist() == ["x", "y"]


def test_decimal_commas_mean_the_same_in_every_file(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "t.csv"
    pieces, rate = rng.integers(1000, 9000, ROWS), rng.uniform(0, 9, ROWS)
    rate[0] = 9.3e-05
    frame = pd.DataFrame({"pieces": [f"{p:,}".replace(",", ".") for p in pieces]})  # thousands, by what the others have
    frame["rate"] = [repr(float(one)).replace(".", ",") for one in rate]
    frame["price"] = [f"{p:,.1f}".translate(str.maketrans(",.", ".,")) for p in 3.5 * pieces]
    frame.to_csv(path, sep=";", index=False)
    ready = from_plain(own.task_of(path, target="price").preparation)
    assert [c.mean for c in ready.inputs.columns] == pytest.approx([pieces.mean(), rate.mean()], rel=0.2)
    assert ready.answer.mean == pytest.approx(3.5 * pieces.mean(), rel=0.2)
    whole = ready.inputs.encoded(ready.inputs.opened(path))
    frame.head(1).assign(rate="0,000093").to_csv(path, index=False)  # one row, separated by commas
    assert ready.inputs.encoded(ready.inputs.opened(path)) == pytest.approx(whole[:1])
    pd.DataFrame({"pieces": pieces, "rate": rate}).to_parquet(tmp_path / "t.parquet")
    assert ready.inputs.encoded(ready.inputs.opened(tmp_path / "t.parquet")) == pytest.approx(whole)
    frame.assign(rate=frame.rate.where(frame.index != 7, "k.A.")).to_csv(path, sep=";", index=False)
    with pytest.raises(TaskError, match=r"'rate' holds 119 numbers and 1 other such as 'k.A.'"):
        own.task_of(path, target="price")


# ---------------------------------------------------------------------------------------------------------- notes


def noted(tmp_path, frame, recwarn, **asked):
    frame.to_csv(tmp_path / "t.csv", index=False)
    own.task_of(tmp_path / "t.csv", **{"target": "price", **asked})
    return " | ".join(str(w.message) for w in recwarn)


def test_a_column_that_is_the_target_in_disguise_is_a_leak(tmp_path, recwarn):
    frame = houses().assign(cents=lambda f: np.log(f.price), band=lambda f: (f.price // 5_000).astype(int).astype(str))
    told = noted(tmp_path, frame, recwarn)
    assert "a leak? 'cents' alone determines 'price'" in told
    assert "leak? 'size'" not in told


@pytest.mark.parametrize(
    "leak", [lambda lived: lived.map({"yes": "alive", "no": "dead"}), lambda lived: lived == "yes"]
)
def test_a_column_that_tells_the_class_is_a_leak(leak, tmp_path, recwarn):
    told = noted(tmp_path, passengers().assign(alive=leak(passengers().lived)), recwarn, target="lived")
    assert "a leak? 'alive' alone determines 'lived'" in told
    assert told.count("leak?") == 1


def test_a_number_that_separates_the_classes_is_a_leak(tmp_path, recwarn):
    rng = np.random.default_rng(0)
    frame = passengers().assign(boat=lambda f: np.where(f.lived == "yes", 1, -1) * rng.uniform(1, 9, ROWS))
    assert "a leak? 'boat' alone determines 'lived'" in noted(tmp_path, frame, recwarn, target="lived")


def test_ids_constants_texts_and_missing_targets_are_told(tmp_path, recwarn):
    frame = houses().assign(
        id=range(1000, 1000 + ROWS),
        key=[f"K{i}" for i in range(ROWS)],
        same=1,
        empty=None,
        code=[f"{i:039x}z" if i % 20 else None for i in range(ROWS)],
    )
    frame.loc[:4, "price"] = np.nan
    told = noted(tmp_path, frame, recwarn)
    assert "5 of 120 rows have no 'price' and are left out" in told
    assert "columns 'same', 'empty' never change in the training rows and are left out" in told
    assert "'id' looks like an id" in told
    assert "'key' looks like an id" in told
    assert "'code' has another word in nearly every row" in told
    assert "leak?" not in told


def test_decimals_and_durations_of_parquet_are_numbers(tmp_path):
    cents = [None if i % 9 == 0 else Decimal(i) / 3 for i in range(ROWS)]
    hours = pd.to_timedelta([None if i % 9 == 0 else i for i in range(ROWS)], unit="h")
    pd.DataFrame({"cents": cents, "took": hours}).to_parquet(tmp_path / "t.parquet")
    frame = read(tmp_path / "t.parquet")
    assert frame["cents"].iloc[1:4].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert frame["took"].iloc[1:4].tolist() == [3600, 7200, 10800]
    assert frame.isna().sum().tolist() == [14, 14]
    assert [(c.kind, c.gaps) for c in learn(frame)] == [("number", True)] * 2


def test_what_is_infinite_is_told(tmp_path, recwarn):
    endless = np.where(np.arange(ROWS) < 6, np.inf, np.arange(ROWS) / 7)
    houses().assign(endless=endless).to_parquet(tmp_path / "houses.parquet")
    own.task_of(tmp_path / "houses.parquet", target="price")
    told = [str(w.message) for w in recwarn]
    assert any("'endless' is infinite in 6 of 120 rows, which is taken as missing" in t for t in told)
    own.task_of(tmp_path / "houses.parquet", target="endless")
    assert any("6 of 120 rows have a 'endless' that is not finite and are left out" in str(w.message) for w in recwarn)


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["1,250,000", "990"], [1_250_000, 990]),
        (["1,250", "2,500"], [1250, 2500]),  # of both readings that of thousands
        (["1 250,5", "99"], [1250.5, 99]),
        (["1.250,75 €", "99 €"], [1250.75, 99]),
        (["12,5", "-3,25"], [12.5, -3.25]),
        (["0,125", "1,250"], [0.125, 1.25]),
        (["-$1,250.50", "$990", "$-3"], [-1250.5, 990, -3]),
        (["1.250,02-", "7,5", "3,00-"], [-1250.02, 7.5, -3]),  # as accountants write what is below 0
        (["(1.02)", "7", "($3)"], None),
        (["(1,250.02)", "7.5"], [-1250.02, 7.5]),
        (["$(1.02)", "$7", "($3)", "$4-"], [-1.02, 7, -3, -4]),
        (["(12.5%)", "7%", "(3)%", "4-%", "5%-"], [-12.5, 7, -3, -4, -5]),
        (["(1.02", "7"], None),
        (["-(1.02)", "7"], None),
        (["+45%", "7%", None], [45, 7, np.nan]),
        (["USD 1'250", "USD 5"], [1250, 5]),
        (["2,50,000", "1,000"], [250_000, 1000]),
        (["A12", "A13"], None),
        (["192.168.0.1", "10.0.0.2"], None),
        (["030 123", "040 123"], None),
        (["١٢", "٧"], [12, 7]),
        (["1,5", "1.5"], None),
        (["5 kg", "6 lb"], None),
        (["5 kg", "6"], None),
        (["1st", "2nd"], None),
        (["12:30", "11:20"], None),
        (["red", "blue"], None),
    ],
)
def test_how_numbers_are_written(words, read):
    values = pd.Series(words)
    style = style_of(values)
    assert (style and amounts(values, style).tolist()) == (read and pytest.approx(read, nan_ok=True))


def test_numbers_with_signs_and_separators_are_numbers(zeroin):
    rng = np.random.default_rng(0)
    rent, share = rng.uniform(900, 9000, ROWS), rng.integers(1, 99, ROWS)
    frame = pd.DataFrame({"rent": [f"${r:,.2f}" for r in rent], "share": [f"{s} %" for s in share]})
    frame["price"] = [f"{p:,.0f} €" for p in 100 * rent + share]
    path = zeroin.folder / "flats.csv"
    frame.to_csv(path, index=False)
    model, said = tuned(zeroin, path, "--target", "price", "--fix", "lr=0.01", "--epochs", "40", "--max-epochs", "20")
    assert re.search(r"'rent' is read as numbers, such as '\$(\d),(\d+)\.(\d+)' as \1\2\.\3", " ".join(said.split()))
    assert "'price' is read as numbers" in said
    table = predicted(zeroin, model, path)
    assert np.corrcoef(table["prediction"].astype(float), rent)[0, 1] > 0.9
    new = zeroin.folder / "new.csv"
    new.write_text('rent,share\n"$1,250.5",5 %\n,7 %\n')
    assert np.isfinite(predicted(zeroin, model, new)["prediction"].astype(float)).all()
    for odd in ("€1250", "1250", "cheap"):
        new.write_text(f"rent,share\n{odd},5 %\n")
        code, _, errors = zeroin("predict", model, new)
        assert code == 2
        assert f"'rent' held numbers written like '$1,234.5' in training and here holds '{odd}'" in errors


def test_training_rows_alone_say_what_a_column_is(tmp_path, recwarn):
    """What is told and what is learned are one decision: text and constants elsewhere do not count."""
    houses().to_csv(tmp_path / "t.csv", index=False)
    train = set(own.task_of(tmp_path / "t.csv", target="price").train[1].round(4))
    answer = own.task_of(tmp_path / "t.csv", target="price").preparation["answer"]
    scaled = ((houses().price - answer["mean"]) / answer["scale"]).astype(np.float32).round(4)
    inside = scaled.isin(train).to_numpy()
    long = [f"of {i} old trees that stood here, the last one fell" for i in range(ROWS)]
    frame = houses().assign(same=np.where(inside, 1, range(ROWS)), note=np.where(inside, "none", long))
    recwarn.clear()
    told = noted(tmp_path, frame, recwarn)
    assert "columns 'same', 'note' never change in the training rows and are left out" in told
    assert "read as text" not in told
    told = noted(tmp_path, houses().assign(note=np.where(inside, long, "none")), recwarn)
    assert "'note' is read as text" in told
    assert "'note' has another word" not in told


def test_dates_that_are_none_and_those_of_two_forms_are_told(tmp_path, recwarn):
    odd = houses().sold.where(houses().index != 5, "lately")
    mixed = [f"2024-01-{i % 28 + 1:02}" if i % 2 else f"{i % 28 + 1:02}/01/2024" for i in range(ROWS)]
    told = noted(tmp_path, houses().assign(sold=odd, seen=mixed), recwarn)
    assert "'sold' holds no date in 1 of 120 rows, such as 'lately', taken as missing" in told
    assert re.search(r"'seen' holds dates written in several ways, such as '.*' and '.*': write them alike", told)


def test_rows_in_the_order_of_time_are_told_and_cut_by_it(tmp_path, recwarn):
    mixed = houses().sample(frac=1, random_state=0)
    assert "in the order of" not in noted(tmp_path, mixed, recwarn)
    assert "rows are in the order of 'sold'" in noted(tmp_path, houses(), recwarn)
    recwarn.clear()
    assert "in the order of" not in noted(tmp_path, houses(), recwarn, order="sold")
    once = houses().assign(sold=["2024-01-05", None] * (len(houses()) // 2))
    assert "in the order of" not in noted(tmp_path, once, recwarn)
    mixed[["sold", "price"]].to_csv(tmp_path / "t.csv", index=False)
    task = own.task_of(tmp_path / "t.csv", target="price", order="sold")
    years = [part[0][:, 0] for part in (task.train, task.valid, task.test)]
    assert [len(some) for some in years] == [84, 18, 18]
    assert years[0].max() < years[1].min() <= years[1].max() < years[2].min()


def test_rows_of_a_group_are_in_one_set(tmp_path, recwarn):
    rng = np.random.default_rng(0)
    who = rng.choice([f"P{i:02}" for i in range(40)], 400)
    ill = pd.Series(who).map(lambda one: "ill" if int(one[1:]) % 4 == 0 else "well")
    frame = pd.DataFrame({"who": who, "row": np.arange(400) + 0.5, "ill": ill})
    frame.loc[::3, "who"] += " "  # a blank is no part of a name
    frame.loc[0, "ill"] = None  # a row without a target belongs to nobody's share
    told = noted(tmp_path, frame, recwarn, target="ill", group="who", kind="classes")
    assert "examples of one 'who' are in the same set, and it is not learned from" in told
    task = own.task_of(tmp_path / "t.csv", target="ill", group="who")
    assert [c["name"] for c in task.preparation["inputs"]["columns"]] == ["row"]
    column = task.preparation["inputs"]["columns"][0]
    rows = [(x[:, 0] * column["scale"] + column["mean"]).astype(int) for x, _ in (task.train, task.valid, task.test)]
    people = [set(who[some]) for some in rows]
    assert sum(map(len, people)) == len(set.union(*people)) == 40
    assert sum(map(len, rows)) == 399
    assert [len(some) / 399 for some in rows] == pytest.approx([0.7, 0.15, 0.15], abs=0.03)
    for _, y in (task.train, task.valid, task.test):
        assert y.mean() == pytest.approx(np.mean(ill == "well"), abs=0.12)


def test_images_of_a_folder_within_their_class_are_in_one_set(tmp_path, recwarn):
    digits(tmp_path / "f")
    for i, image in enumerate(sorted(tmp_path.glob("f/*/*"))):
        (image.parent / f"P{i % 12}").mkdir(exist_ok=True)
        image.rename(image.parent / f"P{i % 12}" / image.name)
    with pytest.raises(TaskError, match="without images"):
        own.task_of(tmp_path / "f")
    with pytest.raises(TaskError, match="--group 'patient' names nothing else: use --group folder"):
        own.task_of(tmp_path / "f", group="patient")
    seen = []
    paths, _ = images.labelled(tmp_path / "f", inner=True)
    task = own.task_of(tmp_path / "f", group="folder")
    plain = {images.pixels([p], *task.train[0].shape[1:3]).tobytes(): p.parent.name for p in paths}
    assert task.measure["data"]
    for x, y in (task.train, task.valid, task.test):
        assert set(y) == {0, 1}
        seen.append({plain[one[None].tobytes()] for one in x})
    assert sum(map(len, seen)) == len(set.union(*seen)) == 12
    assert any("examples of one 'folder' are in the same set" in str(w.message) for w in recwarn)
    (tmp_path / "f" / "dark" / "P0" / "0.bmp").rename(tmp_path / "f" / "dark" / "0.bmp")
    with pytest.raises(TaskError, match=r"each image is in a folder within that of its class; .*dark/0.bmp does not"):
        own.task_of(tmp_path / "f", group="folder")


def test_arrays_are_cut_by_an_array_of_groups(tmp_path):
    rng = np.random.default_rng(0)
    who, y = rng.integers(0, 15, 90), rng.integers(0, 2, 90)
    savez(tmp_path / "a.npz", X=np.column_stack([who, rng.normal(size=90)]), y=y, who=who)
    task = own.task_of(tmp_path / "a.npz", group="who")
    sets = [set(x[:, 0]) for x, _ in (task.train, task.valid, task.test)]
    assert sum(map(len, sets)) == len(set.union(*sets)) == 15
    with pytest.raises(TaskError, match=r"no array 'whom' among X, y, who: use --group who"):
        own.task_of(tmp_path / "a.npz", group="whom")
    savez(tmp_path / "a.npz", X=np.column_stack([who, who]), y=y, who=who[:9])
    with pytest.raises(TaskError, match=r"'who' in a.npz is \[9\] for 90 examples"):
        own.task_of(tmp_path / "a.npz", group="who")


@pytest.mark.parametrize("sizes", [(30, 1, 1), (5, 5, 5), (50, 30, 9, 9, 1), tuple(range(1, 40))])
def test_no_set_is_left_without_a_group(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    y = np.random.default_rng(0).normal(size=len(groups)).astype(np.float32)
    parts = by_group(groups, y)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert all(len(rows) for rows in parts)
    assert sum(len(set(groups[rows])) for rows in parts) == len(sizes)
    assert len(parts[0]) == max(map(len, parts))


def test_a_class_with_one_example_is_left_out(tmp_path, recwarn):
    frame = passengers()
    frame.loc[0, "lived"] = "unknown"
    told = noted(tmp_path, frame, recwarn, target="lived")
    assert "1 of 3 classes of 'lived' has one example, left out: 'unknown'" in told
    assert "one of 2 classes" in told


def test_a_category_without_an_example_is_no_class(tmp_path, recwarn):
    frame = passengers()
    frame["lived"] = pd.Categorical(frame["lived"], ["no", "perhaps", "yes"])
    frame.to_parquet(tmp_path / "t.parquet")
    task = own.task_of(tmp_path / "t.parquet", target="lived")
    assert task.preparation["answer"]["classes"] == ["no", "yes"]
    assert not any("perhaps" in str(told.message) or "left out" in str(told.message) for told in recwarn)


def test_rare_classes_are_judged_by_what_sees_them(tmp_path, recwarn):
    frame = passengers().assign(lived=["yes"] * 16 + ["no"] * (ROWS - 16))
    assert "roc_auc is tuned" in noted(tmp_path, frame, recwarn, target="lived")


def test_classes_that_differ_in_case_and_those_a_set_lacks_are_told(tmp_path, recwarn):
    lived = passengers().lived.to_numpy(object)
    lived[:2], lived[2:40] = "rare", "Yes"
    told = noted(tmp_path, passengers().assign(lived=lived), recwarn, target="lived")
    assert "'yes' and 'Yes' of 'lived' are two classes" in told or "'Yes' and 'yes' of 'lived' are two classes" in told
    assert re.search(r"the (validation|test|training) set has no example of 'lived' 'rare'", told)


def test_images_of_sixteen_bits_and_transparent_ones_keep_what_they_show(tmp_path):
    deep = np.full((8, 8), 25_700, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    grey, clear = images.pixels([tmp_path / "deep.png", tmp_path / "clear.png"], 1, 8)
    assert (grey.min(), grey.max(), clear.min()) == (100, 100, 255)
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "real.tiff")
    with pytest.raises(TaskError, match="more than 16 bits"):
        images.pixels([tmp_path / "real.tiff"], 1, 8)


def test_images_of_no_class_are_told(tmp_path, recwarn):
    digits(tmp_path / "f")
    (tmp_path / "f" / "empty").mkdir()
    (tmp_path / "f" / "dark" / "0.bmp").rename(tmp_path / "f" / "loose.bmp")
    own.task_of(tmp_path / "f")
    told = " | ".join(str(w.message) for w in recwarn)
    assert "beside the folders, and left out: 1 image, such as 'loose.bmp'" in told
    assert "folder 'empty' has no images of its own and is left out" in told


def test_a_date_tells_its_weekday_to_a_linear_network():
    """A week's waves are a basis of its days, so that "closed on Tuesdays" needs no hidden layer."""
    days = pd.date_range("2023-01-01", periods=400, freq="D")
    frame = pd.DataFrame({"d": days.strftime("%d.%m.%Y")})
    x = np.column_stack([numbers(learn(frame), frame), np.ones(400)])
    tuesday = (days.day_of_week == 1).astype(float)
    found = np.linalg.lstsq(x, tuesday, rcond=None)[0]
    assert np.abs(x @ found - tuesday).max() < 0.01


@pytest.mark.parametrize("form", ["%H:%M", "%H:%M:%S"])
def test_a_time_of_day_tells_where_it_stands_in_the_day(form):
    at = pd.Series(pd.date_range("2024-01-01", periods=96, freq="15min").strftime(form), name="at")
    (column,) = learn(pd.DataFrame({"at": at}))
    assert (column.kind, column.form) == ("date", form)
    x = numbers([column], pd.DataFrame({"at": ["00:00:00"[: len(at[0])], "23:45:00"[: len(at[0])]]}))
    of_the_day = [12, 13, 25, 26]  # the last two of 13 sines, and of as many cosines
    assert np.abs(x[0, of_the_day] - x[1, of_the_day]).max() < 0.15  # on both sides of midnight


@pytest.mark.slow
def test_a_parquet_file_that_is_refused_ends_the_command_with_status_2(tmp_path):
    """In a process of its own, which threads of Arrow used to abort at its end."""
    pd.DataFrame({"price": [1.5] * 40, "a": [[1]] * 40}).to_parquet(tmp_path / "t.parquet")
    words = [sys.executable, "-c", "from zeroin.cli import main; main()", "tune", str(tmp_path / "t.parquet"), *BY]
    for _ in range(3):
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_dates_stay_dates_of_one_form():
    frame = pd.DataFrame({"d": ["2024-01-31", "2024-02-01", None, "2024-03-01"]})
    columns = learn(frame)
    for odd in ("sometime", "31.12.2024"):
        with pytest.raises(TaskError, match=f"dates written as ISO8601 in training and here holds '{odd}'"):
            numbers(columns, frame.assign(d=odd))
    assert np.isfinite(numbers(columns, frame.assign(d=None))).all()


# ----------------------------------------------------------------------------------------------------- spoiled files

GOOD = "".join(f"{i % 7},{'xyz'[i % 3]},{i % 5 + 0.5}\n" for i in range(40))
TABLE = "size,town,price\n" + GOOD
BY = ("--target", "price")

SPOILED = {  # name: (what is in it, options, what is said)
    "empty": ("", BY, "is empty"),
    "only blanks": (" \n\n", BY, "is empty"),
    "only a mark of order": ("\ufeff", BY, "is empty"),
    "only a separator": ("sep=;\n\n", BY, "is empty"),
    "JSON": ('{"a": 1, "y": 2}\n', BY, 'begins with \'{"a": 1, "y": 2}\\n\', as JSON or HTML does: save it as CSV'),
    "only a header": ("size,town,price\n", BY, "only a header"),
    "one column": ("price\n" + "1.5\n2.5\n" * 20, BY, "a column to learn from beside its target"),
    "no target named": (TABLE, (), "add --target COLUMN"),
    "wrong target": (TABLE, ("--target", "prize"), "use --target 'price'"),
    "wrong column to drop": (TABLE, (*BY, "--drop", "twon"), "use --drop 'town'"),
    "wrong text column": (TABLE, (*BY, "--text", "review"), "no 'review' among 'size', 'town', 'price'"),
    "an order of words": (TABLE, (*BY, "--order", "town"), "'town' holds words"),
    "an order with gaps": ("size,price\n" + "1,2.5\n,3.5\n" * 20, (*BY, "--order", "size"), "missing in 20 of 40"),
    "one answer at the end": (
        "t,y\n" + "".join(f"{i},{i // 30}\n" for i in range(60)),
        ("--target", "y", "--order", "t"),
        "valid has 9 examples with 1 of 'y'",
    ),
    "two groups": (TABLE.replace("z", "y"), (*BY, "--group", "town"), "split into three sets; 'town' has 2"),
    "a group with gaps": (
        TABLE + "1,,2.5\n",
        (*BY, "--group", "town"),
        "what each example belongs to; 'town' is missing in 1",
    ),
    "a group that is the target": (TABLE, (*BY, "--group", "price"), "name another --group"),
    "groups of one answer": (
        "t,x,y\n" + "".join(f"{i % 3},{i % 7},{i % 3 < 2}\n" for i in range(60)),
        ("--target", "y", "--group", "t"),
        "examples with 1 of 'y'",
    ),
    "by time and by groups": (TABLE, (*BY, "--group", "town", "--order", "size"), "leave one of them out"),
    "text is the target": (TABLE, ("--target", "town", "--text", "town"), "two columns"),
    "target all missing": ("size,price\n" + "1,\n2,NA\n" * 20, BY, "all 40 of 'price' are missing"),
    "target constant": ("size,price\n" + "1,5.5\n2,5.5\n" * 20, BY, "'price' is 5.5 in every row"),
    "one class": ("size,price\n" + "1,a\n2,a\n" * 20, BY, "has one class"),
    "classes of one": ("size,price\n" + "".join(f"{i},c{i}\n" for i in range(40)), BY, "at least two examples each"),
    "target of dates": ("size,price\n" + "".join(f"{i},2024-01-{i:02}\n" for i in range(1, 30)), BY, "holds dates"),
    "mixed target": (TABLE + "1,x,cheap\n", BY, "take all as classes with --kind classes"),
    "a class called None": ("size,kind\n" + "1,None\n2,yes\n" * 20, ("--target", "kind"), "20 of 40 rows are empty or"),
    "inputs all missing": ("size,town,price\n" + ",NA,1.5\n,,2.5\n" * 20, BY, "a column that varies beside its target"),
    "mixed types": (TABLE + "old,x,1.5\n" * 9, BY, "40 numbers and 9 others such as 'old'"),
    "few rows": ("size,price\n1,2.5\n2,3.5\n", BY, "20 examples or more"),
    "wrong case of a column to drop": (TABLE, (*BY, "--drop", "Size"), "use --drop 'size'"),
    "a target in two currencies": (
        "size,price\n" + '1,"$1,250.50"\n2,€990\n' * 20,
        (*BY, "--kind", "number"),
        "--kind classes",
    ),
    "huge field": (TABLE + '1,"' + "y" * 1_100_000 + '",2.5\n', BY, "at most 1,000,000 characters"),
    "open quote": (TABLE + '1,"x,2.5\n' + GOOD, BY, "its quotes are closed"),
    "not UTF-8": ((TABLE + "1,K\xf6ln,2.5\n").encode("latin1"), BY, "line 42 of spoiled.csv has the byte 0xf6"),
    "not UTF-8, with a mark": (b"\xef\xbb\xbf" + TABLE.encode() + b"1,\xf6,2\n", BY, "has the byte 0xf6"),
    "UTF-16": (TABLE.encode("utf-16"), BY, "holds zero bytes"),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", BY, "holds zero bytes"),
    "equal names": ("price,size,size\n" + GOOD.replace("x", "1"), BY, "has 'size' twice"),
    "blanks between": ("size price\n1 2\n3 4\n", BY, "all of the table is one column, 'size price': separate"),
    "a title": (
        "Prices 2024\n" + TABLE,
        BY,
        "the header 1: delete the line 'Prices 2024', if it is a title, or quote fields that hold ','",
    ),
    "short row": (TABLE + "1,x\n", BY, "line 42 of spoiled.csv has 2, the header 3"),
    "long row": (TABLE + "1,x,2,3\n", BY, "line 42 of spoiled.csv has 4, the header 3"),
    "mostly dashes": (
        "size,price\n" + "".join(f"{i / 7 if i % 3 == 0 else '-'},{i}.5\n" for i in range(150)),
        BY,
        "50 numbers and 100 others such as '-': fix those, add --missing '-' if it stands for missing",
    ),
    "infinite target": (TABLE + "1,x,inf\n", BY, "40 numbers and 1 other such as 'inf'"),
    "wrong kind": (TABLE, ("--target", "town", "--kind", "number"), "holds 'x': use --kind classes"),
    "wrong metric": (TABLE, (*BY, "--metric", "accuracy"), "use --metric r2"),
    "predicted and left out": (TABLE, (*BY, "--drop", "price"), "'price' is in both --target and --drop"),
    "read and left out": (TABLE, (*BY, "--text", "town", "--drop", "town"), "'town' is in both --text and --drop"),
    "texts without a word": ("text,price\n" + "#,1.5\n?,2.5\n" * 20, (*BY, "--text", "text"), "share words"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_table_is_one_sentence(case, zeroin):
    content, options, said = SPOILED[case]
    path = zeroin.folder / "spoiled.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(zeroin, path, said, *options)


def refused(zeroin, path, said, *options):
    code, out, errors = zeroin("tune", path, *TINY, *options)
    assert code == 2, (out, errors)
    assert errors.startswith("zeroin: ")
    assert errors.strip().count("\n") == 0
    assert said in errors
    assert "Traceback" not in errors
    assert not (zeroin.folder / "zeroin.db").exists()


def put(path, content=b"1"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def savez(path, **arrays):
    np.savez(path, **arrays)


OTHERS = {  # name: (the file, how it is made, what is said)
    "no such file": ("gone.csv", lambda p: None, "No such file"),
    "broken parquet": ("t.parquet", put, "a .parquet file is in Parquet format"),
    "nested parquet": (
        "t.parquet",
        lambda p: pd.DataFrame({"price": [1.5], "a": [[1]]}).to_parquet(p),
        "'a' holds list<",
    ),
    "empty folder": ("f", lambda p: p.mkdir(), "one folder a class"),
    "folder of text": ("f", lambda p: put(p / "a" / "x.txt"), "folders such as 'a' without images"),
    "folder too high": ("f", lambda p: digits(p / "train"), "use f/train"),
    "one class of images": (
        "f",
        lambda p: digits(p).joinpath("dark").rename(p.parent / "away"),
        "one class: add images",
    ),
    "broken image": ("f", lambda p: put(digits(p) / "dark" / "0.png"), "dark/0.png"),
    "no npz": ("t.npz", put, "an .npz file holds arrays"),
    "npz pickled": ("t.npz", lambda p: put(p, pickle.dumps({"X": 1})), "an .npz file holds arrays; t.npz is none"),
    "npz that begins like one": ("t.npz", lambda p: put(p, b"PKD,1,2"), "an .npz file holds arrays; t.npz is none"),
    "empty npz": ("t.npz", lambda p: put(p, b""), "t.npz is empty"),
    "npz of one example": ("t.npz", lambda p: savez(p, X=np.ones((30, 2)), y=np.arange(30) % 2), "all 30 of X"),
    "npz of one class": (
        "t.npz",
        lambda p: savez(p, X=np.arange(30)[:, None], y=["a"] * 30),
        "one class: give another y",
    ),
    "a spreadsheet": ("t.xlsx", put, "'t.xlsx' does neither: save it as CSV"),
    "npz without y": ("t.npz", lambda p: savez(p, X=np.zeros((30, 2))), "has X"),
    "npz of objects": ("t.npz", lambda p: savez(p, X=np.array([{}] * 30), y=np.arange(30)), "holds arrays of numbers"),
    "npz of two lengths": ("t.npz", lambda p: savez(p, X=np.zeros((30, 2)), y=np.arange(29)), "give one for each"),
    "npz beyond it": (
        "t.npz",
        lambda p: savez(p, X=np.eye(30) * 1e99, y=np.arange(30) % 2),
        "at most 3.4",
    ),
    "npz of one number": ("t.npz", lambda p: savez(p, X=1.5, y=np.arange(30) % 2), "give one for each"),
    "npz of one axis": ("t.npz", lambda p: savez(p, X=np.zeros(30), y=np.arange(30) % 2), "reshape it"),
    "npz with NaN": ("t.npz", lambda p: savez(p, X=np.full((30, 2), np.nan), y=np.arange(30) % 2), "NaN or infinite"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_spoiled_data_are_one_sentence(case, zeroin):
    name, make, said = OTHERS[case]
    path = zeroin.folder / name
    make(path)
    refused(zeroin, path.relative_to(zeroin.folder), said, *(BY if path.suffix in (".csv", ".parquet") else ()))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--order", "when"), "--order is about the columns of a table; 'f' is a folder of images: leave it out"),
        (("--drop", "a", "--missing", "-"), "--drop is about the columns of a table"),
        (BY, "--target is about the columns of a table"),
        (("--kind", "number"), "leave out --kind number"),
    ],
)
def test_options_about_columns_are_for_tables(options, said, zeroin):
    refused(zeroin, digits(zeroin.folder / "f").relative_to(zeroin.folder), said, *options)
    savez(zeroin.folder / "f.npz", X=np.eye(30), y=np.arange(30) % 2 + 0.5)
    if options[0] != "--kind":
        refused(zeroin, "f.npz", said.replace("'f' is a folder of images", "'f.npz' is an .npz file"), *options)


def test_a_model_that_does_not_fit_together_is_one_sentence(zeroin):
    path = zeroin.folder / "passengers.csv"
    passengers().to_csv(path, index=False)
    model, _ = tuned(zeroin, path, "--target", "lived")
    whole = torch.load(model, weights_only=True)
    for odd in (
        {"preparation": whole["preparation"] | {"kind": "sound"}},
        {"preparation": whole["preparation"] | {"inputs": {"what": 1}}},
        {"preparation": 3},
        {"state_dict": {}},
        {"config": None},
    ):
        torch.save(whole | odd, zeroin.folder / "odd.pt")
        code, _, errors = zeroin("predict", "odd.pt", path)
        assert (code, errors.strip().count("\n")) == (2, 0), errors
        assert "export it again" in errors
    before = path.read_bytes()
    code, _, errors = zeroin("predict", model, path, "--out", "passengers.csv")
    assert code == 2
    assert "--out passengers.csv is the model or the data" in errors
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_what_is_no_model_does_not_predict(content, zeroin):
    if content is not None:
        (zeroin.folder / "best.pt").write_bytes(content)
    code, _, errors = zeroin("predict", "best.pt", "new.csv")
    assert code == 2
    assert errors.strip().count("\n") == 0
    assert "zeroin export STUDY --model" in errors


def test_data_are_audited_as_they_are_tuned(zeroin):
    path = zeroin.folder / "my houses (2).csv"
    houses().to_csv(path, index=False)
    code, out, errors = zeroin("audit", path, "--target", "price", "--epochs", "1")
    assert code in (0, 1), errors
    code, out, errors = zeroin("tune", path, "--target", "price", *TINY)
    assert code == 0, errors
    assert "zeroin export my-houses-2 --model best.pt && zeroin predict best.pt NEW-DATA" in out


def test_options_about_data_are_for_data(zeroin):
    code, _, errors = zeroin("tune", "digits", "--target", "price")
    assert code == 2
    assert "--target: about data of your own alone; 'digits' is none" in errors


def test_missing_packages_are_told_with_the_line_to_paste(zeroin, monkeypatch):
    (zeroin.folder / "t.csv").write_text(TABLE)
    monkeypatch.delattr("zeroin.data.own")
    monkeypatch.setitem(sys.modules, "zeroin.data.own", None)
    code, _, errors = zeroin("tune", "t.csv", *BY)
    assert code == 2
    assert "-m pip install torch scikit-learn pandas pyarrow pillow" in errors


def test_one_number_in_many_with_a_comma_is_read_wherever_the_cut_puts_it(tmp_path):
    rng = np.random.default_rng(0)
    for place in range(0, 150, 15):
        rows = [f"{rng.integers(100, 999)},{rng.normal():.3f}" for _ in range(150)]
        rows[place] = '"1,250",0.5'
        file = tmp_path / f"{place}.csv"
        file.write_text("price,y\n" + "\n".join(rows) + "\n")
        (column,) = from_plain(own.task_of(file, target="y").preparation).inputs.columns
        assert column.kind == "number"


def test_a_time_in_front_of_its_date_is_a_date():
    at = [f"{hour:02d}:30 {day:02d}/02/2024" for hour in range(24) for day in (1, 15, 28)]
    (column,) = learn(pd.DataFrame({"at": at}))
    assert column.kind == "date"


def test_a_date_column_of_an_older_model_keeps_its_width():
    (column,) = learn(pd.DataFrame({"at": [f"2024-01-{day:02d}" for day in range(1, 29)]}))
    kept = {name: value for name, value in dataclasses.asdict(column).items() if name != "waves"}
    assert numbers([Column(**kept)], pd.DataFrame({"at": ["2024-01-05"]})).shape == (1, 7)


LETTERS = [("ab"[i % 2], i / 7, (i * i) % 5 + 0.5) for i in range(60)]


def test_a_first_row_that_looks_like_data_is_told_of_and_can_be_read_as_such(zeroin, recwarn):
    rows = [f"{number:.3f},{other},{letter}" for letter, number, other in LETTERS]
    (zeroin.folder / "bare.csv").write_text("\n".join(rows) + "\n")
    own.task_of("bare.csv", target="a")
    (told,) = [str(w.message) for w in recwarn if "first row" in str(w.message)]
    assert "the first row of bare.csv is read as the names of its columns, such as '0.000' and 'a'" in told
    assert "add --no-header and name columns by their place, such as --target 'column 3'" in told
    recwarn.clear()
    assert len(own.task_of("bare.csv", target="column 3", no_header=True).train[0]) == 42  # 70 % of all 60
    assert not any("first row" in str(w.message) for w in recwarn)

    code, _, errors = zeroin("tune", "bare.csv", "--no-header", "--target", "column 3", *TINY)
    assert code == 0, errors
    assert zeroin("export", "bare", "--model", "all.pt")[0] == 0
    (zeroin.folder / "new.csv").write_text("\n".join(row.rpartition(",")[0] for row in rows))
    code, out, errors = zeroin("predict", "all.pt", "new.csv")
    assert code == 0, errors
    assert len(out.splitlines()) == 61


@pytest.mark.parametrize(
    ("header", "is_told"),
    [
        ("size,price,where", False),
        ("2019,2020,where", False),  # years
        ("1.5,2.5,where", True),
        ("size,price,b", False),  # numbers are not called so
        ("1,2,b", True),
    ],
)
def test_names_that_look_like_data(tmp_path, recwarn, header, is_told):
    rows = [f"{number:.3f},{other},{letter}" for letter, number, other in LETTERS]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    own.task_of(tmp_path / "t.csv", target=header.rpartition(",")[2])
    assert any("--no-header" in str(w.message) for w in recwarn) == is_told


def test_parquet_has_words_for_missing_and_columns_that_are_not_learned_from(tmp_path):
    """A word that stands for a missing value does so in any file; lists matter where they would be learned from."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60).astype(str), "b": rng.integers(0, 90, 60), "y": rng.normal(size=60)})
    frame["y"] = frame["y"].round(9)  # of 16 digits pandas 2 reads the last one from words now and then otherwise
    frame.loc[::7, "a"], frame.loc[::9, "a"], frame.loc[::5, "b"] = "", "nix", -999
    frame["lists"] = [[1, 2]] * 60
    frame.to_parquet(tmp_path / "t.parquet")
    frame.drop(columns="lists").to_csv(tmp_path / "t.csv", index=False)
    missing = ("nix", "-999")
    one = own.task_of(tmp_path / "t.parquet", target="y", missing=missing, drop=["lists"])
    other = own.task_of(tmp_path / "t.csv", target="y", missing=missing)
    assert one.preparation == other.preparation
    np.testing.assert_array_equal(one.train[0], other.train[0])
    assert [c["gaps"] for c in one.preparation["inputs"]["columns"]] == [True, True]
    ready = from_plain(one.preparation)
    assert ready.inputs.encoded(ready.inputs.opened(tmp_path / "t.parquet")).shape == (60, 4)  # lists are not looked at


def test_parquet_means_the_same_whatever_wrote_it(tmp_path):
    """Numbers for names of columns are names; truth values with gaps are no numbers; an unnamed index is no column."""
    frame = pd.DataFrame({0: [True, None, False] * 20, 1: np.arange(60) / 7}, index=pd.date_range("2024", periods=60))
    frame.to_parquet(tmp_path / "t.parquet")
    read_back = read(tmp_path / "t.parquet")
    assert list(read_back) == ["0", "1"]
    assert [(one.name, one.kind, one.options) for one in learn(read_back[["0"]])] == [
        ("0", "category", ("False", "True"))
    ]


def test_what_no_training_row_had_counts_as_their_average():
    """Its own weights were never trained."""
    (column,) = learn(pd.DataFrame({"c": ["a"] * 6 + ["b "] * 3 + ["b"] * 3}))
    new = numbers((column,), pd.DataFrame({"c": ["a", "b", "z", None]}))
    assert new.tolist() == [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]]
    (column,) = learn(pd.DataFrame({"c": ["a"] * 3 + ["b", None]}))  # one is rare, one is missing
    new = numbers((column,), pd.DataFrame({"c": ["z", None]}))
    assert new.tolist() == [[0, 1, 0], [0, 0, 1]]


@pytest.mark.slow
def test_an_export_says_what_this_very_network_reaches_on_the_test_rows(zeroin):
    frame = houses()
    frame.to_csv(zeroin.folder / "houses.csv", index=False)
    asked = ("--epochs", "80", "--max-epochs", "2", "--confirm", "2")
    assert zeroin("tune", "houses.csv", "--target", "price", *asked)[0] == 0
    told = re.search(r"with a fresh seed: validation \S+, test (\S+)", zeroin("export", "houses", "--model", "m.pt")[1])
    held = frame.iloc[split(frame.price.to_numpy(np.float32)).test]
    held.drop(columns="price").to_csv(zeroin.folder / "held.csv", index=False)
    said = pd.read_csv(io.StringIO(zeroin("predict", "m.pt", "held.csv")[1])).prediction.to_numpy()
    apart = ((said - held.price) ** 2).sum() / ((held.price - held.price.mean()) ** 2).sum()
    assert told
    assert float(told[1]) == pytest.approx(1 - apart, rel=1e-3, abs=1e-4)


def test_numbers_are_taken_in_bins_where_rows_are_enough(zeroin):
    """Bins of as many training rows each, but where few rows would have to pay for many; kept with the network."""
    rng = np.random.default_rng(0)
    x = rng.lognormal(size=300)
    frame = pd.DataFrame({"x": x, "few": rng.integers(0, 8, 300), "y": np.sin(8 * x)})
    columns = in_bins(learn(frame[["x", "few"]]), frame)
    assert [len(column.bins) for column in columns] == [17, 0]
    z = numbers(columns, frame)[:, 0]
    assert np.histogram(z, columns[0].bins)[0].tolist() == pytest.approx([300 / 16] * 16, abs=1)
    few = frame.iloc[:100]
    assert not any(column.bins for column in in_bins(learn(few[["x", "few"]]), few))
    frame.to_csv(zeroin.folder / "waves.csv", index=False)
    task = own.task_of(zeroin.folder / "waves.csv", target="y")
    net = task.network(task.space_for(10.0).default)
    assert net(torch.zeros(2, task.train[0].shape[1])).shape == (2, 1)
    model, _ = tuned(zeroin, zeroin.folder / "waves.csv", "--target", "y")
    code, out, errors = zeroin("predict", model, "waves.csv")
    assert (code, len(out.splitlines())) == (0, 301), errors


def test_a_wild_number_does_not_hide_the_others():
    x = np.random.default_rng(0).normal(size=200)
    x[7] = -1e12
    (column,) = learn(pd.DataFrame({"x": x}))
    z = numbers((column,), pd.DataFrame({"x": x}))[:, 0]
    assert (z[7], z.max()) == (-5, pytest.approx(2.5, abs=0.8))


@pytest.mark.parametrize(
    ("words", "form", "is_told"),
    [
        (
            ("01/02/2023", "03/04/2023"),
            "%m/%d/%Y",
            ("'01/02/2023' is read as 2 January", "'03/04/2023' is read as 4 March"),
        ),
        (
            ("01.02.2023", "03.04.2023"),
            "%d.%m.%Y",
            ("'01.02.2023' is read as 1 February", "'03.04.2023' is read as 3 April"),
        ),
        (("01/02/2023", "30/04/2023"), "%d/%m/%Y", ()),
        (("31.01.23", "01.02.24"), "%d.%m.%y", ()),
        (("24-01-31", "24-02-01", "23-11-05"), "%y-%m-%d", ()),
        (("31-01-24", "01-02-24", "05-11-23"), "%d-%m-%y", ()),
        (("2023-01-31", "2023-02-01"), "ISO8601", ()),
        (("2023-01-05 7", "2023-01-30 23"), "%Y-%m-%d %H", ()),
        (("Jan-2023", "May-1999"), "%b-%Y", ()),
        (("10/2021", "01/1999"), "%m/%Y", ()),
        (("1/5/2023 1:05 PM", "1/30/2023 11:10 AM"), "%m/%d/%Y %I:%M %p", ()),
        (("01/05/2023 01:05:00 PM", "01/30/2023 11:10:09 AM"), "%m/%d/%Y %I:%M:%S %p", ()),
        (("1/5/23 10:00", "1/30/23 9:30"), "%m/%d/%y %H:%M", ()),
        (("5-Jan-23", "30-Feb-23", "28-Feb-23"), "", ()),
        (("5-Jan-23", "28-Feb-23"), "%d-%b-%y", ()),
    ],
)
def test_the_order_of_day_and_month(tmp_path, recwarn, words, form, is_told):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"when": rng.choice(words, 60), "y": rng.normal(size=60)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    (column,) = own.task_of(tmp_path / "t.csv", target="y").preparation["inputs"]["columns"]
    told = [str(w.message) for w in recwarn if "the day first or the month" in str(w.message)]
    assert column["form"] == form
    assert bool(told) == bool(is_told)
    assert not told or any(one in told[0] for one in is_told)


def test_a_large_file_is_said_to_be_read(zeroin, monkeypatch):
    monkeypatch.setattr(sys.modules["zeroin.cli.tune"], "LARGE", 1000)
    houses().to_csv(zeroin.folder / "houses.csv", index=False)
    assert "reading houses.csv, 0.0 MB" in "".join(map(str, zeroin("tune", "houses.csv", "--target", "rent")))


def test_repeated_images_are_told(tmp_path, recwarn):
    digits(tmp_path / "d")
    first = next((tmp_path / "d").rglob("*.png"))
    (first.parent / "copy.png").write_bytes(first.read_bytes())
    own.task_of(tmp_path / "d")
    assert any("1 of 121 images repeats an earlier one" in str(w.message) for w in recwarn)


def test_names_that_are_equal_may_be_data(zeroin):
    (zeroin.folder / "bare.csv").write_text("1,1,a\n" * 9)
    assert "or add --no-header if its first row is one of data" in zeroin("tune", "bare.csv", "--target", "a")[2]
    pd.DataFrame({"x": [1, 2], "y": [1, 2]}).to_parquet(zeroin.folder / "t.parquet")
    told = zeroin("tune", "t.parquet", "--target", "y", "--no-header")
    assert told[0] == 2
    assert "--no-header is about CSV files; t.parquet names its columns: leave it out." in told[2]


def test_a_packed_table_is_read_as_it_would_be_unpacked(zeroin):
    houses().to_csv(zeroin.folder / "houses.csv.gz", index=False)
    code, _, errors = zeroin("tune", "houses.csv.gz", "--target", "price", *TINY)
    assert code == 0, errors
    assert zeroin("export", "houses", "--model", "best.pt")[0] == 0
    assert len(zeroin("predict", "best.pt", "houses.csv.gz")[1].splitlines()) == len(houses()) + 1
    (zeroin.folder / "torn.csv.gz").write_bytes((zeroin.folder / "houses.csv.gz").read_bytes()[:200])
    code, _, errors = zeroin("tune", "torn.csv.gz", "--target", "price")
    assert code == 2
    assert "a .gz file is packed by gzip; torn.csv.gz: " in errors


def of_columns(frame, tmp_path, **asked):
    file = tmp_path / "t.parquet"
    frame.to_parquet(file)
    task = own.task_of(file, target="y", **asked)
    return {column.name: column for column in from_plain(task.preparation).inputs.columns}


def test_numbers_that_name_things_are_read_as_words_where_it_is_said(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"kind": rng.integers(1, 6, 200), "x": rng.normal(size=200), "y": rng.normal(size=200)})
    assert of_columns(frame, tmp_path)["kind"].kind == "number"
    known = of_columns(frame, tmp_path, words=["kind"])["kind"]
    assert (known.kind, known.options) == ("category", ("1", "2", "3", "4", "5"))
    frame["kind"] = frame["kind"].where(frame.index > 3)  # missing ones make them 1.0, 2.0
    assert of_columns(frame, tmp_path, words=["kind"])["kind"].options == known.options
    with pytest.raises(TaskError, match="--words and --target are two columns"):
        own.task_of(tmp_path / "t.parquet", target="y", words="y")
    with pytest.raises(TaskError, match="read as text or as words; 'kind' is in both"):
        own.task_of(tmp_path / "t.parquet", target="y", words="kind", text="kind")


def test_codes_are_words_and_amounts_are_numbers(tmp_path, recwarn):
    rng = np.random.default_rng(0)
    of = rng.integers(0, 9, 200)
    frame = pd.DataFrame(
        {
            "postcode": [f"110 {i:03d}" for i in of],
            "zip": [f"{i * 1234:05d}" for i in of],
            "rent": [f"{i + 1}00 000" for i in of],
            "many": [f"{i // 1000} {i % 1000:03d}" for i in rng.integers(100_000, 999_999, 200)],
            "y": rng.normal(size=200),
        }
    )
    kinds = {name: column.kind for name, column in of_columns(frame, tmp_path).items()}
    assert kinds == {"postcode": "category", "zip": "category", "rent": "number", "many": "number"}
    told = " | ".join(str(w.message) for w in recwarn)
    assert "'postcode' is read as words: '110 00" in told
    assert "if it names things, add --words 'many'" in told


def test_rows_of_a_patient_that_are_alike_are_told_if_cut_at_random(tmp_path, recwarn):
    rng = np.random.default_rng(0)
    who, luck = np.repeat(np.arange(60), 6), rng.normal(size=(360, 2))
    ill = rng.normal(size=60)[who] + 0.3 * luck[:, 0]
    frame = pd.DataFrame({"patient_id": who, "x": luck[:, 1].round(3), "ill": ill.round(3)}).sample(frac=1)
    said = "rows of one 'patient_id' are alike in 'ill' and are cut at random, into several sets"
    assert said in noted(tmp_path, frame, recwarn, target="ill")
    frame["grade"] = np.where(frame.ill > 0, "a", "b")
    assert said.replace("'ill'", "'grade'") in noted(tmp_path, frame.drop(columns="ill"), recwarn, target="grade")
    names = frame.assign(place=[f"P{i}" for i in frame.patient_id]).drop(columns=["patient_id", "grade"])
    assert "rows of one 'place' are alike" in noted(tmp_path, names, recwarn, target="ill")
    names["ill"] = luck[:, 0].round(3)
    recwarn.clear()
    assert "are alike" not in noted(tmp_path, names, recwarn, target="ill")  # groups that say nothing of it
    many = frame.rename(columns={"patient_id": "patients"})
    assert "are alike" not in noted(tmp_path, many, recwarn, target="ill")  # a number of them
    assert "are alike" not in noted(tmp_path, frame, recwarn, target="ill", group="patient_id")


def test_a_few_rows_that_make_up_the_spread_of_a_number_are_told(tmp_path, recwarn):
    frame = houses()
    assert "of the spread of" not in noted(tmp_path, frame, recwarn)
    frame.loc[7, "price"] = 1e9
    told = noted(tmp_path, frame, recwarn)
    assert "1 of 120 rows makes up 100 % of the spread of 'price', such as 1e+09 where the middle one is" in told
    assert "fix them if they are mistakes, else predict a column of its logarithm, or add --metric mae" in told


def test_all_images_that_do_not_open_are_told_at_once_and_those_left_out(tmp_path, recwarn):
    digits(tmp_path / "f")
    for name in ("dark/1.bmp", "light/2.bmp"):
        (tmp_path / "f" / name).write_bytes(b"none")
    with pytest.raises(TaskError, match=r"2 of .* are not, such as dark/1.bmp.*; light/2.bmp.*: remove them"):
        own.task_of(tmp_path / "f")
    for name in ("dark/1.bmp", "light/2.bmp"):
        (tmp_path / "f" / name).unlink()
    deep = tmp_path / "f" / "dark" / "x" / "y"
    deep.mkdir(parents=True)
    next((tmp_path / "f" / "dark").glob("*.*")).rename(deep / "3.bmp")
    (tmp_path / "f" / "light" / "a.heic").write_bytes(b"")
    own.task_of(tmp_path / "f")
    told = " | ".join(str(w.message) for w in recwarn)
    assert "images in folders within 'dark' are left out" in told
    assert "1 image of 'light', such as 'a.heic', is left out: Pillow opens no .heic; save as .jpg or .png" in told


@pytest.mark.parametrize(
    ("shape", "read"),
    [((8, 6), (1, 8, 8)), ((8, 6, 4), (4, 8, 8)), ((3, 8, 6), (3, 8, 8)), ((16, 4, 4), (16, 4, 4))],
    ids=["grey", "channels last", "channels first", "many channels"],
)
def test_bytes_are_images_whose_channels_are_the_shortest_axis(tmp_path, shape, read):
    assert as_inputs(tmp_path / "t.npz", np.ones((5, *shape), np.uint8)).shape == (5, *read)


def test_names_that_are_whole_numbers_are_the_same_beside_a_missing_one(tmp_path):
    (tmp_path / "t.csv").write_text("shop,y\n" + "".join(f"{i % 4},{i % 4 + i / 90}\n" for i in range(90)))
    (tmp_path / "new.csv").write_text("shop\n3.0\n2.0\n")  # as pandas writes a column that had a gap
    ready = from_plain(own.task_of(tmp_path / "t.csv", target="y", words="shop").preparation)
    assert ready.inputs.encoded(ready.inputs.opened(tmp_path / "new.csv")).argmax(1).tolist() == [3, 2]


def test_an_array_of_times_in_seconds_keeps_its_seconds(tmp_path):
    X = 1.7e9 + np.arange(90.0)[:, None]
    savez(tmp_path / "t.npz", X=X, y=X[:, 0] % 7.5)
    train = own.task_of(tmp_path / "t.npz").problem.train
    assert len(train.x.unique()) == len(train)


def test_half_precision_arrays_are_read_quietly(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_inputs(tmp_path / "t.npz", x).dtype == np.float32


@pytest.mark.parametrize("form", [">f8", ">f4", "longdouble"])
def test_arrays_of_another_machine_are_read(tmp_path, recwarn, form):
    x = np.random.default_rng(0).normal(size=(40, 3))
    savez(tmp_path / "t.npz", X=x.astype(form), y=(x[:, 0] > 0).astype(">i4"))
    train = own.task_of(tmp_path / "t.npz").problem.train
    assert train.x.dtype == torch.float32
    assert train.y.dtype == torch.int64


def test_a_study_is_called_by_its_file_in_any_script(tmp_path, recwarn):
    for name in ("数据", "продажи 2024", "数" * 80):
        savez(tmp_path / f"{name}.npz", X=np.eye(40), y=np.arange(40) % 2)
    names = [own.task_of(file).name for file in sorted(tmp_path.iterdir())]
    assert names == ["продажи-2024", "数据", "数" * 33]


def test_plain_numbers_of_a_csv_file_are_read_once_and_all_else_stays_as_it_is_written(tmp_path):
    frame = houses().assign(cost=[f"${i}" for i in range(ROWS)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    columns = Columns("price", (), (), (), None, None)
    source = of_table(tmp_path / "t.csv", read(tmp_path / "t.csv"), columns, Reading((), True))
    assert [name for name in source.examples if source.examples[name].dtype == float] == ["size", "debt"]
    assert source.examples["size"].tolist() == pytest.approx(frame["size"].tolist(), nan_ok=True)
    assert source.examples["cost"].iloc[3] == "$3"
