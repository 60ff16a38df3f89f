import threading
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.segmentation import is_unspaced, pieces, words
from rag.stemming import stem
from rag.stop_words import LANGUAGES, language_by_stop_words, stop_words
from rag.tokens import LONGEST, query_terms, tokens

CODES = [
    "",
    "en",
    "de",
    "es",
    "fr",
    "tr",
    "fa",
    "ru",
    "sr",
    "uk",
    "ar",
    "he",
    "el",
    "hi",
    "zh",
    "ja",
    "ko",
    "th",
    "vi",
    "xx",
]
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "İSTANBUL",
                "I",
                "ﬁre",
                "ß",
                "中文",
                "の",
                "한국어",
                "كِتَاب",
                "हिन्दी",
                "\u0307",
                "\u0301",
                "_",
                "1",
                "the",
                "was",
                " ",
                "-",
                "·",
            ]
        ),
        max_size=12,
    ).map("".join),
)


# --- one word in all its spellings is one term


@pytest.mark.parametrize(
    ("language", "spellings"),
    [
        ("en", "embedder embedders Embedder's EMBEDDERS"),
        ("en", "naïve naive"),
        ("de", "Häuser HAUS Hauses haeuser"),
        ("de", "Straße STRASSE strasse"),
        ("es", "híbrida hibrida HÍBRIDAS"),
        ("fr", "modèles modele MODÈLE"),
        ("ru", "книга книги КНИГАМИ"),
        ("ru", "ёлка елка"),
        ("ar", "كِتَاب كتاب الكتاب كتـــاب"),
        ("ar", "أحمد احمد"),
        ("fa", "کتاب كتاب"),
        ("el", "ΑΘΗΝΑ Αθήνα αθηνα"),
        ("tr", "ŞEHİR şehir şehirler sehir"),
        ("tr", "ISPARTA ısparta"),
        ("hi", "किताब किताबें"),
        ("he", "שָׁלוֹם שלום"),
    ],
)
def test_spellings_and_inflections_of_a_word_are_one_term(language, spellings):
    terms = [tokens(spelling, language)[0] for spelling in spellings.split()]
    assert len(set(terms)) == 1
    decomposed = [tokens(unicodedata.normalize("NFD", spelling), language)[0] for spelling in spellings.split()]
    assert decomposed == terms


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [("en", "car", "care"), ("ru", "мир", "мэр"), ("de", "Hund", "Hand"), ("hi", "भाषा", "भूषा"), ("ta", "கல்", "கால்")],
)
def test_other_words_are_other_terms(language, one, other):
    assert tokens(one, language) != tokens(other, language)


@pytest.mark.parametrize("text", ["हिन्दी", "தமிழ்", "తెలుగు", "বাংলা", "ไทย", "עִבְרִית", "naïve"])
def test_marks_do_not_break_a_word(text):
    assert len(words(text)) == 1


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("en", "What is the capital of France?", ["capit", "franc"]),
        ("de", "Was ist die Hauptstadt?", ["hauptstadt"]),
        ("es", "¿Cuál es la capital?", ["capital"]),
        ("fr", "Quelle est la capitale ?", ["capital"]),
        ("ru", "Какой город?", ["город"]),
        ("zh", "什么是检索？", ["么是", "是检", "检索", "检", "索"]),
        ("ja", "検索とは", ["検索", "索と", "検", "索"]),
        ("nb", "Hva er hovedstaden?", ["hovedstad"]),
        ("uk", "місто", ["місто"]),  # no stemmer: the word as it is
        ("ru", "the retrievers", ["retriev"]),  # words of another script are read as English
        ("zh", "the retrievers", ["retriev"]),
        ("", "the retrievers книги", ["retriev", "книг"]),
    ],
)
def test_stop_words_and_stems_are_the_languages_own(language, text, terms):
    assert tokens(text, language) == terms


def test_a_word_is_cut_where_it_is_data_rather_than_language():
    assert len(tokens("x" * 100_000)[0]) <= LONGEST


@pytest.mark.parametrize("text", ["東京タワー", "人々", "한국어", "กรุงเทพ", "မြန်မာ", "ខ្មែរ", "𠮷野家", "ﾃｽﾄ"])
def test_scripts_without_spaces_are_found_by_any_part_of_two_letters(text):
    (run,) = words(text)
    assert is_unspaced(run)
    for start in range(len(run) - 1):
        assert set(pieces(run[start : start + 2])) <= set(pieces(run))


def test_punctuation_of_any_script_parts_words():
    assert words("東京・大阪。京都、奈良") == ["東京", "大阪", "京都", "奈良"]
    assert words("कल। आज؟ نعم، لا") == ["कल", "आज", "نعم", "لا"]


# --- what holds of any text


@given(TEXTS, st.sampled_from(CODES))
@example("İ", "tr")
def test_terms_of_any_text_are_the_same_whatever_its_unicode_form(text, language):
    terms = tokens(text, language)
    assert all(terms)
    assert tokens(unicodedata.normalize("NFC", text), language) == terms
    assert tokens(f" {text} ", language) == terms


@given(TEXTS, st.lists(st.sampled_from(CODES), min_size=1, max_size=4, unique=True))
@example("İI ıi", ["en", "tr"])
@example("يكى", ["fa", "ar"])
def test_a_query_finds_a_text_that_is_equal_to_it_in_any_language(text, languages):
    """Only stop words may be lost, by the language the query is taken to be in."""
    asked = query_terms(text, languages)
    assert all(terms and all(terms) for terms in asked)
    sought = {term for terms in asked for term in terms}
    guessed = language_by_stop_words(words(text), languages)
    for language in languages:
        empty = stop_words(guessed) if guessed else frozenset().union(*map(stop_words, languages))
        lost = {term for word in empty for term in tokens(word, language)}
        assert set(tokens(text, language)) <= sought | lost
        assert sought <= {term for code in languages for term in tokens(text, code)}


@given(TEXTS)
def test_without_a_language_a_query_has_the_terms_of_the_text(text):
    known = [term for terms in query_terms(text, [""]) for term in terms]
    assert set(known) <= set(tokens(text))
    assert query_terms(text, []) == []


# --- the language of a query


@pytest.mark.parametrize(
    ("query", "language"),
    [
        ("What is the difference between them?", "en"),
        ("Was ist die Hauptstadt von Peru?", "de"),
        ("¿Cuál es la capital de Perú?", "es"),
        ("Quelle est la capitale de la France ?", "fr"),
        ("Какой это город и где он?", "ru"),
        ("BM25", ""),
        ("die hard", ""),
        ("", ""),
    ],
)
def test_stop_words_tell_the_language_of_a_query(query, language):
    assert language_by_stop_words(words(query)) == language


def test_words_of_a_mixed_library_are_looked_for_in_each_of_its_languages():
    assert query_terms("Häuser", ["de", "en"]) == [("haus", "hauser")]
    assert query_terms("die hard", ["en"]) == [("die",), ("hard",)]
    assert query_terms("die hard", ["de", "en"]) == [("hard",)]  # in whatever language that is
    assert query_terms("When did she die of it", ["de", "en"]) == [("she",), ("die",)]
    assert query_terms("Was ist die Hauptstadt", ["en"]) == [("hauptstadt",)]  # a German question of English texts


def test_every_list_is_in_the_form_of_words():
    for language in LANGUAGES:
        assert stop_words(language)
        for word in stop_words(language):
            assert word == unicodedata.normalize("NFKC", word).lower().strip() or not word.isascii()
    assert stop_words("nn") == stop_words("no")
    assert stop_words("xx") == frozenset()


def test_threads_stem_alike():
    vocabulary = [
        f"{word}{ending}" for word in ("retriev", "embedd", "search") for ending in ("er", "ing", "ers", "es")
    ] * 50
    expected = [stem(word, "en") for word in vocabulary]
    found = []
    threads = [
        threading.Thread(target=lambda: found.append([stem(word, "en") for word in vocabulary])) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 6
