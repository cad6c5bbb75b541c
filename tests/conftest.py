"""What every test needs."""

from hypothesis import HealthCheck, settings

# Machines are shared and noisy: no test is timed. And the same examples everywhere: looking for new ones is the work of
# `python -m benchmarks.oracle.fuzz` and `… .repositories`.
settings.register_profile("gitreel", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gitreel")
