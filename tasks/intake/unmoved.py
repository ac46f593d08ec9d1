"""Say why a file cannot be moved, and what to mend."""

import errno
import os
from pathlib import Path

from panels.printable import printable
from tasks.study import Study


def why_unmoved(study: Study, error: OSError) -> str:
    """Say why a file cannot be moved and what to mend; names the folder that may not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The file cannot be moved: the disk is full. Free some space; it is tried again by itself."
    for name in (error.filename2, error.filename):
        folder = _nearest_folder(Path(name)) if isinstance(name, str) else None
        if folder is not None and not _may_write(folder):
            return (
                f"The file cannot be moved: the folder {printable(study.place_of(folder))} may not be written "
                f"({error.strerror}). Correct its rights; it is tried again by itself."
            )
    name = error.filename2 or error.filename
    where = f"{printable(study.place_of(Path(name)))}: " if isinstance(name, str) else ""
    return f"The file cannot be moved ({where}{error.strerror}). Close it in other programs; it is tried again by itself."


def _nearest_folder(path: Path) -> Path | None:
    return next((each for each in (path, *path.parents) if os.path.isdir(each)), None)  # noqa: PTH112 - raises nothing


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
