"""Text to columns of read ends: a columnar parser, and a careful one for faulty lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from hifive_dask._kernels.cells import COMMENTS, HEXADECIMAL, find_oddities
from hifive_dask.errors import InputError
from hifive_dask.genome.cells import whole
from hifive_dask.reads.fragments import FragmentEdges
from hifive_dask.reads.layout import Layout, names_columns, read_names
from hifive_dask.reads.marks import DUPLICATE, NOWHERE, PAIR_TYPES, UNMAPPED, count_left_out
from hifive_dask.reads.source import ReadEnds
from hifive_dask.reads.text import TextBlock
from hifive_dask.schema import MARKED

__all__ = ["MAX_POSITION", "parse_block"]

MAX_POSITION = 2**31 - 2  # positions, shifted to 1-based, must fit in int32
_STRANDS = {"+": 0, "-": 1, "0": 0, "16": 1}  # 0 and 16 as in the flags of SAM


def parse_block(
    block: TextBlock,
    layout: Layout,
    chromosomes: Mapping[str, int],
    base: int,
    edges: FragmentEdges | None = None,
) -> ReadEnds:
    """Parse the lines of a block; with `edges`, fragment numbers move positions into fragments.

    Raises
    ------
    InputError
        For the first faulty line: too few columns, a position that is not a whole number or out of
        range, a strand that is none of ``+``, ``-``, ``0`` and ``16``. Lines with an unknown
        chromosome, or a mark, are only counted, whatever the rest of them holds.
    """
    table = text = block.read()
    odd = find_oddities(text)
    if odd & COMMENTS:
        table, comments = _split_comments(text)
        if layout.names:
            _check_names(block, text, comments, layout)
    ends = None
    if not odd & HEXADECIMAL:
        with suppress(pa.ArrowInvalid, pa.ArrowKeyError):
            ends = _parse_columns(table, layout, chromosomes, base, edges)
    if ends is None:
        ends = _parse_lines(block, text, layout, chromosomes, base, edges)
    return ends


def _split_comments(text: bytes) -> tuple[bytes, dict[int, bytes]]:
    """The lines that do not begin with ``#``, and those that do by where they begin."""
    kept, comments, start = [], {}, 0
    while start < len(text):
        if text.startswith(b"#", start):
            stop = text.find(b"\n", start) + 1 or len(text)
            comments[start] = text[start:stop]
        else:
            stop = text.find(b"\n#", start) + 1 or len(text)
            kept.append(text[start:stop])
        start = stop
    return b"".join(kept), comments


def _check_names(
    block: TextBlock, text: bytes, comments: Mapping[int, bytes], layout: Layout
) -> None:
    """Refuse a second line of column names that puts what is read into other columns."""
    for start, comment in comments.items():
        line = comment.rstrip(b"\n").decode("utf-8", "replace")
        if not names_columns(line) or layout.has_places_of(names := read_names(line)):
            continue
        first = f"line {layout.named} names" if layout.named else "without such a line they are"
        raise InputError(
            f"the #columns: line names {' '.join(names)}; {first} {' '.join(layout.names)}",
            path=block.file.name,
            line=block.first_line() + text.count(b"\n", 0, start),
            cure="were files joined that have headers of their own? Give each of them, all in one "
            "call, or join them with `pairtools merge`; nothing was loaded",
        )


def _codes(column: pa.ChunkedArray, known: Mapping[str, int]) -> NDArray[np.int32]:
    """Codes of a dictionary column by `known`; -1 for all else."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    table = np.array([known.get(name, -1) for name in array.dictionary.to_pylist()], dtype=np.int32)
    codes: NDArray[np.int32] = table[array.indices.to_numpy(zero_copy_only=False)]
    return codes


def _parse_columns(
    text: bytes,
    layout: Layout,
    chromosomes: Mapping[str, int],
    base: int,
    edges: FragmentEdges | None,
) -> ReadEnds | None:
    """Parse at full speed; None if a line is not as it should be."""
    if not text:
        return _join([], [], [], [], [], [], {})
    names = [str(k) for k in range(layout.width)]
    chrom1, pos1, strand1, chrom2, pos2, strand2 = (str(k) for k in layout.columns)
    fragments = [str(k) for k in layout.fragments]
    types = [str(k) for k in (layout.pair_type,) if k is not None and k < layout.width]
    category = pa.dictionary(pa.int32(), pa.string())
    table = pacsv.read_csv(
        pa.BufferReader(text),
        read_options=pacsv.ReadOptions(
            use_threads=False, block_size=min(len(text) + 1, 2**31 - 1), column_names=names
        ),
        parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pacsv.ConvertOptions(
            include_columns=[chrom1, pos1, strand1, chrom2, pos2, strand2, *fragments, *types],
            column_types={
                chrom1: category,
                chrom2: category,
                strand1: category,
                strand2: category,
                pos1: pa.int64(),
                pos2: pa.int64(),
                **dict.fromkeys(fragments, pa.int64()),
                **dict.fromkeys(types, category),
            },
            null_values=[],
            strings_can_be_null=False,
        ),
    )
    if table.num_rows == 0:
        return _join([], [], [], [], [], [], {})
    places = {**chromosomes, NOWHERE: -2} if layout.marks else chromosomes
    first, second = _codes(table[chrom1], places), _codes(table[chrom2], places)
    minus1, minus2 = _codes(table[strand1], _STRANDS), _codes(table[strand2], _STRANDS)
    left, right = (table[name].to_numpy() + (1 - base) for name in (pos1, pos2))
    numbers = [table[name].to_numpy() for name in fragments]
    marks = _codes(table[types[0]], PAIR_TYPES) if types else np.full_like(first, -1)
    kept, left_out = count_left_out(first, second, marks)
    if left_out:
        first, second, left, right = first[kept], second[kept], left[kept], right[kept]
        minus1, minus2 = minus1[kept], minus2[kept]
        numbers = [column[kept] for column in numbers]
    if len(first) and (
        min(left.min(), right.min()) < 1
        or max(left.max(), right.max()) > MAX_POSITION
        or min(minus1.min(), minus2.min()) < 0
    ):
        return None
    if edges is not None:
        if not (edges.known(first, numbers[0]).all() and edges.known(second, numbers[1]).all()):
            return None
        left = edges.move(first, left, numbers[0])
        right = edges.move(second, right, numbers[1])
    return _join(first, left, minus1, second, right, minus2, left_out)


def _join(
    chrom1: object, pos1: object, strand1: object, chrom2: object, pos2: object, strand2: object,
    left_out: Mapping[str, int],
) -> ReadEnds:  # fmt: skip
    return ReadEnds(
        np.asarray(chrom1, dtype=np.int32),
        np.asarray(pos1, dtype=np.int64),
        np.asarray(strand1, dtype=np.uint8),
        np.asarray(chrom2, dtype=np.int32),
        np.asarray(pos2, dtype=np.int64),
        np.asarray(strand2, dtype=np.uint8),
        left_out,
    )


def _parse_lines(
    block: TextBlock,
    text: bytes,
    layout: Layout,
    chromosomes: Mapping[str, int],
    base: int,
    edges: FragmentEdges | None,
) -> ReadEnds:
    """Parse line by line: for ragged lines, and to name the first faulty one."""
    columns: list[list[int]] = [[] for _ in range(6)]
    left_out: Counter[str] = Counter()
    for number, raw in enumerate(text.split(b"\n")):
        if not raw.strip() or raw.startswith(b"#"):
            continue
        line = raw.decode("utf-8", "replace")
        cells = line.split("\t")
        try:
            fate = _fate(cells, layout, chromosomes)
            if fate is not None:
                left_out[fate] += 1
                continue
            values = _parse_line(cells, layout, chromosomes, base, edges)
        except IndexError:
            problem = (
                f"has {len(cells)} tab-separated columns, expected at least "
                f"{max(*layout.columns, *layout.fragments) + 1}"
            )
        except ValueError as error:
            problem = str(error)
        else:
            for column, value in zip(columns, values, strict=True):
                column.append(value)
            continue
        raise InputError(
            f"{problem}; the line is {line[:80]!r}",
            path=block.file.name,
            line=block.first_line() + number,
            cure="correct or remove the line; nothing was loaded",
        )
    chrom1, pos1, strand1, chrom2, pos2, strand2 = columns
    return _join(chrom1, pos1, strand1, chrom2, pos2, strand2, left_out)


def _fate(cells: list[str], layout: Layout, chromosomes: Mapping[str, int]) -> str | None:
    """The statistic of a pair that does not count; None if positions decide."""
    names = (cells[layout.chrom1], cells[layout.chrom2])
    column = layout.pair_type
    mark = -1 if column is None else PAIR_TYPES.get("".join(cells[column : column + 1]), -1)
    if mark in (-1, DUPLICATE):
        if layout.marks and NOWHERE in names:
            mark = UNMAPPED
        elif not all(name in chromosomes for name in names):
            return "chr_not_in_fends"
    return None if mark < 0 else MARKED[mark]


def _parse_line(
    cells: list[str],
    layout: Layout,
    chromosomes: Mapping[str, int],
    base: int,
    edges: FragmentEdges | None,
) -> tuple[int, int, int, int, int, int]:
    values = []
    for end, (chrom, pos, strand) in enumerate((layout.columns[:3], layout.columns[3:])):
        try:
            position = whole(cells[pos]) + 1 - base
        except ValueError:
            raise ValueError(f"the position {cells[pos]!r} is not a whole number") from None
        if not 1 <= position <= MAX_POSITION:
            hint = "; with base=0 positions may be 0" if position == 0 else ""
            raise ValueError(
                f"the position {cells[pos]} lies outside {base} to {MAX_POSITION - 1 + base}{hint}"
            )
        if cells[strand] not in _STRANDS:
            raise ValueError(
                f"the strand {cells[strand]!r} is neither '+' nor '-' (0 and 16 are known too)"
            )
        if edges is not None:
            number = cells[layout.fragments[end]]
            position = _move(edges, chromosomes[cells[chrom]], position, number)
        values += [chromosomes[cells[chrom]], position, _STRANDS[cells[strand]]]
    return tuple(values)  # type: ignore[return-value]


def _move(edges: FragmentEdges, chromosome: int, position: int, number: str) -> int:
    chrom, where = np.array([chromosome], dtype=np.int32), np.array([position], dtype=np.int64)
    try:
        index = np.array([min(whole(number), MAX_POSITION)], dtype=np.int64)
    except ValueError:
        raise ValueError(f"the fragment number {number!r} is not a whole number") from None
    if not edges.known(chrom, index).all():
        raise ValueError(
            f"there is no fragment {number} on the chromosome; are the numbers of other cut sites?"
        )
    return int(edges.move(chrom, where, index)[0])
