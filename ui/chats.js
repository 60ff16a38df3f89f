// The list of saved conversations: open, rename in place, delete after a question, begin a new one.
import { confirmed, make } from "./server.js";
import { closeSheet, tell } from "./talking.js";

const idOf = (row) => row.id.replace("chat-", "");
const titleOf = (row) => row.querySelector("b").textContent;
const command = (asked) => tell("chat-command", asked);

const focusBox = () => document.querySelector("#question textarea")?.focus();

const begin = () => {
  command({ do: "new" });
  closeSheet();
  focusBox();
};

const open = (row) => {
  command({ do: "open", chat: idOf(row) });
  closeSheet();
};

// The title becomes a box: Enter or leaving it keeps what is written, Escape what was.
const rename = (row) => {
  const link = row.querySelector(".rag-chat-open");
  const before = titleOf(row);
  const input = make("input", { type: "text", className: "rag-chat-title", value: before, maxLength: 100, "aria-label": "Title" });
  let ended = false;
  const end = (keep) => {
    if (ended) return;
    ended = true;
    const title = input.value.trim();
    if (keep && title && title !== before) command({ do: "rename", chat: idOf(row), title });
    input.replaceWith(link);
    link.focus({ preventScroll: true });
  };
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === "Enter");
  });
  input.addEventListener("blur", () => end(true));
  link.replaceWith(input);
  input.select();
};

const remove = async (row) => {
  const text = `“${titleOf(row)}” goes with its questions, answers and evidence. The documents stay.`;
  if (await confirmed("Delete this conversation?", text, "Delete")) command({ do: "delete", chat: idOf(row) });
};

const actions = { ".rag-chat-rename": rename, ".rag-chat-delete": remove, ".rag-chat-open": open };

document.addEventListener("click", (event) => {
  if (event.target.closest("#new-chat")) return begin();
  for (const [selector, act] of Object.entries(actions)) {
    const found = event.target.closest(selector);
    if (!found) continue;
    event.preventDefault();
    return act(found.closest(".rag-chat"));
  }
});
