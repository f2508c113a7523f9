"""Numbers and days in titles: in letters, Roman, Han and other digits; data and folding.

Belongs here: the number, weekday or month of words and characters, in several languages. Does not
belong here: what such a word means in a title (`serials`), similarity (`terms`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import polars as pl

_SUPPLEMENTARY = 0x10000
_MOST_HAN = 199
_MOST_ROMAN = 89
_HAN_DIGITS = "〇一二三四五六七八九"
_BEFORE_HAN = ("第", "その", "其の", "其之", "(")
_COUNTED_HAN = "話话集"
_COUNTED_FEW = ("月", "日目")
_FEW = 39
_FORMAL = str.maketrans("一二三四五六七八九十", "壹贰叁肆伍陆柒捌玖拾")

CARDINALS = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty
    eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf
    un deux trois quatre cinq six sept huit neuf dix onze douze
    uno dos tres cuatro cinco seis siete ocho nueve diez - doce
    uno due tre quattro cinque sei sette otto nove dieci undici dodici
    um dois três quatro cinco seis sete oito nove dez - doze
    een twee drie vier vijf zes zeven acht negen tien elf twaalf
    bir iki üç dört beş alt\u0131 yedi sekiz dokuz
    jeden dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć
    один два три четыре пять шесть семь восемь девять десять
    एक दो तीन चार पांच छह सात आठ नौ दस
    satu dua tiga empat lima enam tujuh delapan sembilan sepuluh
"""
"""A line for each language (English: two), from 1 on; ``-``: a word that has another sense."""

TENS = "twenty thirty forty fifty sixty seventy eighty ninety"

ORDINALS = """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
    erste zweite dritte vierte fünfte sechste siebte achte neunte zehnte
    erster zweiter dritter vierter fünfter sechster siebter achter neunter zehnter
    erstes zweites drittes viertes fünftes sechstes siebtes achtes neuntes zehntes
    ersten zweiten dritten vierten fünften sechsten siebten achten neunten zehnten
    premier deuxième troisième quatrième cinquième sixième septième huitième neuvième dixième
    première seconde troisième quatrième cinquième sixième septième huitième neuvième dixième
    primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo
    primera segunda tercera cuarta quinta sexta séptima octava novena décima
    primer - tercer
    primo secondo terzo quarto quinto sesto settimo ottavo nono decimo
    prima seconda terza quarta quinta sesta settima ottava nona decima
    primeiro segundo terceiro quarto quinto sexto sétimo oitavo nono décimo
    primeira segunda terceira quarta quinta sexta sétima oitava nona décima
    eerste tweede derde vierde vijfde zesde zevende achtste negende tiende
    birinci ikinci üçüncü dördüncü beşinci alt\u0131nc\u0131 yedinci sekizinci dokuzuncu onuncu
    pierwszy drugi trzeci czwarty piąty szósty siódmy ósmy dziewiąty dziesiąty
    pierwsza druga trzecia czwarta piąta szósta siódma ósma dziewiąta dziesiąta
    первый второй третий четвертый пятый шестой седьмой восьмой девятый десятый
    первая вторая третья четвертая пятая шестая седьмая восьмая девятая десятая
    الأول الثاني الثالث الرابع الخامس السادس السابع الثامن التاسع العاشر
    الأولى الثانية الثالثة الرابعة الخامسة السادسة السابعة الثامنة التاسعة العاشرة
    첫 두 세 네 다섯 여섯 일곱 여덟 아홉 열
"""
"""A line for each language and gender, from 1 on."""

# In scripts without spaces, words are pairs of characters: the last of 星期一, the first of 월요일.
WEEKDAYS = """
    monday tuesday wednesday thursday friday saturday sunday
    montag dienstag mittwoch donnerstag freitag samstag sonntag
    lundi mardi mercredi jeudi vendredi samedi dimanche
    lunes martes miércoles jueves viernes sábado domingo
    lunedì martedì mercoledì giovedì venerdì sabato domenica
    - terça - - - sábado domingo
    segundafeira terçafeira quartafeira quintafeira sextafeira - -
    maandag dinsdag woensdag donderdag vrijdag zaterdag zondag
    pazartesi sal\u0131 çarşamba perşembe cuma cumartesi pazar
    poniedziałek wtorek środa czwartek piątek sobota niedziela
    måndag tisdag onsdag torsdag fredag lördag söndag
    senin selasa rabu kamis jumat sabtu minggu
    الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد
    सोमवार मंगलवार बुधवार गुरुवार शुक्रवार शनिवार रविवार
    - - - - - sonnabend -
    понедельник вторник среда четверг пятница суббота воскресенье
    月曜 火曜 水曜 木曜 金曜 土曜 日曜
    期一 期二 期三 期四 期五 期六 期日
    周一 周二 周三 周四 周五 周六 周日
    週一 週二 週三 週四 週五 週六 週日
    拜一 拜二 拜三 拜四 拜五 拜六 拜日
    - - - - - - 期天
    - - - - - - 拜天
    월요 화요 수요 목요 금요 토요 일요
"""
SHORT_WEEKDAYS = """
    mon tue wed thu fri sat sun
    - tues - thur - - -
    mo di mi do fr sa so
    lun - mer jeu ven sam dim
    lun - mié jue vie sáb dom
    lun - mer gio ven sab dom
    seg ter qua qui sex sáb dom
    ma di wo do vr za zo
    pzt sal çar per cum cmt paz
    пн вт \u0441\u0440 чт пт \u0441\u0431 вс
"""
"""Many are words of other senses: they count at the start or end of a title or beside a number."""
LONE_WEEKDAYS = "月火水木金土日 월화수목금토일"
"""The same in one character, where it stands alone and behind no number: ``(月)``."""

MONTHS = """
    january february march april may june july august september october november december
    jan feb mar apr may jun jul aug sept oct nov dec
    - - - - - - - - sep - - -
    januar februar märz april mai juni juli august september oktober november dezember
    janvier février mars avril mai juin juillet août septembre octobre novembre décembre
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
    janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
    januari februari maart april mei juni juli augustus september oktober november december
    jänner - - - - - - - - - - -
    ocak şubat mart nisan may\u0131s haziran temmuz ağustos eylül ekim kas\u0131m aral\u0131k
    stycznia lutego marca kwietnia maja czerwca - - - - - -
    - - - - - - lipca sierpnia września października listopada grudnia
    styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień
    يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر
    январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь
    янв фев мар апр - июн июл авг сен окт ноя дек
    janv févr - avr - - juil - - - - déc
    - fév - - - - - - - okt - dez
    ene - mrt abr - - - - - - - dic
    января февраля марта апреля мая июня июля августа сентября октября ноября декабря
"""
SHORT_MONTHS = """
    gen fev mar abr mag giu lug ago set out nov dic
    - - - - mai - - - - ott - -
"""
"""Those that are words of other senses: read as `SHORT_WEEKDAYS` are, and in no date."""

SEASONS = """
    spring summer autumn winter
    - - fall -
    frühling sommer herbst -
    printemps été automne hiver
    primavera verano otoño invierno
    primavera estate autunno inverno
    primavera verão outono inverno
    весна лето осень зима
"""
HOURS = """
    morning noon afternoon evening night
    matin midi - soir nuit
    утро - - вечер ночь
    - mittag nachmittag abend nacht
    mañana - tarde - noche
    mattina - pomeriggio sera notte
    午前 - 午後 - -
    오전 - 오후 - -
"""
"""As the others: words that set two titles apart which have all their other words in common."""

_HALVES = {
    "前編 前篇 前编 前半 上集 上篇 上編 上编 上巻 上卷 전편 상편": "1/2",
    "中編 中篇 中编 中集 中巻 中卷 중편": "middle",
    "後編 后编 后篇 後篇 後半 后半 下集 下篇 下編 下编 下巻 下卷 후편 하편": "2/2",
}
HALVES = {word: value for words, value in _HALVES.items() for word in words.split()}
"""The parts of a story in two or three parts, in scripts without spaces, and which they are."""
LONE_HALVES = {
    word: value
    for words, value in {"上 前 상": "1/2", "中 중": "middle", "下 後 后 하": "2/2"}.items()
    for word in words.split()
}
"""The same, where nothing else stands beside them: ``(上)``."""
NUMBERS_OF_HALVES = {"1/2": ("1",), "middle": ("2",), "2/2": ("2", "3")}
"""Which numbers a half may have where the parts are counted."""

_STAGES = {
    "first": """
        pilot premiere premier premiera estreno auftakt opening ouverture douverture eröffnung
        eröffnungsfeier apertura inauguración abertura открытие открытия премьера
    """,
    "last": """
        final finals finale finał финал last closing clôture abschluss abschlussfeier clausura
        chiusura encerramento закрытие закрытия
    """,
    "one before": """
        semifinal semifinals semifinale demifinale halbfinale półfinał полуфинал yar\u0131final
    """,
    "two before": """
        quarterfinal quarterfinals quartfinale viertelfinale ćwierćfinał четвертьфинал çeyrekfinal
    """,
    "three before": "achtelfinale",
}
STAGES = {word: stage for stage, words in _STAGES.items() for word in words.split()}
"""Where a part stands in a whole: they set titles apart which have all other words in common."""
LAST = """
    final last letzte letzter letztes letzten dernier dernière último última ultimo ultima laatste
    ostatni ostatnia последний последняя последнее
"""
"""Words that call what is counted behind them the last one: no number 1."""

COUNTING = {
    "episode": """
        episode ep eps episodio episodul folge bölüm odcinek odc aflevering avsnitt afsnit jakso
        epizoda díl tập серия выпуск эпизод серія випуск الحلقة حلقة ตอนที่ ตอนที एपिसोड επεισόδιο פרק
        puntata
    """,
    "part": """
        part parts parte partie pt pts teil phần phan deel osa część czesc część rész bagian
        часть частина الجزء भाग μέρος חלק partea 번째
    """,
    "chapter": "chapter chapters chapitre capitulo capitolo kapitel hoofdstuk rozdział глава",
    "volume": "volume vol tome tomo том",
    "group": "group gruppe groupe grupo gruppo grupa группа",
    "section": "section sektion sección sezione seção secção",
    "exhibit": "exhibit",
    "appendix": "appendix anhang annexe apéndice appendice",
    "disc": "disc disk cd dvd",
    "side": "side",
    "session": "session",
}
"""Words that count in numbers and in single letters, by what they count."""


def unaccent(text: pl.Expr) -> pl.Expr:
    """Text in NFKC without the accents of Latin letters."""
    return text.str.normalize("NFKD").str.replace_all(r"[\u0300-\u036f]", "").str.normalize("NFKC")


def number_lines(text: str) -> dict[str, str]:
    """The words of lines that begin to count at 1 each, with their numbers."""
    lines = [line.split() for line in text.strip().splitlines()]
    return {
        word: str(number)
        for words in lines
        for number, word in enumerate(words, start=1)
        if word != "-"
    }


def roman_numbers() -> dict[str, str]:
    """Small-lettered Roman numerals from 1 on, with their numbers."""
    return {_roman(number): str(number) for number in range(1, _MOST_ROMAN + 1)}


def fold_numbers(title: pl.Expr) -> pl.Expr:
    """Digits of every script as 0 to 9; ``twenty-one``, and Han numerals that count, in digits.

    Marks of parts, weekdays and numerals that are one character stand alone, also in scripts
    without spaces; ``2/5`` becomes ``2 of 5``, ``ep.12`` ``ep 12``, ``semi-final`` ``semifinal``.

    Args:
        title: Titles, normalized to NFKC; see `split_signs` for what must be done before.
    """
    return (
        title.str.replace_many(_FOLDED, leftmost=True)
        .str.replace_all(r"(\p{L})[.,](\p{N})", "${1} ${2}")
        .str.replace_all(_OUT_OF, "${1}${2} of ${3}${4}")
        .str.replace_all(_COMPOUND, "${1}${2}")
    )


def split_signs(title: pl.Expr) -> pl.Expr:
    """Numerals that are one character set apart from letters beside them: before NFKC.

    Those in circles and brackets become ``nr`` and the number.
    """
    return title.str.replace_all(_SIGNS, " ${1} ").str.replace_all(_CIRCLED, " nr ${1} ")


def fold_letters(title: pl.Expr) -> pl.Expr:
    """A letter that counts as ``0`` and the letter: ``Part B`` becomes ``Part 0B``.

    It counts behind a word of `COUNTING`: at the end, before a sign, and within a title where it
    is a capital that is no word; and as a capital behind a sign at the very end. I, V and X are
    Roman numerals.

    Args:
        title: Titles as `unaccent` leaves them, with their capitals.
    """
    return (
        title.str.replace_all(_LETTER_AT_END, "${1}0${2}${3}")
        .str.replace_all(_LETTER_BEFORE_SIGN, "${1}0${2}${3}")
        .str.replace_all(_LETTER_WITHIN, "${1}0${2}${3}")
        .str.replace_all(_LETTER_BEHIND_SIGN, "${1}0${2}${3}")
    )


_SIGNS = r"([\x{2150}-\x{2188}]+)"
_CIRCLED = (
    r"([\x{2460}-\x{249b}\x{24ea}-\x{24ff}\x{2776}-\x{2793}\x{3251}-\x{325f}\x{32b1}-\x{32bf}])"
)
_COUNTING_WORDS = pl.Series(" ".join(COUNTING.values()).split())
_LETTERED = "|".join(
    pl.select(unaccent(pl.lit(_COUNTING_WORDS))).to_series().unique(maintain_order=True)
)
_BEFORE_LETTER = rf"((?:^|[^\p{{L}}\p{{M}}\p{{N}}])(?i:{_LETTERED})\.?[\s_-]+)"
_LETTER = r"[\p{Lu}\x{5d0}-\x{5ea}\x{621}-\x{64a}--IVX]"
_LETTER_AT_END = rf"{_BEFORE_LETTER}((?i:{_LETTER}))([)\].!?'\x{{5f3}}\x{{2019}}]*\s*)$"
_LETTER_BEFORE_SIGN = (
    rf"{_BEFORE_LETTER}({_LETTER})"
    r"('?\s*[)\]:;,|\x{2013}\x{2014}]|'?\s+[(\[-]|\.\s|\s+(?:of|de|du|des|del|do|da|von)\s)"
)
_LETTER_WITHIN = rf"{_BEFORE_LETTER}([B-DF-H])(\s)"
_LETTER_BEHIND_SIGN = r"([:|\x{2013}\x{2014}-]\s+|[(\[])([A-HJ-UWYZ])([)\]]?\s*)$"
# One word, however it is written.
_COMPOUND = (
    r"(\b(?:semi|quarter|demi|yar\x{131}|ceyrek|segunda|terca|quarta|quinta|sexta))[ -]"
    r"((?:final(?:e|s|es)?|feira)\b)"
)
# Not within a date such as 5/12/2024.
_OUT_OF = r"(^|[^\p{N}/])([1-9][0-9]?)\s?/\s?([1-9][0-9]?)($|[^\p{N}/])"


def _han(number: int) -> Iterator[str]:
    """The ways to write a number below 200: 十二, 一二, 百二十."""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    one = _HAN_DIGITS[ones] if ones else ""
    ten = ("" if tens == 1 and not hundreds else _HAN_DIGITS[tens]) + "十" if tens else ""
    if not hundreds:
        yield ten + one
    else:
        linked = ten + one if tens or not ones else f"零{one}"
        yield from (f"百{linked}", f"一百{linked}", f"一百{'一' if tens == 1 else ''}{linked}")
    if number >= 10:
        yield "".join(_HAN_DIGITS[int(digit)] for digit in str(number))


def _roman(number: int) -> str:
    tens, ones = divmod(number, 10)
    tenfold = ["", "x", "xx", "xxx", "xl", "l", "lx", "lxx", "lxxx"][tens]
    return tenfold + ["", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"][ones]


def _digits() -> Iterator[tuple[str, str]]:
    for code in range(0x80, _SUPPLEMENTARY):  # the digits beyond are NFKC's
        if unicodedata.category(chr(code)) == "Nd":
            yield chr(code), str(unicodedata.decimal(chr(code)))
    for code in (*range(0x24EB, 0x2500), *range(0x2776, 0x2794)):  # circles that NFKC keeps
        yield chr(code), str(int(unicodedata.numeric(chr(code))))


def _han_numbers() -> Iterator[tuple[str, str]]:
    for number in range(1, _MOST_HAN + 1):
        for han in dict.fromkeys(_han(number)):
            yield from ((before + han, f"{before}{number}") for before in _BEFORE_HAN)
            yield from ((han + after, f"{number}{after}") for after in _COUNTED_HAN)
            if number <= _FEW:
                formal = han.translate(_FORMAL)
                yield f"第{formal}", f"第{number}"
                yield f"之{han}", f"之{number}"
                yield f"パート{han}", f" part {number}"
                yield from ((han + after, f"{number}{after}") for after in _COUNTED_FEW)


def _lone_words() -> Iterator[tuple[str, str]]:
    yield from ((f"パート{digit}", f" part {digit}") for digit in range(10))
    for word in (*HALVES, *WEEKDAYS.split(), *HOURS.split()):
        if word[0] >= "\u3000":
            yield word, f" {word} "


def _compounds() -> Iterator[tuple[str, str]]:
    ones, nths = CARDINALS.split()[:9], ORDINALS.split()[:9]
    for ten, word in enumerate(TENS.split(), start=2):
        for one, (cardinal, ordinal) in enumerate(zip(ones, nths, strict=True), start=1):
            for link in "- ":
                yield f"{word}{link}{cardinal}", f"{ten}{one}"
                yield f"{word}{link}{ordinal}", f"{ten}{one}th"


_PATTERNS = [*_digits(), *_han_numbers(), *_lone_words(), *_compounds()]
# The longest first: 第十二 is not 第十 and a 二.
_FOLDED = dict(sorted(_PATTERNS, key=lambda one: len(one[0]), reverse=True))
