"""The commands about the versioned panels."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study

if TYPE_CHECKING:
    from panels.catalogue import PanelVersion
    from panels.panel import Panel

panel = App(
    name="panel",
    help="List, show, compare, verify and release the versioned panels.",
    help_format="plaintext",
)

OwnStudy = Annotated[
    Path | None, Parameter(name="--study", help="A study whose own panels are found first.")
]


@panel.command(name="list")
def list_panels(*, study: OwnStudy = None, json: Json = False) -> Outcome:
    """List every version of every panel; a study's own version hides the shipped one of the same name and number."""
    from panels.catalogue import panel_versions

    found = [_document(each) for each in panel_versions(_own(study))]
    lines = [
        f"{each['panel']!s:<20}{str(each['sha256'])[:12]}  {each['state']!s:<14}{each['title']}"
        for each in found
    ]
    return Outcome(document={"panels": found}, text="\n".join(lines))


@panel.command
def show(name: str, *, study: OwnStudy = None, json: Json = False) -> Outcome:
    """Show the markers, detectors and instruments of NAME (bcell, bcell@1, bcell@1.0.0)."""
    from panels.catalogue import find_panel

    found = find_panel(name, _own(study))
    value = found.panel
    lines = [f"{found.pin}  {found.sha256[:12]}  {_state(found)}  {found.path}", value.title, ""]
    lines += [
        f"Markers on {value.instrument}",
        *(_stain_line(value, place) for place in range(len(value.markers))),
    ]
    lines += [
        "",
        "Scatter",
        *(f"  {scatter:<16}{detector}" for scatter, detector in value.scatter.items()),
    ]
    for instrument, detectors in value.instruments.items():
        lines += [
            "",
            f"Other detectors on {instrument}",
            *(f"  {marker:<16}{detector}" for marker, detector in detectors.items()),
        ]
    lines += [
        "",
        f"Counted by {', '.join(value.counting)}",
        f"Compensated: {'yes' if value.compensated else 'no'}",
    ]
    document = {
        "sha256": found.sha256,
        "state": _state(found),
        "file": str(found.path),
        **value.model_dump(mode="json"),
    }
    return Outcome(document=document, text="\n".join(lines))


@panel.command
def verify(*, study: OwnStudy = None, json: Json = False) -> Outcome:
    """Check that every released panel still is what was released."""
    from panels.verifying import verify_panels

    found = verify_panels(_own(study))
    faults = [*found.faults, *found.unreadable]
    sys.stderr.write("".join(f"reconflow: {fault}\n" for fault in faults))
    drafts = [
        f"{pin}: not released; its content counts all the same, and can change"
        for pin in found.unreleased
    ]
    text = "\n".join([*(f"{pin}: as released" for pin in found.verified), *drafts, *faults])
    document = {
        "verified": list(found.verified),
        "unreleased": list(found.unreleased),
        "faults": faults,
    }
    failed, wrong = bool(found.faults), bool(found.unreadable)
    return Outcome(document=document, text=text, failed=failed, wrong=wrong)


@panel.command
def diff(old: str, new: str, *, study: OwnStudy = None, json: Json = False) -> Outcome:
    """Say in words what changed from OLD to NEW (panels such as bcell@1.0.0, or their YAML files)."""
    from panels.difference import panel_changes

    before, after = _panel_or_file(old, study), _panel_or_file(new, study)
    changes = panel_changes(before, after)
    names = [f"{each.panel}@{each.version}" for each in (before, after)]
    said = [f"  {change.text}" for change in changes] or ["  nothing"]
    document = {
        "old": names[0],
        "new": names[1],
        "changes": [change.document() for change in changes],
    }
    return Outcome(document=document, text="\n".join([f"{names[0]} → {names[1]}", *said]))


@panel.command
def release(name: str, version: str, *, study: Study = Path(), json: Json = False) -> Outcome:
    """Freeze version VERSION of NAME in the study's panels: from then on it cannot change."""
    from panels.releasing import release_panel

    frozen, changes = release_panel(study / "panels", name, version)
    lines = [
        f"{frozen.pin} is released ({frozen.sha256[:12]}).",
        *(f"  {change.text}" for change in changes or ()),
    ]
    difference = None if changes is None else [change.document() for change in changes]
    return Outcome(
        document={"panel": frozen.pin, "sha256": frozen.sha256, "difference": difference},
        text="\n".join(lines),
    )


def _own(study: Path | None) -> Path | None:
    return study / "panels" if study else None


def _state(found: "PanelVersion") -> str:
    return "released" if found.released else "not released"


def _document(found: "PanelVersion") -> dict[str, object]:
    return {
        "panel": found.pin,
        "sha256": found.sha256,
        "state": _state(found),
        "title": found.panel.title,
    }


def _stain_line(value: "Panel", place: int) -> str:
    stain = value.markers[place]
    others = "" if stain.required else ", may be missing"
    return f"  {stain.marker:<16}{stain.detector:<18}{', '.join(stain.synonyms)}{others}".rstrip()


def _panel_or_file(name: str, study: Path | None) -> "Panel":
    """Read a panel by its name, or a definition that need not be released."""
    from panels.catalogue import load_panel, read_panel
    from panels.text.errors import PanelFault

    if not name.endswith((".yaml", ".yml")):
        return load_panel(name, _own(study))
    if not Path(name).is_file():
        raise PanelFault(f"{name}: there is no such file.")
    return read_panel(Path(name))
