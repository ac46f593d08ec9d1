"""Real schedulers and workers of Dask on loopback, workers of other mounts and host names too."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.flows.command import descendants

PROJECT = Path(__file__).resolve().parents[1]


def may_unshare() -> bool:
    """Tell whether a process may get mounts and a host name of its own here."""
    done = subprocess.run(["unshare", "-mu", "true"], check=False, capture_output=True)
    return done.returncode == 0


def as_computer(name: str, folder: Path) -> list[str]:
    """Give what to write before a command so that it runs as if on another computer.

    It has a host name and a boot of its own, as a worker elsewhere would; ``folder`` is for files.
    """
    boot = folder / f"boot-of-{name}"
    boot.write_text(f"{name}-0000-0000\n", encoding="ascii")
    steps = f'mount --bind "{boot}" /proc/sys/kernel/random/boot_id && hostname {name}'
    return ["unshare", "-mu", "sh", "-c", f'{steps} && exec "$@"', "sh"]


def without(share: Path) -> list[str]:
    """Give what to write before a command so that a folder is empty for it, as if not connected."""
    return ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none "{share}" && exec "$@"', "sh"]


def certificates(folder: Path) -> dict[str, str]:
    """Make a certificate that is its own authority; gives Dask's environment variables for it."""
    from distributed import Security

    made = Security.temporary()
    files = {
        "CA_FILE": made.tls_ca_file,
        "KEY": made.tls_client_key,
        "CERT": made.tls_client_cert,
    }
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="ascii")
    names = {"CA_FILE": "CA_FILE"} | {
        f"{role}__{name}": name
        for role in ("CLIENT", "SCHEDULER", "WORKER")
        for name in ("KEY", "CERT")
    }
    start = "DASK_DISTRIBUTED__COMM__TLS__"
    return {f"{start}{name}": str(folder / file) for name, file in names.items()}


@dataclass
class DaskCluster:
    """A scheduler and its workers, ended by force."""

    folder: Path
    scheme: str = "tcp"
    variables: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def setting(self) -> str:
        """Give the line of study.yaml that names this cluster."""
        return f"runner: {{kind: dask, address: '{self.address}'}}\n"

    def start(
        self, *words: str, before: Sequence[str] = (), path: Path = PROJECT, log: str = "log"
    ) -> subprocess.Popen[str]:
        """Start one of Dask's commands, with the program that lies at a path."""
        settings = {
            "PYTHONPATH": os.pathsep.join([str(path), *filter(None, sys.path)]),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        with (self.folder / f"{log}-{len(self.processes)}").open("w") as file:
            process = subprocess.Popen(
                [*before, sys.executable, "-P", "-m", "dask", *words],
                env=os.environ | settings | self.variables,
                cwd=self.folder,
                stdout=file,
                stderr=file,
                text=True,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_scheduler(self, *options: str) -> None:
        """Start the scheduler, at the port that all know."""
        words = ("--protocol", self.scheme, "--port", str(self.port), "--no-dashboard", *options)
        self.start("scheduler", *words, log="scheduler")

    def start_scheduler_again(self) -> None:
        """Kill the scheduler, and start another one in its place."""
        self.end(self.processes[:1])
        self.start_scheduler("--host", "127.0.0.1")

    def worker(
        self, *options: str, before: Sequence[str] = (), path: Path = PROJECT
    ) -> subprocess.Popen[str]:
        """Start a worker, and the process that starts it anew when it dies."""
        loopback = ("--host", "127.0.0.1", "--no-dashboard", "--memory-limit", "0")
        place = ("--local-directory", str(self.folder / "scratch"))
        words = ("worker", self.address, *loopback, *place, *(options or ("--nthreads", "1")))
        return self.start(*words, before=before, path=path, log="worker")

    def end(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        """Kill processes and those they started, so that nobody starts them anew."""
        for process in processes:
            for pid in [process.pid, *descendants(process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in processes:
            process.wait(timeout=20)


def free_port() -> int:
    """Give a port of loopback that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill_worker(process: subprocess.Popen[str]) -> None:
    """Kill a worker at its work; the process that guards it stays."""
    for pid in descendants(process.pid):
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


@contextmanager
def dask_cluster(
    folder: Path, *options: str, scheme: str = "tcp", variables: Mapping[str, str] | None = None
) -> Iterator[DaskCluster]:
    """Start a scheduler; everything is ended with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskCluster(folder, scheme, variables or {}, free_port())
    with ExitStack() as left:
        cluster.start_scheduler(*options)
        left.callback(cluster.end, cluster.processes)
        yield cluster


needs_unshare = pytest.mark.skipif(
    not may_unshare(), reason="NOT ROOT: a worker with mounts of its own cannot be started here"
)
