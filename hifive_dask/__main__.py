"""``python -m hifive_dask``: the command line."""

from hifive_dask.cli import main

main(prog_name="hifive-dask")
