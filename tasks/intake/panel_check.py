"""Say channel by channel how a tube fits a panel; the verdict is intake's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gating.fcs.channels import Channel
from gating.fcs.header import TubeHeader, read_header
from panels.panel import Panel, PanelMatch, Stain, label_meanings, match_panel, plain
from panels.text.errors import UnreadableFile
from panels.text.quoting import as_label
from tasks.intake.inbox import is_fcs_name
from tasks.intake.judge import not_fcs
from tasks.intake.panel_fit import refusal
from tasks.intake.whole import missing_part, unreadable_part

FoundBy = Literal["label", "synonym", "detector", "not found"]


@dataclass(frozen=True, slots=True)
class ChannelFit:
    """How one marker or scatter parameter of a panel was found in a tube.

    ``expected`` is the panel's detector on the tube's instrument, ``detector`` the tube's,
    ``maximum`` its ``$PnR``, ``covered`` whether the spill has it (None: nothing is compensated),
    ``problem`` the sentence that refuses the tube.
    """

    name: str
    expected: str
    found_by: FoundBy
    required: bool
    detector: str | None = None
    label: str = ""
    maximum: float | None = None
    covered: bool | None = None
    problem: str = ""

    def document(self) -> dict[str, object]:
        """Give the finding for ``--json``."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class FileFit:
    """How one file fits a panel: ``refused`` is the sentence with which a study refuses it."""

    path: Path
    instrument: str | None
    channels: tuple[ChannelFit, ...]
    refused: str | None
    remarks: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """Give the file's findings for ``--json``."""
        return {
            "file": str(self.path),
            "verdict": "accepted" if self.refused is None else "refused",
            "instrument": self.instrument,
            "channels": [each.document() for each in self.channels],
            "refused": self.refused,
            "remarks": list(self.remarks),
        }


def check_file(path: Path, panel: Panel, own_panels: Path | None) -> FileFit:
    """Check one file against a panel.

    One that cannot be read, or of which a part is missing, is refused as intake refuses it in the
    end. ``own_panels`` is the folder of the laboratory's panels, of which a better one is named.
    """
    place = path.resolve()
    try:
        header = read_header(place)
    except UnreadableFile as fault:
        missing = unreadable_part(place, fault)
        return FileFit(path, None, (), (missing and missing.refusal) or str(fault))
    match = match_panel(panel, header.channels)
    channels = tuple(_channels(match, header))
    refused = _refused_whole(path, header) or refusal(header, panel, own_panels)
    remarks = tuple(_remarks(panel, header, channels))
    return FileFit(path, match.instrument, channels, refused, remarks)


def _refused_whole(path: Path, header: TubeHeader) -> str | None:
    """Say why a file is refused whatever its panel: by its name, or because a part is missing."""
    if not is_fcs_name(path):
        return not_fcs(path)
    missing = missing_part(header.path, header)
    return missing.refusal or None if missing else None


def _channels(match: PanelMatch, header: TubeHeader) -> Iterator[ChannelFit]:
    detectors = match.panel.detectors()[match.instrument]
    for stain in match.panel.markers:
        yield _marker(match, header, stain, detectors[stain.marker])
    for name, expected in match.panel.scatter.items():
        index = match.channel.get(name)
        if index is None:
            problem = match.problem_of.get(name, "")
            yield ChannelFit(name, expected, "not found", required=True, problem=problem)
            continue
        channel = header.channels[index]
        yield ChannelFit(
            name,
            expected,
            "detector",
            required=True,
            detector=channel.detector,
            label=channel.label,
            maximum=channel.maximum,
        )


def _marker(match: PanelMatch, header: TubeHeader, stain: Stain, expected: str) -> ChannelFit:
    index = match.channel.get(stain.marker)
    if index is None:
        problem = match.problem_of.get(stain.marker, "")
        return ChannelFit(
            stain.marker, expected, "not found", required=stain.required, problem=problem
        )
    channel = header.channels[index]
    return ChannelFit(
        stain.marker,
        expected,
        _found_by(stain, channel),
        required=stain.required,
        detector=channel.detector,
        label=channel.label,
        maximum=channel.maximum,
        covered=_covered(match.panel, header, channel),
    )


def _found_by(stain: Stain, channel: Channel) -> FoundBy:
    meanings = label_meanings(channel.label) if channel.label.strip() else frozenset()
    if plain(stain.marker) in meanings:
        return "label"
    return "synonym" if meanings & {plain(name) for name in stain.synonyms} else "detector"


def _covered(panel: Panel, header: TubeHeader, channel: Channel) -> bool | None:
    """Tell whether the file's spill has a channel; None where the file's spill is not used."""
    if not panel.compensated or panel.matrix is not None or header.spill is None:
        return None
    return channel.detector in header.spill.detectors


def _remarks(panel: Panel, header: TubeHeader, fits: Sequence[ChannelFit]) -> Iterator[str]:
    """Yield what a person should know though it refuses no file."""
    yield from header.problems
    uncovered = [as_label(each.detector or "") for each in fits if each.covered is False]
    if uncovered:
        yield (
            f"The stored spill does not cover {', '.join(uncovered)}: a strategy that gates on it "
            f"cannot count this tube."
        )
    if header.spill is not None and not panel.compensated:
        yield (
            "The file stores a compensation, and the panel says `compensated: false`: its values "
            "are taken as they are."
        )
    elsewhere = [
        f"{each.name} ({as_label(each.detector)} instead of {each.expected})"
        for each in fits
        if each.detector is not None
        and each.required
        and each.found_by in {"label", "synonym"}
        and plain(each.detector) != plain(each.expected)
    ]
    if elsewhere:
        yield (
            f"On other detectors than the panel knows: {', '.join(elsewhere)}. The labels were "
            f"believed. If this is another instrument, list it under `instruments` of the panel."
        )
