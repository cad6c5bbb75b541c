"""Which repositories to film, and their objects brought within reach: search, GitHub, sources, clones, licences."""
