"""What a report's points say in a real browser: on focus, on pointing, on the first tap."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from tasks.publish.app_files import app_script
from tasks.publish.patient_figures import patient_drawings
from tasks.publish.report import render_patient_report
from tests.tasks.test_report import CMAX, RECORD, ROWS

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "headless no-sandbox disable-gpu no-first-run disable-background-networking "
    "disable-component-update disable-sync virtual-time-budget=4000 window-size=390,800"
).split()
PROBE = """
addEventListener("load", () => {
  const said = [];
  const told = () => document.querySelector(".told");
  const note = (what) => said.push([what, told().hidden ? "" : told().textContent]);
  const send = (link, kind, pointerType) => {
    const event = new PointerEvent(kind, { pointerType, bubbles: true, cancelable: true });
    link.dispatchEvent(event);
    return event.defaultPrevented;
  };
  const [point] = document.querySelectorAll("a.point");
  const [number] = document.querySelectorAll("a.result");
  point.focus();
  note("focus");
  point.blur();
  note("blur");
  send(number, "pointerover", "mouse");
  note("pointing");
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
  note("escape");
  for (const tap of ["first tap", "second tap"]) {
    send(number, "pointerover", "touch");
    send(number, "pointerdown", "touch");
    const stop = (event) => { said.push([tap, event.defaultPrevented]); event.preventDefault(); };
    addEventListener("click", stop, { once: true });
    send(number, "click", "touch");
  }
  said.push(["titles", document.querySelectorAll("a.result[title]").length]);
  said.push(["wider", document.documentElement.scrollWidth > innerWidth]);
  const labels = [...document.querySelectorAll(".panels text")];
  said.push(["smallest", Math.min(...labels.map((text) => text.getBoundingClientRect().height))]);
  const panels = document.querySelector(".panels").getBoundingClientRect();
  said.push(["cut", [...document.querySelectorAll(".panels svg")].some((svg) =>
    svg.getBoundingClientRect().right > panels.right + 1)]);
  const out = document.createElement("pre");
  out.id = "said";
  out.textContent = JSON.stringify(said);
  document.body.append(out);
});
"""


@pytest.mark.skipif(CHROMIUM is None, reason="CHROMIUM IS MISSING: install it to test the pages")
def test_points_and_numbers_say_what_they_are(tmp_path: Path) -> None:
    page = render_patient_report(RECORD, ROWS, CMAX, patient_drawings(RECORD, ROWS))
    folder = tmp_path / "patients" / "SLE-001"
    folder.mkdir(parents=True)
    (tmp_path / "app.js").write_bytes(app_script())
    (folder / "probe.js").write_text(PROBE, encoding="utf-8")
    probed = page.replace("</body>", '<script src="probe.js"></script></body>')
    (folder / "report.html").write_text(probed, encoding="utf-8")
    flags = [f"--{flag}" for flag in (*FLAGS, f"user-data-dir={tmp_path / 'profile'}")]
    command = [str(CHROMIUM), *flags, "--dump-dom", (folder / "report.html").as_uri()]
    dumped = subprocess.run(command, check=True, capture_output=True, timeout=120)
    found = re.search(r'<pre id="said">(.*?)</pre>', dumped.stdout.decode(), re.DOTALL)
    assert found is not None
    said = dict(json.loads(unescape(found[1])))
    first = "Anti-CD19 CAR-T cells, D-7 (day -7)"
    assert said["focus"].startswith("Anti-CD19 CAR-T cells, D")
    assert (said["blur"], said["escape"]) == ("", "")
    assert said["pointing"].startswith(f"{first}\n<0.5 per µL")
    assert (said["first tap"], said["second tap"]) == (True, False)
    assert said["titles"] == len(ROWS) - 1
    assert not said["wider"]
    assert said["smallest"] > 10, "labels of curves are legible on a phone"
    assert not said["cut"]
