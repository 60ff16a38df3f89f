// Thumbs on chunks: every card of a hit gets two buttons that say whether it is relevant to its question. The chat's
// cards come and go with each answer, so they are looked for whenever the page has changed.
import { make, parse, routes } from "./server.js";

const { post } = routes("labels");

const SHAPES = {
  up: "M7 10v11M15 5.9 14 10h5.8a2 2 0 0 1 1.9 2.6l-2.3 8A2 2 0 0 1 17.5 22H4a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2h2.8a2 2 0 0 0 1.8-1.1L12 2a3.1 3.1 0 0 1 3 3.9Z",
  down: "M17 14V3M9 18.1 10 14H4.2a2 2 0 0 1-1.9-2.6l2.3-8A2 2 0 0 1 6.5 2H20a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-2.8a2 2 0 0 0-1.8 1.1L12 22a3.1 3.1 0 0 1-3-3.9Z",
};
const TITLES = { up: "Relevant", down: "Not relevant" };
const GRADES = { up: 1, down: 0 };

const icon = (kind) => {
  const svg = parse(`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${SHAPES[kind]}"/></svg>`).querySelector("svg");
  return document.adoptNode(svg);
};

// --- which chunk, which question

const chunkOf = (card) => new URL(card.querySelector("a.rag-open").href).searchParams.get("chunk");

// What a follow-up question was searched for stands alone; "and in German?" would be no question of a task.
const searchedFor = (panel) => {
  const turn = panel?.querySelector(".rag-place")?.id.replace("shown-", "answer-");
  return turn && document.getElementById(turn)?.querySelector(".rag-searched q")?.textContent;
};
const questionOf = (card) => {
  const panel = card.closest(".rag-evidence");
  return card.closest("[data-question]")?.dataset.question ?? (searchedFor(panel) || panel?.querySelector(".rag-for")?.textContent || "");
};

// --- the buttons

const bar = () => {
  const buttons = Object.keys(SHAPES).map((kind) =>
    make("button", { type: "button", className: `lab-thumb lab-${kind}`, title: TITLES[kind], "aria-label": TITLES[kind], "aria-pressed": "false" }, icon(kind)),
  );
  return make("span", { className: "lab-thumbs", role: "group", "aria-label": "Is this passage relevant to the question?" }, ...buttons);
};

const show = (card, grade) => {
  const pressed = grade === undefined || grade === null ? null : grade > 0 ? "up" : "down";
  for (const kind of Object.keys(SHAPES)) {
    const button = card.querySelector(`.lab-${kind}`);
    button.setAttribute("aria-pressed", String(kind === pressed));
    button.title = kind === pressed ? `${TITLES[kind]}; press again to undo` : TITLES[kind];
  }
};

// The same passage may stand in several cards: on both sides of a comparison, in an older answer.
const same = (chunk, question) =>
  [...document.querySelectorAll(".rag-card:has(.lab-thumbs)")].filter((card) => chunkOf(card) === chunk && questionOf(card) === question);

const complain = (card, message) => {
  card.querySelector(".lab-failed")?.remove();
  if (message) card.querySelector("summary").append(make("span", { className: "lab-failed", role: "alert" }, message));
};

const judge = async (button) => {
  const card = button.closest(".rag-card");
  const [chunk, question] = [chunkOf(card), questionOf(card)];
  const kind = button.classList.contains("lab-up") ? "up" : "down";
  const grade = button.getAttribute("aria-pressed") === "true" ? null : GRADES[kind];
  const origin = card.closest("[data-origin]")?.dataset.origin || "thumb";
  complain(card, "");
  for (const each of same(chunk, question)) show(each, grade); // at once; what the server says comes after
  try {
    await post("judge", { chunk, question, grade, origin });
    document.dispatchEvent(new CustomEvent("rag-labelled"));
  } catch (error) {
    complain(card, error.message);
    look(same(chunk, question));
  }
};

// --- finding cards

const look = async (cards) => {
  for (const question of new Set(cards.map(questionOf))) {
    const asked = cards.filter((card) => questionOf(card) === question);
    try {
      const known = await (await post("grades", { question, chunks: asked.map(chunkOf) })).json();
      for (const card of asked) if (card.isConnected) show(card, known[chunkOf(card)]);
    } catch {
      // They stay unpressed; a press tells what is wrong.
    }
  }
};

let waiting = 0;
const find = () => {
  waiting = 0;
  const cards = [...document.querySelectorAll(".rag-card")].filter((card) => !card.querySelector(".lab-thumbs") && card.querySelector("a.rag-open"));
  const fresh = cards.filter((card) => questionOf(card).trim());
  for (const card of fresh) card.querySelector(".rag-head")?.append(bar());
  const drawn = fresh.filter((card) => card.querySelector(".lab-thumbs"));
  if (drawn.length) look(drawn);
};

new MutationObserver(() => {
  waiting ||= requestAnimationFrame(find);
}).observe(document, { childList: true, subtree: true });

document.addEventListener("click", (event) => {
  const button = event.target.closest?.(".lab-thumb");
  if (!button) return;
  event.preventDefault(); // the card's summary must not open or close
  judge(button);
});
