"""The layout of reports: self-contained HTML files.

Belongs here: templates, styles, charts, words, and the paths of the files. Does not belong here:
the numbers (`domain.reporting`), or reading them (`operations`).

- ``render``  a page and its essentials from a `ReportDay`, lists from rows of `workspace_reports`.
- ``charts``  bars and the calendar of coverage, as SVG.
- ``words``   numbers, dates, states and outcomes as text; which URLs may be links.
- ``files``   the path of a report, and writing it atomically.
"""
