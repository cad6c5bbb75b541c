"""What every test needs."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Machines are shared and noisy: no test is timed. And the same examples everywhere: looking for new ones is the work of
# `python -m benchmarks.oracle.fuzz` and `… .repositories`.
settings.register_profile("gitreel", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gitreel")

# A hook of git may run the suite: what git has set for it is meant for another repository than those made here.
for variable in [name for name in os.environ if name.startswith("GIT_")]:
    del os.environ[variable]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a server of our own."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="film")
        yield "s3://film"
        server.stop()
