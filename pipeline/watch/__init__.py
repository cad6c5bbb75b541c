"""Stored episodes, shown again: in a terminal, or as an asciicast."""
