"""Reads expected of every unit, against maps with a cell for every pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hifive_dask import Fend, HiC, HiCData, testing
from hifive_dask.errors import StateError
from hifive_dask.model.unit_reads import expected_of_units


def project(folder: Path, binned: int | None) -> HiC:
    """A project of toy reads with corrections, in fends or bins."""
    if binned is None:
        hic = HiC(testing.toy_project(folder), silent=True)
    else:
        files = testing.toy_files(folder)
        fend = Fend(folder / "bins.zarr", "w", binned=binned, silent=True)
        fend.load_bins(files.lengths, format="len")
        fend.save()
        data = HiCData(folder / "counts.zarr", "w", silent=True)
        data.load_data_from_pairs(fend.file, files.pairs, None)
        data.save()
        hic = HiC(folder / "binned.zarr", "w", silent=True)
        hic.load_data(data.file)
    hic.filter_fends(mininteractions=5)
    hic.find_distance_parameters(numbins=20, minsize=binned or 2000)
    hic.find_probability_fend_corrections(model="poisson")
    return hic


@pytest.mark.parametrize("binned", [None, 10_000])
def test_expected_of_units__are_the_sums_of_maps(tmp_path: Path, binned: int | None) -> None:
    hic = project(tmp_path, binned)
    assert hic.distance_parameters is not None
    assert hic.chromosome_means is not None
    assert hic.corrections is not None
    ones = np.ones(len(hic.units), dtype=np.float32)
    learned = (hic.distance_parameters, hic.chromosome_means)
    sums = expected_of_units(hic.units, hic.filter, *learned, [ones, hic.corrections], silent=True)
    for chrom, name in enumerate(hic.units.chromosomes):
        for row, datatype in enumerate(("distance", "enrichment")):
            found = hic.heatmap(name, binsize=binned or 0, datatype=datatype).expected.values
            found = np.nan_to_num(found).astype(np.float64)
            plain = found.sum(axis=0) + np.diagonal(found)
            np.testing.assert_allclose(sums[row, hic.units.span(chrom)], plain, rtol=1e-5)


def test_expected_of_units__without_any_pair_is_an_error(tmp_path: Path) -> None:
    hic = project(tmp_path, None)
    assert hic.distance_parameters is not None
    assert hic.chromosome_means is not None
    none = np.zeros_like(hic.filter)
    learned = (hic.distance_parameters, hic.chromosome_means)
    with pytest.raises(StateError, match=r"no two (fends|bins) in use"):
        expected_of_units(hic.units, none, *learned, [], silent=True)
