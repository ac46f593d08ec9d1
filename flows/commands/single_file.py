"""The commands that look at one file, without a study."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli import Json, Outcome
from panels.text.errors import SheetFault, UsageFault
from panels.text.quoting import as_label, value_shown
from tasks.vocabulary.reasons import Why

if TYPE_CHECKING:
    from gating.fcs.spillover import Spill
    from tasks.kinetics.nca import GroupResult
    from tasks.tubes.single_file import Inspection

LaboratoryStudy = Annotated[
    Path | None,
    Parameter(name="--study", help="A study whose own panels and strategies are found first."),
]


def inspect(
    file: Path,
    *,
    panel: Annotated[str | None, Parameter(help="Hold the file against this panel.")] = None,
    study: LaboratoryStudy = None,
    json: Json = False,
) -> Outcome:
    """Show an FCS file's events, channels, panel and compensation, and what is wrong with it."""
    from tasks.tubes.single_file import KEPT_KEYWORDS, inspect_file

    _must_exist(file)
    if study is not None and not study.is_dir():
        raise UsageFault(f"{study}: there is no such study. Make one: reconflow init {study}")
    inspected = inspect_file(file, panel, study)
    return Outcome(
        document=inspected.document(),
        text=_inspection(file, inspected, KEPT_KEYWORDS),
        failed=inspected.refused,
    )


def gate(
    file: Path,
    *,
    strategy: Annotated[
        str | None, Parameter(help="A released strategy, such as bcell@1.0.0.")
    ] = None,
    gatingml: Annotated[Path | None, Parameter(help="A Gating-ML 2.0 document.")] = None,
    study: LaboratoryStudy = None,
    json: Json = False,
) -> Outcome:
    """Count one file under a strategy or a Gating-ML document."""
    from tasks.tubes.single_file import gate_file

    if (strategy is None) == (gatingml is None):
        raise UsageFault("Name one: --strategy bcell@1.0.0 or --gatingml FILE.xml.")
    _must_exist(file)
    if gatingml is not None:
        _must_exist(gatingml)
    gated = gate_file(file, strategy=strategy, gatingml=gatingml, study=study)
    for problem in gated.problems:
        sys.stderr.write(f"{file.name}: {problem}\n")
    lines = [f"{count:>10,}  {'  ' * (len(path) - 1)}{path[-1]}" for path, count in gated.gates]
    counted = f"{gated.events:,} events, {gated.seconds:.2f} s"
    if gated.calibration:
        counted += f", calibration {gated.calibration}"
    text = "\n".join([counted, *lines])
    return Outcome(document=gated.document(), text=text)


def nca(
    file: Path,
    *,
    study: Annotated[
        Path | None,
        Parameter(name="--study", help="Take the rules of this study's settings (kinetics: nca)."),
    ] = None,
    json: Json = False,
) -> Outcome:
    """Derive cellular-kinetic parameters from any time,conc,blq[,group] table."""
    from tasks.kinetics.areas import USUAL
    from tasks.kinetics.nca import nca_groups
    from tasks.sheets.series_file import read_series
    from tasks.study.settings import load_settings

    if not file.is_file():
        raise SheetFault(f"{file}: there is no such file.")
    rules = load_settings(study).kinetics.nca if study else USUAL
    groups = read_series(file, repeated=rules.duplicates == "average")
    results = nca_groups(groups, rules)
    lines = [line for group, result in results.items() for line in _group_lines(group, result)]
    document = {
        "groups": {group: _numbers(result.values) for group, result in results.items()},
        "reasons": {group: _reasons(result.values) for group, result in results.items()},
    }
    return Outcome(document=document, text="\n".join(lines))


def _group_lines(group: str, result: "GroupResult") -> list[str]:
    lines = [group or "(no group)"]
    lines += [f"  {name:<18}{_nca_value(value)}" for name, value in result.values.items()]
    left_out = (
        (result.early, "before time 0"),
        (result.absent, "without a concentration and not below the limit"),
    )
    for count, reason in left_out:
        if count == 1:
            lines.append(f"  left out: 1 sample {reason}")
        elif count:
            lines.append(f"  left out: {count} samples {reason}")
    return lines


def _nca_value(value: float | Why) -> str:
    return f"NE ({value.sentence})" if isinstance(value, Why) else f"{value:.6g}"


def _numbers(values: Mapping[str, float | Why]) -> dict[str, float | None]:
    return {name: None if isinstance(value, Why) else value for name, value in values.items()}


def _reasons(values: Mapping[str, float | Why]) -> dict[str, str]:
    return {name: value.sentence for name, value in values.items() if isinstance(value, Why)}


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise UsageFault(f"{path}: there is no such file.")


def _channel_line(channel: Mapping[str, str | None]) -> str:
    detector, label = (as_label(channel[name] or "") for name in ("detector", "label"))
    return f"{detector:<24}{label:<24}{channel['marker'] or ''}"


def _inspection(file: Path, inspected: "Inspection", kept: tuple[str, ...]) -> str:
    """Show a file; ``kept`` are the keywords that a pass would keep."""
    header = inspected.header
    if header is None:
        return "\n".join([f"{file.name} would be refused.", *inspected.problems])
    document = inspected.document()
    keywords = {key: header.keywords[key] for key in kept if key in header.keywords}
    channels = len(header.channels)
    lines = [
        f"{file.name}: {header.version}, {header.event_count:,} events, {channels} channels",
        f"panel: {document['panel'] or 'none that is known'}",
        f"compensation: {_compensation(header.spill)}",
        *([f"calibration: {inspected.calibration}"] if inspected.calibration else []),
        "",
        f"{'detector':<24}{'label':<24}marker",
        *map(_channel_line, document["channels"]),
        "",
        "keywords that would be kept (all others may name a person and are not read):",
        *(f"  {key} = {value_shown(key, value)}" for key, value in keywords.items()),
    ]
    if inspected.problems:
        lines += ["", "This file would be refused:" if inspected.refused else "To know:"]
        lines += [f"  {problem}" for problem in inspected.problems]
    return "\n".join(lines)


def _compensation(spill: "Spill | None") -> str:
    if spill is None:
        return "none that can be used"
    return f"stored, {len(spill.detectors)} detectors"
