"""The warehouse as a whole: its database, its splits, its checks, and the commands that look after it."""
