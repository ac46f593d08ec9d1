"""List the channels of a tube: their detectors, labels and ranges."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gating.fcs.keyword_numbers import nonnegative_number
from gating.fcs.limits import MOST_NAME
from gating.fcs.second_readers import ParsedHeader
from panels.text.errors import UnreadableFile
from panels.text.printable import without_controls
from panels.text.quoting import as_label


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a tube.

    ``index`` is its place (from 0), ``detector`` is ``$PnN``, ``label`` is ``$PnS`` or empty, and
    ``maximum`` is ``$PnR``.
    """

    index: int
    detector: str
    label: str
    maximum: float


def channels_of(
    name: str, parsed: ParsedHeader, keywords: Mapping[str, str]
) -> tuple[Channel, ...]:
    """List the channels; raises UnreadableFile when two have one name."""
    detectors = [_bounded(name, f"$P{n}N", each) for n, each in enumerate(parsed.detectors, 1)]
    twice = [detector for detector, times in Counter(detectors).items() if times > 1]
    if twice:
        raise UnreadableFile(
            f"{name} has two channels called {as_label(twice[0])}: a gate cannot tell them apart. "
            f"Rename one and export again."
        )
    return tuple(
        Channel(
            index=n - 1,
            detector=detector,
            label=_bounded(name, f"$P{n}S", keywords.get(f"$P{n}S", "")),
            maximum=nonnegative_number(name, keywords, f"$P{n}R"),
        )
        for n, detector in enumerate(detectors, start=1)
    )


def _bounded(name: str, keyword: str, text: str) -> str:
    """Give a detector or a label on one line; one too long to be a name is refused."""
    if len(text) > MOST_NAME:
        raise UnreadableFile(
            f"{name}: {keyword} has more than {MOST_NAME} characters, so it names no channel. "
            f"Correct it and export the file again."
        )
    return without_controls(text)
