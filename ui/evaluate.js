// The Evaluate tab: what to evaluate, the evaluation that runs, and those that are finished. The server draws all of it;
// which evaluation is shown is what the address says, so that going back and reloading work.
import { listenToResults, openQuery, showResults } from "./evaluate_results.js";
import { confirmed, make, parse, query, routes, SILENCE } from "./server.js";

const { fetched, post } = routes("evaluate");

const IDLE_MS = 5000;
const RUNNING_MS = 1000;
const CHOOSING_MS = 350;

const shown = new Map(); // part -> the HTML that the server sent last
let root = null; // where the tab is drawn, once it is
let version = null; // of the job: its number and state
let running = false;
let timer = 0;
let planning = 0; // the newest plan that was asked for
let typing = 0;
let pane = ""; // what stands beside the list: the id of an evaluation, or "new"

const isOpen = () => root && root.offsetParent !== null;
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const paneBox = () => root.querySelector(".eva-pane");
const form = () => root.querySelector(".eva-setup");

// --- pieces

const put = (place, html) => place.replaceChildren(...document.adoptNode(parse(html).body).childNodes);

const show = (html) => {
  for (const piece of parse(html).querySelectorAll("[data-part]")) {
    const name = piece.dataset.part;
    if (shown.get(name) === piece.innerHTML) continue;
    shown.set(name, piece.innerHTML);
    const focused = part(name).contains(document.activeElement) ? document.activeElement.dataset.eva : "";
    part(name).replaceChildren(...document.adoptNode(piece).childNodes);
    if (focused) part(name).querySelector(`[data-eva="${focused}"]`)?.focus({ preventScroll: true });
  }
};

const alert = () => root.querySelector("#eva-alert");

const complain = (error) => {
  if (!alert()) paneBox().before(make("div", { id: "eva-alert", className: "rag-error", role: "alert" }));
  alert().textContent = error.message;
  if (error.message !== SILENCE) alert().scrollIntoView({ block: "nearest" });
};

const attempt = async (action) => {
  alert()?.remove();
  try {
    await action();
  } catch (error) {
    complain(error);
  }
};

// --- which evaluation is shown

const list = async () => put(part("eva-list"), await (await fetched(`list?${new URLSearchParams({ id: pane })}`)).text());

const markChosen = () => {
  for (const each of root.querySelectorAll(".eva-saved")) {
    if (each.dataset.id === pane) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
};

const draw = async () => {
  const id = query().get("evaluation") || "";
  const isNew = !id;
  if (isNew ? pane === "new" : pane === id && String(root.querySelector(".eva-results")?.dataset.task) === (query().get("task") || "0")) return;
  const other = pane !== id;
  pane = isNew ? "new" : id;
  markChosen();
  if (other) put(paneBox(), '<span class="rag-wait">Opening …</span>');
  if (isNew) {
    put(paneBox(), await (await fetched("setup")).text());
    plan();
  } else {
    const asked = new URLSearchParams({ id, task: query().get("task") || "0" });
    put(paneBox(), await (await fetched(`results?${asked}`)).text());
    await showResults(root);
    if (query().get("query")) await openQuery(root, query().get("query"));
  }
  if (other) root.querySelector(".eva-main").scrollTop = 0;
};

const go = (asked) => {
  history.pushState(null, "", `?${new URLSearchParams({ tab: "evaluate", ...asked })}`);
  return attempt(draw);
};

// --- what is chosen, and what it takes

const values = (name) => [...form().querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value);

const order = () => ({
  tasks: [...form().querySelectorAll(".eva-task")]
    .filter((task) => task.querySelector('input[name="task"]').checked)
    .map((task) => ({
      id: task.querySelector('input[name="task"]').value,
      family: task.querySelector('select[name="family"]').value,
      split: task.querySelector('select[name="split"]').value,
    })),
  embedders: values("embedder"),
  retrievers: values("retriever"),
  chunkers: values("chunker"),
  controls: values("controls").length > 0,
  ragas: values("ragas").length > 0,
});

const isWhole = ({ tasks, embedders, retrievers }) =>
  tasks.length > 0 && retrievers.length > 0 && (embedders.length > 0 || retrievers.join() === "lexical");

const plan = async () => {
  const mine = ++planning;
  const wanted = order();
  const button = form().querySelector('[data-eva="start"]');
  button.disabled = !isWhole(wanted);
  if (button.disabled) return put(part("eva-plan"), '<span class="eva-hint">Choose a task, an embedder and a retriever to see what it takes.</span>');
  if (!part("eva-plan").querySelector(".eva-sum")) put(part("eva-plan"), '<span class="rag-wait">Counting what it takes …</span>');
  try {
    const html = await (await post("plan", { order: wanted })).text();
    if (mine === planning && form()) put(part("eva-plan"), html);
  } catch (error) {
    if (mine === planning) complain(error);
  }
};

const planSoon = () => {
  clearTimeout(typing);
  typing = setTimeout(() => form() && plan(), CHOOSING_MS);
};

const start = async () => {
  const usd = part("eva-plan").querySelector(".eva-sum")?.dataset.usd;
  await post("start", { order: order(), agreed: values("agreed").length > 0, usd: usd ? Number(usd) : null });
  await poll();
  root.querySelector(".eva-main").scrollTop = 0;
};

const fillTasks = (html) => {
  const chosen = new Set(values("task"));
  put(part("eva-tasks"), html);
  for (const box of form().querySelectorAll('input[name="task"]')) if (chosen.has(box.value) && !box.disabled) box.checked = true;
  plan();
};

const addFolder = async () => {
  const box = form().elements.folder;
  fillTasks((await (await post("folder", { folder: box.value })).json()).html);
  box.value = "";
};

// --- uploads: each file by itself, then all together as a task

const stem = (name) => name.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[._-]+|[._-]+$/g, "");

const upload = async (files) => {
  const token = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const packed = files.find((file) => file.name.toLowerCase().endsWith(".zip"));
  const name = form().elements.upload.value.trim() || stem((packed || files[0]).name);
  const told = make("p", { className: "rag-wait eva-uploading", role: "status" }, `Uploading ${files.length === 1 ? files[0].name : `${files.length} files`} …`);
  form().querySelector(".eva-add").append(told);
  try {
    for (const file of files) await fetched(`upload?${new URLSearchParams({ upload: token, path: file.name })}`, { method: "POST", body: file });
    fillTasks((await (await post("adopt", { upload: token, name })).json()).html);
    form().elements.upload.value = "";
  } finally {
    told.remove();
  }
};

// --- the evaluation that runs

const poll = async () => {
  clearTimeout(timer);
  if (!document.hidden && isOpen()) {
    try {
      const job = await (await fetched("job")).json();
      const ended = version !== null && version !== job.version && !job.running;
      const here = running && isOpen();
      [version, running] = [job.version, job.running];
      show(job.html);
      if (ended) {
        await list();
        markChosen();
        if (here && job.saved && pane === "new") {
          await post("dismiss"); // what it has to say stands in the results
          await go({ evaluation: job.saved });
          show((await (await fetched("job")).json()).html);
        }
        else if (pane === "new") planSoon();
      }
      if (alert()?.textContent === SILENCE) alert().remove();
    } catch (error) {
      complain(error);
    }
  }
  clearTimeout(timer);
  timer = setTimeout(poll, running ? RUNNING_MS : IDLE_MS);
};

const command = (name) => attempt(async () => {
  await post(name);
  await poll();
});

const remove = async (id) => {
  const isOwn = !id.startsWith("folder/");
  const text = "Its results, report and runs are deleted from the library's folder. Rows that were scored are kept, so that the same again takes a moment.";
  if (isOwn && !(await confirmed("Delete this evaluation?", text, "Delete"))) return;
  put(part("eva-list"), await (await post("delete", { id })).text());
  await go({});
};

// --- events

const ACTIONS = {
  new: () => go({}),
  show: ({ id }) => go({ evaluation: id }),
  task: ({ at }) => go({ evaluation: pane, task: at }),
  stop: () => command("stop"),
  resume: () => command("resume"),
  dismiss: () => command("dismiss"),
  delete: ({ id }) => attempt(() => remove(id)),
  "add-folder": () => attempt(addFolder),
  forget: ({ task }) => attempt(async () => fillTasks((await (await post("forget", { task })).json()).html)),
  "open-folder": () => attempt(async () => {
    const box = root.querySelector('input[name="evaluation"]');
    const { id } = await (await post("open", { folder: box.value })).json();
    box.value = "";
    await list();
    await go({ evaluation: id });
  }),
};

const listen = () => {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-eva]");
    if (button && ACTIONS[button.dataset.eva]) {
      ACTIONS[button.dataset.eva](button.dataset);
      event.preventDefault();
    }
  });
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(start);
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    if (event.target.matches('input[name="folder"]')) attempt(addFolder);
    else if (event.target.matches('input[name="evaluation"]')) ACTIONS["open-folder"]();
    else return;
    event.preventDefault();
  });
  root.addEventListener("change", (event) => {
    if (event.target.matches("[data-eva-files]")) {
      const files = [...event.target.files];
      event.target.value = "";
      if (files.length) attempt(() => upload(files));
    } else if (event.target.closest(".eva-setup") && event.target.name !== "agreed" && event.target.type !== "text") planSoon();
  });
  listenToResults(root, attempt);
};

// Labels may have made a task meanwhile, and another page an evaluation.
const refresh = () => {
  if (!isOpen()) return;
  const before = root.querySelector(".eva-results");
  if (before && !query().get("evaluation")) { // the click on the tab has left nothing of it in the address
    const { id, task } = before.dataset;
    history.replaceState(null, "", `?${new URLSearchParams({ tab: "evaluate", evaluation: id, task })}`);
  }
  attempt(async () => {
    await list();
    markChosen();
    if (query().get("evaluation")) await draw();
    else if (!form()?.querySelector("input:checked[name=task]")) put(paneBox(), await (await fetched("setup")).text()), plan();
  });
  poll();
};
document.addEventListener("click", (event) => event.target.closest('#tabs > .tab-wrapper [role="tab"]') && setTimeout(refresh));
document.addEventListener("visibilitychange", () => document.hidden || (root && poll()));
addEventListener("popstate", () => isOpen() && attempt(draw));

const begin = async (mount) => {
  try {
    const page = parse(await (await fetched(`page?${new URLSearchParams({ id: query().get("evaluation") || "" })}`)).text());
    for (const piece of page.querySelectorAll("[data-part]")) shown.set(piece.dataset.part, piece.innerHTML);
    root = make("div", { id: "evaluate-root" }, ...document.adoptNode(page.body).childNodes);
    mount.after(root);
    mount.hidden = true;
    listen();
    await attempt(draw);
    poll();
  } catch (error) {
    mount.querySelector(".rag-wait").textContent = error.message;
  }
};

const observer = new MutationObserver(() => {
  const mount = document.getElementById("evaluate");
  if (!mount?.querySelector(".evaluate-mount")) return;
  observer.disconnect();
  begin(mount);
});
observer.observe(document, { childList: true, subtree: true });
