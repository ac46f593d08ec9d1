"""A signature is under the tables that were signed; what changes them ends it and is listed."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from panels.files.csv_cells import csv_text
from panels.text.errors import UsageFault
from tasks.review.audit_trail import read_trail
from tasks.review.deciding import decide
from tasks.review.overview import patients_signed
from tasks.review.restated import Restated, RestatedValue
from tasks.review.restating import restating_entry
from tasks.review.seen import rows_in
from tasks.review.sign_off import restated_since, sign, signed_at, standing
from tasks.store.audit import entries
from tasks.store.editions import WITHDRAWN, Edition, save_edition
from tasks.store.opening import Store, open_store
from tasks.store.signatures import signatures_of
from tasks.study.folder import Study, open_study
from tests.tasks.published_rows import at
from tests.tasks.reviewed_study import P, accept, publish, signed
from tests.tasks.study_folder import make_study


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def study(url: str, tmp_path: Path) -> Study:
    return make_study(tmp_path / "s", settings=f"study: test\nstore: {url}\n")


def test_states_are_signed_in_their_order_by_two_persons(study: Study, store: Store) -> None:
    publish(store, at(28))
    assert standing(store, P).state == "draft"
    with pytest.raises(UsageFault, match="a draft: sign them as reviewed first"):
        sign(study, P, "approved", by="B", meaning="x")
    sign(study, P, "reviewed", by="A. Meyer", meaning="all gates seen")
    with pytest.raises(UsageFault, match="another person has to approve them"):
        sign(study, P, "approved", by=" a.  MEYER", meaning="x")
    with pytest.raises(UsageFault, match="reviewed already, by A"):
        sign(study, P, "reviewed", by="B", meaning="x")
    with pytest.raises(UsageFault, match="sign them as approved first"):
        sign(study, P, "released", by="B", meaning="x")
    sign(study, P, "approved", by="B. Weber", meaning="I agree")
    now = sign(study, P, "released", by="A. Meyer", meaning="for the data board")
    assert (now.state, now.by, now.meaning) == ("released", "A. Meyer", "for the data board")
    assert [each.state for each in now.signatures] == ["reviewed", "approved", "released"]
    actions = [each.action for each in entries(store)]
    assert actions == ["signed as reviewed", "signed as approved", "signed as released"]
    assert read_trail(study, store).verified


def test_one_person_may_do_both_where_the_study_says_so(study: Study, store: Store) -> None:
    publish(store, at(28))
    with (study.folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("review: {four_eyes: false}\n")
    alone = open_study(study.folder)
    for state in ("reviewed", "approved"):
        assert sign(alone, P, state, by="A", meaning="x").state == state


@pytest.mark.parametrize(("state", "then"), [("approved", "draft"), ("released", "amended")])
def test_whatever_changes_the_tables_ends_a_signature_and_lists_what_changed(
    study: Study, store: Store, state: str, then: str
) -> None:
    publish(store, at(28), at(56))
    signed(study, *("reviewed", "approved", "released")[: 2 if state == "approved" else 3])
    publish(store, at(28), at(56, strategy="cart@2.0.0", per_ul=5.1), cmax=5.1)
    now = standing(store, P)
    assert (now.state, now.by) == (then, "")
    assert now.reopened_because == (
        "1 published value changed (counted under cart@2.0.0 instead of cart@1.0.0: 1), "
        "1 parameter changed"
    )
    changed = restated_since(store, now)
    assert changed is not None
    (value,) = changed.values
    assert (value.visit, value.what, value.then, value.now) == ("D56", "per_ul", "5.3", "5.1")
    told = json.loads(entries(store)[-1].details)
    assert entries(store)[-1].action == "restated"
    assert told["signature"].startswith(f"{state} by B. Weber at ")
    assert told["first"] == [value.text]
    with pytest.raises(UsageFault, match="sign them as reviewed first"):
        sign(study, P, "released", by="C", meaning="x")
    sign(study, P, "reviewed", by="C", meaning="seen again")
    assert standing(store, P).state == "reviewed"


def test_new_visits_end_a_signature_and_restate_nothing(study: Study, store: Store) -> None:
    publish(store, at(28))
    signed(study, "reviewed")
    publish(store, at(28), at(56))
    assert standing(store, P).reopened_because == "1 row came"
    assert "signature" in json.loads(entries(store)[-1].details)
    publish(store, at(28), at(56), at(84))
    assert [each.action for each in entries(store)] == ["signed as reviewed", "restated"]


def test_tables_written_again_with_the_same_numbers_stay_signed(study: Study, store: Store) -> None:
    first = publish(store, at(28))
    signed(study, "reviewed")
    rows = [row | {"review": "accepted"} for row in rows_in(first.kinetics)]
    written = csv_text(rows[0], (list(row.values()) for row in rows))
    save_edition(store, replace(first, fingerprint="other", kinetics=written.encode()))
    assert standing(store, P).state == "reviewed"


def test_what_was_signed_at_a_cut_is_told_and_tables_altered_since_are_not_signed(
    study: Study, store: Store
) -> None:
    publish(store, at(28))
    signed(study, "reviewed", "approved")
    cut = datetime.now(UTC)
    publish(store, at(28) | {"per_ul": 5.1})
    told = signed_at(store, cut)
    assert told.keys() == {P}
    assert told[P].startswith("approved by B. Weber at ")
    assert signed_at(store, datetime.now(UTC)) == {}
    with store.writing() as connection:
        connection.execute(text("UPDATE editions SET fingerprint = 'x'"))
    assert standing(store, P).state == "draft"
    assert "altered" in standing(store, P).reopened_because


def test_a_visit_with_an_open_question_is_not_signed(study: Study, store: Store) -> None:
    publish(store, at(28), at(56))
    decide(study, (P, "D28", ""), "repeat", by="B", comment="clot in the tube")
    with pytest.raises(UsageFault, match=r"D28 is to be repeated, says B \(clot in the tube\)"):
        sign(study, P, "reviewed", by="A", meaning="x")
    accept(study)
    sign(study, P, "reviewed", by="A", meaning="x")
    assert json.loads(entries(store)[-1].details)["not_accepted"] == ["D56"]


def test_a_data_cut_is_signed_as_it_was_and_stays_signed(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = datetime.now(UTC) - timedelta(days=3)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.store.editions.utc_now", earlier.isoformat)
        publish(store, at(28))
    publish(store, at(28) | {"per_ul": 5.2})
    cut = str((earlier + timedelta(days=1)).date())
    sign(study, P, "reviewed", by="A", meaning="x", data_cut=cut)
    assert sign(study, P, "approved", by="B", meaning="x", data_cut=cut).by == "B"
    assert standing(store, P).state == "draft"
    publish(store, at(28) | {"per_ul": 5.1})
    assert standing(store, P, cut).state == "approved"
    assert signed_at(store, datetime.now(UTC)) == {}
    listed = [(each.data_cut, each.state) for each in patients_signed(store)]
    assert listed == [("", "draft"), (cut, "approved")]


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2999-12-31", "has not ended"),
        ("soon", "not a day"),
        ("2020-01-01", "had no tables on 2020-01-01"),
    ],
)
def test_a_day_that_is_no_data_cut_is_not_signed(
    study: Study, store: Store, day: str, said: str
) -> None:
    publish(store, at(28))
    with pytest.raises(UsageFault, match=said):
        sign(study, P, "reviewed", by="A", meaning="x", data_cut=day)
    assert signatures_of(store) == []


def test_two_who_approve_at_once_are_told_apart(study: Study, store: Store) -> None:
    publish(store, at(28))
    signed(study, "reviewed")

    def approve(name: str) -> str:
        try:
            return sign(study, P, "approved", by=name, meaning="x").by
        except UsageFault as fault:
            return f"refused: {fault}"

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(approve, "BCD"))
    assert sum(each.startswith("refused") for each in answers) == 2
    assert [each.state for each in signatures_of(store)] == ["reviewed", "approved"]


def test_a_patient_whose_tubes_all_went_elsewhere_is_told_and_not_signed_any_more(
    study: Study, store: Store
) -> None:
    publish(store, at(28))
    signed(study, "reviewed", "approved", "released")
    gone = Edition(P, WITHDRAWN)
    save_edition(store, gone, restating_entry(store, gone))
    assert standing(store, P).state == "amended"
    told = json.loads(entries(store)[-1].details)
    assert told["summary"] == "all tubes went to other patients"
    assert [each.state for each in patients_signed(store)] == ["amended"]


def test_a_flag_that_changed_is_not_told_as_a_number_that_changed():
    def changed(what: str) -> RestatedValue:
        return RestatedValue("kinetics", "D28", "car19_t", what, "1", "2", "a person did")

    both = Restated((changed("per_ul"), changed("flags"), changed("corrected")), (), 0)
    assert both.sentence == (
        "1 published value changed (a person did: 1), 2 flags changed (a person did: 2)"
    )
    assert Restated((changed("flags"),), (), 0).sentence == "1 flag changed (a person did: 1)"
