"""What patchrun does, as functions that take plain values: import, validate, run, score."""
