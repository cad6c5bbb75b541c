"""Git history in, terminal film out: plain functions and generators, usable without Prefect.

github -> clone -> history -> filters -> story (keystrokes, quoting) -> terminal (shell, vim) -> replay
    -> shards -> warehouse
"""
