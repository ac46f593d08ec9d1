"""Write the report of one patient: sentences, curves, tables and parameters in words.

A patient appears by pseudonym only. The page is readable by itself: style and figures are inside,
and the script beside it only shows what a point says.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.publish.figure_links import gate_address, tube_address
from tasks.publish.pages import render
from tasks.publish.patient_record import PatientRecord
from tasks.publish.result_words import ROOT, Words, by_severity
from tasks.publish.visit_tables import visit_tables
from tasks.publish.wording import (
    CODES,
    METHODS,
    Sentence,
    explained,
    parameter_sentence,
    split_words,
)
from tasks.vocabulary.populations import population_rank
from tasks.vocabulary.severity import Severity, severity_of, worst_first

if TYPE_CHECKING:
    import pandas as pd

TUBE_COLUMNS = ("visit", "day", "specimen", "panel", "strategy")


class FlaggedTube(NamedTuple):
    """A tube with results that have a flag: its name, the populations, and its address."""

    name: str
    populations: tuple[str, ...]
    address: str


class FlagLine(NamedTuple):
    """One flag of the report: how urgent it is, what it means, and which results have it.

    ``tubes`` is empty for a flag that is only good to know: such flags are on very many results.
    """

    word: str
    severity: Severity
    meaning: str
    results: int
    tubes: tuple[FlaggedTube, ...]


class NotEvaluable(NamedTuple):
    """What could not be evaluated in any tube of a visit, and why.

    ``folder`` is the address of the tube whose flags say why.
    """

    tube: str
    populations: str
    reason: str
    folder: str


class TubeLine(NamedTuple):
    """One tube that the tables rest on, with what the sample sheet says of it and its flags.

    ``folder`` is the address of its files, ``address`` that of its page.
    """

    visit: str
    day: float
    specimen: str
    panel: str
    strategy: str
    short: str
    folder: str
    address: str
    file: str
    instrument: str
    batch: str
    review: str
    flags: tuple[Words, ...]


def render_patient_report(
    record: PatientRecord,
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    figures: Mapping[str, str],
    sentences: Sequence[str] = (),
) -> str:
    """Write a patient's report.html.

    ``figures`` are the ``patient_drawings``; ``sentences`` are those of ``course_sentences``.
    """
    populations = sorted(set(kinetics["population"]), key=population_rank)
    methods = set(kinetics["method"])
    values = {
        "record": record,
        "sentences": sentences,
        "tables": visit_tables(record, kinetics),
        "figures": figures,
        "parameters": parameter_sentences(record, parameters),
        "tubes": tube_lines(record, kinetics),
        "versions": counted_with(kinetics),
        "not_evaluable": not_evaluable(record, kinetics),
        "flags": flag_lines(record, kinetics),
        "populations": {name: record.labels[name] for name in populations if name in record.labels},
        "codes": CODES,
        "methods": {name: words for name, words in METHODS.items() if name in methods},
    }
    return render("report.html", values)


def counted_with(kinetics: "pd.DataFrame") -> list[tuple[str, str, str]]:
    """List the strategies, panels and calibrations that counted: name, what it is, SHA-256."""
    kinds = (
        ("strategy", "gating strategy"),
        ("panel", "panel"),
        ("calibration", "calibration of the instrument"),
    )
    versions = []
    for column, what in kinds:
        known = kinetics[kinetics[f"{column}_sha256"].astype(bool)]
        pairs = zip(known[column], known[f"{column}_sha256"], strict=True)
        versions += [(name, what, sha256) for name, sha256 in sorted(set(pairs))]
    return versions


def parameter_sentences(
    record: PatientRecord, parameters: "pd.DataFrame"
) -> list[tuple[str, list[Sentence]]]:
    """Put the parameters into words, one list a population (and specimen other than blood)."""
    sentences: dict[tuple[str, str], list[Sentence]] = {}
    for row in parameters.to_dict("records"):
        key = str(row["specimen"]), str(row["population"])
        sentences.setdefault(key, []).append(parameter_sentence(row))
    titled = []
    for specimen, name in sorted(sentences, key=lambda key: (key[0], population_rank(key[1]))):
        title = record.label(name)
        if specimen != "blood":
            title = f"{title} ({specimen})"
        titled.append((title, sentences[specimen, name]))
    return titled


def flag_lines(record: PatientRecord, kinetics: "pd.DataFrame") -> list[FlagLine]:
    """List the flags of a patient's results, those that forbid their use first."""
    results: dict[str, int] = {}
    tubes: dict[str, dict[tuple[str, str, str], list[str]]] = {}
    for row in kinetics.to_dict("records"):
        tube = str(row["tube_sha256"]), str(row["strategy"]), f"{row['visit']} {row['panel']}"
        for word in split_words(row["flags"]):
            results[word] = results.get(word, 0) + 1
            tubes.setdefault(word, {}).setdefault(tube, []).append(str(row["population"]))
    meanings = explained(results, record.flag_meanings)
    return [
        FlagLine(
            word,
            severity_of(word),
            meanings[word],
            results[word],
            _flagged(record, tubes[word]) if severity_of(word) != "know" else (),
        )
        for word in worst_first(meanings)
    ]


def _flagged(
    record: PatientRecord, tubes: Mapping[tuple[str, str, str], Sequence[str]]
) -> tuple[FlaggedTube, ...]:
    return tuple(
        FlaggedTube(
            name,
            tuple(map(record.label, populations)),
            gate_address(ROOT, sha, record.gate(strategy, populations[0])),
        )
        for (sha, strategy, name), populations in tubes.items()
    )


def tube_lines(record: PatientRecord, kinetics: "pd.DataFrame") -> list[TubeLine]:
    """List the tubes the table rests on, by day, each with all its flags."""
    known = {tube.identity.tube_sha256: tube for tube in record.tubes}
    lines = []
    for sha, group in kinetics.groupby("tube_sha256"):
        first = group.to_dict("records")[0]
        tube = known.get(str(sha))
        identity = tube.identity if tube else None
        flags = [word for words in group["flags"] for word in split_words(words)]
        folder = tube_address(ROOT, str(sha))
        line = TubeLine(
            **{name: first[name] for name in TUBE_COLUMNS},
            short=str(sha)[:12],
            folder=folder,
            address=f"{folder}gating.html",
            file=identity.file if identity else "",
            instrument=(identity.instrument if identity else None) or "",
            batch=(identity.batch if identity else None) or "",
            review=tube.review if tube else "",
            flags=tuple(by_severity(flags)),
        )
        lines.append(line)
    return sorted(lines, key=lambda line: (line.day, line.specimen, line.panel, line.short))


def not_evaluable(record: PatientRecord, kinetics: "pd.DataFrame") -> list[NotEvaluable]:
    """List by visit what could not be evaluated in any tube."""
    from tasks.kinetics.winning_rows import winning_rows

    reasons: dict[tuple[str, str, str], list[str]] = {}
    lost = winning_rows(kinetics)
    for row in lost[lost["code"] == "NE"].to_dict("records"):
        meanings = explained(split_words(row["flags"]), record.flag_meanings)
        reason = " ".join(meanings.values()) or "The tube's counts do not allow a statement."
        folder = tube_address(ROOT, str(row["tube_sha256"]))
        key = f"{row['visit']} {row['panel']}", reason, folder
        reasons.setdefault(key, []).append(record.label(str(row["population"])))
    return [
        NotEvaluable(tube, ", ".join(populations), reason, folder)
        for (tube, reason, folder), populations in reasons.items()
    ]
