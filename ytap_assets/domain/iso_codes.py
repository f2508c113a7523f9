"""Codes of languages (ISO 639) and of countries (ISO 3166-1).

Belongs here: which codes there are, and which one is meant by another. Does not belong here: how a
language is recognized (`languages`), or who asks for a country's charts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ytap_assets.config_keys import find_nearest

# Its codes of ISO 639-1 and ISO 639-2 (of two, the terminological one first), and its name.
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
# The codes of ISO 639-2 without one of two letters: languages, families, and und, mul, mis, zxx.
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
# ISO 639-3 counts these as single languages within one of the table, which titles are written in.
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
# What is no code of a language: codes of countries, and codes that were withdrawn.
_MEANT: Mapping[str, str] = {
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
    "EU": "no country; name each, such as DE, FR",
    "UK": "not the code of the United Kingdom; write GB",
}
_SHORTEST_NAME = 4
_TAG = re.compile(r"([a-z]{2,3})((?:[-_][a-z0-9]{1,8})*)", re.IGNORECASE)


def check_language(text: str) -> str:
    """A language's tag as it is written (``en``, ``pt-BR``, ``zh_Hant``), with two letters.

    Of a code of three letters (ISO 639-2, and some of ISO 639-3) the one of two letters is taken,
    where there is one: ``deu`` and ``ger`` are ``de``.

    Raises:
        ValueError: It is the name of a language, the code of a country, or another word: with it,
            no title would ever be in another language. The message names the nearest code.
    """
    match = _TAG.fullmatch(text)
    code = match[1].lower() if match else ""
    known = _TWO_LETTERS.get(code) or _SINGLE_LANGUAGES.get(code)
    if match is not None and known is not None:
        return known + match[2]
    if code in _NAMES or code in _OTHER_LANGUAGES.split():
        return text
    meant = _MEANT.get(code) or _find_language(text)
    advice = f": {meant} ({_NAMES[meant]})" if meant else ", such as en or pt-BR"
    raise ValueError(f"{text[:40]!r} is no language; write its ISO 639 code{advice}")


def _find_language(text: str) -> str | None:
    """The code of the language whose English name is nearest."""
    if len(text) < _SHORTEST_NAME:  # a code: one that is like it is another language
        return None
    codes = {name: code for code, name in _NAMES.items()}
    nearest = find_nearest(text[:40], codes)
    return None if nearest is None else codes[nearest]


def check_country(text: str) -> str:
    """A country's code of ISO 3166-1, two capitals.

    Raises:
        ValueError: It is none; the message says what to write.
    """
    if text in _COUNTRIES.split():
        return text
    spelled = text.strip().upper()
    advice = "write two capitals, such as US"
    if spelled in _NOT_COUNTRIES:
        advice = f"{spelled} is {_NOT_COUNTRIES[spelled]}"
    elif spelled in _COUNTRIES.split():
        advice = f"write {spelled}"
    raise ValueError(f"{text[:40]!r} is no country's code (ISO 3166-1 alpha-2): {advice}")
