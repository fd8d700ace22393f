"""The whole way from inputs to pictures, in one directory."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hifive_dask.cli._facts import facts_of, learned_text, levels_text, ratio_text
from hifive_dask.cli._filter import tell_filter
from hifive_dask.cli._inputs import (
    GenomeInput,
    given,
    learn,
    make_fends,
)
from hifive_dask.cli._maps import check_regions
from hifive_dask.cli._methods import Method
from hifive_dask.cli._reads import count_reads, files_of, warn_of_misfits
from hifive_dask.cli._settings import Settings, stats_rows
from hifive_dask.cli._steps import Steps, file_state
from hifive_dask.errors import StoreError

if TYPE_CHECKING:
    from hifive_dask import Fend, HiC, HiCData
    from hifive_dask.cli._plan import Step

__all__ = ["Pipeline"]

_READS = (
    "format_", "maxinsert", "base", "dedup", "dedup_mismatch", "min_mapq", "ignore_marks",
    "fragment_columns", "basefend",
)  # fmt: skip
_PROJECT = ("mininteractions", "mindistance", "maxdistance", "numbins", "minsize", "maxsize")


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
    method
        How corrections are learned.
    options
        Values of the options of ``hifive-dask run``.
    """

    settings: Settings
    steps: Steps
    out: Path
    source: GenomeInput
    reads: tuple[Path, ...]
    method: Method
    options: dict[str, Any]

    def run(self) -> None:
        """Do what is not done yet, and say where everything is."""
        fend = self._fends()
        self._check(fend)
        data = self._pairs(fend)
        self.settings.table("Read pairs", stats_rows(data.stats))
        hic = self._project(data)
        if self.steps.states["project"] == "already done":
            tell_filter(self.settings, hic)
        pictures = self._pictures(hic, data)
        verdicts = self._report(hic, data)
        self.settings.say(f"{self._state(hic)}.")
        off = levels_text(hic)
        if off:
            self.settings.say(f"Warning: {off}.")
        self.settings.say(f"Stores:   {', '.join(str(s) for s in self._stores())}")
        self.settings.say(f"Summary:  {self.out / 'summary.md'}")
        self.settings.say(f"Pictures: {self.out / 'pictures'} ({', '.join(pictures)})")
        self.settings.say(f"Report:   {self.out / 'report.html'} ({verdicts})")
        warn_of_misfits(data)
        self.settings.document(lambda: self._document(hic, pictures))

    def _check(self, fend: Fend) -> None:
        """Refuse what does not go with the partition, before reads are counted."""
        self.method.check_units(fend.units, self._learning)
        check_regions(fend.units, self.options["region"], self.options["binsize"])

    @property
    def _learning(self) -> dict[str, Any]:
        """Values of the options that the method knows and that a run has."""
        return {name: self.options[name] for name in self.method.options if name in self.options}

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

    def plan(self, kind: str) -> list[Step]:
        """Say what `run` would do; `kind` is the format of the reads."""
        from hifive_dask.cli._amounts import amount_of_reads, number_of_units
        from hifive_dask.cli._plan import (
            plan_fends,
            plan_pairs,
            plan_pictures,
            plan_report,
            plan_uncounted,
        )

        fends, pairs, project = self._stores()
        fend = self.steps.reopened("fends", self._fends_sources(), self._reopen_fends)
        units = number_of_units(self.source) if fend is None else len(fend.units)
        steps = [plan_fends(fends, units, done=fend is not None)]
        data = hic = None
        if fend is not None:
            self._check(fend)
            data = self.steps.reopened("pairs", self._pairs_sources(fend), self._reopen_pairs)
        amount = amount_of_reads(self.reads, kind, self.options)
        mismatch = self.options["dedup_mismatch"]
        steps.append(plan_pairs(pairs, amount, units, mismatch=mismatch, done=data is not None))
        if data is not None:
            hic = self.steps.reopened("project", self._project_sources(data), self._reopen_project)
        rows = amount.reads if data is None else len(data.store)
        learning = (self.method, self._learning)
        steps.append(plan_uncounted(project, rows, units, *learning, done=hic is not None))
        drawn = told = None
        if data is not None and hic is not None:
            sources = self._pictures_sources(data)
            drawn = self.steps.reopened("pictures", sources, self._reopen_pictures)
            told = self.steps.reopened("report", self._report_sources(data), self._reopen_report)
        return [
            *steps,
            plan_pictures(self.out / "pictures", rows, done=drawn is not None),
            plan_report(self.out / "report.html", rows, done=told is not None),
        ]

    def _fends_sources(self) -> dict[str, Any]:
        source = self.source
        return {
            "files": [file_state(file) for file in source.files],
            "options": [
                source.kind,
                source.binned,
                source.genome,
                source.enzyme,
                source.digest,
                source.order,
            ],
        }

    def _pairs_sources(self, fend: Fend) -> dict[str, Any]:
        return {
            "files": [file_state(read) for read in self.reads],
            "mates": [[file_state(read) for read in pair] for pair in self.options["mates"]],
            "options": given(self.options, *_READS),
            "fends": fend.token,
        }

    def _project_sources(self, data: HiCData) -> dict[str, Any]:
        return {
            "pairs": data.token,
            "options": given(self.options, *_PROJECT),
            "method": [self.method.name, self._learning],
        }

    def _named_sources(self) -> dict[str, Any]:
        """What pictures, summary and report name, or draw against, and no pair depends on."""
        reads = [os.fspath(path) for path in files_of(self.reads, self.options)]
        return {"genome": self._fends_sources(), "reads": reads}

    def _reopen_fends(self) -> Fend:
        from hifive_dask import Fend

        return Fend(self.out / "fends.zarr", "r", silent=True)

    def _reopen_pairs(self) -> HiCData:
        from hifive_dask import HiCData

        return HiCData(self.out / "pairs.zarr", "r", silent=self.settings.quiet)

    def _reopen_project(self) -> HiC:
        from hifive_dask import HiC

        return HiC(self.out / "project.zarr", "r", silent=self.settings.quiet)

    def _fends(self) -> Fend:
        path, source = self.out / "fends.zarr", self.source
        return self.steps.do(
            "fends",
            self._fends_sources(),
            lambda: make_fends(path, source, silent=self.settings.quiet),
            self._reopen_fends,
        )

    def _pairs(self, fend: Fend) -> HiCData:
        path, silent = self.out / "pairs.zarr", self.settings.quiet
        return self.steps.do(
            "pairs",
            self._pairs_sources(fend),
            lambda: count_reads(path, Path(fend.file), self.reads, self.options, silent=silent),
            self._reopen_pairs,
        )

    def _project(self, data: HiCData) -> HiC:
        from hifive_dask import HiC

        path, silent = self.out / "project.zarr", self.settings.quiet

        def make() -> HiC:
            hic = HiC(path, "w", silent=silent)
            hic.load_data(data.file)
            learn(self.settings, hic, self.options, strict=True)
            self.method.learn(hic, self._learning, path.with_name(f"{path.name}.checkpoint.npz"))
            hic.save()
            return hic

        return self.steps.do("project", self._project_sources(data), make, self._reopen_project)

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

        return self.steps.do("pictures", self._pictures_sources(data), make, self._reopen_pictures)

    def _pictures_sources(self, data: HiCData) -> dict[str, Any]:
        drawn = given(self.options, "region", "binsize")
        return {**self._project_sources(data), "drawn": drawn, **self._named_sources()}

    def _reopen_pictures(self) -> list[str]:
        paths = [self.out / "summary.md"]
        paths += [self.out / "pictures" / name for name in self.steps.pictures]
        missing = [str(path) for path in paths if not path.exists()]
        if missing:
            raise StoreError(f"missing: {', '.join(missing)}")
        return self.steps.pictures

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

        return self.steps.do(
            "report",
            self._report_sources(data),
            make,
            self._reopen_report,
        )

    def _report_sources(self, data: HiCData) -> dict[str, Any]:
        drawn = given(self.options, "region")
        return {**self._project_sources(data), "drawn": drawn, **self._named_sources()}

    def _reopen_report(self) -> str:
        from hifive_dask.cli.report import verdict_line

        page, numbers = self.out / "report.html", self.out / "report.json"
        try:
            if page.exists():
                return verdict_line(json.loads(numbers.read_text("utf-8")))
        except (OSError, ValueError, KeyError):
            pass
        raise StoreError(f"{page} or {numbers} is missing")

    def _state(self, hic: HiC) -> str:
        kind = "fends" if hic.units.fends else "bins"
        in_use = f"{int(hic.filter.sum()):,} of {len(hic.filter):,} {kind} in use"
        return f"{in_use}; {learned_text(hic)}; observed over expected {ratio_text(hic)}"

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
