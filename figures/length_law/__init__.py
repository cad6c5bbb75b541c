"""Loss on film against the length of the windows that the learner is trained on."""
