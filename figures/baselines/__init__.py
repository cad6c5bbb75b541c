"""Every backbone on real film: the same vectors, parameters, updates, and the same processor time."""
