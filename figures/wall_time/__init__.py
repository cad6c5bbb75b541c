"""The runs of length_law against processor time, updates and frames seen."""
