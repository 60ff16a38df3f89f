// The reader: a document over whatever tab is open, at a chunk or at one of its landmarks.
import { fetched, make, overlay, parse, query } from "./server.js";

// The address names what is open, so that a link to it can be kept.
const reader = () => {
  let dialog = document.getElementById("doc-reader");
  if (!dialog) {
    dialog = make("dialog", { id: "doc-reader", "aria-label": "Document" });
    dialog.addEventListener("close", leave);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    overlay(dialog);
  }
  return dialog;
};

const leave = () => {
  const search = query();
  if (!search.has("document")) return;
  search.delete("document");
  search.delete("chunk");
  history.replaceState(null, "", search.size ? `?${search}` : location.pathname);
};

export const closeReader = () => document.getElementById("doc-reader")?.close();

const gone = (error) =>
  make(
    "div",
    { className: "doc-gone" },
    make("p", {}, error.message),
    make("button", { type: "button", className: "lib-button", "data-action": "close" }, "Close"),
  );

const load = async (dialog, asks) => {
  try {
    const piece = parse(await (await fetched(`document?${new URLSearchParams(asks)}`)).text()).body;
    dialog.replaceChildren(...document.adoptNode(piece).childNodes);
  } catch (error) {
    dialog.replaceChildren(gone(error));
  }
};

export const openDocument = async (id, chunk) => {
  const dialog = reader();
  await load(dialog, chunk ? { id, chunk } : { id });
  dialog.dataset.chunk = chunk || "";
  if (!dialog.open) dialog.showModal();
  if (chunk) dialog.querySelector("#doc-chunk")?.scrollIntoView({ block: "center" });
  settle(dialog);
};

// Another stretch of the same document: a landmark stands at the top then, "Earlier text" ends where the old one began.
export const moveTo = async (id, at, block) => {
  const dialog = reader();
  const chunk = dialog.dataset.chunk;
  await load(dialog, chunk ? { id, chunk, at } : { id, at });
  dialog.querySelector("#doc-at")?.scrollIntoView({ block });
  settle(dialog);
};

const settle = (dialog) => {
  dialog.querySelector(".doc-marks [aria-current]")?.scrollIntoView({ block: "nearest" });
  (dialog.querySelector(".doc-text") || dialog.querySelector("button"))?.focus({ preventScroll: true });
};

export const visit = (id, chunk) => {
  const search = query();
  search.set("document", id);
  if (chunk) search.set("chunk", chunk);
  else search.delete("chunk");
  history.replaceState(null, "", `?${search}`);
  openDocument(id, chunk);
};
