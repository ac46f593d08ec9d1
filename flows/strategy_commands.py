"""The commands about the versioned strategies."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study

if TYPE_CHECKING:
    from gating.strategy.model import Strategy

strategy = App(
    name="strategy",
    help="List, show, compare, release and exchange the versioned gating strategies.",
    help_format="plaintext",
)

Output = Annotated[Path | None, Parameter(help="The file to write; printed when not given.")]
OwnStudy = Annotated[
    Path | None, Parameter(name="--study", help="A study whose own strategies are found first.")
]


@strategy.command(name="list")
def list_releases(*, study: OwnStudy = None, json: Json = False) -> Outcome:
    """List every released version."""
    from gating.strategy.catalogue import known, load_strategy

    own = study / "strategies" if study else None
    releases = [load_strategy(pin, own) for pin in known(own)]
    found = [
        {
            "strategy": r.strategy.name,
            "sha256": r.sha256,
            "panel": r.strategy.panel,
            "title": r.strategy.title,
        }
        for r in releases
    ]
    text = "\n".join(
        f"{each['strategy']:<20}{each['sha256'][:12]}  {each['panel']:<10}{each['title']}"
        for each in found
    )
    return Outcome(document={"strategies": found}, text=text)


@strategy.command
def show(name: str, *, study: OwnStudy = None, json: Json = False) -> Outcome:
    """Show the gates, thresholds and populations of NAME (bcell, bcell@1, bcell@1.0.0)."""
    from gating.strategy.catalogue import load_strategy

    release = load_strategy(name, study / "strategies" if study else None)
    value = release.strategy
    depth = {"root": -1}
    lines = [f"{value.name}  {release.sha256[:12]}  panel {value.panel}", value.title, "", "Gates"]
    for gate in value.gates:
        for each in gate.names:
            depth[each] = depth[gate.parent] + 1
            lines.append(
                f"  {'  ' * depth[each]}{each}  ({gate.shape} "
                f"{' × '.join(gate.axes) or ', '.join(gate.combined)})"
            )
    lines += [
        "",
        "Thresholds",
        *(
            f"  {n:<14}{t.marker:<16}{t.value:>8g}  {'/'.join(t.sources)}: {t.evidence}"
            for n, t in value.thresholds.items()
        ),
    ]
    lines += ["", "Reported populations", *(f"  {p.id:<26}{p.label}" for p in value.populations)]
    return Outcome(
        document={"sha256": release.sha256, **value.model_dump(mode="json")}, text="\n".join(lines)
    )


@strategy.command
def verify(*, study: OwnStudy = None, json: Json = False) -> Outcome:
    """Check that every released strategy still is what was released."""
    from gating.strategy.catalogue import known, load_strategy, missing_releases
    from panels.text.errors import StrategyFault

    own = study / "strategies" if study else None
    verified: list[str] = []
    faults = [
        f"{pin} was released and its strategy.yaml is gone. Put it back."
        for pin in missing_releases(own)
    ]
    sys.stderr.write("".join(f"reconflow: {fault}\n" for fault in faults))
    for pin in known(own):
        try:
            verified.append(load_strategy(pin, own).strategy.name)
        except StrategyFault as fault:
            faults.append(str(fault))
            sys.stderr.write(f"reconflow: {fault}\n")
    text = "\n".join([*(f"{name}: as released" for name in verified), *faults])
    return Outcome(
        document={"verified": verified, "faults": faults}, text=text, failed=bool(faults)
    )


@strategy.command
def export(
    name: str,
    *,
    output: Output = None,
    panel: Annotated[
        str | None,
        Parameter(help="Take the detectors' names from this panel instead of the strategy's own."),
    ] = None,
    instrument: Annotated[
        str | None, Parameter(help="Take the detectors' names of this instrument of the panel.")
    ] = None,
    study: OwnStudy = None,
    json: Json = False,
) -> Outcome:
    """Write NAME (bcell@1.0.0) as Gating-ML 2.0, for FlowKit, R's flow tools and whatever else reads the standard."""
    from gating.exchange.export_gates import export_strategy
    from gating.strategy.catalogue import load_strategy
    from panels.catalogue import load_panel

    release = load_strategy(name, study / "strategies" if study else None)
    reads = load_panel(panel or release.strategy.panel, study / "panels" if study else None)
    document = export_strategy(release.strategy, reads, instrument)
    found: dict[str, object] = {
        "strategy": release.strategy.name,
        "sha256": release.sha256,
        "panel": reads.panel,
    }
    if output is None:
        return Outcome(document=found | {"gatingml": document.decode()}, text=document.decode())
    output.write_bytes(document)
    return Outcome(
        document=found | {"output": str(output)},
        text=f"{output}: {release.strategy.name} as Gating-ML 2.0",
    )


@strategy.command
def diff(
    old: str,
    new: str,
    *,
    tube: Annotated[
        Path | None,
        Parameter(help="An FCS file: lay the gates of both over each other on its events."),
    ] = None,
    output: Annotated[
        Path | None, Parameter(help="The page to write with --tube (OLD__NEW.html when not given).")
    ] = None,
    study: OwnStudy = None,
    json: Json = False,
) -> Outcome:
    """Say in words, gate by gate, what changed from OLD to NEW (releases such as bcell@1.0.0, or strategy.yaml files).

    With --tube, also write a page with the gates of both versions over each other on one tube.
    """
    from gating.strategy.difference import compare
    from panels.text.errors import UsageFault

    before, after = _release_or_draft(old, study), _release_or_draft(new, study)
    difference = compare(before, after)
    if tube is None:
        if output is not None:
            raise UsageFault(
                "--output is the page with the plots: name the FCS file to draw with --tube."
            )
        return Outcome(document=difference.document(), text=difference.text())
    from tasks.concordance.one_tube import overlay
    from tasks.publish.tables import write_atomically

    overlaid = overlay(before, after, tube, study / "panels" if study else None)
    page = output or Path(f"{before.name}__{after.name}.html")
    write_atomically(page, overlaid.page.encode())
    return Outcome(
        document=difference.document() | overlaid.document() | {"page": str(page)},
        text="\n".join(
            [
                difference.text(),
                "",
                *(f"  {g.gate:<28}{g.description}" for g in overlaid.gates),
                "",
                f"{page}",
            ]
        ),
    )


@strategy.command
def release(name: str, version: str, *, study: Study = Path(), json: Json = False) -> Outcome:
    """Freeze version VERSION of NAME in the study's strategies: from then on it cannot change."""
    from tasks.strategies.release import release_version

    frozen, difference = release_version(study, name, version)
    found = {
        "strategy": frozen.strategy.name,
        "sha256": frozen.sha256,
        "difference": difference.document() if difference else None,
    }
    lines = [
        f"{frozen.strategy.name} is released ({frozen.sha256[:12]}).",
        *([difference.text()] if difference else []),
    ]
    return Outcome(document=found, text="\n".join(lines))


def _release_or_draft(name: str, study: Path | None) -> "Strategy":
    """Read a release, or a strategy.yaml that need not be released."""
    from gating.strategy.catalogue import load_strategy, read_strategy
    from panels.text.errors import StrategyFault

    if not name.endswith((".yaml", ".yml")):
        return load_strategy(name, study / "strategies" if study else None).strategy
    if not Path(name).is_file():
        raise StrategyFault(f"{name}: there is no such file.")
    return read_strategy(Path(name)).strategy


@strategy.command(name="import")
def import_document(  # noqa: PLR0913 - keyword-only options of one command
    file: Path,
    *,
    panel: Annotated[str, Parameter(help="The panel whose markers the document's channels are.")],
    name: Annotated[str, Parameter(help="What the new strategy is called.")],
    output: Annotated[
        Path, Parameter(help="The strategies folder to write into, such as STUDY/strategies.")
    ],
    sample: Annotated[
        str | None, Parameter(help="The sample of a FlowJo workspace whose gates are wanted.")
    ] = None,
    all_samples: Annotated[
        bool,
        Parameter(
            name="--all-samples",
            negative="",
            help="Take the gates most samples have; compare every sample's counts.",
        ),
    ] = False,
    fcs: Annotated[
        Path | None,
        Parameter(
            name=["--fcs", "--tube"],
            help="The FCS file the gates were drawn on, or a folder that holds it.",
        ),
    ] = None,
    accept: Annotated[
        bool,
        Parameter(
            negative="", help="Import although counts differ from those the workspace recorded."
        ),
    ] = False,
    study: OwnStudy = None,
    json: Json = False,
) -> Outcome:
    """Turn the gates of a Gating-ML 2.0 document or a FlowJo 10 workspace into a draft strategy, with a report beside it.

    Where the tube of a FlowJo sample is at hand (--fcs, or beside the workspace under its name),
    the counts the workspace recorded are compared with ours: a difference beyond FlowJo's own
    binning refuses the import.
    """
    from gating.exchange.checked_import import import_checked, import_workspace
    from gating.exchange.import_files import report
    from gating.exchange.recorded_counts import counts_csv
    from panels.catalogue import load_panel
    from panels.text.errors import UsageFault
    from tasks.strategies.write_import import write_import

    reads = load_panel(panel, study / "panels" if study else None)
    if all_samples and sample is not None:
        raise UsageFault("Give --sample or --all-samples, not both.")
    if all_samples:
        checked = import_workspace(file, reads, name, tubes=fcs, accept=accept)
    else:
        checked = import_checked(file, reads, name, sample=sample, tube=fcs, accept=accept)
    imported = checked.imported
    written = write_import(
        imported, output, counts_csv(checked.compared) if checked.compared else None
    )
    document = {
        "strategy": name,
        "source": checked.foreign.source,
        "gates": {"/".join(path[1:]): gate for path, gate in imported.name_of.items()},
        "notes": [
            {"outcome": note.outcome, "gate": note.gate, "text": note.text}
            for note in imported.notes
        ],
        "counts": [each.document() for each in checked.compared],
        "written": [str(path) for path in written],
    }
    return Outcome(
        document=document, text="\n".join([report(imported), *(f"{path}" for path in written)])
    )


@strategy.command
def promote(
    name: str,
    *,
    approved_by: Annotated[str, Parameter(help="Who approved it.")] = "",
    reason: Annotated[str, Parameter(help="Why.")] = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Make a version that was compared (reconflow regate) the current one of its panel; recorded in the ledger.

    Parameters
    ----------
    name: The version, such as bcell@2.0.0.
    """
    from tasks.concordance.promotion import promote as make_current
    from tasks.study.folder import open_study

    done = make_current(open_study(study), name, approved_by, reason)
    text = (
        f"{done.panel} is counted with {done.to_strategy} from the next run on (before: "
        f"{done.from_strategy})."
    )
    return Outcome(
        document={"panel": done.panel, "from": done.from_strategy, "to": done.to_strategy},
        text=text,
    )
