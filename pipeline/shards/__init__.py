"""Streams as Parquet shards: where they lie, their manifests, writing and reading."""
