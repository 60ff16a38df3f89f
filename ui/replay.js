// Replay: the question of a turn asked again under another embedder or retriever, in a dialog beside the old answer.
import { make, overlay, routes } from "./server.js";
import { tell } from "./talking.js";

const RETRIEVERS = ["dense", "lexical", "hybrid"];
const NONE = "The embedders could not be listed: ";

const { fetched } = routes("embedders");
let waited = ""; // the request whose answer is waited for
let requests = 0;

// Only embedders that can answer for this corpus now are offered.
const serving = async (corpus) => {
  const told = await (await fetched(`menu?${new URLSearchParams({ corpus })}`)).json();
  const options = new DOMParser().parseFromString(told.options, "text/html").querySelectorAll('[role="option"][data-serves="true"]');
  return [...options].map((each) => each.dataset.name);
};

const select = (label, names, chosen) => {
  const options = names.map((name) => make("option", { value: name, selected: name === chosen }, name));
  const control = make("select", { name: label.toLowerCase() }, ...options);
  return [make("label", {}, make("span", {}, label), control), control];
};

// What a turn was asked with is in its chips.
const factsOf = (answer) => {
  const place = [...document.querySelectorAll("#messages .rag-answer")].indexOf(answer);
  return {
    turn: Number(answer.id.replace("answer-", "")),
    question: document.querySelectorAll("#messages .rag-question")[place]?.textContent || "",
    corpus: answer.querySelector(".rag-details span").textContent,
    embedder: answer.querySelector(".rag-embedder")?.textContent || "",
    retriever: answer.querySelector(".rag-chip:not(.rag-embedder)").textContent,
  };
};

const say = (result, text, kind = "rag-wait") => result.replaceChildren(make("p", { className: kind, role: "status" }, text));

const ask = (result, facts, embedder, retriever) => {
  requests += 1;
  waited = `${facts.turn}-${requests}`;
  say(result, `Asking again under ${retriever === "lexical" ? "lexical search" : `${embedder}, ${retriever}`} …`);
  tell("chat-replay", { turn: facts.turn, embedder, retriever, request: waited });
};

const open = async (answer) => {
  const facts = factsOf(answer);
  const close = make("button", { type: "button", className: "rag-sheet-x", title: "Close", "aria-label": "Close" }, "×");
  const result = make("div", { className: "rag-replay-result", "aria-live": "polite" });
  const form = make("form", { className: "rag-replay-form" });
  const head = make("div", { className: "rag-replay-head" }, make("div", {}, make("h2", {}, "Replay"), make("p", { dir: "auto" }, facts.question)), close);
  const dialog = make("dialog", { id: "replay", "aria-label": "Replay" }, head, form, result);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    waited = "";
    dialog.remove();
  });
  overlay(dialog);
  dialog.showModal();
  try {
    const names = await serving(facts.corpus);
    const other = names.find((name) => name !== facts.embedder) || facts.embedder;
    const [embedderLabel, embedder] = select("Embedder", names, other);
    const [retrieverLabel, retriever] = select("Retriever", RETRIEVERS, facts.retriever);
    const go = make("button", { type: "submit", className: "lib-button lib-primary" }, "Replay");
    const settle = () => (embedder.disabled = retriever.value === "lexical");
    retriever.addEventListener("change", settle);
    settle();
    form.append(embedderLabel, retrieverLabel, go);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(result, facts, embedder.value, retriever.value);
    });
    embedder.focus();
    if (names.length < 2) say(result, "This corpus has one embedder only: another retriever can be compared with it.", "rag-hint");
  } catch (error) {
    say(result, NONE + error.message, "rag-error");
  }
};

document.addEventListener("click", (event) => {
  const button = event.target.closest(".rag-do-replay");
  if (button) open(button.closest(".rag-answer"));
});

// The answer comes into a hidden place of the page; what the dialog shows is a copy.
const observer = new MutationObserver(() => {
  const come = waited && document.querySelector(`#replay-result #replay-${waited}`);
  if (!come) return;
  waited = "";
  document.querySelector("#replay .rag-replay-result")?.replaceChildren(document.importNode(come, true));
});
observer.observe(document, { childList: true, subtree: true });
