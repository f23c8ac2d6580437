"""Reads the series that were collected and writes which model is faster and which more accurate, as NAME=value lines.

Fails unless every interval of the duration stands there once, in order, with a value of every metric.
"""

import argparse
import csv
import os
import sys

MINUTE = 60  # seconds; an interval of a duration of less than an hour

arguments = argparse.ArgumentParser()
arguments.add_argument("--duration", required=True)
arguments = arguments.parse_args()
expected = int(arguments.duration.removesuffix("m"))
with open(os.environ["WEIR_SERIES"], newline="") as file:
    rows = list(csv.DictReader(file))
times = [int(row["time"]) for row in rows]
if times != [times[0] + MINUTE * n for n in range(expected)]:
    sys.exit(f"{expected} intervals were to be collected, one after another, and these are: {times}")


def mean(name):
    return sum(float(row[name]) for row in rows) / len(rows)


faster = min("ab", key=lambda model: mean(f"model_{model}.inference.latency"))
better = max("ab", key=lambda model: mean(f"model_{model}.accuracy"))
print(f"INTERVALS={len(rows)}")
print(f"FASTER=model-{faster}")
print(f"MORE_ACCURATE=model-{better}")
