"""People at the chat: each has a page of their own, asks over HTTP as the page does, and knows what must come back."""

import html
import re
import threading
import time
from dataclasses import dataclass, field

import httpx

from gradio_wire import Page


@dataclass(frozen=True)
class Told:
    """What came of one question: the whole conversation as the page shows it, the evidence, and how long it took."""

    question: str
    questions: list[str]
    answer: str
    evidence: str
    first_seconds: float
    seconds: float


@dataclass
class Person:
    """Somebody with a browser; `told` grows with each answer, `failure` is what broke."""

    url: str
    corpus: str
    embedder: str
    retriever: str = "hybrid"
    login: dict = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    failure: str = ""

    def __post_init__(self):
        self.client = httpx.Client(base_url=self.url, timeout=120, trust_env=False)
        if self.login:
            self.client.post("/login", data=self.login)
        self.client.get("/").raise_for_status()
        self.page = Page(self.client)
        parts = self.page.config["components"]
        self.parts = {part["id"]: part for part in parts}
        self.named = {part["props"]["elem_id"]: part["id"] for part in parts if part["props"].get("elem_id")}
        loading = self.function(None, "load")
        self.arrival = self.page.call(loading, self.data(loading))
        self.asking = self.function("send", "click")

    def function(self, name, event):
        """Returns the number of what happens at an event of a part of the page, or of the page itself."""
        wanted = self.named.get(name)
        for each in self.page.config["dependencies"]:
            if any(kind == event and (name is None or part == wanted) for part, kind in each["targets"]):
                return each["id"]
        raise LookupError(name)

    def data(self, function, **given):
        """Returns the inputs of a function: those given by their names, of the others what the page begins with."""
        inputs = self.page.config["dependencies"][function]["inputs"]
        given = {self.named[name.replace("_", "-")]: value for name, value in given.items()}
        return [given.get(part, self.parts[part]["props"].get("value")) for part in inputs]

    def inputs(self, question):
        """Returns what the page sends with a question."""
        return self.data(
            self.asking, question=question, corpus=self.corpus, embedder_chosen=self.embedder, retriever=self.retriever
        )

    def ask(self, question):
        """Asks a question and waits for the end of its answer."""
        data = self.inputs(question)
        started, first, stream, shown = time.perf_counter(), None, [], {}
        for message in self.page.stream(self.asking, data):
            if message["msg"] == "process_generating":
                assert message["success"], message["output"]
                first = first or time.perf_counter() - started
                stream = changed(stream, message["output"]["data"])
                shown |= {number: value for number, value in enumerate(stream) if not _is_update(value)}
        seconds = time.perf_counter() - started
        texts = [each["content"][0]["text"] for each in shown[0]]
        told = Told(
            question, [_plain(each) for each in texts[::2]], _plain(texts[-1]), _plain(shown[1]), first, seconds
        )
        self.told.append(told)
        return told

    def ask_all(self, questions):
        """Asks one question after the other; keeps what breaks."""
        try:
            for question in questions:
                self.ask(question)
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"

    def leave(self):
        """Closes the browser."""
        self.client.close()


def changed(before, data):
    """Returns the outputs after a message of a stream, which brings them whole at first and then what has changed."""
    if not before:
        return data
    return [_patched(old, changes) for old, changes in zip(before, data, strict=True)]


def _patched(old, changes):
    for action, path, value in changes:
        old = _changed_at(old, path, action, value)
    return old


def _is_update(value):
    return isinstance(value, dict) and value.get("__type__") == "update"


def _plain(markup):
    """Returns the text of HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", markup)).split())


def _changed_at(target, path, action, value):
    if not path:
        return value if action == "replace" else target + value
    *way, last = path
    place = target
    for step in way:
        place = place[step]
    if action == "replace":
        place[last] = value
    elif action == "append":
        place[last] += value
    elif action == "add":
        place.insert(last, value) if isinstance(place, list) else place.__setitem__(last, value)
    else:
        del place[last]
    return target


def chat_together(people, questions):
    """Has everybody ask their questions at the same time, and waits for the last."""
    threads = [
        threading.Thread(target=person.ask_all, args=(own,)) for person, own in zip(people, questions, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def percentile(values, share):
    """Returns the value that a share of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]
