"""Readers of data sets on disk: one small file each, all yielding clips."""
