"""The table "Where to add something" of docs/design.md names places that exist, and no others."""

import ast
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import Task

from flows.commands.data_set import export
from gating.strategy.threshold import Source
from gating.thresholds import resolution
from tasks.export.files import WRITERS
from tasks.steps import prefect_tasks
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.reasons import Why

PROJECT = Path(__file__).resolve().parents[1]
ROOMS = ("flows", "gating", "panels", "tasks")
VENDORS = r"spectroflo|macsquant|beckman|facsdiva|accuri|attune|cytoflex"


def table() -> list[str]:
    text = (PROJECT / "docs" / "design.md").read_text(encoding="utf-8")
    section = text.split("## Where to add something")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][2:]


def places() -> list[str]:
    return sorted({place for row in table() for place in re.findall(r"`([\w/.]+)`", row)})


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((PROJECT / room).rglob("*.py")):
            name = path.relative_to(PROJECT).as_posix()
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def words_of(module: ast.Module) -> set[object]:
    return {node.value for node in ast.walk(module) if isinstance(node, ast.Constant)}


def test_the_table_has_its_rows() -> None:
    assert len(table()) >= 12
    assert len(places()) >= 12


@pytest.mark.parametrize("place", [place for place in places() if "/" in place])
def test_a_place_of_the_table_is_there(place: str) -> None:
    assert (PROJECT / place).exists()


def test_every_source_of_thresholds_has_its_method() -> None:
    methods = vars(resolution._Resolution)
    assert [source for source in typing.get_args(Source) if source not in methods] == []


@pytest.mark.parametrize("words", [Flag, Why])
def test_a_word_of_the_vocabulary_is_written_there_alone(words: type[Flag | Why]) -> None:
    values = {str(word) for word in words if "_" in str(word)}
    elsewhere = {
        name: sorted(values & {str(word) for word in words_of(module)})
        for name, module in sources()
        if name.startswith(("tasks/", "flows/")) and not name.startswith("tasks/vocabulary/")
    }
    # A figure of a tube's quality has a flag's name as its key in qc.json.
    reading = ("tasks/tubes/signals.py", "tasks/tubes/tube_quality.py")
    figures = {name: ["compensation_residual"] for name in reading} if words is Flag else {}
    assert {name: present for name, present in elsewhere.items() if present} == figures


def test_a_page_is_rendered_in_one_place() -> None:
    templates = {path.name for path in (PROJECT / "tasks" / "publish" / "templates").iterdir()}
    rendered = [
        node.args[0].value
        for _, module in sources()
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "render"
        and isinstance(node.args[0], ast.Constant)
    ]
    assert sorted(rendered) == sorted(
        templates - {"base.html", "app_page.html", "severity_mark.html"}
    )


def test_a_step_of_a_run_is_taken_by_a_flow() -> None:
    steps = {name for name, value in vars(prefect_tasks).items() if isinstance(value, Task)}
    named = {
        alias.name
        for name, module in sources()
        if name.startswith("flows/")
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "tasks.steps.prefect_tasks"
        for alias in node.names
    }
    assert steps == named


def test_a_manufacturer_is_named_in_one_module_of_the_reader() -> None:
    """A docstring may say whose habit it is; the code that goes by the name is in one place."""
    naming = [
        name
        for name, module in sources()
        if name.startswith("gating/fcs/")
        for node in ast.walk(module)
        if isinstance(node, ast.Compare | ast.Call)
        for word in ast.walk(node)
        if isinstance(word, ast.Constant)
        and isinstance(word.value, str)
        and re.fullmatch(VENDORS, word.value.lower())
    ]
    assert set(naming) <= {"gating/fcs/vendor_quirks.py"}


def test_every_format_of_the_export_has_its_writer() -> None:
    annotated = typing.get_type_hints(export)["format"]
    assert set(typing.get_args(annotated)) == {*WRITERS, "h5ad"}
