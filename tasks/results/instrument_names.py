"""Give the tubes of the tables the full name of their instrument: of the sheet and of the file."""

from collections.abc import Sequence
from dataclasses import replace

from panels.instrument_name import instrument_name
from tasks.counting.counts import TubeCounts
from tasks.store.tubes import Tube
from tasks.vocabulary.tube_identity import TubeIdentity


def with_instrument_names(counted: Sequence[TubeCounts], known: Sequence[Tube]) -> list[TubeCounts]:
    """Name the instruments of counted tubes in full; ``known`` are all tubes taken in.

    What compares instruments (series, batches, calibrations) has to be done before.
    """
    named = {tube.identity.tube_sha256: named_in_full(tube) for tube in known}
    return [
        replace(tube, identity=named.get(tube.identity.tube_sha256, tube.identity))
        for tube in counted
    ]


def named_in_full(tube: Tube) -> TubeIdentity:
    """Give a tube's identity with the full name of its instrument."""
    name = instrument_name(tube.identity.instrument, tube.cytometer, tube.serial)
    return replace(tube.identity, instrument=name or None)
