#!/bin/sh
# report.sh LEFT COUNT RIGHT COUNT: a table of two folders.
set -eu
printf '%-20s %6s\n' folder entries "$1" "$2" "$3" "$4"
