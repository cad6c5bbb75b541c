"""Loss against trained sequence length, on real film and on a film whose ideal memory is known."""
