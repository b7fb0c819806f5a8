// Follows a log and shows it, with what is needed to find something in it.

import { Ansi, dress, isPlain, lastVersion } from "./ansi.js";

const BLOCK = 500; // Lines that the browser lays out together.
const MOST = 400_000; // Lines that are kept; the first are let go of.
const LONGEST = 20_000; // Characters of a line that are shown.
const RETRY = { first: 500, most: 15_000 }; // Milliseconds.

const find = (id) => document.getElementById(id);
const log = find("log");

// ----- State -----

const ansi = new Ansi();
const lines = []; // The plain text of each line that is shown, for the search.
let gone = 0; // How many lines were let go of.
let offset = 0; // Bytes of the log that were read.
let tail = ""; // The begin of a line whose end did not come yet; it is shown below the others.
const decoder = new TextDecoder(); // One for all connections: a character may begin on one and end on the next.
let follows = true; // Whether the view stays at the end.
let unpause = null; // Called to go on, while the log is paused.

function say(name, text) {
  find("state").className = unpause ? `${name} paused` : name;
  find("state").textContent = text;
}

// ----- Reading -----

async function run() {
  let wait = RETRY.first;
  for (;;) {
    const before = offset;
    try {
      return say(...(await read()));
    } catch (error) {
      console.warn("the log broke off", error);
    }
    if (offset > before) wait = RETRY.first;
    say("broken", `broken off; trying again in ${Math.ceil(wait / 1000)} s`);
    await new Promise((done) => setTimeout(done, wait * (0.5 + Math.random() / 2)));
    wait = Math.min(wait * 2, RETRY.most);
  }
}

/** Reads to the end, and says how the log ended; throws if it did not. */
async function read() {
  const headers = offset ? { Range: `bytes=${offset}-` } : {};
  const response = await fetch("log.txt", { headers, cache: "no-store" });
  // A hook that is gone never comes back; whatever else is wrong may pass.
  if (response.status === 404) return ["broken", "not served any more"];
  if (response.status === 416) return ["complete", "complete"];
  if (!response.ok || (offset && response.status !== 206)) throw new Error(`status ${response.status}`);
  say("live", "live");
  const reader = response.body.getReader();
  for (;;) {
    await paused();
    const { done, value } = await reader.read();
    if (done) break;
    offset += value.length;
    add(decoder.decode(value, { stream: true }));
  }
  add(decoder.decode());
  if (tail) add("\n");
  return ["complete", "complete"];
}

function add(text) {
  const parts = (tail + text).split("\n");
  tail = parts.pop();
  if (parts.length) show(parts);
  // Such as a prompt, or a bar that grows. What it looks like is forgotten: the whole line will tell.
  find("tail").replaceChildren(...item(ansi.peek(lastVersion(tail).slice(-LONGEST))).childNodes);
  if (follows) toEnd();
}

function paused() {
  return unpause ? new Promise((done) => (unpause = done)) : undefined;
}

// ----- Showing -----

function show(more) {
  for (const line of more) {
    const pieces = ansi.split(cut(lastVersion(line)));
    lines.push(pieces.map((piece) => piece.text).join(""));
    list().append(item(pieces));
  }
  letGo();
  find("count").textContent = `${(gone + lines.length).toLocaleString()} lines`;
  searchSoon();
}

/** Browsers take minutes for lines of megabytes. */
function cut(line) {
  return line.length > LONGEST ? `${line.slice(0, LONGEST)} … (the raw log has the rest)` : line;
}

/** The list that the next line goes to. */
function list() {
  const last = find("lines").lastElementChild?.firstElementChild;
  if (last && last.childElementCount < BLOCK) return last;
  const block = document.createElement("div");
  block.className = "block";
  const list = document.createElement("ol");
  list.start = gone + lines.length;
  block.append(list);
  find("lines").append(block);
  return list;
}

function item(pieces) {
  const line = document.createElement("li");
  for (const { text, look } of pieces) {
    if (isPlain(look)) {
      line.append(text);
      continue;
    }
    const span = document.createElement("span");
    span.textContent = text;
    dress(span, look);
    line.append(span);
  }
  return line;
}

function letGo() {
  while (lines.length > MOST) {
    log.querySelector(".block").remove();
    lines.splice(0, BLOCK);
    gone += BLOCK;
  }
  if (gone && !log.querySelector(".note")) {
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = "The first lines are not shown any more; the raw log has them.";
    log.prepend(note);
  }
}

/** The element of a line that is shown. */
function lineAt(index) {
  const blocks = log.getElementsByClassName("block");
  return blocks[Math.floor(index / BLOCK)]?.firstElementChild.children[index % BLOCK];
}

// ----- Moving -----

function toEnd() {
  log.scrollTop = log.scrollHeight;
}

function setFollows(value) {
  follows = value;
  find("end").setAttribute("aria-pressed", String(value));
}

for (const event of ["wheel", "touchmove", "keydown", "pointerdown"]) {
  // Only what a person does turns following off: the log grows while it is scrolled to the end.
  log.addEventListener(event, () => requestAnimationFrame(() => {
    setFollows(log.scrollTop + log.clientHeight >= log.scrollHeight - 40);
  }), { passive: true });
}

find("end").addEventListener("click", () => {
  setFollows(true);
  toEnd();
});

find("wrap").addEventListener("change", (event) => {
  log.classList.toggle("wrap", event.target.checked);
  if (follows) toEnd();
});

find("pause").addEventListener("click", (event) => {
  const button = event.currentTarget;
  const goOn = unpause;
  unpause = goOn ? null : () => {};
  button.setAttribute("aria-pressed", String(!goOn));
  button.textContent = goOn ? "Pause" : "Continue";
  find("state").classList.toggle("paused", !goOn);
  if (goOn) goOn();
});

// ----- Searching -----

let query = "";
let hits = []; // Numbers of lines, those that were let go of included.
let searched = 0; // The number of the first line that was not searched yet.
let current = -1; // Of the hits.
let timer = 0;

function searchSoon() {
  timer ||= setTimeout(() => {
    timer = 0;
    searchOn();
  }, 100);
}

/** Searches the lines that came since the last time. */
function searchOn() {
  if (!query) return tell();
  for (let number = Math.max(searched, gone); number < gone + lines.length; number++) {
    if (lines[number - gone].toLowerCase().includes(query)) hits.push(number);
  }
  searched = gone + lines.length;
  tell();
}

function tell() {
  const place = current >= 0 ? `${current + 1}/` : "";
  find("hits").textContent = query ? `${place}${hits.length}` : "";
}

function searchAnew() {
  query = find("query").value.toLowerCase();
  hits = [];
  searched = 0;
  current = -1;
  mark(null);
  searchOn();
}

function step(by) {
  if (find("query").value.toLowerCase() !== query) searchAnew();
  while (hits.length && hits[0] < gone) hits.shift();
  if (!hits.length) return tell();
  current = (current + by + (current < 0 && by < 0 ? 1 : 0) + hits.length) % hits.length;
  setFollows(false);
  const line = lineAt(hits[current] - gone);
  line.scrollIntoView({ block: "center" });
  mark(line);
  tell();
}

/** Marks a line and, where the browser can, the words in it. */
function mark(line) {
  log.querySelector(".hit")?.classList.remove("hit");
  globalThis.CSS?.highlights?.delete("found");
  if (!line) return;
  line.classList.add("hit");
  if (globalThis.CSS?.highlights) CSS.highlights.set("found", new Highlight(...ranges(line)));
}

/** The places of the query in a line, as far as none crosses a change of colour. */
function* ranges(line) {
  const texts = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const text = node.data.toLowerCase();
    for (let at = text.indexOf(query); at >= 0; at = text.indexOf(query, at + query.length)) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, Math.min(at + query.length, node.length));
      yield range;
    }
  }
}

find("query").addEventListener("input", searchAnew);
find("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.shiftKey) {
    event.preventDefault();
    step(-1);
  }
});
find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  step(1);
});
find("previous").addEventListener("click", () => step(-1));

setFollows(true);
run();
