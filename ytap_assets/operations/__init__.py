"""One function for each user operation.

An operation connects the packages below: it reads from sources or the lake, calls the rules, and
writes to the lake. `ytap` (`cli`) calls the same operations as the Dagster assets (`defs`). Does
not belong here: rules (`domain`), SQL (`lakehouse`), Dagster.
"""
