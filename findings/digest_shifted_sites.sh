#!/bin/sh
# Restriction sites of `cooler digest` and `bioframe.digest` lie two bases behind the cut.
#
# Versions: cooler 0.11.0 and bioframe 0.8.0, with biopython 1.85, from the Python package index.
# Needs Python 3 with venv and pip, and a network or a mirror of the index. It installs into a
# temporary folder, which it removes. Exits 0 if both behave as described here, 1 if one no
# longer does, 2 if they could not be installed or run.
#
# Input: one sequence of 27 bases with GATC at bases 5-8 and 18-21 (counted from 0), and one with
# AAGCTT at bases 10-15. DpnII cuts ^GATC, that is, before bases 5 and 18; HindIII cuts A^AGCTT,
# before base 11.
#
# Expected: fragments that begin where the enzyme cuts, 0-based and half-open as in every BED:
#     DpnII    0-5  5-18  18-27        HindIII  0-11  11-26
# Seen: all borders 2 bp further on:
#     DpnII    0-7  7-20  20-27        HindIII  0-13  13-26
# Cause: the positions of Biopython's `search` are those of the first base behind the cut,
# counted from 1. One has to be taken off for 0-based borders; both programs add one.
#
# Why it matters: molecules that were cut but not ligated (dangling ends) begin exactly at the cut,
# which these fragments place in the neighbour. A fragment of its own length that was never ligated
# then has its ends in two fragments that are not neighbours, passes the filters for dangling
# ends and failed cuts, and counts as a contact.
set -u

folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" &&
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        cooler==0.11.0 bioframe==0.8.0 biopython==1.85 >"$folder/pip.log" 2>&1 ||
    { echo "cooler, bioframe and biopython could not be installed:"; cat "$folder/pip.log"; exit 2; }

cat >"$folder/dpnii.fa" <<'FASTA'
>toy
AAAAAGATCAAAAAAAAAGATCAAAAA
FASTA
cat >"$folder/hindiii.fa" <<'FASTA'
>toy
CCCCCCCCCCAAGCTTCCCCCCCCCC
FASTA
printf 'toy\t27\n' >"$folder/dpnii.sizes"
printf 'toy\t26\n' >"$folder/hindiii.sizes"

of_cooler() { # enzyme, name of the files
    "$folder/venv/bin/cooler" digest "$folder/$2.sizes" "$folder/$2.fa" "$1" |
        awk '{ printf "%s%s-%s", (NR > 1 ? " " : ""), $2, $3 } END { print "" }'
}

of_bioframe() {
    "$folder/venv/bin/python" - "$1" "$folder/$2.fa" <<'PYTHON'
import sys

import bioframe

enzyme, path = sys.argv[1:]
sequence = open(path).read().split("\n")[1]
found = bioframe.digest({"toy": sequence}, enzyme)
print(*(f"{start}-{end}" for start, end in zip(found["start"], found["end"])))
PYTHON
}

changed=0
check() { # program, enzyme, files, expected, described
    seen=$("of_$1" "$2" "$3") && [ -n "$seen" ] || { echo "$1 digest failed"; exit 2; }
    echo "$1, $2: expected $4; seen $seen"
    [ "$seen" = "$5" ] || { echo "    this was $5 when it was described"; changed=1; }
}

"$folder/venv/bin/python" -m pip list --disable-pip-version-check 2>/dev/null |
    grep -i -E '^(cooler|bioframe|biopython) '
for program in cooler bioframe; do
    check "$program" DpnII dpnii "0-5 5-18 18-27" "0-7 7-20 20-27"
    check "$program" HindIII hindiii "0-11 11-26" "0-13 13-26"
done
exit $changed
