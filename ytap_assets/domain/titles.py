"""Titles as they are compared with one another, and titles that say nothing.

Belongs here: when two titles are the same, and what a site puts in the place of a title. Does not
belong here: how alike different titles are (`stories`), or which spellings of a word are one
(`normal_form`).
"""

from __future__ import annotations

import polars as pl

from ytap_assets.domain.text import join_scripts, normalize_texts

MAX_CHARACTERS = 1000
"""No platform's title is longer; the rest of one that is makes no difference."""

_APOSTROPHE = r"(?:['\x{2019}]|&#0?39;)?"
_ROBOT = r"(?:a |an )?(?:ro)?bot"
_TO_GO_ON = (
    r"(?:,? (?:(?:in order )?to (?:continue|proceed|access|view|use|read)\b.*|by completing\b.*"
    r"|before (?:continuing|proceeding)\b.*|and reload\b.*))?"
)
# Answers to those who are taken for a program, in the words of Cloudflare, Akamai, PerimeterX,
# Imperva, Vercel, Anubis and others.
_CHECKS = (
    rf"are you (?:not )?(?:{_ROBOT}|(?:a )?human)(?: or {_ROBOT})?",
    rf"(?:robot or human|human or robot)|i{_APOSTROPHE}m not {_ROBOT}",
    rf"(?:please )?(?:verify|confirm|prove|make sure|verifying|confirming)(?: that)?"
    rf" you(?: are|{_APOSTROPHE}re) (?:(?:a )?human|not {_ROBOT}){_TO_GO_ON}",
    rf"making sure (?:that )?you(?: are|{_APOSTROPHE}re) (?:not {_ROBOT}|(?:a )?human)",
    r"access to (?:this|the) (?:page|site|website)(?: has been| is)? (?:denied|blocked|restricted)",
    r"(?:sorry,? )?you have been blocked",
    r"your (?:access|request) (?:has been|was) (?:denied|blocked)",
    r"(?:access|permission|request) (?:denied|blocked|rejected)",
    r"request unsuccessful(?:\W+incapsula.*)?",
    r"checking (?:your browser(?: before accessing.*)?|if the site connection is secure)",
    r"(?:ddos|bot) protection(?: by \w+)?|ddos-guard|protected by anubis",
    r"(?:vercel )?security (?:check|checkpoint|verification)|performing security verification",
    r"(?:human|bot|browser) (?:verification|check)|client challenge|challenge validation",
    r"(?:google )?(?:re|h)?captcha(?: (?:check|challenge|required))?|pardon our interruption",
    r"(?:we(?:'ve)? )?(?:detected )?unusual (?:traffic|activity)(?: from your .*)?",
    rf"(?:please )?(?:enable|turn on) (?:javascript|js|cookies)(?: and cookies)?{_TO_GO_ON}",
    r"javascript is (?:not available|disabled|required)|attention required",
    r"(?:just|one) a? ?moment(?:,? please)?|please wait(?: a moment)?"
    r"(?:,? while (?:we (?:are )?(?:verify|check|redirect)|your (?:request|browser)).*)?",
)
# The same "just a moment" as a reader of another language gets it.
_MOMENTS = (
    r"nur einen moment(?: geduld)?|einen moment(?:,? bitte)?|bitte warten|un moment",
    r"un momento(?:,? por favor)?|espere un momento|un instant|veuillez patienter",
    r"attendere(?: prego)?|ci siamo quasi|(?:só )?um momento|aguarde(?: um momento)?",
    r"(?:nog )?een (?:moment|ogenblik)(?: geduld)?|even geduld(?: a\.?u\.?b\.?)?",
    r"ett ögonblick|vänta(?: lite)?|(?:lige )?et øjeblik|(?:bare )?et øyeblikk",
    r"hetkinen|odota hetki|egy pillanat|okamžik|(?:ještě )?chvíl(?:k)?u(?: strpení)?",
    r"jeszcze chwil[aę]|chwileczkę|proszę czekać|doar un moment|samo trenutak",
    r"bir dakika(?: lütfen)?|lütfen bekleyin|(?:mohon )?tunggu(?: sebentar)?",
    r"chờ một chút|vui lòng (?:chờ|đợi)(?: một chút)?",
    r"один момент|минуточку|минутку|подождите(?:,? пожалуйста)?|пожалуйста,? подождите",
    r"зачекайте|хвилинку|хвилиночку|един момент|μια στιγμή|ένα λεπτό|רק רגע|لحظة(?: من فضلك)?",
    r"یک لحظه|لطفا صبر کنید|एक क्षण|कृपया प्रतीक्षा करें|(?:โปรด)?รอสักครู่",
    r"しばらくお待ち(?:ください|下さい)|少々お待ち(?:ください|下さい)|お待ちください",
    r"[请請]稍[候等](?:片刻)?|稍等片刻|잠시만 기다(?:리십시오|려 ?주(?:십시오|세요))",
)
_FAILURES = (
    r"bad request",
    r"unauthori[sz]ed",
    r"forbidden",
    r"(?:page |file |site )?not found",
    r"method not allowed",
    r"not acceptable",
    r"request time-?d?[ -]?out",
    r"too many requests",
    r"unavailable for legal reasons",
    r"(?:internal )?server error",
    r"not implemented",
    r"bad gateway",
    r"(?:service |temporarily |service temporarily )unavailable",
    r"gateway time-?d?[ -]?out",
    r"(?:connection|origin|request)(?: connection)? timed out",
    r"(?:origin|web server) is (?:down|unreachable|returning an unknown error)",
    r"the service is unavailable",
)
_FAILURE = rf"(?:{'|'.join(_FAILURES)})"
_STATUS = r"(?:(?:http|error|status|code)[\W_]+){0,3}[45][0-9]{2}"
_STATUSES = (
    rf"{_STATUS}\W+(?:error\W+|http\W+)?(?:{_FAILURE}|gone)(?:\W*(?:error|access is denied|1))?",
)
_ERRORS = (
    rf"(?:http|error|status)[\W_]+{_STATUS}|[45][0-9]{{2}} error|error 1[0-9]{{3}}",
    rf"{_FAILURE}(?:\W+{_STATUS})?",
    r"(?:an )?error (?:has )?occurred|something went wrong|privacy error",
    r"application error(?:\W+a client-side exception.*)?",
    r"(?:oops\W+)?(?:this )?(?:page|site|content) (?:not available|unavailable|does not exist)",
    rf"(?:this|that) (?:page|content|site) (?:is|can)(?: not|not|n?{_APOSTROPHE}t)(?: be)?"
    r" (?:available|reached|found)(?: right now| anymore)?",
    r"(?:your )?connection is not private|(?:site |under |down for |scheduled )maintenance",
    r"(?:this )?account (?:has been )?suspended",
    r"(?:loading|redirecting)(?:\.{2}|…)",
)
_GONE = (
    r"(?:deleted|removed) by (?:the )?"
    r"(?:user|author|moderators?|mods?|reddit|admins?|automod(?:erator)?)",
    r"removed|deleted|(?:private|deleted|unavailable|removed) video|video (?:removed|deleted)",
    r"(?:this )?video (?:is )?(?:unavailable|private|not available|no longer available.*)",
    r"v[ií]deo (?:privado|eliminado|no disponible|não disponível|indisponível)",
    r"vidéo (?:privée|supprimée|non disponible)|video (?:privato|eliminato|non disponibile)",
    r"(?:privates|gelöschtes) video|(?:dieses )?video (?:ist )?nicht verfügbar",
    r"(?:非公開|削除された|限定公開)(?:の)?動画|この動画は(?:再生できません|非公開です|削除されました)",
    r"(?:私享|已删除的|已刪除的)(?:视频|影片)|비공개 동영상",
    r"삭제된 (?:동영상|게시물입니다)|이 글은 삭제되었습니다",
    r"личное видео|удал[её]нное видео|видео недоступно|(?:частное|скрытое) видео",
)
# Of sites that ask to log in, and of servers and sites that show the title of all their pages.
_DOORS = (
    r"before you continue(?: to \w+)?|(?:log|sign) ?(?:in|up)",
    r"subscribe to (?:read|continue)(?: reading)?",
    r"(?:facebook|instagram|linkedin|x|twitter)\W+(?:log ?in|sign ?in)(?:\W+(?:or\W+)?sign ?up)?",
    r"(?:log|sign) ?in (?:to|on) (?:facebook|instagram|linkedin|x|twitter|your account|continue)",
    r"reddit\W+(?:dive into anything|the heart of the internet|the front page of the internet)",
    r"tiktok\W+make your day|(?:x|twitter)\W+it.s what.s happening(?: / (?:x|twitter))?",
    r"welcome to nginx|apache2? (?:\w+ )?default page.*|iis windows(?: server)?|it works",
    r"test page for (?:the )?(?:apache|nginx).*|index of /",
    r"(?:domain|default|parked) (?:parking )?page",
    r"(?:this )?(?:domain|domain name) (?:is |may be )?for sale|untitled(?: (?:document|page))?",
    r"n/a|home ?page|document moved|object moved|(?:301|302)\W+(?:moved permanently|found)",
)
_ANYWHERE = "|".join((*_CHECKS, *_STATUSES))
_ALONE = "|".join((*_MOMENTS, *_ERRORS, *_GONE, *_DOORS))
_SITE = r"[^|\x{2013}\x{2014}-]{1,60}"
_SEPARATOR = r"[|:\x{b7}\x{2022}\x{2013}\x{2014}-]"
NO_TITLE = (
    rf"(?i)^[\W_]*(?:(?:(?:{_SITE} [|\x{{2013}}\x{{2014}}-] )?(?:{_ANYWHERE})|(?:{_ALONE}))"
    rf"[\W_]*?(?:\s{_SEPARATOR}(?:\W+[\w.]+){{1,5}})?|[45][0-9]{{2}})[\W_]*$"
    r"|^\s*\[\s*(?:deleted|removed|unavailable|redacted)(?: by\b[^\]]*)?\s*\]\W*$"
)
"""A title that names nothing: what a site answers in place of a page, and what is left of a post
that is gone. A site's name may stand behind it, and before a check for robots or an HTTP status."""
_WORD = r"\b[a-z](?:\+\+|#)|[\p{L}\p{M}\p{N}]+"


def comparable_titles(titles: pl.Series) -> pl.Series:
    """The words of each title, by which it is the same as another or not.

    Spellings that `normal_form` takes for one make no difference, nor do case, punctuation and
    HTML entities; accents do, and C++, C# and C are three. Null for a title without words and for
    what names nothing (`NO_TITLE`).

    Args:
        titles: Strings, hostile ones too. Of each, `MAX_CHARACTERS` are read.
    """
    distinct = titles.cast(pl.String).unique().drop_nulls()
    read = normalize_texts(distinct.str.slice(0, MAX_CHARACTERS))
    words = join_scripts(pl.col("normal")).str.to_lowercase().str.extract_all(_WORD).list.join(" ")
    is_title = (words != "") & ~pl.col("clean").str.contains(NO_TITLE)
    told = read.select(pl.when(is_title).then(words).alias("words"))["words"]
    return titles.replace_strict(distinct, told, default=None, return_dtype=pl.String)
