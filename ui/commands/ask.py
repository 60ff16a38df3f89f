"""`rag ask`: an answer with citations, or an honest abstention."""

from typing import Any

import click

from ui.options import checked_query, index_options, opened_library, print_json, settings_of


@click.command("ask")
@click.argument("question")
@index_options
@click.pass_context
def command(context: click.Context, /, question: str, k: int | None, as_json: bool, **choices: Any) -> None:
    """Answer QUESTION from the documents, every sentence cited."""
    from rag.answerer import whole
    from rag.reader import Reader
    from ui.shapes import answer_shape, search_shape

    settings = settings_of(context)
    question = checked_query(question)
    with opened_library(settings) as library:
        opened = Reader(library, settings).open(**choices)
        hits = opened.retriever.retrieve(question, k or settings.k)
        answer = whole(opened.answerer().answer(question, hits))
        if as_json:
            print_json({**search_shape(question, opened, hits), **answer_shape(answer)})
            return
        click.echo(answer.text)
        if answer.citations:
            click.echo()
        for citation in answer.citations:
            page = f", page {citation.page}" if citation.page else ""
            click.echo(f"[{citation.marker}] {citation.source}{page}, characters {citation.start} to {citation.end}")
