"""The beginning of the report: what was found in words, how the order changes from task to task, what is published."""

from collections.abc import Mapping

from eval.across import Across, Entry, across_tasks, listed, reversals_in_words, task_names
from eval.markup import Markup, element, join
from eval.published import Beside, beside_published
from eval.report_charts import rank_chart
from eval.report_tables import Series, scrolling
from eval.results import Results
from eval.reversals import RankChanges
from eval.verdicts import items_of, number, verdict

_UNKNOWN = "–"


def summary_section(results: Results) -> Markup:
    """Returns the heading, what was found over all, and a sentence for each task."""
    if len(results.tasks) == 1:
        return _summary(results, element("p", verdict(results.tasks[0].compared), class_="lead"))
    lines = [
        element(
            "li",
            element("a", element("bdi", name), href=f"#task-{at}"),
            verdict(each.compared),
        )
        for at, (name, each) in enumerate(zip(task_names(results), results.tasks, strict=True))
    ]
    return _summary(results, element("p", _over_all(results), class_="lead"), element("ul", *lines, class_="verdicts"))


def _summary(results: Results, *found: Markup) -> Markup:
    head = (element("h1", "Which embedder is best?"), element("p", _scope(results), class_="scope"))
    return element("section", *head, *found, id="summary")


def across_section(results: Results, series: Series) -> Markup:
    """Returns ranks by task, the orders' agreement, and the reversals; nothing for one task."""
    if len(results.tasks) < 2:
        return Markup("")
    across = across_tasks(results)
    parts = [element("h2", "How the order changes"), element("p", _RANKS_NOTE, class_="note"), _ranks(across, series)]
    if len(across.entries) > 1:
        parts.append(element("figure", _chart(across, results.reversals, series), class_="wide"))
    if results.reversals:
        parts += [_reversals(results.reversals), _agreements(results.reversals)]
    return element("section", *parts, id="across")


def published_section(results: Results) -> Markup:
    """Returns your order beside the published one, task by task; nothing where too little is published."""
    ranked = [each for each in beside_published(results) if each.is_ranked]
    if not ranked:
        return Markup("")
    return element(
        "section",
        element("h2", "The leaderboard says, your data say"),
        element("p", _PUBLISHED_NOTE, class_="note"),
        *(_published(each) for each in ranked),
        id="published",
    )


_RANKS_NOTE = (
    "The main metric of each task, and the rank in it. An embedder stands for itself: hybrids are left out here."
)
_PUBLISHED_NOTE = (
    "Published means are taken over the tasks of the same family that all embedders shown have in common. Matched by "
    "the id of the model. Public tasks are not yours: where the orders differ, the one here was measured on your data."
)


def _scope(results: Results) -> str:
    embedders = {row.embedder for row in results.rows if row.embedder}
    parts = [
        f"{len(results.tasks)} {'task' if len(results.tasks) == 1 else 'tasks'}",
        f"{len(embedders)} {'embedder' if len(embedders) == 1 else 'embedders'}",
        f"{len(results.rows)} rows",
    ]
    if len(results.tasks) == 1:
        task = results.tasks[0].task
        parts.append(items_of(task.family, len(task.items)))
    return " · ".join(parts)


def _over_all(results: Results) -> str:
    """Says whether one embedder leads everywhere, and whether any order is reversed beyond chance."""
    across = across_tasks(results)
    leaders: dict[str, list[str]] = {}
    for at, task in enumerate(across.tasks):
        for entry in across.entries:
            place = entry.places[at]
            if place and place.rank == 1:
                leaders.setdefault(entry.name, []).append(task)
    if len(leaders) == 1:
        said = f"{next(iter(leaders))} has the highest value on every task."
    else:
        told = [f"{name} on {listed(tasks)}" for name, tasks in leaders.items()]
        said = f"No embedder leads everywhere: {'; '.join(told)}."
    if results.reversals is None:
        return said
    count = len({(each.a, each.b) for each in results.reversals.reversals})
    if not count:
        return f"{said} No order is reversed beyond chance."
    return f"{said} {count} {'pair changes' if count == 1 else 'pairs change'} places beyond chance."


def _ranks(across: Across, series: Series) -> Markup:
    heads = [
        element("th", "", scope="col"),
        *(
            element("th", element("bdi", task), element("small", metric), scope="col")
            for task, metric in zip(across.tasks, across.metrics, strict=True)
        ),
        element("th", "Mean rank", scope="col"),
    ]
    body = []
    for entry in across.entries:
        cells = []
        for place in entry.places:
            if place is None:
                cells.append(element("td", _UNKNOWN, class_="num"))
            else:
                kind = "num first" if place.rank == 1 else "num"
                cells.append(element("td", number(place.value), element("small", f" #{place.rank:g}"), class_=kind))
        known = sum(place is not None for place in entry.places)
        partly = element("small", f" of {known}") if known < len(entry.places) else ""
        cells.append(element("td", f"{entry.mean_rank:.1f}", partly, class_="num"))
        body.append(element("tr", element("th", _dot(entry, series), scope="row"), *cells))
    return scrolling("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="ranks")


def _dot(entry: Entry, series: Series) -> Markup:
    return join(element("i", class_=f"dot c{series.get(entry.embedder, 0) % 8}"), element("bdi", entry.name))


def _chart(across: Across, changes: RankChanges | None, series: Series) -> Markup:
    ranks = {entry.name: [place.rank if place else None for place in entry.places] for entry in across.entries}
    colours = {entry.name: series.get(entry.embedder, 0) for entry in across.entries}
    at = {task: place for place, task in enumerate(across.tasks)}
    turned = [
        (each.a, each.b, at[each.task_a], at[each.task_b])
        for each in (changes.reversals if changes else ())
        if {each.a, each.b} <= ranks.keys() and {each.task_a, each.task_b} <= at.keys()
    ]
    return rank_chart(across.tasks, ranks, turned, colours)


def _reversals(changes: RankChanges) -> Markup:
    title = element("h3", "Reversals beyond chance")
    tests = f"{changes.tested} tests, corrected together by Holm, 5 %."
    if not changes.reversals:
        said = "None: no embedder is better than another on one task and worse than it on a second."
        return element("div", title, element("p", said), element("p", tests, class_="note"), class_="block")
    lines = [element("li", sentence) for sentence in reversals_in_words(changes)]
    note = f"{tests} A red dot marks where two lines of the chart cross between tasks that reverse them."
    return element("div", title, element("ul", *lines), element("p", note, class_="note"), class_="block")


def _agreements(changes: RankChanges) -> Markup:
    """Returns Kendall's tau of each pair of tasks that share three embedders or more."""
    known = {(each.a, each.b): each for each in changes.agreements if each.tau is not None and each.n > 2}
    if not known:
        return Markup("")
    names = [each.name for each in changes.tasks]
    heads = [element("td"), *(element("th", element("bdi", name), scope="col") for name in names[1:])]
    body = []
    for first, a in enumerate(names[:-1]):
        cells = []
        for second, b in enumerate(names[1:], start=1):
            tau = known.get((a, b))
            if second <= first or tau is None or tau.tau is None:
                cells.append(element("td", class_="self"))
                continue
            bounds = "" if tau.ci_low is None else f"{tau.ci_low:.2f} to {tau.ci_high:.2f}".replace("-", "−")
            kind = "better" if tau.tau > 0.99 else "worse" if tau.tau < 0 else "same"
            cells.append(element("td", f"{tau.tau:.2f}".replace("-", "−"), element("small", bounds), class_=kind))
        body.append(element("tr", element("th", element("bdi", a), scope="row"), *cells))
    note = "1: the same order; 0: no relation; −1: the opposite. Below it the 95 % range over samples of the items."
    table = scrolling("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="matrix")
    title = element("h3", "Agreement of the orders (Kendall's tau)")
    return element("div", title, element("p", note, class_="note"), table, class_="block")


def _ranked(rank: int | None) -> str:
    return _UNKNOWN if rank is None else f"#{rank}"


def _published(beside: Beside) -> Markup:
    heads = [
        element("th", name, scope="col")
        for name in ("", "Published mean", "Published rank", beside.metric, "Rank here")
    ]
    body = []
    theirs: Mapping[str, float] = {each.embedder: each.value for each in beside.published.ranks}
    for at, name in enumerate(beside.embedders):
        body.append(
            element(
                "tr",
                element("th", element("bdi", name), scope="row"),
                element("td", number(theirs.get(name), "no published figure"), class_="num"),
                element("td", _ranked(beside.published_ranks[at]), class_="num"),
                element("td", number(beside.your_values[at]), class_="num"),
                element("td", _ranked(beside.your_ranks[at]), class_="num"),
            )
        )
    tasks = beside.published.tasks
    told = ", ".join(tasks[:12]) + (f" and {len(tasks) - 12} more" if len(tasks) > 12 else "")
    source = f"Tasks in common ({len(tasks)}): {told}. Sources: {'; '.join(beside.published.sources)}."
    return element(
        "div",
        element("h3", element("bdi", beside.task)),
        element("p", beside.sentence),
        scrolling("table", element("thead", element("tr", *heads)), element("tbody", *body), class_="beside"),
        element("p", source, class_="note"),
        class_="block",
    )
