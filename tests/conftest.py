"""The command in a folder of its own; no test reads or writes the playbook of whoever runs it."""

import gc
import os
import signal
import sys

import pytest

os.environ["ZEROIN_PLAYBOOK"] = "off"  # before anything of zeroin is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a second thread of each process that tests would wait by spinning

from zeroin.cli import main


def pytest_collection_finish():
    gc.freeze()  # what was imported stays, and is not searched for garbage again and again


@pytest.fixture
def ctrl_c():
    """Ctrl-C reaches what a test starts, also where pytest was started in the background and ignores it itself."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def zeroin(monkeypatch, capsys, tmp_path):
    """Call the command in this process, in a folder of its own; gives (exit status, output, error output)."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    terminate = signal.getsignal(signal.SIGTERM)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["zeroin", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    call.folder = folder
    yield call
    signal.signal(signal.SIGTERM, terminate)
