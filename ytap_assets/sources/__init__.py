"""The platforms and file formats: bytes in, typed rows out.

One module per platform. Belongs here: HTTP, wire formats, parsing. Does not belong here: Dagster,
the lake, and what the rows mean (`domain`).
"""
