"""Hold what the pages say of a patient beside the tables. A patient appears by pseudonym only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tasks.counting.counts import TubeCounts
from tasks.counting.limits import LimitSettings
from tasks.vocabulary.moments import elapsed_days, instant
from tasks.vocabulary.populations import short_label
from tasks.vocabulary.tube_identity import TubeIdentity


def within_sentence(name: str) -> str:
    """Write a name as it stands inside a sentence: ``Lymphocytes`` small, ``B cells`` as it is."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """What the pages say of a patient beside the tables.

    ``infusions`` maps each product to its time; ``labels`` and ``flag_meanings`` put ids and flags
    into words; ``notes`` are sentences on what is missing and why; ``limits`` are the study's, and
    ``time_zone`` is that of times without offset. ``tubes`` are the counted ones. ``controls`` are
    those of the patient, and of the batches in which the patient's tubes were run. ``gates`` maps
    strategy and population to the gate that holds the population, where it has another name.
    ``has_map`` says whether there is a page of maps beside the report.
    """

    patient: str
    infusions: Mapping[str, datetime]
    labels: Mapping[str, str] = field(default_factory=dict)
    flag_meanings: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    limits: LimitSettings = field(default_factory=LimitSettings)
    time_zone: str | None = None
    baseline_visit: str | None = None
    tubes: Sequence[TubeCounts] = ()
    controls: Sequence[TubeIdentity] = ()
    gates: Mapping[tuple[str, str], str] = field(default_factory=dict)
    has_map: bool = False

    def label(self, population: str) -> str:
        """Name a population in few words, without its markers; an unknown one by its id."""
        return short_label(self.labels, population)

    def label_within(self, population: str) -> str:
        """Name a population inside a sentence: ``lymphocytes``, but ``B cells``."""
        return within_sentence(self.label(population))

    def gate(self, strategy: str, population: str) -> str:
        """Give the gate that holds a population under a strategy (``name@1.0.0``)."""
        return self.gates.get((strategy, population), population)

    def infused_first(self) -> datetime | None:
        """Give the time of the first infusion, which the patient's clock starts with."""
        times = self.infusions.values()
        return min(times, key=lambda time: instant(time, self.time_zone), default=None)

    def infusion_days(self) -> dict[str, float]:
        """Give each product's day on the patient's clock."""
        first = self.infused_first()
        if first is None:
            return {}
        return {
            product: elapsed_days(first, time, self.time_zone)
            for product, time in self.infusions.items()
        }

    def some_gate(self, population: str) -> str:
        """Give the gate that holds a population under whichever strategy reports it."""
        return next(
            (gate for (_, id_), gate in self.gates.items() if id_ == population), population
        )
