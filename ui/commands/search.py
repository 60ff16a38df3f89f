"""`rag search`: the chunks that a query finds."""

from typing import Any

import click

from rag.schema import HEADING_SEPARATOR, Hit
from ui.options import checked_query, index_options, opened_library, print_json, settings_of


@click.command("search")
@click.argument("query")
@index_options
@click.pass_context
def command(context: click.Context, /, query: str, k: int | None, as_json: bool, **choices: Any) -> None:
    """Find the chunks that match QUERY."""
    from rag.reader import Reader
    from ui.shapes import search_shape

    settings = settings_of(context)
    query = checked_query(query)
    with opened_library(settings) as library:
        opened = Reader(library, settings).open(**choices)
        hits = opened.retriever.retrieve(query, k or settings.k)
        if as_json:
            print_json(search_shape(query, opened, hits))
            return
        under = f" under {opened.card.embedder}" if opened.embedder else ""
        further = "".join(
            (
                f", reranked by {opened.reranker.spec.name}" if opened.reranker else "",
                f", MMR {opened.mmr:g}" if opened.mmr is not None else "",
                f", only {opened.filter.words}" if opened.filter else "",
            )
        )
        click.echo(f"{len(hits)} chunks of '{opened.card.corpus}', {opened.retriever.name}{under}{further}\n")
        for hit in hits:
            click.echo(format_hit(hit))


def format_hit(hit: Hit) -> str:
    """Writes a hit as lines for the terminal: where it stands, what each leg gave, and how its text begins."""
    place = hit.source + (f", page {hit.chunk.page}" if hit.chunk.page else "")
    heading = hit.chunk.heading.replace(HEADING_SEPARATOR, " › ")
    legs = "  ".join(f"{name} #{leg.rank} ({leg.score:.3f})" for name, leg in hit.legs.items())
    text = " ".join(hit.chunk.text.split())
    shown = text if len(text) <= 240 else text[:240].rsplit(" ", 1)[0] + " …"
    lines = [
        f"{hit.rank:>3}. {place}   {hit.score:.4f}   {legs}",
        *([f"     {heading}"] if heading else []),
        f"     {shown}",
    ]
    return "\n".join(lines) + "\n"
