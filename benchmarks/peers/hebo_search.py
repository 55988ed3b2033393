"""HEBO 0.3, full trainings."""

import numpy as np
import pandas as pd
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from adaptor import config_of, run_peer
from families import Dim
from ledger import Ledger


def parameter(dim: Dim) -> dict[str, object]:
    if dim.kind == "choice":
        return {"name": dim.name, "type": "cat", "categories": list(dim.options)}
    if dim.is_plain_int:
        return {"name": dim.name, "type": "int", "lb": int(dim.low), "ub": int(dim.high)}
    return {"name": dim.name, "type": "num", "lb": 0.0, "ub": 1.0}


def search(ledger: Ledger, _setting: str) -> None:
    np.random.seed(ledger.seed)  # noqa: NPY002 - HEBO draws from the global generators
    torch.manual_seed(ledger.seed)
    torch.set_num_threads(1)
    dims = ledger.task.dims
    optimizer = HEBO(DesignSpace().parse([parameter(d) for d in dims]), scramble_seed=ledger.seed)
    while True:
        proposal: pd.DataFrame = optimizer.suggest(n_suggestions=1)
        loss = ledger.full(config_of(dims, proposal.iloc[0].to_dict()))
        optimizer.observe(proposal, np.array([[loss]]))


if __name__ == "__main__":
    run_peer(search)
