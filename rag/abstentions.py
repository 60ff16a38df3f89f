"""What an answerer says where the documents do not answer, in the language of the question where that is sure."""

import re

from rag.segmentation import words
from rag.stop_words import language_by_stop_words

ABSTENTION = "The documents do not seem to answer this question."

_IN = {
    "ar": "لا يبدو أن المستندات تجيب عن هذا السؤال.",
    "da": "Dokumenterne ser ikke ud til at besvare dette spørgsmål.",
    "de": "Die Dokumente scheinen diese Frage nicht zu beantworten.",
    "el": "Τα έγγραφα δεν φαίνεται να απαντούν σε αυτή την ερώτηση.",
    "es": "Los documentos no parecen responder a esta pregunta.",
    "fr": "Les documents ne semblent pas répondre à cette question.",
    "it": "I documenti non sembrano rispondere a questa domanda.",
    "ja": "この質問の答えは文書の中に見つかりませんでした。",
    "ko": "문서에서 이 질문에 대한 답을 찾을 수 없습니다.",
    "nl": "De documenten lijken deze vraag niet te beantwoorden.",
    "no": "Dokumentene ser ikke ut til å besvare dette spørsmålet.",
    "pl": "Dokumenty nie wydają się odpowiadać na to pytanie.",
    "pt": "Os documentos não parecem responder a esta pergunta.",
    "ru": "Похоже, в документах нет ответа на этот вопрос.",
    "sv": "Dokumenten verkar inte besvara den här frågan.",
    "tr": "Belgeler bu soruyu yanıtlamıyor gibi görünüyor.",
    "zh": "这些文档似乎没有回答这个问题。",
}

_BY_SCRIPT = (
    ("ja", re.compile("[\u3041-\u30fa\u30fd-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
)
"""Scripts that one language has to itself, the first that a question shows: a Japanese one shows Han as well."""


def abstention(query: str) -> str:
    """Returns the sentence in the language of a question; in English where that is not sure.

    >>> abstention("Was kostet die Fahrt nach Köln?")
    'Die Dokumente scheinen diese Frage nicht zu beantworten.'
    """
    return _IN.get(question_language(query), ABSTENTION)


def question_language(query: str) -> str:
    """Returns the language of a question by its script or its stop words, "" where neither tells."""
    for language, letters in _BY_SCRIPT:
        found = letters.findall(query)
        if found and 3 * len(found) >= sum(character.isalpha() for character in query):
            return language
    return language_by_stop_words(words(query))
