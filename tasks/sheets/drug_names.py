"""Know drugs by the names that a laboratory or a ward writes.

These are substances, brands, biosimilars and abbreviations. A name is recognised wherever it
stands in the cell, whatever the case, spaces, accents and marks around it, so that
``rituximab-abbs``, ``Rituximab (MabThera®)`` and ``IV IG`` are what they are.
"""

import re
import unicodedata
from itertools import pairwise

ANTI_CD20 = tuple(
    """
    rituximab mabthera rituxan truxima rixathon riximyo blitzima ritemvia tuxella ruxience
    riabni ituxredi reditux zytux acellbia novex halpryza hanlikang
    obinutuzumab gazyva ocrelizumab ocrevus ofatumumab kesimpta arzerra ublituximab briumvi
    veltuzumab tositumomab bexxar ibritumomab zevalin
    mosunetuzumab lunsumio glofitamab columvi epcoritamab epkinly tepkinly
    odronextamab ordspono
    """.split()
)
ANTI_CD38 = ("daratumumab", "darzalex", "isatuximab", "sarclisa", "felzartamab", "mezagitamab")
IMMUNOGLOBULIN = tuple(
    """
    immunoglobulin immunglobulin inmunoglobulin imunoglobulin immuneglobulin gammaglobulin
    ivig scig fscig octagam privigen kiovig gamunex gammagard gammaked gammaplex gammanorm
    gamimune hizentra hyqvia cuvitru cutaquig xembify evogam subgam subcuvia vivaglobin
    panzyga flebogamma intratect bivigam asceniv yimmugo iqymune igvena nanogam vigam
    sandoglobulin carimune pentaglobin intragam
    """.split()
)
ANTI_CD19 = tuple(
    """
    inebilizumab uplizna blinatumomab blincyto tafasitamab monjuvi minjuvi loncastuximab
    zynlonta obexelimab
    """.split()
)
"""They may hide CD19 itself, for which there is no flag: a notice says so."""

HIDES_NOTHING = tuple(
    """
    prednis methylprednis dexamethason cortison budesonid mycophenol cellcept myfortic mmf
    hydroxychloroquin chloroquin plaquenil quensyl azathioprin imuran imurek methotrexat mtx
    cyclophosphamid endoxan fludarabin bendamustin tacrolimus ciclosporin cyclosporin
    voclosporin lupkynis belimumab benlysta anifrolumab saphnelo telitacicept tocilizumab
    actemra roactemra siltuximab anakinra kineret leflunomid abatacept orencia baricitinib
    upadacitinib tofacitinib bortezomib levetiracetam aciclovir acyclovir cotrimoxazol
    trimethoprim filgrastim paracetamol acetaminophen ibuprofen aspirin heparin colchicin
    ramipril pantoprazol fluconazol vitamind
    """.split()
)
"""Drugs of these patients that bind no stained marker."""

KNOWN = (*ANTI_CD20, *ANTI_CD38, *IMMUNOGLOBULIN, *ANTI_CD19, *HIDES_NOTHING)
SHORTEST_WITHIN_WORDS = 5
"""A shorter name counts only as a whole word, or it would be recognised inside others."""


def names(written: str, known: tuple[str, ...]) -> bool:
    """Tell whether a cell names one of the ``known`` drugs."""
    words = re.findall(r"[a-z0-9]+", _plain(written))
    joined = "".join(words)
    short = {*words, *("".join(pair) for pair in pairwise(words)), joined}
    return any(
        name in short if len(name) < SHORTEST_WITHIN_WORDS else name in joined for name in known
    )


def _plain(written: str) -> str:
    """Take accents and marks off, and capitals: Rixathön® is rixathon."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", written.casefold())
        if not unicodedata.combining(letter)
    )
