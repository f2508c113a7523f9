"""The production of videos: from a script in the inbox to a video on a channel.

Belongs here: the rules of the production line, as pure functions. Does not belong here: reading
the files they name, the clock, or storing events (`operations`, `lakehouse`).

- ``events``: the state machine, events and their rows, and which events may be appended.
- ``lines``: reading JSON lines that anyone may have written.
- ``inbox``: the three inbox files: scripts, decisions, uploads.
- ``manifest``: the manifest of a finished video.
- ``records``: records and what else follows from the log.
- ``gates``: the conditions for promoting a script or a video.
- ``evidence``: everything a promotion may look at, and copies in other workspaces.
- ``promotions``: the promotions and their registry.
"""
