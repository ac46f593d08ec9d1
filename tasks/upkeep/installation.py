"""Check the program itself: Python, the packages it needs, and what it ships."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tasks.upkeep.finding import Finding

LEAST_PYTHON = (3, 11)


def check_installation() -> Iterator[Finding]:
    """Compare the installed packages with those that this version asks for."""
    right = sys.version_info >= LEAST_PYTHON
    yield Finding(
        "python",
        "ok" if right else "wrong",
        f"Python {platform.python_version()} in {sys.prefix}",
        "" if right else "Install reconflow with Python 3.11 or newer.",
    )
    wrong = [sentence for each in _required() if (sentence := _why_wrong(each))]
    yield Finding(
        "packages",
        "wrong" if wrong else "ok",
        f"reconflow {version('reconflow')}: "
        + ("; ".join(wrong) if wrong else "every package is as it asks for"),
        "Install it again with its constraints.txt (make demo does)." if wrong else "",
    )


def _required() -> Iterator[Requirement]:
    for line in requires("reconflow") or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _why_wrong(requirement: Requirement) -> str:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is missing"
    if fits(found, requirement.specifier):
        return ""
    return f"{requirement.name} {found} is installed, {requirement.specifier} is asked for"


def fits(found: str, wanted: SpecifierSet) -> bool:
    """Tell whether an installed version is one that is asked for."""
    return wanted.contains(found, prereleases=True)
