"""Text as a terminal holds it: lines, character clusters, cells, words, shell quoting."""
