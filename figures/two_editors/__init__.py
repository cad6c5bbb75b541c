"""The same commits in vim and in nano moved by arrow-like keys: does the law of memory depend on how one moves?"""
