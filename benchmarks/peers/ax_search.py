"""Ax 1.3 with its own choice of method, full trainings."""

import logging

import torch
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

from adaptor import config_of, run_peer
from families import Dim
from ledger import Ledger


def parameter(dim: Dim) -> RangeParameterConfig | ChoiceParameterConfig:
    if dim.kind == "choice":
        return ChoiceParameterConfig(name=dim.name, values=list(dim.options), parameter_type="str", is_ordered=False)
    if dim.is_plain_int:
        return RangeParameterConfig(name=dim.name, parameter_type="int", bounds=(int(dim.low), int(dim.high)))
    return RangeParameterConfig(name=dim.name, parameter_type="float", bounds=(0.0, 1.0))


def search(ledger: Ledger, _setting: str) -> None:
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    dims = ledger.task.dims
    client = Client(random_seed=ledger.seed)
    client.configure_experiment(parameters=[parameter(d) for d in dims])
    client.configure_optimization(objective="-loss")
    while True:
        for number, raw in client.get_next_trials(max_trials=1).items():
            loss = ledger.full(config_of(dims, raw))
            client.complete_trial(trial_index=number, raw_data={"loss": loss})


if __name__ == "__main__":
    run_peer(search)
