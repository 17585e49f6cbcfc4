"""See run.sh."""

import argparse
import sys

import harness
import short  # registers its tests
import long as long_tests  # noqa: F401
import real  # noqa: F401

parser = argparse.ArgumentParser(prog="tests/boot/run.sh")
parser.add_argument("--long", dest="sets", action="store_const", const={"short", "long"}, default={"short"})
parser.add_argument("--only-long", dest="sets", action="store_const", const={"long"})
parser.add_argument("--real", dest="sets", action="store_const", const={"real"}, help="see real.sh")
parser.add_argument("--only", default="", metavar="REGEX")
parser.add_argument("--jobs", type=int, default=2)
options = parser.parse_args()
sys.exit(harness.main(options.sets, options.only, options.jobs))
