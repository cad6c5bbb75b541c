"""Vim's Normal mode, Insert mode and window, as vim 9 draws them."""
