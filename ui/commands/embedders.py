"""`rag embedders`: the table, and what of it is usable here and now; `rag embedders test`: one real call."""

from collections.abc import Iterable
from dataclasses import asdict

import click

from rag.embedders.spec import EmbedderSpec
from ui.options import json_option, print_json, settings_of

READY = "Ready here"
FETCHED = "Downloaded at first use"

SAME = 0.9999
"""The cosine from which on a text is the same as query and as passage."""


@click.group("embedders", invoke_without_command=True)
@click.option("--ready", is_flag=True, help="Only those that can be used here and now.")
@click.option("--provider", metavar="NAME", help="Only those of one provider, such as openai or static.")
@json_option
@click.pass_context
def command(context: click.Context, ready: bool, provider: str | None, as_json: bool) -> None:
    """List the embedders and what each lacks to be usable here."""
    if context.invoked_subcommand:
        return
    specs = [spec for spec in settings_of(context).embedders.values() if provider in (None, spec.provider)]
    _check_provider(provider)
    rows = [(spec, words) for spec, words in _with_lacks(specs) if not (ready and words)]
    if as_json:
        print_json({"embedders": [_shape(spec, words) for spec, words in rows]})
    else:
        _print_table(rows)


@command.command("test")
@click.argument("name")
@json_option
@click.pass_context
def test(context: click.Context, name: str, as_json: bool) -> None:
    """Embed a few texts for real: speed, width, and what the prefixes do.

    Loads the model, or sends some 200 tokens to the vendor.
    """
    from rag.embedders.trial import try_embedder

    trial = try_embedder(name, settings_of(context).embedders)
    if as_json:
        print_json(
            {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(trial).items()}
        )
        return
    alike = trial.cosine > SAME
    effect = "same" if alike else f"cosine {trial.cosine:.3f} of a text as query to itself as passage"
    for label, told in (
        ("embedder", f"{trial.name} ({trial.backend}, {trial.precision})"),
        ("first query", f"{trial.first_ms:,.1f} ms, with the loading"),
        ("second query", f"{trial.second_ms:,.1f} ms"),
        ("dimension", f"{trial.dimension:,}"),
        ("norm", f"{trial.norm:.4f}"),
        ("prefixes", effect),
        ("tokens a second", f"{trial.tokens_per_second:,.0f}"),
    ):
        click.echo(f"{label:<16} {told}")


def _check_provider(provider: str | None) -> None:
    """Raises UsageError for a provider that does not exist."""
    from rag.embedders.registry import PROVIDERS
    from rag.errors import unknown_name

    if provider is not None and provider not in PROVIDERS:
        raise unknown_name("provider", provider, PROVIDERS)


def _with_lacks(specs: Iterable[EmbedderSpec]) -> list[tuple[EmbedderSpec, str]]:
    """Pairs each embedder with what it lacks, the ready ones first, those of one lack together."""
    from rag.embedders.readiness import Lacking, find_lack

    order = list(Lacking)
    found = [(spec, find_lack(spec)) for spec in specs]
    found.sort(key=lambda pair: order.index(pair[1].kind) if pair[1] else -1)  # stable: else in the table's order
    return [(spec, lack.words if lack else "") for spec, lack in found]


def _shape(spec: EmbedderSpec, words: str) -> dict[str, object]:
    """Returns an embedder as JSON has it: its entry, its fingerprint, and what it lacks."""
    return {**asdict(spec), "fingerprint": spec.fingerprint, "lacks": words}


def _print_table(rows: list[tuple[EmbedderSpec, str]]) -> None:
    from rag.embedders.readiness import is_fetched_first
    from ui.embedder_facts import languages_text, price_text, tokens_text, width_text

    groups: dict[str, list[EmbedderSpec]] = {}
    for spec, words in rows:
        title = f"Needs {words}" if words else FETCHED if is_fetched_first(spec) else READY
        groups.setdefault(title, []).append(spec)
    click.echo(f"{'':<40}{'dimensions':<16}{'tokens':>8}  {'languages':<10}{'$/million':>9}  made for")
    for title, specs in groups.items():
        click.echo(f"\n{title}")
        for spec in specs:
            click.echo(
                f"  {spec.name:<38}{width_text(spec):<16}{tokens_text(spec):>8}  {languages_text(spec):<10}"
                f"{price_text(spec):>9}  {spec.made_for}"
            )
    click.echo("\n? is a fact that no source was found for. Prefixes, licences and sources: docs/embedders.md")
