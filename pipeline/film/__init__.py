"""Frames in memory, and as Arrow columns."""
