#!/bin/sh
# Evaluation from the command line: sh command_line.sh MODEL FOLDER
set -eu
model=$1
runs=$2
here=$(dirname "$0")

penstock evaluate --list

# One process.
penstock evaluate --model "$model" --task "$here/river.toml" --output "$runs/one" --batch-size 2 --threads 1

# Two processes of as many threads give the same scores, byte for byte. After a kill, the same command goes on.
penstock evaluate --model "$model" --task "$here/river.toml" --output "$runs/two" --batch-size 2 --threads 1 --processes 2

# Differences to another run, with paired errors; and a page with the worst samples.
penstock evaluate --output "$runs/two" --compare "$runs/one" --report
