#!/bin/sh
# cooler writes chromosomes above 2 147 483 647 bp with other lengths and positions, without a word.
#
# Version: cooler 0.11.0, from the Python package index.
# Needs Python 3 with venv and pip, and a network or a mirror of the index. It installs into a
# temporary folder, which it removes. Exits 0 if it behaves as described here, 1 if it no longer
# does, 2 if it could not be installed or run.
#
# Input: chromosome lengths of 2 500 000 000 bp and 1000 bp (lilies, lungfish and mistletoe have
# such chromosomes), and two read pairs, one of them with an end at 2 400 000 000.
#
# Expected: a cooler with these lengths and bins, or an error.
# Seen: `cooler cload pairs` exits 0 and prints no warning. The length is -1 794 967 296, that is,
# 2 500 000 000 - 2^32, and so is the end of the last bin: both are stored as 32-bit integers.
# The pixels of the long chromosome cannot be asked for, since every region of it is out of bounds.
#
# Why it matters: the file is made, and the error comes later and elsewhere, as one of a region. A
# chromosome above 2^32 bp even gets a small positive length, which nothing tells from a true one.
set -u

folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" &&
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        cooler==0.11.0 >"$folder/pip.log" 2>&1 ||
    { echo "cooler could not be installed:"; cat "$folder/pip.log"; exit 2; }
cooler="$folder/venv/bin/cooler"

printf 'long\t2500000000\nshort\t1000\n' >"$folder/sizes"
printf 'long\t2400000000\tlong\t10\nlong\t5\tshort\t10\n' >"$folder/pairs"
"$cooler" cload pairs -c1 1 -p1 2 -c2 3 -p2 4 "$folder/sizes:500000000" "$folder/pairs" \
    "$folder/long.cool" >"$folder/log" 2>&1
status=$?
grep -i -E 'warn|error|overflow' "$folder/log" && said=yes || said=no

changed=0
check() { # what, expected, seen, described
    echo "$1: expected $2; seen $3"
    [ "$3" = "$4" ] || { echo "    this was $4 when it was described"; changed=1; }
}

"$cooler" --version
check "exit of cooler cload" "an error, or right lengths" "$status" 0
check "a warning" yes "$said" no
if [ "$status" = 0 ]; then
    check "length of long" 2500000000 \
        "$("$cooler" dump -t chroms "$folder/long.cool" | awk '$1 == "long" { print $2 }')" -1794967296
    check "last bin of long" 2000000000-2500000000 \
        "$("$cooler" dump -t bins "$folder/long.cool" | awk '$1 == "long" { b = $2 "-" $3 } END { print b }')" \
        2000000000--1794967296
    "$cooler" dump -r long:2,200,000,000-2,400,000,000 "$folder/long.cool" >"$folder/dump" 2>&1 &&
        asked=yes || asked=no
    check "pixels of a region can be asked for" yes "$asked" no
fi
exit $changed
