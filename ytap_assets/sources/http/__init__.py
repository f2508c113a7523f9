"""The HTTP layer of the sources: client, cache, rate limits, quotas, recordings.

Does not belong here: any platform's URLs or formats.
"""
