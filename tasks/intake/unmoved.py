"""Say why a file cannot be moved, and what to correct."""

import errno
import os
from pathlib import Path

from panels.text.printable import printable
from tasks.study.folder import Study

_AGAIN = "it is tried again by itself."


def why_unmoved(study: Study, error: OSError) -> str:
    """Say why a file cannot be moved and what to do; names the folder that may not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The file cannot be moved: the disk is full. Free some space; {_AGAIN}"
    names = (error.filename2, error.filename)
    paths = [Path(name) for name in names if isinstance(name, str)]
    for path in paths:
        folder = _nearest_folder(path)
        if folder is not None and not _may_write(folder):
            return (
                f"The file cannot be moved: the folder {printable(study.place_of(folder))} "
                f"may not be written ({error.strerror}). Correct its rights; {_AGAIN}"
            )
    cause = str(error.strerror)
    if paths:
        cause = f"{printable(study.place_of(paths[0]))}: {cause}"
    return f"The file cannot be moved ({cause}). Close it in other programs; {_AGAIN}"


def _nearest_folder(path: Path) -> Path | None:
    while not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir may raise
        if path == path.parent:
            return None
        path = path.parent
    return path


def _may_write(folder: Path) -> bool:
    return os.access(
        folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids
    )
