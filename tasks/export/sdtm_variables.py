"""Describe the variables of the SDTM-shaped data sets, their test codes and their terms.

Variables and their order follow the SDTM Implementation Guide 3.4; controlled terms of the study
(test codes of populations) are marked as such in the define sheet.
"""

from collections.abc import Mapping

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
Qualifiers = tuple[tuple[str, str, str], ...]
"""Name, label and column of kinetics.csv of each qualifier of a finding."""
CONCENTRATION_LIMITS: Qualifiers = (
    ("CPCILOW", "Lower Limit of 95% Interval", "per_ul_low"),
    ("CPCIHIGH", "Upper Limit of 95% Interval", "per_ul_high"),
    ("CPLLOD", "Lower Limit of Detection", "lod_per_ul"),
)
PERCENT_LIMITS: Qualifiers = (
    ("CPCILOW", "Lower Limit of 95% Interval", "percent_low"),
    ("CPCIHIGH", "Upper Limit of 95% Interval", "percent_high"),
)
OF_THE_ROW: Qualifiers = (
    ("CPCODE", "Result Code", "code"),
    ("CPEVENTS", "Events Counted", "events"),
    ("CPCOUNT", "Counting Method", "method"),
    ("CPFLAGS", "Flags", "flags"),
    ("CPSTRATG", "Gating Strategy", "strategy"),
    ("CPPANSHA", "SHA-256 of Panel Definition", "panel_sha256"),
    ("CPCALIB", "Calibration of Instrument", "calibration"),
    ("CPCALSHA", "SHA-256 of Calibration", "calibration_sha256"),
    ("CPPANVER", "Version of Panel Definition", "panel_version"),
    ("CPFILE", "File of the Tube", "file"),
    ("CPINSTR", "Instrument", "instrument"),
    ("CPBATCH", "Batch", "batch"),
    ("CPUSED", "Used for the Visit", "used"),
    ("CPCORR", "Gate Corrected by a Person", "corrected"),
    ("CPREVIEW", "Review Decision", "review"),
)
"""What holds of a row; of a percentage in blood its concentration has them."""
