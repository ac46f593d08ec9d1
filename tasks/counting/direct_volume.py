"""Determine the effective volume of a tube from the tube itself: its beads or acquired volume."""

from collections.abc import Sequence

from tasks.counting.counts import TubeCounts
from tasks.counting.draw import Draw
from tasks.counting.limits import LimitSettings
from tasks.counting.volume import CountMethod, Volume, bead_source, volume_source
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import LYMPHOCYTES


def direct_volume(
    tube: TubeCounts, methods: Sequence[CountMethod], limits: LimitSettings
) -> tuple[Volume | None, tuple[Flag, ...]]:
    """Determine the volume by counting beads or acquired volume, whichever the panel has first.

    Beads fewer than ``limits.minimum_beads`` are not used at all, because every concentration of
    the tube depends on them, while few lymphocytes in leukopenia are biology: they are flagged and
    their interval is wide.
    """
    flags: list[Flag] = []
    volume: Volume | None = None
    for method in methods:
        if method == "bead":
            volume, flag = _by_beads(tube, limits)
        elif method == "volumetric":
            volume, flag = _by_acquired_volume(tube, limits)
        else:
            continue
        if flag:
            flags.append(flag)
        if volume:
            break
    lymphocytes = tube.counts.get(LYMPHOCYTES)
    if volume and lymphocytes is not None and lymphocytes.events < limits.minimum_lymphocytes:
        flags.append(Flag.FEW_LYMPHOCYTES)
    return volume, tuple(flags)


def volumes_of_tube(draw: Draw, tube: TubeCounts) -> tuple[Volume, ...]:
    """Give every volume the tube itself shows: by its beads and by its acquired volume.

    A tube whose panel is not counted directly has none: what a washed tube took in shows nothing of
    the blood.
    """
    if not {"bead", "volumetric"} & set(draw.methods_of(tube)):
        return ()
    volumes = (_by_beads(tube, draw.limits)[0], _by_acquired_volume(tube, draw.limits)[0])
    return tuple(volume for volume in volumes if volume is not None)


def _by_beads(tube: TubeCounts, limits: LimitSettings) -> tuple[Volume | None, Flag | None]:
    """Determine the volume whose beads were counted, for the cells that were counted one by one."""
    lot, blood = tube.identity.beads_per_tube, tube.identity.blood_volume_ul
    if tube.beads is None:
        return None, None
    if tube.bead_proof != "proven":
        return None, Flag.BEADS_INCOMPLETE if lot else None
    if tube.beads < limits.minimum_beads:
        return None, Flag.FEW_BEADS
    if not lot or not blood or lot <= 0 or blood <= 0:
        return None, Flag.BEAD_LOT_MISSING
    systematic = limits.errors.bead_lot_cv**2 + _shared_variance(tube, limits)
    volume = Volume(
        microlitres=tube.alone * blood * tube.beads / lot,
        method="bead",
        relative_variance=1 / tube.beads + systematic,
        systematic_variance=systematic,
        beads=tube.beads,
        sources=(bead_source(tube.identity.tube_sha256),),
    )
    return volume, None


def _by_acquired_volume(
    tube: TubeCounts, limits: LimitSettings
) -> tuple[Volume | None, Flag | None]:
    acquired, dilution = tube.identity.acquired_volume_ul, tube.identity.dilution
    if not acquired or acquired <= 0:
        return None, None
    if not dilution or dilution <= 0:
        return None, Flag.DILUTION_MISSING
    systematic = _shared_variance(tube, limits)
    volume = Volume(
        microlitres=tube.alone * tube.kept * acquired / dilution,
        method="volumetric",
        relative_variance=systematic,
        systematic_variance=systematic,
        sources=(volume_source(tube.identity.tube_sha256),),
    )
    return volume, None


def _shared_variance(tube: TubeCounts, limits: LimitSettings) -> float:
    """Give the variance that every count of a tube shares.

    It is the pipette's, and that of half the correction for coincidence.
    """
    coincidence = (1 - tube.alone) / 2
    return limits.errors.pipette_cv**2 + coincidence**2
