"""Follow-up questions are completed by rules; stand-alone ones stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.rewriting import WHOLE, content_words, rewrite, words_lacking
from rag.schema import Turn


def turns(*questions):
    return [Turn(question, "Something else entirely, about tractors. [1]") for question in questions]


@pytest.mark.parametrize(
    ("question", "before", "words"),
    [
        ("And in German?", ["How many words fit into a window of 256 tokens?"], {"256", "tokens", "window"}),
        ("What about Saturn?", ["How many moons does Jupiter have?"], {"moons", "Jupiter"}),
        ("Why?", ["Does reranking help dense retrieval?"], {"reranking", "dense", "retrieval"}),
        ("Which is the largest?", ["What are Saturn's moons?"], {"Saturn's", "moons"}),
        ("How large is it?", ["What is the largest moon of Saturn?", "Thanks!"], {"moon", "Saturn"}),
        ("Who wrote them, and in which year were they printed?", ["Which sonnets are the oldest?"], {"sonnets"}),
        ("Und auf Deutsch?", ["Wie viele Wörter passen in ein Fenster von 256 Token?"], {"Wörter", "Token"}),
        ("Warum ist das so?", ["Wie wird der Sauerteig gebacken?"], {"Sauerteig"}),
        ("Et en allemand ?", ["Combien de mots tiennent dans une fenêtre ?"], {"fenêtre"}),
        ("¿Y en invierno?", ["¿Cuántos trenes salen hacia Sevilla?"], {"trenes", "Sevilla"}),
        ("那德语呢？", ["土星最大的卫星是什么？"], {"土星", "卫星"}),
        ("それはなぜですか？", ["土星の衛星は何ですか？"], {"土星", "衛星"}),
    ],
)
def test_a_question_that_leans_gets_words_of_those_before(question, before, words):
    found = rewrite(question, turns(*before))
    assert found.text.startswith(f"{question} ") and found.reason
    added = found.text.removeprefix(f"{question} ").split()
    assert words <= set(added) and len(added) <= WHOLE
    assert "tractors" not in found.text  # an answer's words are not the question's


@pytest.mark.parametrize(
    "question",
    [
        "How is sourdough bread baked at home?",
        "What is reciprocal rank fusion?",
        "Who was Hubble?",
        "Could you please explain tokenization?",
        "Is it possible to run several embedders on one laptop?",
        "Wie lange muss ein Sauerteigbrot im Ofen gebacken werden?",
        "Comment fonctionne la fusion des classements réciproques ?",
        "中文检索为什么需要分词？",
        "Does the committee that reviews grants meet every month in Geneva?",
    ],
)
def test_a_question_that_stands_alone_stays_as_it_is(question):
    found = rewrite(question, turns("How many moons does Jupiter have?"))
    assert (found.text, found.reason) == (question, "")


def test_without_anything_before_nothing_is_added():
    assert rewrite("And in German?", []).text == "And in German?"
    assert rewrite("And in German?", turns("Thanks!", "Ok, great.")).reason == ""


def test_names_and_numbers_come_before_other_words_and_none_comes_twice():
    before = turns("Why did the extraordinarily complicated negotiations in Geneva 1986 fail so badly?")
    added = rewrite("And then?", before).text.removeprefix("And then? ").split()
    assert {"Geneva", "1986"} < set(added) and len(added) == 3
    assert "Geneva" not in rewrite("And in Geneva?", before).text.removeprefix("And in Geneva?")


def test_questions_further_back_are_read_only_where_the_last_one_says_too_little():
    assert "Jupiter" in rewrite("Why?", turns("How many moons does Jupiter have?", "Really?")).text
    assert "Jupiter" not in rewrite("Why?", turns("How many moons does Jupiter have?", "Is bread baked warm?")).text


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3))
def test_the_question_itself_is_always_kept(question, before):
    found = rewrite(question, turns(*before))
    assert found.text.startswith(question)
    assert bool(found.reason) == (found.text != question)
    assert found == rewrite(question, turns(*before))
    assert 0 <= words_lacking(question) <= WHOLE
    assert all(word in question for word in content_words(question))
