"""Filter and Express against reference results."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import numpy as np
import pytest

from hifive_dask._store.fends import read_partition
from hifive_dask._store.pairs_hdf5 import open_hcd
from hifive_dask.errors import ConvergenceError
from hifive_dask.genome.dataset import from_dataset
from hifive_dask.genome.partition import Units
from hifive_dask.model.distance import fit_distance
from hifive_dask.model.express import ExpressResult, Method, balance
from hifive_dask.model.factors import BinningModel
from hifive_dask.model.filtering import filter_units

pytestmark = pytest.mark.golden


@pytest.fixture(autouse=True)
def _sync() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


class World:
    """A reference case: units, pairs, calls, expected quantities."""

    def __init__(self, folder: Path, fends: str, pairs: str) -> None:
        self.folder = folder
        dataset, _, _ = read_partition(folder / fends)
        self.units: Units = from_dataset(dataset).units
        self.store = open_hcd(folder / pairs, self.units.offset)


@pytest.fixture(scope="module")
def sim(shared: Path) -> World:
    return World(shared / "golden/sim-small", "hifive/sim.fends", "hifive/sim.hcd")


@pytest.fixture(scope="module")
def calls(shared: Path) -> dict[str, Any]:
    text = (shared / "golden/sim-small/calls.json").read_text()
    result: dict[str, Any] = json.loads(text)
    return result


@pytest.fixture(scope="module")
def case(shared: Path, compare: ModuleType) -> Any:
    return compare.load_case(str(shared / "golden/sim-small"))


def test_sim_small__filters(
    sim: World, calls: dict[str, Any], case: Any, compare: ModuleType
) -> None:
    ones = np.ones(len(sim.units), dtype=np.int32)
    base = _filter(sim, ones, calls["base_filter"])
    results = {
        f"filter/{name}.{key}": _filter(sim, start, options)
        for start, name in ((ones, "from_all"), (base, "after_base"))
        for key, options in calls["filters"].items()
    }
    results["filter/base"] = base
    trans8 = {"mininteractions": 8, "usereads": "trans"}
    results["filter/after_base.trans8"] = _filter(sim, base, trans8)
    assert compare.compare(case, results, only="filter/", require_all=True)


def _filter(world: World, valid: Any, options: dict[str, Any]) -> Any:
    defaults = {"mininteractions": 10, "mindistance": 0, "maxdistance": 0, "usereads": "cis"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return filter_units(world.units, valid, world.store, **{**defaults, **options})


def express(
    world: World,
    valid: Any,
    tables: Any,
    options: dict[str, Any],
    *,
    start: Any = None,
    means: Any = None,
    base: int = 10,
    method: Method = "plain",
    binning: BinningModel | None = None,
) -> ExpressResult:
    """Call `balance` with the documented defaults."""
    units = world.units
    options = dict(options)
    chroms = units.select(options.pop("chroms", None))
    removes = options.pop("remove_distance", True) and options.get("usereads") != "trans"
    binary = options.get("binary", False)
    arguments = {
        "iterations": 100,
        "max_iterations": 1000,
        "minchange": 1e-4,
        "mindistance": 0,
        "maxdistance": 0,
        "usereads": "cis",
        "binary": False,
        **options,
    }
    arguments["mininteractions"] = arguments.get("mininteractions") or base
    means = np.zeros(len(units.chromosomes), dtype=np.float32) if means is None else means
    start = np.ones(len(units), dtype=np.float32) if start is None else start
    return balance(
        units,
        valid,
        world.store,
        start,
        **arguments,
        distance=(tables[int(binary)], means) if removes else None,
        chroms=chroms,
        method=method,
        binning=binning,
        silent=True,
    )


def _agrees(compare: ModuleType, case: Any, name: str, result: ExpressResult) -> bool:
    """Compare what is known of an entry, such as ``express/cis``."""
    values = {
        "corrections": result.corrections,
        "chromosome_means": result.chromosome_means,
        "possible_interactions": result.possible,
        "filter_used": result.valid,
        "trace": result.trace,
    }
    results = {
        f"{name}.{key}": found
        for key, found in values.items()
        if f"{name}.{key}" in case and found is not None
    }
    assert f"{name}.corrections" in results
    agrees: bool = compare.compare(case, results, only=f"{name}.")
    return agrees


EXPRESS = [
    "cis", "cis_stop1", "cis_stop25", "cis_raw", "cis_binary", "cis_raw_binary",
    "cis_maxdistance", "cis_window", "trans", "trans_binary", "all", "all_raw", "all_binary",
    "chroms", "all_chroms",
]  # fmt: skip


@pytest.mark.parametrize("name", EXPRESS)
def test_sim_small__express(
    sim: World, calls: dict[str, Any], case: Any, compare: ModuleType, name: str
) -> None:
    ones = np.ones(len(sim.units), dtype=np.int32)
    valid = _filter(sim, ones, calls["base_filter"])
    tables = [case[f"distance/base.{part}distance_parameters"][0] for part in ("", "bin_")]
    assert _agrees(
        compare, case, f"express/{name}", express(sim, valid, tables, calls["express"][name])
    )


@pytest.fixture(scope="module")
def base(sim: World, calls: dict[str, Any], case: Any) -> Any:
    """Filter and distance tables that the reference calls start from."""
    ones = np.ones(len(sim.units), dtype=np.int32)
    tables = [case[f"distance/base.{part}distance_parameters"][0] for part in ("", "bin_")]
    return _filter(sim, ones, calls["base_filter"]), tables


@pytest.mark.parametrize("name", EXPRESS)
def test_sim_small__accelerated_express_goes_to_the_end_of_the_plain_iteration(
    sim: World, calls: dict[str, Any], base: Any, name: str
) -> None:
    options = {**calls["express"][name], "minchange": 1e-10, "iterations": 1}
    fast = express(sim, *base, options, method="accelerated")
    plain = express(sim, *base, {**options, "max_iterations": 5000})
    assert fast.converged
    assert len(fast.trace) < len(plain.trace) / 2
    np.testing.assert_allclose(fast.corrections, plain.corrections, rtol=1e-6)
    if plain.chromosome_means is not None:
        np.testing.assert_allclose(fast.chromosome_means, plain.chromosome_means, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["cis", "cis_raw", "cis_binary", "cis_maxdistance", "all", "all_raw"]
)
def test_sim_small__knight_ruiz(
    sim: World, calls: dict[str, Any], case: Any, base: Any, compare: ModuleType, name: str
) -> None:
    result = express(sim, *base, calls["kr"][name], method="knight-ruiz")
    assert _agrees(compare, case, f"knight_ruiz/{name}", result)


def test_sim_small__knight_ruiz_of_trans_reads_is_refused(
    sim: World, calls: dict[str, Any], base: Any
) -> None:
    with pytest.raises(
        ConvergenceError, match=r"(fends|bins) with pairs are on chr1, more than half"
    ):
        express(sim, *base, calls["kr"]["trans"], method="knight-ruiz")


@pytest.mark.parametrize(
    ("name", "options", "method"),
    [
        ("binning-express", {}, "plain"),
        ("after_binning.express_all", {"usereads": "all"}, "plain"),
        ("after_binning.express_raw", {"remove_distance": False}, "plain"),
        ("after_binning.kr", {"minchange": 1e-6}, "knight-ruiz"),
    ],
)
def test_sim_small__chained(
    sim: World, case: Any, base: Any, compare: ModuleType, name: str, options: Any, method: Method
) -> None:
    result = express(sim, *base, options, method=method, binning=_binning(case))
    assert _agrees(compare, case, f"chained/{name}", result)


def _binning(case: Any) -> BinningModel:
    parts = {
        name: case[f"binning/gc_len_distance.{name}"][0]
        for name in (
            "model_parameters", "binning_num_bins", "binning_correction_indices",
            "binning_corrections", "binning_fend_indices",
        )
    }  # fmt: skip
    names, num_bins, offset, corrections, indices = parts.values()
    return BinningModel(
        tuple(names.tolist()),
        num_bins.astype(np.int32),
        offset.astype(np.int32),
        corrections,
        indices.astype(np.int32),
    )


def test_hifive__bin_express_is_reproduced(shared: Path) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    world = World(folder, "test_bin.fends", "test_bin.hcd")
    with h5py.File(folder / "test_bin_express.hcp") as file:
        valid, theirs = file["filter"][...], file["corrections"][...]
    result = express(
        world,
        valid,
        [None, None],
        {"iterations": 1, "mindistance": 20000, "remove_distance": False, "mininteractions": 1},
    )
    assert len(result.trace) == 23
    used = valid > 0
    np.testing.assert_allclose(result.corrections[used], theirs[used], rtol=1e-6)
    assert not result.corrections[~used].any()


def test_hifive__filters(shared: Path) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    for name, kept in (("test", 390), ("test_bin", 68)):
        world = World(folder, f"{name}.fends", f"{name}.hcd")
        ones = np.ones(len(world.units), dtype=np.int32)
        valid = _filter(world, ones, {"mininteractions": 10, "mindistance": 20000})
        assert valid.sum() == kept
        with h5py.File(folder / f"{name}.hcp") as file:
            np.testing.assert_array_equal(valid, file["filter"][...])


def test_hifive__express_differs_as_documented(shared: Path) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    world = World(folder, "test.fends", "test.hcd")
    with h5py.File(folder / "test_express.hcp") as file:
        valid, theirs = file["filter"][...], file["corrections"][...]
    options = {"iterations": 1, "mindistance": 20000, "remove_distance": False}
    result = express(world, valid, [None, None], {**options, "mininteractions": 1})
    assert len(result.trace) == 24
    assert result.possible[4] == 174  # 175 in the reference
    used = valid > 0
    np.testing.assert_allclose(result.corrections[used], theirs[used], rtol=7e-3)


def test_error_policy__raises(sim: World, calls: dict[str, Any]) -> None:
    valid = _filter(sim, np.ones(len(sim.units), dtype=np.int32), calls["base_filter"])
    options = {"remove_distance": False, "iterations": 1, "max_iterations": 2}
    with pytest.raises(ConvergenceError, match="not converged after 2 iterations"):
        express(sim, valid, [None, None], {**options, "on_nonconvergence": "error"})


@pytest.mark.parametrize("name", ["base", "default_maxsize", "coarse", "corrected"])
def test_sim_small__distance(
    sim: World, calls: dict[str, Any], case: Any, compare: ModuleType, name: str
) -> None:
    valid = case["filter/base"][0]
    options = calls["distance"] if name in ("base", "corrected") else calls["distance_more"][name]
    options = {"numbins": 90, "minsize": 200, "maxsize": 0, **options}
    corrections = case["express/cis.corrections"][0] if name == "corrected" else None
    model = fit_distance(sim.units, valid, sim.store, **options, corrections=corrections)
    results = {
        f"distance/{name}.{key}": getattr(model, attribute)
        for key, attribute in {
            "distance_parameters": "parameters",
            "bin_distance_parameters": "binary_parameters",
            "edges": "edges",
            "possible": "possible",
            "observed": "observed",
            "signal": "signal",
        }.items()
    }
    kept = model.signal > 0
    results[f"distance/{name}.mean_log_distance"] = model.mean_log_distance[kept]
    assert compare.compare(case, results, only=f"distance/{name}.", require_all=True)


@pytest.mark.parametrize("name", ["test", "test_bin"])
def test_hifive__distance_tables_are_reproduced(shared: Path, name: str) -> None:
    import h5py

    folder = shared / "golden/hifive-tests"
    world = World(folder, f"{name}.fends", f"{name}.hcd")
    with h5py.File(folder / f"{name}.hcp") as file:
        valid = file["filter"][...]
        tables = [file[f"{part}distance_parameters"][...] for part in ("", "bin_")]
    model = fit_distance(world.units, valid, world.store, numbins=5, minsize=30000, maxsize=0)
    for ours, theirs in zip((model.parameters, model.binary_parameters), tables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
