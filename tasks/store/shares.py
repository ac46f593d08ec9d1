"""Tell whether a folder lies on a network share, where SQLite's write-ahead log breaks."""

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    "afs beegfs ceph cifs coda davfs fhgfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 "
    "orangefs panfs pvfs2 smb2 smb3 smbfs fuse.beegfs fuse.ceph fuse.ceph-fuse fuse.cephfs "
    "fuse.curlftpfs fuse.davfs fuse.davfs2 fuse.gcsfuse fuse.glusterfs fuse.goofys fuse.gvfsd-fuse "
    "fuse.juicefs fuse.mount-s3 fuse.rclone fuse.s3fs fuse.smbnetfs fuse.sshfs".split()
)
"""Types of file systems that several machines may have mounted at once.

Machines do not share the memory that the log's index lies in: each would see a store of its own.
9p and virtiofs are left out: containers and virtual machines have their only disk on them.
"""


def network_type(folder: Path) -> str | None:
    """Give the type of the network share a folder lies on (``nfs4``, ``cifs``), None when on none.

    Found by the number of the device, which holds under bind mounts too. Where the system does not
    say what is mounted (not Linux), nothing is found.
    """
    try:
        device = folder.stat().st_dev
        mounts = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    number = f"{os.major(device)}:{os.minor(device)}"
    types = {_type(line) for line in mounts if line.split(" ", 3)[2] == number}
    return next(iter(sorted(types & NETWORK)), None)


def _type(line: str) -> str:
    """Read the type of one mount; a dash ends the optional fields before it."""
    return line.partition(" - ")[2].split(" ", 1)[0]
