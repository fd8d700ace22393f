"""Reads that do not fit the genome: places of 5' ends relative to cuts, names, rejected reads."""

from __future__ import annotations

import gzip
import json
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from numpy.typing import NDArray

from hifive_dask import Fend, HiCData
from hifive_dask.errors import InputError, InputWarning
from hifive_dask.reads.sites import CutSites, look_at_sites
from hifive_dask.report.checks import _cut_sites
from hifive_dask.report.reads import cut_site_numbers
from hifive_dask.simulate import (
    Experiment,
    SimulatedGenome,
    simulate_genome,
    write_reads,
)
from tests.commands import run
from tests.worlds import G1, Read, lines, parse

SHARED = Path(__file__).parents[2] / "shared" / "data"
PLUS, MINUS, PLACE = range(3)
ANY_SITES = "ignore:.*do not gather:hifive_dask.errors.InputWarning"  # reads without an enzyme


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


def make_fends(path: Path, cuts: Mapping[str, Sequence[int]], shift: int = 0) -> str:
    """A saved partition of cut sites, all moved by some bp."""
    rows = [
        f"{c}\t{cut + shift}\t{cut + shift + 1}\n" for c, of_one in cuts.items() for cut in of_one
    ]
    bed = path.with_suffix(".bed")
    bed.write_text("".join(rows))
    fend = Fend(path, "w", silent=True)
    fend.load_fends(bed)
    fend.save()
    return fend.file


def load(
    folder: Path,
    fends: str,
    reads: Sequence[Read] | Path,
    maxinsert: int = 500,
    name: str = "p",
    **options: Any,
) -> HiCData:
    if not isinstance(reads, Path):
        (folder / f"{name}.raw").write_text(lines(reads))
        reads = folder / f"{name}.raw"
    data = HiCData(folder / f"{name}.zarr", "w", silent=True)
    data.load_data_from_raw(fends, reads, maxinsert, **options)
    return data


def found(ends: NDArray[np.int64]) -> dict[tuple[int, int], int]:
    """Counts above 0 by strand and place."""
    return {
        (strand, int(row[PLACE])): int(row[strand])
        for row in ends
        for strand in (PLUS, MINUS)
        if row[strand]
    }


def look(data: HiCData) -> CutSites:
    sites = look_at_sites(data.end_distribution)
    assert sites is not None
    return sites


# The histogram


@pytest.mark.parametrize(
    ("end", "strand", "place"),
    [
        ("chr1 1001 +", PLUS, 0),  # the first base of the fragment 1000-2000
        ("chr1 1001 -", MINUS, 1),
        ("chr1 2000 -", MINUS, 0),  # its last one
        ("chr1 2000 +", PLUS, -1),
        ("chr1 2004 -", MINUS, 4),  # the end of GATC, which is cut before G and filled in
        ("chr1 1301 +", PLUS, 300),
        ("chr1 1700 +", PLUS, -300 - 1),
        ("chr1 1701 +", PLUS, -300),
        ("chr1 1500 +", None, 499),
    ],
)
def test_place__is_that_of_the_border_behind_the_read(
    tmp_path: Path, end: str, strand: int | None, place: int
) -> None:
    fends = make_fends(tmp_path / "f.zarr", {**G1, "chr2": [0, 10_000, 20_000]})
    data = load(tmp_path, fends, parse(f"{end} / chr2 5000 +"), maxinsert=100_000)
    seen = found(data.end_distribution)
    assert seen == ({} if strand is None or abs(place) > 300 else {(strand, place): 1})


def random_reads(number: int) -> list[Read]:
    rng = np.random.default_rng(4)
    chroms, strands = rng.choice(["chr1", "chr2"], (number, 2)), rng.choice(["+", "-"], (number, 2))
    places = rng.integers(400, 4100, (number, 2))
    return [
        (str(c[0]), int(p[0]), str(s[0]), str(c[1]), int(p[1]), str(s[1]))
        for c, p, s in zip(chroms, places, strands, strict=True)
    ]


def expected_places(reads: Sequence[Read]) -> dict[tuple[int, int], int]:
    """Plain oracle: distinct read pairs with both ends in fragments of G1."""
    ends: Counter[tuple[int, int]] = Counter()
    for both in {tuple(sorted([read[:3], read[3:]])) for read in reads}:
        pair = []
        for chrom, position, strand in both:
            cuts = np.array(G1[chrom])
            if not cuts[0] < position <= cuts[-1]:
                break
            border = position - (strand == "+")
            place = min(border - cuts, key=lambda d: (abs(d), d < 0))
            pair.append((PLUS if strand == "+" else MINUS, int(place)))
        if len(pair) == 2:
            ends.update(each for each in pair if abs(each[1]) <= 300)
    return dict(ends)


@pytest.mark.filterwarnings(ANY_SITES)
def test_places__equal_those_of_an_oracle_and_duplicates_count_once(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    reads = random_reads(3000)
    data = load(tmp_path, fends, [*reads, *reads[:500]], maxinsert=400)
    assert found(data.end_distribution) == expected_places(reads)
    assert data.end_distribution[:, PLACE].tolist() == list(range(-300, 301))


def test_places__are_added_up_by_combine_and_have_no_place_in_hdf5(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    one = load(tmp_path, fends, random_reads(400)[:200], name="one")
    two = load(tmp_path, fends, random_reads(400)[200:], name="two")
    both = HiCData(tmp_path / "both.zarr", "w", silent=True)
    both.combine([one.file, two.file])
    total = one.end_distribution[:, :2] + two.end_distribution[:, :2]
    assert (both.end_distribution[:, :2] == total).all()
    one.save(tmp_path / "one.hcd")
    without = HiCData(tmp_path / "one.hcd", silent=True)
    assert without.token == one.token
    assert without.end_distribution.shape == (0, 3)
    both.combine([without.file, two.file])
    assert (both.end_distribution == two.end_distribution).all()
    two.save(tmp_path / "copy.zarr")
    assert (HiCData(tmp_path / "copy.zarr").end_distribution == two.end_distribution).all()


def test_stores__without_places_open_as_before(tmp_path: Path) -> None:
    data = load(tmp_path, make_fends(tmp_path / "f.zarr", G1), random_reads(200))
    for name in ("end_count", "end_place"):
        shutil.rmtree(tmp_path / "p.zarr" / name)
    old = HiCData(data.file, silent=True)
    assert old.end_distribution.shape == (0, 3)
    assert old.token == old.verify() == data.token
    assert look_at_sites(old.end_distribution) is None


def test_places__of_bins_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "sizes.len").write_text("chr1\t5000\nchr2\t5000\n")
    fend = Fend(tmp_path / "bins.zarr", "w", binned=100, silent=True)
    fend.load_bins(tmp_path / "sizes.len")
    fend.save()
    assert not len(load(tmp_path, fend.file, random_reads(200)).end_distribution)


# What it tells


class Library:
    """Simulated reads, and partitions of right and of wrong cut sites."""

    def __init__(self, folder: Path, mean_fragment: float = 2000, **experiment: float) -> None:
        self.folder = folder
        self.genome = self.make(1, mean_fragment)
        self.reads = folder / "reads.raw"
        kind = Experiment(**experiment)  # type: ignore[arg-type]
        write_reads(self.reads, self.genome, 20_000, seed=2, experiment=kind, silent=True)

    @staticmethod
    def make(seed: int, mean_fragment: float = 2000) -> SimulatedGenome:
        lengths = {"chr1": 400_000, "chr2": 250_000}
        return simulate_genome(lengths, seed=seed, mean_fragment=mean_fragment)

    def load(self, genome: SimulatedGenome, shift: int = 0) -> HiCData:
        cuts = dict(zip(genome.chromosomes, map(np.ndarray.tolist, genome.cuts), strict=True))
        fends = make_fends(self.folder / f"f{shift}.zarr", cuts, shift)
        return load(self.folder, fends, self.reads, name=f"p{shift}")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(tmp_path_factory.mktemp("library"))


def test_right_sites__are_silent(library: Library) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sites = look(library.load(library.genome))
    assert (sites.plus, sites.minus, sites.shift, sites.enzyme) == (0, 0, 0, "fits")
    assert 400 < sites.dangling < 1200  # of 4 % of the pairs, not ligated or cut
    assert sites.misfit is None
    assert "dangling ends begin at the cuts" in sites.text


@pytest.mark.parametrize("shift", [2, -3])
def test_shifted_sites__are_named(library: Library, shift: int) -> None:
    with pytest.warns(InputWarning) as told:
        sites = look(library.load(library.genome, shift))
    assert (sites.plus, sites.minus, sites.shift) == (-shift, -shift, -shift)
    (text,) = (str(each.message) for each in told)
    assert f"the cut sites are shifted by {abs(shift)} bp" in text
    assert f"begin {abs(shift)} bp {'before' if shift > 0 else 'behind'} them" in text
    assert f"or move the sites by {-shift:+d} bp" in text


def test_another_enzyme__is_noticed(library: Library) -> None:
    with pytest.warns(InputWarning) as told:
        sites = look(library.load(Library.make(7), 100))
    rejected, enzyme = (str(each.message) for each in told)
    assert "% of the read pairs (18,140 of 20,000) are in one class, insert_size\n" in rejected
    assert "the reads do not gather at the cut sites: 1.06 times as many ends face" in enzyme
    assert (sites.shift, sites.enzyme) == (None, "other")


def test_clean_libraries__are_no_fault(tmp_path: Path) -> None:
    # Fragments are long, since ends that would lie beyond one are simulated at its border.
    clean = Library(tmp_path, mean_fragment=20_000, dangling_end=0, failed_cut=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sites = look(clean.load(clean.genome))
    assert (sites.shift, sites.enzyme, sites.misfit) == (None, "fits", None)
    assert "shows no dangling ends, so whether the sites are exact cannot be checked" in sites.text


def test_few_reads__tell_nothing(tmp_path: Path) -> None:
    sites = look(load(tmp_path, make_fends(tmp_path / "f.zarr", G1), random_reads(50)))
    assert (sites.shift, sites.facing, sites.enzyme, sites.misfit) == (None, None, None, None)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("shift", "warning", "peaks"), [(0, None, (0, 4)), (2, "shifted by 2 bp", (-2, 2))]
)
def test_yeast__of_hindiii(
    tmp_path: Path, shift: int, warning: str | None, peaks: tuple[int, int]
) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", InputWarning)
        data = load_yeast(tmp_path, "HindIII", shift)
    texts = [str(each.message) for each in told]
    assert [text for text in texts if "chromosomes" in text] == []  # of reads that were not mapped
    assert any(warning in text for text in texts) if warning else not texts
    seen = look(data)
    assert (seen.plus, seen.minus) == peaks
    assert seen.enzyme == "fits"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_yeast__with_the_sites_of_another_enzyme(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"66 of 20,000 read pairs(?s:.*)or the enzyme another"
    ) as e:
        load_yeast(tmp_path, "EcoRI")
    assert "the reads do not gather at the cut sites: 1.0" in str(e.value)


def load_yeast(tmp_path: Path, cuts: str, shift: int = 0) -> HiCData:
    """Reads of a HindIII library, most of them not mapped, on sites of an enzyme."""
    sites: dict[str, list[int]] = {}
    for line in (SHARED / "genome_sacCer3" / f"sacCer3.{cuts}.cuts.bed").read_text().splitlines():
        sites.setdefault(line.split("\t")[0], []).append(int(line.split("\t")[1]))
    fends = make_fends(tmp_path / "f.zarr", dict(sites), shift)
    reads = SHARED / "yeast_belton2015_MATalpha_bam" / "MATalpha_R1.pairtools_mapq30.pairs.gz"
    data = HiCData(tmp_path / "p.zarr", "w", silent=True)
    data.load_data_from_pairs(fends, reads, 500)
    return data


# Names, and rejected reads


GOOD = parse("chr1 1900 + / chr1 2900 +, chr1 1900 + / chr2 1400 +, chr1 1800 + / chr1 3900 +")
FOREIGN = parse("chr7 10 + / chr1 1900 +, chrUn_1 10 + / chr7 1900 -")


def foreign(times: int) -> list[Read]:
    """Read pairs of other chromosomes."""
    return [(c1, p1 + k, *rest) for k in range(times) for c1, p1, *rest in FOREIGN]  # type: ignore[misc]


def test_unknown_names__are_listed_beside_known_ones(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    with pytest.warns(InputWarning) as told:
        data = load(tmp_path, fends, [*foreign(150), *random_reads(150)], maxinsert=2000)
    (text,) = (str(each.message) for each in told)
    assert (
        "66.7 % of the read pairs (300 of 450) lie on chromosomes that the partition lacks" in text
    )
    assert "unknown are chr7, chrUn_1; known are chr1, chr2; the partition holds chr1, chr2" in text
    assert text.startswith(f"{tmp_path / 'p.raw'}: ")
    assert data.stats["valid_trans_reads"] > 0


@pytest.mark.filterwarnings(ANY_SITES)
def test_unknown_names__are_found_behind_many_known_ones(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    rows = lines(
        [("chr1", 1001 + k % 999, "+", "chr2", 501 + k // 999, "-") for k in range(50_000)]
    )
    rows += lines([("chr9", k + 1, "+", "chr9", k + 1, "-") for k in range(20_000)])
    with gzip.open(tmp_path / "sorted.raw.gz", "wt", 1) as handle:
        handle.write(rows)
    with pytest.warns(InputWarning, match="unknown are chr9; known are chr1, chr2;"):
        load(tmp_path, fends, tmp_path / "sorted.raw.gz", maxinsert=100_000)


def test_a_few_unknown_names__are_no_fault(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path, fends, [*random_reads(100), *foreign(5)], maxinsert=2000)


def test_hardly_any_valid_read__is_an_error_and_nothing_is_loaded(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    with pytest.raises(
        InputError,
        match=r"3 of 603 read pairs are valid \(0.5 %\), expected most of them, and at least 1 % "
        r"\(chr_not_in_fends 600\); unknown are chr7, chrUn_1; known are chr1(?s:.*)same names",
    ):
        load(tmp_path, fends, [*foreign(300), *GOOD])
    assert not (tmp_path / "p.zarr").exists()


def test_nearly_all_rejected_for_one_reason__is_a_warning(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    circles = [("chr1", 1100, "-", "chr1", 1900 - k, "+") for k in range(200)]
    with pytest.warns(
        InputWarning,
        match=r"98.5 % of the read pairs \(200 of 203\) are in one class, same_fragment\n.*ligated",
    ):
        load(tmp_path, fends, [*circles, *GOOD], maxinsert=2000)


def test_duplicates__are_a_reason_only_where_they_are_lost(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    rows = [*GOOD, *GOOD[:1] * 200]
    with pytest.warns(InputWarning, match="one class, pcr_duplicates\n.*library is exhausted"):
        load(tmp_path, fends, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(tmp_path, fends, rows, dedup="none").stats["pcr_duplicates"] == 200


def test_few_read_pairs__are_not_judged(tmp_path: Path) -> None:
    fends = make_fends(tmp_path / "f.zarr", G1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path, fends, [*foreign(40), *GOOD])


def test_commands__tell_of_the_cut_sites(library: Library, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shifted = Path(library.load(library.genome, 2).file)
    for command in ("stats", "info"):
        result = run(command, shifted)
        assert "dangling ends begin 2 bp before the cuts; 39.2 times as many" in result.stdout
        assert "warning: the cut sites are shifted by 2 bp" in result.stderr
    facts = json.loads(run("info", shifted, "--json").stdout)["cut_sites"]
    assert (facts["plus"], facts["minus"], facts["shift"], facts["enzyme"]) == (-2, -2, -2, "fits")


def test_report__judges_the_cut_sites(library: Library, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stores = {shift: library.load(library.genome, shift) for shift in (0, 2)}
    for shift, data in stores.items():
        numbers = {"cut_sites": cut_site_numbers(data)}
        exact, enzyme = _cut_sites(numbers)
        assert (exact.key, exact.verdict) == ("cut_sites", "poor" if shift else "good")
        assert exact.text == ("shifted by 2 bp" if shift else "exact")
        assert (enzyme.key, enzyme.verdict) == ("enzyme", "good")
    assert sum(numbers["cut_sites"]["plus_ends"]) == stores[2].end_distribution[:, 0].sum()
    assert list(_cut_sites({"cut_sites": None})) == []
