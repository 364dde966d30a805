"""Checks for the driver scripts: one line each, and the first failure ends the script."""

import sys
import traceback


def done(name):
    print(f"ok {name}", flush=True)


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"got {got!r}, expected {expected!r}")


def failed(name):
    print(f"FAILED {name}", flush=True)
    traceback.print_exc(file=sys.stdout)
    sys.exit(1)
