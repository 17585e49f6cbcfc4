"""See run.sh."""

import argparse
import sys

import harness
import short  # registers its tests
import long as long_tests  # noqa: F401

parser = argparse.ArgumentParser(prog="tests/boot/run.sh")
parser.add_argument("--long", dest="lengths", action="store_const", const=(False, True), default=(False,))
parser.add_argument("--only-long", dest="lengths", action="store_const", const=(True,))
parser.add_argument("--only", default="", metavar="REGEX")
parser.add_argument("--jobs", type=int, default=2)
options = parser.parse_args()
sys.exit(harness.main(options.lengths, options.only, options.jobs))
