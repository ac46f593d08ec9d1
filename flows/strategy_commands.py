"""The commands that read the versioned strategies."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome

strategy = App(name="strategy", help="List, show and verify the versioned gating strategies.", help_format="plaintext")

OwnStudy = Annotated[Path | None, Parameter(name="--study", help="A study whose own strategies are found first.")]


@strategy.command(name="list")
def list_releases(*, study: OwnStudy = None, json: Json = False) -> Outcome:
    """List every released version."""
    from gating.catalogue import known, load_strategy

    own = study / "strategies" if study else None
    releases = [load_strategy(pin, own) for pin in known(own)]
    found = [{"strategy": r.strategy.name, "sha256": r.sha256, "panel": r.strategy.panel, "title": r.strategy.title} for r in releases]
    text = "\n".join(f"{each['strategy']:<20}{each['sha256'][:12]}  {each['panel']:<10}{each['title']}" for each in found)
    return Outcome(document={"strategies": found}, text=text)


@strategy.command
def show(name: str, *, study: OwnStudy = None, json: Json = False) -> Outcome:
    """Show the gates, thresholds and populations of NAME (bcell, bcell@1, bcell@1.0.0)."""
    from gating.catalogue import load_strategy

    release = load_strategy(name, study / "strategies" if study else None)
    value = release.strategy
    depth = {"root": -1}
    lines = [f"{value.name}  {release.sha256[:12]}  panel {value.panel}", value.title, "", "Gates"]
    for gate in value.gates:
        for each in gate.names:
            depth[each] = depth[gate.parent] + 1
            lines.append(f"  {'  ' * depth[each]}{each}  ({gate.shape} {' × '.join(gate.axes) or ', '.join(gate.combined)})")
    lines += ["", "Thresholds", *(f"  {n:<14}{t.marker:<16}{t.value:>8g}  {t.source}: {t.evidence}" for n, t in value.thresholds.items())]
    lines += ["", "Reported populations", *(f"  {p.id:<26}{p.label}" for p in value.populations)]
    return Outcome(document={"sha256": release.sha256, **value.model_dump(mode="json")}, text="\n".join(lines))


@strategy.command
def verify(*, study: OwnStudy = None, json: Json = False) -> Outcome:
    """Check that every released strategy still is what was released."""
    from gating.catalogue import known, load_strategy
    from panels.errors import StrategyFault

    own = study / "strategies" if study else None
    verified, faults = [], []
    for pin in known(own):
        try:
            verified.append(load_strategy(pin, own).strategy.name)
        except StrategyFault as fault:
            faults.append(str(fault))
            sys.stderr.write(f"reconflow: {fault}\n")
    text = "\n".join([*(f"{name}: as released" for name in verified), *faults])
    return Outcome(document={"verified": verified, "faults": faults}, text=text, failed=bool(faults))
