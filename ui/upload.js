// Uploads: folders are walked in the browser and sent file by file, each with its path in the folder.
import { make } from "./server.js";

const AT_ONCE = 3;
const MOST_ERRORS = 100;

const nothing = () => ({ files: [], hidden: 0, errors: [] });

// `readEntries` gives a hundred names at a time, until it gives none.
const walk = async (entry, path, found) => {
  if (entry.name.startsWith(".")) {
    found.hidden += 1;
  } else if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) found.files.push({ file, path: path + entry.name });
    else found.errors.push({ path: path + entry.name, reason: "The browser cannot read it." });
  } else {
    const reader = entry.createReader();
    for (;;) {
      const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
      if (!entries.length) break;
      for (const each of entries) await walk(each, `${path}${entry.name}/`, found);
    }
  }
};

const dropped = async (items) => {
  const found = nothing();
  const files = [...items].filter((item) => item.kind === "file");
  const entries = files.map((item) => item.webkitGetAsEntry()); // all of them before the first wait: then they are gone
  for (const entry of entries) if (entry) await walk(entry, "", found);
  return found;
};

// Takes what is dropped anywhere on the page while `isOpen()`; `mark` hears whether something hovers over it.
export const onDrop = (isOpen, mark, take) => {
  let depth = 0; // dragging onto a child leaves its parent: only the last leave counts
  const drag = (change) => (event) => {
    if (!isOpen() || !event.dataTransfer?.types.includes("Files")) return false;
    event.preventDefault();
    depth = change(depth);
    mark(depth > 0);
    return true;
  };
  document.addEventListener("dragenter", drag((n) => n + 1));
  document.addEventListener("dragleave", drag((n) => n - 1));
  document.addEventListener("dragover", drag((n) => n));
  document.addEventListener("drop", async (event) => {
    if (drag(() => 0)(event)) take(await dropped(event.dataTransfer.items));
  });
};

export const picked = (files) => {
  const found = nothing();
  for (const file of files) {
    const path = file.webkitRelativePath || file.name;
    if (path.split("/").some((name) => name.startsWith("."))) found.hidden += 1;
    else found.files.push({ file, path });
  }
  return found;
};

// One transfer, drawn into `place`; `run` ends when all files are there or were refused, and tells whether any is.
export class Transfer {
  constructor(found, corpus, limit, place) {
    Object.assign(this, { corpus, limit, place });
    this.queue = [...found.files];
    this.hidden = found.hidden;
    this.errors = found.errors;
    this.total = found.files.length + found.errors.length;
    this.size = found.files.reduce((sum, { file }) => sum + file.size, 0);
    this.sent = 0;
    this.stored = 0;
    this.requests = new Set();
    this.cancelled = false;
  }

  async run() {
    this.draw();
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.work()));
    return !this.cancelled && this.stored > 0;
  }

  async work() {
    for (let next = this.queue.shift(); next && !this.cancelled; next = this.queue.shift()) {
      try {
        await this.send(next);
        this.stored += 1;
      } catch (error) {
        if (!this.cancelled) this.errors.push({ path: next.path, reason: error.message });
      }
      this.draw();
    }
  }

  // XMLHttpRequest, because fetch does not tell how much has been sent.
  send({ file, path }) {
    if (file.size > this.limit) return Promise.reject(new Error("Too large to upload: give its folder's path instead."));
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let before = 0;
      const ended = (settle) => () => {
        this.requests.delete(request);
        this.sent += file.size - before;
        settle();
      };
      request.upload.onprogress = ({ loaded }) => {
        const now = Math.min(loaded, file.size);
        this.sent += now - before;
        before = now;
        this.draw();
      };
      request.onload = ended(() => (request.status === 200 ? resolve() : reject(new Error(refusal(request)))));
      request.onerror = ended(() => reject(new Error("It could not be read or sent.")));
      request.onabort = ended(() => reject(new Error("Cancelled.")));
      request.open("POST", `library/upload?${new URLSearchParams({ corpus: this.corpus, path })}`);
      request.setRequestHeader("content-type", "application/octet-stream");
      this.requests.add(request);
      request.send(file);
    });
  }

  cancel() {
    this.cancelled = true;
    this.queue.length = 0;
    for (const request of this.requests) request.abort();
  }

  draw() {
    const share = this.size ? Math.min(100, (100 * this.sent) / this.size) : 0;
    const told = `Uploading ${this.stored + this.errors.length} of ${this.total} files · ${bytes(this.sent)} of ${bytes(this.size)}`;
    const bar = make("i");
    bar.style.width = `${share}%`;
    this.place.replaceChildren(headline(told, "cancel-upload", "Cancel"), make("span", { className: "job-track" }, bar));
  }

  // Says that the files are here but have to wait.
  drawWaiting() {
    this.place.replaceChildren(headline(`${this.stored} files are here and wait for the running job`, "cancel-upload", "Cancel"));
  }

  // Leaves what was not taken on the page, and nothing where everything was.
  drawEnd() {
    const parts = [];
    if (this.errors.length) parts.push(`${this.errors.length} of ${this.total} files were not taken`);
    if (this.hidden) parts.push(`${this.hidden} hidden left out`);
    const children = parts.length ? [headline(parts.join(" · "), "close-upload", "Close")] : [];
    if (this.errors.length) children.push(errorList(this.errors));
    this.place.replaceChildren(...children);
  }
}

const refusal = (request) => {
  try {
    return JSON.parse(request.responseText).error || `The server answered ${request.status}.`;
  } catch {
    return `The server answered ${request.status}.`;
  }
};

const bytes = (size) => (size < 1048576 ? `${Math.ceil(size / 1024)} kB` : `${(size / 1048576).toFixed(1)} MB`);

const headline = (text, action, label) => {
  const button = make("button", { type: "button", className: "lib-button", "data-action": action }, label);
  const what = make("span", { className: "job-what" }, text);
  return make("div", { className: "job-title" }, what, make("span", { className: "job-buttons" }, button));
};

const errorList = (errors) => {
  const list = make("ul", { className: "job-list" });
  for (const { path, reason } of errors.slice(0, MOST_ERRORS)) {
    const file = make("span", { className: "job-file" }, make("span", {}, path), make("span", { className: "job-reason" }, reason));
    list.append(make("li", {}, make("span", { className: "lib-status lib-failed" }, "not taken"), file));
  }
  const more = errors.length - MOST_ERRORS;
  if (more > 0) list.append(make("li", { className: "job-more" }, `and ${more} more`));
  return list;
};
