"""`rag embedders`: the table, and what of it is usable here and now."""

import click

from ui.options import json_option, print_json, settings_of


@click.command("embedders")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the embedders and what each lacks to be usable here."""
    from rag.embedders.registry import lacks

    settings = settings_of(context)
    rows = [
        {
            "name": spec.name,
            "provider": spec.provider,
            "model": spec.model,
            "revision": spec.revision,
            "dimension": spec.dimension,
            "max_tokens": spec.max_tokens,
            "query_prefix": spec.query_prefix,
            "passage_prefix": spec.passage_prefix,
            "usd_per_million_tokens": spec.usd_per_million_tokens,
            "languages": list(spec.languages),
            "licence": spec.licence,
            "source": spec.source,
            "fingerprint": spec.fingerprint,
            "lacks": lacks(spec),
        }
        for spec in settings.embedders.values()
    ]
    if as_json:
        print_json({"embedders": rows})
        return
    click.echo(f"{'name':<14} {'provider':<22} {'dimension':>9} {'tokens':>7}  {'languages':<10} here")
    for row in rows:
        limit = row["max_tokens"] or "any"
        languages = ",".join(str(code) for code in settings.embedders[str(row["name"])].languages)
        here = f"lacks {row['lacks']}" if row["lacks"] else "ready"
        click.echo(f"{row['name']:<14} {row['provider']:<22} {row['dimension']:>9} {limit:>7}  {languages:<10} {here}")
