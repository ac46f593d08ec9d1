"""Say which marker a panel reads on which detector, and whether a tube's channels fit it.

The label a lab writes (``$PnS``) is read first; the detector (``$PnN``) is the check on it. Where
the two contradict each other nothing is guessed: the tube is refused and the sentence names both.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from panels.acquisition_time import TIME, is_time_channel, time_channel
from panels.text.quoting import as_label

Counting = Literal["bead", "volumetric", "chain", "dual"]
_MOST_NAMED = 4

FLUOROCHROMES = frozenset(
    "FITC PE APC ECD PB KRO PC5 PC55 PC7 PERCP PERCPCY55 PECY5 PECY55 PECY7 APCCY7 APCH7 "
    "APCR700 APCA700 APCA750 AF488 AF647 "
    "AF700 ALEXAFLUOR488 ALEXAFLUOR647 ALEXAFLUOR700 AA700 AA750 BB515 BB700 BV421 BV450 "
    "BV480 BV510 BV570 BV605 BV650 BV711 "
    "BV750 BV785 BV786 BUV395 BUV496 BUV563 BUV615 BUV661 BUV737 BUV805 V450 V500 V500C "
    "AMCYAN PACIFICBLUE PACIFICORANGE "
    "EF450 EF780 APCFIRE750 APCFIRE810 PEDAZZLE594 PECF594 PETEXASRED SPARKNIR685 QDOT605 "
    "QDOT655".split()
)


class Stain(BaseModel):
    """One marker of a panel and the detector that reads it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    marker: str
    detector: str
    synonyms: tuple[str, ...] = ()
    required: bool = True


class Panel(BaseModel):
    """One version of a panel: markers, detectors per instrument, scatter channels and how its cells may be counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    panel: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    title: str
    instrument: str
    counting: tuple[Counting, ...]
    markers: tuple[Stain, ...]
    scatter: Mapping[str, str]
    instruments: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    co_infusion: Literal["separate", "bicistronic"] | None = None
    compensated: bool = True
    matrix: tuple[tuple[FiniteFloat, ...], ...] | None = None

    @model_validator(mode="after")
    def _markers_are_known(self) -> "Panel":
        names = [stain.marker for stain in self.markers]
        if len(set(names)) != len(names):
            raise ValueError("a marker is listed twice")
        for instrument, detectors in self.instruments.items():
            unknown = sorted(set(detectors) - set(names))
            if unknown:
                raise ValueError(
                    f"instrument {instrument!r} names {unknown[0]!r}, which is not a marker "
                    f"of this panel"
                )
        if self.matrix is not None and [len(row) for row in self.matrix] != [len(names)] * len(
            names
        ):
            raise ValueError(
                "matrix must have one row and one column for each marker, in the order of markers"
            )
        return self

    @field_validator("scatter")
    @classmethod
    def _the_clock_has_one_name(cls, scatter: Mapping[str, str]) -> Mapping[str, str]:
        """Call the clock ``Time``, whatever the cytometer calls it."""
        return {
            TIME if is_time_channel(name) else name: detector for name, detector in scatter.items()
        }

    def detectors(self) -> dict[str, dict[str, str]]:
        """Give for each known instrument the detector of every marker."""
        own = {stain.marker: stain.detector for stain in self.markers}
        return {self.instrument: own} | {
            name: own | dict(other) for name, other in self.instruments.items()
        }


class ChannelLike(Protocol):
    """What a panel needs to know of a channel."""

    @property
    def index(self) -> int: ...
    @property
    def detector(self) -> str: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PanelMatch:
    """Where each marker and scatter parameter of a panel was found in a tube.

    ``channel`` maps marker or scatter name to the channel's index; ``problems`` are sentences: any
    of them means that the tube does not fit the panel.
    """

    panel: Panel
    instrument: str
    channel: Mapping[str, int]
    problems: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Tell whether the tube can be gated with this panel."""
        return not self.problems


@lru_cache(maxsize=16_384)
def plain(name: str) -> str:
    """Reduce a label or detector name to its letters and digits, upper case (``PerCP-Cy5-5-A`` → ``PERCPCY55A``)."""
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def match_panel(panel: Panel, channels: Sequence[ChannelLike]) -> PanelMatch:
    """Find every marker of ``panel`` among ``channels`` and check it against the detector map."""
    usable = _area_channels(channels)
    meanings = [(c, _meanings(c.label)) for c in usable]
    by_label = {
        stain.marker: [c for c, names in meanings if names & _names_of(stain)]
        for stain in panel.markers
    }
    instrument, detectors = _best_instrument(panel, by_label, usable)
    owner = {plain(detector): marker for marker, detector in detectors.items()}
    found: dict[str, int] = {}
    problems: list[str] = []
    for stain in panel.markers:
        channel, problem = _resolve(
            stain, by_label[stain.marker], usable, detectors[stain.marker], owner
        )
        if problem:
            problems.append(problem)
        elif channel is not None:
            found[stain.marker] = channel.index
    for name, detector in panel.scatter.items():
        same = (c for c in channels if plain(c.detector) == plain(detector))
        channel = next(same, None) or (time_channel(channels) if name == TIME else None)
        if channel is None:
            problems.append(f"The channel {detector} is missing: record it on the cytometer.")
        else:
            found[name] = channel.index
    return PanelMatch(panel=panel, instrument=instrument, channel=found, problems=tuple(problems))


def _area_channels(channels: Iterable[ChannelLike]) -> list[ChannelLike]:
    """Drop height and width channels of a detector whose area is recorded too."""
    every = list(channels)
    areas = {c.detector[:-2].upper() for c in every if c.detector.upper().endswith("-A")}
    return [
        c
        for c in every
        if not (c.detector.upper().endswith(("-H", "-W")) and c.detector[:-2].upper() in areas)
    ]


@lru_cache(maxsize=16_384)
def _meanings(label: str) -> frozenset[str]:
    """Give the markers that a ``$PnS`` label may name, alone or beside a fluorochrome."""
    words = re.split(r"[\s_:|]+|(?<=\w)-(?=[A-Z]{2})", label.strip())
    parts = [plain(word) for word in words if word]
    whole, cuts = "".join(parts), list(accumulate(map(len, parts)))[:-1]
    beside = [(whole[:cut], whole[cut:]) for cut in cuts]
    heads = [head for head, tail in beside if tail in FLUOROCHROMES]
    tails = [tail for head, tail in beside if head in FLUOROCHROMES]
    return frozenset([plain(label), *heads, *tails])


@lru_cache(maxsize=4_096)
def _names_of(stain: Stain) -> frozenset[str]:
    return frozenset(plain(name) for name in (stain.marker, *stain.synonyms))


def _best_instrument(
    panel: Panel, by_label: Mapping[str, list[ChannelLike]], channels: Sequence[ChannelLike]
) -> tuple[str, dict[str, str]]:
    """Choose the detector map with which most labelled markers, then most detectors, agree (first listed on ties)."""
    present = {plain(c.detector) for c in channels}

    def agreement(detectors: Mapping[str, str]) -> tuple[int, int]:
        labelled = sum(
            any(plain(c.detector) == plain(detectors[m]) for c in found)
            for m, found in by_label.items()
        )
        return labelled, sum(plain(d) in present for d in detectors.values())

    return max(panel.detectors().items(), key=lambda entry: agreement(entry[1]))


def _resolve(
    stain: Stain,
    labelled: Sequence[ChannelLike],
    channels: Sequence[ChannelLike],
    detector: str,
    owner: Mapping[str, str],
) -> tuple[ChannelLike | None, str | None]:
    """Decide which channel reads a marker: its channel, or the sentence that says why none can be trusted."""
    if len(labelled) > 1:
        named = [as_label(c.detector) for c in labelled[:_MOST_NAMED]]
        names = " and ".join([*named, *(["others"] if len(labelled) > _MOST_NAMED else [])])
        return None, (
            f"{stain.marker} is labelled on {names}: only one detector may carry it. "
            f"Correct the labels."
        )
    if labelled:
        other = owner.get(plain(labelled[0].detector))
        if other is not None and other != stain.marker:
            return None, (
                f"{stain.marker} is labelled on {as_label(labelled[0].detector)}, "
                f"but this panel reads {other} there "
                f"and {stain.marker} on {detector}. Correct the labels or choose the right panel."
            )
        return labelled[0], None
    at_detector = next((c for c in channels if plain(c.detector) == plain(detector)), None)
    if at_detector is not None and not at_detector.label.strip():
        return at_detector, None
    return None, _missing(stain, detector, at_detector) if stain.required else None


def _missing(stain: Stain, detector: str, at_detector: ChannelLike | None) -> str:
    """Say what stands where the marker should be."""
    if at_detector is None:
        return (
            f"{stain.marker} is missing: no channel is labelled {stain.marker} and there is no "
            f"detector {detector}."
        )
    label = as_label(at_detector.label)
    return (
        f"{stain.marker} is missing: {detector} is labelled '{label}' instead. "
        f"Is this the right panel?"
    )
