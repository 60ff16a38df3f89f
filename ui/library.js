// The Library tab. The server sends pieces of HTML, each in an element with `data-part`; those that have changed take
// the place of the old ones. The view is what the address says, so that going back and reloading work.
import { closeReader, moveTo, openDocument, visit } from "./reader.js";
import { confirmed, fetched, make, parse, post, query, routes, SILENCE, viewQuery } from "./server.js";
import { onDrop, picked, Transfer } from "./upload.js";

const IDLE_MS = 5000;
const RUNNING_MS = 1000;
const REFRESH_EVERY = 5; // polls of a running job after which the list is fetched anew
const TYPING_MS = 250;
const SETTLE_MS = 100;

const embedders = routes("embedders");
const shown = new Map(); // part -> the HTML that the server sent last
let root = null; // where the tab is drawn, once it is
let outcomes = "all";
let version = null; // of the job: its number and state
let running = false;
let polls = 0;
let timer = 0;
let transfer = null; // the uploads of this page
let waiting = null; // what they are ingested with, once the running job has ended

// --- tabs and addresses

const tabs = () => [...document.querySelectorAll('#tabs > .tab-wrapper [role="tab"]')];
const nameOf = (tab) => tab.textContent.trim().toLowerCase();
const isOpen = () => root && root.offsetParent !== null;

const wantedTab = () => tabs().find((tab) => nameOf(tab) === (query().get("tab") || "chat"));

const follow = () => {
  const wanted = query();
  if (wantedTab()?.getAttribute("aria-selected") !== "true") wantedTab()?.click();
  if (wanted.get("document")) openDocument(wanted.get("document"), wanted.get("chunk"));
  else closeReader();
  if (root) refresh();
};

const go = (address) => {
  history.pushState(null, "", address);
  follow();
};

// The chat reads which corpus is wanted when its tab is opened; Gradio hears of a value by its input event.
const askCorpus = (name) => {
  const box = document.querySelector("#wanted textarea, #wanted input");
  box.value = name;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  go(location.pathname);
};

// A click on Gradio's own tab: the address follows it.
const remember = (name) => {
  history.replaceState(null, "", name === "chat" ? location.pathname : `?tab=${name}`);
  if (name === "library" && root) refresh();
};

// --- pieces

const show = (html) => {
  for (const piece of parse(html).querySelectorAll("[data-part]")) {
    const name = piece.dataset.part;
    if (shown.get(name) === piece.innerHTML) continue;
    shown.set(name, piece.innerHTML);
    const old = root.querySelector(`[data-part="${name}"]`);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = old.querySelector("[data-keep-scroll]")?.scrollTop;
    const opened = old.querySelector("details[data-keep-open]")?.open;
    old.replaceChildren(...document.adoptNode(piece).childNodes);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    const list = old.querySelector("[data-keep-scroll]");
    if (scrolled && list) list.scrollTop = scrolled;
    if (opened) old.querySelector("details[data-keep-open]")?.setAttribute("open", "");
  }
};

// On a phone the corpora stand in a row that may be wider than the screen.
const showCorpus = () => {
  const chosen = root.querySelector(".lib-corpora [aria-current]");
  if (chosen) chosen.parentElement.scrollLeft = chosen.offsetLeft - chosen.parentElement.offsetLeft - 40;
};

let latest = 0;
const refresh = async () => {
  const mine = ++latest;
  try {
    const html = await (await fetched(`page?${viewQuery()}`)).text();
    if (mine !== latest) return; // an answer that was overtaken is of no use
    show(html);
    showCorpus();
  } catch (error) {
    complain(error);
  }
};

const poll = async () => {
  clearTimeout(timer);
  if (!document.hidden && root) {
    try {
      const job = await (await fetched(`job?outcomes=${outcomes}`)).json();
      const changed = version !== null && version !== job.version;
      [version, running] = [job.version, job.running];
      show(job.html);
      polls += 1;
      if (isOpen() && (changed || (running && polls % REFRESH_EVERY === 0))) await refresh();
      if (alert()?.textContent === SILENCE) alert().remove();
      if (!running && waiting) await startWaiting();
    } catch (error) {
      complain(error);
    }
  }
  clearTimeout(timer);
  timer = setTimeout(poll, running ? RUNNING_MS : IDLE_MS);
};

// --- what went wrong

const alert = () => document.getElementById("lib-alert");

const complain = (error) => {
  if (!root) return;
  if (!alert()) root.querySelector(".lib-main").prepend(make("div", { id: "lib-alert", className: "rag-error", role: "alert" }));
  if (alert().textContent !== error.message) alert().textContent = error.message;
};

const attempt = async (action) => {
  alert()?.remove();
  try {
    await action();
  } catch (error) {
    complain(error);
  }
  await poll();
};

// --- adding documents

const corpus = () => root.querySelector(".lib-drop").dataset.corpus;
const chosen = () => ({
  corpus: corpus(),
  embedders: [...root.querySelectorAll('input[name="embedder"]:checked')].map((box) => box.value),
  chunker: root.querySelector('select[name="chunker"]').value,
});

const upload = async (found) => {
  alert()?.remove();
  if (!found.files.length && !found.errors.length) {
    complain(new Error(found.hidden ? "These are hidden files, which are not ingested." : "There is no file in it."));
  } else if (transfer) {
    complain(new Error("Files are still being uploaded. Wait for them, or cancel them."));
  } else {
    const order = chosen();
    const limit = Number(root.querySelector(".lib").dataset.limit);
    transfer = new Transfer(found, order.corpus, limit, root.querySelector(".lib-transfer"));
    if (!(await transfer.run())) return endTransfer();
    waiting = order;
    if (running) transfer.drawWaiting();
    else await startWaiting();
  }
};

const startWaiting = async () => {
  const order = waiting;
  endTransfer();
  await attempt(() => post("ingest", order));
};

const endTransfer = () => {
  transfer?.drawEnd();
  transfer = waiting = null;
};

// --- asking before something goes

const remove = ({ source, name, chunks, uploaded }) => attempt(async () => {
  const asked = new URLSearchParams({ corpus: corpus(), source });
  const { notes } = await (await fetched(`kept?${asked}`)).json();
  const copy = "Its uploaded copy is deleted too.";
  const own = "The file stays on the disk; a later ingest of its folder leaves it out.";
  const leaves = `“${name}” and its ${Number(chunks).toLocaleString("en")} chunks leave “${corpus()}” under every embedder.`;
  const text = [leaves, uploaded === "true" ? copy : own, ...notes].join(" ");
  if (await confirmed("Remove this document?", text, "Remove")) await post("remove", { corpus: corpus(), sources: [source] });
});

// --- building an index; what costs money, or sends text away, is asked about first

const backfill = async ({ embedder, chunker, asks }) => {
  const order = { corpus: corpus(), embedder, chunker };
  let agreed = {};
  if (asks) {
    const html = await (await embedders.fetched(`offer?${new URLSearchParams(order)}`)).text();
    const { consent, usd } = parse(html).querySelector('[data-emb="build"]')?.dataset || {};
    const answer = { refuse: "Not now", kind: "lib-primary" };
    if (consent && !(await confirmed(`Build under ${embedder}?`, consent, "Build", answer))) return;
    agreed = { agreed: Boolean(consent), usd: usd ? Number(usd) : null };
  }
  await embedders.post("build", { ...order, ...agreed });
};

// --- events, all delegated from the document

const ACTIONS = {
  stop: () => attempt(() => post("stop")),
  resume: () => attempt(() => post("resume")),
  dismiss: () => attempt(() => post("dismiss")),
  backfill: (order) => attempt(() => backfill(order)),
  remove,
  close: closeReader,
  "cancel-upload": () => {
    transfer?.cancel();
    if (waiting) endTransfer();
  },
  "close-upload": () => root.querySelector(".lib-transfer").replaceChildren(),
};

// Links to a view begin with "?"; Gradio takes every other attribute from those that come through it.
const followLink = (address) => {
  const wanted = new URLSearchParams(address);
  if (wanted.has("document")) visit(wanted.get("document"), wanted.get("chunk"));
  else go(address);
};

document.addEventListener("click", (event) => {
  const tab = event.target.closest('#tabs > .tab-wrapper [role="tab"]');
  if (tab && event.isTrusted) remember(nameOf(tab));
  const element = event.target.closest('a[href^="?"], button[data-action], button[data-document], button[data-outcomes], button[data-ask]');
  if (!element || event.ctrlKey || event.metaKey || event.shiftKey) return; // with a key a link opens beside this page
  event.preventDefault();
  const { action, document: id, chunk, at, block, ask, outcomes: which } = element.dataset;
  if (action) ACTIONS[action]?.(element.dataset);
  else if (which) {
    outcomes = which;
    poll();
  } else if (ask) askCorpus(ask);
  else if (at) moveTo(id, at, block || "start");
  else if (id) visit(id, chunk);
  else followLink(element.getAttribute("href"));
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-action]");
  if (!form) return;
  event.preventDefault();
  const value = (name) => form.elements[name].value.trim();
  if (form.dataset.action === "new-corpus") {
    go(`?${new URLSearchParams({ tab: "library", corpus: value("corpus") })}`);
    form.reset();
  } else attempt(() => post("ingest", { ...chosen(), folder: value("folder") }));
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-files]")) {
    const found = picked(event.target.files);
    event.target.value = ""; // so that the same folder can be chosen again
    upload(found);
  } else if (event.target.matches('input[name="embedder"]')) {
    root.querySelector("[data-chosen]").textContent = chosen().embedders.join(", ") || "those of the settings";
  }
});

let typing = 0;
document.addEventListener("input", (event) => {
  if (!event.target.matches(".lib-search")) return;
  clearTimeout(typing);
  typing = setTimeout(() => {
    const search = query();
    search.set("tab", "library");
    search.delete("page");
    search.set("q", event.target.value.trim());
    history.replaceState(null, "", `?${search}`);
    refresh();
  }, TYPING_MS);
});

onDrop(isOpen, (over) => root.querySelector(".lib").classList.toggle("lib-over", over), upload);

addEventListener("popstate", () => {
  const search = root?.querySelector(".lib-search");
  if (search) search.value = query().get("q") || "";
  follow();
});
document.addEventListener("visibilitychange", () => document.hidden || poll());
addEventListener("beforeunload", (event) => transfer && event.preventDefault());

// --- the beginning: Gradio draws the page by script, and a tab when it is opened for the first time

const begin = async (mount) => {
  try {
    const page = parse(await (await fetched(`page?${viewQuery()}&shell=true`)).text());
    for (const piece of page.querySelectorAll("[data-part]")) shown.set(piece.dataset.part, piece.innerHTML);
    root = make("div", { id: "library-root" }, ...document.adoptNode(page.body).childNodes);
    mount.after(root);
    mount.hidden = true;
    showCorpus();
    refresh(); // the first answer came at once, and left out what takes long to count
    poll();
  } catch (error) {
    mount.querySelector(".rag-wait").textContent = error.message;
  }
};

// Some time after Gradio has drawn its tabs it begins to hear of clicks.
const settling = setInterval(() => {
  const tab = wantedTab();
  if (tab?.getAttribute("aria-selected") === "true") {
    clearInterval(settling);
    follow();
  } else tab?.click();
}, SETTLE_MS);

const observer = new MutationObserver(() => {
  const mount = document.getElementById("library");
  if (!mount?.querySelector(".lib-mount")) return;
  observer.disconnect();
  begin(mount);
});
observer.observe(document, { childList: true, subtree: true });
