"""Completes a question that leans on the conversation before it, so that it can be searched for; by rules alone.

"And in German?" finds nothing by itself. What it leaves out stands in the questions before, so a few of their words are
added. A question that stands alone stays as it is: words of another subject would only harm it. What leans is told by
how few words of its own a question has, by pronouns and by how it begins; what this gains and what it costs was
measured (docs/llm.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.schema import Turn
from rag.segmentation import is_unspaced, words
from rag.stemming import stem
from rag.stop_words import LANGUAGES, language_by_stop_words, stop_words

WHOLE = 3
"""Words that a question needs to stand alone; one with fewer borrows what it lacks."""

FEW_WITH_PRONOUN, FEW_AFTER_OPENING = 6, 4
"""Words up to which one with a pronoun, or one that begins as a continuation, leans all the same; it borrows `WHOLE`:
more of them would drown its own."""

ENOUGH = 2
"""Words that must be found to choose from, before questions still further back are read."""

REASON = "completed with words of the conversation"

_ASKED = (
    "a about all also and any are be been being but can could did do does don't else few from get got had has have he "
    "her here him his how i i'm if is it it's its just like many may me mean might more most much my no not of oh ok "
    "okay one only or other others our out please pls same she should so some sorry such tell than thank thanks that "
    "that's the their them then there there's these they this those to too up us very was we well were what what's "
    "when where which who whom whose why will with would yes yet you your"
)
_COURTESY = (
    "answer ask explain fine good great help hello hey hi information interesting know need nice provide question see "
    "sure understand want"
)
_NOTHING_SAID = frozenset((*_ASKED.split(), *_COURTESY.split()))
"""English words that no search is for, those of courtesy included."""

_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|theirs|these|those|this|he|she|his|hers?|him|the same)\b"
    r"|\b(?:about|of|to|in|for|like|with|do|does|is|was|than|after|before|by) that\b|\bthat\s*[?.!,]"
    r"|\b(?:ihn|ihm|ihnen|diese[mnrs]?|dessen|deren|davon|dafür|dazu|damit|darüber|daran)\b"
    r"|\b(?:ils?|elles?|cela|ça|celui-ci|celle-ci|leurs?)\b|\b(?:eso|esto|esos|esas|ellos|ellas|ello)\b"
    r"|它|他们|她们|他的|她的|这个|那个|这些|那些|それ|その|これ|この|あれ",
    re.IGNORECASE,
)
_EXPLETIVE = re.compile(
    r"\b(?:is|was|isn't|would) it (?:\w+ )?(?:possible|true|normal|ok|okay|necessary|legal|safe|better|best|good|bad|"
    r"important|worth|the case)\b",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^\W*(?:and|or|but|so|then|what about|how about|why|also|ok(?:ay)?[, ]+(?:and|but|so|what about)"
    r"|und|oder|aber|warum|wieso|was ist mit|wie ist es mit|et|ou|mais|pourquoi|y|o|pero|por qué|qué tal|e|perché)\b"
    r"|^(?:那|还有|为什么|では|じゃあ|なぜ)",
    re.IGNORECASE,
)
_DEFINITION = re.compile(
    r"^\W*(?:(?:can|could) you (?:please )?|please |tell me )*"
    r"(?:(?:what|who)(?:'s| is| are| was| were)|what does|define|explain|clarify"
    r"|was (?:ist|sind|bedeutet)|wer (?:ist|war)|qu'est-ce que?|qui est|(?:qué|quién) (?:es|son|significa))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_KANA = re.compile("[\u3041-\u309f]+")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The text to search for, and why it is not the question as it was asked, "" where it is."""

    text: str
    reason: str = ""


def rewrite(question: str, history: Sequence[Turn]) -> Rewritten:
    """Adds a few words of the questions before to one that leans on them.

    >>> turns = [Turn("Which moons of Saturn are made of ice?", "Enceladus. [1]")]
    >>> rewrite("How large are they?", turns).text
    'How large are they? moons Saturn made'
    >>> rewrite("How is sourdough bread baked at home?", turns).text
    'How is sourdough bread baked at home?'
    """
    lacking = words_lacking(question)
    if not lacking:
        return Rewritten(question)
    own = {stem(word.lower()) for word in _WORD.findall(question)}
    added = _choose([word for word in _said_before(history) if stem(word.lower()) not in own], lacking)
    return Rewritten(f"{question} {' '.join(added)}", REASON) if added else Rewritten(question)


def words_lacking(question: str) -> int:
    """Returns how many words a question lacks that stand in those before it, as far as its form shows; 0 for none.

    >>> words_lacking("And in German?"), words_lacking("Sourdough at home?"), words_lacking("What is sourdough?")
    (3, 1, 0)
    """
    own = _length(content_words(question))
    points = _PRONOUN.search(_EXPLETIVE.sub("", question)) is not None
    if own and not points and _DEFINITION.match(question):
        return 0  # it names what it asks for
    goes_on = own <= FEW_AFTER_OPENING and _OPENING.match(question) is not None
    if goes_on or (points and own <= FEW_WITH_PRONOUN):
        return WHOLE
    return max(0, WHOLE - own)


def content_words(text: str) -> list[str]:
    """Returns the words of a text that something could be searched by, as they are written.

    Text without spaces between words is cut at its stop words.

    >>> content_words("Thank you! And what about Saturn's moons?"), content_words("土星最大的卫星是什么？")
    (["Saturn's", 'moons'], ['土星', '卫星'])
    """
    language = language_by_stop_words(words(text), LANGUAGES) or "en"
    idle = stop_words(language) | (_NOTHING_SAID if language == "en" else frozenset())
    if any(map(is_unspaced, words(text))):
        idle |= stop_words("zh") | stop_words("ja")
    found: list[str] = []
    for word in _WORD.findall(text):
        if is_unspaced(word):
            found += [piece for piece in _pieces(word, idle) if len(piece) > 1]
        elif len(word) > 1 and word.lower().replace("’", "'") not in idle:
            found.append(word)
    return found


def _pieces(run: str, idle: frozenset[str]) -> list[str]:
    """Cuts a run of a script without spaces at stop words, and Japanese at its kana as well."""
    cut = _KANA.sub(" ", run)
    for word in sorted((word for word in idle if is_unspaced(word)), key=len, reverse=True):
        cut = cut.replace(word, " ")
    return cut.split()


def _length(found: Sequence[str]) -> int:
    """Counts words; two characters of a script without spaces are about one."""
    distinct = {stem(word.lower()): word for word in found}.values()
    return sum((len(word) + 1) // 2 if is_unspaced(word) else 1 for word in distinct)


def _said_before(history: Sequence[Turn]) -> list[str]:
    """Collects the words of the last question, and of those before it while there are too few to go on."""
    found: list[str] = []
    for turn in reversed(history):
        found += content_words(turn.question)
        if _length(found) >= ENOUGH:
            break
    return found


def _choose(found: Sequence[str], number: int) -> list[str]:
    """Chooses the words that tell most: names and numbers, then long ones; in the order in which they were said."""
    distinct = list({stem(word.lower()): word for word in reversed(found)}.values())[::-1]
    telling = sorted(
        range(len(distinct)), key=lambda place: (_names(distinct[place], place), len(distinct[place])), reverse=True
    )
    return [distinct[place] for place in sorted(telling[:number])]


def _names(word: str, place: int) -> bool:
    return (word[0].isupper() and place > 0) or any(character.isdigit() for character in word)
