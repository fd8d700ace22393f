"""Matrices of binned reads as a source: text, HDF5, npz."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import dask

from hifive_dask._graph.run import run
from hifive_dask._store.array_files import ArrayFile
from hifive_dask.errors import InputError, InputWarning, ParameterError, warn
from hifive_dask.genome.files import Snapshot
from hifive_dask.genome.partition import Partition
from hifive_dask.reads.diagnose import explain_nothing_counted
from hifive_dask.reads.matrix_arrays import cut, find_array
from hifive_dask.reads.matrix_axis import Axis, match_names
from hifive_dask.reads.matrix_text import scan
from hifive_dask.reads.source import CountJob

__all__ = ["MatrixCounts", "MatrixFormat", "matrix_format"]

MatrixFormat = Literal["txt", "hdf5", "npz"]

_FORMATS: dict[str, MatrixFormat] = {
    ".hdf5": "hdf5",
    ".h5": "hdf5",
    ".npz": "npz",
    ".matrix": "txt",  # without a *, which is an error that says so
}
_SUFFIXES = ("", ".counts", ".observed")
_BLOCK = 1 << 23  # bytes of text per task
_CELL = 4  # bytes of text per cell above 0, about


def matrix_format(filename: str | os.PathLike[str]) -> MatrixFormat | None:
    """The format of matrices by the name of their file or template; None if it tells nothing."""
    name = os.fspath(filename)
    return "txt" if "*" in name else _FORMATS.get(os.path.splitext(name)[1].lower())


class MatrixCounts:
    """Reads in matrices of bins, each of one chromosome or of two.

    Parameters
    ----------
    filename
        For text a template with ``*`` in place of ``X`` (pairs within a chromosome) or ``A_by_B``
        (A the rows, B the columns); plain, gzip or bgzip. Else the file of all arrays.
    partition
        The genome, with bins.
    format
        None goes by the name.
    block_bytes
        Text per parsing task. The result does not depend on it.

    Raises
    ------
    ParameterError
        If the partition has no bins, or the format cannot be told.
    """

    in_fends = False

    def __init__(
        self,
        filename: str | os.PathLike[str],
        partition: Partition,
        format: MatrixFormat | None = None,
        *,
        block_bytes: int = _BLOCK,
    ) -> None:
        if partition.bins is None:
            raise ParameterError(
                "the partition has no bins, which matrices are counted in; make one with binned "
                "(`hifive-dask fends --binned` of the command line)"
            )
        self._name = os.fspath(filename)
        known = format or matrix_format(filename)
        if known not in ("txt", "hdf5", "npz"):
            seen = f"format {format!r}" if format else f"the name {self._name!r}"
            raise ParameterError(
                f"cannot tell the format of matrices by {seen}; give format as 'txt', 'hdf5' or "
                "'npz', or a name that contains * (a template of text files) or ends in .hdf5, .h5 "
                "or .npz"
            )
        if known == "txt" and "*" not in self._name:
            raise ParameterError(
                f"the template {self._name!r} of text matrices has no *, which stands for the "
                "name of a chromosome, or of two as in chr1_by_chr2"
            )
        self._bins, self._format, self._block_bytes = partition.bins, known, block_bytes
        self.rows = 0

    def prepare(self, spill: str, silent: bool) -> Sequence[CountJob]:
        """Find the matrices and what their rows are; cut them into jobs.

        Raises
        ------
        InputError
            If there is no matrix of a known chromosome, or one does not fit the bins.
        """
        if self._format == "txt":
            return self._text_jobs(spill, silent)
        return self._array_jobs(ArrayFile(self._name, self._format))

    def name(self) -> str:
        """Of the file, or the template of files, for messages."""
        return self._name

    def explain(self, partition: Partition, stats: Mapping[str, int]) -> InputError:
        """Return the error for a load that kept no pair."""
        return explain_nothing_counted(self._name, stats)

    def _text_jobs(self, spill: str, silent: bool) -> list[CountJob]:
        files = _files_of(self._name)
        found, others = self._match(files)
        if others:
            warn(
                f"{self._name}: {len(others)} file(s) are not used, because their names mean no "
                f"chromosomes of the partition, or the same as another: {_listed(others)}",
                InputWarning,
            )
        task = dask.delayed(scan, pure=False)
        matrices = run(
            [
                task(files[name], *self._axes(pair), spill, k, self._block_bytes)
                for k, (pair, name) in enumerate(found.items())
            ],
            title="looking at matrices",
            silent=silent,
        )
        for (pair, name), matrix in zip(found.items(), matrices, strict=True):
            if not matrix.labelled:
                self._warn_of_surplus(files[name], matrix.shape, pair)
        jobs: list[CountJob] = [job for matrix in matrices for job in matrix.jobs]
        self.rows = sum(job.hi - job.lo for matrix in matrices for job in matrix.jobs) // _CELL
        return jobs

    def _array_jobs(self, file: ArrayFile) -> list[CountJob]:
        if not os.path.exists(file.path):
            raise InputError(
                "no such file", path=file.path, cure="check the spelling and the directory"
            )
        state, shapes = Snapshot.of(file.path), file.shapes()
        found, _ = self._match(
            name for name, shape in shapes.items() if not name.endswith(".positions")
        )
        jobs: list[CountJob] = []
        for pair, name in found.items():
            layout = find_array(file, shapes, name, *self._axes(pair))
            if not layout.positions:
                self._warn_of_surplus(f"{file.path}: {name}", layout.shape, pair)
            self.rows += layout.cells
            jobs += cut(file, state, layout)
        return jobs

    def _axes(self, pair: tuple[int, int]) -> tuple[Axis, Axis]:
        return Axis.of(self._bins, pair[0]), Axis.of(self._bins, pair[1])

    def _match(self, names: Iterable[str]) -> tuple[dict[tuple[int, int], str], list[str]]:
        suffixes = ("",) if self._format == "txt" else _SUFFIXES
        known = self._bins.chromosomes
        found, others = match_names(names, known, suffixes)
        if not found:
            raise InputError(
                "holds no matrix of a chromosome of the partition; names are "
                f"{_listed(others)}, chromosomes {_listed(known)}",
                path=self._name,
                cure="name them X for pairs within a chromosome, A_by_B for pairs between two",
            )
        return found, others

    def _warn_of_surplus(self, name: str, shape: tuple[int, int], pair: tuple[int, int]) -> None:
        for size, axis in zip(shape, self._axes(pair), strict=True):
            if size > len(axis):
                first = f", the first at {axis.start[0]:,} bp" if len(axis) else ""
                warn(
                    f"{name}: has {size} rows or columns, but {axis.name} only {len(axis)} bins"
                    f"{first}; those beyond are out of bounds. Is it a matrix of these bins?",
                    InputWarning,
                )
                return


def _files_of(template: str) -> dict[str, str]:
    """Files that a template matches, by the text in place of ``*``, the same everywhere."""
    first, *rest = template.split("*")
    pattern = re.compile(re.escape(first) + "([^/]+)" + r"\1".join(map(re.escape, rest)), re.DOTALL)
    paths = glob.glob("*".join(map(glob.escape, (first, *rest))))
    return {match[1]: path for path in paths if (match := pattern.fullmatch(path))}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") or "none"
