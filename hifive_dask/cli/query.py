"""``hifive-dask query``."""

from __future__ import annotations

import gzip
import math
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import click

from hifive_dask.cli._inputs import map_options
from hifive_dask.cli._maps import open_map
from hifive_dask.cli._settings import Settings, pass_settings
from hifive_dask.cli._stores import HEATMAP, StoreOut, StorePath, check_output

if TYPE_CHECKING:
    import xarray as xr

    from hifive_dask._store.places import Place

_BAND = 1 << 22  # cells in memory at a time
_COLUMNS = ("chrom1", "start1", "stop1", "chrom2", "start2", "stop2", "observed", "expected",
            "enrichment")  # fmt: skip
_SUFFIXES = (".tsv", ".txt", ".gz", ".npz", ".zarr")


@click.command("query")
@click.argument("project", type=StorePath("project"))
@click.argument("region")
@click.argument("region2", required=False)
@map_options
@click.option(
    "-o",
    "--out",
    type=StoreOut(),
    help="File: .tsv, .tsv.gz, .npz or .zarr; by default text to stdout.",
)
@pass_settings
def command(
    settings: Settings,
    /,
    project: Place,
    region: str,
    region2: str | None,
    out: Place | None,
    **options: Any,
) -> None:
    """Write the map of REGION, or of REGION against REGION2, of a project or a heatmap store.

    A heatmap store has the bin sizes that were written; by default the finest with up to 400 bins.

    Text has a line per cell with reads; of a map of one region, the cells on and above the
    diagonal. Arrays have all cells. A region is chr2, chr2:10,000,000-20,000,000, chr2:10M-20M, or
    all for the whole genome.
    """
    if out is not None:
        if out.suffix not in _SUFFIXES:
            raise click.UsageError(f"{out.name}: the suffix must be one of {', '.join(_SUFFIXES)}")
        check_output(out, project, kind=HEATMAP if out.suffix == ".zarr" else None)
    with settings.session():
        dataset = open_map(project, region, region2, options).dataset
        if out is None:
            _write_text(sys.stdout, dataset, upper=region2 is None)
            return
        _write_file(out, dataset, upper=region2 is None)
    shape = " x ".join(f"{dataset.sizes[dim]:,}" for dim in ("bin1", "bin2"))
    settings.say(f"{out}: {shape} bins.")


def _write_file(out: Place, dataset: xr.Dataset, *, upper: bool) -> None:
    import numpy as np

    from hifive_dask._store.atomic import replacing, replacing_file
    from hifive_dask._store.zarr_store import zarr_place

    if out.suffix == ".zarr":
        with replacing(out) as beside:
            dataset.assign_attrs(type=HEATMAP).to_zarr(
                zarr_place(beside), zarr_format=3, consolidated=False
            )
        return
    with replacing_file(out) as beside:
        if out.suffix == ".npz":
            arrays = {str(name): values.values for name, values in dataset.variables.items()}
            with open(beside, "wb") as handle:
                np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]
        elif out.suffix == ".gz":
            # No name and no time in the header: equal maps give equal bytes.
            with open(beside, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                for lines in _text(dataset, upper=upper):
                    packed.write(lines.encode())
        else:
            with open(beside, "w") as handle:
                _write_text(handle, dataset, upper=upper)


def _write_text(handle: IO[str], dataset: xr.Dataset, *, upper: bool) -> None:
    for lines in _text(dataset, upper=upper):
        handle.write(lines)


def _text(dataset: xr.Dataset, *, upper: bool) -> Iterator[str]:
    """Header, then the lines of bands of rows."""
    import numpy as np

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
            ends += [f"{observed:.10g}", f"{expected:.6g}", f"{enrichment:.6g}"]
            lines.append("\t".join(map(str, ends)) + "\n")
        yield "".join(lines)
