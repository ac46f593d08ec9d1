"""Keep what another version makes of a tube beside its page, as long as the tube is counted so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.publish.page_data import read_data_script

if TYPE_CHECKING:
    from tasks.store.gatings import TubeGating

NAMED = "*@*.js"


def version_file(folder: Path, strategy: str) -> Path:
    """Name the data file of a version (``bcell@2.0.0``) beside the page of a tube."""
    return folder / f"{strategy}.js"


def counted_as(gating: TubeGating) -> dict[str, str]:
    """Name all that a tube's count hangs on but corrections, without which versions are compared.

    The tubes it asked are left out of the count of a corrected tube, whose corrected thresholds ask
    none.
    """
    references = {} if gating.correction_sha256 else {"references": gating.reference_set_sha256}
    return {
        "strategy": gating.strategy,
        "strategy_sha256": gating.strategy_sha256,
        "panel_sha256": gating.panel_sha256,
        "calibration_sha256": gating.calibration_sha256,
        "engine_version": gating.engine_version,
    } | references


def versions_beside(folder: Path) -> list[str]:
    """List the versions that have a data file beside the page of a tube."""
    return sorted(path.name.removesuffix(".js") for path in folder.glob(NAMED))


def keep_versions(folder: Path, gating: TubeGating) -> list[str]:
    """Remove what was laid over another count of the tube; gives the versions that stay."""
    counted = counted_as(gating)
    for path in folder.glob(NAMED):
        if not _is_over(path, counted):
            path.unlink()
    return versions_beside(folder)


def _is_over(path: Path, counted: dict[str, str]) -> bool:
    """Tell whether a data file is of this count of its tube; one that is damaged is of none."""
    try:
        over = read_data_script(path.read_bytes())["over"]
    except (ValueError, LookupError, TypeError):
        return False
    return isinstance(over, dict) and all(over.get(name) == it for name, it in counted.items())
