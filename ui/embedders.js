// The Embedders tab: a table that the server draws, filtered here, with a test for every row.
import { make, parse, routes } from "./server.js";

const { fetched, post } = routes("embedders");

const shown = new Map(); // part -> the HTML that the server sent last
const testing = new Set();
let root = null;
let kind = "";

const isOpen = () => root && root.offsetParent !== null;

// --- drawing

const filter = () => {
  const words = root.querySelector(".emb-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...root.querySelectorAll("tbody[data-name]")];
  for (const row of rows) {
    const text = `${row.textContent} ${row.dataset.kind}`.toLowerCase();
    row.hidden = !((!kind || row.dataset.kind === kind) && words.every((word) => text.includes(word)));
  }
  for (const button of root.querySelectorAll("button[data-kind]"))
    button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  root.querySelector(".emb-none").hidden = rows.some((row) => !row.hidden);
  for (const button of root.querySelectorAll('button[data-emb="test"]')) {
    button.disabled = testing.has(button.dataset.name);
    button.textContent = button.disabled ? "Testing …" : "Test";
  }
};

const show = (html) => {
  for (const piece of parse(html).querySelectorAll("[data-part]")) {
    const name = piece.dataset.part;
    if (shown.get(name) === piece.innerHTML) continue;
    shown.set(name, piece.innerHTML);
    const old = root.querySelector(`[data-part="${name}"]`);
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : "";
    old.replaceChildren(...document.adoptNode(piece).childNodes);
    if (focused) [...old.querySelectorAll("button")].find((each) => each.getAttribute("aria-label") === focused)?.focus({ preventScroll: true });
  }
  filter();
};

const complain = (error) => {
  const alert = root.querySelector("#emb-alert") || make("div", { id: "emb-alert", className: "rag-error", role: "alert" });
  alert.textContent = error.message;
  root.querySelector(".emb-tools").after(alert);
};

const attempt = async (action) => {
  root.querySelector("#emb-alert")?.remove();
  try {
    show(await (await action()).text());
  } catch (error) {
    complain(error);
  }
};

const test = async (name) => {
  testing.add(name);
  filter();
  await attempt(() => post("test", { name }));
  testing.delete(name);
  filter();
};

// --- events

const listen = () => {
  root.addEventListener("input", (event) => event.target.matches(".emb-filter") && filter());
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.emb === "test") test(button.dataset.name);
    else if (button && "kind" in button.dataset) {
      kind = button.dataset.kind;
      filter();
    }
  });
};

const refresh = () => isOpen() && attempt(() => fetched("page"));
document.addEventListener("click", (event) => event.target.closest('#tabs > .tab-wrapper [role="tab"]') && setTimeout(refresh));
document.addEventListener("visibilitychange", () => document.hidden || refresh());

const begin = async (mount) => {
  try {
    const page = parse(await (await fetched("page?shell=true")).text());
    for (const piece of page.querySelectorAll("[data-part]")) shown.set(piece.dataset.part, piece.innerHTML);
    root = make("div", { id: "embedders-root" }, ...document.adoptNode(page.body).childNodes);
    mount.after(root);
    mount.hidden = true;
    listen();
    filter();
  } catch (error) {
    mount.querySelector(".rag-wait").textContent = error.message;
  }
};

const observer = new MutationObserver(() => {
  const mount = document.getElementById("embedders");
  if (!mount?.querySelector(".emb-table-mount")) return;
  observer.disconnect();
  begin(mount);
});
observer.observe(document, { childList: true, subtree: true });
