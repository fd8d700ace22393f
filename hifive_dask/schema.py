"""The single list of everything that is stored: name, dimensions, type, unit, meaning.

Writers take dtypes, dimension names and attributes from here, readers verify against it, and the
format page of the documentation is generated from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = [
    "FENDS",
    "HEATMAPS",
    "MARKED",
    "PAIRS",
    "PROJECT",
    "STATISTICS",
    "STORES",
    "StoreSchema",
    "Variable",
]

# The read statistics of a pair store: those that HiFive documents, in its order, and those of reads
# that the files themselves mark. Stores of before lack the latter, files of HiFive have no place
# for them: there they stand behind all others, and only if they are not 0.
STATISTICS = (
    "total_reads",
    "chr_not_in_fends",
    "pcr_duplicates",
    "out_of_bounds",
    "insert_size",
    "same_fragment",
    "failed_cut",
    "valid_cis_reads",
    "valid_trans_reads",
    "valid_cis_pairs",
    "valid_trans_pairs",
)
MARKED = ("unmapped_reads", "multimapped_reads", "walk_reads", "marked_duplicates")


@dataclass(frozen=True)
class Variable:
    """One stored array.

    Parameters
    ----------
    name
        Name of the array; in a group its path, such as ``filter/valid``. ``<feature>``, ``<name>``
        and ``<binsize>`` stand for what differs from store to store.
    dims
        Dimension names, one per axis; ``...`` for any.
    dtype
        Numpy dtype, ``"str"`` for variable-length text, or empty for any.
    units
        Unit of the values: ``bp``, ``reads``, ``ln(bp)``, or ``1``.
    description
        One sentence.
    optional
        Whether a complete store may lack it.
    other_dtypes
        Dtypes that are kept as they are instead of being converted to `dtype`.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    units: str
    description: str
    optional: bool = False
    other_dtypes: tuple[str, ...] = ()

    def dtype_for(self, given: str) -> str:
        """The dtype that values of a given one are stored with."""
        return given if given in self.other_dtypes else self.dtype


@dataclass(frozen=True)
class StoreSchema:
    """One kind of store: its type name, layout version and variables."""

    type: str
    version: int
    description: str
    variables: tuple[Variable, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Variable]:
        return iter(self.variables)

    def __getitem__(self, name: str) -> Variable:
        """Return the variable of this name; feature columns match their pattern."""
        for variable in self.variables:
            head, mark, tail = variable.name.partition("<")
            if variable.name == name:
                return variable
            if mark and name.startswith(head) and name.endswith(tail.partition(">")[2]):
                return variable
        raise KeyError(f"{name!r} is not a variable of {self.type} stores")


_UNIT = "Global index; the units of a chromosome are consecutive."
_FEATURE = "float32 if it was made with the partition, float64 if it was added later."

FENDS = StoreSchema(
    "fends",
    1,
    "Genome partition: restriction-fragment ends (fends), genome bins, or both.",
    (
        Variable("chromosome", ("chromosome",), "str", "1", "Chromosome names in genome order."),
        Variable(
            "chromosome_length",
            ("chromosome",),
            "int64",
            "bp",
            "Length of each chromosome; 0 where it is not known.",
            optional=True,
        ),
        Variable(
            "chromosome_offset",
            ("chromosome_edge",),
            "int64",
            "1",
            "First fend of each chromosome, then the number of fends.",
            optional=True,
        ),
        Variable("fend_start", ("fend",), "int32", "bp", "Start of the fend, 0-based.", True),
        Variable("fend_stop", ("fend",), "int32", "bp", "End of the fend, exclusive.", True),
        Variable("fend_mid", ("fend",), "int32", "bp", "(start + stop) // 2.", True),
        Variable(
            "fend_<feature>",
            ("fend",),
            "float32",
            "1",
            f"A feature of the fends; {_FEATURE}",
            optional=True,
            other_dtypes=("float64",),
        ),
        Variable(
            "chromosome_bin_offset",
            ("chromosome_edge",),
            "int64",
            "1",
            "First bin of each chromosome, then the number of bins.",
            optional=True,
        ),
        Variable("bin_start", ("bin",), "int32", "bp", "Start of the bin, 0-based.", True),
        Variable("bin_stop", ("bin",), "int32", "bp", "End of the bin, exclusive.", True),
        Variable("bin_mid", ("bin",), "int32", "bp", "(start + stop) // 2.", True),
        Variable(
            "bin_num_fends", ("bin",), "int32", "1", "Fends whose midpoint lies in the bin.", True
        ),
        Variable(
            "bin_<feature>",
            ("bin",),
            "float32",
            "1",
            f"A feature of the bins; {_FEATURE}",
            optional=True,
            other_dtypes=("float64",),
        ),
    ),
    {
        "genome_name": "Name of the genome; empty when not given.",
        "re_name": "Name of the restriction enzyme; empty when not given.",
        "binned": "Bin size in bp; 0 for bins of arbitrary size; absent without bins.",
        "fend_features, bin_features": "Names of the features, in the order of their columns.",
        "<feature>_window": "Bases at the ends of a unit that the feature is a mean over, in bp.",
    },
)

PAIRS = StoreSchema(
    "pairs",
    1,
    "Counted pairs of fends (or bins), sorted by (chromosome1, chromosome2, fend1, fend2).",
    (
        Variable("fend1", ("pair",), "int32", "1", "First unit of the pair. " + _UNIT),
        Variable("fend2", ("pair",), "int32", "1", "Second unit of the pair, >= the first."),
        Variable("count", ("pair",), "int32", "reads", "Reads that support the pair."),
        Variable("block_chrom1", ("block",), "int32", "1", "First chromosome of the block."),
        Variable("block_chrom2", ("block",), "int32", "1", "Second chromosome of the block."),
        Variable(
            "block_offset", ("block_edge",), "int64", "1", "First row of each block, then the end."
        ),
        Variable(
            "tile_first_fend1",
            ("tile",),
            "int32",
            "1",
            "Zone map: fend1 in the first row of each inner chunk.",
        ),
        Variable("stat_name", ("stat",), "str", "1", "Names of the read statistics."),
        Variable("stat_count", ("stat",), "int64", "reads", "The read statistics."),
        Variable(
            "insert_size_edge",
            ("insert_size",),
            "int64",
            "bp",
            "Lower edge of each row of the insert-size histogram.",
        ),
        Variable(
            "insert_size_count",
            ("insert_size",),
            "int64",
            "1",
            "Distinct read pairs per row of the insert-size histogram.",
        ),
        Variable(
            "end_place",
            ("end_place",),
            "int64",
            "bp",
            "Place of 5' ends relative to the nearest cut; negative before it on the chromosome.",
            optional=True,
        ),
        Variable(
            "end_count",
            ("strand", "end_place"),
            "int64",
            "1",
            "5' ends of distinct read pairs at each place, on the plus and on the minus strand.",
            optional=True,
        ),
    ),
    {
        "fends": "Link to the partition: relative path and token.",
        "maxinsert": "Largest accepted sum of the two distances to the cut sites, in bp; or none; "
        "or a list, if replicates with different ones were combined.",
        "sources": "Files that were read.",
        "hifive": "Attributes of the HiFive file they came from that have no use here.",
    },
)

PROJECT = StoreSchema(
    "project",
    1,
    "What was learned from the pairs: filter, distance model, corrections.",
    (
        Variable("filter/valid", ("fend",), "int32", "1", "1 for units in use, else 0."),
        Variable(
            "distance/parameters",
            ("segment", "parameter"),
            "float32",
            "1",
            "Upper cutoff in ln(bp), slope, intercept of ln(reads per possible pair).",
            optional=True,
        ),
        Variable(
            "distance/binary_parameters",
            ("segment_binary", "parameter"),
            "float32",
            "1",
            "The same for the fraction of possible pairs that were observed.",
            optional=True,
        ),
        Variable(
            "distance/chromosome_means",
            ("chromosome",),
            "float32",
            "1",
            "Natural log of the mean of each chromosome relative to the distance model.",
            optional=True,
        ),
        Variable(
            "distance/possible",
            ("distance_bin",),
            "float64",
            "1",
            "Possible pairs per distance bin that was kept.",
            True,
        ),
        Variable(
            "distance/observed",
            ("distance_bin",),
            "float64",
            "1",
            "Observed pairs per distance bin.",
            True,
        ),
        Variable(
            "distance/signal",
            ("distance_bin",),
            "float64",
            "reads",
            "Reads per distance bin, divided by corrections if asked for.",
            True,
        ),
        Variable(
            "distance/mean_log_distance",
            ("distance_bin",),
            "float64",
            "ln(bp)",
            "Mean ln(distance) of the possible pairs per distance bin.",
            True,
        ),
        Variable(
            "distance/edges",
            ("distance_bin",),
            "float32",
            "ln(bp)",
            "Upper edge of each distance bin.",
            True,
        ),
        Variable(
            "distance/trans_means",
            ("chromosome_pair",),
            "float64",
            "reads",
            "Mean reads per possible pair of every two chromosomes, or, if calibrated, reads over "
            "the sum of what is expected: (0, 1), (0, 2), ...",
            True,
        ),
        Variable(
            "binning/model_parameters",
            ("model_feature",),
            "str",
            "1",
            "Features of the binning model.",
            True,
        ),
        Variable(
            "binning/num_bins", ("model_feature",), "int32", "1", "Bins of each feature.", True
        ),
        Variable(
            "binning/fend_indices",
            ("fend", "model_feature", "row_or_column"),
            "int32",
            "1",
            "Feature bin of each unit, and what it adds to the index of a correction.",
            True,
        ),
        Variable(
            "binning/corrections",
            ("feature_bin_pair",),
            "float32",
            "1",
            "Correction of every two bins of a feature: the upper triangles, one after the other.",
            True,
        ),
        Variable(
            "binning/correction_indices",
            ("model_feature_edge",),
            "int32",
            "1",
            "First correction of each feature, then the number of corrections.",
            True,
        ),
        Variable(
            "corrections/<name>/values",
            ("fend",),
            "float32",
            "1",
            "Multiplicative correction of each unit; 0 where the unit is not in use.",
            optional=True,
        ),
        Variable(
            "corrections/<name>/observed_reads",
            ("chromosome",),
            "int64",
            "reads",
            "Cis reads of the units in use of each chromosome.",
            optional=True,
        ),
        Variable(
            "corrections/<name>/expected_reads",
            ("chromosome",),
            "float64",
            "reads",
            "Reads that are expected of all their possible pairs.",
            optional=True,
        ),
        Variable(
            "corrections/<name>/scales",
            ("chromosome",),
            "float64",
            "1",
            "Factors with which the corrections of all chromosomes balance as one matrix.",
            optional=True,
        ),
        Variable(
            "corrections/<name>/trace_cost",
            ("iteration",),
            "float64",
            "1",
            "Cost before each update, or, with accelerate or kr, after each product.",
            optional=True,
        ),
        Variable(
            "corrections/<name>/trace_change",
            ("iteration",),
            "float64",
            "1",
            "Largest relative change of each update, or of a plain one after each product.",
            optional=True,
        ),
        Variable(
            "hifive/<name>",
            ("...",),
            "",
            "1",
            "An array of the HiFive file it came from that is not known here.",
            True,
        ),
    ),
    {
        "pairs": "Link to the pair store: relative path and token.",
        "fends": "Link to the partition: relative path and token.",
        "normalization": "none, express, ...: what `corrections` holds.",
        "calibrated": "true if it calibrated levels; absent if not.",
        "hifive": "Attributes of the HiFive file it came from that have no use here.",
    },
)

_NOT_STORED = "at the fill value: not stored."

HEATMAPS = StoreSchema(
    "heatmaps",
    1,
    "The map of a whole genome at one or several bin sizes.",
    (
        Variable("chromosome", ("chromosome",), "str", "1", "Chromosome names, in order of bins."),
        Variable(
            "chromosome_length",
            ("chromosome",),
            "int64",
            "bp",
            "Length of each chromosome; up to its last fend or bin where it is not known.",
            optional=True,
        ),
        Variable(
            "r<binsize>/bin_chromosome",
            ("bin",),
            "int32",
            "1",
            "Chromosome of each bin, an index into `chromosome`; not decreasing.",
            optional=True,
        ),
        Variable("r<binsize>/bin_start", ("bin",), "int64", "bp", "Start of the bin.", True),
        Variable(
            "r<binsize>/bin_stop", ("bin",), "int64", "bp", "End of the bin, exclusive.", True
        ),
        Variable(
            "r<binsize>/observed",
            ("bin1", "bin2"),
            "int32",
            "reads",
            "Observed reads, with datatype expected the number of possible pairs (float32); "
            + _NOT_STORED,
            optional=True,
            other_dtypes=("float32",),
        ),
        Variable(
            "r<binsize>/expected",
            ("bin1", "bin2"),
            "float32",
            "reads",
            "What is expected of all possible pairs; 0 where nothing is; " + _NOT_STORED,
            optional=True,
        ),
    ),
    {
        "resolutions": "Bin sizes in bp, ascending; the group `r<binsize>` holds each.",
        "datatype": "What is expected: raw, fend, distance, enrichment or expected; of coolers "
        "`balanced` (by their weights) or `counts` (1 per cell).",
        "maxdistance": "bp: largest distance of a cis pair, inclusive; 0 for all.",
        "genome_name": "Name of the genome; empty or absent when not given.",
        "source": "Link to the project or cooler the maps are of: relative path, or empty.",
        "pairs_token": "Token of the pair store; empty for coolers.",
        "binsize": "Of a group: its bin size, bp.",
        "trans": "Of a group: whether cells of two chromosomes are stored.",
        "storage_mode": "Of a group: symmetric-upper.",
    },
)

STORES: dict[str, StoreSchema] = {
    schema.type: schema for schema in (FENDS, PAIRS, PROJECT, HEATMAPS)
}
