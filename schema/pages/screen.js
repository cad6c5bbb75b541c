"use strict";
// Draws terminal screens: data made by schema/pages/screens.py into elements of rows. Content becomes text, never markup.

// JSON that the page carries under a name.
function pageData(name) {
  return JSON.parse(document.getElementById(name).textContent);
}

// A block that was packed by schema/pages/page.py: base64 of a zlib stream of JSON.
async function unpackBlock(name) {
  const characters = atob(document.getElementById(name).textContent.trim());
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i++) bytes[i] = characters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function element(kind, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const SNAPSHOT = 256; // screens between two that are kept whole, so that a jump decodes at most this many

// Consecutive screens. `at(t)` gives {rows, y, x}: numbers of rows in `data.rows`, and the cursor.
class Screens {
  constructor(data) {
    this.data = data;
    this.length = data.cursors.length / 2;
    this.offsets = new Uint32Array(this.length);
    this.snapshots = [];
    const now = [];
    for (let t = 0, at = 0; t < this.length; t++) {
      this.offsets[t] = at;
      at = this.apply(at, now);
      if (t % SNAPSHOT === 0) this.snapshots.push(now.slice());
    }
    this.last = -1;
    this.now = [];
  }

  apply(at, rows) {
    const changes = this.data.changes;
    for (let left = changes[at++]; left > 0; left--, at += 2) rows[changes[at]] = changes[at + 1];
    return at;
  }

  at(t) {
    if (t < this.last || t - this.last > SNAPSHOT) {
      this.last = t - (t % SNAPSHOT);
      this.now = this.snapshots[t / SNAPSHOT | 0].slice();
    }
    while (this.last < t) this.apply(this.offsets[++this.last], this.now);
    return { rows: this.now, y: this.data.cursors[2 * t], x: this.data.cursors[2 * t + 1] };
  }
}

// Draws screens of one size into an element, touching only the rows that differ from what it shows.
class ScreenView {
  constructor(parent, rows, cols) {
    this.rows = rows;
    this.cols = cols;
    this.parent = parent;
    this.shown = []; // what each row shows: [row data, the cursor's column or -1]
    parent.classList.add("screen");
    parent.style.setProperty("--cols", cols);
  }

  draw(rows, y, x) {
    while (this.parent.children.length < rows.length) this.parent.append(element("div", "row"));
    rows.forEach((row, place) => {
      const cursor = place === y ? x : -1;
      const was = this.shown[place];
      if (was && was[0] === row && was[1] === cursor) return;
      this.parent.children[place].replaceChildren(...drawnRow(row, cursor, this.cols));
      this.shown[place] = [row, cursor];
    });
  }

  // Take the widest cells, of `least` to `most` whole pixels, at which the screen is at most so wide and, if it can be,
  // so high. Whole pixels: every cell of one content then looks the same.
  fit(width, height, least, most) {
    const probe = element("span", "", "0".repeat(100));
    probe.style.cssText = "position: absolute; visibility: hidden; letter-spacing: 0; font-size: 1000px";
    this.parent.append(probe);
    const size = 100000 / probe.getBoundingClientRect().width; // the font size of a cell one pixel wide
    const line = (cell) => Math.round(cell * size * 1.25);
    let cell = most;
    while (cell > least && (cell * this.cols + BORDER > width || line(cell) * this.rows + BORDER > height)) cell--;
    this.parent.style.setProperty("--screen-size", cell * size + "px");
    this.parent.style.setProperty("--cell", cell + "px");
    this.parent.style.setProperty("--line-height", line(cell) + "px");
    probe.style.fontSize = cell * size + "px"; // hinting may make letters some hundredths of a pixel narrower
    for (const [weight, name] of [["normal", "--spacing"], ["bold", "--bold-spacing"]]) {
      probe.style.fontWeight = weight;
      this.parent.style.setProperty(name, cell - probe.getBoundingClientRect().width / 100 + "px");
    }
    probe.remove();
  }
}

const BORDER = 18; // pixels of a screen beside its cells, both sides: padding and line of screen.css

// One row as pieces of equal look. A cell that is not ASCII has a box of its own: fonts differ in its width.
function drawnRow(row, cursor, cols) {
  const [text, runs] = typeof row === "string" || !Array.isArray(row) ? [row, []] : row;
  const cells = typeof text === "string" ? text.split("") : text.slice();
  const looks = new Array(cells.length).fill(0);
  for (let i = 0; i < runs.length; i += 3) {
    for (let x = runs[i]; x < runs[i] + runs[i + 1]; x++) {
      while (cells.length <= x) { cells.push(" "); looks.push(0); }
      looks[x] = runs[i + 2];
    }
  }
  while (cells.length <= Math.min(cursor, cols - 1)) { cells.push(" "); looks.push(0); }
  const pieces = [];
  for (let x = 0; x < cells.length; x++) {
    if (cells[x] === "") continue; // the second cell of a wide character
    const wide = cells[x + 1] === "";
    const alone = x === cursor || (wide && x + 1 === cursor);
    const plain = cells[x].length === 1 && cells[x] < "\x7f";
    const last = pieces[pieces.length - 1];
    if (plain && !alone && last && last.open && last.look === looks[x]) {
      last.text += cells[x];
      continue;
    }
    pieces.push({ text: cells[x], look: looks[x], open: plain && !alone, alone, boxed: !plain, wide });
  }
  return pieces.map((piece) => {
    if (!piece.look && !piece.alone && !piece.boxed) return document.createTextNode(piece.text);
    const names = [];
    if (piece.look & 1) names.push("bold");
    if (piece.look & 2) names.push("reverse");
    if (piece.look >> 2) names.push("hue-" + (piece.look >> 2));
    if (piece.boxed) names.push(piece.wide ? "wide" : "narrow");
    if (piece.alone) names.push("cursor");
    return element("span", names.join(" "), piece.text);
  });
}

// Lets a button with the id "scheme" go from the system's scheme to dark and to light.
function wireScheme() {
  const button = document.getElementById("scheme");
  if (!button) return;
  const words = { "": "system colours", dark: "dark", light: "light" };
  const order = ["", "dark", "light"];
  const show = (scheme) => {
    if (scheme) document.documentElement.dataset.scheme = scheme;
    else delete document.documentElement.dataset.scheme;
    button.textContent = words[scheme];
  };
  button.addEventListener("click", () => {
    show(order[(order.indexOf(document.documentElement.dataset.scheme || "") + 1) % 3]);
  });
  show("");
}
wireScheme();
