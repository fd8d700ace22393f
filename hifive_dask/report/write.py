"""Reports as files."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hifive_dask._store.atomic import replacing_file, writable_parent
from hifive_dask._store.places import Location, local
from hifive_dask.errors import ParameterError
from hifive_dask.hic import HiC
from hifive_dask.public import answering
from hifive_dask.ranks import by_first_rank
from hifive_dask.reads.classes import SHORT
from hifive_dask.regions import bp_or_none, whole_bp
from hifive_dask.report.checks import judge
from hifive_dask.report.measure import measure
from hifive_dask.report.page import render
from hifive_dask.report.pictures import compute_maps, draw, maps_numbers, plan_maps

__all__ = ["write_report"]

_SUFFIXES = (".html", ".htm")


@answering
def write_report(
    project: HiC | Location,
    out: Location | None = None,
    *,
    json: Location | None = None,
    regions: str | Sequence[str] | None = None,
    binsize: int | str | None = None,
    short: int | str = SHORT,
    title: str = "",
    silent: bool = False,
) -> dict[str, Any]:
    """Write the quality report of a project: one page that holds everything it shows.

    Parameters
    ----------
    project
        A project, or where one is stored.
    out
        The page, ``.html``; it needs no other file and no network. None for none.
    json
        A file for the numbers, ``.json``.
    regions
        Maps to draw besides that of the genome, such as ``"chr2:10M-20M"``; by default that of the
        longest chromosome.
    binsize
        bp, of the maps of regions; by default a round size that makes up to 400 bins.
    short
        bp: cis reads closer than this are short.
    title
        Above the page; by default the name of the project.
    silent
        No progress bars.

    Returns
    -------
    dict
        The numbers and verdicts, as the documentation lists them; plain values, as in JSON.

    Raises
    ------
    ParameterError
        If a suffix is wrong, or a map would have more than 1000 bins along a side.
    RegionError
        If there is no map of a region.
    StoreError
        If the project cannot be opened, or a file not be written. What was there before stays.

    Examples
    --------
    >>> import hifive_dask as hd
    >>> from hifive_dask.testing import toy_project
    >>> hic = hd.HiC(toy_project(), silent=True)
    >>> page = Path(hic.file).parent / "report.html"
    >>> numbers = hd.write_report(hic, page, regions="chr1")
    >>> [check["verdict"] for check in numbers["checks"] if check["key"] == "failed_cut"]
    ['good']
    >>> page.exists()
    True
    """
    page = None if out is None else _checked(out, _SUFFIXES)
    table = None if json is None else _checked(json, (".json",))
    hic = project if isinstance(project, HiC) else HiC(project, silent=silent)
    chosen = [regions] if isinstance(regions, str) else regions
    maps = plan_maps(hic, chosen, bp_or_none(binsize, "binsize"))  # before anything is computed
    findings, maps = measure(hic, whole_bp(short, "short")), compute_maps(maps, silent=hic.silent)
    numbers = findings.numbers
    numbers["maps"] = maps_numbers(maps)
    numbers["checks"] = judge(numbers)
    if page is not None:
        _write(page, render(numbers, draw(hic, findings, maps), title))
    if table is not None:
        text = json_module.dumps(numbers, indent=2, ensure_ascii=False, allow_nan=False)
        _write(table, text + "\n")
    return numbers


@by_first_rank
def _write(path: Path, text: str) -> None:
    with replacing_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _checked(path: Location, suffixes: Sequence[str]) -> Path:
    """A file of this machine that can be written, and is no directory."""
    target = local(path)
    if target.suffix.lower() not in suffixes or target.is_dir():
        raise ParameterError(
            f"{target}: expected the name of a file that ends with {' or '.join(suffixes)}"
        )
    writable_parent(target)
    return target
