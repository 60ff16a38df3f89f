// What the scripts of the tabs share: the server's routes, and elements made without HTML.

export const parse = (html) => new DOMParser().parseFromString(html, "text/html");

export const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

// Dialogs stand where Gradio lets our style sheets reach.
export const overlay = (dialog) => document.querySelector(".gradio-container .contain").append(dialog);

// Asks before something goes, or is spent, and tells whether it may.
export const confirmed = (title, text, action, { refuse = "Keep it", kind = "lib-danger" } = {}) =>
  new Promise((resolve) => {
    const keep = make("button", { className: "lib-button", value: "no", autofocus: true }, refuse);
    const go = make("button", { className: `lib-button ${kind}`, value: "yes" }, action);
    const form = make("form", { method: "dialog" }, keep, go);
    const dialog = make("dialog", { className: "lib-confirm", "aria-label": title }, make("h2", {}, title), make("p", {}, text), form);
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    overlay(dialog);
    dialog.showModal();
  });

const explain = async (reply) => {
  const told = await reply.json().catch(() => ({}));
  return new Error(told.error || `The server answered ${reply.status}.`);
};

export const SILENCE = "The application does not answer. Is it still running?";

// What asks the routes below a prefix of the address.
export const routes = (prefix) => {
  const fetched = async (path, options) => {
    const reply = await fetch(`${prefix}/${path}`, options).catch(() => {
      throw new Error(SILENCE);
    });
    if (!reply.ok) throw await explain(reply);
    return reply;
  };
  const post = (path, body = {}) => {
    const headers = { "content-type": "application/json" };
    return fetched(path, { method: "POST", headers, body: JSON.stringify(body) });
  };
  return { fetched, post };
};

export const { fetched, post } = routes("library");

export const query = () => new URLSearchParams(location.search);

// What of the address says what to show of a corpus.
export const viewQuery = () => {
  const asks = new URLSearchParams();
  for (const key of ["corpus", "show", "q", "page"]) if (query().get(key)) asks.set(key, query().get(key));
  return asks;
};
