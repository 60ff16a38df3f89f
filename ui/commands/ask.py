"""`rag ask`: an answer with citations, or an honest abstention."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from rag.schema import Answer, AnswerPart, Hit
from ui.options import checked_query, index_options, opened_library, print_json, settings_of

if TYPE_CHECKING:
    from rag.llm import ChatModel
    from rag.llm_settings import LlmSettings
    from rag.reader import Opened

NO_LLM = "none"
"""What `--llm` is given for an answer of quotations where rag.toml names a language model."""


@click.command("ask")
@click.argument("question")
@index_options
@click.option(
    "--llm",
    metavar="PROVIDER:MODEL",
    help="The language model that writes the answer, such as ollama:llama3.2; none for quotations.",
)
@click.option("--llm-base-url", metavar="URL", help="The server of --llm, such as http://127.0.0.1:8000/v1.")
@click.pass_context
def command(
    context: click.Context,
    /,
    question: str,
    k: int | None,
    as_json: bool,
    llm: str | None,
    llm_base_url: str | None,
    **choices: Any,
) -> None:
    """Answer QUESTION from the documents, every sentence cited.

    Sentences are quoted from the documents. With --llm a language model writes the answer, from the chunks that were
    found and nothing else.
    """
    from rag.answerer import whole
    from rag.errors import RagError
    from rag.reader import Reader
    from ui.shapes import answer_shape, search_shape, written_shape

    settings = settings_of(context)
    question = checked_query(question)
    model = _chosen(settings.llm, llm, llm_base_url)  # a wrong name is told before anything is searched
    with opened_library(settings) as library:
        opened = Reader(library, settings).open(**choices)
        hits = opened.retriever.retrieve(question, k or settings.k)
        heard: list[AnswerPart] = []
        failure = None
        try:
            for part in _parts(model, opened, question, hits):
                heard.append(part)
                _show(part, as_json)
        except RagError as error:  # told after what was written until then
            failure = error
        answer = whole(iter(heard))
        if answer.text and as_json:
            written = written_shape(answer, model.settings.model, failure) if model else {}
            print_json({**search_shape(question, opened, hits), **answer_shape(answer), **written})
        elif answer.text:
            _show_sources(answer)
        if failure is not None:
            raise failure


def _chosen(settings: "LlmSettings", llm: str | None, base_url: str | None) -> "ChatModel | None":
    """Returns the language model of the command line, else that of the settings; None for none."""
    if not base_url and (llm or settings.model) in ("", NO_LLM):
        return None
    from rag.llm import load_llm
    from rag.llm_settings import chosen

    return load_llm(chosen(settings, llm, base_url))


def _parts(model: "ChatModel | None", opened: "Opened", question: str, hits: Sequence[Hit]) -> Iterator[AnswerPart]:
    if model is None:
        return opened.answerer().answer(question, hits)
    from rag.llm_answerer import LlmAnswerer

    library = opened.answerability.library
    return LlmAnswerer(model, library, opened.answerability, opened.embedder).answer(question, hits)


def _show(part: AnswerPart, as_json: bool) -> None:
    """Prints a part of the answer as it comes, and on stderr what the reader should know besides."""
    if part.text and not as_json:
        click.echo(part.text, nl=False)
    if part.notice:
        click.echo(f"rag: {part.notice}", err=True)


def _show_sources(answer: Answer) -> None:
    """Prints where each citation stands, once, and what was left out."""
    click.echo()
    if answer.citations:
        click.echo()
    for citation in dict.fromkeys(answer.citations):
        page = f", page {citation.page}" if citation.page else ""
        weak = " (shares no word with what it is cited for)" if citation.weak else ""
        click.echo(f"[{citation.marker}] {citation.source}{page}, characters {citation.start} to {citation.end}{weak}")
    if answer.dropped_citations:
        click.echo(f"rag: {answer.dropped_citations} citations pointed to no chunk and were left out.", err=True)
    if answer.usage:
        about = "about " if answer.usage.estimated else ""
        usd = "" if answer.usage.usd is None else f", {answer.usage.usd:.6f} dollars"
        read, written = answer.usage.input_tokens, answer.usage.output_tokens
        click.echo(f"rag: {about}{read} tokens read, {written} written{usd}.", err=True)
