"""What fitted models know: losses by lag, phase and place, rollouts, the depth of a backbone."""
