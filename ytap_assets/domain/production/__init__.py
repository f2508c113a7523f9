"""The production of videos: from a script in the inbox to a video on a channel (SPEC section 3).

Belongs here: the rules of the production line, as pure functions. Does not belong here: reading
the files they speak of, the clock, or storing events (`operations`, `lakehouse`).

- ``states``    which moves are legal, and which event makes each.
- ``events``    what happened to a script, and how it becomes a row.
- ``admission`` which events may be appended, given where the scripts stand (compare and set).
- ``fold``      events to records.
- ``lines``, ``fields``: reading JSON lines that anyone may have written.
- ``inbox``, ``decisions``, ``uploads``, ``manifest``: the four kinds of files the line is fed with.
- ``gates``     what must hold before a script or a video goes on.
- ``records``, ``evidence``: everything a decision may look at.
- ``candidates``     what all promotions have in common.
- ``decide``    one function per promotion; ``promotions`` is their registry.
- ``videos``    the registry of published videos.
"""
