"""Sites and base composition of a DNA sequence, given as ASCII."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hifive_dask._kernels.jit import jit

__all__ = ["LONGEST_SITE", "find_sites", "gc_fractions"]

LONGEST_SITE = 64  # letters: a bit each

# IUPAC codes as sets of bases.
_A, _C, _G, _T = 1, 2, 4, 8
_CODES = {
    "A": _A, "C": _C, "G": _G, "T": _T,
    "R": _A | _G, "Y": _C | _T, "S": _C | _G, "W": _A | _T, "K": _G | _T, "M": _A | _C,
    "B": _C | _G | _T, "D": _A | _G | _T, "H": _A | _C | _T, "V": _A | _C | _G,
    "N": _A | _C | _G | _T,
}  # fmt: skip
_STRONG, _WEAK = 1, 2


def _table(values: dict[str, int]) -> NDArray[np.uint8]:
    table = np.zeros(256, dtype=np.uint8)
    for letter, value in values.items():
        table[[ord(letter), ord(letter.lower())]] = value
    return table


_BASE = _table({letter: _CODES[letter] for letter in "ACGT"})
_PAIRING = _table({**dict.fromkeys("CGS", _STRONG), **dict.fromkeys("ATW", _WEAK)})


@jit
def _find_sites(sequence, fits, length, found):
    # Bit k of the state: the last k + 1 letters are the first k + 1 of the site (shift-and search,
    # Baeza-Yates and Gonnet 1992). No branch depends on the sequence but that of a match.
    one, last = np.uint64(1), np.uint64(1) << np.uint64(length - 1)
    state, count = np.uint64(0), 0
    for p in range(len(sequence)):
        state = ((state << one) | one) & fits[sequence[p]]
        if state & last:
            if count < len(found):
                found[count] = p + 1 - length
            count += 1
    return count


def find_sites(sequence: NDArray[np.uint8], site: str) -> NDArray[np.int64]:
    """Positions of all matches of a site, overlapping ones too, in either case.

    Only A, C, G and T of the sequence match; unknown and ambiguous bases never do.

    Parameters
    ----------
    sequence
        uint8 (L): ASCII.
    site
        IUPAC codes, at most `LONGEST_SITE`.

    Returns
    -------
    int64: first base of every match, increasing.
    """
    fits = np.zeros(256, dtype=np.uint64)
    for k, code in enumerate(site.upper()):
        fits |= np.where(_BASE & _CODES[code], np.uint64(1 << k), np.uint64(0))
    found = np.empty(len(sequence) // 100 + 100, dtype=np.int64)
    count = _find_sites(sequence, fits, len(site), found)
    if count > len(found):
        found = np.empty(count, dtype=np.int64)
        _find_sites(sequence, fits, len(site), found)
    return found[:count].copy()


@jit
def _gc_fractions(sequence, pairing, start, stop, fraction):
    for w in range(len(start)):
        strong = known = 0
        for p in range(start[w], stop[w]):
            kind = pairing[sequence[p]]
            strong += kind & 1
            known += kind != 0
        fraction[w] = strong / known if known else 0.0


def gc_fractions(
    sequence: NDArray[np.uint8], start: NDArray[np.int64], stop: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Part of G, C (and S) among the bases of each window that are known to be strong or weak.

    Parameters
    ----------
    sequence
        uint8 (L): ASCII.
    start, stop
        int64 (N): windows inside the sequence.

    Returns
    -------
    float64 (N); 0 where no base is known.
    """
    fraction = np.empty(len(start), dtype=np.float64)
    _gc_fractions(sequence, _PAIRING, start, stop, fraction)
    return fraction
