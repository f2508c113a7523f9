"""How a report looks: one HTML file that needs nothing but itself.

Belongs here: templates, styles, charts, words, and where the files are. Does not belong here: what
the numbers are (`domain.reporting`), or reading them (`operations`).

- ``render``  a page and its essentials from a `ReportDay`, lists from rows of `workspace_reports`.
- ``charts``  bars and the calendar of coverage, as SVG.
- ``words``   numbers, dates, states and outcomes as people read them; which URLs may be links.
- ``files``   where a report is, and writing it in one step.
"""
