"""Languages and countries: their ISO codes, and whether a title is clearly in another language.

Belongs here: codes of languages (ISO 639) and countries (ISO 3166-1), scripts, and the most
frequent words of a few languages. Does not belong here: the effect on a score (`relevance`), or
charts of countries. A language is detected only where it is obvious, because titles are short,
names are international, and a wrong match costs a good topic.

py3langid and lingua are not used: they mark English titles as foreign, and take 7 to 500 times the
time. Nor is pycountry: it takes 77 ms to load (`docs/adr/0028-libraries.md`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from ytap_assets.config_keys import find_nearest
from ytap_assets.domain.text import has_non_ascii

# ISO 639-1 code, ISO 639-2 codes (the terminological one first), and name.
_LANGUAGES = """
    aa aar Afar; ab abk Abkhazian; ae ave Avestan; af afr Afrikaans; ak aka Akan; am amh Amharic;
    an arg Aragonese; ar ara Arabic; as asm Assamese; av ava Avaric; ay aym Aymara;
    az aze Azerbaijani; ba bak Bashkir; be bel Belarusian; bg bul Bulgarian; bh bih Bihari;
    bi bis Bislama; bm bam Bambara; bn ben Bengali; bo bod tib Tibetan; br bre Breton;
    bs bos Bosnian; ca cat Catalan; ce che Chechen; ch cha Chamorro; co cos Corsican; cr cre Cree;
    cs ces cze Czech; cu chu Church Slavic; cv chv Chuvash; cy cym wel Welsh; da dan Danish;
    de deu ger German; dv div Divehi; dz dzo Dzongkha; ee ewe Ewe; el ell gre Greek;
    en eng English; eo epo Esperanto; es spa Spanish; et est Estonian; eu eus baq Basque;
    fa fas per Persian; ff ful Fulah; fi fin Finnish; fj fij Fijian; fo fao Faroese;
    fr fra fre French; fy fry Western Frisian; ga gle Irish; gd gla Scottish Gaelic;
    gl glg Galician; gn grn Guarani; gu guj Gujarati; gv glv Manx; ha hau Hausa; he heb Hebrew;
    hi hin Hindi; ho hmo Hiri Motu; hr hrv Croatian; ht hat Haitian; hu hun Hungarian;
    hy hye arm Armenian; hz her Herero; ia ina Interlingua; id ind Indonesian; ie ile Interlingue;
    ig ibo Igbo; ii iii Sichuan Yi; ik ipk Inupiaq; io ido Ido; is isl ice Icelandic;
    it ita Italian; iu iku Inuktitut; ja jpn Japanese; jv jav Javanese; ka kat geo Georgian;
    kg kon Kongo; ki kik Kikuyu; kj kua Kuanyama; kk kaz Kazakh; kl kal Kalaallisut; km khm Khmer;
    kn kan Kannada; ko kor Korean; kr kau Kanuri; ks kas Kashmiri; ku kur Kurdish; kv kom Komi;
    kw cor Cornish; ky kir Kyrgyz; la lat Latin; lb ltz Luxembourgish; lg lug Ganda;
    li lim Limburgan; ln lin Lingala; lo lao Lao; lt lit Lithuanian; lu lub Luba-Katanga;
    lv lav Latvian; mg mlg Malagasy; mh mah Marshallese; mi mri mao Maori; mk mkd mac Macedonian;
    ml mal Malayalam; mn mon Mongolian; mr mar Marathi; ms msa may Malay; mt mlt Maltese;
    my mya bur Burmese; na nau Nauru; nb nob Norwegian Bokmål; nd nde North Ndebele; ne nep Nepali;
    ng ndo Ndonga; nl nld dut Dutch; nn nno Norwegian Nynorsk; no nor Norwegian;
    nr nbl South Ndebele; nv nav Navajo; ny nya Chichewa; oc oci Occitan; oj oji Ojibwa;
    om orm Oromo; or ori Oriya; os oss Ossetian; pa pan Punjabi; pi pli Pali; pl pol Polish;
    ps pus Pashto; pt por Portuguese; qu que Quechua; rm roh Romansh; rn run Rundi;
    ro ron rum Romanian; ru rus Russian; rw kin Kinyarwanda; sa san Sanskrit; sc srd Sardinian;
    sd snd Sindhi; se sme Northern Sami; sg sag Sango; si sin Sinhala; sk slk slo Slovak;
    sl slv Slovenian; sm smo Samoan; sn sna Shona; so som Somali; sq sqi alb Albanian;
    sr srp Serbian; ss ssw Swati; st sot Southern Sotho; su sun Sundanese; sv swe Swedish;
    sw swa Swahili; ta tam Tamil; te tel Telugu; tg tgk Tajik; th tha Thai; ti tir Tigrinya;
    tk tuk Turkmen; tl tgl Tagalog; tn tsn Tswana; to ton Tonga; tr tur Turkish; ts tso Tsonga;
    tt tat Tatar; tw twi Twi; ty tah Tahitian; ug uig Uyghur; uk ukr Ukrainian; ur urd Urdu;
    uz uzb Uzbek; ve ven Venda; vi vie Vietnamese; vo vol Volapük; wa wln Walloon; wo wol Wolof;
    xh xho Xhosa; yi yid Yiddish; yo yor Yoruba; za zha Zhuang; zh zho chi Chinese; zu zul Zulu
"""
# ISO 639-2 codes without a two-letter code: languages, families, and und, mul, mis, zxx.
_OTHER_LANGUAGES = """
    ace ach ada ady afa afh ain akk ale alg alt ang anp apa arc arn arp art arw ast ath aus awa
    bad bai bal ban bas bat bej bem ber bho bik bin bla bnt bra btk bua bug byn cad cai car cau
    ceb cel chb chg chk chm chn cho chp chr chy cmc cnr cop cpe cpf cpp crh crp csb cus dak dar
    day del den dgr din doi dra dsb dua dum dyu efi egy eka elx enm ewo fan fat fil fiu fon frm
    fro frr frs fur gaa gay gba gem gez gil gmh goh gon gor got grb grc gsw gwi hai haw hil him
    hit hmn hsb hup iba ijo ilo inc ine inh ira iro jbo jpr jrb kaa kab kac kam kar kaw kbd kha
    khi kho kmb kok kos kpe krc krl kro kru kum kut lad lah lam lez lol loz lua lui lun luo lus
    mad mag mai mak man map mas mdf mdr men mga mic min mis mkh mnc mni mno moh mos mul mun mus
    mwl mwr myn myv nah nai nap nds new nia nic niu nog non nqo nso nub nwc nym nyn nyo nzi osa
    ota oto paa pag pal pam pap pau peo phi phn pon pra pro raj rap rar roa rom rup sad sah sai
    sal sam sas sat scn sco sel sem sga sgn shn sid sio sit sla sma smi smj smn sms snk sog son
    srn srr ssa suk sus sux syc syr tai tem ter tet tig tiv tkl tlh tli tmh tog tpi tsi tum tup
    tut tvl tyv udm uga umb und vai vot wak wal war was wen xal yao yap ypk zap zbl zen zgh znd
    zun zxx zza
"""
_NAMES: Mapping[str, str] = {
    entry.split()[0]: re.sub(r"^(?:\s*[a-z]+\b)+\s+", "", entry) for entry in _LANGUAGES.split(";")
}
_TWO_LETTERS: Mapping[str, str] = {
    code: entry.split()[0]
    for entry in _LANGUAGES.split(";")
    for code in re.findall(r"\b[a-z]{3}\b", entry)
}
# ISO 639-3 codes of single languages within a macrolanguage of the table.
_SINGLE_LANGUAGES: Mapping[str, str] = {
    code: two
    for two, codes in {
        "ar": "apc arb ars ary arz",
        "et": "ekk",
        "fa": "pes prs",
        "ku": "ckb kmr",
        "lv": "lvs",
        "mn": "khk",
        "ms": "zlm zsm",
        "ne": "npi",
        "or": "ory",
        "sq": "als",
        "sw": "swh",
        "tl": "fil",
        "uz": "uzn",
        "zh": "cmn hak nan wuu yue",
    }.items()
    for code in codes.split()
}
# Codes that are not languages, with the probable one: countries, and withdrawn codes.
_PROBABLE_CODES: Mapping[str, str] = {
    code: two
    for two, codes in {
        "ar": "eg iq",
        "cs": "cz",
        "da": "dk",
        "de": "at",
        "el": "gr",
        "en": "gb us usa",
        "es": "mx spn",
        "fa": "ir",
        "he": "il iw",
        "id": "in",
        "ja": "jap jp",
        "jv": "jw",
        "ko": "kp",
        "ro": "mo",
        "sr": "rs sh",
        "tl": "ph",
        "uk": "ua",
        "ur": "pk",
        "vi": "vn",
        "yi": "ji",
        "zh": "cn",
    }.items()
    for code in codes.split()
}
_COUNTRIES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM
    ZW
"""
_NOT_COUNTRIES: Mapping[str, str] = {
    "EN": "a language; name countries, such as US or GB",
    "EU": "not a country; list each, such as DE, FR",
    "UK": "not the code of the United Kingdom; write GB",
}
_SHORTEST_NAME = 4
_TAG = re.compile(r"([a-z]{2,3})((?:[-_][a-z0-9]{1,8})*)", re.IGNORECASE)


def check_language(text: str) -> str:
    """Validate a language tag (``en``, ``pt-BR``, ``zh_Hant``).

    Three-letter codes (ISO 639-2, and some of ISO 639-3) are replaced by the two-letter code, if
    there is one: ``deu`` and ``ger`` become ``de``.

    Raises:
        ValueError: It is not a known code: with it, no title would be in another language. The
            message has the nearest code.
    """
    match = _TAG.fullmatch(text)
    code = match[1].lower() if match else ""
    known = _TWO_LETTERS.get(code) or _SINGLE_LANGUAGES.get(code)
    if match is not None and known is not None:
        return known + match[2]
    if code in _NAMES or code in _OTHER_LANGUAGES.split():
        return text
    nearest = _PROBABLE_CODES.get(code) or _find_language(text)
    advice = f": {nearest} ({_NAMES[nearest]})" if nearest else ", such as en or pt-BR"
    raise ValueError(f"{text[:40]!r} is not a language code; write an ISO 639 code{advice}")


def _find_language(text: str) -> str | None:
    """The code of the language with the most similar English name."""
    if len(text) < _SHORTEST_NAME:  # a code: a similar one is another language
        return None
    codes = {name: code for code, name in _NAMES.items()}
    nearest = find_nearest(text[:40], codes)
    return None if nearest is None else codes[nearest]


def check_country(text: str) -> str:
    """Validate a country code (ISO 3166-1 alpha-2).

    Raises:
        ValueError: It is not one; the message has the fix.
    """
    if text in _COUNTRIES.split():
        return text
    spelled = text.strip().upper()
    advice = "write two capitals, such as US"
    if spelled in _NOT_COUNTRIES:
        advice = f"{spelled} is {_NOT_COUNTRIES[spelled]}"
    elif spelled in _COUNTRIES.split():
        advice = f"write {spelled}"
    raise ValueError(f"{text[:40]!r} is not a country code (ISO 3166-1 alpha-2); {advice}")


_LATIN = r"\p{Latin}"
# Codes that are more often a mistake for a country (br, ch, kr, se) have no script.
_LANGUAGES_OF_SCRIPT: Mapping[str, str] = {
    _LATIN: "af ca cs cy da de en eo es et eu fi fo fr fy ga gd gl hr ht hu id ig is it jv la lb lt"
    " lv mg mi ms mt nb nl nn no oc pl pt qu rm ro rw sk sl sm sn so sq st su sv sw tl tn to tr ts"
    " vi wo xh yo zu",
    r"\p{Cyrillic}": "ba be bg ce cv ky mk ru tg tt uk",
    r"[\p{Cyrillic}\p{Latin}]": "az bs kk sr tk uz",
    r"\p{Devanagari}": "hi mr ne sa",
    r"\p{Arabic}": "ar fa ps sd ug ur",
    r"[\p{Arabic}\p{Latin}]": "ha ku",
    r"\p{Armenian}": "hy",
    r"\p{Bengali}": "as bn",
    r"\p{Ethiopic}": "am ti",
    r"\p{Georgian}": "ka",
    r"\p{Greek}": "el",
    r"\p{Gujarati}": "gu",
    r"[\p{Gurmukhi}\p{Arabic}]": "pa",
    r"\p{Hebrew}": "he yi",
    r"[\p{Han}\p{Hiragana}\p{Katakana}]": "ja",
    r"[\p{Hangul}\p{Han}]": "ko",
    r"\p{Kannada}": "kn",
    r"\p{Khmer}": "km",
    r"\p{Lao}": "lo",
    r"\p{Malayalam}": "ml",
    r"[\p{Mongolian}\p{Cyrillic}]": "mn",
    r"\p{Myanmar}": "my",
    r"\p{Oriya}": "or",
    r"\p{Sinhala}": "si",
    r"\p{Tamil}": "ta",
    r"\p{Telugu}": "te",
    r"\p{Thaana}": "dv",
    r"\p{Thai}": "th",
    r"\p{Tibetan}": "bo dz",
    r"\p{Han}": "zh",
}
_SCRIPT_OF = {
    code: script for script, codes in _LANGUAGES_OF_SCRIPT.items() for code in codes.split()
}
_NAMED_SCRIPTS: Mapping[str, str] = {
    "arab": r"\p{Arabic}",
    "cyrl": r"\p{Cyrillic}",
    "deva": r"\p{Devanagari}",
    "guru": r"\p{Gurmukhi}",
    "latn": _LATIN,
}
_COMMON_WORDS: Mapping[str, str] = {
    "de": "der das und ist nicht ein eine ich mit für auf wie wir auch sich vom beim",
    "en": "the and of to is for with you this that how why what my from are it was on in by a i",
    "es": "el los las una por para con del que más cómo qué es y mi",
    "fr": "le les des une est et pour dans sur avec qui pas vous du je ce",
    "it": "il gli della che di per con non una sono è come nel la",
    "nl": "het een van niet voor met ik dat wat naar ook",
    "pt": "não uma com para você dos das os em mais que é do na um",
}
_FEWEST_LETTERS = 6
_FEWEST_COMMON_WORDS = 2


def has_other_languages(language: str) -> bool:
    """Whether titles in other languages than the given one can be detected.

    Args:
        language: As in `detect_other_language`.
    """
    return _find_script(language) is not None


def detect_other_language(texts: pl.Series, language: str) -> pl.Series:
    """Whether each text is clearly not in a language; false if it is unclear or null.

    Two criteria: fewer than a third of its letters (of at least 6) are of the language's script; or
    it has at least two of another language's most frequent words and none of the language's own.

    Args:
        texts: Titles, normalized (NFKC).
        language: ISO 639-1, such as ``en`` or ``pt-BR``. If `has_other_languages` is false for
            it, the result is false for every text.
    """
    code, script = _split_tag(language)[0], _find_script(language)
    is_other = pl.repeat(value=False, n=texts.len(), dtype=pl.Boolean, eager=True)
    if script is None:
        return is_other
    # Most titles need neither test: ASCII is Latin, and one word of the language is enough.
    doubtful = texts.is_not_null()
    if script == _LATIN:
        doubtful &= has_non_ascii(texts)
    rows = doubtful.arg_true()
    is_other = is_other.scatter(rows, _has_foreign_script(texts.gather(rows), script))
    if code in _COMMON_WORDS:
        rows = (~(texts.str.contains(_words_regex(code)) | is_other)).arg_true()
        is_other = is_other.scatter(rows, _has_foreign_words(texts.gather(rows), code))
    return is_other


def _has_foreign_script(texts: pl.Series, script: str) -> pl.Series:
    letters = texts.str.count_matches(r"\p{Alphabetic}")
    return (letters >= _FEWEST_LETTERS) & (texts.str.count_matches(script) * 3 < letters)


def _has_foreign_words(texts: pl.Series, code: str) -> pl.Series:
    others = (
        pl.col("text").str.count_matches(_words_regex(other)) >= _FEWEST_COMMON_WORDS
        for other in _COMMON_WORDS
        if other != code
    )
    return texts.alias("text").to_frame().select(pl.any_horizontal(others)).to_series()


def _split_tag(language: str) -> list[str]:
    return language.lower().replace("_", "-").split("-")


def _find_script(language: str) -> str | None:
    """The script of a language; a script in its tag takes precedence."""
    code, *subtags = _split_tag(language)
    named = (_NAMED_SCRIPTS[subtag] for subtag in subtags if subtag in _NAMED_SCRIPTS)
    return next(named, _SCRIPT_OF.get(code))


def _words_regex(code: str) -> str:
    return rf"(?i)\b(?:{'|'.join(_COMMON_WORDS[code].split())})\b"
