"""What the learner is made of: one part changed at a time. Its rows are those of every figure on film."""
