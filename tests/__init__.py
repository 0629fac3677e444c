"""Tests of the Python package; conftest.py says how the full run differs from the default one."""
