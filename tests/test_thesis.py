from lxml import etree

from benchmarks.thesis import page, plot
from eval.results import conclude
from evaluated import SEED, all_families, retrieval_evaluated


def test_the_page_tells_ranks_agreement_and_reversals():
    text = page(all_families())
    assert "| moods | accuracy | 0.567 (#3) | 0.833 (#2) | 0.917 (#1) | - |" in text
    assert "- minilm is better than wordllama on topics (+0.736, " in text
    assert "Yes. First places go to minilm, wordllama and hash, and 1 pair of contestants changes places" in text
    assert "put minilm before wordllama; moods says wordllama before minilm." in text
    assert "birds 40, moods 60, topics 40, spam 40, pairs 50" in text


def test_that_nothing_is_reversed_is_said():
    text = page(conclude([retrieval_evaluated("one"), retrieval_evaluated("two")], SEED))
    assert "None: no contestant is better than another" in text
    assert "Not beyond chance" in text


def test_the_plot_is_a_whole_file_with_its_own_colours():
    root = etree.fromstring(plot(all_families()).encode())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in root.find("{*}style").text
    assert root.xpath("//*[@class='turn']")
