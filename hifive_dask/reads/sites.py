"""Where 5' ends of reads lie relative to the cut sites, and what that tells of these.

The **place** of an end is that of the border behind the read, minus the nearest cut: 0 for a read
that begins at the first base behind the cut on the plus strand, negative before it on the
chromosome. Two things show whether the cut sites are those of the experiment:

* Molecules that were cut and not ligated begin at a cut. Their ends make a peak at 0 on the plus
  strand, and on the minus strand at the overhang of the enzyme, 4 bp for ``^GATC`` that was filled
  in. Peaks beside that mean that the sites are shifted. Clean libraries have no peaks.
* Reads of ligated molecules face the cut that was ligated, at up to the insert size. So more ends
  face their nearest cut than look away from it; with the sites of another enzyme, as many do.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CutSites", "look_at_sites", "site_numbers"]

_NEAR = 20  # bp around a cut in which peaks are looked for
_LEAST = 20  # ends of a peak
_TIMES = 3  # as many ends in a peak as in the median of the places around
_SIGMAS = 8  # standard deviations by which a peak stands out
_OVERHANG = 5  # bp: the longest of an enzyme
_FROM = 50  # bp from a cut beyond which ends are compared by where they look
_ENOUGH = 1000  # ends to compare
_FITS, _OTHER = 1.5, 1.3  # times as many ends face a cut: at least, and at most


class CutSites(NamedTuple):
    """What 5' ends tell of the cut sites.

    Parameters
    ----------
    ends
        Number of 5' ends within 300 bp of a cut.
    plus, minus
        bp: place of the peak of dangling ends on either strand; None if there is none.
    dangling
        Ends in the peaks.
    facing
        Ends that face the nearest cut over those that look away from it, 50 to 300 bp from it; None
        if these are too few.
    enzyme
        ``"fits"`` or ``"other"``; None if neither can be said.
    """

    ends: int
    plus: int | None
    minus: int | None
    dangling: int
    facing: float | None
    enzyme: Literal["fits", "other"] | None

    @property
    def shift(self) -> int | None:
        """bp by which the sites would have to move; None if no dangling ends tell.

        Both strands must have a peak, not farther apart than an overhang is long: one alone may
        come of a single place of the genome.
        """
        if self.plus is None or self.minus is None or abs(self.minus - self.plus) > _OVERHANG:
            return None
        return self.plus

    @property
    def text(self) -> str:
        """What was seen, in a sentence."""
        if self.shift is None:
            seen = (
                "this library shows no dangling ends, so whether the sites are exact cannot be "
                "checked"
            )
        else:
            where = "at the cuts" if not self.shift else f"{_beside(self.shift)} the cuts"
            seen = f"{self.dangling:,} dangling ends begin {where}"
        if self.facing is None:
            return f"{seen}; too few ends to tell whether the enzyme is right"
        return f"{seen}; {self.facing:.3g} times as many ends face the nearest cut as look away"

    @property
    def misfit(self) -> str | None:
        """Why the sites seem to be wrong, and what helps; None if they do not."""
        if self.shift:
            size = abs(self.shift)
            text = (
                f"the cut sites are shifted by {size} bp: {self.dangling:,} ends of molecules that "
                f"were not ligated begin {_beside(self.shift)} them, expected at them; some such "
                "molecules now count as contacts\n  make the partition of the sequence "
                "(`hifive-dask fends --fasta FILE --enzyme NAME`), or move the sites by "
                f"{self.shift:+d} bp"
            )
            if size == 1:
                text += "; or is the first base of a chromosome numbered otherwise in the reads?"
            return text
        if self.shift is None and self.enzyme == "other":
            return (
                f"the reads do not gather at the cut sites: {self.facing:.2f} times as many ends "
                "face the nearest site as look away from it, expected above "
                f"{_FITS}\n  are the sites those of the enzyme of this library, and are "
                "positions those of 5' ends? Else the DNA broke at random after the ligation"
            )
        return None


def _beside(place: int) -> str:
    return f"{abs(place)} bp {'before' if place < 0 else 'behind'}"


def look_at_sites(end_distribution: NDArray[Any]) -> CutSites | None:
    """Judge the cut sites by a histogram of 5' ends; None if it is empty.

    Parameters
    ----------
    end_distribution
        int64 (rows, 3): ends on the plus strand, ends on the minus strand, place in bp, as in
        `HiCData.end_distribution`.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.reads.sites import look_at_sites
    >>> ends = np.stack([np.full(601, 9), np.full(601, 9), np.arange(-300, 301)], axis=1)
    >>> ends[298, :2] = 500
    >>> look_at_sites(ends).shift
    -2
    """
    plus, minus, place = np.asarray(end_distribution, dtype=np.int64).reshape(-1, 3).T
    total = int(plus.sum() + minus.sum())
    if not total:
        return None
    near = np.abs(place) <= _NEAR
    peaks = [_peak(count[near]) for count in (plus, minus)]
    plus_at, minus_at = (None if k is None else int(place[near][k]) for k in peaks)
    dangling = sum(
        int(count[near][k]) for count, k in zip((plus, minus), peaks, strict=True) if k is not None
    )
    before, behind = place <= -_FROM, place >= _FROM
    facing = int(plus[before].sum() + minus[behind].sum())
    away = int(plus[behind].sum() + minus[before].sum())
    if facing + away < _ENOUGH:
        return CutSites(total, plus_at, minus_at, dangling, None, None)
    ratio = facing / max(away, 1)
    error = 2 * ratio / np.sqrt(facing + away)  # standard deviation, if both are about equal
    enzyme: Literal["fits", "other"] | None = None
    if ratio - 3 * error >= _OTHER and ratio >= _FITS:
        enzyme = "fits"
    elif ratio + 3 * error <= _OTHER:
        enzyme = "other"
    return CutSites(total, plus_at, minus_at, dangling, ratio, enzyme)


def site_numbers(end_distribution: NDArray[Any]) -> dict[str, Any] | None:
    """What `look_at_sites` tells, as plain values with their names; None if it tells nothing."""
    sites = look_at_sites(end_distribution)
    if sites is None:
        return None
    return {**sites._asdict(), "shift": sites.shift}


def _peak(count: NDArray[np.int64]) -> int | None:
    """Row that stands out far above those around it."""
    k = int(count.argmax())
    rest = float(np.median(count))
    enough = max(_LEAST, _TIMES * rest, rest + _SIGMAS * np.sqrt(rest + 1))
    return k if count[k] >= enough else None
