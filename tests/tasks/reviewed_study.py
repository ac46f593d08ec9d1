"""Tables of one patient as passes publish them, for the tests of reviews and signatures."""

from typing import Any

from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.publish.tables import csv_bytes
from tasks.review.deciding import decide
from tasks.review.restating import restating_entry
from tasks.review.sign_off import sign
from tasks.store.editions import Edition, save_edition
from tasks.store.opening import Store
from tasks.study.folder import Study
from tests.tasks.published_rows import kinetics, parameters

CMAX = ("SLE-001", "blood", "car19_t", "Cmax", 5.3, "1/uL", None, None, "none", 2, "nca/1")
P = "SLE-001"


def publish(store: Store, *changes: dict[str, Any], cmax: float = 5.3) -> Edition:
    """Keep tables of a patient, one tube a change, as a pass does."""
    row = (*CMAX[:4], cmax, *CMAX[5:])
    tables = csv_bytes(kinetics(*changes), KINETICS), csv_bytes(parameters(row), PARAMETERS)
    edition = Edition(P, f"{changes} {cmax}", *tables, b"")
    save_edition(store, edition, restating_entry(store, edition))
    return edition


def accept(study: Study, visit: str = "D28", **options: str) -> None:
    decide(study, (P, visit, options.pop("tube", "")), "accepted", **({"by": "A"} | options))


def signed(study: Study, *states: Any) -> None:
    for state, by in zip(states, ("A. Meyer", "B. Weber", "B. Weber"), strict=False):
        sign(study, P, state, by=by, meaning="all seen")
