"""Freeze a version of a laboratory's strategy, once number and CHANGES.md tell what changed."""

from __future__ import annotations

import re
from pathlib import Path

from gating.evaluation.reference_gates import compile_reference
from gating.strategy.catalogue import (
    load_strategy,
    read_draft,
    read_lock,
    read_strategy,
    shipped,
    versions,
)
from gating.strategy.change import MEANING, STEPS, Step
from gating.strategy.difference import Difference, compare
from gating.strategy.model import Release
from panels.catalogue import load_panel
from panels.files.lock import lock_content, version_order
from panels.files.user_file import MEGABYTE, NotReadable, read_user_file
from panels.text.errors import StrategyFault


def release_version(study: Path, name: str, version: str) -> tuple[Release, Difference | None]:
    """Write a version's SHA-256 into the LOCK of the study's strategies.

    Gives the release, and what changed since the version before it.

    Raises StrategyFault when it is released already, when CHANGES.md is missing or empty, or when
    the step of the version number contradicts what changed; PanelFault when its panel does not read
    a marker it needs.
    """
    folder = study / "strategies"
    place = folder / name / version
    if not re.fullmatch(r"\w+", name) or not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise StrategyFault(
            f"'{name} {version}' is not a strategy's name and a version such as 'bcell 1.1.0'."
        )
    if f"{name}@{version}" in read_lock(folder):
        raise StrategyFault(
            f"{name}@{version} is already released. Give the change a version of its own."
        )
    if not (place / "strategy.yaml").is_file():
        raise StrategyFault(
            f"{place / 'strategy.yaml'}: there is no such file. Write the new version there, "
            f"with CHANGES.md beside it."
        )
    draft = read_draft(place / "strategy.yaml", study / "panels").strategy
    if draft.name != f"{name}@{version}":
        raise StrategyFault(
            f"{place / 'strategy.yaml'}: says it is {draft.name}, but lies in the folder of "
            f"{name}@{version}."
        )
    _ask_for_reasons(place / "CHANGES.md")
    compile_reference(draft, load_panel(draft.panel, study / "panels"))
    before = _predecessor(folder, name, version)
    difference = compare(before.strategy, draft) if before else None
    if difference:
        _check_step(difference, version)
    return lock_release(folder, name, version), difference


def _ask_for_reasons(changes: Path) -> None:
    try:
        written = read_user_file(changes, MEGABYTE).decode("utf-8").strip()
    except FileNotFoundError:
        written = ""
    except NotReadable as error:
        raise StrategyFault(f"{changes}: {error}") from error
    except UnicodeDecodeError as error:
        raise StrategyFault(f"{changes}: is not UTF-8 text. Save it as UTF-8.") from error
    if not re.sub(r"^#.*$", "", written, flags=re.MULTILINE).strip():
        raise StrategyFault(
            f"{changes}: say in it what changed, why, who approved it and when. It is missing "
            f"or has no more than a title."
        )


def _predecessor(folder: Path, name: str, version: str) -> Release | None:
    """Find the newest release below a version, among the laboratory's own and the shipped ones."""
    released = {
        v
        for place in (folder, shipped())
        for v in versions(place, name)
        if f"{name}@{v}" in read_lock(place)
    }
    lower = [v for v in released if version_order(v) < version_order(version)]
    return load_strategy(f"{name}@{max(lower, key=version_order)}", folder) if lower else None


def _check_step(difference: Difference, version: str) -> None:
    """Refuse a version number that says less, or more, than what changed."""
    old = version_order(difference.old.partition("@")[2])
    new = version_order(version)
    announced: Step = "major" if new[0] > old[0] else "minor" if new[1] > old[1] else "patch"
    if announced == difference.step:
        return
    if difference.step == "none":
        raise StrategyFault(
            f"{difference.new}: nothing differs from {difference.old}. There is nothing to release."
        )
    right = {
        "major": (old[0] + 1, 0, 0),
        "minor": (old[0], old[1] + 1, 0),
        "patch": (old[0], old[1], old[2] + 1),
    }[difference.step]
    reasons = [
        change.text
        for change in difference.changes
        if STEPS.index(change.step) == STEPS.index(difference.step)
    ]
    raise StrategyFault(
        f"{difference.new}: the number says that {MEANING[announced]} since {difference.old}, but "
        f"{MEANING[difference.step]}: "
        f"{'; '.join(reasons[:3])}{' …' if len(reasons) > 3 else ''}. Call it "
        f"{'.'.join(map(str, right))} or later."
    )


def lock_release(folder: Path, name: str, version: str) -> Release:
    """Freeze one version: write its SHA-256 into the folder's LOCK.

    Raises StrategyFault when it is there already.
    """
    path = folder / name / version / "strategy.yaml"
    release = read_strategy(path)
    lock_content(folder, release.strategy.name, release.sha256, StrategyFault)
    return release
