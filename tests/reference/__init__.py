"""Readable, slow implementations that define the right answer."""
