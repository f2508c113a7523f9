"""What a day looked like: the numbers of `workspace_reports`, and everything its page shows.

Belongs here: counting, comparing and naming what is missing, on frames. Does not belong here:
reading the lake (`operations`), or how a page looks (`reports`).

- ``numbers``  the frames a report is made from, and counting in them.
- ``pages``    one row of numbers per day (`summarize_days`), one `ReportDay` per day, and what is
  stale, failed or missing (`find_missing`).
"""
