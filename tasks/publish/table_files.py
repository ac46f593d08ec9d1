"""Write a patient's and the cohort's tables into their folders."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.kinetics.schema import KINETICS, PARAMETERS, RECOVERY
from tasks.publish.legend import LegendWords
from tasks.publish.tables import csv_and_parquet, csv_bytes, write_atomically
from tasks.publish.workbook import workbook_bytes

if TYPE_CHECKING:
    import pandas as pd


def write_patient_tables(
    folder: Path,
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    wide: "pd.DataFrame",
    words: LegendWords | None = None,
) -> tuple[bytes, bytes]:
    """Write one patient's kinetics.csv, kinetics_wide.csv, parameters.csv and kinetics.xlsx.

    ``words`` are those of the workbook's legend.

    Gives the bytes of kinetics.csv and parameters.csv.
    """
    kinetics_csv, parameters_csv = csv_bytes(kinetics, KINETICS), csv_bytes(parameters, PARAMETERS)
    write_atomically(folder / "kinetics.csv", kinetics_csv)
    write_atomically(folder / "kinetics_wide.csv", csv_bytes(wide))
    write_atomically(folder / "parameters.csv", parameters_csv)
    book = workbook_bytes(kinetics, wide, parameters, words or LegendWords())
    write_atomically(folder / "kinetics.xlsx", book)
    return kinetics_csv, parameters_csv


def write_cohort_tables(
    folder: Path, kinetics: "pd.DataFrame", parameters: "pd.DataFrame", recovery: "pd.DataFrame"
) -> None:
    """Write the cohort's tables, patient by patient.

    Kinetics and parameters are written as CSV and as Parquet, the recoveries as recovery.csv.
    """
    for name, frame, schema in (
        ("kinetics", kinetics, KINETICS),
        ("parameters", parameters, PARAMETERS),
    ):
        by_patient = frame.sort_values("patient", kind="stable", ignore_index=True)
        as_csv, as_parquet = csv_and_parquet(by_patient, schema)
        write_atomically(folder / f"{name}.csv", as_csv)
        write_atomically(folder / f"{name}.parquet", as_parquet)
    write_atomically(
        folder / "recovery.csv", csv_bytes(recovery.sort_values("patient", kind="stable"), RECOVERY)
    )
