"""Shape the tables like SDTM: CP (cell phenotype findings), SUPPCP, PC and PP of the CAR-T products, and a define sheet.

Variables and their order follow the SDTM Implementation Guide 3.4; controlled terms of the study's
own (test codes of populations) are marked as such in the define sheet. Day numbers have no zero:
the date of the first infusion is 1, the date before it -1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.export.study_day import study_day
from tasks.kinetics.wide_table import print_result
from tasks.kinetics.winning_rows import percent_limits, winning_rows
from tasks.publish.wording import CODES
from tasks.vocabulary.flags import meanings
from tasks.vocabulary.populations import CAR_PRODUCTS, SDTM_CODES
from tasks.vocabulary.reasons import why_of

if TYPE_CHECKING:
    import pandas as pd

    from tasks.export.study_data import StudyData

Row = Mapping[Hashable, Any]
Variables = tuple[tuple[str, str, str, str], ...]
"""Name, label, type and origin of each variable of a data set."""

PARAMETER_CODES = {
    "Cmax": ("CMAX", "Max Conc", ""),
    "Tmax": ("TMAX", "Time of CMAX", ""),
    "AUC0-28": ("AUCINT", "AUC from T1 to T2", "P28D"),
    "AUC0-84": ("AUCINT", "AUC from T1 to T2", "P84D"),
    "AUC0-168": ("AUCINT", "AUC from T1 to T2", "P168D"),
    "AUClast": ("AUCLST", "AUC to Last Nonzero Conc", ""),
    "AUCall": ("AUCALL", "AUC All", ""),
    "Clast": ("CLST", "Last Nonzero Conc", ""),
    "Tlast": ("TLST", "Time of Last Nonzero Conc", ""),
    "lambda_z": ("LAMZ", "Lambda z", ""),
    "half_life": ("LAMZHL", "Half-Life Lambda z", ""),
    "Tbql": ("TBQL", "Time of First Conc Below LLOQ", ""),
    "doubling_time": ("TDOUBLE", "Doubling Time", ""),
    "persistence_wk24": ("PERSW24", "Persistence at Week 24", ""),
}
_IDENTIFIERS: Variables = (
    ("STUDYID", "Study Identifier", "Char", "study.yaml"),
    ("DOMAIN", "Domain Abbreviation", "Char", "assigned"),
    ("USUBJID", "Unique Subject Identifier", "Char", "study and patient"),
)
CP: Variables = (
    *_IDENTIFIERS,
    ("CPSEQ", "Sequence Number", "Num", "assigned, within subject"),
    ("CPGRPID", "Group ID", "Char", "tube: first 12 digits of the SHA-256 of its file"),
    (
        "CPTESTCD",
        "Test or Examination Short Name",
        "Char",
        "population id, by the table of this sheet; the study's own terms",
    ),
    ("CPTEST", "Name of Measurement, Test or Examination", "Char", "population id"),
    ("CPCAT", "Category for Cell Phenotype", "Char", "assigned: IMMUNOPHENOTYPING"),
    ("CPSCAT", "Subcategory for Cell Phenotype", "Char", "CONCENTRATION or PERCENTAGE"),
    ("CPGATE", "Gate", "Char", "parent gate"),
    ("CPORRES", "Result or Finding in Original Units", "Char", "as printed in kinetics_wide.csv"),
    ("CPORRESU", "Original Units", "Char", "/uL, or % of the reference population"),
    ("CPSTRESC", "Result or Finding in Standard Format", "Char", "as CPORRES"),
    (
        "CPSTRESN",
        "Numeric Result/Finding in Standard Units",
        "Num",
        "per_ul or percent_reference of Q and DNQ",
    ),
    ("CPSTRESU", "Standard Units", "Char", "as CPORRESU"),
    ("CPSTAT", "Completion Status", "Char", "NOT DONE where not evaluable (code NE)"),
    ("CPREASND", "Reason Not Done", "Char", "sentence of the flag that says why"),
    ("CPSPEC", "Specimen Material Type", "Char", "BLOOD or BONE MARROW"),
    ("CPMETHOD", "Method of Test or Examination", "Char", "assigned: FLOW CYTOMETRY"),
    ("CPLLOQ", "Lower Limit of Quantitation", "Num", "lloq_per_ul of the tube"),
    ("VISIT", "Visit Name", "Char", "visit"),
    ("CPDTC", "Date/Time of Specimen Collection", "Char", "collected"),
    (
        "CPDY",
        "Study Day of Specimen Collection",
        "Num",
        "from the day of the first infusion, which is 1",
    ),
)
SUPPCP: Variables = (
    ("STUDYID", "Study Identifier", "Char", "study.yaml"),
    ("RDOMAIN", "Related Domain Abbreviation", "Char", "assigned: CP"),
    ("USUBJID", "Unique Subject Identifier", "Char", "study and patient"),
    ("IDVAR", "Identifying Variable", "Char", "assigned: CPSEQ"),
    ("IDVARVAL", "Identifying Variable Value", "Char", "CPSEQ"),
    ("QNAM", "Qualifier Variable Name", "Char", "assigned"),
    ("QLABEL", "Qualifier Variable Label", "Char", "assigned"),
    ("QVAL", "Data Value", "Char", "kinetics.csv"),
)
PC: Variables = (
    *_IDENTIFIERS,
    ("PCSEQ", "Sequence Number", "Num", "assigned, within subject"),
    ("PCGRPID", "Group ID", "Char", "tube: first 12 digits of the SHA-256 of its file"),
    ("PCTESTCD", "Pharmacokinetic Test Short Name", "Char", "product; the study's own terms"),
    ("PCTEST", "Pharmacokinetic Test Name", "Char", "population id"),
    ("PCCAT", "Test Category", "Char", "assigned: CELLULAR KINETICS"),
    ("PCORRES", "Result or Finding in Original Units", "Char", "as printed in kinetics_wide.csv"),
    ("PCORRESU", "Original Units", "Char", "/uL"),
    ("PCSTRESC", "Character Result/Finding in Std Format", "Char", "as PCORRES"),
    ("PCSTRESN", "Numeric Result/Finding in Standard Units", "Num", "per_ul of Q and DNQ"),
    ("PCSTRESU", "Standard Units", "Char", "/uL"),
    ("PCSTAT", "Completion Status", "Char", "NOT DONE where not evaluable (code NE)"),
    ("PCREASND", "Reason Not Done", "Char", "sentence of the flag that says why"),
    ("PCSPEC", "Specimen Material Type", "Char", "BLOOD"),
    ("PCMETHOD", "Method of Test or Examination", "Char", "assigned: FLOW CYTOMETRY"),
    ("PCLLOQ", "Lower Limit of Quantitation", "Num", "lloq_per_ul of the tube"),
    ("VISIT", "Visit Name", "Char", "visit"),
    ("PCDTC", "Date/Time of Specimen Collection", "Char", "collected"),
    (
        "PCDY",
        "Actual Study Day of Specimen Collection",
        "Num",
        "from the day of the first infusion, which is 1",
    ),
)
PP: Variables = (
    *_IDENTIFIERS,
    ("PPSEQ", "Sequence Number", "Num", "assigned, within subject"),
    ("PPTESTCD", "Parameter Short Name", "Char", "parameters.csv, by the table of this sheet"),
    ("PPTEST", "Parameter Name", "Char", "name of PPTESTCD"),
    ("PPCAT", "Parameter Category", "Char", "product"),
    ("PPORRES", "Result or Finding in Original Units", "Char", "value of parameters.csv"),
    ("PPORRESU", "Original Units", "Char", "unit of parameters.csv"),
    ("PPSTRESC", "Character Result/Finding in Std Format", "Char", "as PPORRES"),
    ("PPSTRESN", "Numeric Result/Finding in Standard Units", "Num", "value"),
    ("PPSTRESU", "Standard Units", "Char", "as PPORRESU"),
    ("PPSTAT", "Completion Status", "Char", "NOT DONE where not estimable"),
    (
        "PPREASND",
        "Reason Parameter Not Calculated",
        "Char",
        "sentence of the reason in the definition of parameters.csv",
    ),
    ("PPSPEC", "Specimen Material Type", "Char", "BLOOD"),
    ("PPSTINT", "Planned Start of Assessment Interval", "Char", "P0D for AUCINT"),
    ("PPENINT", "Planned End of Assessment Interval", "Char", "P28D, P84D, P168D for AUCINT"),
)
DATASETS: Mapping[str, Variables] = {"cp": CP, "suppcp": SUPPCP, "pc": PC, "pp": PP}
SPECIMENS = {"blood": "BLOOD", "marrow": "BONE MARROW"}
QUALIFIERS = (
    ("CPCODE", "Result Code", "code"),
    ("CPCILOW", "Lower Limit of 95% Interval", "per_ul_low"),
    ("CPCIHIGH", "Upper Limit of 95% Interval", "per_ul_high"),
    ("CPLLOD", "Lower Limit of Detection", "lod_per_ul"),
    ("CPEVENTS", "Events Counted", "events"),
    ("CPCOUNT", "Counting Method", "method"),
    ("CPFLAGS", "Flags", "flags"),
    ("CPSTRATG", "Gating Strategy", "strategy"),
    ("CPPANSHA", "SHA-256 of Panel Definition", "panel_sha256"),
)


def sdtm_tables(data: StudyData) -> dict[str, pd.DataFrame]:
    """Give the data sets cp, suppcp, pc, pp and the define sheet."""
    import pandas as pd

    findings = list(_findings(data))
    tables: dict[str, list[tuple[object, ...]]] = {
        "cp": [record for record, _ in findings],
        "suppcp": [line for record, row in findings for line in _qualifiers(record, row)],
        "pc": list(_concentrations(data)),
        "pp": list(_parameters(data)),
    }
    frames = {
        name: pd.DataFrame(rows, columns=[variable[0] for variable in DATASETS[name]])
        for name, rows in tables.items()
    }
    return frames | {"define": _define(data)}


def _findings(data: StudyData) -> Iterator[tuple[tuple[object, ...], Row]]:
    """Yield a record a tube × population × unit, with the row it comes from.

    Blood has a concentration, and a percentage where one is given; marrow has a percentage alone.
    """
    codes = _codes(data)
    limits = data.kinetics.assign(lod_percent=percent_limits(data.kinetics, data.detect_events))
    for patient, rows in _by_patient(limits):
        number = 0
        for row in rows:
            for concentration in (True, False) if row["specimen"] == "blood" else (False,):
                if (
                    not concentration
                    and row["specimen"] == "blood"
                    and _number(row["percent_reference"]) is None
                ):
                    continue
                number += 1
                finding = _finding(data, row, codes, concentration=concentration)
                yield (data.study, "CP", _subject(data.study, patient), number, *finding), row


def _finding(
    data: StudyData, row: Row, codes: Mapping[str, str], *, concentration: bool
) -> tuple[object, ...]:
    """Give a record from CPGRPID on."""
    amount = _number(row["per_ul"] if concentration else row["percent_reference"])
    value = amount if row["code"] in ("Q", "DNQ") or not concentration else None
    told = print_result(row) if concentration or row["specimen"] != "blood" else f"{amount:.10g}"
    unit = "/uL" if concentration else f"% of {row['reference']}"
    done = told != "NE"
    result = (told, unit, told, value, unit) if done else ("", "", "", None, "")
    return (
        *(
            str(row["tube_sha256"])[:12],
            codes[row["population"]],
            row["population"],
            "IMMUNOPHENOTYPING",
        ),
        *("CONCENTRATION" if concentration else "PERCENTAGE", row["parent"], *result),
        *(
            "" if done else "NOT DONE",
            "" if done else _reason(row),
            SPECIMENS[row["specimen"]],
            "FLOW CYTOMETRY",
        ),
        *(
            _number(row["lloq_per_ul"]) if concentration else None,
            row["visit"],
            row["collected"],
            _study_day(data, row),
        ),
    )


def _written(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if math.isnan(value) else f"{value:.10g}"


def _qualifiers(record: Sequence[object], row: Row) -> Iterator[tuple[object, ...]]:
    if record[8] != "CONCENTRATION" and row["specimen"] == "blood":
        return
    for name, label, column in QUALIFIERS:
        text = _written(row[column])
        if text:
            yield (record[0], "CP", record[2], "CPSEQ", str(record[3]), name, label, text)


def _concentrations(data: StudyData) -> Iterator[tuple[object, ...]]:
    """Yield a record a visit × product: the winning tube's, as the parameters take it."""
    codes = _codes(data)
    blood = data.kinetics[data.kinetics["specimen"] == "blood"]
    for patient, rows in _by_patient(winning_rows(blood)):
        own = [row for row in rows if row["population"] in CAR_PRODUCTS]
        for number, row in enumerate(own, 1):
            value = _number(row["per_ul"]) if row["code"] in ("Q", "DNQ") else None
            told = print_result(row)
            done = told != "NE"
            yield (
                *(
                    data.study,
                    "PC",
                    _subject(data.study, patient),
                    number,
                    str(row["tube_sha256"])[:12],
                ),
                *(codes[row["population"]], row["population"], "CELLULAR KINETICS"),
                *(
                    told if done else "",
                    "/uL" if done else "",
                    told if done else "",
                    value,
                    "/uL" if done else "",
                ),
                *(
                    "" if done else "NOT DONE",
                    "" if done else _reason(row),
                    "BLOOD",
                    "FLOW CYTOMETRY",
                    _number(row["lloq_per_ul"]),
                ),
                *(row["visit"], row["collected"], _study_day(data, row)),
            )


def _why(row: Row) -> str:
    why = why_of(str(row["definition"]))
    return why.sentence if why else str(row["definition"])


def _parameters(data: StudyData) -> Iterator[tuple[object, ...]]:
    for patient, rows in _by_patient(data.parameters):
        own = [
            row
            for row in rows
            if row["population"] in CAR_PRODUCTS and row["parameter"] in PARAMETER_CODES
        ]
        for number, row in enumerate(own, 1):
            code, name, end = PARAMETER_CODES[row["parameter"]]
            value = _number(row["value"])
            text = "" if value is None else f"{value:.10g}"
            unit = row["unit"] if text else ""
            yield (
                *(
                    data.study,
                    "PP",
                    _subject(data.study, patient),
                    number,
                    code,
                    name,
                    row["population"],
                    text,
                    unit,
                    text,
                    value,
                    unit,
                ),
                *(
                    "" if text else "NOT DONE",
                    "" if text else _why(row),
                    "BLOOD",
                    "P0D" if end else "",
                    end,
                ),
            )


def _define(data: StudyData) -> pd.DataFrame:
    """Describe every variable, and every term that is the study's own."""
    import pandas as pd

    rows = [
        (name.upper(), *variable) for name, variables in DATASETS.items() for variable in variables
    ]
    rows += [
        ("CP", "CPTESTCD", code, "term", population) for population, code in _codes(data).items()
    ]
    rows += [
        ("PP", "PPTESTCD", code, "term", parameter)
        for parameter, (code, _, _) in PARAMETER_CODES.items()
    ]
    rows += [("SUPPCP", "QVAL of CPCODE", code, "term", meaning) for code, meaning in CODES.items()]
    rows += [
        ("SUPPCP", "QVAL of CPFLAGS", flag, "term", meaning) for flag, meaning in meanings().items()
    ]
    return pd.DataFrame(rows, columns=["dataset", "variable", "label", "type", "origin"])


def _codes(data: StudyData) -> dict[str, str]:
    """Give every population its test code: eight letters and digits at most, none twice."""
    found: dict[str, str] = {}
    for population in dict.fromkeys(data.kinetics["population"]):
        plain = re.sub(r"[^A-Z0-9]", "", str(population).upper()).lstrip("0123456789") or "POP"
        code, number = SDTM_CODES.get(population, plain[:8]), 2
        while code in found.values():
            code, number = f"{plain[: 8 - len(str(number))]}{number}", number + 1
        found[population] = code
    return found


def _by_patient(frame: pd.DataFrame) -> Iterator[tuple[str, Sequence[Row]]]:
    for patient, rows in frame.groupby("patient", sort=True):
        yield str(patient), rows.to_dict("records")


def _subject(study: str, patient: str) -> str:
    return f"{study}-{patient}"


def _study_day(data: StudyData, row: Row) -> int:
    collected = datetime.fromisoformat(str(row["collected"]))
    infused = data.infused.get(str(row["patient"]))
    return study_day(collected, float(row["day"]), infused, data.time_zone)


def _reason(row: Row) -> str:
    sentences = meanings()
    told = [sentences[flag] for flag in str(row["flags"]).split(";") if flag in sentences]
    return told[-1] if told else CODES[row["code"]]


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - NaN
