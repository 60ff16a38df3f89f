import json
import re
from dataclasses import replace

import pytest
from lxml import etree, html

from attacks import ATTACKS, LITERAL
from browser_app import FLAGS, Outside, chromium_path
from eval.report import report_html, write_report
from eval.report_plots import Point, pareto_front, quality_plot
from eval.results import conclude
from evaluated import SEED, all_families, retrieval_evaluated, retrieval_task, texts

UNKNOWN_TAG = 801  # what libxml2, which knows HTML 4, says of `main`, `nav` and `svg`


@pytest.fixture(scope="module")
def results():
    return all_families()


@pytest.fixture(scope="module")
def page_text(results):
    return report_html(results, texts().of)


@pytest.fixture(scope="module")
def document(page_text):
    return html.document_fromstring(page_text)


def words(element):
    return " ".join(element.text_content().split())


# --- what it holds


def test_it_is_valid_and_its_ids_are_unique(page_text):
    parser = etree.HTMLParser(recover=True)
    etree.fromstring(page_text, parser)
    assert [error for error in parser.error_log if error.type != UNKNOWN_TAG] == []
    ids = re.findall(r'\sid="([^"]+)"', page_text)
    assert len(ids) == len(set(ids))
    assert {target for target in re.findall(r'href="#([^"]+)"', page_text)} <= set(ids)


def test_it_refers_to_nothing_outside(document, page_text):
    assert document.xpath("//*[@src] | //link | //iframe | //object | //img") == []
    assert all(link.get("href").startswith("#") for link in document.xpath("//a"))
    assert "url(" not in page_text and "@import" not in page_text
    [policy] = document.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_the_verdict_comes_first_in_words(document, results):
    summary = document.get_element_by_id("summary")
    assert "No embedder leads everywhere" in words(summary)
    assert "pair changes places beyond chance" in words(summary) or "pairs change places beyond chance" in words(
        summary
    )
    assert len(summary.xpath(".//li")) == len(results.tasks)


def test_the_leaderboard_has_every_row_with_its_figures(document, results):
    for at, each in enumerate(results.tasks):
        [board] = document.get_element_by_id(f"task-{at}").xpath(".//table[contains(@class, 'board')]")
        lines = [words(line) for line in board.xpath("./tbody/tr")]
        assert len(lines) == len(each.rows)
        for line, row in zip(lines, each.compared.ranking, strict=True):
            metric = each.summaries[row].metrics[each.compared.metric]
            assert each.rows[row].label in line
            assert f"{metric.value:.3f}" in line


def test_the_matrix_has_every_pair_twice_with_opposite_signs(document, results):
    [matrix] = document.get_element_by_id("task-0").xpath(".//table[@class='matrix']")
    lines = matrix.xpath("./tbody/tr")
    size = len(results.tasks[0].rows)
    cells = [[words(cell) for cell in line.xpath("./td")] for line in lines]
    for one in range(size):
        for other in range(one):
            first, second = (
                cell.replace("+", "").replace("−", "").split() for cell in (cells[one][other], cells[other][one])
            )
            assert first == second
            assert cells[one][other][0] != cells[other][one][0]
    assert len(matrix.xpath(".//td[@class='self']")) == size


def test_ragas_shows_how_many_were_scored(document):
    assert "0.500 (39/40)" in words(document.get_element_by_id("task-0"))


def test_the_orders_across_tasks_are_told(document):
    across = document.get_element_by_id("across")
    assert "minilm is better than wordllama on topics" in words(across)
    assert across.xpath(".//svg[@class='plot']")
    assert across.xpath(".//*[local-name()='circle'][@class='turn']")


def test_what_is_published_stands_beside(document):
    section = document.get_element_by_id("published")
    assert "put minilm before wordllama; moods says wordllama before minilm" in words(section)
    assert "WordLlama README" in words(section)


def test_the_verdict_on_an_only_task_is_said_once():
    results = conclude([retrieval_evaluated()], SEED)
    page = html.document_fromstring(report_html(results))
    assert words(page).count("hybrid minilm leads;") == 1
    assert "hybrid minilm leads;" in words(page.get_element_by_id("summary"))


def test_one_task_has_neither_ranks_across_tasks_nor_a_link_to_them():
    page = report_html(conclude([retrieval_evaluated()], SEED))
    assert 'id="across"' not in page and 'href="#across"' not in page


def test_equal_results_give_equal_bytes(results, page_text):
    assert report_html(all_families.__wrapped__(), texts().of) == page_text


def test_many_queries_keep_it_small(tmp_path):
    evaluated = retrieval_evaluated(queries=400)
    path = write_report(tmp_path, conclude([evaluated], SEED), texts().of)
    assert path.stat().st_size < 1_000_000
    assert "of 400 queries" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_the_drill_down_is_json_within_the_page(document):
    [details] = document.xpath("//script[@id='details']")
    told = json.loads(details.text)
    assert len(told["tasks"]) == 5
    assert told["tasks"][0]["documents"]["d5"] == {"title": "", "snippet": "", "missing": True}


# --- plots


def test_the_pareto_front_holds_what_nothing_beats():
    points = [Point("a", 1, 0.5), Point("b", 2, 0.4), Point("c", 3, 0.8), Point("d", 3, 0.7), Point("e", 9, 0.8)]
    assert [point.label for point in pareto_front(points)] == ["a", "c"]


@pytest.mark.parametrize("same", [True, False])
def test_names_in_a_plot_do_not_overlap(same):
    points = [Point(f"hybrid embedder-{at}", 5.0 if same else 5 + at / 50, 0.6 + at / 400) for at in range(8)]
    svg = etree.fromstring(str(quality_plot(points, "ms", "nDCG@10")))
    labels = [e for e in svg.iter("{*}text") if e.get("class").startswith("label")]
    boxes = [(float(e.get("x")), float(e.get("y")), len(e.text) * 6.2) for e in labels]
    assert len(boxes) == 8
    for at, (x, y, width) in enumerate(boxes):
        assert x >= 0 and x + width <= 640
        for other_x, other_y, other_width in boxes[:at]:
            assert abs(y - other_y) >= 13 or x + width <= other_x or other_x + other_width <= x


# --- in a browser


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory, results):
    return write_report(tmp_path_factory.mktemp("report"), results, texts().of)


def opened(browser, path, **options):
    """Opens the file offline; complaints of the page and what it asks for are collected."""
    context = browser.new_context(offline=True, **options)
    page = context.new_page()
    page.complaints, page.asked = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri())
    return page


@pytest.mark.browser
def test_it_opens_offline_asks_for_nothing_and_complains_of_nothing(browser, path):
    page = opened(browser, path)
    assert page.locator(".drill .asked button").count() > 100
    assert page.complaints == []
    assert page.asked == [path.as_uri()]


@pytest.mark.browser
def test_tables_sort_by_a_press_on_their_heads(browser, path, results):
    page = opened(browser, path)
    board = page.locator("#task-0 .board")
    column = lambda: [float(text) for text in board.locator("tbody tr td:nth-child(6)").all_inner_texts()]  # noqa: E731
    head = board.get_by_role("button", name="R@100")
    head.click()
    assert column() == sorted(column(), reverse=True)
    head.click()
    assert column() == sorted(column())
    assert board.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    board.get_by_role("button", name="nDCG@10").click()
    names = board.locator("tbody th").all_inner_texts()
    ranking = results.tasks[0].compared.ranking
    assert [name.strip() for name in names] == [results.tasks[0].rows[at].label for at in ranking]
    board.get_by_role("button", name="Bytes a vector").click()
    assert "lexical" in board.locator("tbody tr").last.inner_text()  # what is unknown stays below
    page.get_by_role("button", name="Row").first.click()
    names = [name.strip() for name in board.locator("tbody th").all_inner_texts()]
    assert names == sorted(names)


@pytest.mark.browser
def test_a_query_shows_ranks_reasons_and_the_first_ten_of_every_row(browser, path, results):
    page = opened(browser, path)
    drill = page.locator("#drill-0")
    drill.get_by_role("button", name="Embedders disagree").click()
    count = drill.locator(".asked button").count()
    assert drill.locator(".filters button[aria-pressed=true] span").inner_text() == str(count)
    drill.locator(".asked button").nth(1).click()
    chosen = drill.locator(".asked button[aria-current=true] span").inner_text()
    assert drill.locator(".answer h4").inner_text() == chosen
    assert drill.locator(".top").count() == len(results.tasks[0].rows)
    assert drill.locator(".top").first.locator("li").count() == 10
    assert drill.locator(".chip.split").count() == 1
    assert "outranked by" in drill.locator(".top p").all_inner_texts()[0] or drill.locator(".gold").count() > 0
    drill.get_by_role("button", name="All ", exact=False).first.click()
    drill.get_by_role("searchbox").fill("bird 17")
    assert drill.locator(".asked button").count() == 1
    drill.get_by_role("searchbox").fill("no such words")
    assert "None of those" in drill.locator(".asked").inner_text()


@pytest.mark.browser
def test_another_pair_can_be_chosen(browser, path):
    page = opened(browser, path)
    section = page.locator("#task-0")
    assert section.locator("figure[id]:visible").count() == 1
    before = section.locator("figure[id]:visible").get_attribute("id")
    section.locator("select.pairs").select_option(index=2)
    assert section.locator("figure[id]:visible").count() == 1
    assert section.locator("figure[id]:visible").get_attribute("id") != before


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_both_schemes(browser, path, scheme, width):
    page = opened(browser, path, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", background)[:3])) > 380
    assert light == (scheme == "light")


@pytest.mark.browser
def test_no_text_of_a_stranger_runs_or_loads_anything(browser, tmp_path):
    outside = Outside()
    hostile = [attack.text(outside.url) for attack in ATTACKS] + list(LITERAL)
    task = retrieval_task(hostile[0], queries=len(hostile), kinds=tuple(hostile[:5]))
    task = replace(task, queries=dict(zip(task.queries, hostile, strict=True)), split=hostile[3])
    _, rows = retrieval_evaluated(queries=len(hostile))
    rows = [replace(row, task=task.name, task_digest=task.digest, chunker=hostile[1]) for row in rows]
    rows[0] = replace(rows[0], embedder=hostile[2])
    content = {f"d{at}": (hostile[at % len(hostile)], hostile[-at % len(hostile)]) for at in range(120)}
    path = write_report(tmp_path, conclude([(task, rows)], SEED), lambda _, id_: content.get(id_))
    page = opened(browser, path)
    page.context.set_offline(False)
    page.reload()
    for at in range(page.locator(".asked button").count()):
        page.locator(".asked button").nth(at).click()
    shown = set(page.locator(".asked button span").all_inner_texts())
    assert {" ".join(text.split())[:60] for text in hostile if len(text) < 200} <= {
        " ".join(s.split())[:60] for s in shown
    }
    assert page.evaluate("window.attacked") is None
    assert outside.paths == []
    assert set(page.asked) == {path.as_uri()}
    assert page.complaints == []
