"""Loss against the steps of film that there are to learn from."""
