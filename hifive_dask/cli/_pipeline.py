"""The whole way from inputs to pictures, in one directory."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hifive_dask.cli._facts import facts_of
from hifive_dask.cli._inputs import (
    GenomeInput,
    given,
    learn,
    make_fends,
)
from hifive_dask.cli._maps import check_region
from hifive_dask.cli._reads import count_reads, files_of
from hifive_dask.cli._settings import Settings, stats_rows
from hifive_dask.cli._steps import Steps, file_state
from hifive_dask.errors import StoreError

if TYPE_CHECKING:
    from hifive_dask import Fend, HiC, HiCData

__all__ = ["Pipeline"]

_READS = ("format_", "maxinsert", "base", "dedup", "min_mapq", "fragment_columns", "basefend")
_PROJECT = (
    "mininteractions", "mindistance", "maxdistance", "numbins", "minsize", "maxsize",
    "iterations", "max_iterations", "minchange", "usereads",
)  # fmt: skip


@dataclass(frozen=True)
class Pipeline:
    """Fends, pairs, project, pictures, summary and report in a directory.

    Parameters
    ----------
    settings
        Options of the group.
    steps
        What was done before.
    out
        The directory.
    source, reads
        Input files.
    options
        Values of the options of ``hifive-dask run``.
    """

    settings: Settings
    steps: Steps
    out: Path
    source: GenomeInput
    reads: tuple[Path, ...]
    options: dict[str, Any]

    def run(self) -> None:
        """Do what is not done yet, and say where everything is."""
        fend = self._fends()
        for region in self.options["region"]:
            check_region(fend.units, region, self.options["binsize"])
        data = self._pairs(fend)
        self.settings.table("Read pairs", stats_rows(data.stats))
        hic = self._project(data)
        pictures = self._pictures(hic, data)
        verdicts = self._report(hic, data)
        self.settings.say(f"{self._state(hic)}.")
        self.settings.say(f"Stores:   {', '.join(str(s) for s in self._stores())}")
        self.settings.say(f"Summary:  {self.out / 'summary.md'}")
        self.settings.say(f"Pictures: {self.out / 'pictures'} ({', '.join(pictures)})")
        self.settings.say(f"Report:   {self.out / 'report.html'} ({verdicts})")
        self.settings.document(lambda: self._document(hic, pictures))

    def _document(self, hic: HiC, pictures: list[str]) -> dict[str, Any]:
        return {
            "type": "run",
            "directory": os.path.abspath(self.out),
            "steps": self.steps.states,
            "pictures": pictures,
            "project": facts_of(hic),
        }

    def _stores(self) -> list[Path]:
        return [self.out / f"{name}.zarr" for name in ("fends", "pairs", "project")]

    def _fends(self) -> Fend:
        from hifive_dask import Fend

        path, source = self.out / "fends.zarr", self.source
        return self.steps.do(
            "fends",
            {
                "files": [file_state(file) for file in source.files],
                "options": [
                    source.kind,
                    source.binned,
                    source.genome,
                    source.enzyme,
                    source.digest,
                ],
            },
            lambda: make_fends(path, source, silent=self.settings.quiet),
            lambda: Fend(path, "r", silent=True),
        )

    def _pairs(self, fend: Fend) -> HiCData:
        from hifive_dask import HiCData

        path, silent = self.out / "pairs.zarr", self.settings.quiet
        return self.steps.do(
            "pairs",
            {
                "files": [file_state(read) for read in self.reads],
                "mates": [[file_state(read) for read in pair] for pair in self.options["mates"]],
                "options": given(self.options, *_READS),
                "fends": fend.token,
            },
            lambda: count_reads(path, Path(fend.file), self.reads, self.options, silent=silent),
            lambda: HiCData(path, "r", silent=silent),
        )

    def _project(self, data: HiCData) -> HiC:
        from hifive_dask import HiC

        path, silent = self.out / "project.zarr", self.settings.quiet

        def make() -> HiC:
            hic = HiC(path, "w", silent=silent)
            hic.load_data(data.file)
            learn(hic, self.options)
            hic.find_express_fend_corrections(
                remove_distance=self.options["usereads"] != "trans",
                **given(self.options, "iterations", "usereads", "minchange", "max_iterations"),
            )
            hic.save()
            return hic

        return self.steps.do(
            "project",
            {"pairs": data.token, "options": given(self.options, *_PROJECT)},
            make,
            lambda: HiC(path, "r", silent=silent),
        )

    def _pictures(self, hic: HiC, data: HiCData) -> list[str]:
        from hifive_dask.cli._pictures import draw_project

        folder, summary = self.out / "pictures", self.out / "summary.md"

        def make() -> list[str]:
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".pictures-", dir=self.out) as directory:
                beside = Path(directory)
                drawn = draw_project(hic, beside, self.options["region"], self.options["binsize"])
                (beside / summary.name).write_text(self._summary(hic, data, drawn))
                former = [name for name in self.steps.pictures if name not in drawn]
                # A run that stops from here on leaves no picture that the next one does not know.
                self.steps.remember_pictures([*former, *drawn])
                for name in drawn:
                    os.replace(beside / name, folder / name)
                os.replace(beside / summary.name, summary)
            for name in former:
                (folder / name).unlink(missing_ok=True)
            self.steps.remember_pictures(drawn)
            return self.steps.pictures

        def reopen() -> list[str]:
            paths = [summary, *(folder / name for name in self.steps.pictures)]
            missing = [str(path) for path in paths if not path.exists()]
            if missing:
                raise StoreError(f"missing: {', '.join(missing)}")
            return self.steps.pictures

        return self.steps.do(
            "pictures",
            {
                "pairs": data.token,
                "options": given(self.options, *_PROJECT, "region", "binsize"),
            },
            make,
            reopen,
        )

    def _report(self, hic: HiC, data: HiCData) -> str:
        """Write the quality report, and return its verdicts in a line."""
        from hifive_dask import write_report
        from hifive_dask.cli.report import verdict_line

        page, numbers = self.out / "report.html", self.out / "report.json"
        # Bins are chosen to suit the page. That of the genome is there in any case.
        regions = [
            region
            for region in self.options["region"]
            if region != "all" or region in hic.units.index
        ]

        def make() -> str:
            title = self.out.absolute().name
            return verdict_line(write_report(hic, page, json=numbers, regions=regions, title=title))

        def reopen() -> str:
            try:
                if page.exists():
                    return verdict_line(json.loads(numbers.read_text("utf-8")))
            except (OSError, ValueError, KeyError):
                pass
            raise StoreError(f"{page} or {numbers} is missing")

        return self.steps.do(
            "report",
            {"pairs": data.token, "options": given(self.options, *_PROJECT, "region")},
            make,
            reopen,
        )

    def _state(self, hic: HiC) -> str:
        iterations = 0 if hic.trace is None else len(hic.trace)
        change = float("nan") if hic.trace is None else float(hic.trace[-1, 1])
        verdict = "converged" if change < self.options["minchange"] else "did not converge"
        return (
            f"{int(hic.filter.sum()):,} of {len(hic.filter):,} units in use; Express {verdict} in "
            f"{iterations} iterations, last change {change:.2g}"
        )

    def _summary(self, hic: HiC, data: HiCData, drawn: dict[str, str]) -> str:
        from hifive_dask.reads.text import name_of

        rows = [f"| {' | '.join(row)} |" for row in stats_rows(data.stats)]
        reads = ", ".join(map(name_of, files_of(self.reads, self.options)))
        return "\n".join(
            [
                "# Hi-C run",
                "",
                f"Genome from `{self.source.path.name}`, reads from {reads}.",
                f"{self._state(hic)}.",
                "",
                "| read pairs | number | of all |",
                "|---|--:|--:|",
                *rows,
                "",
                "## Pictures",
                "",
                *(f"![{caption}](pictures/{name})\n\n{caption}\n" for name, caption in
                  drawn.items()),
                "## History",
                "",
                "```text",
                hic.history.rstrip(),
                "```",
                "",
            ]
        )  # fmt: skip
