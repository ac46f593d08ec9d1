"""The commands about the calibrations of instruments."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study

if TYPE_CHECKING:
    from gating.calibration.model import Calibration, ThresholdNumbers

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
        "instrument,\nor the tubes named. Writes calibration.yaml, measurements.csv and "
        "evidence.html; nothing counts\nwith them until they are released."
    )
)
def draft(  # noqa: PLR0913 - options of one command
    *,
    panel: Annotated[str, Parameter(help="The panel whose tubes are measured.")],
    instrument: Annotated[
        str, Parameter(help="The instrument, as the sample sheet names it (or a name for it).")
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
    measured, unmeasured = len(calibration.thresholds), len(calibration.unmeasured)
    release_it = (
        f"reconflow calibrate release {panel} {calibration.instrument} {calibration.version} --by "
        f"NAME --reason TEXT"
    )
    lines = [
        f"{calibration.pin}: {measured} thresholds measured on {len(drafted.measured.tubes)} tubes"
        + (f", {unmeasured} not." if unmeasured else "."),
        *(f"  {note}" for note in drafted.notes),
        f"Look at {drafted.folder / 'evidence.html'}, then: {release_it}",
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
        "effects": {each.population: each.ratio for each in drafted.effects},
        "notes": list(drafted.notes),
    }
    return Outcome(document=document, text="\n".join(lines))


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

    frozen, changes = release_calibration(study, (panel, instrument), version, by=by, reason=reason)
    lines = [
        f"{frozen.calibration.pin} is released ({frozen.sha256[:12]}) by {by}.",
        "The next run counts the tubes of its instrument with it.",
        *(f"  {change.text}" for change in changes or ()),
    ]
    document = {
        "calibration": frozen.calibration.pin,
        "sha256": frozen.sha256,
        "difference": None if changes is None else [change.document() for change in changes],
    }
    return Outcome(document=document, text="\n".join(lines))


@calibrate.command(name="list")
def list_calibrations(*, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """List every released calibration, and the study's drafts."""
    from gating.calibration.catalogue import drafts_in, find_calibration, known_calibrations

    folder = _calibrations_of(study)
    released = [find_calibration(pin, folder) for pin in known_calibrations(folder)]
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
    return Outcome(document={"calibrations": documents}, text="\n".join(lines))


@calibrate.command
def show(name: str, *, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Show the numbers of NAME (bcell/lyric-2@1.0.0, or a calibration.yaml)."""
    value = _calibration_or_file(name, study)
    lines = [
        f"{value.pin}  for {value.strategy}",
        value.title,
        "",
        "Thresholds (linear, 0 to 262144)",
        *(
            f"  {name:<14}{numbers.value:>10g}"
            + (
                ""
                if numbers.limits is None
                else f"  {numbers.limits[0]:g} to {numbers.limits[1]:g}"
            )
            for name, numbers in value.thresholds.items()
        ),
    ]
    if value.unmeasured:
        lines += ["", "Not measured", *(f"  {k}: {v}" for k, v in value.unmeasured.items())]
    if value.landmarks:
        lines += ["", "Landmarks"]
        for landmark, places in value.landmarks.items():
            lines.append(f"  {landmark:<22}" + "  ".join(f"{k} {v:g}" for k, v in places.items()))
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
    lines = [*(f"{pin}: as released" for pin in result.verified), *result.faults]
    return Outcome(
        document={"verified": list(result.verified), "faults": list(result.faults)},
        text="\n".join(lines),
        failed=bool(result.faults),
    )


def _threshold_line(name: str, numbers: "ThresholdNumbers") -> str:
    limits = numbers.limits
    within = "" if limits is None else f"  {limits[0]:g} to {limits[1]:g}"
    return f"  {name:<14}{numbers.value:>10g}{within}"


def _calibrations_of(study: Path | None) -> Path | None:
    return study / "calibrations" if study else None


def _calibration_or_file(name: str, study: Path | None) -> "Calibration":
    """Read a released calibration, or a calibration.yaml that need not be released."""
    from gating.calibration.catalogue import find_calibration, read_calibration
    from panels.text.errors import CalibrationFault

    if not name.endswith((".yaml", ".yml")):
        return find_calibration(name, _calibrations_of(study)).calibration
    if not Path(name).is_file():
        raise CalibrationFault(f"{name}: there is no such file.")
    return read_calibration(Path(name)).calibration
