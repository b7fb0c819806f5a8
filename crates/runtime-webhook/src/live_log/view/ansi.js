// Splits lines with ANSI sequences into pieces of text that look the same.

// Colours and weights (CSI ... m), other CSI sequences, titles and links (OSC), and lone escapes.
const SEQUENCE = /\x1b\[([\d;:]*)m|\x1b\[[\d;:?<>=!]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?/g;

const PLAIN = Object.freeze({});

/** Keeps the look from line to line, as a terminal does. */
export class Ansi {
  #look = PLAIN;

  /** Returns the pieces `{text, look}` of a line, where `look` is what `dress` takes. */
  split(line) {
    const pieces = [];
    let from = 0;
    for (const match of line.matchAll(SEQUENCE)) {
      this.#piece(pieces, line.slice(from, match.index));
      from = match.index + match[0].length;
      if (match[1] !== undefined) this.#look = change(this.#look, match[1]);
    }
    this.#piece(pieces, line.slice(from));
    return pieces;
  }

  /** The same for a line that is not complete: what it changes does not last. */
  peek(line) {
    const before = this.#look;
    const pieces = this.split(line);
    this.#look = before;
    return pieces;
  }

  #piece(pieces, text) {
    if (text) pieces.push({ text, look: this.#look });
  }
}

/** What a terminal shows of a line in the end: a carriage return starts it again. */
export function lastVersion(line) {
  line = line.replace(/\r+$/, "");
  return line.slice(line.lastIndexOf("\r") + 1);
}

/** Makes an element look like a piece. */
export function dress(element, look) {
  const classes = [];
  for (const name of ["bold", "dim", "italic", "underline", "inverse"]) {
    if (look[name]) classes.push(name);
  }
  for (const [side, letter, property] of [["front", "f", "color"], ["back", "b", "background"]]) {
    const colour = look[side];
    if (typeof colour === "string") element.style[property] = colour;
    else if (colour !== undefined) classes.push(letter + (colour % 8));
    if (side === "front" && colour >= 8) classes.push("bright");
  }
  element.className = classes.join(" ");
}

/** Reports whether text with this look needs no element of its own. */
export function isPlain(look) {
  return look === PLAIN;
}

function change(look, parameters) {
  const codes = parameters.split(/[;:]/).map(Number);
  const next = { ...look };
  let isReset = false;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    isReset = code === 0;
    if (code === 0) for (const key of Object.keys(next)) delete next[key];
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.inverse = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code >= 30 && code <= 37) next.front = code - 30;
    else if (code >= 90 && code <= 97) next.front = code - 90 + 8;
    else if (code === 39) delete next.front;
    else if (code >= 40 && code <= 47) next.back = code - 40;
    else if (code >= 100 && code <= 107) next.back = code - 100 + 8;
    else if (code === 49) delete next.back;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes.slice(i + 1));
      if (colour !== undefined) next[code === 38 ? "front" : "back"] = colour;
      i += used;
    }
  }
  return isReset ? PLAIN : next;
}

/** A colour of 256 or of 16 million, and how many codes it took. */
function extended([kind, ...rest]) {
  if (kind === 5) return [indexed(rest[0] ?? 0), 2];
  if (kind !== 2) return [undefined, 1];
  const [r, g, b] = rest.map((part) => Math.min(part || 0, 255));
  return [`rgb(${r ?? 0} ${g ?? 0} ${b ?? 0})`, 4];
}

function indexed(number) {
  if (number < 16) return number;
  if (number > 255) return undefined;
  if (number >= 232) {
    const grey = 8 + 10 * (number - 232);
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const cube = number - 16;
  const part = (digit) => (digit ? 55 + 40 * digit : 0);
  return `rgb(${part(Math.floor(cube / 36))} ${part(Math.floor(cube / 6) % 6)} ${part(cube % 6)})`;
}
