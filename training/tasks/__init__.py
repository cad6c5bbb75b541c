"""Tasks with known memory: a serial program to execute, a maze to keep one's place in."""
