// The report's only script: tables that sort, pairs to choose, and the drill-down into single queries.
// All that comes from documents and queries is set as text, never as markup.
"use strict";

const tasks = JSON.parse(document.getElementById("details").textContent).tasks;

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
}

// --- tables

function sortBy(table, column, descending) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const order = (one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1; // what is unknown stays below
    const by = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    return descending ? -by : by;
  };
  body.append(...[...body.rows].sort(order));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  let before = 0;
  heads.forEach((head) => {
    const column = before + head.colSpan - 1;
    before += head.colSpan;
    head.querySelector("button").addEventListener("click", () => {
      const byName = head.textContent === "#" || (head.classList.contains("left") && head.colSpan === 1);
      const [first, second] = byName ? ["ascending", "descending"] : ["descending", "ascending"];
      const direction = head.getAttribute("aria-sort") === first ? second : first;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      sortBy(table, column, direction === "descending");
    });
  });
}

// --- pairs

for (const select of document.querySelectorAll("select.pairs")) {
  select.addEventListener("change", () => {
    for (const option of select.options) document.getElementById(option.value).hidden = !option.selected;
  });
}

// --- the drill-down

const KINDS = { "all right": "right", "all wrong": "wrong", disagree: "split" };
const WORDS = { "all right": "All right", "all wrong": "All wrong", disagree: "Embedders disagree" };

function figure(value) {
  return value === null || value === undefined ? "–" : value.toFixed(3);
}

function output(task, value) {
  return task.family === "clustering" && value !== null ? `cluster ${value}` : figure(value);
}

function labelOf(task, query) {
  if (query.label === null || query.label === undefined) return "";
  if (task.family === "sts") return `people say ${query.label}`;
  if (task.family === "anomaly") return query.label ? "anomaly" : "normal";
  return "";
}

function nameOf(task, id) {
  const known = task.documents[id];
  return (known && known.title) || id;
}

function whereGold(task, query) {
  if (!query.gold || !query.gold.length) return "";
  const head = make("tr", {}, make("th", { scope: "col" }, "Relevant document"));
  for (const at of task.ranking) head.append(make("th", { scope: "col" }, make("bdi", {}, task.rows[at].label)));
  const body = make("tbody");
  for (const gold of query.gold) {
    const line = make("tr", {}, make("td", {}, make("bdi", {}, nameOf(task, gold.id)), gold.grade > 1 ? make("small", {}, ` grade ${gold.grade}`) : ""));
    for (const at of task.ranking) {
      const rank = gold.ranks[at];
      const tone = rank === null ? 3 : rank <= 10 ? 1 : rank <= 100 ? 2 : 3;
      line.append(make("td", { class: `rank-${tone}` }, rank === null ? gold.misses[at] : `${rank}`));
    }
    body.append(line);
  }
  const more = query.relevant > query.gold.length ? make("p", { class: "note" }, `and ${query.relevant - query.gold.length} more`) : "";
  const table = make("table", { class: "where" }, make("thead", {}, head), body);
  return make("div", {}, make("h5", {}, "Rank of each relevant document"), make("div", { class: "scroll" }, table), more);
}

function whyMissed(task, query, at) {
  if (query.right[at] !== false) return "";
  const ranks = query.gold.map((gold) => gold.ranks[at]).filter((rank) => rank !== null);
  if (!ranks.length) return `No relevant document: ${query.gold[0].misses[at]}.`;
  const first = query.top[at][0];
  const ahead = first === undefined ? "" : `, outranked by “${nameOf(task, first)}”`;
  return `Best relevant document at rank ${Math.min(...ranks)}${ahead}.`;
}

function firstTen(task, query) {
  if (!query.top) return "";
  const grades = new Map(query.gold.map((gold) => [gold.id, gold.grade]));
  const columns = task.ranking.map((at) => {
    const row = task.rows[at];
    const list = make("ol");
    for (const id of query.top[at]) {
      const known = task.documents[id] || {};
      const item = make("li", { class: grades.has(id) ? "gold" : "" }, make("em", {}, make("bdi", {}, nameOf(task, id))));
      if (known.snippet) item.append(make("p", { dir: "auto" }, known.snippet));
      list.append(item);
    }
    const why = whyMissed(task, query, at);
    return make("div", { class: "top" }, make("b", {}, make("bdi", {}, row.label), make("span", {}, figure(query.values[at]))),
      why ? make("p", {}, why) : "", query.top[at].length ? list : make("div", { class: "nothing" }, "Nothing was found."));
  });
  return make("div", {}, make("h5", {}, `First ten documents; ${task.metric} of this query beside each name`), make("div", { class: "tops", tabindex: "0" }, ...columns));
}

function values(task, query) {
  if (query.top) return "";
  const body = make("tbody");
  for (const at of task.ranking) {
    body.append(make("tr", {}, make("th", {}, make("bdi", {}, task.rows[at].label)), make("td", {}, output(task, query.values[at]))));
  }
  return make("div", { class: "scroll" }, make("table", {}, body));
}

function showQuery(task, query, place) {
  const chips = make("p", {});
  if (query.verdict) chips.append(make("span", { class: `chip ${KINDS[query.verdict]}` }, WORDS[query.verdict]), " ");
  if (query.kind) chips.append(make("span", { class: "chip" }, query.kind), " ");
  const label = labelOf(task, query);
  if (label) chips.append(make("span", { class: "chip" }, label), " ");
  chips.append(make("span", { class: "chip" }, make("bdi", {}, query.id)));
  place.replaceChildren(make("h4", { dir: "auto" }, query.text), chips, whereGold(task, query), firstTen(task, query), values(task, query));
}

function drill(task, frame) {
  const state = { verdict: "", words: "", chosen: undefined };
  const list = make("ul", { class: "asked" });
  const place = make("div", { class: "answer", "aria-live": "polite" });
  const filters = make("div", { class: "filters" });
  const filter = (verdict, label, count) => {
    const button = make("button", { type: "button", "aria-pressed": `${verdict === ""}` }, label, make("span", {}, `${count}`));
    button.addEventListener("click", () => {
      state.verdict = verdict;
      filters.querySelectorAll("button").forEach((each) => each.setAttribute("aria-pressed", `${each === button}`));
      show();
    });
    filters.append(button);
  };
  filter("", "All", task.of);
  for (const verdict of ["disagree", "all wrong", "all right"]) if (task.counts[verdict]) filter(verdict, WORDS[verdict], task.counts[verdict]);
  const search = make("input", { type: "search", placeholder: "Search in their words", "aria-label": "Search in their words" });
  search.addEventListener("input", () => { state.words = search.value.toLowerCase(); show(); });
  filters.append(search);

  function choose(query, button) {
    state.chosen = query;
    list.querySelectorAll("button").forEach((each) => each.removeAttribute("aria-current"));
    button.setAttribute("aria-current", "true");
    showQuery(task, query, place);
  }
  function show() {
    const shown = task.queries.filter((query) => (!state.verdict || query.verdict === state.verdict) && `${query.text} ${query.kind} ${query.id}`.toLowerCase().includes(state.words));
    list.replaceChildren(...shown.map((query) => {
      const known = query.values.filter((value) => value !== null);
      const range = !known.length ? "not scored" : task.family === "clustering" ? known.map((value) => output(task, value)).join(", ")
        : `${figure(Math.min(...known))} to ${figure(Math.max(...known))}`;
      const button = make("button", { type: "button" }, make("span", { dir: "auto" }, query.text.slice(0, 200)), make("small", {}, query.kind ? `${range} · ${query.kind}` : range));
      button.addEventListener("click", () => choose(query, button));
      if (query === state.chosen) button.setAttribute("aria-current", "true");
      return make("li", {}, button);
    }));
    if (!shown.length) list.append(make("li", { class: "nothing" }, "None of those that are told here."));
    else if (!shown.includes(state.chosen)) choose(shown[0], list.querySelector("button"));
  }
  frame.append(filters, list, place);
  show();
}

tasks.forEach((task, at) => {
  const frame = document.getElementById(`drill-${at}`);
  if (frame) drill(task, frame);
});
