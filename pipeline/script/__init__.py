"""A commit as what is typed for it: which files, which edits, which lines at the prompt."""
