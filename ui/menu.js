// A combobox of embedders (ARIA 1.2): the server draws its options, typing searches them, the keyboard moves in them.
import { make, parse } from "./server.js";

const WIDEST = 420;
const MARGIN = 8;
const LEAST_ROOM = 260;

export class Menu {
  // `choose` hears the name of an option that was taken, `opened` that the list has been opened.
  constructor(choose, opened) {
    Object.assign(this, { choose, opened, chosen: "", active: null });
    this.input = make("input", { type: "text", id: "emb-input", role: "combobox", autocomplete: "off", spellcheck: false });
    this.list = make("div", { id: "emb-list", role: "listbox", popover: "manual" });
    this.list.setAttribute("aria-label", "Embedders");
    this.now = make("span", { className: "emb-now" });
    this.dot = make("i", { className: "emb-dot" });
    for (const [name, value] of [["label", "Embedder"], ["controls", "emb-list"], ["autocomplete", "list"]])
      this.input.setAttribute(`aria-${name}`, value);
    this.input.setAttribute("aria-expanded", "false");
    this.box = make("div", { className: "emb-box" }, this.dot, this.input, this.now);
    this.listen();
  }

  listen() {
    this.input.addEventListener("click", () => this.open());
    this.box.addEventListener("click", () => this.input.disabled || this.input.focus());
    this.input.addEventListener("input", () => (this.open(), this.filter(this.input.value)));
    this.input.addEventListener("keydown", (event) => this.press(event));
    this.input.addEventListener("blur", () => this.close());
    this.list.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays in the box
    this.list.addEventListener("click", (event) => this.take(event.target.closest('[role="option"]')));
    addEventListener("resize", () => this.close());
    addEventListener("scroll", (event) => this.list.contains(event.target) || this.close(), true);
  }

  // --- what it shows

  get isOpen() {
    return this.list.matches(":popover-open");
  }

  option(name) {
    return [...this.list.querySelectorAll('[role="option"]')].find((each) => each.dataset.name === name);
  }

  setOptions(html) {
    if (this.html === html) return;
    this.html = html;
    const active = this.active?.dataset.name;
    const scrolled = this.list.scrollTop;
    this.list.replaceChildren(...document.adoptNode(parse(html).body).childNodes);
    this.list.append(make("p", { className: "emb-nothing", hidden: true }, "No embedder is like that."));
    this.filter(this.words || "");
    this.move(this.option(active) || null);
    this.list.scrollTop = scrolled;
    this.show();
  }

  setChosen(name) {
    this.chosen = name;
    this.show();
  }

  disable(isDisabled) {
    this.input.disabled = isDisabled;
    if (isDisabled) this.close();
  }

  show() {
    const chosen = this.option(this.chosen);
    for (const each of this.list.querySelectorAll('[role="option"]')) each.setAttribute("aria-selected", String(each === chosen));
    if (!this.isOpen) this.input.value = this.chosen;
    const state = chosen?.dataset.standing === "ready" ? "" : chosen?.querySelector(".emb-state")?.textContent || "";
    if (this.now.textContent !== state) this.now.textContent = state;
    this.dot.style.setProperty("--hue", chosen?.querySelector(".emb-dot")?.style.getPropertyValue("--hue") || "0");
    this.dot.hidden = !chosen;
  }

  // --- open and closed

  open() {
    if (this.isOpen || this.input.disabled) return;
    this.filter("");
    this.list.showPopover();
    this.place();
    this.input.setAttribute("aria-expanded", "true");
    this.input.select();
    this.move(this.option(this.chosen) || null);
    this.opened();
  }

  close() {
    if (!this.isOpen) return;
    this.list.hidePopover();
    this.input.setAttribute("aria-expanded", "false");
    this.move(null);
    this.show();
    this.input.setSelectionRange(this.input.value.length, this.input.value.length);
  }

  // Below the box, or above it where there is more room; wider than the box where the screen is.
  place() {
    const box = this.box.getBoundingClientRect();
    const below = innerHeight - box.bottom - 2 * MARGIN;
    const above = box.top - 2 * MARGIN;
    const isBelow = below >= LEAST_ROOM || below >= above;
    const { style } = this.list;
    style.left = `${box.left}px`;
    style.width = `${Math.max(box.width, Math.min(WIDEST, innerWidth - box.left - MARGIN))}px`;
    style.maxHeight = `${isBelow ? below : above}px`;
    style.top = isBelow ? `${box.bottom + 4}px` : "auto";
    style.bottom = isBelow ? "auto" : `${innerHeight - box.top + 4}px`;
  }

  // --- searching and moving

  get visible() {
    return [...this.list.querySelectorAll('[role="option"]:not([hidden])')];
  }

  filter(text) {
    this.words = text;
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    for (const group of this.list.querySelectorAll('[role="group"]')) {
      const options = [...group.querySelectorAll('[role="option"]')];
      for (const each of options) each.hidden = !words.every((word) => each.textContent.toLowerCase().includes(word));
      group.hidden = options.every((each) => each.hidden);
    }
    const nothing = this.list.querySelector(".emb-nothing");
    if (nothing) nothing.hidden = this.visible.length > 0;
    if (words.length) this.move(this.visible[0] || null);
  }

  move(option) {
    this.active?.classList.remove("emb-active");
    this.active = option;
    option?.classList.add("emb-active");
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
    if (this.isOpen) option?.scrollIntoView({ block: "nearest" });
  }

  press(event) {
    const options = this.visible;
    const at = options.indexOf(this.active);
    const steps = { ArrowDown: at + 1, ArrowUp: at < 0 ? options.length - 1 : at - 1, PageDown: at + 8, PageUp: at - 8 };
    if (event.key in steps) {
      event.preventDefault();
      if (!this.isOpen) this.open();
      else this.move(options[Math.max(0, Math.min(options.length - 1, steps[event.key]))] || null);
    } else if (event.key === "Enter" && this.isOpen) {
      event.preventDefault();
      this.take(this.active);
    } else if (event.key === "Escape" && this.isOpen) {
      event.preventDefault();
      this.close();
    }
  }

  take(option) {
    if (!option) return;
    this.close();
    this.choose(option.dataset.name);
  }
}
