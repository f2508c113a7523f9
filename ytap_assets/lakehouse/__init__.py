"""The lakehouse: the only code that opens DuckDB.

- ``connection``   load the extensions, attach the lake, look up its snapshots
- ``catalog``      what a catalog refers to, read from its file
- ``lock``         the one write lock
- ``checks``       conform a frame and check its structure: what may be written, what is stored
- ``lake``         the `Lake`: open, read, write, publish
- ``transaction``  what can be done inside one commit: publish, append, delete
- ``reader``       reading, bound to a workspace; reading across is another, named class
- ``schema``       upgrade the lake's tables to the declarations in ``tables``
- ``maintenance``  merge, expire, sweep
- ``backup``       copy the lake, put a copy back
- ``copies``       the copies that are there, with their manifests; copying files onto a disk
- ``sql_sandbox``  users' SQL: on a copy of one workspace's rows, or read-only on the lake
- ``inspection``   facts about a lake, read without changing it
- ``errors``       the lakehouse's exceptions, and which errors of the disk and of other programs
  that use the catalog they stand for

This module imports nothing, so that the command line answers SQL without loading Polars.
"""
