"""`rag doctor`: whether the library is whole, and what to do where it is not."""

import click

from ui.options import json_option, opened_library, print_json, settings_of


@click.command("doctor")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> int:
    """Check the library and say what is damaged, what mends it, and what will be done about it."""
    from contextlib import ExitStack

    from rag.errors import LibraryLockedError
    from rag.health import examine
    from rag.lock import writer_lock

    settings = settings_of(context)
    with opened_library(settings) as library, ExitStack() as stack:
        try:
            stack.enter_context(writer_lock(settings.home))
            is_writer = True
        except LibraryLockedError:
            is_writer = False
        findings = examine(library, settings.embedders, is_writer)
    bad = [finding for finding in findings if not finding.well]
    if as_json:
        rows = [{"subject": f.subject, "well": f.well, "detail": f.detail, "remedy": f.remedy} for f in findings]
        print_json({"well": not bad, "findings": rows})
    else:
        for finding in findings:
            click.echo(f"{'ok ' if finding.well else 'BAD'}  {finding.subject}: {finding.detail}")
            if finding.remedy:
                click.echo(f"     {finding.remedy}")
    return 1 if bad else 0
