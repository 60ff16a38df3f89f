"""`rag rerankers`: the entries of the table and of rag.toml."""

from dataclasses import asdict

import click

from ui.options import json_option, print_json, settings_of


@click.command("rerankers")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the rerankers that --reranker knows, with provider, model and price."""
    specs = settings_of(context).rerankers.values()
    if as_json:
        print_json({"rerankers": [asdict(spec) for spec in specs]})
        return
    click.echo(f"{'name':<20} {'provider':<14} {'model':<38} price")
    for spec in specs:
        prices = (
            f"${spec.usd_per_million_tokens:g} a million tokens" if spec.usd_per_million_tokens else "",
            f"${spec.usd_per_thousand_searches:g} a thousand searches" if spec.usd_per_thousand_searches else "",
        )
        price = "".join(prices) or "none"
        doubt = " (unconfirmed)" if any(fact.startswith("usd") for fact in spec.unconfirmed) else ""
        click.echo(f"{spec.name:<20} {spec.provider:<14} {spec.model:<38} {price}{doubt}")
