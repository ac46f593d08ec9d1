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
    from tasks.tubes.single_file import Inspection

OwnStudy = Annotated[
    Path | None,
    Parameter(name="--study", help="A study whose own panels and strategies are found first."),
]


def inspect(
    file: Path,
    *,
    panel: Annotated[str | None, Parameter(help="Hold the file against this panel.")] = None,
    study: OwnStudy = None,
    json: Json = False,
) -> Outcome:
    """Show an FCS file's version, events, channels, markers, panel, compensation, and what is wrong with it."""
    from tasks.tubes.single_file import KEPT_KEYWORDS, inspect_file

    _must_exist(file)
    found = inspect_file(file, panel, study)
    document = found.document()
    return Outcome(
        document=document, text=_inspection(file, found, KEPT_KEYWORDS), failed=found.refused
    )


def gate(
    file: Path,
    *,
    strategy: Annotated[
        str | None, Parameter(help="A released strategy, such as bcell@1.0.0.")
    ] = None,
    gatingml: Annotated[Path | None, Parameter(help="A Gating-ML 2.0 document.")] = None,
    study: OwnStudy = None,
    json: Json = False,
) -> Outcome:
    """Count one file under a strategy or a Gating-ML document."""
    from tasks.tubes.single_file import gate_file

    if (strategy is None) == (gatingml is None):
        raise UsageFault("Name one: --strategy bcell@1.0.0 or --gatingml FILE.xml.")
    _must_exist(file)
    if gatingml is not None:
        _must_exist(gatingml)
    found = gate_file(file, strategy=strategy, gatingml=gatingml, own=study)
    for problem in found.problems:
        sys.stderr.write(f"{file.name}: {problem}\n")
    lines = [f"{count:>10,}  {'  ' * (len(path) - 1)}{path[-1]}" for path, count in found.gates]
    text = "\n".join([f"{found.events:,} events, {found.seconds:.2f} s", *lines])
    return Outcome(document=found.document(), text=text)


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
    from tasks.kinetics.nca import nca_file
    from tasks.study.settings import load_settings

    if not file.is_file():
        raise SheetFault(f"{file}: there is no such file.")
    found = nca_file(file, load_settings(study).kinetics.nca if study else USUAL)
    lines = []
    for group, result in found.items():
        lines += [
            group or "(no group)",
            *(f"  {name:<18}{_nca_value(value)}" for name, value in result.values.items()),
        ]
        told = (
            (result.early, "before time 0"),
            (result.absent, "without a concentration and not below the limit"),
        )
        lines += [
            f"  left out: {count} sample{'' if count == 1 else 's'} {what}"
            for count, what in told
            if count
        ]
    groups = {
        group: {name: _number_or_none(value) for name, value in each.values.items()}
        for group, each in found.items()
    }
    reasons = {
        group: {n: v.sentence for n, v in each.values.items() if isinstance(v, Why)}
        for group, each in found.items()
    }
    return Outcome(document={"groups": groups, "reasons": reasons}, text="\n".join(lines))


def _nca_value(value: float | Why) -> str:
    return f"NE ({value.sentence})" if isinstance(value, Why) else f"{value:.6g}"


def _number_or_none(value: float | Why) -> float | None:
    return None if isinstance(value, Why) else value


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise UsageFault(f"{path}: there is no such file.")


def _channel_line(channel: Mapping[str, str | None]) -> str:
    detector, label = (as_label(channel[name] or "") for name in ("detector", "label"))
    return f"{detector:<24}{label:<24}{channel['marker'] or ''}"


def _inspection(file: Path, found: "Inspection", kept: tuple[str, ...]) -> str:
    header = found.header
    if header is None:
        return "\n".join([f"{file.name} would be refused.", *found.problems])
    document = found.document()
    lines = [
        (
            f"{file.name}: {header.version}, {header.event_count:,} events, "
            f"{len(header.channels)} channels"
        ),
        f"panel: {document['panel'] or 'none that is known'}",
        (
            f"compensation: "
            f"{'stored, ' + str(len(header.spill.detectors)) + ' detectors' if header.spill else 'none that can be used'}"
        ),
        "",
        f"{'detector':<24}{'label':<24}marker",
        *map(_channel_line, document["channels"]),
        "",
        "keywords that would be kept (all others may name a person and are not read):",
        *(
            f"  {key} = {value_shown(key, header.keywords[key])}"
            for key in kept
            if key in header.keywords
        ),
        *(
            ["", "This file would be refused:" if found.refused else "To know:"]
            if found.problems
            else []
        ),
        *(f"  {problem}" for problem in found.problems),
    ]
    return "\n".join(lines)
