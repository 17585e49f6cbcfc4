"""The boot tests of `make check-long`."""
