"""The documents hold true: their examples run, their pages are fresh, every command and public name stands in them.

`python tests/test_docs.py` writes docs/cli.md anew.
"""

import dataclasses
import doctest
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import zeroin
from zeroin.cli import cli
from zeroin.search import Settings
from zeroin.store import schema

ROOT = Path(__file__).parent.parent
CLI_PAGE = ROOT / "docs" / "cli.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
MANUAL = [page for page in PAGES if page.parent.name == "docs" or page.name == "README.md"]
MODULES = ["zeroin", *(m.name for m in pkgutil.walk_packages(zeroin.__path__, "zeroin."))]
NEEDS_TORCH = re.compile(r"\btorch\b|zeroin[.]nn|zeroin[.]tasks[.]\w|zeroin[.]sklearn")
NEEDS_KERAS = re.compile(r"\bkeras\b")
MACHINE = re.compile(r"(?<![\w.~])/(root|home|work|opt|Users|mnt)/|/tmp/\w|[A-Z]:\\")
PROVENANCE = re.compile(
    r"\b(AI|LLM|chat ?bot|language model|as requested|the brief)\b"
)  # who wrote it, and when, is not for readers


def cli_page() -> str:
    """docs/cli.md: the help of the command and of each verb, as it is printed."""
    out = ["# Command line", "", "What `zeroin --help` and `zeroin VERB --help` print.", ""]
    out += ["A mistake of yours is one sentence on standard error and exit status 2; Ctrl-C is exit status 130.", ""]
    for words in _verbs():
        helped = CliRunner().invoke(cli, [*words, "--help"], prog_name="zeroin", terminal_width=100)
        assert helped.exit_code == 0, helped.output
        out += [f"## {' '.join(['zeroin', *words])}", "", "```text", helped.output.rstrip(), "```", ""]
    return "\n".join(out)


def _verbs() -> list[list[str]]:
    """The command, each verb, and the verbs of a verb."""
    found: list[list[str]] = [[]]
    for name, verb in sorted(cli.commands.items()):
        found += [[name], *([name, own] for own in sorted(getattr(verb, "commands", {})))]
    return found


def blocks(page: Path) -> list[tuple[int, str]]:
    """(line, code) of each ```python block."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start()].count("\n") + 1, m[1]) for m in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S)]


EXAMPLES = [
    pytest.param(code, id=f"{page.name}:{line}{'-keras' * bool(NEEDS_KERAS.search(code))}")  # CI runs -k keras apart
    for page in [*MANUAL, ROOT / "CONTRIBUTING.md"]
    for line, code in blocks(page)
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_every_example_runs(code, tmp_path, monkeypatch):
    if NEEDS_TORCH.search(code):
        pytest.importorskip("torch")
    if NEEDS_KERAS.search(code):
        pytest.importorskip("keras")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {"__name__": "example"})


def test_the_readme_has_examples():
    assert sum("README" in example.id for example in EXAMPLES) >= 4


def test_the_readmes_figures_are_those_of_the_benchmarks():
    """What is measured anew is told anew in both."""
    apart = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What sets it apart")[2].partition("\n## ")[0]
    measured = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    figures = re.findall(r"\b\d+[.]\d+\b", apart)
    assert figures
    assert [figure for figure in figures if not re.search(rf"\b{re.escape(figure)}\b", measured)] == []


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name, tmp_path, monkeypatch):
    if name.startswith("zeroin.nn") or NEEDS_TORCH.search(name):
        pytest.importorskip("torch")
    if NEEDS_KERAS.search(name):
        pytest.importorskip("keras")
    if name == "zeroin.tasks" and importlib.util.find_spec("torch") is None:
        pytest.skip("its example loads a task")
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_command_line_page_is_fresh():
    assert CLI_PAGE.read_text(encoding="utf-8") == cli_page(), "stale: run `python tests/test_docs.py`"


def test_every_command_and_option_is_described():
    page = CLI_PAGE.read_text(encoding="utf-8")
    for verb, command in cli.commands.items():
        assert command.help, verb
        section = page.partition(f"## zeroin {verb}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{verb} {parameter.name}"
            for word in parameter.opts if isinstance(parameter, click.Option) else [str(parameter.human_readable_name)]:
                assert word in section, f"{verb}: {word}"


def test_every_public_name_is_mentioned():
    manual = "\n".join(page.read_text(encoding="utf-8") for page in MANUAL)
    names = list(zeroin.__all__)
    if importlib.util.find_spec("torch"):
        names += importlib.import_module("zeroin.nn").__all__
    assert [name for name in names if not re.search(rf"\b{name}\b", manual)] == []


def test_the_search_page_has_the_searchers_constants():
    rows = re.findall(
        r"^\| `(\w+)` \| (\S+) \| .+ \|$", (ROOT / "docs" / "search.md").read_text(encoding="utf-8"), re.M
    )
    assert rows == [(f.name, str(f.default)) for f in dataclasses.fields(Settings)]


def test_the_store_page_has_every_table():
    page = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    made = re.findall(r"CREATE TABLE (\w+)", Path(schema.__file__).read_text(encoding="utf-8"))
    assert made
    assert [table for table in made if f"| `{table}` |" not in page] == []


def test_every_file_of_the_design_is_there_and_every_module_in_the_design():
    design = (ROOT / "DESIGN.md").read_text(encoding="utf-8").partition("## Files")[2].partition("**Not there yet**")[0]
    package = ROOT / "src" / "zeroin"
    known = {path.name for path in package.parent.rglob("*.py")}
    assert [name for name in re.findall(r"\b(\w+\.py)\b", design) if name not in known] == []
    top = {path.name if path.is_file() else path.name + "/" for path in package.iterdir() if path.name != "__pycache__"}
    assert [name for name in sorted(top - {"py.typed"}) if name not in design] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def anchors(page: Path) -> set[str]:
    """Where links into a page may lead: its headings, as GitHub names them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", prose, re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_into_pages_lead_to_a_heading(page):
    links = re.findall(r"\]\(([^)#\s:]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link, to in links if to not in anchors(page.parent / link if link else page)] == []


@pytest.mark.parametrize(
    "page", [*PAGES, *ROOT.glob("examples/*.py"), ROOT / ".ci" / "run"], ids=lambda page: page.name
)
def test_nothing_of_one_machine_is_told(page):
    text = page.read_text(encoding="utf-8")
    assert [text[m.start() :][:40] for pattern in (MACHINE, PROVENANCE) for m in pattern.finditer(text)] == []


def test_the_picture_is_small():
    assert 10_000 < (ROOT / "docs" / "report.png").stat().st_size < 300_000


if __name__ == "__main__":
    CLI_PAGE.write_text(cli_page(), encoding="utf-8")
