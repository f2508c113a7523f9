"""The platforms and file formats: from bytes to typed rows.

`source` is the interface, `catalog` the list of sources, `collect` runs them, `http` is their HTTP
client. Does not belong here: Dagster, the lake, and what the rows mean (`domain`).
"""
