"""What a day looked like: the numbers of `workspace_reports`, and everything its page shows.

Belongs here: counting, comparing and naming what is missing, on frames. Does not belong here:
reading the lake (`operations`), or how a page looks (`reports`).

- ``numbers``  the frames a report is made from, and counting in them.
- ``missing``  what is stale, failed or missing, in words.
- ``pages``    one row of numbers per day (`summarize_days`) and one `ReportDay` per day.
"""
