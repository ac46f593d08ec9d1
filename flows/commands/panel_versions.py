"""The commands about the versioned panels."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study
from flows.commands.log_head import note_log_head
from flows.commands.study_given import refuse_no_study

if TYPE_CHECKING:
    from panels.catalogue import PanelVersion
    from panels.panel import Panel, Stain

panel = App(
    name="panel",
    help="Draft, check, list, show, compare, verify and release the versioned panels.",
    help_format="plaintext",
)

panel.command(
    "flows.commands.panel_drafts:draft_panel",
    name="draft",
    help=(
        "Draft a panel from a laboratory's own files: FCS files (or folders of them), FlowJo "
        "workspaces, Gating-ML 2.0 documents.\n\n"
        "It is written as STUDY/panels/NAME.yaml, or as NAME.yaml in the current folder, with a "
        "remark beside whatever was guessed. Nothing is ever replaced."
    ),
)
panel.command(
    "flows.commands.panel_drafts:check_panel",
    name="check",
    help=(
        "Say channel by channel what of a panel each FCS file has, and whether it would be "
        "accepted.\n\nEnds with 1 when a study would refuse one of the files."
    ),
)

LaboratoryStudy = Annotated[
    Path | None, Parameter(name="--study", help="A study whose own panels are found first.")
]


@panel.command(
    name="list",
    help=(
        "List every version of every panel; a study's own version hides the shipped one of the "
        "same name and number."
    ),
)
def list_panels(*, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """List every version of every panel."""
    from panels.catalogue import panel_versions

    panels = [_document(each) for each in panel_versions(_laboratory_panels(study))]
    lines = [
        f"{each['panel']:<20}{each['sha256'][:12]}  {each['state']:<14}{each['title']}"
        for each in panels
    ]
    return Outcome(document={"panels": panels}, text="\n".join(lines))


@panel.command
def show(name: str, *, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Show the markers, detectors and instruments of NAME (bcell, bcell@1, bcell@1.0.0)."""
    from panels.catalogue import find_panel

    version = find_panel(name, _laboratory_panels(study))
    document = {
        "sha256": version.sha256,
        "state": _state(version),
        "file": str(version.path),
        **version.panel.model_dump(mode="json"),
    }
    return Outcome(document=document, text="\n".join(_panel_lines(version)))


def _panel_lines(version: "PanelVersion") -> list[str]:
    value = version.panel
    lines = [
        f"{version.pin}  {version.sha256[:12]}  {_state(version)}  {version.path}",
        value.title,
        "",
        f"Markers on {value.instrument}",
        *(_stain_line(stain) for stain in value.markers),
        "",
        "Scatter",
        *(f"  {scatter:<16}{detector}" for scatter, detector in value.scatter.items()),
    ]
    for instrument, detectors in value.instruments.items():
        lines += ["", f"Other detectors on {instrument}"]
        lines += [f"  {marker:<16}{detector}" for marker, detector in detectors.items()]
    compensated = "yes" if value.compensated else "no"
    return [
        *lines,
        "",
        f"Counted by {', '.join(value.counting)}",
        f"Compensated: {compensated}",
    ]


@panel.command
def verify(*, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Check that every released panel still is what was released."""
    from panels.verifying import verify_panels

    if study is not None:
        refuse_no_study(study)
    result = verify_panels(_laboratory_panels(study))
    faults = [*result.faults, *result.unreadable]
    sys.stderr.write("".join(f"reconflow: {fault}\n" for fault in faults))
    lines = [f"{pin}: as released" for pin in result.verified]
    lines += [
        f"{pin}: not released; its content counts all the same, and can change"
        for pin in result.unreleased
    ]
    document = {
        "verified": list(result.verified),
        "unreleased": list(result.unreleased),
        "faults": faults,
    }
    return Outcome(
        document=document,
        text="\n".join([*lines, *faults]),
        failed=bool(result.faults),
        wrong=bool(result.unreadable),
    )


@panel.command(
    help=(
        "Say in words what changed from OLD to NEW (panels such as bcell@1.0.0, or their YAML "
        "files)."
    )
)
def diff(old: str, new: str, *, study: LaboratoryStudy = None, json: Json = False) -> Outcome:
    """Say in words what changed from OLD to NEW: panels such as bcell@1.0.0, or YAML files."""
    from panels.difference import panel_changes

    before, after = panel_or_file(old, study), panel_or_file(new, study)
    changes = panel_changes(before, after)
    names = [f"{each.panel}@{each.version}" for each in (before, after)]
    lines = [f"  {change.text}" for change in changes] or ["  nothing"]
    document = {
        "old": names[0],
        "new": names[1],
        "changes": [change.document() for change in changes],
    }
    return Outcome(document=document, text="\n".join([f"{names[0]} → {names[1]}", *lines]))


@panel.command
def release(name: str, version: str, *, study: Study = Path(), json: Json = False) -> Outcome:
    """Freeze version VERSION of NAME in the study's panels: from then on it cannot change."""
    from panels.releasing import release_panel
    from tasks.review.releases import note_release

    frozen, changes = release_panel(study / "panels", name, version)
    note_release(study, "panel", frozen.pin, frozen.sha256)
    note_log_head(study)
    lines = [
        f"{frozen.pin} is released ({frozen.sha256[:12]}).",
        *(f"  {change.text}" for change in changes or ()),
    ]
    difference = None if changes is None else [change.document() for change in changes]
    return Outcome(
        document={"panel": frozen.pin, "sha256": frozen.sha256, "difference": difference},
        text="\n".join(lines),
    )


def _laboratory_panels(study: Path | None) -> Path | None:
    return study / "panels" if study else None


def _state(version: "PanelVersion") -> str:
    return "released" if version.released else "not released"


def _document(version: "PanelVersion") -> dict[str, str]:
    return {
        "panel": version.pin,
        "sha256": version.sha256,
        "state": _state(version),
        "title": version.panel.title,
    }


def _stain_line(stain: "Stain") -> str:
    optional = "" if stain.required else ", may be missing"
    synonyms = ", ".join(stain.synonyms)
    return f"  {stain.marker:<16}{stain.detector:<18}{synonyms}{optional}".rstrip()


def panel_or_file(name: str, study: Path | None) -> "Panel":
    """Read a panel by its name, or a definition that need not be released."""
    from panels.catalogue import load_panel, read_panel
    from panels.text.errors import PanelFault

    if not name.endswith((".yaml", ".yml")):
        return load_panel(name, _laboratory_panels(study))
    if not Path(name).is_file():
        raise PanelFault(f"{name}: there is no such file.")
    return read_panel(Path(name))
