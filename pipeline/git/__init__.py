"""Git's objects, history and attributes, read in a neutral environment; nothing of a repository is executed."""
