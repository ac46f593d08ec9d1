"""Write a new study folder, ready to be edited."""

import json
from pathlib import Path

from panels.text.errors import SettingsFault
from tasks.sheets.columns import SHEET_COLUMNS
from tasks.study.settings import FILE_NAME, FOLDERS, SHIPPED_STRATEGIES

PINS = (
    "strategies:                         # panel: version of its gating strategy; `reconflow strategy promote` changes it\n"
    + "".join(f"  {panel}: {pin}\n" for panel, pin in SHIPPED_STRATEGIES.items())
)
"""The versions a new study is counted with, as study.yaml has them."""

_FIRST = """\
# Settings of this study. A line that begins with # shows what holds when nothing is set.

study: {name}                      # the name on reports

# start: 2026-01-01                 # tubes collected earlier are not taken up
# time_zone: Europe/Berlin          # where the times of the sheets are meant that have no offset from UTC (+01:00)
# store: sqlite:///reconflow.db     # or postgresql+psycopg://user@host/database for several workers

# inbox: inbox                      # folders, in the study or anywhere
# archive: archive
# quarantine: quarantine
# results: results
# share_seconds: 60                 # a folder that does not answer for so long ends what waits for it

# intake:
#   mode: move                      # leave: nothing in the inbox is touched
#   settle_seconds: 2               # a file is taken up when it has not changed for so long
#   cut_short_seconds: 600          # a file that is not whole is refused when it has not changed for so long
#   filename_pattern: "{{patient}}_{{visit}}_{{panel}}"   # what file names say; samples.csv is asked first
#   keywords: {{instrument: $CYT}}    # FCS keywords that may be believed (never the patient's name)

"""
_LAST = """
# limits:
#   detect_events: 20               # events from which a population counts as detected
#   quantify_events: 50             # events from which it is quantified
#   background_share: 0.0005        # of T cells that a CAR stain shows without CAR cells, where no tube before infusion tells
#   validation_id: ""               # the validation report that justifies them

# recovery:
#   lln_per_ul: 94                  # the laboratory's lower limit of normal for B cells

# kinetics:
#   nca: {{auc_method: lin-up-log-down}}   # rules of the analysis of CAR T cells; all of them in docs/design.md
#   biexponential: true             # fit the decline of CAR T cells with two phases too (alpha, beta, FB)

# cohort:
#   stratify_by: arm                # a column of patients.csv by which patients are compared

# review:
#   four_eyes: true                 # who approves a patient's tables is another person than who reviewed them

# explore:
#   compartments: [b_cells, car_t]  # maps of these cells at the end of every night; exploratory, no table reads them

# nightly:
#   cron: "0 2 * * *"               # every night at two
#   time_zone: Europe/Berlin        # if it is not the study's time zone

# notify:
#   to: ["$LAB_MAIL"]               # Apprise addresses, or $NAME of an environment variable that holds one; no patient is named
#   when: trouble                   # always: after every night

# up:
#   port: 4200                      # of Prefect's pages while `reconflow up` runs; a free one when not set
#   review_port: 8737               # of the review pages; each study on one computer needs its own two

# workers: 4                        # as many as there are processors
# runner: {{kind: dask, address: "tls://host:8786"}}   # workers of a Dask cluster instead, on other computers too: docs/hosts.md
"""
TEMPLATE = _FIRST + PINS + _LAST


def init_study(folder: Path) -> tuple[Path, ...]:
    """Write settings, empty sheets and folders of a new study and give what was written.

    Raises SettingsFault when one of its files is there already; nothing is ever overwritten.
    """
    name = json.dumps(folder.resolve().name or "study", ensure_ascii=False)
    files = {
        FILE_NAME: TEMPLATE.format(name=name),
        "patients.csv": "patient,infused,baseline_visit\n",
        "samples.csv": ",".join(SHEET_COLUMNS) + "\n",
    }
    for each in files:
        if (folder / each).exists():
            raise SettingsFault(
                f"{folder / each} exists already. Name a new folder; nothing was written."
            )
    for each in FOLDERS:
        (folder / each).mkdir(parents=True, exist_ok=True)
    for each, text in files.items():
        (folder / each).write_text(text, encoding="utf-8", newline="\n")
    return tuple(folder / each for each in (*files, *FOLDERS))
