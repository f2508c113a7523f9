"""One function per thing a user can ask for.

An operation joins what the packages below keep apart: it reads from sources or the lake, calls the
rules, and writes through the lake. `ytap` (`cli`) calls the same operations as the Dagster assets
(`defs`). Belongs here: that joining. Does not belong here: rules (`domain`), SQL (`lakehouse`),
Dagster.
"""
