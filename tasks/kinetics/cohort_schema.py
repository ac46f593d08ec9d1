"""State what each table of the cohort's estimates promises: grain, columns, invariants."""

from tasks.kinetics.table_schema import Column, TableSchema

RECOVERY_CURVES = TableSchema(
    grain=(
        "one row a stratum × definition × interval in which patients recovered (Turnbull's "
        "estimate)"
    ),
    key=("stratum", "definition", "low"),
    columns=(
        Column("stratum", "", "group of patients, as patients.csv names it"),
        Column("definition", "", "versioned definition of depletion and recovery"),
        Column("low", "d", "the recoveries lie in (low, high]; where inside is unknown"),
        Column("high", "d", "empty: not recovered when last seen, and nobody knows when"),
        Column("mass", "share", "share of the depleted patients who recovered in this interval"),
        Column(
            "remaining", "share", "share not recovered after this interval; empty where high is"
        ),
    ),
    invariants=(
        "the masses of a stratum and definition sum to 1",
        "a definition nobody was seen depleted under has no row",
    ),
)

RECOVERY_MEDIANS = TableSchema(
    grain="one row a stratum × definition",
    key=("stratum", "definition"),
    columns=(
        Column("stratum", "", "group of patients, as patients.csv names it"),
        Column("definition", "", "versioned definition of depletion and recovery"),
        Column(
            "patients", "patients", "patients seen depleted: the others are not in the estimate"
        ),
        Column("recovered", "patients", "those of them seen recovered"),
        Column("median_low", "d", "the median lies in (median_low, median_high]"),
        Column("median_high", "d", "empty: not reached; the median lies after median_low"),
        Column("reached", "", "whether half of the patients recovered; empty without patients"),
    ),
    invariants=("reached is true exactly where median_high is given",),
)

PARAMETER_SUMMARY = TableSchema(
    grain="one row a stratum × specimen × population × parameter",
    key=("stratum", "specimen", "population", "parameter"),
    columns=(
        Column("stratum", "", "group of patients, as patients.csv names it"),
        Column("specimen", "", "blood or marrow"),
        Column("population", "", "population id"),
        Column("parameter", "", "name of the parameter"),
        Column("unit", "", "unit of the parameter"),
        Column("patients", "patients", "patients whose table has the parameter"),
        Column(
            "estimated",
            "patients",
            "those of them of whom anything is known of it: a value, an interval or a bound",
        ),
        Column(
            "bounded", "patients", "those of the estimated who are known by an interval or a bound"
        ),
        Column(
            "share_yes",
            "share",
            "share of the estimated, for parameters that are yes (1) or no (0)",
        ),
        Column(
            "median",
            "as unit",
            (
                "median of the values; empty where one patient of the estimated has only an "
                "interval or a bound (an interval's end is no value)"
            ),
        ),
        Column("lower_quartile", "as unit", "from four patients on"),
        Column("upper_quartile", "as unit", "from four patients on"),
        Column("minimum", "as unit", "smallest value"),
        Column("maximum", "as unit", "largest value"),
        Column(
            "median_low",
            "as unit",
            (
                "the median lies at or above this (the median of the patients' lower bounds; of "
                "Tbql, depletion and recovery: after this, by Turnbull's estimate); empty: no bound"
            ),
        ),
        Column(
            "median_high",
            "as unit",
            "the median lies at or below this; empty: no upper bound is known",
        ),
    ),
    invariants=("estimated ≤ patients", "median_low ≤ median ≤ median_high where given"),
)
