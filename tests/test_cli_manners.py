"""The command line: names, units, examples, suggestions, completion, streams, exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from hifive_dask import HiC, HiCData, testing
from hifive_dask.cli import main
from hifive_dask.cli._command import stack
from hifive_dask.cli._types import Size
from hifive_dask.cli._words import in_words_of
from tests.commands import run_in_one_thread as run

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _coarse_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hifive_dask.cli._pictures.DPI", 20)


def commands() -> dict[str, click.Command]:
    """All commands, by what is typed."""

    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for each in command.list_commands(context):
                found = command.get_command(context, each)
                assert found is not None
                yield from walk(f"{name} {each}", found)

    return dict(walk("hifive-dask", main))


def options() -> list[tuple[str, click.Option]]:
    return [
        (name, each)
        for name, command in commands().items()
        for each in command.params
        if isinstance(each, click.Option)
    ]


# Names and help


def test_options__of_one_name_are_of_one_kind() -> None:
    kinds: dict[str, set[Any]] = {}
    for _, option in options():
        lengths = [len(text) for text in option.opts]
        long = option.opts[lengths.index(max(lengths))]
        kinds.setdefault(long, set()).add((tuple(option.opts), isinstance(option.type, Size)))
    different = {name: kind for name, kind in kinds.items() if len(kind) > 1}
    assert set(different) <= {"--features"}  # `--fasta` makes them, `normalize` takes them
    assert different == {}


def test_options__have_a_help_and_show_their_defaults() -> None:
    for name, option in options():
        assert option.help, (name, option.name)
        plain = option.is_flag or option.required or option.default in (None, ())
        shown = plain or "Sentinel" in str(option.default) or option.show_default
        assert shown, (name, option.name)


def test_help__shows_options_in_the_groups_they_are_declared_in() -> None:
    text = run("run", "--help").stdout
    titles = re.findall(r"^([A-Z][\w ]*):$", text, re.M)
    assert titles[:3] == ["Genome", "Reads", "Filter"]
    assert titles[-2:] == ["Options", "Examples"]
    assert {"Model", "Pictures"} <= set(titles)
    sections = dict(zip(titles, re.split(r"^[A-Z][\w ]*:$", text, flags=re.M)[1:], strict=True))
    for option, title in (("--sites", "Genome"), ("--reads", "Reads"), ("--maxinsert", "Reads"),
                          ("--mininteractions", "Filter"), ("--minsize", "Model"),
                          ("--region", "Pictures"), ("--out", "Options")):  # fmt: skip
        assert f"{option} " in sections[title], option
    assert text.count("--usereads ") == 1


def test_stack__keeps_the_groups_of_stacks_inside_of_it() -> None:
    inner = stack(click.option("--one"), group="First")
    both = stack(inner, click.option("--two"), click.option("--three"), group="Second")
    found = click.command()(both(lambda **_: None)).params
    assert [(each.name, getattr(each, "group", None)) for each in found] == [
        ("one", "First"), ("two", "Second"), ("three", "Second")
    ]  # fmt: skip


def test_sizes__are_read_in_one_way_in_all_commands() -> None:
    word = re.compile(r"size$|distance$|insert$|length$|window$|^short$|^binned$")
    for name, option in options():
        if word.search(option.name or "") and not option.is_flag:
            assert isinstance(option.type, Size), (name, option.name)


@pytest.mark.parametrize(
    ("text", "size"),
    [("5000", 5000), ("10,000", 10_000), ("10k", 10_000), ("10KB", 10_000), ("10 kbp", 10_000),
     ("1.5Mb", 1_500_000), ("1g", 10**9), ("0", 0)],
)  # fmt: skip
def test_sizes__have_units(text: str, size: int) -> None:
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10kbb", "'10kbb' is not a number of bp, such as 5000, 10,000, 10kb or 1.5Mb"),
        ("-5", "'-5' is not a number of bp"),
        ("0.5", "'0.5' is not a whole number of bp, such as 5000 or 1.5kb"),
        ("0", "0 is below 1 bp; give a size such as 10kb"),
        ("none", "'none' is not a number of bp"),
    ],
)
def test_sizes__say_what_was_seen_and_what_is_expected(text: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=re.escape(message)):
        Size(1).convert(text, None, None)


# Errors of Python in the words of commands


@pytest.mark.parametrize(
    ("command", "text", "words"),
    [
        ("normalize express", "raise max_iterations or minchange, use accelerate=True, or filter",
         "raise --max-iterations or --minchange, use --accelerate, or filter"),
        ("normalize kr", "use kr=False, usereads='all', or other chroms",
         "use another method, --usereads all, or other chroms"),
        ("normalize express", "call find_distance_parameters first",
         "run `hifive-dask project` first"),
        ("project", "see filter_fends and reset_filter", "see --mininteractions"),
        ("plot", "see filter_fends", "see `hifive-dask project --mininteractions`"),
        ("plot", "call find_express_fend_corrections first", "run `hifive-dask normalize` first"),
        ("run", "filter_fends with mininteractions=1 or more removes them",
         "`hifive-dask project --mininteractions 1` or more removes them"),
        ("run", "maxinsert is -5, expected 0", "--maxinsert is -5, expected 0"),
        ("run", "--maxinsert is for raw", "--maxinsert is for raw"),
        ("query", "choose a larger binsize or", "choose a larger --binsize or"),
        ("pairs", "x.mat:3: give basefend=1", "x.mat:3: give --basefend 1"),
        ("mrh write", "trans_minbinsize, fewer chroms, or includetrans=False",
         "--trans-minbinsize, fewer chroms, or --no-trans"),
        ("pairs", "load_bins(cooler, format='cool') makes", "`hifive-dask fends --cool` makes"),
        ("fends", "no sequence is left with minlength=500", "no sequence is left with "
         "--minlength 500"),
        ("fends", "sites/minlength.bed: 'order' of order.bed", "sites/minlength.bed: 'order' of "
         "order.bed"),
    ],
)  # fmt: skip
def test_errors__of_commands_name_options(command: str, text: str, words: str) -> None:
    assert in_words_of(commands()[f"hifive-dask {command}"], text) == words


def test_errors__of_a_run_are_in_words_of_its_command(toy: Path, tmp_path: Path) -> None:
    hic = HiC(toy, silent=True)
    hic.reset_filter()
    hic.load_data(hic.data.file)
    hic.save(tmp_path / "p.zarr")
    out = tmp_path / "p.png"
    arguments = ("plot", tmp_path / "p.zarr", "chr1", "--datatype", "enrichment", "-o", out)
    assert "needs corrections; run `hifive-dask normalize` first" in run(*arguments, code=1).stderr
    text = run("normalize", "express", tmp_path / "p.zarr", code=1).stderr
    assert "without --keep-distance needs the distance dependence; run `hifive-dask proj" in text


# Examples


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty file, or store, of every name that examples have."""
    folder = tmp_path_factory.mktemp("shelf")
    names = ("sites.bed chrom.sizes genome.fa.gz reads.pairs.gz lane1.bam lane2.bam reads_1.bam "
             "reads_2.bam counts.mat rep1_a.matrix map.mcool map.mrh project.hcp fends.zarr "
             "bins.zarr pairs.zarr project.zarr maps.zarr rep1.zarr rep2.zarr reads.bam "
             "both.zarr toy/sites.bed toy/reads.raw reads.raw demo/sites.bed demo/reads.raw "
             "demo/fends.zarr demo/pairs.zarr demo/project.zarr lane1.pairs lane2.pairs "
             "scheduler.json rep1.pairs.gz rep2.pairs.gz bins.bed "
             "hg38.fa.gz sacCer3.fa.gz replicate1/chr1.matrix SRR22130071.zarr MATalpha.zarr "
             "human/sites.bed human/reads.raw human-run/project.zarr "
             "genome.2bit sacCer3.DpnII_HinfI.cuts.bed yeast.sacCer3.pairs.gz")  # fmt: skip
    for name in names.split():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).mkdir() if name.endswith(".zarr") else (folder / name).touch()
    return folder


def examples() -> list[str]:
    return [line for command in commands().values() for line in getattr(command, "examples", ())]


def documented() -> list[str]:
    """Commands in blocks of code of the documentation."""
    found = []
    for path in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"):
        for block in re.findall(
            r"^```(?:bash|sh|console|shell)\n(.*?)^```", path.read_text(), re.S | re.M
        ):
            found += block.replace("\\\n", " ").splitlines()
    return [
        line for line in found if re.search(r"\bhifive-dask ", line) and "pip install" not in line
    ]


def parse(line: str) -> None:
    """Parse a line of a shell as the commands do, and run nothing."""
    text = re.sub(r"<\([^)]*\)", "lane1.pairs", line)
    words = shlex.split(text.replace("$file", "scheduler.json"), comments=True)
    words = words[words.index("hifive-dask") + 1 :]
    ends = [words.index(mark) for mark in ("|", ">", ">>", "&&") if mark in words]
    words = words[: min(ends)] if ends else words
    command: click.Command = main
    with click.Context(main) as context:
        while isinstance(command, click.Group):
            context = command.make_context(command.name, words, parent=context)
            name, found, words = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            assert found is not None, name
            command = found
        command.make_context(command.name, words, parent=context)


@pytest.mark.parametrize("line", examples())
def test_examples__parse(line: str, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf)
    parse(line)


def test_documentation__has_commands_that_parse(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shelf)
    lines = documented()
    assert len(lines) > 30
    wrong = []
    for line in lines:
        if "://" in line:  # file systems that are not there
            continue
        try:
            parse(line)
        except click.UsageError as error:
            wrong.append(f"{line}: {error.format_message()}")
        except click.exceptions.Exit:  # --version
            pass
    assert wrong == []


def test_examples__are_in_the_help_of_every_command() -> None:
    for name, command in commands().items():
        if not isinstance(command, click.Group):
            text = run(*name.split()[1:], "--help").stdout
            assert "\nExamples:\n  " in text, name
            assert command.examples[0] in text  # type: ignore[attr-defined]


# Suggestions


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("normalise", "there is no command 'normalise'. Did you mean 'normalize'?"),
        ("normalize expres x", "there is no command 'expres'. Did you mean 'express'?"),
        ("query {project} chr1 --bin-size 10kb", "Did you mean --binsize?"),
        ("query {project} chr1 --datatype enrichmnt", "Did you mean 'enrichment'?"),
        ("fends --fasta {folder}/sites.bed --enzyme DpnIII -o x.zarr", "did you mean DpnII"),
        ("completion bsh", "Did you mean 'bash'?"),
        ("heatmap {project} --binsize 10kb --format mcol -o x.mcol", "Did you mean 'mcool'?"),
        ("query {project} chrom1", "known are: chr1, chr2, chr3. Did you mean 'chr1'?"),
        ("plot {project} chr1 --cmap viridi -o {folder}/x.png", "for example, 'viridis'"),
    ],
)
def test_near_misses__are_suggested(toy: Path, line: str, message: str) -> None:
    words = [word.format(project=toy, folder=toy.parent) for word in line.split()]
    result = CliRunner().invoke(main, words)
    assert result.exit_code in (1, 2)
    text = result.stderr.replace("'--binsize'", "--binsize")
    assert message in " ".join(text.split())


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("info {folder}/projekt.zarr", 2, "does not exist. Did you mean 'project.zarr'?"),
        ("info {folder}/reads.raw", 1, "has the suffix '.raw'; expected one of .zarr, .hdf5"),
        ("project {project} -o x.zarr", 1, "expected 'pairs'; `hifive-dask pairs` makes one"),
        ("pairs {folder}/reads.raw {folder}/fends.zarr -o x.zarr", 2, "is the order right?"),
        ("mrh read {project}", 2, "is a store, expected a file"),
        ("query {project} chr1:9Mb-10Mb", 1, "holds no fend; 'chr1' has fends"),
        ("query {project} chr1:a-b", 1, "region 'chr1:a-b': 'a' is not a number of bp"),
        ("query {project} chr1 --binsize 10kbb", 2, "'10kbb' is not a number of bp, such as"),
        ("plot {project} chr1 --binsize -5 -o x.png", 2, "'-5' is not a number of bp"),
        ("heatmap {project} --binsize 0 -o x.zarr", 2, "give --binsize such as 10kb. 0, one bin"),
        ("heatmap {project} --binsize 10,000 -o x.zarr", 2, "commas are between sizes"),
        ("fends --chrom-sizes {folder}/chrom.sizes -o x.zarr", 2, "needs a bin size: --binned"),
        ("normalize binning {project} --num-bins 9", 2, "--num-bins has 1, --types has 3; give"),
    ],
)
def test_wrong_lines__are_answered_with_what_was_seen_and_a_cure(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word.format(project=toy, folder=toy.parent) for word in line.split()]
    assert message in " ".join(run(*words, code=code).stderr.split())
    assert list(tmp_path.iterdir()) == []


# Facts, as JSON and as text


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A normalized project of toy reads."""
    files = testing.toy_files(tmp_path_factory.mktemp("toy"))
    folder = files.directory
    run("fends", "--sites", files.sites, "--genome", "toy", "-o", folder / "fends.zarr")
    run("pairs", folder / "fends.zarr", files.raw, "-o", folder / "pairs.zarr")
    run("project", folder / "pairs.zarr", "--minsize", "2kb", "-o", folder / "project.zarr")
    run("normalize", "express", folder / "project.zarr", "--minchange", "0.01")
    return folder / "project.zarr"


def facts(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return found


def test_json__of_a_command_is_what_info_says_of_its_result(toy: Path, tmp_path: Path) -> None:
    folder, pairs = toy.parent, tmp_path / "pairs.zarr"
    fends = tmp_path / "fends.zarr"
    assert facts("fends", "--sites", folder / "sites.bed", "-o", fends) == facts("info", fends)
    assert facts("pairs", fends, folder / "reads.raw", "-o", pairs) == facts("info", pairs)
    both = tmp_path / "both.zarr"
    assert facts("combine", pairs, pairs, "-o", both)["pairs"] == len(HiCData(pairs).store)
    project = tmp_path / "project.zarr"
    assert facts("project", pairs, "--minsize", "2kb", "-o", project) == facts("info", project)
    learned = facts("normalize", "binning", project, "--features", "len", "--num-bins", "3",
                    "--types", "even")  # fmt: skip
    assert learned == facts("info", project)
    assert learned["normalization"] == "binning"


def test_json__of_statistics_and_pictures(toy: Path, tmp_path: Path) -> None:
    found = facts("stats", toy.parent / "pairs.zarr", "--short", "5kb")
    classes = found["libraries"][0]["classes"]
    data = HiCData(toy.parent / "pairs.zarr")
    assert classes["valid_cis_reads"]["reads"] == data.stats["valid_cis_reads"]
    assert (found["short"], classes["total_reads"]["of_valid"]) == (5000, None)
    drawn = facts("diagnose", toy, "-o", tmp_path / "pictures")
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == set(drawn["pictures"])


def test_info__knows_every_kind_of_file(toy: Path, tmp_path: Path) -> None:
    pytest.importorskip("cooler")
    hic = HiC(toy, silent=True)
    hic.save(tmp_path / "p.hcp")
    run("heatmap", toy, "--binsize", "50kb", "-o", tmp_path / "m.hch")
    run("heatmap", toy, "--binsize", "50kb", "-o", tmp_path / "m.mcool")
    run("heatmap", toy, "--binsize", "50kb,100kb", "-o", tmp_path / "m.zarr")
    run("query", toy, "chr1", "--binsize", "50kb", "-o", tmp_path / "q.zarr")
    sizes = ("--minbinsize", "10kb", "--maxbinsize", "40kb")
    written = facts("mrh", "write", toy, *sizes, "-o", tmp_path / "m.mrh")
    assert written == facts("info", tmp_path / "m.mrh")
    assert written["resolutions"] == [40_000, 20_000, 10_000]
    names = ["1", "2", "3"]
    assert written["chromosomes"] == names
    kinds = {name: facts("info", tmp_path / name) for name in
             ("p.hcp", "m.hch", "m.mcool", "m.zarr", "q.zarr")}  # fmt: skip
    assert [found["type"] for found in kinds.values()] == [
        "project", "heatmap", "cooler", "heatmaps", "heatmap"
    ]  # fmt: skip
    assert kinds["m.hch"]["binsize"] == kinds["q.zarr"]["binsize"] == 50_000
    assert kinds["m.hch"]["maps"][0]["name"] == "chr1"
    one = kinds["m.mcool"]["coolers"][0]
    assert facts("info", one["address"])["coolers"] == [one]
    for name in kinds:
        text = run("info", tmp_path / name).stdout
        assert name in text or "::" in text
    assert "50,000" in run("info", tmp_path / "m.hch").stdout


def test_tables__go_to_standard_output(toy: Path, tmp_path: Path) -> None:
    for command, name in (
        (("query", toy, "chr1", "--binsize", "50kb"), "x.tsv"),
        (("model", toy, "1", "--binsize", "50kb"), "x.tsv"),
    ):
        run(*command, "-o", tmp_path / name)
        assert run(*command, "-o", "-").stdout == (tmp_path / name).read_text()
    # By the name of the genome, not as it was typed.
    assert (tmp_path / "x.tsv").read_text().splitlines()[1].startswith("chr1\t")
    assert not list(Path().glob("-"))


# Completion, and how commands end


def complete(words: str) -> list[str]:
    count = len(words.split(" ")) - 1
    variables = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(count),
        "_HIFIVE_DASK_COMPLETE": "bash_complete",
    }
    result = CliRunner().invoke(main, prog_name="hifive-dask", env=variables)
    return [line.partition(",")[2] for line in result.stdout.splitlines()]


def test_completion__knows_commands_choices_and_chromosomes(toy: Path) -> None:
    assert complete("hifive-dask no") == ["normalize"]
    chains = ["binning-binomial", "binning-express", "binning-poisson"]
    assert complete("hifive-dask normalize binning-") == chains
    assert complete("hifive-dask run --method bino") == ["binomial"]
    assert complete("hifive-dask plot --datatype en") == ["enrichment"]
    assert complete(f"hifive-dask query {toy} chr") == ["chr1", "chr2", "chr3"]
    assert complete(f"hifive-dask model {toy} chr3") == ["chr3"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_completion__works_in_bash(tmp_path: Path) -> None:
    program = tmp_path / "hifive-dask"
    program.write_text(
        f"#!{sys.executable}\nfrom hifive_dask.cli import main\nmain(prog_name='hifive-dask')\n"
    )
    program.chmod(0o755)
    script = run("completion", "bash").stdout
    (tmp_path / "script").write_text(script)
    lines = """
        source script
        complete -p hifive-dask
        COMP_WORDS=(hifive-dask simul); COMP_CWORD=1
        _hifive_dask_completion hifive-dask
        echo "${COMPREPLY[@]}"
    """
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    result = subprocess.run(
        ["bash", "-c", lines],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
    )
    assert result.stdout.splitlines()[-1] == "simulate", result.stderr
    assert "complete -o nosort" in result.stdout
    for shell in ("zsh", "fish"):
        assert "hifive-dask" in run("completion", shell).stdout


def test_exit_codes__are_those_of_the_documentation(toy: Path) -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    section = text[text.index("## Exit codes") :].split("\n## ")[0]
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.M)]
    assert codes == [0, 1, 2, 128 + signal.SIGINT, 128 + signal.SIGTERM]  # these in test_cli.py
    run("info", toy, code=0)
    run("query", toy, "chr9", code=1)
    run("query", toy, "chr1", "--size", "1", code=2)
    # The reader ends first.
    command = [sys.executable, "-m", "hifive_dask", "query", str(toy), "all", "--binsize", "2kb"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("line", "scheduler"),
    [
        ("--scheduler mpi info x", "mpi"),
        ("--scheduler=mpi info x", "mpi"),
        ("--spill info --scheduler mpi run", "mpi"),
        ("--workers 2 pairs --scheduler mpi", "threads"),
        ("plot x --title --scheduler=mpi", "threads"),
        ("--scheduler", "threads"),
        ("--nothing --scheduler mpi info", "threads"),
    ],
)
def test_mpi__is_asked_for_by_the_option_alone(line: str, scheduler: str) -> None:
    assert main._own_options(line.split()).get("scheduler", "threads") == scheduler  # type: ignore[attr-defined]
