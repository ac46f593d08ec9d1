"""Qualify an installation: does it do on this machine what it was built to do.

The report is dated and names program, packages and machine, for a quality officer to file.
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from gating.evaluation.engine import ENGINE_VERSION
from gating.strategy.catalogue import known, load_strategy, missing_releases
from panels.files.durable import write_durably
from panels.text.errors import CalibrationFault, StrategyFault
from panels.text.quoting import unexpected
from panels.verifying import verify_panels
from tasks.calibrate.release import verify_calibrations
from tasks.publish.pages import render
from tasks.upkeep.installation import check_installation
from tasks.validate.simulated import check_simulated
from tasks.validate.vectors import check_vectors
from tasks.validate.verdict import Verdict

LOCKS, INSTALLED, UNFORESEEN = "locks", "installation", "unforeseen"
PACKAGES = ("numpy", "scipy", "pandas", "flowkit", "flowio", "fcsparser", "scikit-learn", "prefect")


@dataclass(frozen=True, slots=True)
class Qualification:
    """All verdicts, and of what: program, packages, machine, time."""

    program: str
    engine: str
    packages: dict[str, str]
    machine: str
    began: str
    ended: str
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        """Tell whether every check holds."""
        return bool(self.verdicts) and all(each.holds for each in self.verdicts)

    @property
    def parts(self) -> dict[str, list[Verdict]]:
        """Give the verdicts by part."""
        found: dict[str, list[Verdict]] = {}
        for each in self.verdicts:
            found.setdefault(each.part, []).append(each)
        return found


def qualify() -> Qualification:
    """Run all checks; one that fails unforeseen is a verdict, and the others are made."""
    began = _now()
    with tempfile.TemporaryDirectory(prefix="reconflow-validate-") as folder:
        verdicts = tuple(
            verdict
            for checks in (_installed(), _locks(), check_vectors(), check_simulated(Path(folder)))
            for verdict in _guarded(checks)
        )
    return Qualification(
        program=version("reconflow"),
        engine=ENGINE_VERSION,
        packages={name: version(name) for name in PACKAGES},
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        began=began,
        ended=_now(),
        verdicts=verdicts,
    )


def write_qualification(done: Qualification, folder: Path) -> tuple[Path, Path]:
    """Write the report as a page and as JSON, named by the day and time it was made."""
    stamp = done.began.replace(":", "").replace("-", "")[:15]
    page, data = (folder / f"qualification-{stamp}.{end}" for end in ("html", "json"))
    write_durably(page, render("qualification.html", {"done": done}).encode())
    document = asdict(done) | {"holds": done.holds}
    write_durably(data, json.dumps(document, indent=1, ensure_ascii=False).encode())
    return page, data


def _guarded(checks: Iterator[Verdict]) -> Iterator[Verdict]:
    try:
        yield from checks
    except Exception as error:  # noqa: BLE001 - what stops a check is what the report has to say
        yield Verdict(UNFORESEEN, "the check can be made", holds=False, evidence=unexpected(error))


def _installed() -> Iterator[Verdict]:
    for each in check_installation():
        yield Verdict(INSTALLED, each.check, each.state == "ok", each.sentence)


def _locks() -> Iterator[Verdict]:
    """Check that every shipped panel, strategy and calibration is as released."""
    strategies = [f"{pin} is gone" for pin in missing_releases()]
    for pin in known():
        try:
            load_strategy(pin)
        except (StrategyFault, CalibrationFault) as fault:
            strategies.append(str(fault))
    panels, calibrations = verify_panels(), verify_calibrations(None)
    for name, number, faults in (
        ("panels", len(panels.verified), [*panels.faults, *panels.unreadable]),
        ("strategies", len(known()), strategies),
        ("calibrations", len(calibrations.verified), list(calibrations.faults)),
    ):
        evidence = "; ".join(faults) or f"{number} looked at"
        yield Verdict(LOCKS, f"shipped {name} are as released", not faults and number > 0, evidence)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
