"""Contracts: what a step, an episode, a shard and a warehouse are; and the pages that pipeline and trainer fill alike.

Only `schema.pages` writes a file, and `schema.folders` makes a folder. Nothing here imports anything of ours from
elsewhere.

schema.version   the schema's version and what may be read with it
schema.errors    the exception tree
schema.geometry  rows x cols, styles, colours
schema.actions   the 256 actions (bytes) and their readable names; phases
schema.columns   every column of every table: name, Arrow type, unit, nullability, meaning
schema.records   one frozen pydantic model a table row
schema.config    what decides the film's bytes
schema.editors   the editors that film is made in, and their versions
schema.widths    cells per character, as vim draws them
schema.decode    Arrow columns -> numpy grids
schema.screen    one screen: rows, style runs, cursor
schema.manifest  a stream's manifest: its files, and where to go on
schema.bucket    object storage that speaks S3
schema.folders   dated folders of runs
schema.pages     HTML pages of one file each: template, style, terminal screens, charts
"""
