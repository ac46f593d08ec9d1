"""Time the front page of a study of 4,000 tubes: what a pass pays to write it, and what a browser
needs to show it.

    PYTHONPATH=. python benchmarks/front_page.py [--tubes 4000] [--rounds 5] [--folder DIR]

The store is filled as intake and tables fill it, but for the FCS files: one file, one identity and
one set of results a tube, with flags as common as in the simulated study; all but the last
patient's tubes were counted long ago. The page is written by the function that a pass calls.
Chromium opens it by its file's address, without a window, in a profile of its own each time; the
page itself says when it was first painted and when all was drawn.
"""

import argparse
import hashlib
import math
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tasks.store.opening import Store

PANELS = {
    "tbnk": ("leukocytes", "lymphocytes", "t_cells", "cd4_t", "cd8_t", "nk_cells", "b_cells"),
    "cart": ("leukocytes", "lymphocytes", "t_cells", "car19_t", "carbcma_t", "car_any_t"),
    "bcell": ("b_cells", "b_cells_cd20", "naive_b", "switched_memory_b", "plasmablasts"),
}
VISITS = (-7, 1, 4, 7, 10, 14, 21, 28, 56, 84, 112, 168, 252, 364)
FLAGS = {"threshold_moved": 0.08, "compensation_residual": 0.03, "beads_incomplete": 0.01}
"""Share of the tubes that have a flag."""
FLAGS_TO_KNOW = {"few_parent_events": 0.3, "anchor_itself": 0.6}
BEGUN = datetime.fromisoformat("2026-01-05T09:00:00")
BROWSER = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --allow-file-access-from-files --dump-dom"
).split()
CLOCK = """
// The browser writes the page down at its load event; scripts one after the other put that off
// until the page was painted.
let drawn = NaN, tries = 0;
addEventListener("DOMContentLoaded", () =>
  setTimeout(() => { drawn = performance.now(); }));
next();
function next() {
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  if (paint && drawn || ++tries > 3000) return tell(paint ? paint.startTime : NaN);
  const script = document.createElement("script");
  script.src = `tick.js?${tries}`;
  script.onload = next;
  document.head.append(script);
}
function tell(paint) {
  const [page] = performance.getEntriesByType("navigation");
  const marks = document.querySelectorAll("a.mark").length;
  document.title = `TIMES ${paint} ${page.domContentLoadedEventEnd} ${drawn} ${marks}`;
}
"""


def main() -> None:
    """Make the study, then time its front page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tubes", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = (options.folder or Path(spare) / "study").resolve()
        if not folder.exists():
            make_study(folder, options.tubes)
        measure(folder, options.rounds)


def make_study(folder: Path, tubes: int) -> None:
    """Fill a study's sheets and store with so many counted tubes."""
    from tasks.store.runs import begin_run, end_run
    from tasks.store.schema.files import files
    from tasks.study.folder import open_study

    patients = -(-tubes // (len(VISITS) * len(PANELS)))
    (folder / "inbox").mkdir(parents=True)
    (folder / "study.yaml").write_text(
        "study: front page\ntime_zone: Europe/Berlin\n", encoding="utf-8"
    )
    named = [f"P{number:04d}" for number in range(patients)]
    lines = [f"{patient},{BEGUN.isoformat()}" for patient in named]
    (folder / "patients.csv").write_text("\n".join(["patient,infused", *lines, ""]), "utf-8")
    study = open_study(folder)
    random = np.random.default_rng(1)
    sheet = ["file,patient,collected,panel,visit"]
    with study.store() as store:
        run = begin_run(store, "nightly")
        for patient in named:
            sheet += fill_patient(store, patient, random)
        end_run(store, run, "done", {})
        with store.writing() as connection:
            earlier = files.update().where(~files.c.name.startswith(named[-1]))
            connection.execute(earlier.values(changed_at="2026-01-06T00:00:00.000+00:00"))
    (folder / "samples.csv").write_text("\n".join([*sheet, ""]), encoding="utf-8")


def fill_patient(store: Store, patient: str, random: np.random.Generator) -> list[str]:
    """Enter a patient's tubes and tables; gives the lines of the sample sheet."""
    from tasks.kinetics.schema import KINETICS
    from tasks.publish.tables import csv_bytes
    from tasks.store.editions import Edition, save_edition

    sheet, rows = [], []
    for day in VISITS:
        collected = BEGUN + timedelta(days=day)
        for panel, populations in PANELS.items():
            name = f"{patient}_D{day}_{panel}.fcs"
            sha256 = hashlib.sha256(name.encode()).hexdigest()
            enter_tube(store, name, sha256, (patient, f"D{day}", panel, collected))
            sheet.append(f"{name},{patient},{collected.isoformat()},{panel},D{day}")
            rows += results(sha256, (patient, f"D{day}", panel, collected), populations, random)
    table = csv_bytes(KINETICS.frame(rows), KINETICS)
    save_edition(store, Edition(patient, hashlib.sha256(table).hexdigest(), table))
    return sheet


def enter_tube(
    store: Store, name: str, sha256: str, identity: tuple[str, str, str, datetime]
) -> None:
    """Enter one counted tube in the ledger."""
    from tasks.store.ledger import FileStat, add_file, record_of, set_state
    from tasks.store.schema.files import files
    from tasks.store.tubes import save_tube
    from tasks.vocabulary.tube_identity import TubeIdentity

    patient, visit, panel, collected = identity
    with store.writing() as connection:
        stat = FileStat(size=1, mtime_ns=1, seen_at=1.0, sha256=sha256)
        number = add_file(connection, name, name, f"archive/{name}", stat)
        row = connection.execute(files.select().where(files.c.id == number)).one()
        record = set_state(connection, record_of(row), "accepted", "")
        set_state(connection, record, "counted", "")
        tube = TubeIdentity(sha256, name, patient, collected, panel, visit)
        save_tube(connection, tube, {}, cytometer="BD FACSLyric", serial="SIM0001")


def results(
    sha256: str,
    identity: tuple[str, str, str, datetime],
    populations: tuple[str, ...],
    random: np.random.Generator,
) -> Iterator[tuple[object, ...]]:
    """Give the rows of one tube."""
    from tasks.kinetics.schema import KINETICS

    patient, visit, panel, collected = identity
    empty = {each.name: "" if each.kind == "text" else math.nan for each in KINETICS.columns}
    tube_flags = [word for word, share in FLAGS.items() if random.random() < share]
    for population in populations:
        flags = [word for word, share in FLAGS_TO_KNOW.items() if random.random() < share]
        value = float(random.lognormal(3))
        row = empty | {
            "patient": patient,
            "visit": visit,
            "day": float((collected - BEGUN).days),
            "collected": collected.isoformat(),
            "specimen": "blood",
            "panel": panel,
            "population": population,
            "events": 400,
            "parent": "lymphocytes",
            "parent_events": 20_000,
            "percent_parent": 2.0,
            "reference": "lymphocytes",
            "percent_reference": 2.0,
            "per_ul": value,
            "per_ul_low": value / 1.1,
            "per_ul_high": value * 1.1,
            "lod_per_ul": 0.5,
            "lloq_per_ul": 1.2,
            "code": "Q",
            "method": "bead",
            "flags": ";".join([*tube_flags, *flags]),
            "strategy": f"{panel}@3.0.0",
            "tube_sha256": sha256,
            "used": "Y",
        }
        yield tuple(row[name] for name in KINETICS.names)


def measure(folder: Path, rounds: int) -> None:
    """Time writing the page and showing it."""
    from tasks.results.front_page import rewrite_front_page
    from tasks.strategies.in_use import read_snapshot
    from tasks.study.folder import open_study

    snapshot = read_snapshot(open_study(folder))
    seconds, busy = [], []
    for _ in range(rounds):
        start, worked = time.perf_counter(), time.process_time()
        page = rewrite_front_page(snapshot)
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - worked)
    size = (page.parent / "study.js").stat().st_size / 1e6
    print(
        f"written in {statistics.median(seconds):.2f} s, of which {statistics.median(busy):.2f} s "
        f"of one core (medians of {rounds}); study.js {size:.2f} MB"
    )
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is missing: the page was not shown.")
        return
    shown = [show(chromium, page) for _ in range(rounds)]
    paint, ready, drawn, marks = (statistics.median(each) for each in zip(*shown, strict=True))
    print(
        f"first contentful paint {paint:.0f} ms, DOM ready {ready:.0f} ms, all {marks:,.0f} tubes "
        f"drawn {drawn:.0f} ms (medians of {rounds})"
    )


def show(chromium: str, page: Path) -> tuple[float, ...]:
    """Open a copy of the page that tells its own times: paint, DOM ready, drawn (ms), and marks."""
    clock, copy = page.with_name("clock.js"), page.with_name("clock.html")
    tick = page.with_name("tick.js")
    clock.write_text(CLOCK, encoding="utf-8")
    tick.write_text("", encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    copy.write_text(
        text.replace("</head>", '<script src="clock.js" defer></script></head>'), encoding="utf-8"
    )
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [chromium, *BROWSER, f"--user-data-dir={profile}", copy.as_uri()],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    for path in (clock, copy, tick):
        path.unlink()
    told = re.search(r"TIMES (\S+) (\S+) (\S+) (\d+)", done.stdout)
    if told is None:
        raise SystemExit("The page did not tell its times.")
    return tuple(map(float, told.groups()))


if __name__ == "__main__":
    main()
