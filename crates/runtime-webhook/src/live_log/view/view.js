// Follows a log and shows it, with search.

import { Ansi, applyStyle, isPlain, visibleText } from "./ansi.js";

const BLOCK_LINES = 500; // Lines that the browser lays out together.
const MAX_LINES = 400_000; // Older lines are removed from the page.
const MAX_LINE_LENGTH = 20_000; // Characters shown of a line.
const RETRY_DELAY = { initial: 500, max: 15_000 }; // Milliseconds.

const find = (id) => document.getElementById(id);
const log = find("log");

// ----- State -----

const ansi = new Ansi();
const lines = []; // The plain text of each line on the page, for the search.
let removedLines = 0; // The number of lines removed from the page.
let offset = 0; // The number of bytes received.
let tail = ""; // The last line, while it is incomplete.
const decoder = new TextDecoder(); // Shared by all connections: a character may be split between two of them.
let follows = true; // Whether the view stays at the end.
let resume = null; // Resolves the promise of `paused`, while the log is paused.

function setState(name, text) {
  find("state").className = resume ? `${name} paused` : name;
  find("state").textContent = text;
}

// ----- Reading -----

async function run() {
  let delay = RETRY_DELAY.initial;
  for (;;) {
    const before = offset;
    try {
      return setState(...(await read()));
    } catch (error) {
      console.warn("connection lost", error);
    }
    if (offset > before) delay = RETRY_DELAY.initial;
    setState("broken", `connection lost, retrying in ${Math.ceil(delay / 1000)} s`);
    await new Promise((done) => setTimeout(done, delay * (0.5 + Math.random() / 2)));
    delay = Math.min(delay * 2, RETRY_DELAY.max);
  }
}

/** Reads to the end of the log and returns the final state. Throws if the connection is lost. */
async function read() {
  const headers = offset ? { Range: `bytes=${offset}-` } : {};
  const response = await fetch("log.txt", { headers, cache: "no-store" });
  // A detached hook never returns. Other errors may be transient.
  if (response.status === 404) return ["broken", "no longer available"];
  if (response.status === 416) return ["complete", "complete"];
  if (!response.ok || (offset && response.status !== 206)) throw new Error(`status ${response.status}`);
  setState("live", "live");
  const reader = response.body.getReader();
  for (;;) {
    // Not reading while paused: TCP flow control stops the server, so nothing accumulates here.
    await paused();
    const { done, value } = await reader.read();
    if (done) break;
    offset += value.length;
    append(decoder.decode(value, { stream: true }));
  }
  append(decoder.decode());
  if (tail) append("\n");
  return ["complete", "complete"];
}

function append(text) {
  const parts = (tail + text).split("\n");
  tail = parts.pop();
  if (parts.length) appendLines(parts);
  // For example a prompt or a progress bar. Its style is not kept, since the complete line is parsed again.
  find("tail").replaceChildren(...lineElement(ansi.peek(visibleText(tail).slice(-MAX_LINE_LENGTH))).childNodes);
  if (follows) scrollToEnd();
}

function paused() {
  return resume ? new Promise((done) => (resume = done)) : undefined;
}

// ----- Showing -----

function appendLines(added) {
  for (const line of added) {
    const pieces = ansi.split(truncate(visibleText(line)));
    lines.push(pieces.map((piece) => piece.text).join(""));
    currentList().append(lineElement(pieces));
  }
  removeOldLines();
  find("count").textContent = `${(removedLines + lines.length).toLocaleString()} lines`;
  scheduleSearch();
}

/** Limits the length of a line, since browsers take minutes for a line of several megabytes. */
function truncate(line) {
  return line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH)} … (truncated, see the raw log)` : line;
}

/** Returns the list for the next line. */
function currentList() {
  const last = find("lines").lastElementChild?.firstElementChild;
  if (last && last.childElementCount < BLOCK_LINES) return last;
  const block = document.createElement("div");
  block.className = "block";
  const list = document.createElement("ol");
  list.start = removedLines + lines.length;
  block.append(list);
  find("lines").append(block);
  return list;
}

function lineElement(pieces) {
  const line = document.createElement("li");
  for (const { text, style } of pieces) {
    if (isPlain(style)) {
      line.append(text);
      continue;
    }
    const span = document.createElement("span");
    span.textContent = text;
    applyStyle(span, style);
    line.append(span);
  }
  return line;
}

function removeOldLines() {
  while (lines.length > MAX_LINES) {
    log.querySelector(".block").remove();
    lines.splice(0, BLOCK_LINES);
    removedLines += BLOCK_LINES;
  }
  if (removedLines && !log.querySelector(".note")) {
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = "The first lines are hidden, see the raw log.";
    log.prepend(note);
  }
}

/** Returns the element of a line on the page. */
function lineAt(index) {
  const blocks = log.getElementsByClassName("block");
  return blocks[Math.floor(index / BLOCK_LINES)]?.firstElementChild.children[index % BLOCK_LINES];
}

// ----- Scrolling -----

function scrollToEnd() {
  log.scrollTop = log.scrollHeight;
}

function setFollows(value) {
  follows = value;
  find("end").setAttribute("aria-pressed", String(value));
}

// User events instead of "scroll": following the log scrolls as well, and must not turn itself off.
for (const event of ["wheel", "touchmove", "keydown", "pointerdown"]) {
  log.addEventListener(event, () => requestAnimationFrame(() => {
    setFollows(log.scrollTop + log.clientHeight >= log.scrollHeight - 40);
  }), { passive: true });
}

find("end").addEventListener("click", () => {
  setFollows(true);
  scrollToEnd();
});

find("wrap").addEventListener("change", (event) => {
  log.classList.toggle("wrap", event.target.checked);
  if (follows) scrollToEnd();
});

find("pause").addEventListener("click", (event) => {
  const button = event.currentTarget;
  const wasPaused = resume;
  resume = wasPaused ? null : () => {};
  button.setAttribute("aria-pressed", String(!wasPaused));
  button.textContent = wasPaused ? "Pause" : "Continue";
  find("state").classList.toggle("paused", !wasPaused);
  if (wasPaused) wasPaused();
});

// ----- Searching -----

let query = "";
let matches = []; // Line numbers, including removed lines.
let searchedLines = 0; // The number of the first line that was not searched yet.
let current = -1; // The index of the selected match.
let timer = 0;

function scheduleSearch() {
  timer ||= setTimeout(() => {
    timer = 0;
    searchNewLines();
  }, 100);
}

function searchNewLines() {
  if (!query) return showCount();
  for (let number = Math.max(searchedLines, removedLines); number < removedLines + lines.length; number++) {
    if (lines[number - removedLines].toLowerCase().includes(query)) matches.push(number);
  }
  searchedLines = removedLines + lines.length;
  showCount();
}

function showCount() {
  const position = current >= 0 ? `${current + 1}/` : "";
  find("hits").textContent = query ? `${position}${matches.length}` : "";
}

function restartSearch() {
  query = find("query").value.toLowerCase();
  matches = [];
  searchedLines = 0;
  current = -1;
  highlight(null);
  searchNewLines();
}

function selectMatch(step) {
  if (find("query").value.toLowerCase() !== query) restartSearch();
  while (matches.length && matches[0] < removedLines) matches.shift();
  if (!matches.length) return showCount();
  current = (current + step + (current < 0 && step < 0 ? 1 : 0) + matches.length) % matches.length;
  setFollows(false);
  const line = lineAt(matches[current] - removedLines);
  line.scrollIntoView({ block: "center" });
  highlight(line);
  showCount();
}

/** Highlights a line and, if the browser supports it, the matches in it. */
function highlight(line) {
  log.querySelector(".hit")?.classList.remove("hit");
  globalThis.CSS?.highlights?.delete("found");
  if (!line) return;
  line.classList.add("hit");
  if (globalThis.CSS?.highlights) CSS.highlights.set("found", new Highlight(...matchRanges(line)));
}

/** Yields the matches in a line, except those across a change of style. */
function* matchRanges(line) {
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

find("query").addEventListener("input", restartSearch);
find("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.shiftKey) {
    event.preventDefault();
    selectMatch(-1);
  }
});
find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  selectMatch(1);
});
find("previous").addEventListener("click", () => selectMatch(-1));

setFollows(true);
run();
