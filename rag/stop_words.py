"""Words that tell nothing of what a text is about, and words that make a sentence a question, by language."""

from collections.abc import Iterable
from functools import cache

# Lucene's EnglishAnalyzer list, plus the words that make a sentence a question: they tell nothing about its answer.
_ENGLISH = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with what which who whom whose how when where why do does did should would could can may i my me we "
    "our you your am has have had"
)

# The lists that come with bm25s have few question words, and for some languages there is no list.
_QUESTIONS = {
    "ar": "من ما ماذا متى اين كيف لماذا كم هل اي هو هي هذا هذه التي الذي في على الى عن ان",
    "da": "hvad hvem hvor hvornår hvordan hvorfor hvilken hvilket hvilke",
    "de": "was wer wen wem wessen wo woher wohin wann wie warum wieso weshalb welche welcher welches welchen welchem "
    "wieviel wofür womit wozu worin wodurch kann muss soll darf man gibt",
    "el": "τι ποιος ποια ποιο ποιοι ποιες που ποτε πως γιατι ποσο ποσα ποσοι και το τα του της των στο στη με για απο",
    "es": "qué quién quiénes cuál cuáles cuándo cuánto cuánta cuántos cuántas dónde adónde cómo puede pueden hay",
    "fr": "qui que quoi quel quelle quels quelles où quand comment pourquoi combien lequel laquelle lesquels peut il "
    "elle est-ce faut",
    "it": "chi che cosa quale quali quando quanto quanta quanti quante dove come perché può",
    "ja": "です ます した する して いる ある ない この その どの どこ いつ だれ 誰 なに 何 なぜ "
    "から まで れる られ とは には では での",
    "ko": "무엇 누구 언제 어디 어떻게 어떤 어느 왜 얼마나 몇",
    "nl": "wat wie waar wanneer hoe waarom welke welk hoeveel kan kunnen",
    "no": "hva hvem hvor når hvordan hvorfor hvilken hvilket hvilke",
    "pl": "co kto gdzie kiedy jak dlaczego ile który która które czy jest są na do nie się od za przez dla",
    "pt": "que quem qual quais quando quanto quanta quantos quantas onde como porquê pode",
    "ru": "что кто кого кому чей где куда откуда когда как почему зачем какой какая какое какие сколько который ли",
    "sv": "vad vem var vart när hur varför vilken vilket vilka",
    "tr": "ne kim kime hangi nerede nereye nasıl neden niçin kaç mı mi mu mü",
    "zh": "什么 多少 哪个 哪些 哪里 哪儿 哪种 哪位 谁 为什么 为何 怎么 怎样 如何 何时 什 几 吗 呢",
}  # fmt: skip

_LISTS = {
    "da": "DANISH", "de": "GERMAN", "es": "SPANISH", "fr": "FRENCH", "it": "ITALIAN", "ko": "KOREAN", "nl": "DUTCH",
    "no": "NORWEGIAN", "pt": "PORTUGUESE", "ru": "RUSSIAN", "sv": "SWEDISH", "tr": "TURKISH", "zh": "CHINESE",
}  # fmt: skip
"""What bm25s (MIT licence) calls its lists."""

_SAME = {"nb": "no", "nn": "no"}

LANGUAGES = ("en", *sorted({*_QUESTIONS, *_LISTS}))
"""The languages that have a list."""


@cache
def stop_words(language: str) -> frozenset[str]:
    """Returns the stop words of a language by its ISO 639-1 code, in small letters; none for one without a list."""
    language = _SAME.get(language, language)
    if language == "en":
        return frozenset(_ENGLISH.split())
    listed: Iterable[str] = ()
    if language in _LISTS:
        import bm25s.stopwords

        listed = getattr(bm25s.stopwords, f"STOPWORDS_{_LISTS[language]}")
    return frozenset((*listed, *_QUESTIONS.get(language, "").split()))


def language_by_stop_words(words: Iterable[str], likely: Iterable[str] = ()) -> str:
    """Returns the language that most of a text's words are stop words of; "" where that is not at least two words.

    Of equals one that is `likely` is taken, else none.
    """
    distinct = set(words)
    counts = {language: len(distinct & stop_words(language)) for language in LANGUAGES}
    most = max(counts.values())
    best = [language for language, count in counts.items() if count == most]
    if len(best) > 1:
        best = [language for language in best if language in set(likely)]
    return best[0] if most >= 2 and len(best) == 1 else ""
