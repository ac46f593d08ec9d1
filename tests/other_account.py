"""Work as an account that may not do everything; root may, and would see no trouble."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def folder_for_anybody() -> Iterator[Path]:
    """Make a folder that another account can reach; pytest's own are open to one account alone."""
    folder = Path(tempfile.mkdtemp(prefix="reconflow-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(folder)


@contextmanager
def another_account(folder: Path) -> Iterator[None]:
    """Give a folder to an account without privileges and be that account for a while."""
    if os.geteuid() != 0:
        yield
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
