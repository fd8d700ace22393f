"""The command line: inputs of every format, by name or through standard input."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from hifive_dask import Fend, HiCData, testing
from hifive_dask.cli._steps import file_state
from hifive_dask.reads.text import inflate, open_text
from tests.commands import run_in_one_thread as run


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy reads; a partition of fends and one of bins; their pairs, counted from the reads."""
    files = testing.toy_files(tmp_path_factory.mktemp("toy"))
    folder = files.directory
    run("fends", "--sites", files.sites, "-o", folder / "fends.zarr")
    run("fends", "--chrom-sizes", files.lengths, "--binned", 20000, "-o", folder / "bins.zarr")
    for name in ("fends", "bins"):
        run("pairs", folder / f"{name}.zarr", files.raw, "-o", folder / f"{name}.pairs.zarr")
        HiCData(folder / f"{name}.pairs.zarr", silent=True).export_to_mat(folder / f"{name}.mat")
    return folder


def rows(path: Path) -> list[list[int]]:
    data = HiCData(path, silent=True)
    return [*data.cis_data.tolist(), *data.trans_data.tolist()]


@pytest.mark.parametrize("name", ["fends", "bins"])
@pytest.mark.parametrize("options", [(), ("--format", "mat", "--basefend", 0)])
def test_mat__gives_the_pairs_it_was_exported_from(
    toy: Path, tmp_path: Path, name: str, options: tuple[object, ...]
) -> None:
    out = tmp_path / "d.zarr"
    result = run("pairs", toy / f"{name}.zarr", toy / f"{name}.mat", *options, "-o", out)
    assert rows(out) == rows(toy / f"{name}.pairs.zarr")
    assert "valid cis reads" in result.output


def test_mat__numbered_from_1(toy: Path, tmp_path: Path) -> None:
    header, *lines = (toy / "fends.mat").read_text().splitlines()
    shifted = [[int(a) + 1, int(b) + 1, n] for a, b, n in (line.split("\t") for line in lines)]
    text = "\n".join([header, *("\t".join(map(str, row)) for row in shifted)]) + "\n"
    (tmp_path / "x.mat").write_text(text)
    arguments = ("pairs", toy / "fends.zarr", tmp_path / "x.mat", "-o", tmp_path / "d.zarr")
    run(*arguments, "--basefend", 1)
    assert rows(tmp_path / "d.zarr") == rows(toy / "fends.pairs.zarr")
    last = len(Fend(toy / "fends.zarr", silent=True).units)
    kept = [header, *("\t".join(map(str, row)) for row in shifted if last not in row[:2])]
    (tmp_path / "x.mat").write_text("\n".join(kept) + "\n")
    message = " ".join(run(*arguments).stderr.split())
    assert "x.mat: 894 reads failed the cut, but none lies within a fragment" in message
    assert "is its first fend number 1? Then load it with --basefend 1" in message
    assert "failed the cut" not in run(*arguments, "--basefend", 1).stderr
    (tmp_path / "x.mat").write_text(f"{text}1\t{last}\t1\n")
    assert "give --basefend 1" in run(*arguments, code=1).stderr


def test_matrices__of_a_template_and_of_one_file(toy: Path, tmp_path: Path) -> None:
    bins = Fend(toy / "bins.zarr", silent=True).units
    dense = np.zeros((len(bins), len(bins)), dtype=int)
    for a, b, n in rows(toy / "bins.pairs.zarr"):
        dense[a, b] = dense[b, a] = n
    arrays = {}
    for i, one in enumerate(bins.chromosomes):
        for j, two in enumerate(bins.chromosomes[i:], i):
            name = one if i == j else f"{one}_by_{two}"
            arrays[name] = dense[bins.span(i), bins.span(j)]
            np.savetxt(tmp_path / f"{name}.matrix", arrays[name], fmt="%d", delimiter="\t")
    np.savez(tmp_path / "all.npz", **arrays)
    for source in ("*.matrix", "all.npz"):
        run("pairs", toy / "bins.zarr", tmp_path / source, "-o", tmp_path / "d.zarr")
        assert rows(tmp_path / "d.zarr") == rows(toy / "bins.pairs.zarr")


def test_cooler__gives_bins_and_pairs(toy: Path, tmp_path: Path) -> None:
    cooler = pytest.importorskip("cooler")
    units = Fend(toy / "bins.zarr", silent=True).units
    lengths = dict(line.split("\t")[:2] for line in (toy / "chrom.sizes").read_text().splitlines())
    sizes = pd.Series({name: int(lengths[name]) for name in units.chromosomes})
    pixels = pd.DataFrame(rows(toy / "bins.pairs.zarr"), columns=["bin1_id", "bin2_id", "count"])
    uri = f"{tmp_path}/x.mcool::/resolutions/20000"
    pixels = pixels.sort_values(["bin1_id", "bin2_id"])
    cooler.create_cooler(uri, cooler.util.binnify(sizes, 20000), pixels)
    run("fends", "--cool", uri, "-o", tmp_path / "g.zarr")
    assert Fend(tmp_path / "g.zarr").token == Fend(toy / "bins.zarr").token
    for source in (uri, tmp_path / "x.mcool"):
        run("pairs", tmp_path / "g.zarr", source, "-o", tmp_path / "d.zarr")
        assert rows(tmp_path / "d.zarr") == rows(toy / "bins.pairs.zarr")
    assert file_state(Path(uri))[1] == os.path.getsize(tmp_path / "x.mcool")


@pytest.mark.parametrize(
    ("name", "form"), [("reads.raw", "raw"), ("reads.pairs", "pairs"), ("fends.mat", "mat")]
)
def test_standard_input__takes_text(toy: Path, tmp_path: Path, name: str, form: str) -> None:
    out = tmp_path / "d.zarr"
    text = (toy / name).read_bytes()
    run("pairs", toy / "fends.zarr", "-", "--format", form, "-o", out, stdin=text)
    assert rows(out) == rows(toy / "fends.pairs.zarr")
    assert "filelist=['standard input']" in HiCData(out).history
    message = run("pairs", toy / "fends.zarr", "-", "-o", out, code=2, stdin=text).stderr
    assert "standard input and pipes need a format: --format raw, pairs, bam or mat" in message


@pytest.mark.parametrize("suffix", ["bam", "sam"])
def test_standard_input__takes_alignments(toy: Path, tmp_path: Path, suffix: str) -> None:
    path, out = tmp_path / f"reads.{suffix}", tmp_path / "d.zarr"
    sizes = dict(line.split("\t") for line in (toy / "chrom.sizes").read_text().splitlines())
    mode, lengths = "wb" if suffix == "bam" else "w", [int(n) for n in sizes.values()]
    with pysam.AlignmentFile(
        str(path), mode, reference_names=list(sizes), reference_lengths=lengths
    ) as file:
        for k, line in enumerate((toy / "reads.raw").read_text().splitlines()):
            cells = line.split("\t")
            for mate, (chrom, position, strand) in enumerate((cells[:3], cells[3:])):
                flag = (0x91 if mate else 0x51) if strand == "-" else (0x81 if mate else 0x41)
                start = int(position) - 3 * (strand == "-")
                text = f"r{k}\t{flag}\t{chrom}\t{start}\t60\t4M\t*\t0\t0\tACGT\t*"
                file.write(pysam.AlignedSegment.fromstring(text, file.header))
    for order in ([], ["-n"]):
        sort = tmp_path / f"sorted.{suffix}"
        pysam.sort(*order, "-o", str(sort), str(path))
        text = sort.read_bytes()
        run("pairs", toy / "fends.zarr", "-", "--format", "bam", "-o", out, stdin=text)
        assert rows(out) == rows(toy / "fends.pairs.zarr")
    before = HiCData(out).token
    for faulty, message in (
        (b"", "standard input: is empty, expected reads"),
        (text[:-40], "standard input"),
        (
            text[:-40],
            "ends in the middle"
            if suffix == "bam"
            else ": alignment 40,000 is damaged, or cut off",
        ),
        (b"x\n", "standard input: cannot be read as BAM, SAM or CRAM"),
    ):
        arguments = ("pairs", toy / "fends.zarr", "-", "--format", "bam", "-o", out)
        assert message in run(*arguments, code=1, stdin=faulty).stderr
    assert HiCData(out).token == before
    assert not list(tmp_path.glob(".*"))


def test_standard_input__is_one_of_two_files_of_mates(toy: Path, tmp_path: Path) -> None:
    header = pysam.AlignmentHeader.from_references(["chr1"], [10**6])
    for mate in (1, 2):
        with pysam.AlignmentFile(str(tmp_path / f"{mate}.bam"), "wb", header=header) as file:
            for k in range(50):
                text = f"r{k}\t0\tchr1\t{1000 + 7000 * k * mate}\t60\t4M\t*\t0\t0\tACGT\t*"
                file.write(pysam.AlignedSegment.fromstring(text, header))
    options = ("--format", "bam", "--maxinsert", "none", "-o", tmp_path / "d.zarr")
    tokens = []
    for first in (tmp_path / "1.bam", "-"):
        mates = ("--mates", first, tmp_path / "2.bam")
        run("pairs", toy / "fends.zarr", *mates, *options, stdin=(tmp_path / "1.bam").read_bytes())
        tokens.append(HiCData(tmp_path / "d.zarr").token)
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["reads.raw", "--basefend", "1"],
            "--basefend is for mat, but the format is raw; leave it",
        ),
        (
            ["reads.raw", "--min-mapq", "9"],
            "--min-mapq is for bam, but the format is raw; leave it",
        ),
        (
            ["fends.mat", "--maxinsert", "500"],
            "--maxinsert is for raw, pairs, bam, but the format is",
        ),
        (["fends.mat", "--dedup", "none"], "--dedup is for raw, pairs, bam, but the format is mat"),
        (["fends.mat", "--fragment-columns"], "--fragment-columns is for pairs, but the format is"),
        ([], "no files of reads were given"),
        (["fends.mat", "bins.mat"], "give one input in the format mat; to add up several, load"),
        (["m/1.matrix", "m/2.matrix"], "(a template in quotes, as 'rep1_*.matrix', is one input)"),
        (["-", "--format", "cool"], "the format cool is not read from standard input or pipes"),
        (["fends.mat", "reads.raw"], "load files of one format at a time ("),
        (["none.raw"], "does not exist"),
        (["*.none"], "no file matches the template"),
        (["none.mcool::/resolutions/5"], "does not exist"),
    ],
)
def test_usage_errors__name_the_cure(
    toy: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (toy / "m").mkdir(exist_ok=True)
    for name in ("1", "2"):
        (toy / "m" / f"{name}.matrix").write_text("1\n")
    inputs = [toy / a if "." in a else a for a in arguments]
    result = run("pairs", toy / "fends.zarr", *inputs, "-o", tmp_path / "d.zarr", code=2)
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_run__takes_counted_pairs(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hifive_dask.cli._pictures.DPI", 20)
    monkeypatch.setattr("hifive_dask.report.write.draw", lambda *_: [])
    arguments = (
        "run", "--sites", toy / "sites.bed", "--reads", toy / "fends.mat", "--minsize", 2000,
        "--out", tmp_path,
    )  # fmt: skip
    run(*arguments)
    assert rows(tmp_path / "pairs.zarr") == rows(toy / "fends.pairs.zarr")
    assert "reads from fends.mat" in (tmp_path / "summary.md").read_text()
    assert "pairs: already done" in run(*arguments).output
    assert "pairs: done" in run(*arguments, "--format", "mat").output


def test_run__takes_bins_and_counts_of_one_cooler(toy: Path, tmp_path: Path) -> None:
    cooler = pytest.importorskip("cooler")
    pixels = pd.DataFrame(rows(toy / "bins.pairs.zarr"), columns=["bin1_id", "bin2_id", "count"])
    lengths = dict(line.split("\t")[:2] for line in (toy / "chrom.sizes").read_text().splitlines())
    bins = cooler.util.binnify(pd.Series(lengths).astype(int), 20000)
    uri = f"{tmp_path}/x.mcool::/resolutions/20000"
    cooler.create_cooler(uri, bins, pixels.sort_values(["bin1_id", "bin2_id"]))
    for genome in (("--cool", uri), ("--cool", tmp_path / "x.mcool", "--binned", "20kb")):
        text = run("run", *genome, "-o", tmp_path / "out", "--dry-run", "--json").stdout
        steps = {each["name"]: each for each in json.loads(text)["steps"]}
        assert steps["pairs"]["size"] > 0, genome
    run("run", "--cool", uri, "--maxinsert", 500, "-o", tmp_path / "out", code=2)
    message = run("run", "--cool", uri, "--order", "input", "-o", tmp_path / "out", code=2).stderr
    assert "--cool has the order in the file; leave --order out" in message


def test_fends__keep_the_order_of_the_input(tmp_path: Path) -> None:
    names = ("chr1", "chr2", "chr10", "chrX")
    sites = tmp_path / "sites.bed"
    sites.write_text("".join(f"{c}\t{k}00\t{k}04\n" for c in names for k in (1, 90)))
    arguments = ("fends", "--sites", sites, "-o", tmp_path / "g.zarr")
    run(*arguments)
    assert tuple(Fend(tmp_path / "g.zarr").chromosomes) == names
    run(*arguments, "--order", "bytes")
    assert tuple(Fend(tmp_path / "g.zarr").chromosomes) == ("chr1", "chr10", "chr2", "chrX")
    lines = sites.read_text().splitlines(keepends=True)
    sites.write_text("".join(lines[::-2] + lines[-2::-2]))  # every chromosome in two places
    run(*arguments)
    assert tuple(Fend(tmp_path / "g.zarr").chromosomes) == names


def test_run__checks_options_before_it_does_anything(toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    run(
        "run", "--sites", toy / "sites.bed", "--reads", toy / "fends.mat", "--maxinsert", 300,
        "--out", out, code=2,
    )  # fmt: skip
    assert not out.exists()


def test_state_of_inputs__notices_changes(tmp_path: Path) -> None:
    template = tmp_path / "*.matrix"
    (tmp_path / "a.matrix").write_text("1\n")
    before = file_state(template)
    assert file_state(template) == before
    (tmp_path / "b.matrix").write_text("1\n")
    assert file_state(template) != before
    assert file_state(Path("-")) != file_state(Path("-"))


def test_open_text__of_gzip_is_inflated(toy: Path, tmp_path: Path) -> None:
    import gzip

    text = (toy / "fends.mat").read_bytes()
    (tmp_path / "x.mat.gz").write_bytes(gzip.compress(text))
    assert b"".join(inflate(open_text(tmp_path / "x.mat.gz", tmp_path))) == text
    run("pairs", toy / "fends.zarr", tmp_path / "x.mat.gz", "-o", tmp_path / "d.zarr")
    assert rows(tmp_path / "d.zarr") == rows(toy / "fends.pairs.zarr")
