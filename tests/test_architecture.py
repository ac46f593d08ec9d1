"""The house keeps its shape: rooms, one-way imports, empty package files, declared dependencies, no
stray paths."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ROOMS = ("flows", "gating", "panels", "tasks")
TOP_FOLDERS = {*ROOMS, "tests", "docs", "benchmarks", ".ci"}
TOP_FILES = {
    "pyproject.toml",
    "prefect.yaml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "Makefile",
    "constraints.txt",
}
NOT_IMPORTED = {
    "psycopg": "SQLAlchemy imports it where a study's store is a postgresql:// address",
}
"""Distributions that are declared although no module imports them, and why."""
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".html", ".csv", ".cfg", ".css", ".js", ""}

# Paths of a machine or a person, and addresses that a package would be downloaded from.
STRAY = re.compile(
    r"(?<![\w.$}/])/(?:work|root|home|Users|tmp|mnt|srv)/\w"
    r"|\bfiles\.pythonhosted\b|\b(?:test\.)?pypi\.org\b|--(?:extra-)?index-url|\bdeb\.debian\b|\b[A-Z]:\\\w",
)


def committed() -> list[str]:
    """List the committed files, and those about to be."""
    command = [
        "git",
        "-C",
        str(PROJECT),
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(
            f"NOT A GIT CHECKOUT: the shape of the tree is not checked ({done.stderr.strip()})"
        )
    return [name for name in done.stdout.split("\0") if name and (PROJECT / name).is_file()]


def sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from (PROJECT / room).rglob("*.py")


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "from importlinter.cli import lint_imports; raise "
                "SystemExit(lint_imports(no_cache=True))"
            ),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_contract_of_the_rooms_is_stated() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert set(settings["root_packages"]) == set(ROOMS)
    assert {contract["id"] for contract in settings["contracts"]} == {
        "rooms",
        "no-circles",
        "rooms-of-gating",
        "rooms-of-tasks",
        "rooms-of-panels",
        "pure-rooms",
        "pure-arithmetic",
        "one-door-to-prefect",
        "one-door-to-dask",
    }


def test_package_files_are_empty() -> None:
    assert [
        str(path) for path in sources() if path.name == "__init__.py" and path.read_text().strip()
    ] == []


def test_every_folder_of_modules_is_a_package() -> None:
    assert [
        str(path.parent) for path in sources() if not (path.parent / "__init__.py").exists()
    ] == []


def test_the_top_level_is_the_agreed_one() -> None:
    names = committed()
    folders = {name.split("/")[0] for name in names if "/" in name}
    files = {name for name in names if "/" not in name and not name.startswith(".")}
    assert folders <= TOP_FOLDERS
    assert files <= TOP_FILES


def test_a_room_of_flows_is_not_shadowed() -> None:
    """A flows module named after a room would hide the room from code that Prefect loads by
    file."""
    assert [name for name in ROOMS if (PROJECT / "flows" / f"{name}.py").exists()] == []


def test_no_path_of_a_machine_or_address_of_a_registry_is_committed() -> None:
    found = []
    for name in committed():
        path = PROJECT / name
        if path == Path(__file__).resolve() or path.suffix not in TEXT:
            continue
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        ):
            if STRAY.search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    assert found == []


@pytest.mark.parametrize(
    "line",
    ["see /root/x", "'/tmp/work'", "C:\\Users", "--index-url https://x", "open('/home/me/a')"],
)
def test_a_stray_path_would_be_seen(line: str) -> None:
    assert STRAY.search(line)


@pytest.mark.parametrize(
    "line", ["tasks/home/x", "a/tmp/b", "$(HOME)/x", "{study}/work/a", "https://x.org/home/y"]
)
def test_a_relative_path_is_no_stray_path(line: str) -> None:
    assert not STRAY.search(line)


def test_every_imported_distribution_is_declared() -> None:
    """What arrives only because another package brings it can go away with that package's next
    version."""
    # pydantic's other half, which pins it exactly and whose documentation names it
    declared = {*declared_distributions(), "pydantic-core"}
    undeclared = [
        f"{path.relative_to(PROJECT)}: {module}"
        for path in sources()
        for module, distributions in imported_distributions(path).items()
        if not distributions & declared
    ]
    assert undeclared == []


def test_every_declared_distribution_is_imported() -> None:
    """What nobody imports is downloaded, kept and watched for faults all the same."""
    imported = {
        name
        for path in sources()
        for distributions in imported_distributions(path).values()
        for name in distributions
    }
    assert declared_distributions() - imported == set(NOT_IMPORTED)


def declared_distributions() -> set[str]:
    """Name the distributions that the project runs with, its extras among them."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"]]
    for extra in extras.keys() - {"dev"}:
        lines += extras[extra]
    return {_plain(line) for line in lines}


def imported_distributions(path: Path) -> dict[str, set[str]]:
    """Give what a source file imports from outside, and the distributions that bring it."""
    modules = set(_imported(path)) - sys.stdlib_module_names - set(ROOMS)
    return {
        module: {_plain(name) for name in _owners().get(module, [module])} for module in modules
    }


@cache
def _owners() -> Mapping[str, list[str]]:
    return packages_distributions()


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


def _plain(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", match.group()).lower() if match else ""


def test_the_version_is_told_in_the_changelog() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert f"## [{project['version']}]" in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
