"""Registers the accessor of maps as soon as xarray is there, without importing it."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

__all__ = ["register_accessor"]

_ACCESSOR = "hifive_dask.accessor"


def register_accessor() -> None:
    """Register it now if xarray was imported, else when that happens."""
    if "xarray" in sys.modules:
        import_module(_ACCESSOR)
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Steps aside after xarray was found, whose loader then goes on with the accessor."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != "xarray":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def and_register(module: Any) -> None:
                execute(module)
                import_module(_ACCESSOR)

            spec.loader.exec_module = and_register  # type: ignore[method-assign]
        return spec
