// The chat's embedder menu: what is chosen, and the indexes that are built from it while the chosen one goes on serving.
// Gradio holds the choice: a hidden box of its page is written to, and a hidden piece of its page says what to show.
import { Menu } from "./menu.js";
import { confirmed, make, overlay, parse, post as tell, routes } from "./server.js";

const IDLE_MS = 20000; // what other pages start is seen that late; opening the menu asks at once
const RUNNING_MS = 1000;
const PENDING = "embedder-pending"; // in the tab's own storage, so that a reload does not forget what was ordered
const NARROW = matchMedia("(max-width: 1023px)");
const UNUSED = "Not used: lexical search compares words.";

const { fetched, post } = routes("embedders");

const shown = { corpus: "", chosen: "", retriever: "" };
let root = null;
let timer = 0;
let pending = JSON.parse(sessionStorage.getItem(PENDING) || "null"); // {corpus, embedder, before}: to switch to when ready

const hint = make("p", { className: "emb-hint", hidden: true }, UNUSED);
const jobNote = make("div", {});
const ownNote = make("div", { role: "status" }); // an offer, an answer, an error of this page
const notes = [jobNote, ownNote].map((each) => make("div", { className: "emb-notes" }, each));

// --- what is chosen

const use = (name) => {
  const box = document.querySelector("#embedder-chosen textarea, #embedder-chosen input");
  box.value = name;
  box.dispatchEvent(new Event("input", { bubbles: true })); // by which Gradio hears of it
  shown.chosen = name;
  menu.setChosen(name);
};

const expect = (order) => {
  pending = order;
  if (order) sessionStorage.setItem(PENDING, JSON.stringify(order));
  else sessionStorage.removeItem(PENDING);
};

const standing = (name) => menu.option(name)?.dataset.standing;

const choose = async (name) => {
  clear();
  if (name === shown.chosen && standing(name) === "ready") return;
  if (standing(name) === "ready") {
    if (pending?.corpus === shown.corpus) expect({ ...pending, before: null }); // another was chosen meanwhile
    use(name);
  } else if (standing(name) === "building") {
    expect({ corpus: shown.corpus, embedder: name, before: shown.chosen });
    say(`${name} is being built, and answers as soon as it is ready.`);
  } else await offer(name);
};

const menu = new Menu(choose, () => poll());

// --- notes

const clear = () => ownNote.replaceChildren();

const say = (text, kind = "", ...buttons) => {
  const close = make("button", { type: "button", className: "lib-button", "data-emb": "close" }, "Close");
  const row = make("div", { className: "emb-buttons" }, ...buttons, close);
  ownNote.replaceChildren(make("div", { className: `emb-note ${kind}` }, make("p", {}, text), row));
};

const place = (html, where) => {
  if (where.shown === html) return;
  const action = where.contains(document.activeElement) ? document.activeElement.dataset.emb : "";
  where.shown = html;
  where.replaceChildren(...document.adoptNode(parse(html).body).childNodes);
  if (action) where.querySelector(`[data-emb="${action}"]`)?.focus({ preventScroll: true });
};

const attempt = async (action) => {
  try {
    await action();
  } catch (error) {
    say(error.message, "emb-failed");
  }
  await poll();
};

const offer = (name) =>
  attempt(async () => {
    ownNote.replaceChildren(make("div", { className: "emb-note rag-wait" }, `Counting what ${name} would take …`));
    const { corpus, chosen } = shown;
    const html = await (await fetched(`offer?${new URLSearchParams({ corpus, embedder: name, answering: chosen })}`)).text();
    if (corpus !== shown.corpus) return clear();
    ownNote.shown = "";
    place(html, ownNote);
  });

const build = async (name, { usd, consent }) => {
  const agreed = !consent || (await confirmed(`Build under ${name}?`, consent, "Build", { refuse: "Not now", kind: "lib-primary" }));
  if (!agreed) return;
  const { corpus, chosen } = shown;
  await attempt(async () => {
    await post("build", { corpus, embedder: name, agreed: Boolean(consent), usd: usd ? Number(usd) : null });
    expect({ corpus, embedder: name, before: chosen });
    clear();
  });
};

const ACTIONS = {
  build: (data) => build(ownNote.querySelector("[data-name]").dataset.name, data),
  use: () => {
    const { name } = ownNote.querySelector("[data-name]").dataset;
    clear();
    use(name);
  },
  close: clear,
  stop: () => attempt(() => tell("stop")),
  resume: () => attempt(() => tell("resume")),
  dismiss: () => {
    expect(null);
    return attempt(() => tell("dismiss"));
  },
};

const press = (event) => {
  const button = event.target.closest("button[data-emb]");
  if (button) ACTIONS[button.dataset.emb]?.(button.dataset);
};
for (const each of notes) each.addEventListener("click", press);

// --- what the server says

const settle = () => {
  if (!pending || pending.corpus !== shown.corpus || standing(pending.embedder) !== "ready") return;
  const { embedder, before } = pending;
  expect(null);
  if (shown.chosen === embedder) return clear();
  if (shown.chosen === before) {
    use(embedder);
    return say(`${embedder} is ready, and answers from now on.`, "emb-good");
  }
  const take = make("button", { type: "button", className: "lib-button lib-primary", "data-emb": "use" }, "Use it");
  say(`${embedder} is ready.`, "emb-good", take);
  ownNote.firstChild.dataset.name = embedder;
};

// The tab, and not the menu: on a phone that is folded away.
const isOpen = () => document.getElementById("columns").offsetParent !== null;

let latest = 0;
const poll = async () => {
  clearTimeout(timer);
  const mine = ++latest;
  let running = false;
  if (!document.hidden && isOpen() && shown.corpus) {
    try {
      const told = await (await fetched(`menu?${new URLSearchParams({ corpus: shown.corpus })}`)).json();
      if (mine !== latest) return; // a later one goes on
      running = told.running;
      menu.setOptions(told.options);
      place(told.note, jobNote);
      settle();
    } catch (error) {
      say(error.message, "emb-failed");
    }
  }
  if (mine !== latest) return;
  timer = setTimeout(poll, running ? RUNNING_MS : IDLE_MS);
};

// --- what Gradio says

const read = (mount) => {
  const before = shown.corpus;
  for (const name of Object.keys(shown)) shown[name] = mount.querySelector(`.emb-${name}`)?.textContent || "";
  const isUnused = shown.retriever === "lexical";
  menu.disable(isUnused || !shown.corpus);
  hint.hidden = !isUnused;
  if (before !== shown.corpus) {
    clear();
    poll();
  }
  menu.setChosen(shown.chosen);
};

// On a phone the settings are a sheet; what is being built is seen all the same.
const stand = () => {
  root.append(...notes);
  if (NARROW.matches) document.getElementById("bar").after(notes[0]);
};

const begin = (mount) => {
  const label = make("label", { className: "emb-label", htmlFor: "emb-input" }, "Embedder");
  root = make("div", { id: "embedder" }, label, menu.box, hint);
  mount.after(root);
  overlay(menu.list);
  stand();
  NARROW.addEventListener("change", stand);
  new MutationObserver(() => mount.querySelector(".emb-mount") && read(mount)).observe(mount, { childList: true, subtree: true, characterData: true });
  read(mount);
  poll();
};

document.addEventListener("visibilitychange", () => root && !document.hidden && poll());
document.addEventListener("click", (event) => root && event.target.closest('#tabs > .tab-wrapper [role="tab"]') && setTimeout(poll));

const observer = new MutationObserver(() => {
  const mount = document.getElementById("embedder-mount");
  if (!mount?.querySelector(".emb-mount")) return;
  observer.disconnect();
  begin(mount);
});
observer.observe(document, { childList: true, subtree: true });
