"""Titles as weighted terms: the words of a title, and the information of each.

Belongs here: reading words out of titles of any script, and weighing them by how rare they are, in
titles in general and in a window. Does not belong here: comparing titles (`clustering`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import polars as pl

from ytap_assets.domain.stories.numerals import fold_letters, fold_numbers, split_signs, unaccent
from ytap_assets.domain.text import NO_TITLE, has_non_ascii

SCALE = 1024
"""Weights are whole numbers, this for a length of 1: sums of them do not depend on their order."""

MAX_CHARACTERS = 300
"""What a title says, it says early; the rest of a longer one is not read."""

RAREST_SHARE = 1 / 20_000
"""No word counts as rarer than this: in a small window every other word occurs once."""

GENERAL_TITLES = 30_000
"""A window's counts are shares of its titles and so many others: a small one proves little."""

_NO_WINDOW = 2**40
"""A window with so many titles that no count is a share of them."""
_NUMBER_SHARE = 0.01
_CERTAIN = 2.0
_FORM_SHARE = 0.05
_FORM = """
    official video audio lyrics lyric visualizer trailer teaser promo clip mv music highlights full
    game match fight show episode ep part season vol volume chapter preview recap review reaction
    reacts watch live stream livestream premiere ft feat featuring remix cover version hd 4k uhd vs
    weekly daily monthly yearly quarterly thread discussion megathread questions question self
    promotion moronic newbie beginner noob casual lounge showcase portfolio ama update updates news
    breaking report january february march april may june july august september october november
    december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday
    friday saturday sunday today tonight tomorrow yesterday day week month year
"""
_PRECISION = 2**23
_ROWS_AT_ONCE = 1_000_000
_PHRASE_FACTOR = 0.5
_PHRASE_EVIDENCE = 0.8
_UNSPACED_FACTOR = 0.6
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_UNSPACED}]+|[\p{{L}}\p{{M}}\p{{N}}--[{_UNSPACED}]]+(?:[.,]\p{{N}}+)*"
INVISIBLE = (
    r"[\p{Cf}\x{00}-\x{08}\x{0e}-\x{1f}\x{7f}-\x{84}\x{86}-\x{9f}\x{115f}\x{1160}\x{17b4}\x{17b5}"
    r"\x{180b}-\x{180f}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{e0100}-\x{e01ef}]"
)
"""Characters that nobody sees, as a regular expression: soft hyphens and other format characters,
controls, fillers, variation selectors."""
Words = TypeVar("Words", pl.Expr, pl.Series)

_NUMBER = r"^(?:[\p{N}.,]+|0\p{L})$"


def read_words(titles: pl.DataFrame) -> pl.DataFrame:
    """The words of titles, in their order.

    Case, accents, possessives, English endings and invisible characters are removed; numerals are
    written in digits (`numerals.fold_numbers`). Scripts that put no spaces between words, and
    Korean, whose words carry their particles, give pairs of characters.

    Args:
        titles: ``title_no`` and ``title``.

    Returns:
        ``title_no`` and ``word``; no row for a title without words.
    """
    return spell_words(*number_words(titles))


def number_words(titles: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The words of titles as `read_words` gives them, each as its number in a vocabulary.

    Args:
        titles: ``title_no`` and ``title``.

    Returns:
        ``title_no`` and ``word`` (UInt32), and the vocabulary: distinct words, sorted.
    """
    spelled = titles.select("title_no", word=_plain(titles["title"]).str.extract_all(_WORD))
    words = spelled.explode("word").drop_nulls()
    is_unspaced = words.get_column("word").str.contains(rf"^[{_UNSPACED}]")
    if is_unspaced.any():
        runs = words.with_row_index("run")
        spaced = runs.filter(~is_unspaced).with_columns(at=pl.lit(0, pl.UInt32))
        in_pairs = _character_pairs(runs.filter(is_unspaced))
        # One number to sort by takes a third of the time of two.
        place = pl.col("run").cast(pl.UInt64) * 2**32 + pl.col("at")
        words = pl.concat([spaced, in_pairs]).sort(place)
    # Groups of rows take half the time of distinct words and a join with them.
    distinct = words.select("word").with_row_index("row").group_by("word").agg("row")
    stems = stem(distinct.get_column("word"))
    vocabulary = stems.unique().sort().alias("word")
    places = distinct.select("row", number=vocabulary.search_sorted(stems)).explode("row")
    numbers = pl.zeros(words.height, pl.UInt32, eager=True)
    numbers.scatter(places["row"], places["number"].cast(pl.UInt32))
    return words.select("title_no", word=numbers), vocabulary


def spell_words(words: pl.DataFrame, vocabulary: pl.Series) -> pl.DataFrame:
    """``words`` with the words themselves in place of their numbers."""
    return words.with_columns(word=pl.lit(vocabulary).gather(pl.col("word")))


def weigh_terms(
    words: pl.DataFrame, vocabulary: pl.Series, *, with_window: bool = True
) -> pl.DataFrame:
    """Each title's distinct words and phrases of two words, weighed; each title's length is 1.

    A word says -ln(share): its share of titles in general (`COMMON_SHARES`; `_FORM` for words
    that say what kind of thing a title names), or in this window, as far as its count proves that
    (count - 2 sqrt(count)), whichever is largest. A phrase says half of what its words say.

    Args:
        words: ``title_no`` (UInt32) and ``word``, in order (`number_words`). With
            ``workspace_no`` (UInt32), the titles of each workspace are a window of their own, and
            so are its terms.
        vocabulary: The words by number, sorted.
        with_window: Whether shares in this window count. If not, the weights of a title depend on
            its own words only.

    Returns:
        ``title_no``, ``term`` (UInt32), ``weight`` (Int32, `SCALE` = 1), ``evidence`` (Int32, 1/100
        nat: what sharing the term proves, negative for phrases, since their words have been counted
        each for itself) and ``titles`` (how many have the term), in the order of the terms: those
        of words before those of phrases.
    """
    numbered, terms = _number_terms(words)
    singles = _deduplicate(numbered.select("title_no", key=pl.col("term").cast(pl.UInt64)))
    terms = terms.with_columns(titles=_run_lengths(singles))
    if not with_window:
        terms = terms.with_columns(size=pl.lit(_NO_WINDOW, pl.Int64))
    terms = terms.with_columns(information=_information(terms, vocabulary))
    phrases = _deduplicate(_pair_words(numbered))
    both = _weigh_phrases(phrases, terms)
    offset = terms.height
    rows = pl.concat(
        [
            singles.select("title_no", term=pl.col("key").cast(pl.UInt32)),
            phrases.select("title_no", term=pl.col("key").rle_id() + offset),
        ]
    )
    del numbered, singles, phrases
    known = pl.concat([terms.select("titles", "information", evidence="information"), both])
    return _scale(rows, known)


def _number_terms(words: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``title_no, term`` of each word, and ``workspace_no, word, size`` of each term."""
    if "workspace_no" not in words.columns:
        words = words.with_columns(workspace_no=pl.lit(0, pl.UInt32))
    key = pl.col("workspace_no").cast(pl.UInt64) * 2**32 + pl.col("word")
    keyed = words.select("title_no", key=key)
    keys = keyed.select(pl.col("key").unique().sort()).with_row_index("term")
    sizes = (
        words.select("workspace_no", "title_no")
        .unique()
        .group_by("workspace_no")
        .agg(size=pl.len().cast(pl.Int64))
    )
    terms = keys.select(
        workspace_no=(pl.col("key") // 2**32).cast(pl.UInt32),
        word=(pl.col("key") % 2**32).cast(pl.UInt32),
    ).join(sizes, on="workspace_no", how="left", maintain_order="left")
    numbered = keyed.join(keys, on="key", how="left", maintain_order="left")
    return numbered.select("title_no", "term"), terms


def _pair_words(numbered: pl.DataFrame) -> pl.DataFrame:
    """Each two words that follow each other in a title: ``title_no``, ``key`` (both terms)."""
    following = numbered.shift(-1)
    is_same = numbered["title_no"] == following["title_no"]
    key = numbered["term"].cast(pl.UInt64) * 2**32 + following["term"]
    return pl.DataFrame({"title_no": numbered["title_no"], "key": key}).filter(is_same)


def _deduplicate(rows: pl.DataFrame) -> pl.DataFrame:
    """``title_no, key`` in the order of the keys, each once; rows come in order of the titles."""
    rows = rows.sort("key", maintain_order=True)
    is_new = pl.col("key").ne_missing(pl.col("key").shift())
    is_new |= pl.col("title_no").ne_missing(pl.col("title_no").shift())
    return rows.filter(is_new)


def _run_lengths(rows: pl.DataFrame) -> pl.Series:
    return rows.get_column("key").rle().struct.field("len").cast(pl.Int64)


def _information(terms: pl.DataFrame, vocabulary: pl.Series) -> pl.Series:
    """The information of each word (nats)."""
    general = _read_general_shares(vocabulary)
    known = terms.with_columns(general.select(pl.all().gather(terms["word"])).get_columns())
    share = pl.max_horizontal(_share(), "share")
    return known.select(-share.log() * pl.col("factor")).to_series()


def inform(vocabulary: pl.Series) -> pl.Series:
    """The information of each word in general, without a window (nats)."""
    share = pl.col("share").clip(lower_bound=RAREST_SHARE)
    return _read_general_shares(vocabulary).select(-share.log() * pl.col("factor")).to_series()


def _read_general_shares(vocabulary: pl.Series) -> pl.DataFrame:
    """``share`` of titles in general, and ``factor`` of the information, of each word."""
    word = pl.col("word")
    common = word.replace_strict(_COMMON_WORDS, _SHARES, default=0.0, return_dtype=pl.Float64)
    form = pl.when(word.is_in(_FORM_WORDS.implode())).then(_FORM_SHARE).otherwise(0.0)
    number = pl.when(word.str.contains(_NUMBER)).then(_NUMBER_SHARE).otherwise(0.0)
    is_unspaced = word.str.contains(rf"^[{_UNSPACED}]")
    return (
        vocabulary.alias("word")
        .to_frame()
        .select(
            share=pl.max_horizontal(common, form, number),
            factor=pl.when(is_unspaced).then(_UNSPACED_FACTOR).otherwise(1.0),
        )
    )


def _share() -> pl.Expr:
    """The lower bound of the share of all titles that have a term, at least `RAREST_SHARE`."""
    certain = pl.col("titles") - _CERTAIN * pl.col("titles").sqrt()
    return (certain / (pl.col("size") + GENERAL_TITLES)).clip(lower_bound=RAREST_SHARE)


def _weigh_phrases(phrases: pl.DataFrame, terms: pl.DataFrame) -> pl.DataFrame:
    """``titles, information, evidence`` of each distinct phrase, in order."""
    runs = phrases.get_column("key").rle()
    pair = runs.struct.field("value")
    first, second = (pair // 2**32).cast(pl.UInt32), (pair % 2**32).cast(pl.UInt32)
    information = terms.get_column("information")
    words = pl.DataFrame(
        {
            "titles": runs.struct.field("len").cast(pl.Int64),
            "size": terms.get_column("size").gather(first),
            "one": information.gather(first),
            "two": information.gather(second),
        }
    )
    mean = pl.mean_horizontal("one", "two") * _PHRASE_FACTOR
    return words.select(
        "titles",
        information=pl.min_horizontal(mean, -_share().log()),
        evidence=-pl.min_horizontal("one", "two") * _PHRASE_EVIDENCE,
    )


def _scale(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The rows with what is known of their terms, and the weights of a title of length 1."""
    # Whole numbers, since a sum of floats depends on their order.
    whole = (known.get_column("information") * _PRECISION).round().cast(pl.Int64)
    square = (whole * whole).alias("square")
    squares = rows.select("title_no", square=square.gather(rows["term"]))
    lengths = squares.group_by("title_no").agg(pl.col("square").sum().sqrt() / _PRECISION)
    del squares
    length = number_values(lengths["title_no"], lengths["square"])
    known = known.select(
        "information",
        evidence=(pl.col("evidence") * 100).round().cast(pl.Int32),
        titles=pl.col("titles").cast(pl.UInt32),
    )
    # Some rows at a time, since floats of all would take more memory than anything else here.
    starts = range(0, max(1, rows.height), _ROWS_AT_ONCE)
    return pl.concat(
        _scale_part(rows.slice(start, _ROWS_AT_ONCE), known, length) for start in starts
    )


def _scale_part(rows: pl.DataFrame, known: pl.DataFrame, length: pl.Series) -> pl.DataFrame:
    scaled = rows.with_columns(known.select(pl.all().gather(rows["term"])).get_columns())
    weight = pl.col("information") / pl.lit(length).gather(pl.col("title_no")) * SCALE
    return scaled.filter(pl.col("information") > 0).select(
        "title_no", "term", weight.round().cast(pl.Int32).alias("weight"), "evidence", "titles"
    )


def number_values(numbers: pl.Series, values: pl.Series) -> pl.Series:
    """The value of each number from 0 to the greatest; null if there is none."""
    count = 0 if numbers.is_empty() else int(numbers.max()) + 1  # type: ignore[arg-type]
    return pl.repeat(None, count, dtype=values.dtype, eager=True).scatter(numbers, values)


def stem(word: Words) -> Words:
    """English endings off, lightly: two words that fall together by mistake cost precision."""
    return (
        word.str.replace(r"^([a-z]{2,})ies$", "${1}y")
        .str.replace(r"^([a-z]{3,}(?:[sxz]|ch|sh))es$", "${1}")
        .str.replace(r"^([a-z]{2,}[^sui])s$", "${1}")
        .str.replace(r"^([a-z]{3,})(?:ing|ed|er)$", "${1}")
        .str.replace(r"^([a-z]{3,})e$", "${1}")
    )


_FORM_WORDS = stem(pl.Series(_FORM.split())).unique()


def fold(words: Iterable[str]) -> list[str]:
    """Words of a vocabulary, in the form that `read_words` returns."""
    plain = unaccent(pl.lit(pl.Series(list(words)))).str.to_lowercase()
    return stem(pl.select(plain).to_series()).to_list()


def _plain(titles: pl.Series) -> pl.Expr:
    seen = titles.str.replace_all(INVISIBLE, "").str.slice(0, MAX_CHARACTERS)
    seen = seen.set(seen.str.contains(NO_TITLE), None)
    # Most titles are plain ASCII, which has no accents.
    rows = has_non_ascii(seen).arg_true()
    plain = pl.select(unaccent(split_signs(pl.lit(seen.gather(rows))))).to_series()
    return fold_numbers(
        fold_letters(pl.lit(seen.scatter(rows, plain)))
        .str.to_lowercase()
        .str.replace_all(r"#(\p{N})", " nr ${1}")
        .str.replace_all(r"['\u2019\u02bc`]s\b", "")
        .str.replace_all(r"['\u2019\u02bc`]", "")
    )


def _character_pairs(runs: pl.DataFrame) -> pl.DataFrame:
    """Overlapping pairs of characters; a run of one character is itself."""
    characters = runs.with_columns(pl.col("word").str.extract_all(r".")).explode("word")
    following = pl.col("word").shift(-1).over("run")
    return (
        characters.with_columns(
            following=following,
            at=pl.int_range(pl.len(), dtype=pl.UInt32).over("run"),
            length=pl.len().over("run"),
        )
        .filter(pl.col("following").is_not_null() | (pl.col("length") == 1))
        .select("run", "title_no", pl.col("word") + pl.col("following").fill_null(""), "at")
    )


# `_BANDS` is written by `scripts/count_common_words.py`. Its words are stems (`stem`).
_BANDS = {
    # Of 89,658 distinct titles of Hacker News, Reddit and YouTube.
    0.05: """
        a and for i in is of on the to with
    """,
    0.02: """
        all an are as ask at be by from gam has hav hn how it mak my new not official show
        that this til tim video vs was what why year you your
    """,
    0.01: """
        about aft app appl best but can cod day do episod ever first found full get googl he
        her his history if into its just lik liv look mad me mor most music no now one open
        or out over peopl play python say so than their they trail up us use want we when
        who will work world youtub
    """,
    0.005: """
        against ai american any back been befor being big bill black break build call car
        challeng chang com company comput could creat data design develop did doe dont down
        driv end engin ep every facebook film find fre friend ft futur giv go good got guy
        hack had happen hd help high highlight him hom hous human im internet iphon job kid
        kill know languag last launch learn let lif lov man may microsoft million movi nam
        nba need nev next nr off old only oth our own part plan post programm project r
        react real releas research reveal review right s scienc scientist season see servic
        should softwar som song sourc spac star start startup stat still stop system tak
        talk team test them ther thing think today top trump try turn tv two u updat user
        using war watch way web week wer which whil win would x
    """,
    0.002: """
        3d access account actually ad add again age ago air album algorithm allow almost am
        amaz amazon america android announc anoth anyon api application april around art
        attack audio award away awesom b baby bad ball ban bank bas battl beat becaus becom
        behind believ bett between biggest billion bit block book box boy brain bring brows
        built business buy c camera canc cant card cas cat caus cell ceo charact charg check
        children china chines chris christma chrom city claim class clos cloud colleg color
        command comment control cool cost country court cov crash crazy crim custom cut danc
        dark dat de dead deal death deep destroy development didnt die digital discover
        doesnt dog doing don donald dragon drama drop drug dur e each earth easy eat els
        email employe engineer espn even event everyon everyth experienc explain fac fail
        fak fall family fan far fast favorit fbi feat featur feel few fight fil final
        finally fir fiv fix food forc form fortnit four framework fuck fund funny gett giant
        girl github goal goe going government great guid half hand hard hat head heart heat
        hir hit host hot hour hunt ice idea imag includ india industry insid interest
        interview introduc ios isnt ive jam january japan javascript joe john join js keep
        key king korea la lak land lat latest law lead leak leav lebron left less lett level
        library light lin link linux list littl long los lost low lyric m mac machin makeup
        manag many map mar march market matt mean media meet memory men messag michael might
        min mind minecraft minut miss mobil mod model modern moment money month moon mov
        movy much must nasa national net netflix network night non north numb offic onc
        onlin ord original os pag pap park party pass past paul pay pdf perfect performanc
        person philosophy phon photo pic pictur pirat plac platform pleas point polic pow
        president pric print prison pro problem process product program protest provid
        public put question rac rais rat reaction read really reason record red reddit remov
        report result return ris road robot rock rocket room royal rul run runn russia said
        sal sam san sav scen school screen search second secret security seen self sell serv
        sery set shar she shoot short shot sid sign simpl sinc sing singl sit slow small
        smart snowden social solar solv someon someth sound spe speak special sport stephen
        stev stor story stream street student study styl sun sup support surpris t tap teach
        teas tech technology tell tesla text thank then theory thes thought thre through too
        took tool tour track train twitt typ uber uk und unit until used v version very view
        voic vot w walk warn wat websit well went wher whit window without woman women wont
        word worst writ wrong york young zero
    """,
    0.001: """
        abl accept accord across act action actor address ads adult adventur advic agency
        agent al alien already also alternativ alway ama among analysis ancient animal
        animat animation announcement anonymous answ anti anyth appear apply approach area
        arent arm army arrest articl artist astronaut attempt australia australian automat
        availabl aveng avoid band bann bar basic bay bbc beautiful beauty becam beginn ben
        beta bird birthday bitcoin blind blog blood blow blu board body bomb boss boston bot
        both bought bowl brand brief british brok broken broth brown budget bug burn cabl
        cak california cam campaign canada canadian captur cash cast catch caught cent
        century champion channel chapt chart chat cheap cheat chicken chief child chip
        classic clean cleveland client climat clip club cnn co collection commercial common
        community compar compil complet completely complex concept conferenc confirm
        congress connect consum contain content continu cook cop copyright cor count coupl
        cours crack creator credit crew crisis cross css cup curiosity current curry d dad
        daily damag dan databas daught david dear debat decemb decid decision delet demand
        desktop detail detect dev devic died different director discov discovery disney
        display distribut diy django dna dock doctor document dollar domain donat door doubl
        download dr draft draw dream dress drink dron dropp due early east edg edition
        edward effect egg el electric elon en encryption energy english enjoy enough entir
        epic era escap et eu europ european evidenc evolution exampl exclusiv exist expect
        expensiv experiment expert explor expos extend extension eye f fact famous farm fath
        fear february feed femal fib field fin finish firefox firm fish flash flight florida
        flow fly focus follow footag football fox francisco french front fun function g
        galaxy gameplay gav gen generat generation german germany gif gift git glass global
        god gold golden gon grand greatest green group grow gta guess gun hair halloween
        handl happy harry health hear heard hell hero hey hid hidden himself hol hold
        hollywood hop hotel http hug hum hurrican id ii ill illegal impact important improv
        incom increas incredibl infinity information insan inspir install instead intel
        intelligenc interfac international introduction io ipad island issu j jack jackson
        jail jan japanes java jimmy jok jon jordan judg jump jun justin k kevin kick kim
        kind kitchen known kob l laptop larg largest las laugh le leagu least led legal
        legend lego les lesson lie lil limit lion listen literatur load local location lock
        london loss lot macbook madrid magic mail major management mario mark marvel mass
        massiv mast match math max memb met mik mil military mini mission mistak mit mom
        monitor monst morn moth motion mr msnbc multipl musk mystery myth n nation nativ
        near nearly neil neural nfl nic nightmar nintendo nod noth notic novemb nsa nuclear
        o obama object ocean oh oil olympic operation ops p packag paid paint parent paris
        password patent patrol pattern pc per percent perform personal pet physic pi pick
        planet plant playoff plus podcast pokemon policy pop popular porn port possibl power
        powerful practic prank pre present press pretty prim princ privacy privat probably
        produc production promis promo protect publish pull punk push q quality quantum
        queen quit radio raid rail random rank rap raptor ray re reach ready reality realiz
        receiv reduc refus relea rememb remix remot replac request requir respond respons
        rest revers rich rid ring rip risk rival rol roll ros round rov ruby ruin russian
        rust samsung sand saw scal scor scott script sea secur seek seem send sent sentenc
        sex ship shit shock shop shut shuttl silicon siri six siz skill skin sky slack sleep
        smartphon smith sneak solution son soon south spacex spark speech spend spent spot
        spy stack stag stand standard station stay steal steam step stock stopp storm strang
        strik studio stuff sub such suck suggest suit summ sur surfac surveillanc surviv
        swift switch tabl taken talent target tast tax technical teen ten texa theyr third
        thos thousand thread threat threaten throw ticket tiny tip titl togeth told tom
        tonight toronto touch town trad traffic travel tre treat tri trick troll tru truth
        tutorial tweet tyson ultimat un understand univers university unix unlock unveil usa
        valley valu via victim virtual visit visual wait wall warrior wav wear wedd weird
        welcom west whol wif wikipedia wild william winn wish won worth written wrot xbox
        yes yet youv
    """,
    0.0005: """
        1st 20th 2nd 3rd 4k 4th aaron abandon abc ability abov absolutely abus accident
        accidentally accus acquir activity actual adam admit adopt advanc advertis affect
        africa african agre ahead aid aim airbnb airlin airport alert alex aliv alon along
        alpha amount analytic analyz angel angry anniversary annoy ant anthony anymor apart
        apis apollo apparently appeal approv arriv artificial ass assang assault assembly
        asteroid astronom atom attention audienc august austin author authority auto
        automatically averag backdoor background bacteria bag balanc bang basketball battery
        bear beast bed bee beer begin behavior bell benchmark benefit beyond bigg bik
        billionair bing birth blad blak blam blast blockchain boat bon bond boost bor born
        bottl bottom boyfriend brazil breakdown breakfast breakthrough bridg britain bro
        brought bubbl bull bully bus bust button buzz camp cancel candidat cannot cap
        capital carbon carri carry cart cav celebrat celebrity celtic censor censorship
        championship chanc charity charl charli chas chatgpt chees chef chemical chess
        chicago childhood chill chocolat choic choos church cia circl citizen clash claud
        clear click climb clinton clock clon cloth coach coast coffe cohen colbert cold
        collaps collect comeback comedy comic commit communication comparison competition
        compilation complaint component con conan concern concert condition confus
        connection consid consider consol conspiracy contact contest contract controll
        conversation convert convinc copy corporat correct costum couldnt cover creation
        creativ criminal critical crowd crush cry crypto cs cultur cur currently cyb da
        dalla damn dangerous daniel danny dav dc debt debugg debut dec decad declar declin
        default defeat defend defens degrass degre del delay deliv delivery demo demonstrat
        department deploy describ desk despit detroit diamond diet differenc difficult dinn
        dinosaur direct directly disabl disappear disast discuss diseas div dj doc
        documentary doom dos dotcom drag driven drunk dud dumb duncan dunk duty dvd dwight
        dying dynamic ea eagl earn earthquak economic economy ed edit editor education
        effectiv effort election electricity electronic eliminat embedd emergency emotional
        empir employ encrypt ent enter enterpris entertainment environment error etc eve
        everybody evil evolv ex exactly exchang excit executiv exercis expand explanation
        explod exploit explosion extra extrem factor factory failur fair falcon fallout
        fantasy fashion fastest fat fcc feb fed federal fee feedback feet festival fi figur
        fill filt financ financial fit flam flask flood floor fool ford foreign forest forev
        forget format forward foundation fram franc fraud freak freedom fresh friday
        friendly frozen fruit fuel fully functional funeral funniest gadget gain gang gas
        gat gay gend general generator genetic genius geo georg ghost girlfriend given glob
        gmail gnu golf goodby gordon grac grad graham grammy grant graph graphic gravity
        griffin ground growth guard guest guilty guitar h hall harden hardwar harvard havent
        hawaii hawk hbo headphon heavy hello hi highest hilarious hill hillary hiv hobbit
        holiday holy homeless honest honor horror hospital houston howard html html5
        humanity humbl hundr hurt husband ibm icon ide identifi identify idol ignor imac
        implement implementation impossibl impress impression index indian infinit influenc
        info injury innovation instagram instant interactiv internal invent invest
        investigation investor ip iran irish iron isp israel iss item itself itun jason jay
        jedi jeff jenn jersey jet jim johnny johnson journey joy jr json juic july jurassic
        justic kany kelly kendrick kept keyboard keynot khan kickstart kimmel kingdom kiss
        kit knew knight knowledg korean lab label lack lady lamar lawsuit lawy lay layout
        leaf lee leg licens lift lightn likely lip liquid lisp llm log logic logo loop lord
        loud lucky magazin main mal malwar manufactur mapl marijuana marriag martin material
        mayb mcdonald meal measur meat medal medical medium mega mem mental mess messeng
        metal method mexican mexico miami mic michigan micro microservic middl milky mill
        minist mirror missil mix mo modul mon monday monkey monologu moor morgan mountain
        mous movement mozilla multi murd museum musical muslim myself nail natur natural nbc
        nhl nick nin ninja noah nobody nois normal norton notification nov nsfw nvidia nyc
        octob offer officially often oldest operat opinion option oracl orbit order org
        organization origin oscar outsid pac pacific pack pain pal panel pars particl partn
        passeng patch path patient payment pep perspectiv petition pg phas phil photograph
        php physical physicist piano piec pilot pink pip piracy pitch pixel pizza plann
        plastic playlist playstation plugin political poll poor population position
        potential pour practical predict prediction pregnant premier prepar pressur prevent
        preview priz professional professor profit progress promot proof property propos
        proposal protection protocol prototyp prov ps4 pt pur putt puzzl quart quest quick
        quickly quot rainbow ram ran rang rant rar raspberry rath raw realistic recent
        recently recip recognition recogniz recommend recruit referenc regular reject relat
        relationship remain remak remind rescu resign resolution resourc responsibl
        restaurant restor retir revenu revolution richard rick ridiculous riv rob robert rog
        roman root rout routin row roy rush russell ryan saa sad saf safety salary salt
        santa sarah satellit saturday saturn saudi scam scandal scar scary schedul schem
        scientific scrap scratch sean seat seattl secretly seiz senat senior sens septemb
        sequel serial serious seriously session sett setup seven several sexual shadow shak
        shap shaq shark sheet shell shift shin shirt shopp shouldnt shutt sick signal silenc
        sim simon simulator sist skip skyp skyrim slam slid slim smil smok snl society sold
        soldi solo somebody sometim sonic sony sorry sort soul soviet spacecraft specy spid
        spin spoil spotify spr spread spur sql squar ssh staff statement static statistic
        status steel stem stick stol stolen ston storag str straight strategy strip strong
        structur struggl stupid subscrib subscription success successful successfully sue
        sued suicid sunday supply suprem surgery survey suspect sweden sweet sync syria
        tablet tag tal tank task taught taylor tear techniqu teenag teeth telescop
        television temperatur term terminal terribl theat themselv thoma thund thursday tir
        tomorrow ton tony tor total tournament tow toward toy transf transform transition
        trash treatment trek trend trial tribut trillion trip tripl troubl truck trudeau
        trust turkey twic twin twist ubuntu ui ultra unbox union uniqu universal unknown
        upcom upgrad upload upon urban urg url useful vaccin valv van vega vehicl ventur
        verizon versus vic victory villag vim viral virus vision visualiz visualization
        volcano vr vulnerability wak warrant washington wasnt wast weapon weath weekend
        weekly weight western wev wheel whos wi wid wifi wikileak wind wing wint wip wir
        wireless within wizard wolf wond wood wors wow wtf y yahoo yesterday youll yourself
        z zomby zon zuckerberg
    """,
}

COMMON_SHARES = {word: share for share, words in _BANDS.items() for word in words.split()}
"""The share of titles in general that contain a word, rounded down to the band. With these shares,
common words such as "how" get a low weight also in a window of forty titles."""
_COMMON_WORDS, _SHARES = list(COMMON_SHARES), list(COMMON_SHARES.values())
