"""Say which marker a panel reads on which detector, and whether a tube's channels fit it.

The label a lab writes (``$PnS``) is read first; the detector (``$PnN``) is the check on it. Where
the two contradict each other nothing is guessed: the tube is refused and the sentence names both.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from panels.acquisition_time import TIME, AnyChannel, is_time_channel, time_channel
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
    """One version of a panel: its markers and channels, and how its cells may be counted.

    ``instruments`` maps an instrument to its detectors (marker → detector) where they differ from
    those of ``markers``, which are those of ``instrument``.
    """

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
        square = [len(names)] * len(names)
        if self.matrix is not None and [len(row) for row in self.matrix] != square:
            raise ValueError(
                "matrix must have one row and one column for each marker, in the order of markers"
            )
        return self

    @field_validator("scatter")
    @classmethod
    def _time_has_one_name(cls, scatter: Mapping[str, str]) -> Mapping[str, str]:
        """Call the time channel ``Time``, however the cytometer spells it."""
        return {_scatter_name(name): detector for name, detector in scatter.items()}

    def detectors(self) -> dict[str, dict[str, str]]:
        """Give for each known instrument the detector of every marker."""
        usual = {stain.marker: stain.detector for stain in self.markers}
        return {self.instrument: usual} | {
            name: usual | dict(other) for name, other in self.instruments.items()
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

    ``channel`` maps marker or scatter name to the channel's index, ``problem_of`` to the sentence
    why it was not found: any of them means that the tube does not fit the panel.
    """

    panel: Panel
    instrument: str
    channel: Mapping[str, int]
    problem_of: Mapping[str, str]

    @property
    def problems(self) -> tuple[str, ...]:
        """List the sentences, markers before scatter."""
        return tuple(self.problem_of.values())

    @property
    def fits(self) -> bool:
        """Tell whether the tube can be gated with this panel."""
        return not self.problem_of


@lru_cache(maxsize=16_384)
def plain(name: str) -> str:
    """Reduce a name to its letters and digits, upper case: ``PerCP-Cy5-5-A`` → ``PERCPCY55A``."""
    return re.sub(r"[\W_]", "", name.upper())


def match_panel(panel: Panel, channels: Sequence[ChannelLike]) -> PanelMatch:
    """Find every marker of ``panel`` among ``channels`` and check it against the detector map."""
    usable = area_channels(channels)
    meanings = [(c, label_meanings(c.label)) for c in usable]
    by_label = {
        stain.marker: [c for c, names in meanings if names & names_of(stain)]
        for stain in panel.markers
    }
    instrument, detectors = _best_instrument(panel, by_label, usable)
    owner = {plain(detector): marker for marker, detector in detectors.items()}
    channel_of: dict[str, int] = {}
    problem_of: dict[str, str] = {}
    for stain in panel.markers:
        channel, problem = _resolve(
            stain, by_label[stain.marker], usable, detectors[stain.marker], owner
        )
        if problem:
            problem_of[stain.marker] = problem
        elif channel is not None:
            channel_of[stain.marker] = channel.index
    for name, detector in panel.scatter.items():
        channel = _scatter_channel(name, detector, channels)
        if channel is None:
            problem_of[name] = f"The channel {detector} is missing: record it on the cytometer."
        else:
            channel_of[name] = channel.index
    return PanelMatch(panel, instrument, channel_of, problem_of)


def _scatter_name(name: str) -> str:
    return TIME if is_time_channel(name) else name


def _scatter_channel(
    name: str, detector: str, channels: Sequence[ChannelLike]
) -> ChannelLike | None:
    """Find the channel of a scatter parameter; the time channel may have any known spelling."""
    same = next((c for c in channels if plain(c.detector) == plain(detector)), None)
    if same is None and name == TIME:
        return time_channel(channels)
    return same


def area_channels(channels: Iterable[AnyChannel]) -> list[AnyChannel]:
    """Drop height and width channels of a detector whose area is recorded too."""
    every = list(channels)
    areas = {c.detector[:-2].upper() for c in every if c.detector.upper().endswith("-A")}
    return [c for c in every if not _is_beside_area(c.detector.upper(), areas)]


def _is_beside_area(detector: str, areas: Collection[str]) -> bool:
    """Tell whether a detector (upper case) is the height or width of one of the ``areas``."""
    return detector.endswith(("-H", "-W")) and detector[:-2] in areas


@lru_cache(maxsize=16_384)
def label_meanings(label: str) -> frozenset[str]:
    """Give the markers that a ``$PnS`` label may name, alone or beside a fluorochrome."""
    words = re.split(r"[\s_:|]+|(?<=\w)-(?=[A-Z]{2})", label.strip())
    parts = [plain(word) for word in words if word]
    whole, cuts = "".join(parts), list(accumulate(map(len, parts)))[:-1]
    beside = [(whole[:cut], whole[cut:]) for cut in cuts]
    heads = [head for head, tail in beside if tail in FLUOROCHROMES]
    tails = [tail for head, tail in beside if head in FLUOROCHROMES]
    return frozenset(filter(None, [plain(label), *heads, *tails]))


@lru_cache(maxsize=4_096)
def names_of(stain: Stain) -> frozenset[str]:
    """Give the marker and its synonyms, each reduced to its letters and digits (``plain``)."""
    return frozenset(plain(name) for name in (stain.marker, *stain.synonyms))


def _best_instrument(
    panel: Panel, by_label: Mapping[str, list[ChannelLike]], channels: Sequence[ChannelLike]
) -> tuple[str, dict[str, str]]:
    """Choose the detector map that agrees with most labelled markers, then with most detectors.

    On ties the first listed is taken.
    """
    present = {plain(c.detector) for c in channels}

    def agreement(detectors: Mapping[str, str]) -> tuple[int, int]:
        labelled = sum(
            any(plain(c.detector) == plain(detectors[m]) for c in labelled_channels)
            for m, labelled_channels in by_label.items()
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
    """Decide which channel reads a marker, or give the sentence why none can be trusted.

    ``owner`` maps a detector (``plain``) to the marker that the panel reads on it.
    """
    if len(labelled) > 1:
        return None, _labelled_twice(stain, labelled)
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
    if at_detector is not None and not plain(at_detector.label):
        return at_detector, None
    if not stain.required:
        return None, None
    return None, _missing(stain, detector, at_detector)


def _labelled_twice(stain: Stain, labelled: Sequence[ChannelLike]) -> str:
    """Name the channels that all carry the label of one marker."""
    names = [as_label(c.detector) for c in labelled[:_MOST_NAMED]]
    if len(labelled) > _MOST_NAMED:
        names.append("others")
    return (
        f"{stain.marker} is labelled on {' and '.join(names)}: only one detector may carry it. "
        f"Correct the labels."
    )


def _missing(stain: Stain, detector: str, at_detector: ChannelLike | None) -> str:
    """Describe what the tube has in place of the marker."""
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
