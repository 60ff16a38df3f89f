// The Compare tab: a question to two to four contestants. The server draws what they found and keeps the names of a
// blind round until the vote.
import { make, parse, query, routes } from "./server.js";
import "./thumbs.js";

const { fetched, post } = routes("compare");

const FEWEST = 2;
const KEYS = { t: "tie", x: "bad" };
let root = null; // where the tab is drawn, once it is
let round = null; // the id of what is being voted on
let last = Promise.resolve(); // what is under way: one thing follows the other, and no key is lost

const isOpen = () => root && root.offsetParent !== null;
const form = () => root.querySelector(".cmp-form");
const field = (name) => form().elements[name];
const corpus = () => field("corpus").value;
const place = () => root.querySelector(".cmp-round");

// --- pieces

const fill = (name, html) => {
  const old = root.querySelector(`[data-part="${name}"]`);
  old.replaceChildren(...document.adoptNode(parse(html).body).childNodes);
};

const fillPart = (name, html) => fill(name, parse(html).querySelector(`[data-part="${name}"]`)?.innerHTML ?? html);

const complain = (error) => {
  const alert = root.querySelector("#cmp-alert") || make("div", { id: "cmp-alert", className: "rag-error", role: "alert" });
  alert.textContent = error.message;
  form().after(alert);
};

const attempt = (action) => {
  last = last.then(async () => {
    root.querySelector("#cmp-alert")?.remove();
    await action();
  }).catch(complain);
  return last;
};

// --- what to compare

const sides = () => [...root.querySelectorAll("[data-side]")];
const shownSides = () => sides().filter((side) => !side.hidden);
const isBlind = () => root.querySelector('[data-mode="blind"]').getAttribute("aria-pressed") === "true";

const settle = () => {
  const shown = shownSides().length;
  root.querySelector('[data-cmp="more"]').disabled = shown === sides().length;
  root.querySelector('[data-cmp="fewer"]').disabled = shown <= FEWEST;
  for (const side of sides()) {
    const drawn = side.querySelector('option[value=""]');
    drawn.disabled = drawn.hidden = !isBlind();
  }
};

// Named sides begin as different contestants, the first ones that there are; blind ones as whoever is drawn.
const choose = () => {
  sides().forEach((side, number) => {
    const select = side.querySelector("select");
    const names = [...select.options].map((option) => option.value).filter(Boolean);
    select.value = isBlind() ? "" : names[(number * 2) % names.length] || names[0];
  });
  const values = sides().map((side) => side.querySelector("select").value);
  if (!isBlind() && new Set(values).size < values.length)
    sides().forEach((side, number) => (side.querySelector("select").selectedIndex = number + 1));
  settle();
};

const count = (step) => {
  const next = shownSides().length + step;
  sides().forEach((side, number) => (side.hidden = number >= next));
  settle();
};

const changeCorpus = async () => {
  const shown = shownSides().length;
  fillPart("sides", await (await fetched(`sides?corpus=${encodeURIComponent(corpus())}`)).text());
  sides().forEach((side, number) => (side.hidden = number >= shown));
  choose();
  stand();
};

// --- a round

const compare = async () => {
  const order = {
    corpus: corpus(),
    question: field("question").value,
    sides: shownSides().map((side) => side.querySelector("select").value),
    blind: isBlind(),
    k: Number(field("k").value),
  };
  const named = order.sides.filter(Boolean);
  if (new Set(named).size < named.length) throw new Error("Each contestant can be compared once. Choose different ones.");
  round = null;
  const wait = make("span", { className: "rag-wait" }, "Searching …");
  place().replaceChildren(wait);
  form().inert = true;
  try {
    const asked = await (await post("ask", order)).json();
    round = asked.round;
    place().replaceChildren(...document.adoptNode(parse(asked.html).body).childNodes);
    place().scrollIntoView({ block: "start" });
  } finally {
    form().inert = false;
    wait.remove();
  }
};

const random = async () => {
  field("question").value = (await (await fetched(`question?corpus=${encodeURIComponent(corpus())}`)).json()).question;
  await compare();
};

const vote = async (verdict) => {
  if (!round) return;
  const told = await (await post("vote", { round, verdict })).json();
  round = null;
  for (const [letter, html] of Object.entries(told.heads)) fill(`head-${letter}`, html);
  fill("vote", told.vote);
  place().querySelector('[data-cmp="again"]')?.focus({ preventScroll: true });
  stand();
};

const again = () => {
  place().replaceChildren();
  field("question").value = "";
  field("question").focus();
};

// Scoring many labelled questions takes its time: nothing waits for it, and an answer that was overtaken is of no use.
let newest = 0;
const stand = async () => {
  const mine = ++newest;
  try {
    const html = await (await fetched(`standings?corpus=${encodeURIComponent(corpus())}`)).text();
    if (mine === newest) fillPart("standings", html);
  } catch (error) {
    complain(error);
  }
};

// --- events

const ACTIONS = { random: () => attempt(random), again, more: () => count(1), fewer: () => count(-1) };

const pressMode = (chosen) => {
  for (const button of root.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button === chosen));
  choose();
};

const listen = () => {
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(compare);
  });
  root.addEventListener("change", (event) => event.target.name === "corpus" && attempt(changeCorpus));
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.mode) pressMode(button);
    else if (button?.dataset.verdict) attempt(() => vote(button.dataset.verdict));
    else ACTIONS[button?.dataset.cmp]?.();
  });
};

const isTyping = (element) => element.closest?.("input, textarea, select, dialog, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (!isOpen() || !round || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const verdict = KEYS[event.key.toLowerCase()] || event.key.toUpperCase();
  if (!root.querySelector(`[data-verdict="${CSS.escape(verdict)}"]`)) return;
  event.preventDefault();
  attempt(() => vote(verdict));
});

// Votes and labels may have come from elsewhere meanwhile.
const refresh = () => isOpen() && form() && stand();
document.addEventListener("click", (event) => event.target.closest('#tabs > .tab-wrapper [role="tab"]') && setTimeout(refresh));
document.addEventListener("visibilitychange", () => document.hidden || refresh());

const begin = async (mount) => {
  try {
    const page = parse(await (await fetched(`page?corpus=${encodeURIComponent(query().get("corpus") || "")}`)).text());
    root = make("div", { id: "compare-root" }, ...document.adoptNode(page.body).childNodes);
    mount.after(root);
    mount.hidden = true;
    if (!form()) return;
    listen();
    choose();
    stand();
  } catch (error) {
    mount.querySelector(".rag-wait").textContent = error.message;
  }
};

const observer = new MutationObserver(() => {
  const mount = document.getElementById("compare");
  if (!mount?.querySelector(".compare-mount")) return;
  observer.disconnect();
  begin(mount);
});
observer.observe(document, { childList: true, subtree: true });
