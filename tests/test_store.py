"""The store: what was written stays, one writer a study, mistakes and full disks in one sentence."""

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import zeroin as zi
from zeroin.cli import cli
from zeroin.errors import StoreError, StudyError
from zeroin.header import Header
from zeroin.store import files_of, is_written, list_studies, open_study, read_study, sqlite
from zeroin.store.latesync import LateSync
from zeroin.study import Study
from zeroin.types import Advised, Asked, Ended, Observation, Region, Status
from zeroin.watching import _Stamp

SPACE = zi.Space(x=zi.Float(0, 1))


def bowl(config):
    return (config["x"] - 0.3) ** 2


def told(sentence):
    text = str(sentence.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_one_file_holds_many_studies(tmp_path):
    path = tmp_path / "z.db"
    for i in range(3):
        zi.tune(bowl, SPACE, trials=4 + i, store=path, name=f"s{i}", seed=i)
    assert [study.name for study in list_studies(path)] == ["s0", "s1", "s2"]
    assert [study.trials for study in list_studies(path)] == [4, 5, 6]
    assert read_study(path)[0].name == "s2"  # the newest
    assert len(read_study(path, "s0")[1].trials) == 4


@pytest.mark.filterwarnings("error")
def test_nothing_that_a_store_does_ends_with_a_later_python(tmp_path):
    path = tmp_path / "z.db"
    for _ in range(2):
        zi.tune(bowl, SPACE, trials=8, store=path, start=[{"x": 0.5}])
    assert read_study(path)[1].regions


def test_reading_goes_on_while_another_writes(tmp_path):
    path = tmp_path / "z.db"
    with zi.Study(SPACE, store=path) as study:
        (job,) = study.ask()
        study.observe(job, Observation(1, 0.5))
        assert read_study(path)[1].trials[0].losses == (0.5,)
        assert list_studies(path)[0].running == 1


def test_the_best_in_a_list_is_the_best_of_the_study(tmp_path):
    path = tmp_path / "z.db"
    with zi.Study(SPACE, max_epochs=4, store=path) as study:
        first, second = study.ask(2)
        study.tell(first, status="diverged", losses=[0.001])
        study.tell(second, losses=[0.5])
        assert study.best.loss == list_studies(path)[0].best == 0.5
        assert list_studies(path)[0].failures == 1


@pytest.mark.parametrize("name", ["a b.db", "50%.db", "a#b?.db", "ü.sqlite", "plain"])
def test_any_path_can_be_written_and_read(tmp_path, name):
    path = tmp_path / "deep" / "er" / name  # folders are made
    zi.tune(bowl, SPACE, trials=2, store=path, name="s")
    assert len(read_study(path, "s")[1].trials) == 2


def test_stores_side_by_side_keep_their_files_apart(tmp_path):
    stores = [tmp_path / name for name in ("a", "a.db", "a.v1", "a.v1.db", "a.sqlite", "b.db")]
    assert len({files_of(path, "s") for path in stores}) == len(stores)
    assert files_of(tmp_path / "zeroin.db", "s") == tmp_path / "zeroin.files" / "s"
    with zi.Study(SPACE, store=stores[0], name="s"), zi.Study(SPACE, store=stores[1], name="s"):
        pass


def test_who_reads_a_store_that_it_writes_keeps_its_log(tmp_path):
    path, other = (
        tmp_path / "z.db",
        "import zeroin as zi; zi.Study(zi.Space(x=zi.Float(0, 1)), store='z.db', name='b').close()",
    )
    with zi.Study(SPACE, store=path, name="a"):
        zi.load("a", path)
        subprocess.run([sys.executable, "-c", other], cwd=tmp_path, check=True)
        assert (tmp_path / "z.db-wal").exists()  # the last to close the store deletes it


def test_a_link_to_a_store_is_that_store(tmp_path):
    (tmp_path / "disk").mkdir()
    link, file = tmp_path / "link.db", tmp_path / "disk" / "z.db"
    link.symlink_to(file)
    with zi.Study(SPACE, store=link, name="s") as study:
        assert (study.path, study.folder) == (file, files_of(file, "s"))
        with pytest.raises(StoreError, match="being written by another"):
            zi.Study(SPACE, store=file, name="s")
        before = _Stamp.of(file)
        study.ask()
        assert before != _Stamp.of(study.path)  # what is new lies in the log beside the file
        told = CliRunner().invoke(cli, ["status", "--store", str(link)]).output
        assert "1 open; since" in told  # by a process that is there, as the lock beside the file says
    assert listing(tmp_path) == ["disk", "link.db", "lock", "s", "z.db", "z.db.lock", "z.files"]


# ------------------------------------------------------------------------------------------------------- mistakes


def listing(folder):
    return sorted(p.name for p in folder.rglob("*"))


def not_sqlite(path):
    path.write_text("lr,loss\n0.1,0.2\n" * 20)


def newer(path, number=99):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE x (a)")
        db.execute(f"PRAGMA user_version = {number}")
    db.close()


def older(path):
    newer(path, 4)


@pytest.mark.parametrize(
    ("make", "rule", "remedy"),
    [
        (not_sqlite, "a store is a SQLite file", "choose another file"),
        (newer, "read by the version that wrote it or a newer one; this one has format 99", "pip install --upgrade"),
        (older, "a store has format 5; this one has format 4", "choose another file"),
        (lambda path: path.mkdir(), "a store is a file", "z.db/zeroin.db"),
    ],
)
def test_what_is_no_store_is_told_and_nothing_is_made_beside_it(tmp_path, make, rule, remedy):
    path = tmp_path / "z.db"
    make(path)
    before = listing(tmp_path)
    for use in (lambda: zi.tune(bowl, SPACE, trials=2, store=path), lambda: zi.Study(SPACE, store=path)):
        with pytest.raises(StoreError) as error:
            use()
        assert rule in told(error)
        assert remedy in told(error)
    if path.is_file():
        with pytest.raises(StoreError, match=rule):
            read_study(path)
        with pytest.raises(StoreError, match=rule):
            list_studies(path)
    assert listing(tmp_path) == before


def test_a_torn_store_is_told(tmp_path):
    path = tmp_path / "z.db"
    zi.tune(bowl, SPACE, trials=2, store=path, name="s")
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + os.urandom(len(whole) - 100))
    for use in (lambda: zi.tune(bowl, SPACE, trials=2, store=path, name="s"), lambda: read_study(path)):
        with pytest.raises(StoreError) as error:
            use()
        assert "a store is a SQLite file" in told(error)


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "z.db"
    path.touch()
    assert len(zi.tune(bowl, SPACE, trials=2, store=path).trials) == 2


@pytest.mark.parametrize("place", ["file/z.db", "/proc/zeroin/z.db", "/dev/null/z.db"])
def test_a_store_where_nothing_can_be_written_is_told(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as error:
        zi.tune(bowl, SPACE, trials=2, store=tmp_path / place)
    assert "can be written" in told(error)
    assert "store='...'" in told(error)


def test_a_store_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    zi.tune(bowl, SPACE, trials=2, store=tmp_path / "z.db", name="s")
    before, connect = sorted(tmp_path.iterdir()), sqlite3.connect
    asked = []
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("sqlite3.connect", lambda place, **given: asked.append(place) or connect(place, **given))
    assert len(read_study(tmp_path / "z.db", "s")[1].trials) == len(list_studies(tmp_path / "z.db")) + 1 == 2
    assert all(uri.endswith("?mode=ro&immutable=1") for uri in asked)
    assert sorted(tmp_path.iterdir()) == before
    (tmp_path / "z.db-wal").touch()  # somebody writes it
    list_studies(tmp_path / "z.db")
    assert asked[-1].endswith("?mode=ro")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="can be written"):
        zi.tune(bowl, SPACE, trials=2, store=tmp_path / "z.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_whether_a_study_is_written_is_seen_by_who_may_only_read_it(tmp_path):
    study = zi.Study(SPACE, store=tmp_path / "z.db", name="s")
    (tmp_path / "z.files" / "s" / "lock").chmod(0o400)
    assert is_written(tmp_path / "z.db", "s")
    study.close()
    assert not is_written(tmp_path / "z.db", "s")


def test_a_store_or_study_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StoreError, match=r"is not there: check store='\.\.\.' \(--store\)\.$"):
        read_study(tmp_path / "z.db")
    zi.tune(bowl, SPACE, trials=2, store=tmp_path / "z.db", name="s")
    with pytest.raises(StoreError, match="has s, not 't': check its name"):
        read_study(tmp_path / "z.db", "t")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", ".", ".hidden", "-x", "x" * 101, "a\n", "ä ö"])
def test_a_name_that_is_no_folder_is_told_with_one_that_is(tmp_path, name):
    with pytest.raises(StoreError, match="a study's name has") as error:
        zi.tune(bowl, SPACE, trials=2, store=tmp_path / "z.db", name=name)
    assert listing(tmp_path) == []
    remedy = told(error).rsplit("use '", 1)[1].removesuffix("'.")
    zi.tune(bowl, SPACE, trials=2, store=tmp_path / "z.db", name=remedy)


def test_a_second_writer_is_told_in_one_sentence(tmp_path):
    path = tmp_path / "z.db"
    with zi.Study(SPACE, store=path, name="s") as study:
        with pytest.raises(StoreError) as error:
            zi.Study(SPACE, store=path, name="s")
        assert "one process at a time writes a study; 's'" in told(error)
        assert "by a Study of this one that is still open: wait for it, close() it, or use another name" in told(error)
        with zi.Study(SPACE, store=path, name="t") as other:  # another study in the same file
            other.tell(other.ask()[0], losses=[1.0])
        study.tell(study.ask()[0], losses=[1.0])
    with zi.Study(SPACE, store=path, name="s") as study:  # free again
        assert len(study.trials) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"max_epochs": 9}, "a study keeps its max_epochs; 's' .* has 4, not 9: use max_epochs=4, or another name"),
        ({"goal": "maximize"}, "a study keeps its goal; .* use goal='minimize'"),
        ({"seed": 3}, "a study keeps its seed; .* use seed=0"),
        ({"measure": {"metric": "r2"}, "goal": "maximize"}, "a study keeps its metric; .* use metric='mae'"),
        ({"measure": {"metric": "r2"}}, "a study keeps its metric; .* has 'mae', not 'r2': use metric='mae'"),
        ({"measure": {"data": "others"}}, "continues with the data that it began with; .* add --name s-2"),
    ],
)
def test_what_a_study_is_cannot_be_changed(tmp_path, change, sentence):
    same = {"max_epochs": 4, "goal": "minimize", "seed": 0, "store": tmp_path / "z.db", "name": "s"}
    same["measure"] = {"metric": "mae", "data": "these"}
    with zi.Study(SPACE, **same) as study:
        study.tell(study.ask()[0], losses=[1.0])
    with pytest.raises(StudyError, match=sentence) as error:
        zi.Study(zi.Space(other=zi.Float(0, 1)), **(same | change))
    told(error)
    assert read_study(tmp_path / "z.db")[0].space == SPACE  # a refusal changes nothing
    with zi.Study(SPACE, **same) as study:  # and it was given back
        assert len(study.trials) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": zi.Float(1e-3, 1.0, scale="log")}, "lr 1e-4..0.1 -> 0.001..1"),
        ({"lr": zi.Float(1e-4, 0.1)}, "lr scale log -> linear"),
        ({"lr": zi.Float(1e-4, 0.1, scale="log", limits=(1e-6, 1.0))}, "lr limits None -> (1e-06, 1.0)"),
        ({"o": zi.Choice("a", "c")}, "o a/b -> a/c"),
        ({"o": zi.Choice("a", "b", fixed="b")}, "o a/b -> b"),
        ({"n": zi.Int(1, 4)}, "n is new"),
        ({"o": None}, "o is gone"),
        ({"lr": zi.Choice("a", "b")}, "lr 1e-4..0.1 -> a/b"),
    ],
)
def test_a_changed_space_is_allowed_and_says_what_changed(tmp_path, caplog, change, words):
    params = {"lr": zi.Float(1e-4, 0.1, scale="log"), "o": zi.Choice("a", "b")}
    path = tmp_path / "z.db"

    def objective(config):
        return 1.0 + sum(len(str(v)) for v in config.values())

    zi.tune(objective, zi.Space(**params), trials=14, store=path, name="s")
    new = zi.Space(**{k: v for k, v in (params | change).items() if v is not None})
    study = zi.tune(objective, new, trials=18, store=path, name="s")
    assert words in caplog.text
    assert len(study.trials) == 18
    assert all(new.check(t.config) == t.config for t in study.trials[14:])
    assert any(words in region.why for region in study.regions)
    caplog.clear()
    zi.tune(objective, new, trials=19, store=path, name="s")
    assert "a changed space" not in caplog.text
    assert read_study(path)[0].space == new


def test_a_space_may_change_before_the_first_job_where_the_playbook_had_moved_its_ranges(tmp_path):
    path, ranges = tmp_path / "z.db", {"lr": (1e-3, 1e-2)}
    with zi.Study(zi.Space(lr=zi.Float(1e-4, 0.1)), store=path) as study:
        study.record(Advised((), Region(0, 0, ranges, ranges, 1.0, "as the playbook says")))
    with zi.Study(zi.Space(lr=zi.Float(0.01, 0.1), n=zi.Int(1, 4)), store=path) as study:
        assert len(study.ask(3)) == 3
        assert study.regions[-1].ranges == {"lr": (0.01, 0.1), "n": (1, 4)}


# ------------------------------------------------------------------------------------------------------ full disk


OBJECTIVE = """
import zeroin as zi
space = zi.Space(x=zi.Float(0, 1), y=zi.Float(0, 1))
max_epochs = 4
def objective(config, run):
    for epoch in run.epochs():
        run.report(config["x"] / (epoch + 1), **{f"metric{i}": config["y"] / 7 + i for i in range(40)})
        if BIG:
            (run.checkpoint / "weights").write_bytes(bytes(60_000))
"""


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "zeroin-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("big", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_full_disk_is_told_and_the_same_command_goes_on_once_there_is_room(small_disk, tmp_path, zeroin, big):
    (tmp_path / "target.py").write_text(textwrap.dedent(OBJECTIVE.replace("BIG", str(big))))
    path = small_disk / "z.db"
    words = ["tune", str(tmp_path / "target.py"), "--epochs", "64", "--store", str(path), "--name", "s"]
    code, _, err = zeroin(*words)
    assert code == 2, err
    sentence = err.strip().splitlines()[-1]
    assert "Traceback" not in err
    assert "free some space" in sentence
    assert "what was observed before is kept" in sentence
    before = read_study(path, "s")[1]
    assert before.spent > 0
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    code, _, err = zeroin(*words)
    assert code == 0, err
    after = read_study(path, "s")[1]
    assert after.spent == 64
    for old, new in zip(before.trials, after.trials, strict=False):
        assert new.losses[: old.epoch] == old.losses
    assert not any(t.status.is_failure for t in after.trials)
    assert zeroin(*words, "--store", tmp_path / "other.db")[0] == 0
    reference = read_study(tmp_path / "other.db", "s")[1]
    assert [(t.config, t.losses) for t in reference.trials] == [(t.config, t.losses) for t in after.trials]


def test_a_sync_that_failed_is_told_whatever_is_written_next(tmp_path):
    path = tmp_path / "z.db"
    zi.tune(bowl, SPACE, trials=3, store=path, name="s")
    for write in (lambda s: s.set_space(SPACE, 3), lambda s: s.write(Asked((), None, {0: "rests"}))):
        store, _, _ = open_study(path, Header("s", "minimize", 1, 0, SPACE))
        store._sync._error = OSError(5, "Input/output error", str(path))
        with pytest.raises(StoreError, match="the system says Input/output error"):
            write(store)
        store.close()


def test_what_was_written_while_a_sync_was_under_way_is_synced_when_the_store_is_closed(tmp_path, monkeypatch):
    begun, go_on, syncs = threading.Event(), threading.Event(), []

    def slow(self):
        syncs.append(1)
        begun.set()
        go_on.wait()

    monkeypatch.setattr(LateSync, "_sync", slow)
    sync = LateSync(tmp_path / "wal")
    sync.due()
    begun.wait()
    sync.due()  # of what the sync under way may not see any more
    closing = threading.Thread(target=sync.close)
    closing.start()
    assert sync._closing.wait(5)
    go_on.set()
    closing.join(5)
    assert not closing.is_alive()
    assert len(syncs) == 2


def test_a_store_that_is_deleted_while_it_is_written_is_told(tmp_path):
    study = zi.Study(SPACE, store=tmp_path / "z.db", name="s")
    for file in tmp_path.glob("z.db*"):
        file.unlink()
    with pytest.raises(StoreError, match=r"No such file or directory \(.*z\.db\)"):  # noqa: PT012
        for _ in range(100):
            study.tell(study.ask()[0], losses=[0.5])
            time.sleep(0.01)


def test_an_end_that_was_to_be_kept_with_the_next_event_is_kept_when_the_study_is_closed(tmp_path):
    path = tmp_path / "z.db"
    with Study(SPACE, store=path, name="s") as study:
        job = study.ask()[0]
        study.observe(job, Observation(1, 0.5))
        study.record(Ended(0, Status.DONE), with_next=True)
        assert read_study(path)[1].jobs[0].status is Status.RUNNING
        assert study.history.jobs[0].status is Status.DONE
    assert read_study(path)[1].jobs[0].status is Status.DONE


def test_a_study_learns_what_its_scores_are_when_it_goes_on(tmp_path):
    path = tmp_path / "z.db"
    zi.Study(SPACE, store=path, name="s").close()
    zi.Study(SPACE, store=path, name="s", measure={"metric": "mae"}).close()
    with pytest.raises(StudyError, match="keeps its metric"):
        zi.Study(SPACE, store=path, name="s", measure={"metric": "r2"})


def header():
    return Header("s", "minimize", 1, 0, SPACE)


def test_a_study_is_given_back_by_whichever_thread_closes_it(tmp_path):
    opened = []
    thread = threading.Thread(target=lambda: opened.append(open_study(tmp_path / "z.db", header())[0]))
    thread.start()
    thread.join()
    opened[0].close()
    assert not is_written(tmp_path / "z.db", "s")


def test_a_store_that_cannot_be_loaded_is_closed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "load", lambda *_: json.loads("{"))
    with pytest.raises(json.JSONDecodeError) as error:  # which holds on to all that was open where it was raised
        open_study(tmp_path / "z.db", header())
    here = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    assert [file for file in here if file.startswith(str(tmp_path))] == []
    assert error.value


def test_a_copy_of_the_process_writes_nothing(tmp_path, monkeypatch):
    store, *_ = open_study(tmp_path / "z.db", header())
    with monkeypatch.context() as copy:
        copy.setattr(os, "getpid", lambda: -1)
        for write in (store.write, lambda: store.set_space(SPACE, 0), lambda: store.set_measure({})):
            with pytest.raises(StoreError, match="end the copy with"):
                write()
    store.close()
