"""How common words are in titles; data, written by `scripts/count_common_words.py`.

Belongs here: shares that hold for any window, so that a day of forty titles knows that "how" says
little. Does not belong here: what only this window shows (`terms`).

Counted over 89,658 distinct titles of Hacker News, Reddit and YouTube. Words are as
`terms.stem` leaves them.
"""

from __future__ import annotations

_BANDS = {
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
"""The share of titles that have a word, rounded down to the band."""
