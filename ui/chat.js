// What the page does by itself: markers lead to their quotations, keys work, and on a small screen columns are sheets.
// Everything is delegated from the document, because Gradio replaces elements whenever an answer grows.
import "./chats.js";
import "./replay.js";
import { copyAnswer } from "./copying.js";
import { closeSheet, openSheet, sheetOpen, tell } from "./talking.js";

const WAIT_MS = 4000;

// --- evidence

const reveal = (target) => {
  for (let each = target.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
  const mark = target.nextElementSibling || target;
  mark.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  mark.classList.remove("rag-flash");
  void mark.offsetWidth; // restarts the animation
  mark.classList.add("rag-flash");
};

// The evidence of an older turn is fetched by the same click (Gradio's select event): wait until it is there.
const revealSoon = (id) => {
  const panel = document.getElementById("evidence-panel");
  const found = () => document.getElementById(id);
  if (found()) return reveal(found());
  const observer = new MutationObserver(() => {
    if (!found()) return;
    observer.disconnect();
    reveal(found());
  });
  observer.observe(panel, { childList: true, subtree: true });
  setTimeout(() => observer.disconnect(), WAIT_MS);
};

// The turn whose evidence is shown is marked in the conversation, where there is more than one.
const markShown = () => {
  const bar = document.querySelector(".rag-bar-status");
  const status = [...document.querySelectorAll("#status .rag-status > span")].map((each) => each.textContent).join(" · ");
  if (bar && bar.textContent !== status) bar.textContent = status;
  const shown = document.querySelector("#evidence-panel .rag-place")?.id.replace("shown-", "answer-");
  // Gradio calls a message by all of its HTML.
  for (const each of document.querySelectorAll("#messages [data-testid][aria-label*='<']")) {
    const own = each.querySelector(".rag-question, .rag-text, .rag-answer");
    each.setAttribute("aria-label", `${each.dataset.testid === "user" ? "Question" : "Answer"}: ${own?.textContent || ""}`);
  }
  const answers = [...document.querySelectorAll("#messages .rag-answer")];
  for (const each of answers) each.classList.toggle("rag-shown", answers.length > 1 && each.id === shown);
};

let marking = 0;
new MutationObserver((changes) => {
  if (!changes.some(({ target }) => target.nodeType === 1 && target.closest("#messages, #evidence-panel, #status, #bar"))) return;
  cancelAnimationFrame(marking);
  marking = requestAnimationFrame(markShown);
}).observe(document, { childList: true, subtree: true });

// --- clicks

const actions = {
  ".rag-do-copy": (button) => copyAnswer(button),
  ".rag-do-evidence": () => openSheet("evidence"),
  ".rag-again": () => tell("chat-again", { turn: Number(document.querySelector(".rag-place").id.replace("shown-", "")) }),
  ".rag-sheet-open-choices": () => openSheet("choices"),
  ".rag-sheet-close": () => closeSheet(),
};

document.addEventListener("click", (event) => {
  const marker = event.target.closest("a.rag-cite");
  if (marker) {
    event.preventDefault();
    openSheet("evidence");
    setTimeout(() => revealSoon(marker.getAttribute("href").slice(1)));
    return;
  }
  if (event.target.id === "columns") return closeSheet(); // its shade, beside an open sheet
  for (const [selector, act] of Object.entries(actions)) {
    const button = event.target.closest(selector);
    if (button) return act(button);
  }
});

// --- keys

const box = () => document.querySelector("#question textarea");
const isChatOpen = () => document.getElementById("columns")?.offsetParent !== null;
const isTyping = (element) => element.matches("input:not([type=range],[type=radio],[type=checkbox]), textarea, select, [contenteditable=true]");

const write = (text) => {
  box().value = text;
  box().dispatchEvent(new Event("input", { bubbles: true }));
  box().focus();
  box().setSelectionRange(text.length, text.length);
};

document.addEventListener("keydown", (event) => {
  if (!box() || !isChatOpen() || event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "Escape") {
    if (sheetOpen()) closeSheet();
    else if (document.getElementById("stop")?.offsetParent) document.getElementById("stop").click();
  } else if (event.key === "/" && plain && !isTyping(event.target)) {
    event.preventDefault();
    box().focus();
  } else if (event.key === "ArrowUp" && plain && event.target === box() && !box().value) {
    const questions = document.querySelectorAll("#messages .rag-question");
    if (!questions.length) return;
    event.preventDefault();
    write(questions[questions.length - 1].textContent);
  }
});
