"""The terminal: one screen, bash at its prompt, an editor when it is started. Keys in, frames out."""
