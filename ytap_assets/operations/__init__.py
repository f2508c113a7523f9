"""One function per thing a user can ask for.

An operation joins what the packages below keep apart: it reads from sources or the lake, calls the
rules, and writes through the lake. The Dagster assets (`defs`) and the command line (`cli`) are two
thin faces over it. Belongs here: that joining. Does not belong here: rules (`domain`), SQL
(`lakehouse`), Dagster.
"""
