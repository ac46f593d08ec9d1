"""Give the tubes of the tables the name of their instrument: the sheet's, else that of the file."""

from collections.abc import Sequence
from dataclasses import replace

from panels.instrument_name import name_by_files
from tasks.counting.counts import TubeCounts
from tasks.store.tubes import Tube
from tasks.vocabulary.tube_identity import TubeIdentity


def with_instrument_names(counted: Sequence[TubeCounts], known: Sequence[Tube]) -> list[TubeCounts]:
    """Name the instruments of counted tubes; ``known`` are all tubes taken in.

    What compares instruments (series, batches, calibrations) has to be done before.
    """
    named = {tube.identity.tube_sha256: with_instrument_name(tube) for tube in known}
    return [
        replace(tube, identity=named.get(tube.identity.tube_sha256, tube.identity))
        for tube in counted
    ]


def with_instrument_name(tube: Tube) -> TubeIdentity:
    """Give a tube's identity with the sheet's name of its instrument, else that of its file.

    The tables keep what the sheet says, so that they can be joined with it; pages name the file's
    instrument beside it.
    """
    name = tube.identity.instrument or name_by_files(tube.cytometer, tube.serial)
    return replace(tube.identity, instrument=name or None)
