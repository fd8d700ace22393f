"""Stores at URLs: the same objects as on a disk, many writers, interruptions, clear errors."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import fsspec
import numpy as np
import pytest
from click.testing import CliRunner
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

import hifive_dask as hd
from hifive_dask._store import places, zarr_store
from hifive_dask._store.atomic import put_in_place, replacing, write_bytes
from hifive_dask._store.checkpoint import Checkpoint
from hifive_dask._store.links import relative_link, resolve_link
from hifive_dask._store.places import place
from hifive_dask.cli import main
from hifive_dask.cluster import session
from hifive_dask.errors import LinkError, StoreError
from hifive_dask.heatmap import store as heatmap_store
from hifive_dask.schema import FENDS
from hifive_dask.testing import ToyFiles, toy_files

BINSIZES = [10_000, 50_000]
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "someone",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ToyFiles:
    return toy_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """URL of a bucket on a server of this process; workers that start later know it too."""
    pytest.importorskip("s3fs")
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ACCOUNT, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
    server.stop()


def forget() -> None:
    """Empty the memory, and forget what was patched of it."""
    MemoryFileSystem.store.clear()
    zarr_store._file_system.cache_clear()


@pytest.fixture
def memory() -> Iterator[str]:
    forget()
    yield "memory://bucket/here"
    forget()


def make_all(base: str | Path, files: ToyFiles) -> None:
    """The whole way from reads to a store of heatmaps."""
    fend = hd.Fend(f"{base}/fends.zarr", "w", silent=True)
    fend.load_fends(files.sites)
    fend.save()
    data = hd.HiCData(f"{base}/pairs.zarr", "w", silent=True)
    data.load_data_from_raw(fend.file, files.raw, 500)
    hic = hd.HiC(f"{base}/project.zarr", "w", silent=True)
    hic.load_data(data.file)
    hic.filter_fends(mininteractions=5)
    hic.find_distance_parameters(numbins=20, minsize=2000)
    hic.find_express_fend_corrections(minchange=1e-3)
    hic.save()
    hic.write_heatmap(f"{base}/maps.zarr", BINSIZES)


def objects(base: str | Path) -> dict[str, bytes]:
    """All files, or objects, by their names."""
    fs, root = fsspec.url_to_fs(str(base), use_listings_cache=False)
    return {name.removeprefix(root): fs.cat_file(name) for name in fs.find(root)}


@pytest.fixture(scope="module")
def made(files: ToyFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of all stores on the disk."""
    folder = tmp_path_factory.mktemp("made")
    with dask.config.set(scheduler="sync"):
        make_all(folder, files)
    return folder


def upload(folder: Path, base: str) -> None:
    fs, root = fsspec.url_to_fs(base)
    fs.pipe({root + name: data for name, data in objects(folder).items()})


def query(base: str | Path) -> list[Any]:
    """A map of the project, and one of the store."""
    hic = hd.HiC(f"{base}/project.zarr", silent=True)
    maps = hd.open_heatmaps(f"{base}/maps.zarr")
    found = [
        hic.heatmap("chr1", binsize=50_000)["enrichment"].values,
        maps.hic.region("chr1:100k-200k", "chr2", binsize=10_000)["enrichment"].values,
    ]
    return [np.nan_to_num(values, nan=-1).tolist() for values in found]


# The whole way


def test_way__of_a_file_url_is_that_of_its_path(
    made: Path, files: ToyFiles, tmp_path: Path
) -> None:
    make_all(f"file://{tmp_path}", files)
    assert objects(tmp_path) == objects(made)
    assert hd.HiC(f"file://{tmp_path}/project.zarr").file == str(tmp_path / "project.zarr")


def test_way__in_memory_gives_the_same_objects(made: Path, files: ToyFiles, memory: str) -> None:
    make_all(memory, files)
    assert objects(memory) == objects(made)
    assert query(memory) == query(made)


def test_way__at_s3_gives_the_same_objects(made: Path, files: ToyFiles, s3: str) -> None:
    base = f"{s3}/threads"
    make_all(base, files)
    assert objects(base) == objects(made)
    with dask.config.set(scheduler="sync"):
        assert query(base) == query(made)
    assert hd.HiC(f"{base}/project.zarr").file == f"{base}/project.zarr"


def test_way__with_processes_that_write_at_once(made: Path, files: ToyFiles, s3: str) -> None:
    from distributed import Client, LocalCluster

    base = f"{s3}/processes"
    upload(made, base)
    for name in ("pairs", "maps"):
        place(f"{base}/{name}.zarr").rmdir(recursive=True)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
        dask.config.set(scheduler=None),
    ):
        data = hd.HiCData(f"{base}/pairs.zarr", "w", silent=True)
        data.load_data_from_raw(f"{base}/fends.zarr", files.raw, 500)
        hd.HiC(f"{base}/project.zarr", silent=True).write_heatmap(f"{base}/maps.zarr", BINSIZES)
        assert query(base) == query(made)
        with pytest.raises(StoreError, match="the memory of one process, which the workers"):
            hd.Fend("memory://bucket/fends.zarr", "w")
        with session("threads"):
            hd.Fend("memory://bucket/fends.zarr", "w")
    assert objects(base) == objects(made)


def test_combine__of_replicates_at_urls(made: Path, memory: str, tmp_path: Path) -> None:
    upload(made, memory)
    other = hd.HiCData(f"{memory}/other.zarr", "w", silent=True)
    other.load_data_from_raw(f"{memory}/fends.zarr", toy_files(tmp_path).raw, 300)
    both = hd.HiCData(f"{memory}/both.zarr", "w", silent=True)
    both.combine([f"{memory}/pairs.zarr", other.file])
    data = hd.HiCData(f"{memory}/pairs.zarr")
    assert both.stats["total_reads"] == data.stats["total_reads"] + other.stats["total_reads"]
    assert not [name for name in objects(memory) if name.startswith("/.")]
    both.verify()


def test_load__has_temporary_files_where_dask_has_them(
    made: Path, files: ToyFiles, memory: str, tmp_path: Path
) -> None:
    upload(made, memory)
    packed = tmp_path / "reads.raw.gz"
    packed.write_bytes(gzip.compress(files.raw.read_bytes()))
    data = hd.HiCData(f"{memory}/packed.zarr", "w", silent=True)
    with dask.config.set({"temporary-directory": str(tmp_path / "scratch")}):
        data.load_data_from_raw(f"{memory}/fends.zarr", packed, 500)
    assert data.token == hd.HiCData(made / "pairs.zarr").token
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not [name for name in objects(memory) if name.startswith("/.")]


def test_save__of_pairs_at_a_url_as_a_file_of_hifive(
    made: Path, memory: str, tmp_path: Path
) -> None:
    upload(made, memory)
    hd.HiCData(f"{memory}/pairs.zarr", silent=True).save(tmp_path / "pairs.hcd")
    copy = hd.HiCData(tmp_path / "pairs.hcd")
    assert copy.token == hd.HiCData(made / "pairs.zarr").token
    assert copy.fends.file == f"{memory}/fends.zarr"


# Places and links


def test_place__says_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(places, "UPath", missing)
    with pytest.raises(StoreError, match=r"pip install 'hifive-dask\[s3\]'.*on workers too"):
        hd.HiC("s3://bucket/project.zarr")
    with pytest.raises(StoreError, match=r"gs:// is not installed .*install its package"):
        hd.HiC("gs://bucket/project.zarr")


def test_place__of_an_unknown_file_system_is_an_error() -> None:
    with pytest.raises(StoreError, match=r"knows no file system nowhere://.*s3://bucket"):
        hd.open_heatmaps("nowhere://bucket/maps.zarr")


def test_place__takes_a_upath_without_options_of_its_own(made: Path, memory: str) -> None:
    upload(made, memory)
    assert hd.HiC(UPath(f"{memory}/project.zarr")).file == f"{memory}/project.zarr"
    with pytest.raises(StoreError, match=r"has options of its own \(anon\), which workers"):
        hd.HiC(UPath(f"{memory}/project.zarr", anon=True))


@pytest.mark.parametrize(
    ("target", "holder", "link"),
    [
        ("memory://b/x/pairs.zarr", "memory://b/x/project.zarr", "./pairs.zarr"),
        ("memory://b/y/pairs.zarr", "memory://b/x/project.zarr", "../y/pairs.zarr"),
        ("memory://b/pairs.zarr", "memory://c/project.zarr", "memory://b/pairs.zarr"),
        ("memory://b/pairs.zarr", "/data/project.zarr", "memory://b/pairs.zarr"),
        ("/data/pairs.zarr", "memory://b/project.zarr", "/data/pairs.zarr"),
        ("file:///data/pairs.zarr", "/data/project.zarr", "./pairs.zarr"),
    ],
)
def test_link__is_relative_within_a_bucket(target: str, holder: str, link: str) -> None:
    assert relative_link(target, holder) == link


def test_link__is_followed_from_url_to_url(memory: str) -> None:
    write_bytes(f"{memory}/pairs.zarr/zarr.json", b"{}")
    for link, holder in (
        ("./pairs.zarr", f"{memory}/project.zarr"),
        ("../here/pairs.zarr", "memory://bucket/there/project.zarr"),
        (f"{memory}/pairs.zarr", "/data/project.zarr"),
    ):
        assert str(resolve_link(link, holder)) == f"{memory}/pairs.zarr"
    with pytest.raises(LinkError, match=r"points to \./none\.zarr, but memory://bucket/here/none"):
        resolve_link("./none.zarr", f"{memory}/project.zarr")


def test_project__on_the_disk_of_pairs_at_a_url(made: Path, memory: str, tmp_path: Path) -> None:
    upload(made, memory)
    hic = hd.HiC(tmp_path / "project.zarr", "w", silent=True)
    hic.load_data(f"{memory}/pairs.zarr")
    hic.save()
    again = hd.HiC(tmp_path / "project.zarr")
    assert (again.datafilename, again.fendfilename) == (
        f"{memory}/pairs.zarr",
        f"{memory}/fends.zarr",
    )


# Commit

STEPS = ("pipe_file", "rm", "rm_file", "cp_file")


def fail_at(patch: pytest.MonkeyPatch, number: int, error: BaseException) -> Callable[[], int]:
    """Let the call `number` of anything that changes objects fail; returns how many there were."""
    calls = [0]

    def wrap(name: str) -> None:
        original = getattr(MemoryFileSystem, name)

        def call(self: Any, *args: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                raise error
            return original(self, *args, **options)

        patch.setattr(MemoryFileSystem, name, call)

    for name in STEPS:
        wrap(name)
    return lambda: calls[0]


def whole(base: str) -> dict[str, str]:
    """Tokens of all complete stores, by their names."""
    tokens = {}
    for path in place(base).iterdir():
        try:
            tokens[str(path)] = str(zarr_store.open_verified(path, FENDS).attrs["uuid"])
        except StoreError:
            continue
    return tokens


@pytest.mark.parametrize("error", [OSError("gone"), KeyboardInterrupt()], ids=["error", "kill"])
def test_commit__interrupted_anywhere_leaves_a_whole_store(
    made: Path, files: ToyFiles, memory: str, error: BaseException
) -> None:
    new, path = hd.Fend(made / "fends.zarr"), f"{memory}/fends.zarr"
    old = hd.Fend(path, "w", binned=20_000, silent=True)
    old.load_bins(files.lengths, format="len")
    old.save()
    before, seen = objects(memory), set()
    for number in range(1, 100):
        MemoryFileSystem.store.clear()
        fsspec.filesystem("memory").pipe({f"/bucket/here{k}": v for k, v in before.items()})
        message = ""
        with pytest.MonkeyPatch.context() as patch:
            count = fail_at(patch, number, error)
            try:
                new.save(path)
            except (StoreError, KeyboardInterrupt) as failure:
                message = str(failure)
        found = whole(memory)
        seen.add(tuple(sorted(found.values())))
        assert set(found.values()) & {old.token, new.token}, number
        if path not in found:
            assert new.token in found.values()
            assert isinstance(error, KeyboardInterrupt) or "one is whole at memory:/" in message
            with pytest.raises(StoreError, match="not written to the end; an interrupted call"):
                hd.Fend(path)
            new.save(path)  # the call can be repeated
            assert hd.Fend(path).token == new.token
        if count() < number:
            break
    assert number > 10
    assert {old.token} < set().union(*seen) == {old.token, new.token}


def test_commit__moves_what_was_left(made: Path, memory: str) -> None:
    upload(made, memory)
    left = place(f"{memory}/.fends.zarr.0123abcd.partial")
    put_in_place(place(f"{memory}/fends.zarr"), left)
    with pytest.raises(StoreError, match=r"no such store; .*whole at .*0123abcd\.partial"):
        hd.Fend(f"{memory}/fends.zarr")
    put_in_place(left, place(f"{memory}/fends.zarr"))
    assert objects(memory) == objects(made)


def test_commit__when_the_body_fails_leaves_nothing(made: Path, memory: str) -> None:
    upload(made, memory)

    def fail() -> None:
        with replacing(f"{memory}/fends.zarr") as beside:
            write_bytes(beside / "zarr.json", b"{}")
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        fail()
    assert objects(memory) == objects(made)


def test_commit__replaces_nothing_of_another_kind(made: Path, memory: str) -> None:
    upload(made, memory)
    with pytest.raises(StoreError, match="holds 'pairs' and would be replaced by 'fends'"):
        hd.Fend(made / "fends.zarr").save(f"{memory}/pairs.zarr")
    write_bytes(f"{memory}/notes.zarr/text", b"mine")
    with pytest.raises(StoreError, match="holds nothing that is known here"):
        hd.Fend(made / "fends.zarr").save(f"{memory}/notes.zarr")


def test_rows__of_a_store_that_was_replaced_are_refused(
    made: Path, files: ToyFiles, memory: str
) -> None:
    upload(made, memory)
    lazy = hd.HiC(f"{memory}/project.zarr", silent=True).heatmap("chr1", binsize=50_000)
    assert lazy["observed"].values.any()
    hd.HiCData(f"{memory}/pairs.zarr", "w", silent=True).load_data_from_raw(
        f"{memory}/fends.zarr", files.raw, 300
    )
    with pytest.raises(StoreError, match="was replaced while it was open"):
        _ = lazy["observed"].values


# Unfinished work


def test_heatmaps__go_on_where_they_were(
    made: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(made, memory)
    place(f"{memory}/maps.zarr").rmdir(recursive=True)
    hic = hd.HiC(f"{memory}/project.zarr", silent=True)
    write, written = heatmap_store.write_cells, []

    def interrupted(path: Any, level: Any, *args: Any, **layers: Any) -> None:
        if level.binsize == BINSIZES[1] and len(written) == 1:
            raise KeyboardInterrupt
        written.append(level.binsize)
        write(path, level, *args, **layers)

    monkeypatch.setattr(heatmap_store, "write_cells", interrupted)
    with dask.config.set(scheduler="sync"):
        with pytest.raises(KeyboardInterrupt):
            hic.write_heatmap(f"{memory}/maps.zarr", BINSIZES)
        with pytest.raises(StoreError, match="no such store"):
            hd.open_heatmaps(f"{memory}/maps.zarr")
        written.append(0)
        hic.write_heatmap(f"{memory}/maps.zarr", BINSIZES)
    assert written == [BINSIZES[0], 0, BINSIZES[1]]
    assert objects(memory) == objects(made)


def test_checkpoint__is_kept_at_a_url(memory: str) -> None:
    checkpoint = Checkpoint(f"{memory}/state.npz", "express")
    assert checkpoint.restore() is None
    checkpoint.save({"values": np.arange(3)})
    found = Checkpoint(f"{memory}/state.npz", "express").restore()
    assert found is not None
    assert found["values"].tolist() == [0, 1, 2]
    checkpoint.remove()
    assert objects(memory) == {}


# Errors


def test_errors__of_a_missing_bucket(made: Path, s3: str) -> None:
    with pytest.raises(StoreError, match="no such store"):
        hd.HiC("s3://no-bucket/project.zarr")
    with pytest.raises(StoreError, match=r"cannot be written.*the bucket must exist"):
        hd.Fend(made / "fends.zarr").save("s3://no-bucket/fends.zarr")


def test_errors__of_missing_credentials(
    made: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs import S3FileSystem

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    S3FileSystem.clear_instance_cache()
    zarr_store._file_system.cache_clear()
    try:
        with pytest.raises(StoreError, match="credentials; the file system takes them from its"):
            hd.HiC(f"{s3}/project.zarr")
        with pytest.raises(StoreError, match=r"cannot be .*also on workers"):
            hd.Fend(made / "fends.zarr").save(f"{s3}/fends.zarr")
    finally:
        S3FileSystem.clear_instance_cache()
        zarr_store._file_system.cache_clear()


@pytest.mark.parametrize("name", ["pipe_file", "cat_file"])
def test_errors__of_a_place_that_is_forbidden(
    made: Path, memory: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise PermissionError("Access Denied")

    upload(made, memory)
    monkeypatch.setattr(MemoryFileSystem, name, forbidden)
    zarr_store._file_system.cache_clear()
    with pytest.raises(StoreError, match=r"access was denied .*check the credentials"):
        hd.Fend(made / "fends.zarr").save(f"{memory}/fends.zarr")
    monkeypatch.undo()
    assert objects(memory) == objects(made)


def test_errors__of_rows_that_are_forbidden(
    made: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise PermissionError("Access Denied")

    upload(made, memory)
    lazy = hd.HiC(f"{memory}/project.zarr", silent=True).heatmap("chr1", binsize=50_000)
    zarr_store._file_system.cache_clear()
    zarr_store._open_arrays.cache_clear()
    zarr_store._open_root.cache_clear()
    monkeypatch.setattr(MemoryFileSystem, "cat_file", forbidden)
    with pytest.raises(StoreError, match=r"access was denied .*check the credentials"):
        _ = lazy["observed"].values


@pytest.mark.parametrize(
    "call",
    [
        lambda made, url: hd.Fend(f"{url}/x.fends", "w"),
        lambda made, url: hd.HiCData(f"{url}/x.hcd"),
        lambda made, url: hd.HiC(f"{url}/x.hcp"),
        lambda made, url: hd.HiC(made / "project.zarr").save(f"{url}/x.hcp"),
        lambda made, url: hd.HiC(made / "project.zarr").write_heatmap(f"{url}/x.hch", 50_000),
        lambda made, url: hd.HiC(made / "project.zarr").write_heatmap(f"{url}/x.cool", 50_000),
        lambda made, url: hd.HiC(made / "project.zarr").write_multiresolution_heatmap(
            f"{url}/x.mrh"
        ),
        lambda made, url: hd.open_mrh(f"{url}/x.mrh"),
        lambda made, url: hd.open_heatmaps(f"{url}/x.hch"),
        lambda made, url: hd.export_project(f"{url}/project.zarr", made),
        lambda made, url: hd.Fend(made / "x.zarr", "w").load_fends(f"{url}/sites.bed"),
        lambda made, url: hd.HiCData(made / "x.zarr", "w").load_data_from_raw(
            made / "fends.zarr", f"{url}/x.raw", 500
        ),
        lambda made, url: hd.HiCData(made / "pairs.zarr").export_to_mat(f"{url}/x.mat"),
    ],
)
def test_errors__of_files_at_urls(made: Path, memory: str, call: Callable[..., Any]) -> None:
    with pytest.raises(StoreError, match=r"only stores called \.zarr can be at a URL"):
        call(made, memory)


# The command line


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["--scheduler", "sync", *map(str, arguments)])


def test_commands__take_urls(made: Path, files: ToyFiles, memory: str, tmp_path: Path) -> None:
    fends, pairs, project, maps = (
        f"{memory}/{name}.zarr" for name in ("fends", "pairs", "project", "maps")
    )
    for arguments in (
        ("fends", "--sites", files.sites, "-o", fends),
        ("pairs", fends, files.raw, "--format", "raw", "-o", pairs),
        ("project", pairs, "--mininteractions", 5, "--numbins", 20, "-o", project),
        ("normalize", "express", project, "--minchange", 0.001),
        ("heatmap", project, "--binsize", "10000,50000", "-o", maps),
        ("query", project, "chr1", "--binsize", 50_000, "-o", f"{memory}/map.zarr"),
        ("query", maps, "chr1", "--binsize", 50_000, "-o", tmp_path / "map.tsv"),
        ("stats", pairs),
        ("combine", pairs, pairs.replace("here", "there"), "-o", f"{memory}/both.zarr"),
    ):
        if arguments[0] == "combine":
            hd.HiCData(pairs).save(str(arguments[2]))
        result = invoke(*arguments)
        assert result.exit_code == 0, result.output
    for store, text in (
        (fends, "Partition"),
        (pairs, "Pairs"),
        (project, "project"),
        (maps, "Maps"),
    ):
        result = invoke("info", store)
        assert result.exit_code == 0, result.output
        assert text in result.output
        assert store in result.output
    assert not [name for name in objects(memory) if name.startswith("/.")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("query", "{url}/none.zarr", "chr1"), "no such store"),
        (("info", "{url}/none.zarr"), "does not exist"),
        (("project", "{url}/pairs.zarr", "-o", "{url}/pairs.zarr"), "is an input of this command"),
        (("project", "{url}/pairs.zarr", "-o", "{url}/fends.zarr"), "would be replaced"),
        (("plot", "{url}/project.zarr", "chr1", "-o", "{url}/x.png"), "is a URL"),
        (("project", "{url}/pairs.zarr", "-o", "/none/here/x.zarr"), "/none/here does not exist"),
        (("run", "--out", "{url}/results"), "is a URL"),
        (("fends", "--sites", "{url}/sites.bed", "-o", "{url}/x.zarr"), "is a URL"),
        (("heatmap", "{url}/project.zarr", "--binsize", "50000", "-o", "{url}/x.cool"), "only sto"),
        (("info", "nowhere://x.zarr"), "knows no file system"),
    ],
)
def test_commands__say_what_is_wrong(
    made: Path, memory: str, arguments: tuple[str, ...], message: str
) -> None:
    upload(made, memory)
    result = invoke(*(each.format(url=memory) for each in arguments))
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert objects(memory) == objects(made)
