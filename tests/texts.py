"""Small news texts of our own in languages that the default model does not read, by topic."""

# ruff: noqa: E501 (a text is a line)

from recsys.schemas import Article
from tests.builders import article

GERMAN = {
    "fussball": """
Dortmund gewinnt das Spitzenspiel gegen Leipzig. Zwei Tore in der Schlussphase drehten die Partie vor vollem Stadion.
Torwart verlängert seinen Vertrag bis 2029. Der Stammtorhüter bleibt dem Verein trotz Angeboten aus England treu.
Trainer nach fünf Niederlagen entlassen. Der Verein zieht vor dem Spiel gegen Mainz die Reißleine, der Co-Trainer übernimmt.
Elfmeter in der Nachspielzeit entscheidet das Pokalspiel. Der Schiedsrichter sah sich die Szene mehrmals an, dann fiel das Tor.
Stürmer fällt mit Kreuzbandriss aus. Der beste Torschütze des Vereins fehlt der Mannschaft in den restlichen Spielen der Saison.
""",
    "wahl": """
Parteien beginnen Gespräche über eine Koalition. Nach der Landtagswahl reicht es nur für ein Bündnis aus drei Parteien.
Wahlbeteiligung so hoch wie seit zwanzig Jahren nicht. Besonders junge Wähler gingen an die Urne, sagt der Wahlleiter.
Ministerpräsidentin kündigt Rücktritt an. Sie zieht damit die Folgen aus der verlorenen Wahl ihrer Partei im Landtag.
Opposition fordert Neuwahlen im Herbst. Die Koalition habe im Landtag keine Mehrheit mehr, sagt ihr Fraktionschef.
Umfrage sieht die Regierung vor der Wahl im Rückstand. Die Partei der Kanzlerin verliert bei Wählern auf dem Land.
""",
    "wetter": """
Sturmtief bringt Orkanböen an die Küste. Der Wetterdienst warnt vor umstürzenden Bäumen und einer Sturmflut in der Nacht.
Hitzewelle mit Temperaturen bis 38 Grad. Der Wetterdienst rät, viel zu trinken; Abkühlung bringen erst Gewitter am Freitag.
Schneefall legt den Verkehr im Gebirge lahm. Bis zu vierzig Zentimeter Schnee fielen in der Nacht, weitere Schauer folgen.
Dauerregen lässt Flüsse über die Ufer treten. Der Wetterdienst erwartet auch am Wochenende kräftige Schauer und Gewitter.
Nach dem Regen kommt der Frost. Die Temperaturen sinken in der Nacht unter null Grad, auf den Straßen droht Glätte.
""",
    "bahn": """
Lokführer streiken ab Mittwoch. Die Bahn rechnet mit Ausfällen im Fernverkehr, viele Züge fahren nach einem Notfahrplan.
Neue Schnellstrecke verkürzt die Fahrt nach München. Die Züge brauchen künftig keine drei Stunden mehr, verspricht die Bahn.
Bahnhof wird für zwei Jahre zur Baustelle. Reisende müssen auf Busse umsteigen, weil Gleise und Bahnsteige erneuert werden.
Verspätungen im Fernverkehr nehmen zu. Nur jeder zweite Zug war im Oktober pünktlich, räumt der Vorstand der Bahn ein.
Nachtzug nach Wien fährt wieder. Die Bahn setzt auf Schlafwagen, Fahrkarten für die Züge gibt es ab Montag.
""",
    "kochen": """
Kürbissuppe mit Ingwer und Kokosmilch. Das Rezept gelingt in dreißig Minuten, dazu passt geröstetes Brot mit Butter.
So wird der Apfelkuchen saftig. Wer den Teig eine Stunde ruhen lässt und saure Äpfel nimmt, backt wie die Großmutter.
Fünf Rezepte mit Linsen für kalte Tage. Eintopf, Salat und Suppe: Hülsenfrüchte sind billig und schnell gekocht.
Brot backen ohne Knetmaschine. Mehl, Wasser, Salz und viel Zeit genügen; der Teig geht über Nacht im Kühlschrank.
Sauce aus drei Zutaten zu frischen Nudeln. Butter, Salbei und Zitrone reichen, das Rezept stammt aus einer Küche in Parma.
""",
    "medizin": """
Grippewelle füllt die Wartezimmer. Ärzte raten Älteren zur Impfung, in den Kliniken werden die Betten knapp.
Neues Medikament gegen Migräne zugelassen. In der Studie halbierte sich bei Patienten die Zahl der Tage mit Kopfschmerzen.
Kliniken fehlen Pflegekräfte. Patienten warten länger auf eine Operation, warnt die Ärztekammer in ihrem Bericht.
Impfung gegen Gürtelrose schützt auch das Herz. Die Studie mit zwanzigtausend Patienten überrascht die Ärzte.
Schlaf hilft dem Gedächtnis. Patienten, die in der Studie länger schliefen, erinnerten sich besser, berichten Mediziner.
""",
    "raumfahrt": """
Rakete bringt Satelliten ins All. Der Start in Kourou gelang im zweiten Anlauf, der Satellit beobachtet das Eis der Pole.
Sonde findet Spuren von Wasser auf dem Mars. Die Raumfahrtbehörde will nun Proben vom roten Planeten zur Erde holen.
Teleskop zeigt die bisher fernste Galaxie. Das Licht war länger als dreizehn Milliarden Jahre im All unterwegs.
Astronautin kehrt von der Raumstation zurück. Nach sechs Monaten im All landete die Kapsel mit der Besatzung im Meer.
Start der Mondmission verschoben. Ein Leck im Tank der Rakete zwingt die Raumfahrtbehörde zu einer neuen Prüfung.
""",
    "wohnen": """
Mieten in den Großstädten steigen weiter. Wer eine Wohnung neu mietet, zahlt im Mittel acht Prozent mehr als im Vorjahr.
Stadt baut tausend günstige Wohnungen. Ein Drittel der neuen Wohnungen geht an Familien mit geringem Einkommen.
Streit um die Mietpreisbremse. Vermieter klagen gegen die Verlängerung, der Mieterbund verlangt strengere Regeln.
Zinsen für Baukredite fallen. Makler spüren mehr Nachfrage nach Häusern, die Preise für Wohnungen ziehen wieder an.
Leere Büros werden zu Wohnungen. Der Umbau ist teuer, lindert aber den Mangel an Wohnraum in der Innenstadt.
""",
}

TURKISH = {
    "futbol": """
Galatasaray derbiyi son dakika golüyle kazandı. Takım maçın ikinci yarısında on kişi kalmasına rağmen üç puanı aldı.
Milli takımın maç kadrosu açıklandı. Teknik direktör iki genç futbolcuyu ilk kez takıma çağırdı.
Kalecinin sözleşmesi uzatıldı. Kulüp, başarılı futbolcuyu üç yıl daha takımda tutacak.
Hakem kararları maça damga vurdu. Takımın teknik direktörü penaltının verilmemesine tepki gösterdi, golün iptaline de.
Golcü oyuncu sakatlandı. Futbolcu altı hafta takımından ayrı kalacak ve derbi maçında oynayamayacak.
""",
    "deprem": """
Ege Denizi'nde 5,1 büyüklüğünde deprem. Sarsıntı kıyı illerinde hissedildi, can kaybı bildirilmedi.
Uzmanlar deprem bölgesinde yeni sarsıntılar bekliyor. Artçıların haftalarca sürebileceği ve hasarlı binalara girilmemesi söylendi.
Binaların depreme dayanıklılığı inceleniyor. Belediye riskli binaları yıkıp yeniden yapacak.
Depremden etkilenen aileler yeni konutlarına taşındı. Hasarlı binaların yerine bin konut yapıldı.
Okullarda deprem tatbikatı yapıldı. Öğrenciler sarsıntı sırasında ne yapacaklarını öğrendi, binalar boşaltıldı.
""",
    "ekonomi": """
Merkez Bankası faizi sabit tuttu. Kurul enflasyondaki düşüşün sürmesini beklediğini açıkladı.
Enflasyon kasımda yüzde iki arttı. Gıda fiyatlarındaki yükseliş enflasyonu beklentilerin üzerine taşıdı.
Dolar kuru yeni zirvesini gördü. Bankanın faiz kararı sonrası lira değer kaybetti, altın fiyatları yükseldi.
Asgari ücret görüşmeleri başladı. İşçi sendikaları ücretin enflasyonun üzerinde artırılmasını istiyor.
Borsa haftayı yükselişle kapattı. Banka hisseleri faiz indirimi beklentisiyle değer kazandı.
""",
    "yemek": """
Evde mercimek çorbası nasıl yapılır? Tarifin sırrı soğanı tereyağında yavaş kavurmak ve çorbayı limonla sunmak.
Fırında sebzeli tavuk tarifi. Marine edilen tavuk, patates ve biberle birlikte bir saatte pişiyor.
Baklavanın hamuru için püf noktaları. Usta, hamurun ince açılmasını ve tereyağının sıcak dökülmesini öneriyor.
Kahvaltı için üç kolay börek tarifi. Peynirli, patatesli ve ıspanaklı hamur yarım saatte fırında pişiyor.
Zeytinyağlı yaprak sarma tarifi. Pirinci soğanla kavurup limonla pişirmek yemeğe lezzet katıyor.
""",
    "uzay": """
Türk astronot uzay istasyonuna ulaştı. Kapsül on dört saatlik yolculuğun ardından istasyona kenetlendi.
Yerli uydu uzaya fırlatıldı. Uydu, roketten ayrıldıktan sonra ilk sinyalini gönderdi.
Teleskop uzak bir gezegende su buharı buldu. Gökbilimciler gezegenin atmosferini uzaydan inceledi.
Ay görevi ertelendi. Roketteki yakıt sızıntısı yüzünden fırlatma gelecek aya kaldı.
Mars'taki araç yeni görüntüler gönderdi. Gezegenin yüzeyinde eski bir nehir yatağı görülüyor, uzay ajansı açıkladı.
""",
    "saglik": """
Grip vakaları arttı, hastaneler doldu. Doktorlar yaşlılara ve hastalara aşı olmalarını öneriyor.
Yeni kanser ilacı hastalara umut oldu. Doktorlar tedavi gören hastaların yarısında tümörün küçüldüğünü söyledi.
Hastanelerde randevu sorunu. Hastalar doktor bulmakta zorlanıyor, bakanlık yeni hekim alacak.
Uykusuzluk kalp hastalığı riskini artırıyor. Doktorlar yetişkinlere yedi saat uyku öneriyor.
Çocuklara kızamık aşısı çağrısı. Bakanlık aşı olmayan çocukların hastalığa yakalanma riskinin arttığını bildirdi.
""",
}

JAPANESE = {
    "野球": """
大谷が今季五十号の本塁打。九回に逆転の一打を放ち、チームは地区優勝に王手をかけた。
甲子園で延長十五回の熱戦。両校の投手が投げ合い、最後は押し出しの四球で試合が決まった。
巨人の新監督に元捕手が就任。若手投手の育成とチームの守備の立て直しを掲げた。
投手が無安打無得点試合を達成。百二十球を投げて三振は十二、球団では二十年ぶりとなった。
ドラフト会議で高校生投手に五球団が競合。抽選の結果、交渉権は地元の球団が獲得した。
""",
    "選挙": """
衆議院選挙の投票が始まる。与党が過半数の議席を維持できるかが焦点となる。
知事選挙で新人が現職を破る。投票率は前回の選挙を上回り、無党派の票が流れた。
首相が衆議院の解散を表明。野党は内閣不信任案を準備しており、選挙は来月の見通し。
野党が選挙協力で合意。小選挙区で候補者を一本化し、与党の議席を減らす狙いだ。
世論調査で内閣の支持率が下落。与党内からも選挙への影響を心配する声が出ている。
""",
    "天気": """
台風十号が九州に接近。気象庁は暴風と高波に警戒し、早めに避難するよう呼びかけている。
関東で今年初の猛暑日。気象庁によると気温は三十七度に達し、熱中症への警戒が必要だ。
日本海側で大雪の恐れ。気象庁は交通への影響に警戒するよう呼びかけ、積雪は五十センチの予想。
梅雨前線が停滞し大雨に。川の増水と土砂災害に警戒が必要だと気象庁が発表した。
桜の開花は平年より早い見通し。三月の気温が高いためで、気象庁は東京の開花を二十日ごろと予想。
""",
    "料理": """
だしの取り方で変わる味噌汁。昆布と煮干しを水に一晩つけるだけで味が深くなる。
フライパンで作る鶏の照り焼き。しょうゆとみりんの味をからめて十分で完成する簡単な料理。
新米をおいしく炊くこつ。水を少なめにし、炊き上がったらすぐにほぐすと甘みが出て味がよい。
余った野菜で作るかき揚げ。衣の水は冷たく、油の温度を保つとさくさくに揚がる料理になる。
しょうゆ味の肉じゃがの作り方。じゃがいもは煮くずれしないよう弱火で煮て、みりんで味を整える。
""",
    "宇宙": """
探査機が小惑星の砂を持ち帰る。宇宙から地球に戻ったカプセルは砂漠で回収された。
新型ロケットの打ち上げに成功。衛星は予定の軌道に入り、宇宙機構は次の打ち上げを年内に行う。
宇宙飛行士が国際宇宙ステーションに到着。半年間滞在し、船外活動も行う予定だ。
月面着陸機との通信が回復。宇宙機構は太陽電池に光が当たったとみている。
望遠鏡が最も遠い銀河を観測。宇宙の誕生から三億年後の光をとらえたと発表した。
""",
    "鉄道": """
新幹線が大雪で運転を見合わせ。東京と新潟の間の列車が止まり、駅は乗客であふれた。
地下鉄の新駅が来春に開業。列車は朝の時間帯に三分おきに運転される。
寝台列車が五十年の歴史に幕。最後の列車を見送ろうと、駅のホームに多くの鉄道ファンが集まった。
鉄道の運賃が四月から値上げ。駅のホームドアの整備費用に充てると鉄道会社は説明した。
赤字の路線をバスに転換へ。地元は列車の運転を続けるよう鉄道会社に求めている。
""",
}

BY_LANGUAGE = {"de": GERMAN, "tr": TURKISH, "ja": JAPANESE}


def articles_in(language: str, **fields: object) -> list[Article]:
    """The articles of a language, their topic as section, named like ``de-wetter-3``."""
    return [
        article(
            f"{language}-{topic}-{number}",
            title=text.replace("。", "。 ", 1).split(" " if language == "ja" else ". ", 1)[0],
            abstract=text,
            section=f"{language} {topic}",
            language=language,
            hours_old=float(number + 1),
            **fields,
        )
        for topic, texts in BY_LANGUAGE[language].items()
        for number, text in enumerate(texts.strip().splitlines())
    ]
