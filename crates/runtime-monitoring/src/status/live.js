// Refreshes the live parts of the status page. The page also works without this script.
"use strict";

const REFRESH_MS = 2000;

// Replaces the live elements by those of a new page. The elements of logs are kept: they have more lines and a scroll position.
function refresh(fresh) {
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const shown = document.getElementById(part.id);
    if (!shown) continue;
    for (const log of part.querySelectorAll("[data-log]")) {
      const old = shown.querySelector(`[data-log="${CSS.escape(log.dataset.log)}"]`);
      if (old) log.replaceWith(old);
    }
    const ends = [...part.querySelectorAll("[data-log]")].filter(isScrolledToEnd);
    shown.replaceChildren(...part.childNodes);
    ends.forEach(scrollToEnd);
  }
}

const isScrolledToEnd = log => log.scrollHeight - log.scrollTop - log.clientHeight < 30;
const scrollToEnd = log => { log.scrollTop = log.scrollHeight; };

// Appends the new lines of a log.
async function appendLines(log) {
  const response = await fetch(`${log.dataset.log}?offset=${log.dataset.offset}`);
  if (!response.ok) return;
  // Rendered and escaped by the server.
  const lines = await response.text();
  log.dataset.offset = response.headers.get("x-next-offset");
  if (!lines) return;
  const wasScrolledToEnd = isScrolledToEnd(log);
  log.insertAdjacentHTML("beforeend", lines);
  if (wasScrolledToEnd) scrollToEnd(log);
}

async function poll() {
  if (!document.hidden) {
    try {
      const response = await fetch("./");
      if (!response.ok) throw new Error(response.status);
      refresh(new DOMParser().parseFromString(await response.text(), "text/html"));
      await Promise.all([...document.querySelectorAll("[data-log]")].map(appendLines));
      document.body.classList.remove("disconnected");
    } catch {
      document.body.classList.add("disconnected");
    }
  }
  setTimeout(poll, REFRESH_MS);
}

document.querySelectorAll("[data-log]").forEach(scrollToEnd);
setTimeout(poll, REFRESH_MS);
