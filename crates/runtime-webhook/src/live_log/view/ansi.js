// Splits lines with ANSI escape sequences into pieces of equal style.

// Styles (CSI ... m), other CSI sequences, titles and links (OSC), and incomplete escapes.
const SEQUENCE = /\x1b\[([\d;:]*)m|\x1b\[[\d;:?<>=!]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?/g;

const PLAIN = Object.freeze({});

/** A parser that keeps the style from line to line, as a terminal does. */
export class Ansi {
  #style = PLAIN;

  /** Returns the pieces `{text, style}` of a line. */
  split(line) {
    const pieces = [];
    let from = 0;
    for (const match of line.matchAll(SEQUENCE)) {
      this.#piece(pieces, line.slice(from, match.index));
      from = match.index + match[0].length;
      if (match[1] !== undefined) this.#style = applyCodes(this.#style, match[1]);
    }
    this.#piece(pieces, line.slice(from));
    return pieces;
  }

  /** Returns the pieces of an incomplete line, without keeping its style. */
  peek(line) {
    const before = this.#style;
    const pieces = this.split(line);
    this.#style = before;
    return pieces;
  }

  #piece(pieces, text) {
    if (text) pieces.push({ text, style: this.#style });
  }
}

/** Returns the visible part of a line: a carriage return overwrites it. */
export function visibleText(line) {
  line = line.replace(/\r+$/, "");
  return line.slice(line.lastIndexOf("\r") + 1);
}

/** Applies the style of a piece to an element. */
export function applyStyle(element, style) {
  const classes = [];
  for (const name of ["bold", "dim", "italic", "underline", "inverse"]) {
    if (style[name]) classes.push(name);
  }
  for (const [side, letter, property] of [["front", "f", "color"], ["back", "b", "background"]]) {
    const colour = style[side];
    if (typeof colour === "string") element.style[property] = colour;
    else if (colour !== undefined) classes.push(letter + (colour % 8));
    if (side === "front" && colour >= 8) classes.push("bright");
  }
  element.className = classes.join(" ");
}

/** Returns whether text of this style needs no `span`. */
export function isPlain(style) {
  return style === PLAIN;
}

function applyCodes(style, parameters) {
  const codes = parameters.split(/[;:]/).map(Number);
  const next = { ...style };
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

/** Returns a colour of the palette or of 24 bits, and the number of codes. */
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
  const level = (digit) => (digit ? 55 + 40 * digit : 0);
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`;
}
