"""A made film whose law of length is known: what windows of T steps, as in length_law, find of it."""
