"""The chat's left column below the conversations: what is searched, how, and who answers."""

from typing import Any

import gradio as gr

from rag.errors import UsageError
from rag.filters import Filter
from rag.fusion import FUSIONS
from rag.reader import Reader
from rag.retrievers import NAMES
from ui.conversation import Choices
from ui.embedder_menu import mount_html
from ui.embedder_states import EmbedderStates
from ui.render import escaped, status_html

MOST_CHUNKS = 30
QUOTED = "quoted sentences"
FUSION_LABELS = {"rrf": "reciprocal rank (rrf)", "weighted": "weighted scores"}
ANY = ("any", "")

Values = tuple[Any, ...]


class ChoicesColumn:
    """The components, in whose order `read` takes their values, and how they answer to each other."""

    def __init__(self, reader: Reader) -> None:
        self._library = reader.library
        self._settings = reader.settings
        self._states = EmbedderStates(reader.library, reader.settings)
        self._draw()

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What a question is asked with."""
        how = [self.retriever, self.k, self.weight, self.fusion, self.reranker, self.mmr, self.answers]
        return [self.corpus, self.embedder, *how, *self.filters]

    def read(self, *values: Any) -> Choices:
        """Returns the choices for the values of `inputs`; raises UsageError for a filter that cannot be one."""
        corpus, embedder, retriever, k, weight, fusion, reranker, mmr, answers, *wanted = values
        return Choices(
            corpus=corpus,
            embedder=None if retriever == "lexical" else embedder,
            retriever=retriever,
            k=int(k),
            weight=float(weight),
            fusion=fusion,
            filter=filter_of(*wanted),
            reranker=reranker or "",
            mmr=float(mmr),
            llm=answers or None,
        )

    # --- the components

    def _draw(self) -> None:
        settings = self._settings
        hybrid = settings.retriever == "hybrid"
        with gr.Row(elem_id="summary"):
            self.status = html("", "status")
        with gr.Column(elem_id="knobs", min_width=0):
            self.corpus = gr.Dropdown(label="Corpus", choices=[], elem_id="corpus")
            self.embedder = gr.Textbox(elem_id="embedder-chosen", container=False)  # hidden; its menu sets it
            self.menu = html(mount_html(None, None, settings.retriever), "embedder-mount")
            self.retriever = gr.Radio(
                label="Retriever", choices=list(NAMES), value=settings.retriever, elem_id="retriever"
            )
            self.weight = gr.Slider(
                label="Dense weight",
                minimum=0,
                maximum=1,
                step=0.05,
                value=settings.weight,
                visible=hybrid,
                buttons=[],
                elem_id="weight",
            )
            llm = settings.llm.model
            self.answers = gr.Dropdown(
                label="Answers by",
                choices=[(QUOTED, ""), *([(llm, llm)] if llm else [])],
                value=llm,
                visible=bool(llm),
                elem_id="answers-by",
            )
            with gr.Accordion("Filter", open=False, elem_id="filter") as self.filter_group:
                self._draw_filter()
            with gr.Accordion("More", open=False, elem_id="more"):
                self._draw_more(hybrid)

    def _draw_filter(self) -> None:
        source = gr.Textbox(label="Document", placeholder="path, folder/ or *.pdf", elem_id="filter-source")
        with gr.Row(elem_classes="filter-pair"):
            kind = gr.Dropdown(label="Type", choices=[ANY], value="", elem_id="filter-type", min_width=0)
            language = gr.Dropdown(label="Language", choices=[ANY], value="", elem_id="filter-language", min_width=0)
        page = gr.Textbox(label="Pages", placeholder="3, 3-7, 3- or -7", elem_id="filter-page")
        with gr.Row(elem_classes="filter-pair"):
            after = gr.Textbox(label="Dated after", placeholder="2024-03", elem_id="filter-after", min_width=0)
            before = gr.Textbox(label="Dated before", placeholder="2024", elem_id="filter-before", min_width=0)
        self.filters = [source, kind, page, after, before, language]
        self.filter_note = html("", "filter-note")

    def _draw_more(self, hybrid: bool) -> None:
        settings = self._settings
        self.fusion = gr.Dropdown(
            label="Fusion",
            choices=[(FUSION_LABELS[name], name) for name in FUSIONS],
            value=settings.fusion,
            visible=hybrid,
            elem_id="fusion",
        )
        self.k = gr.Slider(
            label="Chunks to find",
            minimum=1,
            maximum=MOST_CHUNKS,
            step=1,
            value=min(settings.k, MOST_CHUNKS),
            buttons=[],
            elem_id="k",
        )
        self.reranker = gr.Dropdown(
            label="Reranker",
            choices=[("none", ""), *settings.rerankers],
            value=settings.reranker,
            elem_id="reranker",
        )
        self.mmr = gr.Slider(
            label="Relevance in MMR (1: no diversity)",
            minimum=0,
            maximum=1,
            step=0.05,
            value=settings.mmr,
            buttons=[],
            elem_id="mmr",
        )

    def connect(self, quiet: dict[str, Any]) -> None:
        """Lets the components answer to each other."""
        gr.on(
            [self.retriever.input, self.embedder.change],  # its menu is no keyboard, which alone makes an input event
            self.choose_search,
            [self.corpus, self.embedder, self.retriever],
            [self.menu, self.weight, self.fusion, self.status],
            queue=False,
            **quiet,
        )
        gr.on(
            [each.change for each in self.filters],
            self._tell_filter,
            self.filters,
            [self.filter_group, self.filter_note],
            queue=False,
            trigger_mode="always_last",
            **quiet,
        )

    # --- what happens

    def choose_corpus(
        self, corpus: str, embedder: str | None, retriever: str, keep_filter: bool = False
    ) -> dict[Any, Any]:
        """Chooses one of the corpus's own embedders, and offers its types and languages to filter by."""
        chosen = self.serving(corpus, embedder)
        query = self._library.database.query
        types = [
            row[0] for row in query("SELECT DISTINCT format FROM documents WHERE corpus = ? ORDER BY 1", (corpus,))
        ]
        spoken = query(
            "SELECT DISTINCT language FROM documents WHERE corpus = ? AND language != '' ORDER BY 1", (corpus,)
        )
        offered = {1: [ANY, *types], 5: [ANY, *(row[0] for row in spoken)]}
        filters: dict[Any, Any] = {} if keep_filter else {each: "" for each in self.filters}
        for position, options in offered.items():
            kept = {} if keep_filter else {"value": ""}
            filters[self.filters[position]] = gr.Dropdown(choices=options, **kept)
        return {
            **filters,
            self.embedder: chosen,
            self.menu: mount_html(corpus, chosen, retriever),
            self.status: self._status_html(corpus, chosen, retriever),
        }

    @property
    def chosen_with_corpus(self) -> list[gr.components.Component]:
        """What `choose_corpus` returns values for."""
        return [*self.filters, self.embedder, self.menu, self.status]

    @property
    def search(self) -> list[gr.components.Component]:
        """What `choose_retriever` returns values for."""
        return [self.retriever, self.weight, self.fusion]

    def choose_retriever(self, retriever: str) -> dict[Any, Any]:
        """Chooses a retriever that is none of the person's clicks."""
        hybrid = retriever == "hybrid"
        return {
            self.retriever: retriever,
            self.weight: gr.Slider(visible=hybrid),
            self.fusion: gr.Dropdown(visible=hybrid),
        }

    def choose_search(self, corpus: str, embedder: str | None, retriever: str) -> Values:
        """Shows what the retriever needs: an embedder, a weight and a fusion, or none of them."""
        hybrid = retriever == "hybrid"
        chosen = self.serving(corpus, embedder) if corpus else None
        return (
            mount_html(corpus, chosen, retriever),
            gr.Slider(visible=hybrid),
            gr.Dropdown(visible=hybrid),
            self._status_html(corpus, chosen, retriever) if corpus else gr.skip(),
        )

    def _tell_filter(self, *values: str) -> tuple[Any, str]:
        """Says in the group's title what the filter is, and below it why it cannot be one."""
        try:
            wanted = filter_of(*values)
        except UsageError as error:
            return gr.Accordion(label="Filter"), f'<div class="rag-error" role="alert">{escaped(str(error))}</div>'
        return gr.Accordion(label=f"Filter: {wanted.words}" if wanted else "Filter"), ""

    def serving(self, corpus: str, embedder: str | None) -> str:
        """Returns the embedder that was chosen where it serves, else the settings' one, else that with most chunks."""
        states = self._states.look(corpus)
        serving = {state.name: state.index.chunks for state in states if state.serves and state.index}
        for name in (embedder, self._settings.embedder):
            if name in serving:
                return name
        newest = self._library.cards.all(corpus)[0].embedder  # where none can be used, the question tells why
        return max(serving, key=lambda name: serving[name], default=newest)

    def _status_html(self, corpus: str, embedder: str | None, retriever: str) -> str:
        """Returns what is searched, in a line: chunks, embedder and how much of the corpus it covers."""
        cards = self._library.cards.all(corpus)
        card = cards[0] if retriever == "lexical" or embedder is None else self._library.cards.find(corpus, embedder)
        most = max(each.documents for each in cards if each.chunker == card.chunker)
        return status_html(card, most, retriever)


def filter_of(source: str, kind: str, page: str, after: str, before: str, language: str) -> Filter:
    """Returns the filter that is written into the column; raises UsageError for what cannot be one."""
    return Filter(source or "", kind or "", page or "", after or "", before or "", language or "")


def html(value: str, name: str) -> gr.Markdown:
    """Makes a component for our own HTML; gr.HTML would need `unsafe-eval` in the page's policy, Markdown does not."""
    return gr.Markdown(value, elem_id=name, container=False, latex_delimiters=[], show_label=False)
