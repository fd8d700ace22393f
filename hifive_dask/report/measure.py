"""All numbers of a report, as plain values; pictures are drawn from the same."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hifive_dask import __version__
from hifive_dask.hic import HiC
from hifive_dask.model.marginals import Marginals, count_marginals
from hifive_dask.provenance import content_token
from hifive_dask.report.coverage import filter_numbers
from hifive_dask.report.learned import (
    convergence_numbers,
    correction_numbers,
    decay_numbers,
    expected_reads,
    measured_table,
)
from hifive_dask.report.left_out import left_out_numbers
from hifive_dask.report.reads import cut_site_numbers, insert_numbers, read_numbers

__all__ = ["FORMAT", "Findings", "measure"]

FORMAT = 1  # of the JSON: keys may be added under the same number, not removed or renamed

_PACKAGES = ("dask", "distributed", "numpy", "numba", "scipy", "xarray", "zarr", "h5py")


@dataclass(frozen=True)
class Findings:
    """What was measured of a project.

    Parameters
    ----------
    numbers
        Plain values, as `hifive_dask.write_report` returns them.
    counted
        Partners and reads of every unit.
    table
        Reads of units in use before and after the corrections; None if no unit has a partner.
    """

    numbers: dict[str, Any]
    counted: Marginals
    table: pd.DataFrame | None


def measure(hic: HiC, short: int) -> Findings:
    """Measure a project: some passes over its pairs, none over pairs of units.

    Parameters
    ----------
    hic
        The project.
    short
        bp: cis reads closer than this are short.
    """
    data = hic.data
    units, store = hic.units, data.store
    counted = count_marginals(units, store, silent=hic.silent)
    kept = count_marginals(units, store, valid=hic.filter, silent=hic.silent)
    expected = expected_reads(hic)
    table = measured_table(hic, kept, expected)
    numbers: dict[str, Any] = {
        "type": "report",
        "format": FORMAT,
        "version": __version__,
        "project": _project(hic),
        "reads": read_numbers(data, short),
        "inserts": insert_numbers(data),
        "cut_sites": cut_site_numbers(data),
        "decay": decay_numbers(hic),
        "filter": filter_numbers(hic, counted, kept, _of_chromosomes(hic, expected)),
        "left_out": left_out_numbers(hic, counted, kept),
        "convergence": convergence_numbers(hic),
        "corrections": None if table is None else correction_numbers(table),
        "provenance": _provenance(hic),
    }
    return Findings(numbers, counted, table)


def _of_chromosomes(hic: HiC, expected: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """float64 (C): cis reads that maps expect of every chromosome, None if that is not known."""
    if expected is None:
        return hic.expected_reads  # with a model of features
    number = len(hic.units.chromosomes)
    return np.bincount(hic.units.chromosome, expected[1], minlength=number) / 2


def _project(hic: HiC) -> dict[str, Any]:
    units, partition = hic.units, hic.fends.partition
    return {
        "file": hic.file,
        "name": Path(hic.file).name,
        "genome": partition.genome_name,
        "enzyme": partition.re_name,
        "kind": partition.kind,
        "binned": partition.binned,
        "units": "fends" if units.fends else "bins",
        "fends": None if partition.fends is None else len(partition.fends),
        "median_fragment": None if partition.fends is None else partition.median_fragment,
        "number_of_units": len(units),
        "chromosomes": len(units.chromosomes),
        "length": int(units.lengths.sum()),
        "pairs": len(hic.data.store),
        "normalization": hic.normalization,
    }


def _provenance(hic: HiC) -> dict[str, Any]:
    return {
        "stores": [
            {"role": "partition", "file": hic.fends.file, "token": hic.fends.token},
            {"role": "pairs", "file": hic.data.file, "token": hic.data.token},
            {"role": "project", "file": hic.file, "token": _token(hic)},
        ],
        "sources": list(hic.data.store.attributes.get("sources") or ()),
        "versions": _versions(),
        "history": hic.records.records,
    }


def _token(hic: HiC) -> str:
    """Digest of what was learned, and of the pairs it was learned from."""
    learned = (
        hic.filter,
        hic.corrections,
        hic.distance_parameters,
        hic.chromosome_means,
        hic.binning_corrections,
    )
    arrays = [np.zeros(0) if each is None else each for each in learned]
    return content_token(hic.data.token, hic.normalization, *arrays)


def _versions() -> dict[str, str]:
    found = {"hifive-dask": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # packed without metadata
            continue
    return found
