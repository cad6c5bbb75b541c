"""Object storage that speaks Amazon's S3, reached through Arrow: nothing else needs to be installed."""

import os

import pyarrow.fs as pafs
from fsspec.implementations.arrow import ArrowFSWrapper


class S3Files(ArrowFSWrapper):  # type: ignore[misc]  # fsspec has no types
    """Arrow's S3 file system for what takes fsspec's: DuckDB then needs no extension."""

    protocol = "s3"
    cachable = False


def s3_filesystem() -> pafs.FileSystem:
    """Credentials, region and AWS_ENDPOINT_URL are read from the environment, as AWS's own tools do. Raises OSError."""
    return pafs.S3FileSystem(
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        endpoint_override=os.environ.get("AWS_ENDPOINT_URL"),
        allow_bucket_creation=False,
    )
