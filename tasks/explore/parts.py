"""Give the parts of a compartment, tube by tube, as counts that can be compared.

Parts are the clusters of the map and the reported populations that divide the compartment, both
counted in the events of the tube.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from tasks.explore.comparison import Amount
from tasks.explore.compartments import SPECIMEN, ancestors
from tasks.kinetics.winning_rows import winning_rows
from tasks.results.stored_tables import frames_of, stored_tables
from tasks.vocabulary.populations import population_rank, short_label

if TYPE_CHECKING:
    from gating.strategy.gates import Gate
    from tasks.explore.compartments import Compartment
    from tasks.explore.placing import PlacedTube
    from tasks.study.folder import Study

Parts = Mapping[str, Mapping[str, Mapping[str, Amount]]]
"""By patient, visit and name of the part."""
Row = Mapping[str, Any]
Results = Mapping[str, Mapping[str, Row]]
"""The rows of kinetics.csv by tube (SHA-256) and population."""
FEWEST_EVENTS = 50
"""A tube with fewer cells of the compartment has no composition."""


def published_results(study: Study) -> Results:
    """Read the published rows of all patients; ``used`` tells whether the tables use a row."""
    found: dict[str, dict[str, Row]] = {}
    for frame in frames_of(stored_tables(study).values(), "kinetics"):
        rows = frame.assign(used=frame.index.isin(winning_rows(frame).index))
        known = rows.astype(object).where(rows.notna(), None)
        for row in cast("list[Row]", known.to_dict("records")):
            found.setdefault(row["tube_sha256"], {})[row["population"]] = row
    return found


def cluster_parts(tubes: Sequence[PlacedTube]) -> Parts:
    """Count the clusters, named by number from 1; of several tubes of a visit the largest counts.

    Tubes come by patient and time.
    """
    largest: dict[tuple[str, str], PlacedTube] = {}
    for each in tubes:
        place = each.identity.patient, each.identity.visit
        known = largest.get(place)
        has_more = known is None or each.events.events > known.events.events
        if each.events.events >= FEWEST_EVENTS and has_more:
            largest[place] = each
    found: dict[str, dict[str, dict[str, Amount]]] = {}
    for (patient, visit), tube in largest.items():
        found.setdefault(patient, {})[visit] = {
            str(number): Amount(events, tube.clusters.counted)
            for number, events in enumerate(tube.clusters.counts, start=1)
        }
    return found


def population_parts(
    results: Results, compartment: Compartment, labels: Mapping[str, str]
) -> Parts:
    """Count the populations that divide the compartment, in the rows that the tables use.

    A population is counted among the compartment's events in the same tube. It is named as pages
    name it.
    """
    names = {each: short_label(labels, each) for each in dividing_populations(compartment)}
    found: dict[str, dict[str, dict[str, Amount]]] = {}
    for rows in results.values():
        whole = rows.get(compartment.population, {}).get("events") or 0
        for row in _used(rows, names) if whole >= FEWEST_EVENTS else ():
            visits = found.setdefault(row["patient"], {})
            amount = Amount(row["events"], whole)
            visits.setdefault(row["visit"], {})[names[row["population"]]] = amount
    return found


def dividing_populations(compartment: Compartment) -> tuple[str, ...]:
    """Name the reported populations in a compartment below whose gates there is no other one.

    A population lies in it by how its gate is drawn, whatever the tubes show: its cells are always
    some of the compartment's. They come in the order of the tables.
    """
    strategy = compartment.used.release.strategy
    gate_of = {name: each for each in strategy.gates for name in each.names}
    reported = {id_: each.gate for id_, each in compartment.used.populations.items()}
    above = {gate for each in reported.values() for gate in ancestors(strategy, each)}
    within = [
        id_
        for id_, gate in reported.items()
        if id_ != compartment.population
        and gate not in above
        and _lies_in(gate, compartment.gate, gate_of)
    ]
    return tuple(sorted(within, key=population_rank))


def _lies_in(gate: str, whole: str, gate_of: Mapping[str, Gate]) -> bool:
    """Tell whether all of a gate's events are of another gate, by how the two are drawn."""
    if gate == whole:
        return True
    if gate == "root":
        return False
    if gate in (gate_of[whole].any_of or ()):
        return True
    own = gate_of[gate]
    parts = (own.parent, *(own.all_of or ()))
    return any(_lies_in(each, whole, gate_of) for each in parts)


def _used(rows: Mapping[str, Row], populations: Mapping[str, str]) -> Iterator[Row]:
    for population in populations:
        row = rows.get(population)
        if row is not None and row["used"] and row["specimen"] == SPECIMEN:
            yield row
