"""The commands about the calibrations of instruments."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study
from flows.commands.log_head import note_log_head
from flows.commands.study_given import refuse_no_study
from panels.text.plural import counted

if TYPE_CHECKING:
    from gating.calibration.model import Calibration, ThresholdNumbers
    from tasks.calibrate.draft import Draft

calibrate = App(
    name="calibrate",
    help=(
        "Measure an instrument's numbers from a laboratory's own tubes; list, show, compare, "
        "verify and release them."
    ),
    help_format="plaintext",
)

LaboratoryStudy = Annotated[
    Path | None, Parameter(name="--study", help="A study whose own calibrations are found first.")
]


@calibrate.command(
    help=(
        "Measure thresholds, landmarks and reference cells on an instrument's tubes.\n\n"
        "Taken are the study's baselines, batch controls and FMO controls of the panel on the "
        "instrument,\nor the tubes named. Writes calibration.yaml, measurements.csv, "
        "evidence.html and\nnotes.txt; nothing counts with them until they are released."
    )
)
def draft(  # noqa: PLR0913 - options of one command
    *,
    panel: Annotated[str, Parameter(help="The panel whose tubes are measured.")],
    instrument: Annotated[
        str, Parameter(help="The instrument: its name in the sample sheet, or one of your own.")
    ],
    study: Study = Path(),
    tubes: Annotated[
        tuple[str, ...],
        Parameter(
            help="Names of tubes, with * where any letters may stand; files outside the study too.",
            consume_multiple=True,
        ),
    ] = (),
    strategy: Annotated[
        str | None, Parameter(help="The strategy to measure (when not given: the one in use).")
    ] = None,
    output: Annotated[
        Path | None, Parameter(help="The folder to write to (the study's calibrations).")
    ] = None,
    json: Json = False,
) -> Outcome:
    """Measure thresholds, landmarks and reference cells on an instrument's tubes."""
    from tasks.calibrate.draft import DraftRequest, draft_calibration
    from tasks.study.folder import open_study

    request = DraftRequest(panel, instrument, tubes, strategy, output)
    drafted = draft_calibration(open_study(study), request)
    calibration = drafted.measured.calibration
    measured = counted(len(calibration.thresholds), "threshold")
    unmeasured = len(calibration.unmeasured)
    lines = [
        f"{calibration.pin}: {measured} measured on {counted(drafted.telling, 'tube')}"
        + (f", {unmeasured} not." if unmeasured else "."),
        *(f"  {note}" for note in drafted.notes),
        *_what_to_do(drafted, study),
    ]
    document = {
        "calibration": calibration.pin,
        "folder": str(drafted.folder),
        "tubes": [tube.name for tube in drafted.measured.tubes],
        "thresholds": {
            each.threshold: {
                "value": each.value,
                "source": each.source,
                "drawn_on": each.declared,
                "doubt": each.doubt,
            }
            for each in drafted.measured.proposals
        },
        "unmeasured": dict(calibration.unmeasured),
        "compared_with": drafted.effects.compared_with,
        "effects": {each.population: each.ratio for each in drafted.effects.populations},
        "notes": list(drafted.notes),
    }
    return Outcome(document=document, text="\n".join(lines))


def _what_to_do(drafted: "Draft", study: Path) -> Iterator[str]:
    """Say what comes after a draft: look at it, and release it from where it can be found."""
    calibration = drafted.measured.calibration
    here = "" if study == Path() else f" --study {shlex.quote(str(study))}"
    release_it = (
        f"reconflow calibrate release {calibration.panel} {calibration.instrument} "
        f"{calibration.version} --by NAME --reason TEXT{here}"
    )
    place, page = _from_here(drafted.release_from), _from_here(drafted.folder / "evidence.html")
    if drafted.folder.resolve() == drafted.release_from.resolve():
        yield f"Look at {page}."
    else:
        yield f"Look at {page}, and put the three files into {place}."
    yield f"What it would count otherwise: reconflow draft compare {calibration.pin}{here}"
    yield f"Then: {release_it}"


@calibrate.command
def release(  # noqa: PLR0913 - options of one command
    panel: str,
    instrument: str,
    version: str,
    *,
    by: Annotated[str, Parameter(help="Who answers for it.")],
    reason: Annotated[str, Parameter(help="Why: what it was measured on, and what was checked.")],
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Freeze VERSION of PANEL on INSTRUMENT: its tubes are counted with it from the next run on."""
    from tasks.calibrate.release import release_calibration
    from tasks.drafts.draft_file import DraftName
    from tasks.drafts.release import refuse_own_edits
    from tasks.review.releases import note_release

    _calibrations_of(study)
    refuse_own_edits(study, DraftName("calibration", f"{panel}/{instrument}@{version}"), by)
    frozen, changes = release_calibration(study, (panel, instrument), version, by=by, reason=reason)
    pin = frozen.calibration.pin
    note_release(study, "calibration", pin, frozen.sha256, by=by, reason=reason.strip())
    note_log_head(study)
    lines = [
        f"{pin} is released ({frozen.sha256[:12]}) by {by}.",
        _counted_with(study, frozen.calibration),
        *(f"  {change.text}" for change in changes or ()),
    ]
    document = {
        "calibration": pin,
        "sha256": frozen.sha256,
        "difference": None if changes is None else [change.document() for change in changes],
    }
    return Outcome(document=document, text="\n".join(lines))


def _counted_with(study: Path, calibration: "Calibration") -> str:
    """Say whether the strategy in use counts with a calibration, and what to do where not."""
    from gating.strategy.calibrated import misfit
    from tasks.strategies.in_use import strategies_in_use
    from tasks.study.folder import open_study

    used = strategies_in_use(open_study(study)).get(calibration.panel)
    fault = "" if used is None else misfit(used.release.strategy, calibration)
    if used is None or not fault:
        return "The next run counts the tubes of its instrument with it."
    return (
        f"No tube is counted with it yet: the panel is counted with {used.name}, and {fault}. To "
        f"change: reconflow regate --strategy {calibration.strategy}, then reconflow strategy "
        f"promote."
    )


@calibrate.command(name="list")
def list_calibrations(*, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """List every released calibration, and the study's drafts."""
    from gating.calibration.catalogue import drafts_in, find_calibration, known_calibrations
    from panels.text.errors import CalibrationFault

    folder = _calibrations_of(study)
    released, faults = [], []
    for pin in known_calibrations(folder):
        try:
            released.append(find_calibration(pin, folder))
        except CalibrationFault as fault:
            faults.append(str(fault))
            sys.stderr.write(f"reconflow: {fault}\n")
    documents = [
        {
            "calibration": each.calibration.pin,
            "sha256": each.sha256,
            "state": "released",
            "title": each.calibration.title,
        }
        for each in released
    ]
    drafts = drafts_in(folder) if folder is not None and folder.is_dir() else []
    documents += [
        {"calibration": pin, "sha256": "", "state": "draft", "title": ""} for pin in drafts
    ]
    lines = [
        f"{each['calibration']:<34}{each['sha256'][:12]:<14}{each['state']:<10}{each['title']}"
        for each in documents
    ]
    return Outcome(
        document={"calibrations": documents, "faults": faults},
        text="\n".join(lines),
        failed=bool(faults),
    )


@calibrate.command
def show(name: str, *, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Show the numbers of NAME (bcell/lyric-2@1.0.0, or a calibration.yaml)."""
    value = _calibration_or_file(name, study)
    lines = [*_heading_lines(value)]
    for title, section in _sections(value).items():
        if section:
            lines += ["", title, *(f"  {line}" for line in section)]
    return Outcome(document=value.model_dump(mode="json"), text="\n".join(lines))


@calibrate.command
def diff(old: str, new: str, *, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Say which numbers changed from OLD to NEW: calibrations, or calibration.yaml files."""
    from tasks.calibrate.release import calibration_changes

    before, after = _calibration_or_file(old, study), _calibration_or_file(new, study)
    changes = list(calibration_changes(before, after))
    lines = [f"  {change.text}" for change in changes] or ["  nothing"]
    document = {
        "old": before.pin,
        "new": after.pin,
        "changes": [change.document() for change in changes],
    }
    return Outcome(document=document, text="\n".join([f"{before.pin} → {after.pin}", *lines]))


@calibrate.command
def verify(*, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Check that every released calibration still is what was released."""
    from tasks.calibrate.release import verify_calibrations

    result = verify_calibrations(_calibrations_of(study))
    sys.stderr.write("".join(f"reconflow: {fault}\n" for fault in result.faults))
    return Outcome(
        document={"verified": list(result.verified), "faults": list(result.faults)},
        text="\n".join(f"{pin}: as released" for pin in result.verified),
        failed=bool(result.faults),
    )


def _heading_lines(value: "Calibration") -> Iterator[str]:
    """Say what a calibration is of, and for which tubes it holds."""
    yield f"{value.pin}  for {value.strategy}"
    yield value.title
    if value.relative_to:
        yield f"The strategy is drawn on {value.relative_to}."
    names = [" ".join(filter(None, (each.name, each.serial))) for each in value.cytometers]
    yield f"Cytometer: {', '.join(names) or 'none is named'}"
    if value.known_as:
        yield f"In sample sheets also: {', '.join(value.known_as)}"
    since = f"collected from {value.since} on" if value.since else "of any day"
    batches = f" and of batch {', '.join(value.batches)}" if value.batches else ""
    yield f"Holds for tubes {since}{batches}"


def _sections(value: "Calibration") -> dict[str, list[str]]:
    """Write all numbers of a calibration under their headings."""
    return {
        "Thresholds (linear, 0 to 262144)": [
            _threshold_line(name, each) for name, each in value.thresholds.items()
        ],
        "Not measured": [f"{name}: {why}" for name, why in value.unmeasured.items()],
        "Landmarks": [
            f"{name:<22}" + "  ".join(f"{axis} {place:g}" for axis, place in places.items())
            for name, places in value.landmarks.items()
        ],
        "Beads": [f"{marker:<14}{place:>10g}" for marker, place in value.beads.items()],
        "Targets of the control charts": [
            f"{name:<36}{each.mean:g} ± {each.sd:g} (SD), {counted(each.tubes, 'tube')}"
            for name, each in value.targets.items()
        ],
    }


def _from_here(path: Path) -> Path:
    """Write a path as seen from the current folder where it lies in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _threshold_line(name: str, numbers: "ThresholdNumbers") -> str:
    limits = numbers.limits
    within = "" if limits is None else f"  {limits[0]:g} to {limits[1]:g}"
    more = (("anchor", numbers.anchor), ("spread", numbers.spread))
    cells = "".join(f"  {what} {place:g}" for what, place in more if place is not None)
    clears = "/".join(f"{each:g}" for each in numbers.clears)
    return f"{name:<14}{numbers.value:>10g}{within}{cells}" + (f"  clears {clears}" * bool(clears))


def _calibrations_of(study: Path | None) -> Path | None:
    """Give the folder of a study's own calibrations; raises SettingsFault where it is no study."""
    if study is None:
        return None
    refuse_no_study(study)
    return study / "calibrations"


def _calibration_or_file(name: str, study: Path | None) -> "Calibration":
    """Read a released calibration, or a calibration.yaml that need not be released."""
    from gating.calibration.catalogue import find_calibration, read_calibration
    from panels.text.errors import CalibrationFault

    if not name.endswith((".yaml", ".yml")):
        return find_calibration(name, _calibrations_of(study)).calibration
    if not Path(name).is_file():
        raise CalibrationFault(f"{name}: there is no such file.")
    return read_calibration(Path(name)).calibration
