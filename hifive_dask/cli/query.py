"""``hifive-dask query``."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hifive_dask.cli._command import Command
from hifive_dask.cli._inputs import map_options
from hifive_dask.cli._maps import open_map
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import HEATMAP, STDOUT, StoreOut, StorePath, check_output, write_text
from hifive_dask.cli._types import REGION

if TYPE_CHECKING:
    import xarray as xr

    from hifive_dask._store.places import Place

_BAND = 1 << 22  # cells in memory at a time
_DIGITS = 6  # of numbers that are not whole
_COLUMNS = ("chrom1", "start1", "stop1", "chrom2", "start2", "stop2", "observed", "expected",
            "enrichment")  # fmt: skip
_SUFFIXES = (".tsv", ".txt", ".gz", ".npz", ".zarr")


@click.command(
    "query",
    cls=Command,
    examples=[
        "hifive-dask query project.zarr chr1:1Mb-2Mb --binsize 20kb > chr1.tsv",
        "hifive-dask query project.zarr chr1 chr2 --binsize 100kb -o trans.npz",
    ],
)
@click.argument("store", type=StorePath("project"))
@click.argument("region", type=REGION)
@click.argument("region2", type=REGION, required=False)
@map_options
@click.option(
    "-o",
    "--out",
    type=StoreOut(),
    default="-",
    show_default="-, text to standard output",
    help="File: .tsv, .tsv.gz, .npz or .zarr.",
)
@pass_settings
def command(
    settings: Settings,
    /,
    store: Place,
    region: str,
    region2: str | None,
    out: Place,
    **options: Any,
) -> None:
    """Write the map of REGION, or of REGION against REGION2, as text or arrays.

    STORE is a project, or a heatmap store with the bin sizes that were written, by default the
    finest with up to 400 bins. Text has a line per cell with reads; of a map of one region, the
    cells on and above the diagonal. Whole numbers are in full, others in six digits. Arrays have
    all cells.
    """
    if out != STDOUT and out.suffix not in _SUFFIXES:
        raise click.UsageError(f"{out.name}: the suffix must be one of {', '.join(_SUFFIXES)}")
    check_output(out, store, kind=HEATMAP if out.suffix == ".zarr" else None)
    with settings.session():
        dataset = open_map(store, region, region2, options).dataset
        _write(out, dataset, upper=region2 is None)
    if out == STDOUT:
        return
    shape = " x ".join(f"{dataset.sizes[dim]:,}" for dim in ("bin1", "bin2"))
    settings.say(f"{out}: {shape} bins.")


def _write(out: Place, dataset: xr.Dataset, *, upper: bool) -> None:
    import numpy as np

    from hifive_dask._store.atomic import replacing, replacing_file
    from hifive_dask._store.zarr_store import zarr_place

    if out.suffix == ".zarr":
        with replacing(out) as beside:
            dataset.assign_attrs(type=HEATMAP).to_zarr(
                zarr_place(beside), zarr_format=3, consolidated=False
            )
        return
    if out.suffix not in (".npz", ".gz"):
        write_text(out, _text(dataset, upper=upper))
        return
    with replacing_file(out) as beside, open(beside, "wb") as handle:
        if out.suffix == ".npz":
            arrays = {str(name): values.values for name, values in dataset.variables.items()}
            np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]
        else:
            # No name and no time in the header: equal maps give equal bytes.
            with gzip.GzipFile("", "wb", 6, handle, mtime=0) as packed:
                packed.writelines(lines.encode() for lines in _text(dataset, upper=upper))


def _text(dataset: xr.Dataset, *, upper: bool) -> Iterator[str]:
    """Header, then the lines of bands of rows."""
    import numpy as np

    from hifive_dask.heatmap.labels import number_text

    yield "\t".join(_COLUMNS) + "\n"
    rows, columns = dataset.sizes["bin1"], dataset.sizes["bin2"]
    step = max(1, math.floor(_BAND / max(columns, 1)))
    places = [
        [dataset[f"{name}{axis}"].values.tolist() for name in ("chromosome", "start", "stop")]
        for axis in (1, 2)
    ]
    for first in range(0, rows, step):
        band = dataset.isel(bin1=slice(first, first + step))
        values = [v.values for v in band[["observed", "expected", "enrichment"]].compute().values()]
        row, column = np.nonzero(values[0] > 0)  # below 0: not stored
        if upper:
            keep = column >= row + first
            row, column = row[keep], column[keep]
        cells = zip(row.tolist(), column.tolist(), *(v[row, column] for v in values), strict=True)
        lines = []
        for r, c, observed, expected, enrichment in cells:
            ends = [place[r + first] for place in places[0]] + [place[c] for place in places[1]]
            ends += [number_text(value, _DIGITS) for value in (observed, expected, enrichment)]
            lines.append("\t".join(map(str, ends)) + "\n")
        yield "".join(lines)
