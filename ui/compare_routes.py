"""The HTTP routes of the Compare tab: rounds, votes and standings."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Request
from fastapi.responses import HTMLResponse

from rag.errors import UsageError
from ui.compare_html import heads_html, round_html, shell_html, sides_html, standings_html, vote_html
from ui.comparing import Comparing
from ui.embedder_states import EmbedderStates
from ui.holding import Holding
from ui.label_routes import first_of, searchable
from ui.labelling import Labelling
from ui.visitors import user_of

PREFIX = "/compare"


def add_compare_routes(app: FastAPI, holding: Holding) -> None:
    """Adds the routes to the application; errors are answered as the Library tab's are."""
    library = holding.library
    states = EmbedderStates(library, holding.settings)
    comparing, labelling = Comparing(holding.reader, states), Labelling(holding.reader, states)
    router = APIRouter(prefix=PREFIX)

    @router.get("/page", response_class=HTMLResponse)
    def page(corpus: str = "") -> str:
        corpora = searchable(holding)
        chosen = corpus if corpus in corpora else first_of(corpora)
        return shell_html(corpora, chosen, comparing.contestants(chosen) if chosen else [])

    @router.get("/sides", response_class=HTMLResponse)
    def sides(corpus: str) -> str:
        return sides_html(comparing.contestants(library.corpus_or_only(corpus)))

    @router.get("/question")
    def question(corpus: str) -> dict[str, str]:
        """Draws a question from the labelled tasks of a corpus."""
        name = library.corpus_or_only(corpus)
        questions = labelling.questions(name)
        if not questions:
            raise UsageError(
                f"No labelled task of '{name}' has a question yet. Type one, or import a task: rag labels import DIR"
            )
        return {"question": secrets.choice(questions)}

    @router.post("/ask")
    def ask(
        request: Request,
        corpus: Annotated[str, Body()],
        question: Annotated[str, Body()],
        sides: Annotated[list[str], Body()],
        blind: Annotated[bool, Body()] = True,
        k: Annotated[int, Body()] = 5,
    ) -> dict[str, Any]:
        asked = comparing.ask(corpus, question, sides, blind, k, user_of(request))
        return {"round": asked.id, "html": round_html(asked)}

    @router.post("/vote")
    def vote(
        request: Request,
        round_id: Annotated[str, Body(alias="round")],
        verdict: Annotated[str, Body()],
    ) -> dict[str, Any]:
        voted = comparing.vote(round_id, verdict, user_of(request))
        return {"heads": heads_html(voted), "vote": vote_html(voted)}

    @router.get("/standings", response_class=HTMLResponse)
    def standings(corpus: str, task: str = "") -> str:
        return standings_html(comparing.standings(library.corpus_or_only(corpus), task))

    app.include_router(router)
