"""Verdicts on the numbers of a report: with reasons, limits, and what these rest upon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from hifive_dask.errors import level_cure
from hifive_dask.model.filter_result import Left, tell_left
from hifive_dask.plot.style import length_text, share_text

__all__ = [
    "ENOUGH",
    "LEVEL",
    "Check",
    "Verdict",
    "grade",
    "judge",
    "ratio_of",
    "share_in_use",
]

Verdict = Literal["good", "check", "poor", "none"]
Numbers = Mapping[str, Any]

MAMMAL = 1_000_000_000  # bp of a genome for which limits of mammals are taken
NEARLY_EMPTY = 0.2  # of the units with reads: with fewer in use nothing of a map can be judged
LEVEL = (1.1, 1.5)  # observed over expected reads of a chromosome: good and poor, as factors
ENOUGH = 1000  # cis reads of a chromosome whose level is judged

_PAIRSQC = "pairsqc of the 4DN consortium, after Rao et al., Cell 159, 1665 (2014); for mammals"
_RULE = "rule of thumb of this report; compare with libraries of the same kind"
_FACT = "follows from the data"


@dataclass(frozen=True)
class Check:
    """One verdict.

    Parameters
    ----------
    key
        Stable name.
    section
        Part of the report that has more.
    title, text
        What was looked at, and its value as text.
    value
        The value, if it is a number: shares and slopes as such, sizes in bp.
    verdict
        ``"good"``, ``"check"`` (look at it), ``"poor"``, or ``"none"``: there is no verdict.
    reason
        Why, in a sentence.
    limits
        ``good`` and ``poor`` values that were compared with, if there are.
    basis
        What these rest upon.
    """

    key: str
    section: str
    title: str
    text: str
    value: float | None
    verdict: Verdict
    reason: str
    limits: dict[str, float | None] | None = None
    basis: str = _RULE


def judge(numbers: Numbers) -> list[dict[str, Any]]:
    """All verdicts that the numbers allow, as plain values: first whether there is a map at all."""
    parts = (
        _in_use, _hardly_left, _left_out, _expected, _convergence, _library, _cut_sites, _signal,
        _decay, _resolution, _corrections,
    )  # fmt: skip
    checks = [check for part in parts for check in part(numbers)]
    if share_in_use(numbers["filter"]) < NEARLY_EMPTY:
        checks = [_withheld(check, numbers) for check in checks]
    return [asdict(check) for check in checks]


def share_in_use(found: Numbers) -> float:
    """Units in use, of those that have reads of the kind that the filter counts."""
    return float(min(1.0, found["in_use"] / max(1, found["with_reads"])))


def _withheld(check: Check, numbers: Numbers) -> Check:
    """Nothing is good where the map is empty."""
    if check.verdict != "good":
        return check
    kind = numbers["project"]["units"]
    reason = f"no verdict while hardly any {kind} are in use"
    return replace(check, verdict="none", reason=f"{reason}; {check.reason}".rstrip("; "))


def grade(value: float, good: float, poor: float) -> Verdict:
    """Verdict on a number, between two limits; the order of the limits says what is better.

    Examples
    --------
    >>> from hifive_dask.report.checks import grade
    >>> grade(0.05, good=0.1, poor=0.3), grade(0.2, good=0.4, poor=0.15)
    ('good', 'check')
    """
    sign = 1 if good >= poor else -1
    if sign * value >= sign * good:
        return "good"
    return "poor" if sign * value < sign * poor else "check"


def _reads(numbers: Numbers, name: str, column: str = "reads") -> float:
    rows = numbers["reads"]["classes"]
    value = next(row[column] for row in rows if row["class"] == name)
    return 0.0 if value is None else float(value)


def _percent(share: float) -> str:
    return share_text(100 * share)


# Whether there is a map


def _in_use(numbers: Numbers) -> Iterator[Check]:
    found, kind = numbers["filter"], numbers["project"]["units"]
    share, good, poor = share_in_use(found), 0.5, NEARLY_EMPTY
    title, least = f"{kind.capitalize()} in use", found["mininteractions"]
    if found["in_use"] == found["units"] and least is None:
        yield Check(
            "in_use", "chromosomes", title, "all", share, "check",
            f"no filter was applied: {kind} with hardly any partner are noise", basis=_FACT,
        )  # fmt: skip
        return
    reason = f"{found['in_use']:,} of {found['with_reads']:,} with {found['usereads']} reads"
    reason = reason.replace(" all reads", " reads")
    if found["in_use"] < found["with_reads"]:
        few = f"fewer than {least} partners in use" if least else "too few partners"
        reason += f"; others have {few}"
    if share < good:
        larger = "larger bins" if kind == "bins" else "bins"
        reason += f"; ask for fewer (--mininteractions), or count in {larger} (--binned)"
    yield Check(
        "in_use", "chromosomes", title, _percent(share), share, grade(share, good, poor), reason,
        {"good": good, "poor": poor},
    )  # fmt: skip


def _hardly_left(numbers: Numbers) -> Iterator[Check]:
    """Chromosomes that the filter left out, or nearly; nothing if there are none."""
    found, kind = numbers["filter"], numbers["project"]["units"]
    left = [Left(**each) for each in found["hardly_left"]]
    if not left:
        return
    number = sum(each.chromosomes for each in left)
    yield Check(
        "hardly_left", "chromosomes", "Chromosomes left out", f"{number:,}", number, "check",
        tell_left(left, kind, found["usereads"]), basis=_FACT,
    )  # fmt: skip


def _left_out(numbers: Numbers) -> Iterator[Check]:
    """Reads that are in no map, and what they look like."""
    found, title = numbers["left_out"], "Reads left out by the filter"
    if found is None:
        yield Check("left_out", "chromosomes", title, "none", 0.0, "none", "", basis=_FACT)
        return
    share, good, poor = found["of_valid"], 0.25, 0.75
    parts = [
        f"{found['cis_reads']:,} cis and {found['trans_reads']:,} trans reads: "
        f"{_percent(found['cis_share'])} are cis"
    ]
    if found["cis_share_in_use"] is not None:
        parts[0] += f", of the others {_percent(found['cis_share_in_use'])}"
    if found["slopes"]:
        slope = f"{found['slopes'][-1]['slope']:.2f}".replace("-", "\N{MINUS SIGN}")
        parts.append(f"slope of their decay {slope}")
    names = found["chromosomes"]
    if names:
        more = f" and {len(names) - 5:,} others" if len(names) > 5 else ""
        parts.append(f"most cis reads of {', '.join(names[:5])}{more}")
    yield Check(
        "left_out", "chromosomes", title, _percent(share), share, grade(share, good, poor),
        "; ".join(parts), {"good": good, "poor": poor},
    )  # fmt: skip


def ratio_of(row: Numbers) -> float | None:
    """Observed over expected reads of a chromosome; None if nothing is expected of it."""
    return row["observed"] / row["expected"] if row["expected"] else None


def _expected(numbers: Numbers) -> Iterator[Check]:
    """Whether every chromosome has as many reads as maps expect of it."""
    title, rows = "Observed over expected", numbers["filter"]["chromosomes"]
    ratios = {
        row["name"]: ratio
        for row in rows
        if row["observed"] >= ENOUGH and (ratio := ratio_of(row)) is not None
    }
    gone = sum(row["observed"] < ENOUGH <= row["cis_reads"] for row in rows)
    if not ratios:
        reason = (
            f"no chromosome has {ENOUGH:,} cis reads in use, and known ones that are expected of it"
        )
        yield Check(
            "expected", "chromosomes", title, "not known", None, "none", reason, basis=_FACT
        )
        return
    apart = {name: max(ratio, 1 / ratio) for name, ratio in ratios.items()}
    worst = max(apart, key=lambda name: apart[name])
    low, high = f"{min(ratios.values()):.2f}", f"{max(ratios.values()):.2f}"
    good, poor = LEVEL
    off = sum(each > good for each in apart.values())
    reason = "cis reads in use over those that maps expect, of every chromosome"
    if off:
        learned = numbers["convergence"]
        joint = learned is not None and learned["joint"]
        reason += (
            f"; {off:,} of {len(ratios):,} are off by more than 10 %, {worst} most, and all ratios "
            f"of their maps with them: {level_cure(joint=joint, command=True)}"
        )
    verdict = grade(apart[worst], good, poor)
    if gone:
        reason += f"; {gone:,} others with as many reads have hardly any in use"
        verdict = "poor" if verdict == "poor" or gone > len(ratios) else "check"
    yield Check(
        "expected", "chromosomes", title, low if low == high else f"{low} to {high}",
        ratios[worst], verdict, reason, {"good": good, "poor": poor},
    )  # fmt: skip


# What became of the reads

# Class, title, good, poor (None: never worse than "check"), what a high share means.
_LOSSES: tuple[tuple[str, str, float, float | None, str], ...] = (
    (
        "chr_not_in_fends", "Unknown chromosomes", 0.05, None,
        "names of chromosomes may differ, or contigs and unmapped ends were left out",
    ),
    (
        "out_of_bounds", "Outside of all fragments", 0.01, 0.1,
        "the cut sites may be of another assembly",
    ),
    (
        "insert_size", "Far from cut sites", 0.15, 0.4,
        "maxinsert may be below the size selection, or the enzyme another one",
    ),
    (
        "same_fragment", "Within one fragment", 0.1, 0.3,
        "DNA was not ligated (dangling ends), or onto itself (self-circles)",
    ),
    (
        "failed_cut", "Not cut", 0.1, 0.3,
        "neighbouring fragments still hang together: digestion was short, or the enzyme is another",
    ),
)  # fmt: skip
# Without fragments nothing is known of cuts.
_LOSSES_OF_BINS = (
    _LOSSES[0],
    (
        "out_of_bounds", "Outside of all bins", 0.01, 0.1,
        "lengths of chromosomes may be those of another assembly",
    ),
    (
        "insert_size", "Close, on opposite strands", 0.15, 0.4,
        "DNA was not ligated, or maxinsert is large",
    ),
)  # fmt: skip


def _library(numbers: Numbers) -> Iterator[Check]:
    """Losses and duplicates."""
    reads = numbers["reads"]
    if not reads["known"]:
        yield Check(
            "losses", "reads", "Rejected reads", "not known", None, "none",
            "the pairs came counted and filtered: the store knows none that were rejected",
            basis=_FACT,
        )  # fmt: skip
        return
    if reads["duplicates"] is not None:
        yield _duplicates(reads)
    fragments = numbers["project"]["fends"] is not None
    for name, title, good, poor, meaning in _LOSSES if fragments else _LOSSES_OF_BINS:
        share = _reads(numbers, name, "of_all")
        verdict = grade(share, good, 2.0 if poor is None else poor)
        reason = "" if verdict == "good" else meaning
        yield Check(
            name, "reads", title, _percent(share), share, verdict, reason,
            {"good": good, "poor": poor},
        )  # fmt: skip


def _duplicates(reads: Numbers) -> Check:
    share, size = reads["duplicates"], reads["library_size"]
    good, poor = 0.2, 0.5
    verdict = grade(share, good, poor)
    if not share:
        verdict, reason = "none", "none were found: they were removed before, or nothing was"
    elif size is None:
        reason = "all reads are duplicates"
    else:
        reason = f"they tell of about {float(f'{size:.2g}'):,.0f} distinct pairs in the library"
        if verdict != "good":
            reason += "; more sequencing of it gives little"
    if reads["duplicates_kept"]:
        verdict, reason = "check", "duplicates were kept and count as reads"
    return Check(
        "duplicates", "reads", "PCR duplicates", _percent(share), share, verdict, reason,
        {"good": good, "poor": poor},
    )  # fmt: skip


def _cut_sites(numbers: Numbers) -> Iterator[Check]:
    """Whether reads begin and gather where the cut sites are."""
    found = numbers["cut_sites"]
    if found is None:
        return
    shift, facing = found["shift"], found["facing"]
    if shift is None:
        yield Check(
            "cut_sites", "sites", "Cut sites", "not known", None, "none",
            "this library shows no dangling ends, so the enzyme cannot be checked to the base",
            basis=_FACT,
        )  # fmt: skip
    else:
        size = f"{abs(shift)} bp"
        yield Check(
            "cut_sites", "sites", "Cut sites", f"shifted by {size}" if shift else "exact", shift,
            "poor" if shift else "good",
            f"{found['dangling']:,} ends of molecules that were not ligated begin "
            + (f"{size} {'before' if shift < 0 else 'behind'} the sites" if shift else "at a site"),
            basis=_FACT,
        )  # fmt: skip
    if facing is None:
        return
    verdict: Verdict = "none" if found["enzyme"] is None else "good"
    if found["enzyme"] == "other":
        verdict = "poor" if shift is None else "check"
    yield Check(
        "enzyme", "sites", "Reads that face a cut", f"{facing:.2f}-fold", facing, verdict,
        "ends that face the nearest cut over those that look away from it"
        + ("; the enzyme may be another one" if verdict == "poor" else ""),
        {"good": 1.5, "poor": 1.3},
    )  # fmt: skip


def _signal(numbers: Numbers) -> Iterator[Check]:
    """How much of the valid reads is signal."""
    valid = _reads(numbers, "valid_reads")
    if not valid:
        yield Check(
            "valid", "reads", "Valid reads", "none", 0.0, "poor", "there is nothing to see",
            basis=_FACT,
        )  # fmt: skip
        return
    long, trans = _reads(numbers, "cis_long_reads"), _reads(numbers, "valid_trans_reads")
    limit = length_text(numbers["reads"]["short"])
    mammal = numbers["project"]["length"] >= MAMMAL and numbers["reads"]["short"] == 20_000
    foreign = "limits are known for mammals and 20 kb only; compare with libraries of this organism"
    share = long / valid
    yield Check(
        "long_cis", "reads", f"Cis reads from {limit}", _percent(share), share,
        grade(share, 0.4, 0.15) if mammal else "none",
        "of valid reads; loops, domains and compartments are seen in these" if mammal else foreign,
        {"good": 0.4, "poor": 0.15} if mammal else None, _PAIRSQC if mammal else _FACT,
    )  # fmt: skip
    if trans:  # stores of cis reads alone would be perfect
        share = long / (long + trans)
        yield Check(
            "long_cis_of_far", "reads", "Long cis of long cis and trans", _percent(share), share,
            grade(share, 0.4, 0.4) if mammal else "none",
            "below 40 % noise of random ligation prevails" if mammal else foreign,
            {"good": 0.4, "poor": 0.4} if mammal else None, _PAIRSQC if mammal else _FACT,
        )  # fmt: skip
    yield _trans(numbers, trans / valid)


def _trans(numbers: Numbers, share: float) -> Check:
    """Trans reads against those that ligation at random would give."""
    title, text, chance = "Trans reads", _percent(share), numbers["reads"]["random_trans"]
    known = _reads(numbers, "valid_trans_reads") > 0
    if chance < 0.2 or not known:
        reason = (
            "one chromosome has nearly all of the genome"
            if chance < 0.2
            else "the store has none: it may hold cis reads alone"
        )
        return Check("trans", "reads", title, text, share, "none", reason, basis=_FACT)
    good, poor = 0.5 * chance, 0.85 * chance
    return Check(
        "trans", "reads", title, text, share, grade(share, good, poor),
        f"of valid reads; ligation at random alone would give {_percent(chance)}",
        {"good": good, "poor": poor},
    )  # fmt: skip


# What was learned


def _decay(numbers: Numbers) -> Iterator[Check]:
    decay = numbers["decay"]
    if decay is None or not decay["slopes"]:
        reason = "no range of distances has reads enough for a slope"
        yield Check("slope", "decay", "Decay with distance", "not known", None, "none", reason)
        return
    found = decay["slopes"][-1]
    value, good, poor = found["slope"], -0.5, -0.2
    text = f"slope {value:.2f}".replace("-", "\N{MINUS SIGN}")
    where = f"from {length_text(found['from'])} to {length_text(round(found['to'], -3))}"
    reason = f"{where}; a human genome has about \N{MINUS SIGN}1, and random ligation 0"
    yield Check(
        "slope", "decay", "Decay with distance", text, value,
        grade(value, good, poor), reason, {"good": good, "poor": poor},
        "slope of human interphase: Lieberman-Aiden et al., Science 326, 289 (2009); the limits "
        "are those of this report",
    )  # fmt: skip


def _resolution(numbers: Numbers) -> Iterator[Check]:
    size = numbers["filter"]["resolution"]
    yield Check(
        "resolution", "filter", "Map resolution", "none" if size is None else length_text(size),
        size, "none",
        "no bin size gives 80 % of bins 1000 reads" if size is None
        else "least bin size at which 80 % of bins have 1000 reads",
        basis="definition of Rao et al., Cell 159, 1665 (2014)",
    )  # fmt: skip


def _convergence(numbers: Numbers) -> Iterator[Check]:
    found, title = numbers["convergence"], "Convergence"
    if found is None:
        reason = "no corrections were learned yet: maps show the biases of fends"
        yield Check("converged", "corrections", title, "not normalized", None, "check", reason,
                    basis=_FACT)  # fmt: skip
        return
    done, text = found["converged"], found["method"]
    if found["iterations"] is not None:
        text += f", {found['iterations']:,} iterations"
    if done is None:
        yield Check("converged", "corrections", title, text, None, "none",
                    "the project does not tell how it ended", basis=_FACT)  # fmt: skip
        return
    change = found["last_change"]
    reason = "" if change is None else f"last change {change:.3g}"
    if found["limit"] is not None:
        reason += f", {'limit' if done else 'not below'} {found['limit']:g}"
    if found["stalled"]:
        reason += f"; no further step on {', '.join(found['stalled'][:5])}"
    yield Check("converged", "corrections", title, text, change, "good" if done else "poor",
                reason.lstrip(", "), basis=_FACT)  # fmt: skip


def _corrections(numbers: Numbers) -> Iterator[Check]:
    """What is left in the corrected reads."""
    found = numbers["corrections"]
    if found is None or numbers["convergence"] is None:
        return
    spread = [found[when]["95%"] / max(found[when]["5%"], 1e-9) for when in ("before", "after")]
    texts = [
        f"{each:.{1 if each >= 10 else 2}f}" if each < 1000 else "over 1000" for each in spread
    ]
    balancing = numbers["convergence"]["balances"]
    yield Check(
        "balance", "corrections", "Spread of coverage", f"{texts[0]}-fold to {texts[1]}-fold",
        spread[1], grade(spread[1], 1.5, 4.0) if balancing else "none",
        "95th over 5th percentile of cis reads of fends or bins over those expected, before "
        "and after the "
        "corrections",
        {"good": 1.5, "poor": 4.0} if balancing else None,
    )  # fmt: skip
    strongest = {
        name: (own["strongest_before"], own["strongest_after"])
        for name, own in found["features"].items()
        if own["strongest_after"] is not None
    }
    if strongest:
        name = max(strongest, key=lambda each: strongest[each][1])
        before, after = (2**value - 1 for value in strongest[name])
        yield Check(
            "features", "corrections", "Biases of features",
            f"{100 * before:.0f} % to {_percent(after)}", after, grade(after, 0.1, 0.4),
            f"largest deviation of a group of equal {name}, before and after the corrections",
            {"good": 0.1, "poor": 0.4},
        )  # fmt: skip
