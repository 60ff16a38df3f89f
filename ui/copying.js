// Copies an answer with its sources, as text.

const SAID_MS = 1500;

const sources = (answer) => {
  const found = new Map();
  for (const marker of answer.querySelectorAll("a.rag-cite")) {
    const number = marker.textContent.replace(/\D/g, "");
    if (!found.has(number)) found.set(number, marker.title);
  }
  return [...found].map(([number, where]) => `[${number}] ${where}`);
};

export const answerText = (answer) => {
  const text = answer.querySelector(".rag-text").cloneNode(true);
  for (const marker of text.querySelectorAll("a.rag-cite")) marker.prepend(" ");
  const listed = sources(answer);
  return [text.textContent.trim(), ...(listed.length ? ["", ...listed] : [])].join("\n");
};

const write = async (text) => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // where the address is neither this machine nor https
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
};

export const copyAnswer = async (button) => {
  const label = button.dataset.label || button.textContent;
  button.dataset.label = label;
  try {
    await write(answerText(button.closest(".rag-answer")));
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => (button.textContent = label), SAID_MS);
};
