"""The words, patterns and hosts by which spam is known everywhere; workspaces add their own.

Belongs here: lists. Does not belong here: how they are matched (`spam`). Each entry was tried on
tens of thousands of real titles; one that also catches honest titles does not belong here. A bare
word rarely does: news about gambling is no gambling spam.
"""

from __future__ import annotations

BLOCKLIST = (
    "bonus code no deposit",
    "buy followers",
    "buy subscribers",
    "buy viagra",
    "cheap essay writing",
    "cheap viagra",
    "cheat engine download",
    "click here to win",
    "crack serial key",
    "cracked apk",
    "crypto giveaway",
    "bitcoin giveaway",
    "double your bitcoin",
    "double your money",
    "essay writing service",
    "follow for follow",
    "free gift card",
    "free gift cards",
    "free robux generator",
    "free v bucks generator",
    "free v-bucks generator",
    "get rich quick",
    "hack followers",
    "instant approval loan",
    "judi online",
    "keto gummies",
    "make money fast",
    "mod apk unlimited",
    "no deposit bonus",
    "onlyfans leak",
    "onlyfans leaked",
    "onlyfans leaks",
    "payday loan online",
    "payday loans online",
    "situs slot",
    "slot gacor",
    "sub 4 sub",
    "sub for sub",
    "sub4sub",
    "weight loss gummies",
)
"""Phrases, matched as whole words whatever the case; any white space fits a space."""

PATTERNS = (
    (
        "earnings promise",
        r"(?i)\b(?:earn|make)\s+(?:up\s+to\s+)?[$€£]\s?\d[\d,.]*k?\s*"
        r"(?:/\s*|(?:a|per|every|each)\s+)(?:hour|hr|day)\b",
    ),
    (
        "messenger number",
        r"(?i)\b(?:whats\s?app|telegram|viber)\b\D{0,20}\+?\d[\d\s().-]{7,}\d",
    ),
    (
        "discount",
        r"(?i)\b\d{2}\s?%\s?(?:off|discount)\b.*\b(?:coupon|promo\s?code|discount\s?code)\b",
    ),
    (
        "bought audience",
        r"(?i)\bbuy\s+(?:cheap\s+|real\s+)?(?:instagram|youtube|tiktok|twitter)\s+"
        r"(?:followers|subscribers|views|likes)\b",
    ),
    (
        "begging for subscribers",
        r"(?i)\bsub(?:scribe)?\s+(?:(?:to|2)\s+)?(?:my|our|me)\b",
    ),
    (
        "own channel",
        r"(?i)\b(?:check(?:\s+out)?|visit|follow|like|watch|see)\s+(?:my|our)\s+"
        r"(?:(?:new|own|youtube|first|music|other)\s+){0,2}"
        r"(?:chann?ell?s?|pages?|videos?|vids?|music|songs?|covers?|instagram|twitter|facebook)\b",
    ),
    (
        # The words that a platform's share button writes.
        "shared video",
        r"(?i)\bcheck\s+out\s+this\s+(?:video|playlist)\s+on\s+youtube\b",
    ),
    (
        "follow me",
        r"(?i)\bfollow\s+me\s+(?:on|at)\b",
    ),
    (
        # Stickied, which the feeds do not tell. Of 89,658 real titles 12, all of one such thread.
        "recurring thread",
        r"(?i)^\W*(?:daily|weekly|monthly|weekend)\b(?:.{0,60}\W)?(?:mega)?thread\b",
    ),
)
"""Name and regular expression, in the dialect of Polars: no look-around, no back-references."""

PLACED_PATTERNS = frozenset({"recurring thread"})
"""Patterns of what moderators placed on top. Like what a platform promotes, a match decides alone:
such titles are no advertisements, so a model of spam learns nothing about them."""

LINK_FARMS = (
    "adf.ly",
    "adfoc.us",
    "bc.vc",
    "clk.sh",
    "exe.io",
    "fc.lc",
    "gplinks.co",
    "j.gs",
    "linkvertise.com",
    "ouo.io",
    "ouo.press",
    "q.gs",
    "sh.st",
    "shorte.st",
    "shrinke.me",
    "shrinkme.io",
    "za.gl",
)
"""Hosts (with their subdomains) that pay for clicks on links to something else."""
