"""A share that really hangs: a file system of the kernel's FUSE whose server never answers.

Run as ``unshare --map-root-user --mount python -m tests.silent_share FOLDER COMMAND …`` it runs the
command in a mount namespace of its own, which nobody else sees. As long as a file ``FOLDER.silent``
exists, FOLDER is covered with such a file system; without it the folder is there as before.
"""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.flows.command import PROJECT

APART = ("unshare", "--map-root-user", "--mount", sys.executable, "-m", "tests.silent_share")
_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


def switch_of(folder: Path) -> Path:
    """Give the file whose existence makes a folder hang."""
    return folder.with_name(f"{folder.name}.silent")


def can_hang(folder: Path) -> bool:
    """Tell whether this account may mount such a file system for itself on this machine."""
    switch_of(folder).touch()
    try:
        tried = subprocess.run(
            [*APART, str(folder), "true"], capture_output=True, check=False, cwd=PROJECT
        )
    except OSError:
        return False
    finally:
        switch_of(folder).unlink()
    return tried.returncode == 0


def _mount(folder: Path) -> int:
    server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    if _LIBC.mount(b"silent", os.fsencode(folder), b"fuse.silent", 0, options):
        raise OSError(ctypes.get_errno(), "no file system of FUSE can be mounted")
    return server


def _unmount(folder: Path, server: int) -> None:
    _LIBC.umount2(os.fsencode(folder), _DETACH)
    os.close(server)


def main() -> int:
    folder, server = Path(sys.argv[1]), 0
    if switch_of(folder).exists():
        server = _mount(folder)
    process = subprocess.Popen(sys.argv[2:])
    while process.poll() is None:
        if switch_of(folder).exists() and not server:
            server = _mount(folder)
        elif server and not switch_of(folder).exists():
            _unmount(folder, server)
            server = 0
        time.sleep(0.05)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
