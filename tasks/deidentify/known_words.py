"""Tell names of markers, dyes and instruments from words that could be anything.

A label (``$PnS``) is free text, and people have written patients' names into it. So a word is kept
only when it is known.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from panels.catalogue import load_panel, panel_names
from panels.drafting.channel_names import is_dye, scatter_name
from panels.panel import names_of, plain

_CD = re.compile(r"(?:CD|HLA)\d{1,3}[A-Z]{0,3}")
_BETWEEN = re.compile(r"[\s_+/,;:()|.&-]+")
_MARKERS = frozenset(
    "IG IGM IGD IGG IGA IGE HLA DR DQ HLADR KI67 TCR TCRAB TCRGD VD1 VD2 CCR4 CCR5 CCR6 CCR7 "
    "CXCR3 CXCR4 CXCR5 PD1 PDL1 LAG3 TIM3 TIGIT CTLA4 FOXP3 TBET BCL2 BCL6 BCMA BAFFR TACI "
    "KAPPA LAMBDA CAR CAR19 CARBCMA FMC63 EGFRT IL2 IL4 IL10 IL17A IFNG TNF TNFA GZMB PRF1 "
    "FCRL4 FCRL5 NKG2D LIVE DEAD LIVEDEAD VIABILITY VIABLE VIA LD FVD FVS FVS780 AQUA ZOMBIE "
    "NIR 7AAD PI DAPI DUMP LIN LINEAGE BEADS BEAD COMP FJCOMP FMO FSC SSC FS SS FL INT LOG PEAK "
    "TOF AREA HEIGHT WIDTH TIME ISOTYPE CTRL CONTROL BLANK EMPTY NONE NA AND A H W V B UV YG R "
    "AF AUTOFLUORESCENCE EVENT EVENTS INDEX SORT DOUBLET CLASSIFICATION HDRT HDRCE HDRSE HDRV "
    "DROPPHASE TUBEID LSW MSW".split()
)
_INSTRUMENTS = frozenset(
    "BD BECTON DICKINSON BIOSCIENCES FACSARIA FACSARIAII FACSARIAIII ARIA FACSCALIBUR CALIBUR "
    "FACSCANTO FACSCANTOII CANTO CANTOII FACSCELESTA CELESTA FACSLYRIC LYRIC FACSMELODY MELODY "
    "FACSVERSE VERSE FACSVIA FACSYMPHONY SYMPHONY FACSDISCOVER DISCOVER FACSUITE FACSDIVA DIVA "
    "CELLQUEST FORTESSA LSR LSRII LSRFORTESSA LSRIIFORTESSA INFLUX ACCURI BECKMAN COULTER "
    "NAVIOS GALLIOS CYTOMICS CYTOFLEX DXFLEX CYTEXPERT KALUZA EPICS XL MCL QUANTA CYAN ADP "
    "SUMMIT CYTEK AURORA NORTHERN LIGHTS SPECTROFLO MACSQUANT MACSQUANTIFY MILTENYI BIOTEC "
    "ANALYZER ATTUNE NXT THERMO FISHER INVITROGEN GUAVA EASYCYTE INCYTE MILLIPORE LUMINEX SONY "
    "ID7000 SA3800 SH800 PARTEC SYSMEX CYFLOW SPACE FLOMAX ZE5 YETI BIORAD PROPEL BIGFOOT "
    "STRATEDIGM CYTOPEIA SORTER CYTOMETER FLOW SOFTWARE VERSION SYSTEM SPECIAL ORDER RESEARCH "
    "PRODUCT FOR WITH RECONFLOW FLOWJO FCS EXPRESS SIMULATED INSTRUMENT LITE VYB TYTO MQ".split()
)
_NUMBERED = re.compile(r"[A-Z]?[0-9]{1,4}[A-Z]?|[IVX]{1,4}")
_MOST_JOINED = 3


@lru_cache(maxsize=1)
def _shipped_markers() -> frozenset[str]:
    stains = (stain for panel in panel_names() for stain in load_panel(panel).markers)
    return frozenset(name for stain in stains for name in names_of(stain))


def names_a_signal(text: str, also: Collection[str] = ()) -> bool:
    """Tell whether every word of a detector or a label is that of a marker, a dye or a signal.

    ``also`` are further words that were looked at by a person, in upper case.
    """
    if not text.strip() or _is_signal(text, also):
        return True
    words = [word for word in _BETWEEN.split(text) if word]
    return bool(words) and _all_known(words, also)


def _all_known(words: list[str], also: Collection[str]) -> bool:
    """Tell whether words, alone or up to three beside each other joined, are known one by one."""
    if not words:
        return True
    return any(
        _is_signal("".join(words[:count]), also) and _all_known(words[count:], also)
        for count in range(1, min(_MOST_JOINED, len(words)) + 1)
    )


def _is_signal(text: str, also: Collection[str]) -> bool:
    bare = plain(text)
    return (
        bare in _MARKERS
        or bare in also
        or bare in _shipped_markers()
        or _CD.fullmatch(bare) is not None
        or (bare.isdigit() and len(bare) <= 4)
        or is_dye(text)
        or scatter_name(text) is not None
    )


def names_an_instrument(text: str, also: Collection[str] = ()) -> bool:
    """Tell whether every word is one of cytometers, their makers and programs, or a version."""
    words: Iterable[str] = (plain(word) for word in _BETWEEN.split(text) if plain(word))
    return all(word in _INSTRUMENTS or word in also or _NUMBERED.fullmatch(word) for word in words)
