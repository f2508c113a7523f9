"""The production of videos: from a script in the inbox to a video on a channel.

Belongs here: the rules of the production line, as pure functions. Does not belong here: reading
the files they name, the clock, or storing events (`operations`, `lakehouse`).

- ``events``: the state machine, events and their rows, and which events may be appended.
- ``lines``: reading JSON lines that anyone may have written.
- ``inbox``: what people and generators submit: scripts, decisions, uploads.
- ``jobs``: the reports of video generators, and the status of the pipeline.
- ``rules``: who may decide, how many persons must approve, and when the policy does.
- ``manifest``: the manifest of a finished video.
- ``records``: records, stays in states, and what else follows from the log.
- ``history``: records as of an instant, time in state, and scripts that wait too long.
- ``gates``: the conditions for promoting a script or a video.
- ``evidence``: everything a promotion may look at, and copies in other workspaces.
- ``candidates``: scripts in front of a promotion: decisions, approvals and their events.
- ``promotions``: the promotions and their registry.
- ``older_records``: records of yt_autopilot as events.
- ``script_lines``: a script with all its events as a JSON line, for another lake.
- ``edits``: scripts as a table for spreadsheets, and the edits in a table that comes back.
"""
