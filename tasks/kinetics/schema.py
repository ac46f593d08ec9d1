"""State what each table of patients promises: grain, columns with units, invariants."""

from tasks.kinetics.table_schema import Column, TableSchema

KINETICS = TableSchema(
    grain="one row a tube × population",
    key=("tube_sha256", "strategy", "population"),
    columns=(
        Column("patient", "", "pseudonymous id"),
        Column("visit", "", "nominal visit label"),
        Column("day", "d", "actual time elapsed since the first infusion"),
        Column("collected", "", "date and time of the draw, ISO 8601"),
        Column("specimen", "", "blood or marrow"),
        Column("panel", "", "panel of the tube"),
        Column("population", "", "population id"),
        Column("events", "events", "events of the population"),
        Column("parent", "", "parent gate"),
        Column("parent_events", "events", "events of the parent gate"),
        Column("percent_parent", "%", "events over parent_events"),
        Column("reference", "", "population that is the denominator of percent_reference"),
        Column("percent_reference", "%", "events over those of the reference"),
        Column("per_ul", "1/uL", "concentration in blood"),
        Column(
            "per_ul_low",
            "1/uL",
            "lower limit of the 95 % interval: counting with pipette, bead lot or analyser; where "
            "a boundary lies is not in it (flags threshold_...)",
        ),
        Column(
            "per_ul_high",
            "1/uL",
            "upper limit of the 95 % interval, also where nothing was detected",
        ),
        Column("lod_per_ul", "1/uL", "limit of detection of this tube"),
        Column("lloq_per_ul", "1/uL", "lower limit of quantification of this tube"),
        Column(
            "code", "", "Q quantified, DNQ detected below LLOQ, ND not detected, NE not evaluable"
        ),
        Column("method", "", "bead, volumetric, dual, chain or none"),
        Column("flags", "", "words of the documented list, joined by ;"),
        Column("strategy", "", "gating strategy, name@version"),
        Column("strategy_sha256", "", "hash of the strategy's content"),
        Column("tube_sha256", "", "hash of the tube's file: its identity"),
        Column(
            "panel_sha256",
            "",
            "hash of the panel's content; empty in tables written before it was noted",
            added_later=True,
        ),
        Column(
            "calibration",
            "",
            "calibration that counted, panel/instrument@version; empty: the strategy's own numbers",
            added_later=True,
        ),
        Column(
            "calibration_sha256",
            "",
            "hash of the calibration's content; empty where there is none",
            added_later=True,
        ),
        Column("file", "", "name that the tube's file came in with", added_later=True),
        Column(
            "instrument",
            "",
            "cytometer: the sheet's name for it, else model and serial number of its files",
            added_later=True,
        ),
        Column("batch", "", "batch of staining and acquisition", added_later=True),
        Column(
            "used",
            "",
            "Y where the wide table, the parameters and the figures take this row for its visit; N "
            "where another tube's row is taken, or the tube is excluded; empty in older tables",
            added_later=True,
        ),
        Column(
            "corrected",
            "",
            "Y where a person's correction of a gate counted this row, else N",
            added_later=True,
        ),
        Column(
            "review",
            "",
            "what a reviewer decided: accepted, queried, repeat or excluded; empty: nobody did",
            added_later=True,
        ),
        Column(
            "nominal_day",
            "d",
            "day that the visit's label names (28 for D28); empty where it names none",
            added_later=True,
        ),
        Column(
            "percent_low",
            "%",
            "lower limit of the 95 % interval of percent_reference (Wilson)",
            added_later=True,
        ),
        Column("percent_high", "%", "upper limit, likewise", added_later=True),
        Column(
            "panel_version",
            "",
            "version of the panel that named the tube's markers, name@version",
            added_later=True,
        ),
    ),
    invariants=(
        "a population never has more events than its parent",
        (
            "per_ul is given for Q and DNQ only, lies within its limits and is above 0; blood "
            "that is Q or DNQ always has it"
        ),
        "ND gives no percentage and no per_ul; in blood it gives lod_per_ul and the upper limit",
        "NE gives no per_ul and no limits of it",
        "percent_low and percent_high are given with percent_reference alone, and enclose it",
        (
            "one row of a visit, specimen and population is used, unless every tube that could "
            "give it is excluded; no row of an excluded tube is"
        ),
        "rows come by patient, time, specimen, panel, tube and the strategy's order of populations",
    ),
)

PARAMETERS = TableSchema(
    grain="one row a patient × specimen × population × parameter",
    key=("patient", "specimen", "population", "parameter"),
    columns=(
        Column("patient", "", "pseudonymous id"),
        Column("specimen", "", "blood or marrow"),
        Column("population", "", "population id"),
        Column("parameter", "", "name of the parameter"),
        Column("value", "as unit", "the value; empty where it is not estimable"),
        Column("unit", "", "unit of value, low and high"),
        Column(
            "low",
            "as unit",
            "lower limit: of the 95 % interval, or of the interval the event lies in",
        ),
        Column("high", "as unit", "upper limit, likewise"),
        Column("censoring", "", "interval, right, left or none"),
        Column("points", "samples", "samples the value rests on"),
        Column(
            "definition",
            "",
            "versioned rule the value follows; without a value, also the reason there is none",
        ),
    ),
    invariants=(
        "low ≤ value ≤ high where given",
        "censoring is interval, right, left or none",
        "the definition of what has neither value nor limits says why",
    ),
)

RECOVERY = TableSchema(
    grain="one row a patient × definition",
    key=("patient", "definition"),
    columns=(
        Column("patient", "", "pseudonymous id"),
        Column("population", "", "population whose recovery is judged"),
        Column("definition", "", "versioned definition of depletion and recovery"),
        Column(
            "depleted",
            "",
            (
                "whether depletion was seen; empty where it may have been at a visit that could "
                "not tell"
            ),
        ),
        Column("depletion_low", "d", "last visit before depletion"),
        Column("depletion_high", "d", "first depleted visit"),
        Column("low", "d", "last visit before recovery; recovery lies in (low, high]"),
        Column("high", "d", "first recovered visit; empty while not recovered"),
        Column(
            "estimate",
            "d",
            "log-linear interpolation of the crossing, where both values are quantified",
        ),
        Column("censoring", "", "interval, right, left or none"),
        Column("confirmed", "", "whether the next evaluable visit confirms the recovery"),
        Column("lost", "visits", "recovered visits that the next visit did not confirm"),
        Column("visits", "visits", "evaluable visits"),
        Column(
            "skipped",
            "visits",
            "visits that cannot tell, because their limit of quantification is too high",
        ),
    ),
    invariants=(
        "low < high where both are given",
        "censoring is right exactly where depletion was seen and high is empty",
    ),
)


_PART = (
    "part of the B cells; other_naive_b: CD27- IgD+ IgM-, not transitional; plasmablasts_b, "
    "plasma_cells_b: at least so many of "
    "those in no quadrant of IgD × CD27, if each is one or the other; secreting_b: one or the "
    "other; other_b: the rest in no quadrant"
)
COMPOSITION = TableSchema(
    grain="one row a visit × part of the B cells, in blood",
    key=("tube_sha256", "strategy", "part"),
    columns=(
        Column("patient", "", "pseudonymous id"),
        Column("visit", "", "nominal visit label"),
        Column("day", "d", "actual time elapsed since the first infusion"),
        Column("part", "", _PART),
        Column("events", "events", "events of the part"),
        Column("b_events", "events", "B cells (CD19+) of the same tube"),
        Column("share", "%", "events over b_events; empty where basis is few_cells"),
        Column("low", "%", "lower limit of the 95 % interval (Clopper-Pearson)"),
        Column("high", "%", "upper limit, likewise"),
        Column(
            "basis",
            "",
            (
                "enough (100 B cells or what the study sets), indicative (50 to 99), few_cells "
                "(fewer, or B cells not detected)"
            ),
        ),
        Column("strategy", "", "gating strategy, name@version"),
        Column("tube_sha256", "", "hash of the tube's file: its identity"),
        Column(
            "note",
            "",
            (
                "many_secreting_b_cells where more than a tenth of the B cells are plasmablasts "
                "or plasma cells"
            ),
        ),
    ),
    invariants=(
        "the events of a tube's parts sum to b_events",
        "all parts of a visit are of one tube",
    ),
)
