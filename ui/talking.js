// What the scripts of the chat share: commands to the application, and columns that are sheets on a small screen.

// Gradio hears of a hidden box by its input event; the time makes each command differ from the one before.
export const tell = (id, command) => {
  const hidden = document.querySelector(`#${id} textarea, #${id} input`);
  hidden.value = JSON.stringify({ ...command, at: Date.now() });
  hidden.dispatchEvent(new Event("input", { bubbles: true }));
};

const columns = () => document.getElementById("columns");
export const sheetOpen = () => (columns()?.dataset.sheet && isNarrow() ? columns().dataset.sheet : "");
export const isNarrow = () => matchMedia("(max-width: 1023px)").matches;

let before = null; // what had the focus when the sheet was opened

export const openSheet = (name) => {
  if (!isNarrow()) return;
  if (!sheetOpen()) before = document.activeElement;
  columns().dataset.sheet = name;
  const sheet = document.getElementById(name);
  sheet.setAttribute("role", "dialog");
  sheet.setAttribute("aria-label", name === "evidence" ? "Evidence" : "Conversations and settings");
  sheet.scrollTop = 0;
  sheet.querySelector(".rag-sheet-close")?.focus({ preventScroll: true });
};

export const closeSheet = () => {
  if (!columns()?.dataset.sheet) return;
  delete columns().dataset.sheet;
  for (const name of ["evidence", "choices"]) document.getElementById(name).removeAttribute("role");
  before?.focus?.({ preventScroll: true });
  before = null;
};
