"""The commands about the versioned strategies."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome

strategy = App(name="strategy", help="List, show, compare, release and exchange the versioned gating strategies.", help_format="plaintext")

Output = Annotated[Path | None, Parameter(help="The file to write; printed when not given.")]
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


@strategy.command
def export(
    name: str,
    *,
    output: Output = None,
    panel: Annotated[str | None, Parameter(help="Take the detectors' names from this panel instead of the strategy's own.")] = None,
    instrument: Annotated[str | None, Parameter(help="Take the detectors' names of this instrument of the panel.")] = None,
    study: OwnStudy = None,
    json: Json = False,
) -> Outcome:
    """Write NAME (bcell@1.0.0) as Gating-ML 2.0, for FlowKit, R's flow tools and whatever else reads the standard."""
    from gating.catalogue import load_strategy
    from gating.exporting import export_strategy
    from panels.catalogue import load_panel

    release = load_strategy(name, study / "strategies" if study else None)
    reads = load_panel(panel or release.strategy.panel, study / "panels" if study else None)
    document = export_strategy(release.strategy, reads, instrument)
    found: dict[str, object] = {"strategy": release.strategy.name, "sha256": release.sha256, "panel": reads.panel}
    if output is None:
        return Outcome(document=found | {"gatingml": document.decode()}, text=document.decode())
    output.write_bytes(document)
    return Outcome(document=found | {"output": str(output)}, text=f"{output}: {release.strategy.name} as Gating-ML 2.0")
