"""From shards to batches: the streams of a warehouse, their splits, windows, batches and action tokens."""
