"""The HTTP layer of the sources: client, cache, rate limits, recordings.

Belongs here: what holds for every platform. Does not belong here: any platform's URLs or formats.
"""
