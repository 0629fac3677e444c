"""One file per module of python/penstock."""
