"""Keeping one's place in a maze: accuracy against the number of moves."""
