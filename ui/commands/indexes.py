"""`rag indexes`: the index cards of the library."""

import click

from ui.options import json_option, opened_library, print_json, settings_of


@click.command("indexes")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the indexes: corpus, embedder, chunker, counts and cost."""
    from ui.shapes import card_shape

    settings = settings_of(context)
    with opened_library(settings) as library:
        cards = sorted(library.cards.all(), key=lambda card: (card.corpus, card.chunker, card.embedder))
    if as_json:
        print_json({"indexes": [card_shape(card) for card in cards]})
        return
    click.echo(
        f"{'corpus':<20} {'embedder':<14} {'chunker':<18} {'documents':>9} {'chunks':>8} {'seconds':>9} {'usd':>8}"
    )
    for card in cards:
        click.echo(
            f"{card.corpus:<20} {card.embedder:<14} {card.chunker:<18} {card.documents:>9} {card.chunks:>8} "
            f"{card.seconds:>9.1f} {card.usd:>8.4f}"
        )
