// Renews the live parts of the status page, without which it works as well.
"use strict";

const EVERY = 2000;

// Puts what the worker says now in the place of what it said before. A log stays, with what it shows.
function renew(fresh) {
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const shown = document.getElementById(part.id);
    if (!shown) continue;
    for (const log of part.querySelectorAll("[data-log]")) {
      const old = shown.querySelector(`[data-log="${CSS.escape(log.dataset.log)}"]`);
      if (old) log.replaceWith(old);
    }
    const ends = [...part.querySelectorAll("[data-log]")].filter(isAtEnd);
    shown.replaceChildren(...part.childNodes);
    ends.forEach(toEnd);
  }
}

const isAtEnd = log => log.scrollHeight - log.scrollTop - log.clientHeight < 30;
const toEnd = log => { log.scrollTop = log.scrollHeight; };

// Adds what a log has got since.
async function follow(log) {
  const answer = await fetch(`${log.dataset.log}?offset=${log.dataset.offset}`);
  if (!answer.ok) return;
  const text = await answer.text();
  log.dataset.offset = answer.headers.get("x-next-offset");
  if (!text) return;
  const wasAtEnd = isAtEnd(log);
  log.append(text);
  if (wasAtEnd) toEnd(log);
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch("./");
      if (!answer.ok) throw new Error(answer.status);
      renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
      await Promise.all([...document.querySelectorAll("[data-log]")].map(follow));
      document.body.classList.remove("lost");
    } catch {
      document.body.classList.add("lost");
    }
  }
  setTimeout(look, EVERY);
}

document.querySelectorAll("[data-log]").forEach(toEnd);
setTimeout(look, EVERY);
