"""Shape the tables like SDTM: CP, SUPPCP, PC, PP and a define sheet.

CP are cell phenotype findings with their qualifiers in SUPPCP; PC and PP are concentrations and
parameters of the CAR-T products. The variables are those of ``sdtm_variables``. Day numbers have no
zero: the date of the first infusion is 1, the date before it -1.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from math import isnan
from typing import TYPE_CHECKING, Any

from tasks.export.sdtm_variables import (
    CONCENTRATION_LIMITS,
    DATASETS,
    OF_THE_ROW,
    PARAMETER_CODES,
    PERCENT_LIMITS,
    SPECIMENS,
)
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
Record = dict[str, object]
"""One record of a data set, by variable."""


def sdtm_tables(data: StudyData) -> dict[str, pd.DataFrame]:
    """Give the data sets cp, suppcp, pc, pp and the define sheet."""
    findings = list(_findings(data))
    return {
        "cp": _frame("cp", [record for record, _ in findings]),
        "suppcp": _frame("suppcp", [each for pair in findings for each in _qualifiers(*pair)]),
        "pc": _frame("pc", list(_concentrations(data))),
        "pp": _frame("pp", list(_parameters(data))),
        "define": _define(data),
    }


def _frame(dataset: str, records: Sequence[Record]) -> pd.DataFrame:
    import pandas as pd

    names = [name for name, *_ in DATASETS[dataset]]
    return pd.DataFrame([[record[name] for name in names] for record in records], columns=names)


def _findings(data: StudyData) -> Iterator[tuple[Record, Row]]:
    """Yield a record a tube × population × unit, with the row it comes from.

    Blood has a concentration, and a percentage where one is given; marrow has a percentage alone.
    """
    codes = _test_codes(data)
    limits = data.kinetics.assign(lod_percent=percent_limits(data.kinetics, data.detect_events))
    for patient, rows in _by_patient(limits):
        number = 0
        for row in rows:
            for category in _categories(row):
                number += 1
                record = _identifiers(data, "CP", patient, number)
                yield record | _finding(data, row, codes[row["population"]], category), row


def _categories(row: Row) -> tuple[str, ...]:
    if row["specimen"] != "blood":
        return ("PERCENTAGE",)
    if _number(row["percent_reference"]) is None:
        return ("CONCENTRATION",)
    return "CONCENTRATION", "PERCENTAGE"


def _finding(data: StudyData, row: Row, code: str, category: str) -> Record:
    """Give the variables of CP after the identifiers."""
    is_concentration = category == "CONCENTRATION"
    amount = _number(row["per_ul"] if is_concentration else row["percent_reference"])
    unit = "/uL" if is_concentration else f"% of {row['reference']}"
    is_printed = is_concentration or row["specimen"] != "blood"
    text = print_result(row, with_unit=False) if is_printed else f"{amount:.10g}"
    value = None if is_concentration and row["code"] not in {"Q", "DNQ"} else amount
    return {
        "CPGRPID": str(row["tube_sha256"])[:12],
        "CPTESTCD": code,
        "CPTEST": row["population"],
        "CPCAT": "IMMUNOPHENOTYPING",
        "CPSCAT": category,
        "CPGATE": row["parent"],
        **_result("CP", text, value, unit, not_done=_not_evaluable(text, row)),
        "CPSPEC": SPECIMENS[row["specimen"]],
        "CPMETHOD": "FLOW CYTOMETRY",
        "CPLLOQ": _number(row["lloq_per_ul"]) if is_concentration else None,
        **_timing(data, "CP", row),
    }


def _qualifiers(finding: Record, row: Row) -> Iterator[Record]:
    """Yield the records of SUPPCP that belong to a record of CP."""
    is_percent = finding["CPSCAT"] != "CONCENTRATION"
    qualifiers = PERCENT_LIMITS if is_percent else CONCENTRATION_LIMITS
    if not (is_percent and row["specimen"] == "blood"):
        qualifiers += OF_THE_ROW
    for name, label, column in qualifiers:
        text = _written(row[column])
        if text:
            yield {
                "STUDYID": finding["STUDYID"],
                "RDOMAIN": "CP",
                "USUBJID": finding["USUBJID"],
                "IDVAR": "CPSEQ",
                "IDVARVAL": str(finding["CPSEQ"]),
                "QNAM": name,
                "QLABEL": label,
                "QVAL": text,
            }


def _concentrations(data: StudyData) -> Iterator[Record]:
    """Yield a record a visit × product: the winning tube's, as the parameters take it."""
    codes = _test_codes(data)
    blood = data.kinetics[data.kinetics["specimen"] == "blood"]
    for patient, rows in _by_patient(winning_rows(blood)):
        of_products = [row for row in rows if row["population"] in CAR_PRODUCTS]
        for number, row in enumerate(of_products, 1):
            text = print_result(row)
            value = _number(row["per_ul"]) if row["code"] in {"Q", "DNQ"} else None
            yield {
                **_identifiers(data, "PC", patient, number),
                "PCGRPID": str(row["tube_sha256"])[:12],
                "PCTESTCD": codes[row["population"]],
                "PCTEST": row["population"],
                "PCCAT": "CELLULAR KINETICS",
                **_result("PC", text, value, "/uL", not_done=_not_evaluable(text, row)),
                "PCSPEC": "BLOOD",
                "PCMETHOD": "FLOW CYTOMETRY",
                "PCLLOQ": _number(row["lloq_per_ul"]),
                **_timing(data, "PC", row),
            }


def _parameters(data: StudyData) -> Iterator[Record]:
    """Yield a record a parameter of a product that has a code in SDTM."""
    for patient, rows in _by_patient(data.parameters):
        coded = [
            row
            for row in rows
            if row["population"] in CAR_PRODUCTS and row["parameter"] in PARAMETER_CODES
        ]
        for number, row in enumerate(coded, 1):
            code, name, end = PARAMETER_CODES[row["parameter"]]
            value = _number(row["value"])
            text = "" if value is None else f"{value:.10g}"
            not_done = None if text else _why(row)
            yield {
                **_identifiers(data, "PP", patient, number),
                "PPTESTCD": code,
                "PPTEST": name,
                "PPCAT": row["population"],
                **_result("PP", text, value, row["unit"], not_done=not_done),
                "PPSPEC": "BLOOD",
                "PPSTINT": "P0D" if end else "",
                "PPENINT": end,
            }


def _identifiers(data: StudyData, domain: str, patient: str, number: int) -> Record:
    return {
        "STUDYID": data.study,
        "DOMAIN": domain,
        "USUBJID": f"{data.study}-{patient}",
        f"{domain}SEQ": number,
    }


def _result(
    domain: str, text: str, value: float | None, unit: str, *, not_done: str | None
) -> Record:
    """Give the result of a record, or ``not_done``: the reason why it has none."""
    if not_done is not None:
        text, value, unit = "", None, ""
    return {
        f"{domain}ORRES": text,
        f"{domain}ORRESU": unit,
        f"{domain}STRESC": text,
        f"{domain}STRESN": value,
        f"{domain}STRESU": unit,
        f"{domain}STAT": "" if not_done is None else "NOT DONE",
        f"{domain}REASND": not_done or "",
    }


def _timing(data: StudyData, domain: str, row: Row) -> Record:
    collected = str(row["collected"])
    infused = data.infused.get(str(row["patient"]))
    day = study_day(datetime.fromisoformat(collected), float(row["day"]), infused, data.time_zone)
    return {"VISIT": row["visit"], f"{domain}DTC": row["collected"], f"{domain}DY": day}


def _define(data: StudyData) -> pd.DataFrame:
    """Describe every variable, and every term that SDTM does not define."""
    import pandas as pd

    rows = [
        (name.upper(), *variable) for name, variables in DATASETS.items() for variable in variables
    ]
    rows += [_term("CP", "CPTESTCD", code, name) for name, code in _test_codes(data).items()]
    rows += [
        _term("PP", "PPTESTCD", code, parameter)
        for parameter, (code, _, _) in PARAMETER_CODES.items()
    ]
    rows += [_term("SUPPCP", "QVAL of CPCODE", code, meaning) for code, meaning in CODES.items()]
    rows += [
        _term("SUPPCP", "QVAL of CPFLAGS", flag, meaning) for flag, meaning in meanings().items()
    ]
    return pd.DataFrame(rows, columns=["dataset", "variable", "label", "type", "origin"])


def _term(dataset: str, variable: str, term: str, meaning: str) -> tuple[str, str, str, str, str]:
    return dataset, variable, term, "term", meaning


def _test_codes(data: StudyData) -> dict[str, str]:
    """Give every population its test code: eight letters and digits at most, none twice."""
    codes: dict[str, str] = {}
    for population in dict.fromkeys(data.kinetics["population"]):
        plain = re.sub(r"[^A-Z0-9]", "", str(population).upper()).lstrip("0123456789") or "POP"
        code, number = SDTM_CODES.get(population, plain[:8]), 2
        while code in codes.values():
            code, number = f"{plain[: 8 - len(str(number))]}{number}", number + 1
        codes[population] = code
    return codes


def _by_patient(frame: pd.DataFrame) -> Iterator[tuple[str, Sequence[Row]]]:
    for patient, rows in frame.groupby("patient", sort=True):
        yield str(patient), rows.to_dict("records")


def _not_evaluable(text: str, row: Row) -> str | None:
    """Give the sentence of the last flag of a result that is not evaluable, else its code's."""
    if text != "NE":
        return None
    sentences = meanings()
    explained = [sentences[flag] for flag in str(row["flags"]).split(";") if flag in sentences]
    if explained:
        return explained[-1]
    return CODES[row["code"]]


def _why(row: Row) -> str:
    why = why_of(str(row["definition"]))
    if why:
        return why.sentence
    return str(row["definition"])


def _written(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if isnan(value) else f"{value:.10g}"


def _number(value: float | None) -> float | None:
    if value is None or isnan(value):
        return None
    return float(value)
