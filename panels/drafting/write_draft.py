"""Write a drafted panel as commented YAML: each guess has its reason beside it."""

from collections.abc import Iterator

from panels.drafting.draft import DraftStain, PanelDraft
from panels.drafting.instrument_markers import UNNAMED
from panels.files.yaml_scalars import flow
from panels.text.printable import printable

WIDTH = 110
WIDEST = 62
MOST_LISTED = 24


def panel_yaml(draft: PanelDraft, version: str) -> str:
    """Write the draft as the content of a panel file, which loads as it is."""
    lines = [
        *_head(draft),
        *_settings(draft, version),
        *_stains(draft.stains),
        *_instruments(draft),
        *_to_decide(draft),
        *_left_out(draft),
    ]
    return "\n".join(map(printable, lines)) + "\n"


def _head(draft: PanelDraft) -> Iterator[str]:
    files = "1 file" if draft.tubes == 1 else f"{draft.tubes} files"
    yield f"# Drafted by `reconflow panel draft` from {files}. What was guessed says so beside it:"
    yield "# check it, then delete the remark. docs/panels.md explains every key."


def _settings(draft: PanelDraft, version: str) -> Iterator[str]:
    colours = f"{len(draft.stains)} colour{'s' if len(draft.stains) != 1 else ''}"
    settings: list[tuple[str, str]] = [
        (f"panel: {flow(draft.name)}", "as its file is called"),
        (f"version: {version}", "once released it is fixed; a change takes the next number"),
        (f"title: {flow(f'{draft.name} ({colours})')}", "yours to write"),
        (f"instrument: {flow(draft.instrument)}", _named(draft.instrument)),
        (f"counting: [{', '.join(draft.counting.methods)}]", draft.counting.reason),
        (f"compensated: {str(draft.compensated.value).lower()}", draft.compensated.reason),
    ]
    for line, remark in settings:
        yield from _remarked(line, remark)
    if {"CAR19", "CARBCMA"} <= {stain.marker for stain in draft.stains}:
        yield "# co_infusion: separate     # or bicistronic: are the two products one construct?"
    yield f"scatter: {flow(draft.scatter)}"


def _named(instrument: str) -> str:
    if instrument.startswith(UNNAMED):
        return "the first file does not name its cytometer ($CYT): write it"
    return "$CYT of the first file"


def _remarked(line: str, remark: str) -> Iterator[str]:
    """Write a line with its remark beside it, or above it where both are too long for one line."""
    if not remark:
        yield line
    elif len(line) + len(remark) + 4 <= WIDTH:
        yield f"{line:<26}# {remark}" if len(line) < 26 else f"{line}  # {remark}"
    else:
        yield from _comment(remark, indent=" " * (len(line) - len(line.lstrip())))
        yield line.rstrip()


def _comment(text: str, indent: str = "") -> Iterator[str]:
    """Break a remark into lines of comment."""
    line = f"{indent}#"
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH and line.strip() != "#":
            yield line
            line = f"{indent}#"
        line = f"{line} {word}"
    yield line


def _stains(stains: tuple[DraftStain, ...]) -> Iterator[str]:
    """Write a marker a line, the remarks below each other where there is room."""
    yield "markers:"
    lines = [_stain(stain) for stain in stains]
    column = max((len(line) for line in lines if len(line) <= WIDEST), default=0)
    for line, stain in zip(lines, stains, strict=True):
        yield from _remarked(f"{line:<{column}}" if stain.remark else line, stain.remark)


def _stain(stain: DraftStain) -> str:
    written: dict[str, object] = {"marker": stain.marker, "detector": stain.detector}
    if stain.synonyms:
        written["synonyms"] = stain.synonyms
    if not stain.required:
        written["required"] = False
    return f"  - {flow(written)}"


def _instruments(draft: PanelDraft) -> Iterator[str]:
    different = {name: aliases for name, aliases in draft.instruments.items() if aliases}
    alike = [name for name in draft.instruments if name not in different]
    if alike:
        yield from _comment(f"The same detectors on: {', '.join(alike)}.")
    if different:
        yield "# The same stains on other instruments; a marker not named keeps the detector above."
        yield "instruments:"
        for name, aliases in different.items():
            yield f"  {flow(name)}: {flow(aliases)}"


def _to_decide(draft: PanelDraft) -> Iterator[str]:
    if draft.compensated.blocks:
        yield "#"
        yield "# Until `compensated` is decided every tube of this panel is refused."


def _left_out(draft: PanelDraft) -> Iterator[str]:
    for section in draft.sections:
        yield "#"
        more = len(section.channels) - MOST_LISTED
        listed = [*section.channels[:MOST_LISTED], *([f"{more} more"] if more > 0 else [])]
        yield from _comment(f"{section.heading}: {', '.join(listed)}.")
