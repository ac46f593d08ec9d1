"""Say whether a drafted panel compensates, from what its files store, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from panels.drafting.described import Compensation, DescribedGates, DescribedTube
from panels.text.errors import PanelFault
from panels.text.printable import shown

AS_THEY_ARE: tuple[Compensation, ...] = ("unmixed", "identity", "subtracted")
_WHY = {
    "unmixed": "a spectral cytometer unmixed the values: they need no compensation",
    "identity": (
        "the stored spill is an identity matrix: values are taken as they are. If they never were "
        "compensated, write true and export the tubes again with their compensation"
    ),
    "subtracted": "the cytometer subtracted the compensation before it stored the values",
}


@dataclass(frozen=True, slots=True)
class Compensated:
    """The panel's ``compensated``, why, and what a person has to decide (empty: nothing).

    ``blocks`` tells that every tube of the panel is refused until somebody has decided.
    """

    value: bool
    reason: str
    to_decide: str = ""
    blocks: bool = False


def settle_compensation(
    tubes: Sequence[DescribedTube], gates: Sequence[DescribedGates]
) -> Compensated:
    """Decide whether the panel compensates.

    Raises PanelFault when some tubes are unmixed and others are to be compensated: one panel says
    it for all of its tubes.
    """
    kinds = {tube.compensation for tube in tubes}
    if "unmixed" in kinds and "stored" in kinds:
        unmixed, stored = (
            next(shown(tube.source) for tube in tubes if tube.compensation == kind)
            for kind in ("unmixed", "stored")
        )
        raise PanelFault(
            f"{unmixed} was unmixed by a spectral cytometer, {stored} stores a compensation to be "
            f"applied. A panel says `compensated` for all of its tubes: draft one for each kind."
        )
    if "stored" in kinds:
        return Compensated(True, _stored(tubes), _others(tubes))
    if any(tube.raw for tube in tubes):
        return Compensated(
            False, "raw signals of a spectral cytometer, which gates read as they are"
        )
    if kinds and kinds <= set(AS_THEY_ARE):
        return Compensated(False, next(_WHY[each] for each in AS_THEY_ARE if each in kinds))
    read = {each.compensated for each in gates if each.compensated is not None}
    if "unusable" not in kinds and read == {False}:
        return Compensated(False, "the files store no spill, and the gates read values as they are")
    return _undecided(tubes, read)


def _stored(tubes: Sequence[DescribedTube]) -> str:
    detectors = {len(tube.covered) for tube in tubes if tube.compensation == "stored"}
    if len(detectors) == 1:
        return f"the files store a spill of {detectors.pop()} detectors"
    return "the files store spills"


def _others(tubes: Sequence[DescribedTube]) -> str:
    others = [shown(tube.source) for tube in tubes if tube.compensation != "stored"]
    if not others:
        return ""
    named = f"{others[0]} and {len(others) - 1} more store" if others[1:] else f"{others[0]} stores"
    return (
        f"{named} no compensation that can be used, unlike the other tubes: export again with its "
        f"compensation. Until then it would be refused."
    )


def _undecided(tubes: Sequence[DescribedTube], read: set[bool]) -> Compensated:
    """Keep ``compensated: true``, under which nothing is counted before somebody decided."""
    unusable = next((tube for tube in tubes if tube.compensation == "unusable"), None)
    if unusable is not None:
        return Compensated(
            True,
            "TO DECIDE: the stored spill cannot be used",
            f"compensated: {shown(unusable.source)}: {unusable.remark}",
            blocks=True,
        )
    if read == {True}:
        return Compensated(
            True,
            "the gates read compensated values",
            "compensated: the gates read compensated values, and no spill is at hand. An import of "
            "the gates keeps the document's matrix, if it has one.",
        )
    return Compensated(
        True,
        "TO DECIDE: the files store no spill. If the values are compensated already, write false",
        "compensated: the files store no spill, so that every tube would be refused. If their "
        "values are compensated already, write `compensated: false`; if not, export them again "
        "with their compensation.",
        blocks=True,
    )
