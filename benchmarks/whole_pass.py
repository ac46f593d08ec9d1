"""Run the whole pass over many tubes of 100,000 events: tubes a second, processor time, memory.

    PYTHONPATH=. python benchmarks/whole_pass.py FINISHED [--tubes 1000] [--events 100000]
        [--workers 1 2] [--folder DIR]

FINISHED is a study for which a pass has ended (`reconflow demo`). Its tubes are written into an
inbox again and again, each time as another patient's, with a keyword of their own, so that every
file has other bytes. `reconflow run` then takes them in, counts them, draws their pages, and writes
all tables and reports, with each number of worker processes in turn, over the same files. Memory is
that of all its processes together, looked at four times a second. 1,000 tubes take 14 GB of disk
(the inbox, and the archive of the run).
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.copied_study import begin_study, copies_of, drop_file
from tasks.study.folder import open_study

PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024


def main() -> None:
    """Make the files if they are not there, then run a pass with each number of processes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("finished", type=Path)
    parser.add_argument("--tubes", type=int, default=1000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        kept = (options.folder or Path(spare) / "study").resolve()
        if not kept.is_dir():
            source = open_study(options.finished.resolve())
            copies = copies_of(source, options.tubes)
            begin_study(source, kept, copies)
            for copy in copies:
                drop_file(source, kept / "inbox", copy, options.events)
        for workers in options.workers:
            run_pass(kept, kept.with_name(f"{kept.name}-with-{workers}"), workers)


def run_pass(kept: Path, folder: Path, workers: int) -> None:
    """Run a pass over a copy of the study with so many worker processes, and print what it cost."""
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was broken off
    # Beside what it is a copy of: there are no hard links from one disk to another.
    shutil.copytree(kept, folder, copy_function=os.link)
    set_workers(kept / "study.yaml", folder / "study.yaml", workers)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, "-m", "flows.cli", "run", "--study", str(folder), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with process, memory_of(process.pid) as peaks:
        answer, _ = process.communicate()
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    counted = json.loads(answer)["counted"]
    print(
        f"{workers} process(es): {counted:,} tubes counted in {seconds:,.0f} s "
        f"({counted / seconds:.2f} tubes/s), {busy:,.0f} s of CPU ({busy / counted:.2f} s a tube), "
        f"peak memory of all processes {max(peaks):,.0f} MB; load {os.getloadavg()[1]:.0f} on "
        f"{os.cpu_count()} cores",
        flush=True,
    )
    shutil.rmtree(folder)


def set_workers(settings: Path, file: Path, workers: int) -> None:
    """Write the settings anew, with another number of worker processes."""
    document = YAML()
    read = document.load(settings.read_text(encoding="utf-8"))
    read["workers"] = workers
    file.unlink()  # a hard link to the settings that were read
    with file.open("w", encoding="utf-8") as written:
        document.dump(read, written)


@contextmanager
def memory_of(pid: int) -> Iterator[list[float]]:
    """List the memory (MB) that a process and its descendants had together, as long as it lasts."""
    looks, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(0.25):
            looks.append(sum(map(resident_mb, family(pid))))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield looks
    finally:
        ended.set()
        watcher.join()


def family(pid: int) -> list[int]:
    """List a process and all that descend from it."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        # A process may end meanwhile.
        with suppress(OSError):
            for child in thread.read_text(encoding="ascii").split():
                found += family(int(child))
    return found


def resident_mb(pid: int) -> float:
    """Give the memory of one process that is its own, without files that are mapped."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    return (int(fields[1]) - int(fields[2])) * PAGE_KB / 1024


if __name__ == "__main__":
    main()
