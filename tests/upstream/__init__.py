"""The reference's own test suite, run on penstock."""
