"""One training run: settings, plan, learners, checkpoints, report."""
