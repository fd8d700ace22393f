"""Lengths of chromosomes: where they come from, where they are kept, and what ends with them."""

from __future__ import annotations

import gzip
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import cooler
import dask
import h5py
import numpy as np
import pandas as pd
import pytest

import hifive_dask as hd
from hifive_dask.errors import InputError, InputWarning, ParameterError
from tests.commands import run

SIZES = {"chr2": 23_456, "chr1": 31_003, "chrM": 900}
CUTS = {"chr1": (1000, 6000, 11_000, 17_000, 22_000, 27_500), "chr2": (500, 9000, 15_000, 20_100)}


@pytest.fixture(autouse=True)
def _sync() -> Iterator[None]:
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sites, fragments, bins, lengths, a sequence and reads of one genome; chrM is not cut."""
    folder = tmp_path_factory.mktemp("inputs")
    sites = [(name, cut) for name, cuts in CUTS.items() for cut in cuts]
    (folder / "sites.bed").write_text("".join(f"{c}\t{x - 2}\t{x + 2}\n" for c, x in sites))
    (folder / "whole.bed").write_text(
        "".join(
            f"{name}\t{lo}\t{hi}\n"
            for name, cuts in CUTS.items()
            for lo, hi in zip((0, *cuts), (*cuts, SIZES[name]), strict=True)
        )
    )
    (folder / "bins.bed").write_text(
        "".join(
            f"{name}\t{lo}\t{lo + 5000}\n"
            for name, length in SIZES.items()
            for lo in range(0, length, 5000)
        )
    )
    lines = "".join(f"{name}\t{length}\n" for name, length in SIZES.items())
    (folder / "g.sizes").write_text(lines)
    bases = {name: bytearray(b"A" * length) for name, length in SIZES.items()}
    for name, cut in sites:
        bases[name][cut : cut + 4] = b"GATC"
    (folder / "g.fa").write_text("".join(f">{c}\n{b.decode()}\n" for c, b in bases.items()))
    random = np.random.default_rng(1)
    reads = []
    for k in range(600):
        ends = []
        for chrom in random.choice(["chr1", "chr2"], 2, p=[0.6, 0.4]):
            cut = int(random.choice(CUTS[chrom][1:-1]))
            up = bool(random.integers(2))
            place = cut - int(random.integers(5, 90)) if up else cut + int(random.integers(5, 90))
            ends.append((chrom, place, "+" if up else "-"))
        (c1, p1, s1), (c2, p2, s2) = sorted(ends, key=lambda end: ([*SIZES].index(end[0]), end[1]))
        reads.append(f"r{k}\t{c1}\t{p1}\t{c2}\t{p2}\t{s1}\t{s2}\n")
    header = "## pairs format v1.0\n" + "".join(
        f"#chromsize: {name} {length}\n" for name, length in SIZES.items()
    )
    columns = "#columns: readID chr1 pos1 chr2 pos2 strand1 strand2\n"
    (folder / "g.pairs").write_text(header + columns + "".join(reads))
    (folder / "plain.pairs").write_text("## pairs format v1.0\n" + columns + "".join(reads))
    return folder


OF = {
    "sites": ["--sites", "sites.bed", "--chrom-sizes", "g.sizes"],
    "fends in bins": ["--sites", "sites.bed", "--chrom-sizes", "g.sizes", "--binned", "5000"],
    "fragments": ["--fragments", "whole.bed", "--chrom-sizes", "g.sizes"],
    "bins": ["--bins", "bins.bed", "--chrom-sizes", "g.sizes"],
    "lengths": ["--chrom-sizes", "g.sizes", "--binned", "5000"],
    "sequence": ["--fasta", "g.fa", "--enzyme", "DpnII"],
    "binned sequence": ["--fasta", "g.fa", "--enzyme", "DpnII", "--binned", "5000"],
    "header": ["--sites", "sites.bed", "--chrom-sizes", "g.pairs"],
}


def made(inputs: Path, folder: Path, kind: str, *more: str) -> hd.Fend:
    """A partition, by the command."""
    options = [str(inputs / word) if "." in word else word for word in OF[kind]]
    run("fends", *options, *more, "-o", folder / "f.zarr")
    return hd.Fend(folder / "f.zarr", silent=True)


def project(inputs: Path, folder: Path, fend: hd.Fend) -> hd.HiC:
    data = hd.HiCData(folder / "d.zarr", "w", silent=True)
    data.load_data_from_pairs(fend.file, inputs / "g.pairs", maxinsert=None, dedup="none")
    data.save()
    hic = hd.HiC(folder / "h.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=1)
    hic.save()
    return hic


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.InputWarning")
@pytest.mark.parametrize("kind", OF)
def test_every_input_that_knows_lengths__keeps_them_up_to_the_cooler(
    inputs: Path, tmp_path: Path, kind: str
) -> None:
    fend = made(inputs, tmp_path, kind, "--genome", "toy1")
    partition = fend.partition
    assert partition.lengths is not None
    assert dict(zip(partition.chromosomes, partition.lengths.tolist(), strict=True)) == SIZES
    assert list(partition.chromosomes) == list(SIZES)  # the order of the file of lengths

    hic = project(inputs, tmp_path, fend)
    hic.write_heatmap(tmp_path / "m.mcool", 5000, datatype="raw")
    for group in cooler.fileops.list_coolers(str(tmp_path / "m.mcool")):
        clr, size = cooler.Cooler(f"{tmp_path / 'm.mcool'}::{group}"), int(Path(group).name)
        assert clr.chromsizes.to_dict() == SIZES
        assert list(clr.chromnames) == list(SIZES)
        assert clr.info["genome-assembly"] == "toy1"
        want = cooler.util.binnify(clr.chromsizes, size)
        for column in ("start", "end"):
            assert clr.bins()[column][:].tolist() == want[column].tolist()
        assert clr.info["sum"] == sum(hic.data.stats[f"valid_{k}_reads"] for k in ("cis", "trans"))


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.InputWarning")
def test_a_cooler__has_the_bins_of_coolers_own_of_the_same_reads_and_merges(
    inputs: Path, tmp_path: Path
) -> None:
    hic = project(inputs, tmp_path, made(inputs, tmp_path, "lengths"))
    hic.write_heatmap(tmp_path / "ours.cool", 5000, datatype="raw")
    lengths = cooler.util.read_chromsizes(str(inputs / "g.sizes"), all_names=True)
    bins = cooler.util.binnify(lengths, 5000)
    lines = (inputs / "g.pairs").read_text().splitlines()
    ends = [line.split("\t")[1:5] for line in lines if not line.startswith("#")]
    place = {name: int(np.flatnonzero(bins["chrom"].astype(str) == name)[0]) for name in SIZES}
    both = np.array(
        [
            sorted((place[c1] + (int(p1) - 1) // 5000, place[c2] + (int(p2) - 1) // 5000))
            for c1, p1, c2, p2 in ends
        ]
    )
    cells, count = np.unique(both, axis=0, return_counts=True)
    pixels = {"bin1_id": cells[:, 0], "bin2_id": cells[:, 1], "count": count}
    cooler.create_cooler(str(tmp_path / "theirs.cool"), bins, pixels, ordered=True)
    files = [str(tmp_path / f"{name}.cool") for name in ("ours", "theirs")]
    cooler.merge_coolers(str(tmp_path / "sum.cool"), files, mergebuf=1000)
    both_of = [cooler.Cooler(file) for file in files]
    # What cooler merge asks for, and hicrep (0.2.6) too: the same chromosomes and bins.
    assert both_of[0].chromsizes.equals(both_of[1].chromsizes)
    assert both_of[0].bins()[:].equals(both_of[1].bins()[:])
    assert both_of[0].pixels()[:].equals(both_of[1].pixels()[:])
    total = cooler.Cooler(str(tmp_path / "sum.cool")).info["sum"]
    assert total == sum(clr.info["sum"] for clr in both_of)
    # A partition of this cooler is the same again.
    fend = hd.Fend(tmp_path / "again.zarr", "w", silent=True)
    fend.load_bins(tmp_path / "ours.cool", format="cool")
    assert fend.partition.lengths is not None
    assert fend.partition.lengths.tolist() == list(SIZES.values())
    assert fend.token == hic.fends.token


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.InputWarning")
@pytest.mark.parametrize("kind", ["sequence", "lengths"])
def test_heatmap_stores__end_with_the_chromosomes_and_know_all_of_them(
    inputs: Path, tmp_path: Path, kind: str
) -> None:
    hic = project(inputs, tmp_path, made(inputs, tmp_path, kind))
    hic.write_heatmap(tmp_path / "maps.zarr", [5000, 10_000], datatype="raw")
    tree = hd.open_heatmaps(tmp_path / "maps.zarr")
    assert tree.attrs["chromosomes"] == list(SIZES)
    assert tree.attrs["chromosome_lengths"] == list(SIZES.values())
    for name, size in (("r5000", 5000), ("r10000", 10_000)):
        level, lazy = tree[name], hic.heatmap(None, binsize=size, datatype="raw")
        stop = lazy["stop1"].values
        ends = np.array([SIZES[c] for c in lazy["chromosome1"].values])
        assert (stop > ends).any() == (kind == "lengths")
        assert level["stop1"].values.tolist() == np.minimum(stop, ends).tolist()
        assert np.array_equal(level["observed"], lazy["observed"])


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.InputWarning")
def test_without_lengths__chromosomes_end_with_their_last_unit_in_coolers_alone(
    inputs: Path, tmp_path: Path
) -> None:
    run("fends", "--sites", inputs / "sites.bed", "-o", tmp_path / "f.zarr")
    fend = hd.Fend(tmp_path / "f.zarr", silent=True)
    assert fend.partition.lengths is None
    assert fend.partition.ends.tolist() == [27_500, 20_100]
    hic = project(inputs, tmp_path, fend)
    hic.write_heatmap(tmp_path / "m.cool", 5000, datatype="raw")
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    assert clr.chromsizes.to_dict() == {"chr1": 27_500, "chr2": 20_100}
    assert clr.info["genome-assembly"] == "unknown"
    hic.write_heatmap(tmp_path / "maps.zarr", 5000, datatype="raw")
    tree = hd.open_heatmaps(tmp_path / "maps.zarr")
    assert "chromosome_lengths" not in tree.attrs
    assert np.array_equal(
        tree["r5000"]["stop1"], hic.heatmap(None, binsize=5000, datatype="raw")["stop1"]
    )


def test_lengths__are_no_part_of_the_token_and_pass_through_all_stores(
    inputs: Path, tmp_path: Path
) -> None:
    fend = made(inputs, tmp_path, "sites")
    lengths = fend.partition.lengths
    assert lengths is not None
    said = json.loads(run("info", tmp_path / "f.zarr", "--json").stdout)["chromosomes"]
    assert {each["name"]: each["length"] for each in said} == SIZES
    fend.save(tmp_path / "f.fends")
    assert np.array_equal(hd.Fend(tmp_path / "f.fends", silent=True).partition.lengths, lengths)
    made_of = hd.import_project(tmp_path / "f.fends", tmp_path / "back", silent=True)
    again = hd.Fend(made_of[0].target, silent=True)
    assert np.array_equal(again.partition.lengths, lengths)
    assert again.token == fend.token

    # Stores of before have none, and open.
    with h5py.File(tmp_path / "f.fends", "r+") as file:
        del file["chromosome_length"]
    old = hd.Fend(tmp_path / "f.fends", silent=True)
    assert old.partition.lengths is None
    assert old.token == fend.token


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.InputWarning")
def test_replicates__have_the_partition_that_knows_lengths(inputs: Path, tmp_path: Path) -> None:
    known = made(inputs, tmp_path, "sites")
    known.save(tmp_path / "old.fends")
    with h5py.File(tmp_path / "old.fends", "r+") as file:
        del file["chromosome_length"]
    stores = []
    for fends in (tmp_path / "old.fends", known.file):
        data = hd.HiCData(tmp_path / f"d{len(stores)}.zarr", "w", silent=True)
        data.load_data_from_pairs(fends, inputs / "g.pairs", maxinsert=None)
        data.save()
        stores.append(data.file)
    both = hd.HiCData(tmp_path / "both.zarr", "w", silent=True)
    both.combine(stores)
    both.save()
    lengths = hd.HiCData(tmp_path / "both.zarr", silent=True).fends.partition.lengths
    assert np.array_equal(lengths, list(SIZES.values()))


def test_damaged_lengths__are_an_error(inputs: Path, tmp_path: Path) -> None:
    fend = made(inputs, tmp_path, "sites")
    fend.save(tmp_path / "f.fends")
    for wrong in ([1, 2], [1, -2, 3]):
        with h5py.File(tmp_path / "f.fends", "r+") as file:
            del file["chromosome_length"]
            file["chromosome_length"] = np.array(wrong)
        with pytest.raises(hd.errors.StoreError, match="for each of 3 chromosomes"):
            hd.Fend(tmp_path / "f.fends", silent=True)


def test_order_and_lacking_chromosomes(inputs: Path, tmp_path: Path) -> None:
    text = (inputs / "g.sizes").read_text().replace("chr1\t31003\n", "chr10\t5000\n")
    (tmp_path / "some.sizes").write_bytes(gzip.compress(text.encode()))
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    with pytest.warns(InputWarning, match=r"no length of 1 chromosome.*their last fend: chr1$"):
        fend.load_fends(inputs / "sites.bed", lengths=tmp_path / "some.sizes")
    partition = fend.partition
    assert partition.chromosomes == ("chr1", "chr10", "chr2", "chrM")  # as HiFive has them
    assert partition.lengths is not None
    assert partition.lengths.tolist() == [0, 5000, 23_456, 900]
    assert partition.ends.tolist() == [27_500, 5000, 23_456, 900]
    plain = hd.Fend(tmp_path / "g.zarr", "w", silent=True)
    plain.load_fends(inputs / "sites.bed")
    assert np.array_equal(fend.units.mid, plain.units.mid)
    assert fend.units.offset.tolist() == [0, 10, 10, 16, 16]


def test_wrong_lengths__are_refused(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "short.sizes").write_text("chr1\t27499\nchr2\t30000\n")
    (tmp_path / "other.sizes").write_text("I\t27499\nII\t30000\n")
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    message = r"short.sizes: chr1 has the length 27,499, but fends end at 27,500"
    with pytest.raises(InputError, match=message):
        fend.load_fends(inputs / "sites.bed", lengths=tmp_path / "short.sizes")
    with pytest.raises(InputError, match=r"none of the chromosomes chr1, chr2; it has I, II"):
        fend.load_fends(inputs / "sites.bed", lengths=tmp_path / "other.sizes")
    bins = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    (tmp_path / "bins.sizes").write_text("chr1\t30000\nchr2\t30000\n")
    with (
        pytest.warns(InputWarning, match="chrM"),
        pytest.raises(InputError, match="30,000, but bins begin at 30,001"),
    ):
        bins.load_bins(inputs / "bins.bed", lengths=tmp_path / "bins.sizes")
    with pytest.raises(ParameterError, match="lengths go with a BED file of bins"):
        hd.Fend(tmp_path / "f.zarr", "w", 5000).load_bins(inputs / "g.sizes", lengths="g.sizes")
    for kind in ("--cool", "--fasta"):
        options = [kind, inputs / "g.fa", "--enzyme", "DpnII", "--chrom-sizes", inputs / "g.sizes"]
        said = run("fends", *options, "-o", tmp_path / "x.zarr", code=2)
        assert "leave --chrom-sizes out" in said.output


@pytest.mark.parametrize("known", [True, False])
def test_reads__of_other_lengths_are_told_of(inputs: Path, tmp_path: Path, known: bool) -> None:
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    fend.load_fends(inputs / "sites.bed", lengths=inputs / "g.sizes" if known else None)
    fend.save()
    text = (inputs / "g.pairs").read_text()
    (tmp_path / "other.pairs").write_text(
        text.replace("chr1 31003", "chr1 24000").replace("chr2 23456", "chr2 24000")
    )
    seen = (
        "chr1 has 24,000 bp there and 31,003 bp in the partition, and so 1 more"
        if known
        else ("chr1 has 24,000 bp there, and the partition has a fend that begins at 24,750")
    )
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    with pytest.warns(InputWarning, match=rf"other\.pairs: .*lengths of chromosomes: {seen}"):
        data.load_data_from_pairs(fend.file, tmp_path / "other.pairs", maxinsert=None)


@pytest.mark.filterwarnings("ignore::hifive_dask.errors.InputWarning")
@pytest.mark.parametrize("kind", ["lengths", "sequence"])
def test_cooltools__takes_a_view_of_the_true_lengths(
    inputs: Path, tmp_path: Path, kind: str
) -> None:
    cooltools = pytest.importorskip("cooltools")
    hic = project(inputs, tmp_path, made(inputs, tmp_path, kind))
    hic.write_heatmap(tmp_path / "m.cool", 5000, datatype="raw")
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    view = pd.DataFrame(
        {"chrom": list(SIZES), "start": 0, "end": list(SIZES.values()), "name": list(SIZES)}
    )
    with warnings.catch_warnings(action="ignore"):  # of what cooltools uses of pandas
        found = cooltools.expected_cis(clr, view_df=view, clr_weight_name=None, ignore_diags=0)
    table = found.set_index(["region1", "dist"])
    bins = {name: -(-length // 5000) for name, length in SIZES.items()}
    for name, number in bins.items():
        reads = clr.matrix(balance=False).fetch(name)
        for apart in range(number):
            row = table.loc[(name, apart)]
            assert row["n_total"] == number - apart
            assert row["count.sum"] == np.trace(reads, apart)


@pytest.mark.parametrize("given", [True, False])
def test_run__takes_lengths_of_the_header_unless_they_are_given(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    made_with = []
    monkeypatch.setattr(
        "hifive_dask.cli._pipeline.make_fends",
        lambda path, source, silent: made_with.append(source.lengths) or exit_with(7),
    )
    (tmp_path / "own.sizes").write_text("chr1\t40000\nchr2\t40000\n")
    more = ["--chrom-sizes", tmp_path / "own.sizes"] if given else []
    reads = ["--reads", inputs / "plain.pairs", "--reads", inputs / "g.pairs"]
    run(
        "run", "--sites", inputs / "sites.bed", *reads, *more, "-o", tmp_path / "out", code=7
    )  # fmt: skip
    assert made_with == [tmp_path / "own.sizes" if given else inputs / "g.pairs"]


def exit_with(code: int) -> NoReturn:
    raise SystemExit(code)


def test_positions_near_the_largest__end_there(tmp_path: Path) -> None:
    last = 2**31 - 1
    cuts = [*range(10_000_000, last - 4, 20_000_000), last - 3]
    (tmp_path / "sites.bed").write_text("".join(f"A\t{x - 1}\t{x + 1}\n" for x in cuts))
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    fend.load_fends(tmp_path / "sites.bed")
    fend.save()
    ends = [(cuts[k] + 50, cuts[-2 - k] + 50) for k in range(1, 20)]
    lines = [f"A\t{a}\t+\tA\t{b}\t-\n" for a, b in ends]
    (tmp_path / "reads.raw").write_text("".join(lines))
    data = hd.HiCData(tmp_path / "d.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, tmp_path / "reads.raw", maxinsert=None)
    data.save()
    hic = hd.HiC(tmp_path / "h.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=1)
    size = 20_000_000
    mapping = hic.cis_heatmap("A", binsize=size, datatype="raw", returnmapping=True)[1]
    assert mapping[-1, :2].tolist() == [2_140_000_000, last]
    bounds = [[2_000_000_000, 2**31 + 5]]
    own = hic.cis_heatmap("A", binbounds=bounds, datatype="raw", returnmapping=True)[1]
    assert own[:, :2].tolist() == [[2_000_000_000, last]]
    hic.write_heatmap(tmp_path / "h.hch", size, datatype="raw")
    hic.write_heatmap(tmp_path / "h.npz", size, datatype="raw")
    with h5py.File(tmp_path / "h.hch") as file, np.load(tmp_path / "h.npz") as arrays:
        for each in (file, arrays):
            assert each["A.positions"][-1].tolist() == [2_140_000_000, last]
    hic.write_heatmap(tmp_path / "h.cool", size, datatype="raw")
    assert cooler.Cooler(str(tmp_path / "h.cool")).chromsizes.to_dict() == {"A": last - 3}
    hic.write_heatmap(tmp_path / "h.zarr.zarr", size, datatype="raw")
    stop = hd.open_heatmaps(tmp_path / "h.zarr.zarr")[f"r{size}"]["stop1"]
    assert int(stop[-1]) == 2_160_000_000  # 64 bits, and the length is not known


def test_a_cooler_with_a_chromosome_above_32_bits__is_refused_by_name(tmp_path: Path) -> None:
    bins = cooler.util.binnify(pd.Series({"B": 1000, "long": 2_500_000_000}), 500_000_000)
    pixels = pd.DataFrame({"bin1_id": [0], "bin2_id": [4], "count": [3]})
    cooler.create_cooler(str(tmp_path / "long.cool"), bins, pixels, ordered=True)
    # Cooler says nothing of it; see findings/cooler_long_chromosomes.sh.
    assert cooler.Cooler(str(tmp_path / "long.cool")).chromsizes["long"] == 2_500_000_000 - 2**32
    fend = hd.Fend(tmp_path / "f.zarr", "w", silent=True)
    with pytest.raises(InputError, match=r"long has -1,794,967,296 bp.*reach to 2,147,483,647"):
        fend.load_bins(tmp_path / "long.cool")
    with pytest.raises(InputError, match="long has -1,794,967,296 bp"):
        hd.import_heatmaps(tmp_path / "long.cool", tmp_path / "m.zarr", silent=True)
    assert not (tmp_path / "m.zarr").exists()
