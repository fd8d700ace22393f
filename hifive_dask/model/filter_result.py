"""What a filter kept, which number of partners "auto" means, and what is said of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hifive_dask.about import counted
from hifive_dask.genome.partition import Units
from hifive_dask.provenance import History
from hifive_dask.regions import round_binsize, short_bp

__all__ = [
    "COMMAND",
    "FEW",
    "HALF",
    "LEAST",
    "MOST",
    "PYTHON",
    "FilterResult",
    "Left",
    "Words",
    "choose",
    "half_of_chromosome",
    "half_stays",
    "hardly_left",
    "name_left",
    "suggest_binsize",
    "tell_left",
]

Bool = NDArray[np.bool_]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

LEAST, MOST = 3, 10  # partners that "auto" chooses among
HALF = 0.5  # of the units with reads: "auto" keeps as many if it can
FEW = 0.2  # of them: with fewer left, a chromosome is as good as gone
_NAMED = 8  # chromosomes of a message; others are counted
_ENDS = 50  # of reads in a bin: with so many 10 partners are common


class Words(NamedTuple):
    """How values are given where a message is read: ``{}`` is the value."""

    least: str
    binned: str
    reset: str
    units: bool  # sizes with a unit

    def size(self, binsize: int) -> str:
        """What asks for bins of a size."""
        return self.binned.format(short_bp(binsize) if self.units else binsize)


PYTHON = Words("mininteractions={!r}", "Fend(..., binned={})", "; see reset_filter", units=False)
COMMAND = Words("--mininteractions {}", "--binned {}", "", units=True)


class Left(NamedTuple):
    """A chromosome of which little is left: units in use, units that had reads, and these reads.

    The last one of several can stand for some more.
    """

    name: str
    kept: int
    with_reads: int
    reads: int
    chromosomes: int = 1


# The rule


def half_of_chromosome(units: Units, with_reads: Bool) -> Int64:
    """int64 (N): half of the units with reads of each one's chromosome, one at least.

    Of fends, half of those of other fragments. "auto" asks nobody for more: so many are enough on a
    chromosome that is small, or of which little can be mapped.
    """
    sizes = np.bincount(units.chromosome[with_reads], minlength=len(units.chromosomes))
    return np.maximum(1, sizes // 2 - units.fends)[units.chromosome]


def choose(keeps: Mapping[int, int]) -> int:
    """The largest number of partners that keeps half of the units with reads, else `LEAST`.

    Parameters
    ----------
    keeps
        Units that each number would keep, from 1, which keeps all that have reads.

    Examples
    --------
    >>> from hifive_dask.model.filter_result import choose
    >>> choose({1: 100, 2: 95, 3: 90, 4: 60, 5: 40}), choose({1: 100, 2: 60, 3: 40, 4: 30})
    (4, 3)
    """
    enough = [least for least, kept in keeps.items() if kept >= HALF * keeps[1]]
    return max(LEAST, *enough)


def hardly_left(kept: Int64, with_reads: Int64) -> NDArray[np.bool_]:
    """bool (C): chromosomes with less than a fifth of their units with reads in use."""
    return kept < FEW * with_reads


def half_stays(core: Int32) -> int:
    """The largest number of partners by which half of the units with reads stay.

    Parameters
    ----------
    core
        int32: core numbers of the units of a chromosome, 0 without reads.

    Examples
    --------
    >>> import numpy as np
    >>> from hifive_dask.model.filter_result import half_stays
    >>> half_stays(np.array([0, 1, 2, 3, 3], dtype=np.int32))
    3
    """
    with_reads = np.sort(core[core > 0])
    return int(with_reads[len(with_reads) // 2]) if len(with_reads) else 0


def name_left(
    names: Sequence[str], kept: Int64, with_reads: Int64, reads: Int64
) -> tuple[Left, ...]:
    """Chromosomes of which little is left: those with the most reads, and the sum of all others.

    Parameters
    ----------
    names
        Of all chromosomes.
    kept, with_reads, reads
        int64 (C): units in use, units that had reads, and these reads.
    """
    few = np.flatnonzero(hardly_left(kept, with_reads))
    few = few[np.argsort(-reads[few], kind="stable")]
    found = [Left(names[c], int(kept[c]), int(with_reads[c]), int(reads[c])) for c in few.tolist()]
    named, others = found[:_NAMED], found[_NAMED:]
    if others:
        sums = (sum(numbers) for numbers in zip(*(each[1:] for each in others), strict=True))
        named.append(Left(counted(len(others), "other"), *sums))
    return tuple(named)


def suggest_binsize(units: Units, reads: int) -> int | None:
    """A round size, in bp, of bins with some 50 read ends each; None if there would be few bins."""
    if not reads:
        return None
    present = float(np.median(units.stop - units.start))
    size = round_binsize(max(_ENDS * int(units.lengths.sum()) / (2 * reads), 2 * present))
    return size if 4 * size <= int(units.lengths.max()) else None


# The result


@dataclass(frozen=True)
class FilterResult:
    """What a filter found.

    Parameters
    ----------
    units
        ``"fends"`` or ``"bins"``.
    usereads
        Reads that count.
    auto
        Whether the number of partners was chosen here.
    mininteractions
        Partners that were asked for.
    of, before, with_reads, kept
        Units of the genome; in use before; with a pair that counts; in use now.
    largest
        Most partners that any of them has.
    keeps
        Numbers of partners, and the units that would be kept; none for a number given by hand.
    left
        Chromosomes with less than a fifth of their units with reads left.
    half_of_left
        Partners by which half of the first of them would stay; 0 if that is not known.
    binsize
        bp: bins that would have partners enough, if less than half is kept.
    """

    units: str
    usereads: str
    auto: bool
    mininteractions: int
    of: int
    before: int
    with_reads: int = 0
    kept: int = 0
    largest: int = 0
    keeps: Sequence[tuple[int, int]] = ()
    left: Sequence[Left] = ()
    half_of_left: int = 0
    binsize: int | None = None

    @property
    def share(self) -> float:
        """Units kept, of those with reads; 1 if there are none."""
        return self.kept / self.with_reads if self.with_reads else 1.0

    def as_record(self) -> dict[str, Any]:
        """Plain values, for the history."""
        return asdict(self)

    @classmethod
    def last_of(cls, records: History) -> FilterResult | None:
        """What the last filter found; None without one, or if all was put back."""
        record = records.last("HiC.filter_fends", "HiC.reset_filter")
        found = {} if record is None else dict(record["results"])
        if {each.name for each in fields(cls)} - set(found):  # of HiFive, or of an older version
            return None
        found["keeps"] = tuple((least, kept) for least, kept in found["keeps"])
        found["left"] = tuple(Left(*each) for each in found["left"])
        return cls(**found)

    def summary(self, words: Words) -> str:
        """What was asked for, or chosen, and what it kept."""
        chose = f"{words.least.format('auto')} chose {self.mininteractions}: " if self.auto else ""
        return (
            f"{chose}{self.kept:,} of {self.with_reads:,} {self.units} with {self.usereads} reads "
            f"are in use ({_percent(self.share)})"
        )

    def table(self) -> list[tuple[str, ...]]:
        """Rows of text: numbers of partners that could be asked for, and what they would keep."""
        return [
            (
                str(least),
                f"{kept:,}",
                _percent(kept / max(1, self.with_reads)),
                "chosen" if least == self.mininteractions else "",
            )
            for least, kept in self.keeps
            if least >= LEAST
        ]

    def warnings(self, words: Words, *, enough: float = HALF) -> list[str]:
        """What a user should know: that too little, or nothing, is left.

        Parameters
        ----------
        words
            Of the place where it is read.
        enough
            Share of the units with reads that is to be left.
        """
        shortage = self.shortage(words, enough)
        texts = [] if shortage is None else [shortage]
        if self.left and self.kept:
            texts.append(tell_left(self.left, self.units, self.usereads) + self._bring_back(words))
        return texts

    def _bring_back(self, words: Words) -> str:
        """What to ask for to keep more of the chromosome with the most reads."""
        if self.half_of_left:
            name = self.left[0].name
            return f"; {words.least.format(self.half_of_left)} would keep half of {name}"
        if self.auto or self.usereads != "cis":
            return ""
        return f"; {words.least.format('auto')} asks small chromosomes for fewer partners"

    def shortage(self, words: Words, enough: float) -> str | None:
        """Say that less than a share of the units with reads is left, and what to do about it."""
        if not self.mininteractions or (self.kept and self.share >= enough):
            return None
        if not self.before:
            return f"no {self.units[:-1]} was in use before{words.reset}"
        if not self.with_reads:
            return f"no {self.units[:-1]} is left: none has {self.usereads} reads that count"
        text = self._little(words) if self.kept else self._nothing(words)
        return f"{text}. {self._cure(words)}"

    def _little(self, words: Words) -> str:
        asked = words.least.format(self.mininteractions)
        if self.auto:
            asked = f"{words.least.format('auto')} goes down to {self.mininteractions}, which"
        return (
            f"{asked} leaves only {self.kept:,} of {self.with_reads:,} {self.units} with "
            f"{self.usereads} reads in use ({_percent(self.share)})"
        )

    def _nothing(self, words: Words) -> str:
        unit, least = self.units[:-1], self.mininteractions
        return (
            f"no {unit} is left: {words.least.format(least)} keeps a {unit} only if "
            f"{counted(least, 'partner')} of it, by {self.usereads} reads, are kept as well (the "
            f"{least}-core of the pairs); the most partners that any {unit} has, kept or not, is "
            f"{self.largest:,}"
        )

    def _cure(self, words: Words) -> str:
        """What to ask for instead."""
        cures = []
        if self.binsize is not None:
            larger = "larger bins" if self.units == "bins" else "bins"
            cures.append(f"count in {larger}, {words.size(self.binsize)}")
        if self.auto:
            lower = [each for each in self.keeps if each[0] < self.mininteractions]
            by_hand = [
                f"{words.least.format(least)} (keeps {_percent(kept / max(1, self.with_reads))})"
                for least, kept in reversed(lower)
                if kept > self.kept
            ]
            if by_hand:
                cures.append(f"give a lower number by hand: {' or '.join(by_hand)}")
        elif self.mininteractions > LEAST:
            cures.append(f"give a lower number, or {words.least.format('auto')}, which chooses one")
        return f"There are few reads for so many {self.units}: {'; or '.join(cures or _MORE)}"


_MORE = ["add reads"]


def tell_left(left: Sequence[Left], units: str, usereads: str) -> str:
    """Name the chromosomes of which little is left, with their reads."""
    each = [
        f"{name} {kept:,} of {of:,} ({counted(reads, 'read')})" for name, kept, of, reads, _ in left
    ]
    return (
        f"little or nothing is left of some chromosomes, in {units} with {usereads} reads: "
        f"{', '.join(each)}"
    )


def _percent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"
