"""What the same compute buys as longer sequences, more windows, more updates, or more parameters."""
