"""What every test needs."""

import hypothesis

hypothesis.settings.register_profile("gitreel", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("gitreel")  # machines are shared and noisy: no test is timed
