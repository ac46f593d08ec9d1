"""Flag what was counted with other numbers than the tube's own instrument or stain asks for.

These words are added when tables are built, not when tubes are counted: the sheet that names a
tube's instrument may be corrected, and a calibration released, without any count changing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.tubes.calibration import uncalibrated_populations
from tasks.tubes.stain_brightness import populations_in_doubt
from tasks.vocabulary.flags import Flag

if TYPE_CHECKING:
    from tasks.counting.counts import TubeCounts
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StudySnapshot


def with_calibration_flags(
    snapshot: StudySnapshot, counted: Sequence[TubeCounts], known: Sequence[Tube]
) -> list[TubeCounts]:
    """Give counted tubes with the flags of their calibration, each on the populations it holds for.

    That is ``uncalibrated``, and ``cd19_brightness_off`` where the stain is not the calibrated one.
    ``known`` are the tubes as they are in the ledger, at least those that were counted.
    """
    tube_of = {tube.identity.tube_sha256: tube for tube in known}
    flagged = []
    # Tubes of one instrument have the same numbers, and what hangs on them is the same.
    known_populations: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for each in counted:
        tube = tube_of[each.identity.tube_sha256]
        calibrated = snapshot.strategies[tube.identity.panel].for_tube(tube)
        key = (calibrated.strategy.name, calibrated.calibration, calibrated.fault)
        if key not in known_populations:
            known_populations[key] = uncalibrated_populations(calibrated)
        own = _with_flag(each, Flag.UNCALIBRATED, known_populations[key])
        in_doubt = populations_in_doubt(calibrated, each.stain_ratios)
        flagged.append(_with_flag(own, Flag.CD19_BRIGHTNESS_OFF, in_doubt))
    return flagged


def _with_flag(tube: TubeCounts, flag: Flag, populations: Collection[str]) -> TubeCounts:
    if not populations:
        return tube
    return replace(
        tube,
        counts={
            name: replace(count, flags=(*count.flags, str(flag))) if name in populations else count
            for name, count in tube.counts.items()
        },
    )
