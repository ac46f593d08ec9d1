"""A row counts only when the log tells of it: what another hand puts in, doubles, changes or takes
out does nothing that the log does not know, and is named."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from tasks.review.audit_trail import keep_head, read_trail
from tasks.review.deciding import decide
from tasks.store.audit import AuditEntry, add_entry
from tasks.store.corrections import (
    CORRECTED,
    WITHDREW,
    Correction,
    Withdrawal,
    read_corrections,
    write_corrections,
    write_withdrawals,
)
from tasks.store.digests import sealed
from tasks.store.exclusions import DONE, Action, Exclusion, excluded_tubes, write_exclusion
from tasks.store.opening import Store, open_store
from tasks.store.people import end_person, people_of, save_person, was_anybody_let_in
from tasks.store.reviews import reviews_of
from tasks.store.schema.decisions import exclusions, people, reviews
from tasks.store.signatures import signatures_of
from tasks.study.folder import Study
from tests.tasks.published_rows import at
from tests.tasks.reviewed_study import P, accept, publish, signed
from tests.tasks.study_folder import make_study

TUBE = "a" * 64


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def study(url: str, tmp_path: Path) -> Study:
    return make_study(tmp_path / "s", settings=f"study: test\nstore: {url}\n")


def by_hand(store: Store, statement: str) -> None:
    with store.writing() as connection:
        connection.execute(text(statement))


def exclude(store: Store, action: Action = "exclude", reason: str = "stained twice") -> None:
    with store.writing() as connection:
        write_exclusion(connection, Exclusion(TUBE, action, "2026-11-30T08:00", "A. Meyer", reason))
        details = {"tube_sha256": TUBE, "reason": reason}
        add_entry(connection, AuditEntry("A. Meyer", DONE[action], "tube aaaa", details))


def correct(store: Store, value: float, before: float = 900.0) -> None:
    made = Correction(
        TUBE,
        "bcell@1.0.0",
        "1" * 64,
        "",
        "",
        "threshold",
        "cd19",
        value,
        before,
        "850 to 9800",
        ("b_cells",),
        "2026-11-30T08:00",
        "A. Meyer",
        "",
        "the valley",
    )
    one = {"kind": "threshold", "name": "cd19", "to": value, "from": before}
    details = {
        "tube_sha256": TUBE,
        "strategy": "bcell@1.0.0",
        "calibration": "",
        "set": [one],
        "second": "",
        "reason": "the valley",
    }
    with store.writing() as connection:
        write_corrections(connection, [made])
        add_entry(connection, AuditEntry("A. Meyer", CORRECTED, "tube aaaa", details))


def withdraw(store: Store, number: int) -> None:
    with store.writing() as connection:
        write_withdrawals(
            connection, [Withdrawal(number, "2026-11-30T09:00", "A. Meyer", "a slip")]
        )
        details = {"tube_sha256": TUBE, "withdrawn": ["cd19"], "reason": "a slip"}
        add_entry(connection, AuditEntry("A. Meyer", WITHDREW, "tube aaaa", details))


def in_force(store: Store) -> list[object]:
    return [each.value for made in read_corrections(store).active().values() for each in made]


def faults(study: Study, store: Store) -> tuple[str, ...]:
    """Give what audit says, which every pass says too."""
    said = read_trail(study, store).faults
    assert [each.split(" `reconflow audit`")[0] for each in keep_head(study, store)] == [
        f"The log of decisions: {each}" for each in said
    ]
    return said


def test_rows_as_they_were_written_count_and_nothing_is_said(study: Study, store: Store) -> None:
    for value in (1000.0, 1100.0):
        correct(store, value)
    assert in_force(store) == [1100.0]
    withdraw(store, 2)
    assert in_force(store) == []
    for action in ("exclude", "include", "exclude", "include", "exclude"):
        exclude(store, action)
    assert excluded_tubes(store) == {TUBE}
    assert faults(study, store) == ()


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE exclusions SET reason = 'x'", "was altered in the store"),
        ("UPDATE exclusions SET action = 'include'", "was altered in the store"),
        ("DELETE FROM exclusions", "Entry 1 (excluded tube aaaa) tells of a row that is not"),
        ("DELETE FROM audit", "has no entry in the log"),
    ],
)
def test_an_exclusion_changed_by_hand_is_named_and_counts_no_more(
    study: Study, store: Store, statement: str, fault: str
) -> None:
    exclude(store)
    by_hand(store, statement)
    assert excluded_tubes(store) == frozenset()
    assert any(fault in each for each in read_trail(study, store).faults)


@pytest.mark.parametrize("action", ["exclude", "include"])
def test_a_forged_exclusion_with_a_right_digest_does_nothing_and_is_named(
    study: Study, store: Store, action: Action
) -> None:
    if action == "include":
        exclude(store)
    with store.writing() as connection:
        write_exclusion(connection, Exclusion(TUBE, action, "2026-12-30T08:00", "Ghost", "x"))
    assert excluded_tubes(store) == ({TUBE} if action == "include" else set())
    (said,) = faults(study, store)
    assert said.startswith(
        f"The row that Ghost {action}d tube aaaaaaaaaaaa has no entry in the log"
    )


def test_a_doubled_exclusion_does_not_change_the_order_of_the_log(
    study: Study, store: Store
) -> None:
    exclude(store)
    exclude(store, "include")
    with store.writing() as connection:
        twice = Exclusion(TUBE, "exclude", "2026-11-30T08:00", "A. Meyer", "stained twice")
        values = {name: getattr(twice, name) for name in ("tube_sha256", "action", "at")}
        values |= {"made_by": twice.made_by, "reason": twice.reason}
        connection.execute(insert(exclusions).values(**sealed(exclusions, values)))
    assert excluded_tubes(store) == frozenset()
    assert len(faults(study, store)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE corrections SET value = '3000.0' WHERE id = 2",
        "UPDATE corrections SET name = 'cd20' WHERE id = 2",
        "DELETE FROM corrections WHERE id = 2",
    ],
)
def test_a_correction_that_was_altered_or_lost_brings_no_earlier_one_back(
    study: Study, store: Store, statement: str
) -> None:
    correct(store, 1000.0)
    correct(store, 1100.0)
    by_hand(store, statement)
    assert in_force(store) == []
    assert any("Entry 2 (corrected tube aaaa)" in each for each in faults(study, store))


def test_a_forged_correction_or_withdrawal_does_nothing_and_is_named(
    study: Study, store: Store
) -> None:
    correct(store, 1000.0)
    (log,) = read_corrections(store).made
    with store.writing() as connection:
        write_corrections(connection, [log])
        write_withdrawals(connection, [Withdrawal(1, "2026-11-30T08:00", "Ghost", "x")])
    assert in_force(store) == [1000.0]
    assert [each.split(" has no entry")[0] for each in faults(study, store)] == [
        "The correction of cd19 in tube aaaaaaaaaaaa",
        "The row that Ghost took correction 1 back",
    ]


def test_a_doubled_decision_or_signature_is_named_and_the_log_gives_the_order(
    study: Study, store: Store
) -> None:
    publish(store, at(28))
    decide(study, (P, "D28", ""), "queried", by="A", comment="why?")
    accept(study)
    signed(study, "reviewed", "approved")
    for table in ("reviews", "signatures"):
        columns = ", ".join(
            column.name for column in reviews.metadata.tables[table].c if column.name != "id"
        )
        first = f"SELECT {columns} FROM {table} ORDER BY id LIMIT 1"
        by_hand(store, f"INSERT INTO {table} ({columns}) {first}")
    assert [each.decision for each in reviews_of(store)] == ["queried", "accepted"]
    assert [each.state for each in signatures_of(store)] == ["reviewed", "approved"]
    assert [each.partition(" is in the store twice")[0] for each in faults(study, store)] == [
        f"The decision on {P} D28",
        f"The signature under {P}",
    ]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE people SET role = 'approver'", "The token of B. Roth as approver was altered"),
        ("UPDATE people SET token_hash = 'other'", "The token of B. Roth as reader was altered"),
        ("DELETE FROM people", "Entry 1 (let in person B. Roth) tells of a row that is not"),
        ("UPDATE people SET ended_at = since", "The token of B. Roth was ended or taken up again"),
    ],
)
def test_a_token_changed_by_hand_lets_nobody_in_and_is_named(
    study: Study, store: Store, statement: str, fault: str
) -> None:
    save_person(store, "B. Roth", "reader", "hash", by="Head")
    assert [each.role for each in people_of(store)] == ["reader"]
    assert faults(study, store) == ()
    by_hand(store, statement)
    assert people_of(store) == []
    assert was_anybody_let_in(store)
    assert faults(study, store)[0].startswith(fault)
    assert end_person(store, "B. Roth", by="Head")
    assert was_anybody_let_in(store), "pages stay closed without a token"


def test_a_forged_person_and_an_ended_token_taken_up_again_let_nobody_in(
    study: Study, store: Store
) -> None:
    save_person(store, "B. Roth", "reader", "hash", by="Head")
    save_person(store, "B. Roth", "approver", "hash", by="Head")
    end_person(store, "B. Roth", by="Head")
    assert faults(study, store) == ()
    by_hand(store, "UPDATE people SET ended_at = NULL")
    with store.writing() as connection:
        entry = connection.execute(text("SELECT sha256 FROM audit WHERE id = 1")).scalar_one()
        ghost = {"name": "Ghost", "role": "approver", "token_hash": "hash", "since": "2026"}
        connection.execute(insert(people).values(**sealed(people, ghost | {"entry": entry})))
    assert people_of(store) == []
    said = faults(study, store)
    assert said[0].startswith("The token of Ghost as approver is in the store twice")
    again = "The token of B. Roth was ended or taken up again by another hand: the log does not"
    assert [each.startswith(again) for each in said[1:]] == [True, True]
