// What the page does by itself: markers lead to their quotations, and on a phone the settings fold away.
// Everything is delegated from the document, because Gradio replaces elements whenever an answer grows.
(() => {
  const WAIT_MS = 4000;

  const reveal = (target) => {
    for (let each = target.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
    const mark = target.nextElementSibling || target;
    mark.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    mark.classList.remove("rag-flash");
    void mark.offsetWidth; // restarts the animation
    mark.classList.add("rag-flash");
  };

  // The evidence of an older turn is fetched by the same click (Gradio's select event): wait until it is there.
  const revealSoon = (id) => {
    const panel = document.getElementById("evidence-panel");
    const found = () => document.getElementById(id);
    if (found()) return reveal(found());
    const observer = new MutationObserver(() => {
      if (!found()) return;
      observer.disconnect();
      reveal(found());
    });
    observer.observe(panel, { childList: true, subtree: true });
    setTimeout(() => observer.disconnect(), WAIT_MS);
  };

  document.addEventListener("click", (event) => {
    const marker = event.target.closest("a.rag-cite");
    if (marker) {
      event.preventDefault();
      setTimeout(() => revealSoon(marker.getAttribute("href").slice(1)));
      return;
    }
    const toggle = event.target.closest("#choices-toggle");
    if (toggle) toggle.setAttribute("aria-expanded", String(toggle.getAttribute("aria-expanded") !== "true"));
  });
})();
