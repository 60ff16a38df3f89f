// What a finished evaluation can do: tables sort, plots and pairs are chosen, queries filtered, opened, and taken to the chat.
import { make, parse, routes } from "./server.js";

const { fetched } = routes("evaluate");

const TYPING_MS = 250;

let asked = {}; // which queries are shown
let newest = 0;
let typing = 0;

const results = (root) => root.querySelector(".eva-results");
const place = (root) => root.querySelector(".eva-queries");
const fill = (element, html) => element.replaceChildren(...document.adoptNode(parse(html).body).childNodes);

// --- tables

const keyOf = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;

const order = (one, other) => {
  if (one === "" || other === "") return one === other ? 0 : one === "" ? 1 : -1; // what is unknown stays below
  return Number.isNaN(Number(one)) || Number.isNaN(Number(other)) ? one.localeCompare(other) : one - other;
};

const sort = (head) => {
  const table = head.closest("table");
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.slice(0, heads.indexOf(head) + 1).reduce((sum, each) => sum + each.colSpan, 0) - 1;
  const byName = head.textContent === "#" || (head.classList.contains("left") && head.colSpan === 1);
  const [first, second] = byName ? ["ascending", "descending"] : ["descending", "ascending"];
  const direction = head.getAttribute("aria-sort") === first ? second : first;
  for (const each of heads) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const sign = direction === "descending" ? -1 : 1;
  const unknown = (row) => keyOf(row, column) === "";
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => (unknown(a) || unknown(b) ? 1 : sign) * order(keyOf(a, column), keyOf(b, column)));
  table.tBodies[0].append(...rows);
};

// --- one of several drawings

const choose = (root, name, value) => {
  for (const each of root.querySelectorAll(`figure[data-${name}]`)) each.hidden = each.dataset[name] !== value;
  for (const each of root.querySelectorAll(`button[data-${name}]`)) each.setAttribute("aria-pressed", String(each.dataset[name] === value));
};

// --- queries

const address = (more) => {
  const { id, task } = asked;
  return new URLSearchParams({ id, task, ...more });
};

const drawQueries = async (root) => {
  const mine = ++newest;
  const { show = "", kind = "", q = "", page = 1 } = asked;
  const html = await (await fetched(`queries?${address({ show, kind, q, page })}`)).text();
  if (mine !== newest || !place(root)) return;
  const focused = place(root).contains(document.activeElement) ? document.activeElement : null;
  const wanted = focused?.matches(".eva-search") ? ".eva-search" : focused?.dataset.show !== undefined ? `[data-show="${focused.dataset.show}"]` : "";
  const at = focused?.selectionStart;
  fill(place(root), html);
  const again = wanted ? place(root).querySelector(wanted) : null;
  again?.focus({ preventScroll: true });
  if (again?.matches(".eva-search")) again.setSelectionRange(at, at);
};

export const showResults = async (root) => {
  asked = { id: results(root).dataset.id, task: results(root).dataset.task };
  await drawQueries(root);
};

const narrow = (root, more, attempt) => {
  asked = { ...asked, page: 1, ...more };
  return attempt(() => drawQueries(root));
};

const expand = async (details) => {
  const body = details.querySelector(".eva-detail");
  if (body.childElementCount) return;
  fill(body, '<span class="rag-wait">Reading …</span>');
  try {
    fill(body, await (await fetched(`query?${address({ query: details.dataset.query })}`)).text());
  } catch (error) {
    body.replaceChildren(make("div", { className: "rag-error", role: "alert" }, error.message));
  }
};

export const openQuery = async (root, id) => {
  const details = [...root.querySelectorAll(".eva-query")].find((each) => each.dataset.query === id);
  if (!details) return;
  details.open = true;
  await expand(details);
  details.scrollIntoView({ block: "center" });
};

// --- to the chat

const write = (selector, value) => {
  const box = document.querySelector(`${selector} textarea, ${selector} input`);
  box.value = value;
  box.dispatchEvent(new Event("input", { bubbles: true }));
};

const isNarrow = () => matchMedia("(max-width: 1023px)").matches;

// Where every row has what is relevant stands beside the evidence; on a small screen above the conversation.
const showGold = async (query) => {
  document.querySelector(".eva-goldpanel")?.remove();
  const page = parse(await (await fetched(`gold?${address({ query })}`)).text());
  const panel = document.adoptNode(page.querySelector(".eva-goldpanel"));
  if (isNarrow()) document.querySelector("#messages").before(panel);
  else document.querySelector("#evidence").prepend(panel);
  panel.querySelector('[data-eva="close-gold"]').addEventListener("click", () => panel.remove());
};

const openInChat = async ({ corpus, embedder, retriever, question, query }) => {
  write("#wanted", JSON.stringify({ corpus, embedder, retriever }));
  await showGold(query);
  history.pushState(null, "", location.pathname);
  dispatchEvent(new PopStateEvent("popstate")); // the library's script opens the tab that the address says
  write("#question", question);
  document.querySelector("#question textarea").focus();
};

// --- events

export const listenToResults = (root, attempt) => {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !results(root)) return;
    const { eva, plot, show, page } = button.dataset;
    if (button.closest("table.sortable thead")) sort(button.closest("th"));
    else if (eva === "plot") choose(root, "plot", plot);
    else if (eva === "filter") narrow(root, { show }, attempt);
    else if (eva === "page") {
      asked.page = Number(page);
      attempt(async () => {
        await drawQueries(root);
        place(root).scrollIntoView({ block: "start" });
      });
    } else if (eva === "chat") attempt(() => openInChat(button.dataset));
  });
  root.addEventListener("toggle", (event) => event.target.matches(".eva-query") && event.target.open && expand(event.target), true);
  root.addEventListener("change", (event) => {
    if (event.target.matches(".eva-pairs")) choose(root, "pair", event.target.value);
    else if (event.target.matches(".eva-kind")) narrow(root, { kind: event.target.value }, attempt);
  });
  root.addEventListener("input", (event) => {
    if (!event.target.matches(".eva-search")) return;
    clearTimeout(typing);
    typing = setTimeout(() => narrow(root, { q: event.target.value.trim() }, attempt), TYPING_MS);
  });
};
