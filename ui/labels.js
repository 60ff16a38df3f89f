// The Labels tab: a queue of passages that are judged one after the other, by key or by button, and the tasks they make.
import { confirmed, make, parse, query, routes } from "./server.js";

const { fetched, post } = routes("labels");

const seen = []; // questions of this page, so that "Next question" goes on
let root = null;
let at = 0; // which passage of the queue is shown
let given = []; // the passages that were judged here, in their order, for going back
let last = Promise.resolve(); // what is under way: one thing follows the other, and no key is lost

const isOpen = () => root && root.offsetParent !== null;
const form = () => root.querySelector(".lab-form");
const box = () => root.querySelector(".lab-box");
const chunks = () => [...root.querySelectorAll(".lab-chunk")];
const place = () => root.querySelector(".lab-queue");

const complain = (error) => {
  const alert = root.querySelector("#lab-alert") || make("div", { id: "lab-alert", className: "rag-error", role: "alert" });
  alert.textContent = error.message;
  place().before(alert);
};

const attempt = (action) => {
  last = last.then(async () => {
    root.querySelector("#lab-alert")?.remove();
    await action();
  }).catch(complain);
  return last;
};

const fillTasks = (html) => {
  const old = root.querySelector('[data-part="tasks"]');
  old.replaceChildren(...document.adoptNode(parse(html).querySelector('[data-part="tasks"]')).childNodes);
};

const refreshTasks = async () => fillTasks(await (await fetched("page")).text());

// --- the queue

const draw = () => {
  const all = chunks();
  all.forEach((chunk, number) => (chunk.hidden = number !== at));
  const settled = Number(box().dataset.settled);
  const done = settled + given.length;
  const pooled = Number(box().dataset.pooled);
  box().querySelector(".lab-progress i").style.width = `${(100 * done) / pooled}%`;
  box().querySelector(".lab-count").textContent = `${done} of ${pooled} judged`;
  box().querySelector('[data-lab="back"]').disabled = at === 0;
  const grade = all[at].dataset.grade;
  for (const button of box().querySelectorAll(".lab-grade")) button.setAttribute("aria-pressed", String(button.dataset.grade === grade));
  all[at].focus({ preventScroll: true });
};

const end = async () => {
  const count = given.length;
  const told = count === 1 ? "1 passage judged." : `${count} passages judged.`;
  place().replaceChildren(
    make(
      "div",
      { className: "lib-empty lab-done" },
      make("b", {}, told),
      make("button", { type: "button", className: "lib-button lib-primary", "data-lab": "next" }, "Next question"),
    ),
  );
  place().querySelector("button").focus({ preventScroll: true });
  await refreshTasks();
};

const move = async (step) => {
  if (!box()) return;
  at = Math.max(0, at + step);
  if (at >= chunks().length) return end();
  draw();
};

const judge = async (grade) => {
  const chunk = box() && chunks()[at];
  if (!chunk) return; // a key that came after the last passage
  await post("judge", { chunk: chunk.dataset.chunk, question: box().querySelector(".lab-question").textContent, grade, origin: "queue" });
  chunk.dataset.grade = grade;
  if (!given.includes(at)) given.push(at);
  await move(1);
};

const start = async () => {
  const question = form().elements.question.value;
  const wait = make("span", { className: "rag-wait" }, "Pooling what every embedder finds …");
  place().replaceChildren(wait);
  try {
    const html = await (await post("queue", { corpus: form().elements.corpus.value, question })).text();
    seen.push(question);
    place().replaceChildren(...document.adoptNode(parse(html).body).childNodes);
    [at, given] = [0, []];
    if (box()) draw();
    else place().querySelector(".lab-done")?.append(make("button", { type: "button", className: "lib-button", "data-lab": "next" }, "Next question"));
  } finally {
    wait.remove();
  }
};

const next = async () => {
  const found = await (await post("next", { corpus: form().elements.corpus.value, seen })).json();
  form().elements.question.value = found.question;
  await start();
};

// --- a table of one's own, and questions that are generated

let table = null; // the file that was chosen last, for taking its good rows alone

const told = () => root.querySelector(".lab-told");

const tell = (html) => told().replaceChildren(...document.adoptNode(parse(html).body).childNodes);

const importTable = async (file, partial) => {
  const asks = new URLSearchParams({ corpus: form().elements.corpus.value, name: file.name, partial });
  told().replaceChildren(make("span", { className: "rag-wait" }, `Reading ${file.name} …`));
  try {
    tell(await (await fetched(`import?${asks}`, { method: "POST", body: file })).text());
  } catch (error) {
    told().replaceChildren();
    throw error;
  }
  await refreshTasks();
};

const partial = () => table && importTable(table, true);

const choose = () => root.querySelector(".lab-file").click();

const open = () => {
  const made = root.querySelector(".lab-generate");
  made.hidden = !made.hidden;
  root.querySelector('[data-lab="open"]').setAttribute("aria-expanded", String(!made.hidden));
  if (!made.hidden) made.elements.count.focus();
};

const generate = async () => {
  const made = root.querySelector(".lab-generate");
  const methods = [...made.querySelectorAll('[name="method"]:checked')].map((box) => box.value);
  told().replaceChildren(make("span", { className: "rag-wait" }, "Generating questions …"));
  try {
    const body = { corpus: form().elements.corpus.value, count: Number(made.elements.count.value), methods };
    tell(await (await post("generate", body)).text());
  } catch (error) {
    told().replaceChildren();
    throw error;
  }
  await refreshTasks();
};

// --- tasks

const remove = async ({ task, labels }) => {
  const text = `“${task}” and its ${Number(labels).toLocaleString("en")} labels are deleted from the library, and its folder with them. Votes are kept.`;
  if (await confirmed("Delete this task?", text, "Delete")) fillTasks(await (await post("delete", { name: task })).text());
};

// --- events

const ACTIONS = { next, back: () => move(-1), skip: () => move(1), start, partial };
const AT_ONCE = { choose, open }; // they open what the browser lets a press alone open

const listen = () => {
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(event.target.classList.contains("lab-generate") ? generate : start);
  });
  root.addEventListener("change", (event) => {
    if (event.target.classList.contains("lab-file") && event.target.files.length) {
      [table] = event.target.files;
      event.target.value = ""; // the same file may be chosen again once it is corrected
      attempt(() => importTable(table, false));
    }
    if (event.target.name === "corpus") {
      told()?.replaceChildren();
      place().replaceChildren();
      seen.length = 0;
    }
  });
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || button.type === "submit") return;
    if (AT_ONCE[button.dataset.lab]) AT_ONCE[button.dataset.lab]();
    else if (button.dataset.lab === "delete") attempt(() => remove(button.dataset));
    else if (button.dataset.grade) attempt(() => judge(Number(button.dataset.grade)));
    else if (ACTIONS[button.dataset.lab]) attempt(ACTIONS[button.dataset.lab]);
  });
};

const isTyping = (element) => element.closest?.("input, textarea, select, dialog, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (!isOpen() || !box() || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (["0", "1", "2"].includes(event.key)) attempt(() => judge(Number(event.key)));
  else if (event.key === "Backspace" && at > 0) attempt(() => move(-1));
  else if (event.key.toLowerCase() === "s") attempt(() => move(1));
  else return;
  event.preventDefault();
});

const refresh = () => isOpen() && refreshTasks().catch(complain);
document.addEventListener("click", (event) => event.target.closest('#tabs > .tab-wrapper [role="tab"]') && setTimeout(refresh));
document.addEventListener("visibilitychange", () => document.hidden || refresh());

const begin = async (mount) => {
  try {
    const asks = new URLSearchParams({ shell: "true", corpus: query().get("corpus") || "" });
    const page = parse(await (await fetched(`page?${asks}`)).text());
    root = make("div", { id: "labels-root" }, ...document.adoptNode(page.body).childNodes);
    mount.after(root);
    mount.hidden = true;
    listen();
  } catch (error) {
    mount.querySelector(".rag-wait").textContent = error.message;
  }
};

const observer = new MutationObserver(() => {
  const mount = document.getElementById("labels");
  if (!mount?.querySelector(".labels-mount")) return;
  observer.disconnect();
  begin(mount);
});
observer.observe(document, { childList: true, subtree: true });
