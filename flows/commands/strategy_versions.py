"""The commands about the versioned strategies."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study
from flows.commands.log_head import note_log_head
from flows.commands.study_given import refuse_no_study

if TYPE_CHECKING:
    from gating.strategy.gates import Gate
    from gating.strategy.model import Strategy
    from gating.strategy.threshold import Threshold

strategy = App(
    name="strategy",
    help="List, show, compare, release and exchange the versioned gating strategies.",
    help_format="plaintext",
)

LaboratoryStudy = Annotated[
    Path | None, Parameter(name="--study", help="A study whose own strategies are found first.")
]

strategy.command(
    "flows.commands.gate_exchange:export_gates",
    name="export",
    help=(
        "Write NAME (bcell@1.0.0) as Gating-ML 2.0, for FlowKit, R's flow tools and whatever else "
        "reads the standard, or (--format wsp) as a FlowJo 10 workspace.\n\n"
        "A workspace shows the gates on the files of --fcs: each file has its own boundaries and "
        "counts, as `reconflow gate` gives them. What FlowJo cannot hold as it is (a ratio, none "
        "of several gates, bounds on three axes) is written otherwise and said."
    ),
)
strategy.command(
    "flows.commands.gate_exchange:import_gates",
    name="import",
    help=(
        "Turn the gates of a Gating-ML 2.0 document or a FlowJo 10 workspace into a draft "
        "strategy, with a report beside it.\n\n"
        "Where the tube of a FlowJo sample is at hand (--fcs, or beside the workspace under its "
        "name), the counts the workspace recorded are compared with ours: a difference beyond "
        "FlowJo's own binning refuses the import.\n\n"
        "--all-samples adopts a whole workspace: the gates of its group (--group) become the "
        "strategy, what single samples have otherwise is listed in DEVIATIONS.csv, and "
        "IMPORT_COUNTS.csv and .html show every gate of every sample, recorded against "
        "counted.\n\n"
        "Which gates are carried over depends on these keys of the panel: 'detector' and "
        "'synonyms' of its markers and 'scatter' (a gate on a channel that none of them names is "
        "left out), and 'compensated' (write 'compensated: false' where gates read values as the "
        "files hold them). Gates that were left out are listed with what would keep them."
    ),
)


def strategies_of(study: Path | None) -> Path | None:
    """Give the folder of a study's own strategies, where there is a study."""
    return study / "strategies" if study else None


def panels_of(study: Path | None) -> Path | None:
    """Give the folder of a study's own panels, where there is a study."""
    return study / "panels" if study else None


@strategy.command(name="list")
def list_releases(*, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """List every released version."""
    from gating.strategy.catalogue import known, load_strategy

    strategies = strategies_of(study)
    releases = [load_strategy(pin, strategies) for pin in known(strategies)]
    documents = [
        {
            "strategy": each.strategy.name,
            "sha256": each.sha256,
            "panel": each.strategy.panel,
            "title": each.strategy.title,
        }
        for each in releases
    ]
    text = "\n".join(
        f"{each['strategy']:<20}{each['sha256'][:12]}  {each['panel']:<10}{each['title']}"
        for each in documents
    )
    return Outcome(document={"strategies": documents}, text=text)


@strategy.command
def show(name: str, *, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Show the gates, thresholds and populations of NAME (bcell, bcell@1, bcell@1.0.0)."""
    from gating.strategy.catalogue import load_strategy

    release = load_strategy(name, strategies_of(study))
    value = release.strategy
    lines = [
        f"{value.name}  {release.sha256[:12]}  panel {value.panel}",
        value.title,
        *_numbers_line(value),
        "",
        "Gates",
        *_gate_lines(value.gates),
        "",
        "Thresholds",
        *(_threshold_line(name, threshold) for name, threshold in value.thresholds.items()),
        "",
        "Reported populations",
        *(f"  {each.id:<26}{each.label}" for each in value.populations),
    ]
    return Outcome(
        document={"sha256": release.sha256, **value.model_dump(mode="json")}, text="\n".join(lines)
    )


def _numbers_line(value: "Strategy") -> Iterator[str]:
    """Say whose numbers are shown, where they are not the file's own."""
    if value.calibration:
        yield f"Its numbers are those of the calibration {value.calibration}."
    if value.instruments:
        yield f"Its numbers were set for {', '.join(value.instruments)}."


def _gate_lines(gates: Sequence["Gate"]) -> Iterator[str]:
    """Write each gate below its parent, indented by its depth."""
    depth = {"root": -1}
    for gate in gates:
        dimensions = " × ".join(gate.axes) or ", ".join(gate.combined)
        for name in gate.names:
            depth[name] = depth[gate.parent] + 1
            indent = "  " * depth[name]
            yield f"  {indent}{name}  ({gate.shape} {dimensions})"


def _threshold_line(name: str, threshold: "Threshold") -> str:
    sources = "/".join(threshold.sources)
    return (
        f"  {name:<14}{threshold.marker:<16}{threshold.value:>8g}  {sources}: {threshold.evidence}"
    )


@strategy.command
def verify(*, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Check that every released strategy still is what was released."""
    from gating.strategy.catalogue import known, load_strategy, missing_releases
    from panels.text.errors import CalibrationFault, StrategyFault

    if study is not None:
        refuse_no_study(study)
    strategies = strategies_of(study)
    verified: list[str] = []
    faults = [
        f"{pin} was released and its strategy.yaml is gone. Put it back."
        for pin in missing_releases(strategies)
    ]
    sys.stderr.write("".join(f"reconflow: {fault}\n" for fault in faults))
    for pin in known(strategies):
        try:
            verified.append(load_strategy(pin, strategies).strategy.name)
        except (StrategyFault, CalibrationFault) as fault:
            faults.append(str(fault))
            sys.stderr.write(f"reconflow: {fault}\n")
    text = "\n".join([*(f"{name}: as released" for name in verified), *faults])
    return Outcome(
        document={"verified": verified, "faults": faults}, text=text, failed=bool(faults)
    )


@strategy.command(
    help=(
        "Say in words, gate by gate, what changed from OLD to NEW (releases such as bcell@1.0.0, "
        "or strategy.yaml files).\n\n"
        "With --tube, also write a page with the gates of both versions over each other on one "
        "tube."
    )
)
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
    study: LaboratoryStudy = None,
    json: Json = False,
) -> Outcome:
    """Say in words, gate by gate, what changed from OLD to NEW.

    Both are releases such as bcell@1.0.0, or strategy.yaml files.

    With --tube, also write a page with the gates of both versions over each other on one tube.
    """
    from gating.strategy.difference import compare
    from panels.text.errors import UsageFault

    before, after = _release_or_draft(old, study), _release_or_draft(new, study)
    difference = compare(before, after)
    if tube is None and output is not None:
        raise UsageFault(
            "--output is the page with the plots: name the FCS file to draw with --tube."
        )
    if tube is None:
        return Outcome(document=difference.document(), text=difference.text())
    from tasks.concordance.one_tube import overlay
    from tasks.publish.tables import write_atomically

    overlaid = overlay(before, after, tube, panels_of(study))
    page = output or Path(f"{before.name}__{after.name}.html")
    write_atomically(page, overlaid.page.encode())
    gates = [f"  {each.gate:<28}{each.description}" for each in overlaid.gates]
    return Outcome(
        document=difference.document() | overlaid.document() | {"page": str(page)},
        text="\n".join([difference.text(), "", *gates, "", str(page)]),
    )


@strategy.command
def release(name: str, version: str, *, study: Study = Path(), json: Json = False) -> Outcome:
    """Freeze version VERSION of NAME in the study's strategies: from then on it cannot change."""
    from tasks.review.releases import note_release
    from tasks.strategies.release import release_version

    frozen, difference = release_version(study, name, version)
    note_release(study, "strategy", frozen.strategy.name, frozen.sha256)
    note_log_head(study)
    document: dict[str, object] = {
        "strategy": frozen.strategy.name,
        "sha256": frozen.sha256,
        "difference": None,
    }
    lines = [f"{frozen.strategy.name} is released ({frozen.sha256[:12]})."]
    if difference:
        document["difference"] = difference.document()
        lines.append(difference.text())
    return Outcome(document=document, text="\n".join(lines))


def _release_or_draft(name: str, study: Path | None) -> "Strategy":
    """Read a release, or a strategy.yaml that need not be released."""
    from gating.strategy.catalogue import load_strategy, read_strategy
    from panels.text.errors import StrategyFault

    if not name.endswith((".yaml", ".yml")):
        return load_strategy(name, strategies_of(study)).strategy
    if not Path(name).is_file():
        raise StrategyFault(f"{name}: there is no such file.")
    return read_strategy(Path(name)).strategy


@strategy.command(
    help=(
        "Make a version that was compared (reconflow regate) the current one of its panel; "
        "recorded in the ledger."
    )
)
def promote(
    name: str,
    *,
    approved_by: Annotated[str, Parameter(help="Who approved it.")] = "",
    reason: Annotated[str, Parameter(help="Why.")] = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Make a version that was compared (reconflow regate) the current one of its panel.

    It is recorded in the ledger.

    Parameters
    ----------
    name: The version, such as bcell@2.0.0.
    """
    from tasks.concordance.promotion import promote as make_current
    from tasks.study.folder import open_study

    promotion = make_current(open_study(study), name, approved_by, reason)
    note_log_head(study)
    before, after = promotion.from_strategy, promotion.to_strategy
    return Outcome(
        document={"panel": promotion.panel, "from": before, "to": after},
        text=f"{promotion.panel} is counted with {after} from the next run on (before: {before}).",
    )
