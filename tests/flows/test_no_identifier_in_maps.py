"""Maps, clean copies, backups and Prefect's database: no planted name leaves its file."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from flows.server.start import StartingServer
from tasks.simulate.study import write_study
from tasks.study.folder import Study, open_study
from tests.everything_written import readable
from tests.flows.command import Said, reconflow_here
from tests.gating.planted import NAME, PERSONAL, PRIVATE, TRACE

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

KEYS = [key for key in [*PERSONAL, *PRIVATE, "CREATOR", "$ETHNICITY"] if not key.startswith("$P2")]
KEYS = [key for key in KEYS if key not in {"$CYTSN", "$DATE", "$BTIM", "$ETIM", "$BEGINDATETIME"}]
SETTINGS = """workers: 1
intake: {settle_seconds: 0}
explore: {compartments: [t_cells]}
"""


def plant(path: Path) -> None:
    """Write the TEXT of a tube anew at the end of its file, with the name under many keywords."""
    raw = path.read_bytes()
    first, last = int(raw[10:18]), int(raw[18:26])
    delimiter = raw[first : first + 1].decode()
    more = "".join(f"{key}{delimiter}{NAME}{delimiter}" for key in KEYS)
    text = _without(raw[first : last + 1].decode(), delimiter) + more
    place = f"{len(raw):8d}{len(raw) + len(text.encode()) - 1:8d}".encode()
    path.write_bytes(raw[:10] + place + raw[26:] + text.encode())


def _without(text: str, delimiter: str) -> str:
    """Leave out the keywords that are planted."""
    words = text.strip(delimiter).split(delimiter)
    pairs = zip(words[::2], words[1::2], strict=True)
    kept = (word for key, value in pairs if key.upper() not in KEYS for word in (key, value))
    return delimiter + delimiter.join(kept) + delimiter


def add_column(sheet: Path) -> None:
    """Add a column that the contract does not know, with the name in each line."""
    header, *rows = sheet.read_text(encoding="utf-8").splitlines()
    lines = [f"{header},remark", *(f'{row},"{NAME}"' for row in rows)]
    sheet.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    folder = write_study(tmp_path / "s", patients=1, visits=2, events=0.012, workers=1).folder
    for path in (folder / "inbox").glob("*.fcs"):
        if "_cart" in path.name:
            plant(path)
        else:
            path.unlink()
    add_column(folder / "patients.csv")
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(SETTINGS)
    return open_study(folder)


def backed_up_without_sheets(tmp_path: Path) -> set[Path]:
    """Unpack a backup, and give its files but for the sheets, which name whom they name."""
    place = tmp_path / "unpacked"
    with zipfile.ZipFile(tmp_path / "backup.zip") as packed:
        packed.extractall(place)
    found = {each for each in place.rglob("*") if each.is_file()}
    sheets = {each for each in found if each.name in ("samples.csv", "patients.csv")}
    assert len(sheets) == 2
    assert len(found) > 3
    return found - sheets


def test_no_name_leaves_through_maps_copies_backups_or_prefect(
    study: Study,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    standing_server: StartingServer,
) -> None:
    here = ("--study", study.folder)
    said: list[Said] = [reconflow_here(capfd, "run", *here, "--json")]
    assert said[0].document["counted"] == 2
    tubes = sorted(study.archive.rglob("*.fcs"))
    assert all(NAME.encode() in path.read_bytes() for path in tubes)
    commands: list[tuple[str | Path, ...]] = [
        ("explore", "--compartment", "t_cells"),
        ("status",),
        ("status", "--json"),
        ("doctor", "--json"),
        ("audit", "--json"),
        ("backup", tmp_path / "backup.zip"),
        ("deidentify", *tubes, "--output", tmp_path / "clean", "--json"),
        ("export", "--format", "h5ad", "--compartment", "t_cells", "--output", tmp_path / "h5ad"),
    ]
    for words in commands:
        said.append(reconflow_here(capfd, *words, *here))
        assert said[-1].code == 0, (words, said[-1].err)
    for each in said:
        assert TRACE.search(f"{each.out}{each.err}".encode()) is None, each
    home = standing_server.access.home
    assert home is not None
    sheets = {study.samples_sheet, study.patients_sheet, tmp_path / "backup.zip"}
    folders = (tmp_path, home)
    written = {each for folder in folders for each in folder.rglob("*") if each.is_file()}
    written -= {*tubes, *sheets}
    written |= backed_up_without_sheets(tmp_path)
    assert {".js", ".h5ad", ".fcs", ".db", ".npz"} <= {path.suffix for path in written}
    for path in written:
        for content in readable(path):
            assert TRACE.search(content) is None, path


def test_what_is_searched_is_found_in_each_kind_of_file(tmp_path: Path) -> None:
    """A search that cannot find would pass over everything."""
    import io
    import sqlite3

    import h5py
    import matplotlib.pyplot as plt
    import pandas as pd

    from tasks.publish.page_data import packed

    figure = plt.figure()
    figure.savefig(tmp_path / "f.png", metadata={"Title": NAME})
    figure.savefig(tmp_path / "f.pdf", metadata={"Title": NAME})
    plt.close(figure)
    (tmp_path / "p.js").write_text(f'"{packed(np.frombuffer(NAME.encode() * 9, np.uint8))}"')
    pd.DataFrame({"a": [NAME]}).to_parquet(tmp_path / "t.parquet", compression="zstd")
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as nested:
            nested.writestr("a", NAME * 3)
        archive.writestr("b.xlsx", inner.getvalue())
    with h5py.File(tmp_path / "h.h5ad", "w") as file:
        file.create_dataset("x", data=np.bytes_([NAME] * 99), compression="gzip", chunks=(99,))
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute("CREATE TABLE t (a TEXT)")
        database.execute("INSERT INTO t VALUES (?)", (NAME,))
    trace = re.compile(TRACE.pattern, re.IGNORECASE)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 7
    for path in files:
        assert any(trace.search(content) for content in readable(path)), path
