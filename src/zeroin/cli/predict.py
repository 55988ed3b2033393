"""`zeroin predict`: applies a tuned model to new data."""

from pathlib import Path

import click

from zeroin.cli.options import write
from zeroin.data import install
from zeroin.errors import TaskError


@click.command(short_help="Predict new data with an exported model.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="CSV file to write; standard output by default.")
def predict(model: Path, data: Path, out: Path | None) -> None:
    """Predict each row of DATA with MODEL, which `zeroin export --model` wrote; writes CSV in the same order.

    DATA is a table with the columns of the training table, a folder of images or one image, or an .npz file with X. For
    classes, the probability of each is written too.
    """
    try:
        from zeroin.data.predict import predictions
    except ImportError as error:
        raise TaskError(
            f"predictions need PyTorch and the packages that read data; {error.name or error} is not installed: "
            f"run {install.line(*install.OWN)}"
        ) from error
    if out and any(out.exists() and one.exists() and out.samefile(one) for one in (model, data)):
        raise TaskError(f"predictions go to a file of their own; --out {out} is the model or the data: choose another.")
    text = predictions(model, data).to_csv(index=False)
    write(out or Path("-"), text, "predictions go to")
