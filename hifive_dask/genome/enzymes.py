"""Restriction enzymes: what they recognise, and where they cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.sequence import LONGEST_SITE, find_sites
from hifive_dask.errors import ParameterError, near_names

__all__ = ["COMMON", "PRESETS", "Enzyme", "Pattern", "cut_sites", "merge_cuts", "parse_enzymes"]

PRESETS = {
    "arima": ("^GATC", "G^ANTC"),
    "arima-high-coverage": ("^GATC", "G^ANTC", "C^TNAG", "T^TAA"),
}
# Those of most protocols, as REBASE has them; all other names are looked up in Biopython.
COMMON = {
    "AluI": "AG^CT",
    "BamHI": "G^GATCC",
    "BglII": "A^GATCT",
    "Csp6I": "G^TAC",
    "CviQI": "G^TAC",
    "DdeI": "C^TNAG",
    "DpnII": "^GATC",
    "EcoRI": "G^AATTC",
    "HaeIII": "GG^CC",
    "HindIII": "A^AGCTT",
    "HinfI": "G^ANTC",
    "MboI": "^GATC",
    "MseI": "T^TAA",
    "MspI": "C^CGG",
    "NcoI": "C^CATGG",
    "NlaIII": "CATG^",
    "Sau3AI": "^GATC",
    "TaqI": "T^CGA",
    "XbaI": "T^CTAGA",
    "XhoI": "C^TCGAG",
}
_SITE = re.compile(r"[ACGTRYSWKMBDHVN]+")
_ROMAN = str.maketrans({"1": "I", "2": "II", "3": "III", "4": "IV", "5": "V", "6": "VI"})
_COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")


@dataclass(frozen=True)
class Pattern:
    """A sequence on the plus strand, and the cuts that it brings about.

    Parameters
    ----------
    site
        IUPAC codes.
    cuts
        From the first base of the site to the first base behind each cut of the plus strand, in
        bp; below 0 or above the length of the site if the enzyme cuts outside of it.
    """

    site: str
    cuts: tuple[int, ...]


@dataclass(frozen=True)
class Enzyme:
    """A name, and all patterns of the plus strand that it cuts at."""

    name: str
    patterns: tuple[Pattern, ...]


def parse_enzymes(enzyme: str | Sequence[str]) -> tuple[Enzyme, ...]:
    """Find enzymes by name, or make them from sites.

    Parameters
    ----------
    enzyme
        One or several, also separated by commas: names as in REBASE, in either case, such as
        ``"DpnII"``; palindromic sites with a caret where the plus strand is cut, such as
        ``"G^ANTC"``; or a key of `PRESETS`.

    Raises
    ------
    ParameterError
        If there is none, a name is unknown or its cut is, a site is malformed or reads differently
        on the other strand, or a name is none of `COMMON` and Biopython, which has the table of
        all, is missing.

    Examples
    --------
    >>> from hifive_dask.genome.enzymes import parse_enzymes
    >>> [(e.name, e.patterns) for e in parse_enzymes("G^ANTC")]
    [('G^ANTC', (Pattern(site='GANTC', cuts=(1,)),))]
    """
    given = [enzyme] if isinstance(enzyme, str) else list(enzyme)
    words = [word.strip() for text in given for word in text.split(",")]
    if not words or not all(words):
        raise ParameterError(
            f"enzyme is {enzyme!r}, expected names or sites such as 'DpnII', 'DpnII,HinfI' or "
            "'^GATC'"
        )
    parts = [part for word in words for part in PRESETS.get(word.lower(), (word,))]
    found = [_from_site(part) if "^" in part else _from_name(part) for part in parts]
    return tuple({one.name: one for one in found}.values())


def cut_sites(sequence: NDArray[np.uint8], enzyme: Enzyme) -> NDArray[np.int64]:
    """Where an enzyme cuts the plus strand of a sequence.

    Parameters
    ----------
    sequence
        uint8 (L): ASCII.

    Returns
    -------
    int64: the first base behind each cut, in bp, increasing, all in 1 ... L - 1.
    """
    cuts = [
        find_sites(sequence, pattern.site) + cut
        for pattern in enzyme.patterns
        for cut in pattern.cuts
    ]
    cut = merge_cuts(cuts)
    return cut[(cut > 0) & (cut < len(sequence))]


def merge_cuts(cuts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All cuts of several lists, each increasing, once and in order."""
    if len(cuts) == 1:
        return cuts[0]
    cut = np.sort(np.concatenate(cuts), kind="stable")  # merges the runs
    first = np.ones(len(cut), dtype=np.bool_)
    first[1:] = cut[1:] != cut[:-1]
    return cut[first]


def _from_site(text: str) -> Enzyme:
    name = text.upper()
    before, _, after = name.partition("^")
    site = before + after
    if not _SITE.fullmatch(site) or not site.strip("N") or len(site) > LONGEST_SITE:
        raise ParameterError(
            f"site {text!r}: expected up to {LONGEST_SITE} IUPAC codes of DNA with one caret where "
            "it is cut, such as '^GATC' or 'G^ANTC'"
        )
    if _reverse(site) != site:
        raise ParameterError(
            f"site {text!r} reads {_reverse(site)!r} on the other strand, where the caret does not "
            "tell the cut; give the name of the enzyme"
        )
    return Enzyme(name, (Pattern(site, (len(before),)),))


def _from_name(name: str) -> Enzyme:
    common = next((each for each in COMMON if each.casefold() == name.casefold()), None)
    if common is not None:
        return Enzyme(common, _from_site(COMMON[common]).patterns)
    table = _rebase(name)
    known = {entry.casefold(): entry for entry in table}
    entry = known.get(name.casefold())
    if entry is None:
        near = _near({**known, **{preset: preset for preset in PRESETS}}, name)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ParameterError(
            f"enzyme {name!r} is unknown{hint} Sites need a caret where they are cut, such as "
            "'^GATC'"
        )
    record = table[entry]
    site = record["site"]
    if record["fst5"] is None:
        raise ParameterError(
            f"it is not known where {entry} cuts, which recognises {site}; give the site with a "
            "caret where it is cut"
        )
    # REBASE counts cuts of the plus strand from the start of the site (fst5, and scd5 if it cuts
    # on both sides), cuts of the minus strand from its end. Where the site lies on the minus
    # strand, the roles of the two change.
    plus = {record["fst5"], record["scd5"]} - {None}
    minus = {-cut for cut in (record["fst3"], record["scd3"]) if cut is not None}
    patterns: dict[str, set[int]] = {}
    for one in site.split("|"):
        for letters, cuts in ((one, plus), (_reverse(one), minus)):
            patterns.setdefault(letters, set()).update(cuts)
    return Enzyme(entry, tuple(Pattern(s, tuple(sorted(cuts))) for s, cuts in patterns.items()))


def _near(choices: dict[str, str], name: str) -> list[str]:
    """Names that could be meant; ``Hind3`` is a common way to write ``HindIII``, and no other."""
    roman = choices.get(name.translate(_ROMAN).casefold())
    if roman is not None:
        return [roman]
    return [choices[key] for key in near_names(name, choices)]


def _reverse(site: str) -> str:
    return site.translate(_COMPLEMENT)[::-1]


def _rebase(name: str) -> dict[str, Any]:
    try:
        from Bio.Restriction.Restriction_Dictionary import rest_dict
    except ImportError as error:
        near = _near({each.casefold(): each for each in (*COMMON, *PRESETS)}, name)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ParameterError(
            f"enzyme {name!r} is none of the {len(COMMON)} common ones{hint} All others are looked "
            "up in the table of Biopython, which is not installed; pip install "
            "'hifive-dask[digest]', or give the site with a caret where it is cut, such as '^GATC'"
        ) from error
    table: dict[str, Any] = rest_dict
    return table
