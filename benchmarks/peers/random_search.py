"""Random search on the right scale, full trainings."""

import numpy as np

from adaptor import run_peer
from families import config_at
from ledger import Ledger


def search(ledger: Ledger, _setting: str) -> None:
    dims = ledger.task.dims
    rng = np.random.default_rng(ledger.seed)
    while True:
        ledger.full(config_at(dims, rng.random(len(dims))))


if __name__ == "__main__":
    run_peer(search)
