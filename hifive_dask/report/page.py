"""The page: texts, tables, and the template that puts pictures beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from hifive_dask.plot.style import length_text, share_text
from hifive_dask.report.checks import ENOUGH, LEVEL, grade, ratio_of
from hifive_dask.report.pictures import Picture
from hifive_dask.schema import MARKED

__all__ = ["render"]

Numbers = Mapping[str, Any]

_SECTIONS = (
    ("verdicts", "At a glance"),
    ("chromosomes", "Chromosomes"),
    ("reads", "Reads"),
    ("inserts", "Insert sizes"),
    ("sites", "Cut sites"),
    ("decay", "Decay"),
    ("filter", "Coverage"),
    ("corrections", "Corrections"),
    ("maps", "Maps"),
    ("provenance", "Provenance"),
)
_WORDS = {"good": "good", "check": "look at it", "poor": "poor", "none": "no verdict"}
_SCORES = {"good": "good", "check": "to look at", "poor": "poor", "none": "without a verdict"}
_FATES = (
    "valid_cis_reads", "valid_trans_reads", "failed_cut", "same_fragment", "insert_size",
    "pcr_duplicates", "out_of_bounds", "chr_not_in_fends", "walk_reads",
    "multimapped_reads", "unmapped_reads",
)  # fmt: skip
_DISTANCES = ("cis_short_reads", "cis_long_reads", "valid_trans_reads")
_CHROMOSOMES = 40  # most rows of their table


def render(numbers: Numbers, pictures: Sequence[Picture], title: str) -> str:
    """Return the page as HTML; numbers are those of `hifive_dask.report.measure`."""
    folder = files("hifive_dask.report")
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "count": _count,
        "percent": _percent,
        "length": _length,
        "minus": lambda text: text.replace("-", "\N{MINUS SIGN}"),
    }
    template = environment.from_string(folder.joinpath("page.html").read_text("utf-8"))
    by_section: dict[str, list[Picture]] = {name: [] for name in (*dict(_SECTIONS), *_INNER)}
    for picture in pictures:
        by_section[picture.section].append(picture)
    return template.render(
        numbers=numbers,
        pictures=by_section,
        css=folder.joinpath("page.css").read_text("utf-8"),
        title=title or numbers["project"]["name"],
        kind=numbers["project"]["units"],
        sections=_SECTIONS,
        words=_WORDS,
        genome_missing=all(each["region"] is not None for each in numbers["maps"]),
        **_verdicts(numbers),
        **_read_tables(numbers["reads"]),
        **_texts(numbers),
        chromosomes=[_leveled(row) for row in _longest(numbers["filter"]["chromosomes"])],
        steps=[_step(record) for record in numbers["provenance"]["history"]],
    )


_INNER = ("biases",)  # within the section of corrections


# How numbers read


def _count(value: int) -> str:
    return f"{value:,}"


def _percent(share: float | None) -> str:
    return "" if share is None else share_text(100 * share)


def _length(size: float) -> str:
    """A length in three digits."""
    return length_text(float(f"{size:.3g}"))


# Verdicts


def _verdicts(numbers: Numbers) -> dict[str, Any]:
    checks = numbers["checks"]
    bases = list(dict.fromkeys(check["basis"] for check in checks))
    counts = Counter(check["verdict"] for check in checks)
    return {
        "checks": [
            {
                **check,
                "note": bases.index(check["basis"]) + 1,
                "limit_text": _limit_text(check),
            }
            for check in checks
        ],
        "bases": bases,
        "score": [
            (verdict, counts[verdict], word) for verdict, word in _SCORES.items() if counts[verdict]
        ],
    }


def _limit_text(check: Numbers) -> str:
    """The limits in words: which values are good, which poor."""
    if not check["limits"] or check["verdict"] == "none":
        return ""
    good, poor = check["limits"]["good"], check["limits"]["poor"]
    if check["key"] == "expected":
        return f"good within a factor of {good:g}, poor beyond {poor:g}"
    show = _short if check["text"].endswith("%") else _plain
    if poor is None:
        return f"good up to {show(good)}"
    if good >= poor:
        return f"good from {show(good)}, poor below {show(poor)}"
    return f"good up to {show(good)}, poor above {show(poor)}"


def _short(share: float) -> str:
    return f"{100 * share:.3g} %"


def _plain(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


# Reads


def _read_tables(reads: Numbers) -> dict[str, Any]:
    """Rows of the table, and the bars above it."""
    by_name = {row["class"]: row for row in reads["classes"]}
    names = _class_names(reads["short"])
    rows = [
        {
            "key": name,
            "name": names[name],
            "inner": name in ("marked_duplicates", "valid_cis_reads", *_DISTANCES),
            "swatch": name in (*_FATES, *_DISTANCES),
            **{key: row[key] for key in ("reads", "of_all", "of_valid", "meaning")},
        }
        for name, row in by_name.items()
        if (reads["known"] or row["of_valid"] is not None) and (row["reads"] or name not in MARKED)
    ]
    lost = list(_FATES)
    if reads["duplicates_kept"]:
        lost[lost.index("pcr_duplicates")] = "marked_duplicates"
    stacks = []
    for title, classes in (("All read pairs", lost), ("Valid read pairs", list(_DISTANCES))):
        total = sum(by_name[name]["reads"] for name in classes)
        if not total or (classes is lost and not reads["known"]):
            continue
        parts = [
            {"key": name, "name": names[name], "share": by_name[name]["reads"] / total}
            for name in classes
            if by_name[name]["reads"]
        ]
        label = ", ".join(f"{part['name']} {_percent(part['share'])}" for part in parts)
        stacks.append({"title": title, "total": total, "parts": parts, "label": label})
    return {"rows": rows, "stacks": stacks}


def _class_names(short: int) -> dict[str, str]:
    limit = length_text(short)
    return {
        "total_reads": "All",
        "unmapped_reads": "Unmapped",
        "multimapped_reads": "Multimapped",
        "walk_reads": "Walks",
        "chr_not_in_fends": "Unknown chromosome",
        "pcr_duplicates": "PCR duplicates",
        "marked_duplicates": "Marked duplicates",
        "out_of_bounds": "Out of bounds",
        "insert_size": "Insert size",
        "same_fragment": "Same fragment",
        "failed_cut": "Failed cut",
        "valid_reads": "Valid",
        "valid_cis_reads": "Cis",
        "cis_short_reads": f"Cis below {limit}",
        "cis_long_reads": f"Cis from {limit}",
        "valid_trans_reads": "Trans",
    }


# Texts


def _texts(numbers: Numbers) -> dict[str, Any]:
    project, found = numbers["project"], numbers["filter"]
    by_name = {row["class"]: row["reads"] for row in numbers["reads"]["classes"]}
    kind = project["units"]
    used = f"{_percent(found['in_use'] / max(1, found['units']))} of {found['units']:,}"
    facts = [
        ("Read pairs", _count(by_name["total_reads"]), ""),
        (
            "Valid reads", _count(by_name["valid_reads"]),
            f"{_percent(by_name['valid_reads'] / max(1, by_name['total_reads']))} of all",
        ),
        (f"{kind.capitalize()} in use", _count(found["in_use"]), used),
        ("Pairs with reads", _count(project["pairs"]), f"of {kind}"),
        ("Corrections", (numbers["convergence"] or {"method": "none"})["method"], ""),
    ]  # fmt: skip
    return {
        "lead": _lead(project),
        "facts": facts,
        "filter_text": _filter_text(found, kind),
        "left_text": _left_text(numbers["left_out"]),
        "insert_limit": _insert_limit(numbers["inserts"]),
        "corrections_text": _corrections_text(numbers),
    }


def _lead(project: Numbers) -> str:
    """What this is, in a line."""
    number = project["chromosomes"]
    parts = [
        project["genome"] or "Genome without a name",
        f"{number:,} chromosome{'s' if number != 1 else ''}, {_length(project['length'])}",
    ]
    if project["fends"] is not None:
        cut = f"cut with {project['enzyme']}, " if project["enzyme"] else ""
        size = _length(project["median_fragment"])
        parts.append(f"{cut}{project['fends']:,} fends, fragments of {size} in the median")
    if project["units"] == "bins":
        size = f" of {_length(project['binned'])}" if project["binned"] else ""
        parts.append(f"{project['number_of_units']:,} bins{size}")
    return "; ".join(parts) + "."


def _insert_limit(inserts: Numbers | None) -> str:
    """The limit of the store, or those of the stores that were added up."""
    limits = None if inserts is None else inserts["maxinsert"]
    each = limits if isinstance(limits, list) else [limits]
    return " and ".join("none" if limit is None else f"{limit:,} bp" for limit in each)


def _filter_text(found: Numbers, kind: str) -> str:
    text = f"{found['in_use']:,} of {found['units']:,} {kind} are in use"
    reasons, least = found["reasons"], found["mininteractions"]
    if found["in_use"] == found["units"]:
        return f"{text}."
    parts = [f"{reasons['without_reads']:,} have no reads"]
    if least:
        parts.append(f"{reasons['few_partners']:,} have fewer than {least} {_partners(found)}")
        other = (
            "had enough, but these were dropped themselves, or lie at distances that do not count"
        )
    else:
        other = "were left out for another reason"
    parts.append(f"{reasons['other']:,} {other}")
    return f"{text}. Of the others, {_listed(parts)}."


def _left_text(found: Numbers | None) -> str:
    """Reads that are in no map, and how they differ from the others."""
    if found is None:
        return ""
    text = (
        f"{found['reads']:,} valid reads, {_percent(found['of_valid'])}, are in no map, since the "
        f"filter left out an end of them; {_percent(found['cis_share'])} of these are cis"
    )
    if found["cis_share_in_use"] is not None:
        text += f", of those in maps {_percent(found['cis_share_in_use'])}"
    for each in found["slopes"]:
        value = f"{each['slope']:.2f}".replace("-", "\N{MINUS SIGN}")
        text += f"; from {_length(each['from'])} to {_length(each['to'])} their slope is {value}"
    return f"{text}."


def _partners(found: Numbers) -> str:
    return "partners" if found["usereads"] == "all" else f"{found['usereads']} partners"


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def _corrections_text(numbers: Numbers) -> str:
    found = numbers["convergence"]
    if found is None:
        return ""
    end = {True: "It converged", False: "It did not converge", None: "The project does not tell "
           "whether it converged"}[found["converged"]]  # fmt: skip
    if found["iterations"] is not None and found["converged"] is not None:
        end += f" in {found['iterations']:,} iterations"
    return f"Learned by {found['method']}. {end}."


# Tables


def _longest(chromosomes: Sequence[Numbers]) -> list[dict[str, Any]]:
    """Rows of chromosomes; of many, the longest ones, and all others in one row."""
    rows = [dict(row) for row in chromosomes]
    if len(rows) <= _CHROMOSOMES:
        return rows
    order = sorted(range(len(rows)), key=lambda k: -rows[k]["length"])
    shown = sorted(order[: _CHROMOSOMES - 1])
    rest = [rows[k] for k in order[_CHROMOSOMES - 1 :]]
    sums = {key: _sum(row[key] for row in rest) for key in rest[0] if key != "name"}
    return [*(rows[k] for k in shown), {"name": f"{len(rest):,} others", **sums}]


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _leveled(row: dict[str, Any]) -> dict[str, Any]:
    """A row with observed over expected reads as text, and its verdict if reads are many enough."""
    ratio = ratio_of(row)
    level = None
    if ratio is not None and row["observed"] >= ENOUGH:
        level = grade(max(ratio, 1 / ratio), *LEVEL)
    return {**row, "ratio": "" if ratio is None else f"{ratio:.3g}", "level": level}


def _step(record: Numbers) -> dict[str, Any]:
    """A call of the history as text."""
    if "text" in record:
        return {"text": str(record["text"]).rstrip()}
    return {
        "text": "",
        "call": record["call"],
        "arguments": _pairs(record["parameters"].items(), "="),
        "results": _pairs(
            ((name, value) for name, value in record["results"].items() if not _long(value)), " "
        ),
    }


def _pairs(items: Iterable[tuple[str, Any]], between: str) -> str:
    return ", ".join(f"{name}{between}{_shown(value)}" for name, value in items)


def _long(value: Any) -> bool:
    """Whether a result is itself a table, which the page has elsewhere."""
    return isinstance(value, list) and any(isinstance(each, list) for each in value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if type(value) is int else repr(value)
