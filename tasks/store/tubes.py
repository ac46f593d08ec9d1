"""Keep the identity of each accepted tube."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from tasks.store.corrections import Binding, read_corrections
from tasks.store.digests import are_intact, is_intact, sealed
from tasks.store.ledger import TAKEN_IN, FileRecord
from tasks.store.opening import Store
from tasks.store.schema.files import files, tubes
from tasks.store.schema.results import GATING_KEY, gatings
from tasks.store.upsert import insert_into
from tasks.vocabulary.tube_identity import TubeIdentity

_FIELDS = tuple(field.name for field in fields(TubeIdentity) if field.name != "time_zone")
_TIMES = ("collected", "acquired")
_OF_FILE = tuple(f"file_{field.name}" for field in fields(FileRecord))
_READ = (*(column.name for column in tubes.c), *(f"file_{column.name}" for column in files.c))
"""The columns of a row of ``_taken_in``, in their order."""
_ROWS_KEPT = 16_384


@dataclass(frozen=True, slots=True)
class Tube:
    """An accepted tube: its identity, its file in the ledger, and what the file itself says of it.

    ``keywords`` maps columns of the sample sheet to the text of the FCS file's keyword.
    ``cytometer`` and ``serial`` are the instrument as the file names it; empty where it names none,
    None where an earlier program took the tube in and the file was not asked yet.
    """

    identity: TubeIdentity
    file: FileRecord
    keywords: Mapping[str, str]
    cytometer: str | None = None
    serial: str | None = None


def save_tube(
    connection: Connection,
    identity: TubeIdentity,
    keywords: Mapping[str, str],
    *,
    cytometer: str | None = None,
    serial: str | None = None,
) -> None:
    """Write a tube's identity, or replace the one it had; all of it is as in ``Tube``."""
    values: dict[str, Any] = {name: getattr(identity, name) for name in _FIELDS}
    values |= {"cytometer": cytometer, "serial": serial}
    values |= {name: _text(values[name]) for name in _TIMES}
    values["keywords"] = json.dumps(dict(keywords), sort_keys=True, ensure_ascii=False)
    values = sealed(tubes, values)
    statement = insert_into(connection, tubes).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["tube_sha256"], set_=values))


def name_cytometer(store: Store, tube_sha256: str, cytometer: str, serial: str) -> None:
    """Write down which instrument a tube's file names; all else stays as it is.

    A row that was altered, or is written by another pass meanwhile, is left alone.
    """
    this = tubes.c.tube_sha256 == tube_sha256
    with store.writing() as connection:
        row = connection.execute(select(tubes).where(this)).first()
        if row is None or not is_intact(tubes, row):
            return
        named = {"cytometer": cytometer, "serial": serial}
        cells = dict(row._mapping)  # noqa: SLF001 - the public name of a row's columns in SQLAlchemy
        digest = sealed(tubes, cells | named)["digest"]
        unchanged = update(tubes).where(this, tubes.c.digest == row.digest)
        connection.execute(unchanged.values(**named, digest=digest))


def taken_in(
    store: Store, *, patient: str | None = None, tube_sha256: str | None = None
) -> list[Tube]:
    """List the tubes that were taken in: all, a patient's, or one.

    They are ordered by patient, time of collection, panel and SHA-256. A tube whose identity was
    altered in the store is left out until it is identified again (`altered_identities`).
    """
    wanted = []
    if patient is not None:
        wanted.append(tubes.c.patient == patient)
    if tube_sha256 is not None:
        wanted.append(tubes.c.tube_sha256 == tube_sha256)
    read = _taken_in(store, *wanted)
    return [tube for tube, intact in read if intact]


def without_cytometer(store: Store) -> list[Tube]:
    """List those tubes of ``taken_in`` whose file was not asked yet which instrument it names."""
    read = _taken_in(store, tubes.c.cytometer.is_(None))
    return [tube for tube, intact in read if intact]


def altered_identities(store: Store) -> list[Tube]:
    """List the tubes taken in whose stored identity is not as it was written."""
    return [tube for tube, intact in _taken_in(store) if not intact]


def _taken_in(store: Store, *wanted: ColumnElement[bool]) -> list[tuple[Tube, bool]]:
    """List tubes taken in, each with whether its stored identity is as it was written."""
    file_columns = [column.label(f"file_{column.name}") for column in files.c]
    chosen = select(tubes, *file_columns).join(files, files.c.sha256 == tubes.c.tube_sha256)
    chosen = chosen.where(files.c.state.in_(TAKEN_IN), *wanted)
    with store.reading() as connection:
        rows = connection.execute(chosen).all()
    read = [_read_row(tuple(row), store.time_zone) for row in rows]
    # Not by the database: times are kept as they were written, and texts with different offsets do
    # not sort by time.
    return [(tube, intact) for tube, intact, _ in sorted(read, key=itemgetter(2))]


def tubes_to_count(  # noqa: PLR0913 - keyword-only options of one query
    store: Store,
    strategies: Mapping[str, str],
    engine_version: str,
    *,
    released: Mapping[str, str] | None = None,
    reference_sets: Mapping[str, str] | None = None,
    panels: Mapping[str, str] | None = None,
    calibrations: Mapping[str, str] | None = None,
    known: Sequence[Tube] | None = None,
) -> list[Tube]:
    """List the tubes to count.

    These are accepted ones, and those that this engine has not counted under their panel's
    strategy. ``strategies`` maps panel to ``name@1.0.0``. With ``released``, which maps
    ``name@1.0.0`` to the SHA-256 of its content, a tube counted under the same name with another
    content is to be counted too: `save_gating` then refuses it with a sentence. With
    ``reference_sets`` (tube → hash of its present reference tubes) so is a tube that was counted
    with other reference tubes. With ``panels`` (panel → SHA-256 of its content now) so is a tube
    counted with another content of its panel; with ``calibrations`` (tube → SHA-256 of the content
    that holds for it now) so is one counted with another calibration. So is one that was not
    counted with the corrections in force. Failed tubes are left out
    until ``reconflow retry``; so are tubes of a panel without strategy. ``known`` are all tubes
    taken in, where they were read already.
    """
    counted = _contents_counted_with(store, engine_version, released or {}, reference_sets)
    due = []
    for tube in taken_in(store) if known is None else known:
        strategy = strategies.get(tube.identity.panel)
        if strategy is None or tube.file.state == "failed":
            continue
        contents = counted.get((tube.identity.tube_sha256, strategy), set())
        if tube.file.state == "accepted" or not _is_counted(tube, contents, panels, calibrations):
            due.append(tube)
    return due


def _is_counted(
    tube: Tube,
    contents: set[tuple[str, str]],
    panels: Mapping[str, str] | None,
    calibrations: Mapping[str, str] | None,
) -> bool:
    """Tell whether a tube was counted with its present panel and calibration (None: with any)."""
    identity = tube.identity
    return any(
        (panels is None or panel == panels.get(identity.panel))
        and (calibrations is None or calibration == calibrations.get(identity.tube_sha256))
        for panel, calibration in contents
    )


def _contents_counted_with(
    store: Store,
    engine_version: str,
    released: Mapping[str, str],
    reference_sets: Mapping[str, str] | None,
) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Map tube and strategy to the contents of panel and calibration they were counted with."""
    names = (*GATING_KEY, "strategy_sha256")
    in_force = read_corrections(store).hashes()
    chosen = select(*(gatings.c[name] for name in names))
    with store.reading() as connection:
        rows = connection.execute(chosen.where(gatings.c.engine_version == engine_version)).all()
    if reference_sets is not None:
        rows = [row for row in rows if row.evidence in {"", reference_sets.get(row.tube_sha256)}]
    contents: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for row in rows:
        name = f"{row.strategy}@{row.version}"
        binding = Binding(row.tube_sha256, name, row.strategy_sha256, row.calibration_sha256)
        if row.correction_sha256 != in_force.get(binding, ""):
            continue
        if released.get(name, row.strategy_sha256) == row.strategy_sha256:
            made_with = (row.panel_sha256, row.calibration_sha256)
            contents.setdefault((row.tube_sha256, name), set()).add(made_with)
    return contents


def _order(identity: TubeIdentity) -> tuple[object, ...]:
    return identity.patient, identity.drawn_at, identity.panel, identity.tube_sha256


@lru_cache(maxsize=_ROWS_KEPT)
def _read_row(row: tuple[Any, ...], time_zone: str | None) -> tuple[Tube, bool, tuple[object, ...]]:
    """Read one row of ``_taken_in``: the tube, whether its identity is intact, and its order.

    A pass reads all tubes a dozen times; a row that was read before is not read and hashed again.
    """
    cells = dict(zip(_READ, row, strict=True))
    record = FileRecord(*(cells[name] for name in _OF_FILE))
    identity = _identity_of(cells, time_zone)
    keywords = json.loads(cells["keywords"])
    tube = Tube(identity, record, keywords, cells["cytometer"], cells["serial"])
    return tube, are_intact(tubes, cells), _order(identity)


def _identity_of(cells: Mapping[Any, Any], time_zone: str | None) -> TubeIdentity:
    values = {name: cells[name] for name in _FIELDS}
    values |= {name: _moment(cells[name]) for name in _TIMES}
    return TubeIdentity(**values, time_zone=time_zone)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
