// A table of rows that may stand for layers. Names come from models, so text enters the page as text content only.

const POINT = "decc:point"; // the event by which all pictures of a page mark the same layers

function make(tag, parent, text) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

const shown = (cell) => (Array.isArray(cell) ? cell[0] : cell);
const value = (cell) => (Array.isArray(cell) ? cell[1] : cell);
const TONES = { best: "the best", pinned: "what others are compared with" };
const UNHEARD_MS = 15000; // a choice that the page has not answered by then is not one

class Table {
  constructor(root) {
    this.head = root.querySelector("thead");
    this.body = root.querySelector("tbody");
    this.caption = root.querySelector("caption");
    this.note = root.querySelector(".note");
    this.sorted = null;
    this.asked = null;
    this.listening = new AbortController();
    const listen = (to, what, hears) => to.addEventListener(what, hears, { signal: this.listening.signal });
    listen(this.body, "pointerover", (event) => this.point(this.rowOf(event.target)));
    listen(this.body, "pointerleave", () => this.point(null));
    listen(this.body, "focusin", (event) => this.point(this.rowOf(event.target)));
    listen(this.body, "focusout", () => this.point(null));
    listen(this.body, "click", (event) => this.choose(this.rowOf(event.target)));
    listen(this.body, "keydown", (event) => this.key(event));
    listen(root.querySelector(".save"), "click", () => this.save());
    listen(window, POINT, (event) => this.heard(event.detail));
  }

  rowOf(target) {
    const found = target.closest && target.closest("tr");
    return found ? found.row : null;
  }

  update(data, tell) {
    this.tell = tell;
    const digest = JSON.stringify(data);
    if (digest === this.digest) return;
    const columns = JSON.stringify(data.columns);
    if (columns !== this.columns) this.sorted = null;
    this.digest = digest;
    this.columns = columns;
    this.data = data;
    this.asked = null;
    this.chosen = this.picked();
    this.body.parentElement.setAttribute("role", data.picks ? "grid" : "table");
    this.caption.textContent = data.name;
    this.numeric = data.columns.map((_, i) => data.rows.some((row) => Array.isArray(row.cells[i])));
    this.note.textContent = data.note;
    this.standsForLayers = data.rows.some((row) => row.layers.length);
    const back = this.placeOfFocus();
    this.drawHead();
    this.drawBody();
    this.point(null);
    back();
  }

  // The row that the page says is chosen.
  picked() {
    return this.data.rows.find((row) => row.name && row.name === this.data.picked) || null;
  }

  // What brings the keyboard back to where it is now, once all is drawn anew.
  placeOfFocus() {
    const inside = this.body.getRootNode().activeElement;
    const at = (all, one) => [...all].indexOf(one);
    const line = at(this.body.children, inside);
    const name = line >= 0 ? inside.row.name : "";
    const column = this.head.firstChild ? at(this.head.firstChild.children, inside && inside.parentElement) : -1;
    return () => {
      const lines = [...this.body.children];
      const same = (name && lines.find((one) => one.row.name === name)) || lines[line];
      const title = column >= 0 && this.head.firstChild.children[column];
      // The visitor may look at something else by now.
      if (same) this.focus(same, { preventScroll: true });
      if (title) title.firstChild.focus({ preventScroll: true });
    };
  }

  drawHead() {
    this.head.replaceChildren();
    const line = make("tr", this.head);
    this.data.columns.forEach((title, i) => {
      const cell = make("th", line);
      cell.scope = "col";
      if (this.numeric[i]) cell.className = "number";
      const button = make("button", cell, title);
      button.type = "button";
      button.title = "Sort by this column";
      // Within the table the arrow keys go on; the Tab key leaves it after one stop.
      button.tabIndex = i === 0 ? 0 : -1;
      button.addEventListener("click", () => this.sort(i));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const next = step && line.children[i + step];
        if (next) next.firstChild.focus();
        if (event.key === "ArrowDown" && this.body.firstChild) this.focus(this.body.firstChild);
        if (next || event.key === "ArrowDown") event.preventDefault();
      });
    });
    this.markSorted();
  }

  markSorted() {
    [...this.head.firstChild.children].forEach((cell, i) => {
      const now = this.sorted && this.sorted.column === i ? this.sorted.way : "none";
      cell.setAttribute("aria-sort", now);
    });
  }

  // Up, down, and as it came.
  sort(column) {
    const ways = ["ascending", "descending"];
    const now = this.sorted && this.sorted.column === column ? ways.indexOf(this.sorted.way) + 1 : 0;
    this.sorted = now < 2 ? { column, way: ways[now] } : null;
    this.markSorted();
    this.drawBody();
  }

  ordered() {
    if (!this.sorted) return this.data.rows;
    const { column, way } = this.sorted;
    const sign = way === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [value(a.cells[column]), value(b.cells[column])];
      // Where there is no number, at the end, whichever way.
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
      return sign * (typeof x === "number" ? x - y : x.localeCompare(y, undefined, { numeric: true }));
    };
    return [...this.data.rows].sort(compare);
  }

  drawBody() {
    this.body.replaceChildren();
    const rows = this.ordered();
    const first = rows.includes(this.chosen) ? this.chosen : rows[0];
    rows.forEach((row) => {
      const line = make("tr", this.body);
      line.row = row;
      line.tabIndex = row === first ? 0 : -1;
      if (row.tone) line.className = row.tone;
      row.cells.forEach((cell, j) => {
        const made = make("td", line, shown(cell));
        if (this.numeric[j]) made.className = "number";
        if (j === 0 && row.tone) make("span", made, ` (${TONES[row.tone]})`).className = "heard";
      });
    });
    this.markChosen();
  }

  markChosen() {
    for (const line of this.body.children) {
      const chosen = line.row === this.chosen;
      if (chosen) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
      if (this.data.picks) line.setAttribute("aria-selected", chosen);
    }
  }

  key(event) {
    const line = event.target.closest("tr");
    const steps = { ArrowDown: line.nextSibling, ArrowUp: line.previousSibling };
    if (event.key in steps) {
      if (steps[event.key]) this.focus(steps[event.key]);
    } else if (event.key === "Home") this.focus(this.body.firstChild);
    else if (event.key === "End") this.focus(this.body.lastChild);
    else if (event.key === "Enter" || event.key === " ") this.choose(line.row);
    else if (event.key === "Escape") this.choose(null);
    else return;
    event.preventDefault();
  }

  focus(line, how) {
    for (const other of this.body.children) other.tabIndex = other === line ? 0 : -1;
    line.focus(how);
  }

  // Chosen until it is chosen again, or another is; where the page hears of it, until another is.
  choose(row) {
    if (this.data.picks) {
      if (!row || (row === this.chosen && this.asked === null)) return;
      this.tell("picked", row.name);
      this.asked = row;
      // A page that ends where it was sends nothing.
      setTimeout(() => {
        if (this.asked === row) this.letGo();
      }, UNHEARD_MS);
    }
    this.chosen = row === this.chosen && !this.data.picks ? null : row;
    this.markChosen();
    this.point(this.chosen);
  }

  letGo() {
    this.asked = null;
    this.chosen = this.picked();
    this.markChosen();
  }

  // Tell the others what a row stands for; without one, what is chosen.
  point(row) {
    if (!this.standsForLayers && !this.told) return;
    const told = row || this.chosen;
    if (!told && !this.told) return;
    if (told === this.told) return;
    this.told = told;
    this.mark(null);
    this.saying = { source: "table", layers: told ? told.layers : [], requests: told ? told.requests : null };
    window.dispatchEvent(new CustomEvent(POINT, { detail: this.saying }));
  }

  heard(said) {
    if (said === this.saying || !said || !Array.isArray(said.layers)) return;
    this.told = null;
    this.mark(said.layers.length ? said : null);
    // Somebody else looks away: what is chosen here is pointed at again.
    if (!said.layers.length && this.chosen) this.point(null);
  }

  mark(said) {
    const layers = new Set(said ? said.layers : []);
    const requests = said && Array.isArray(said.requests) ? new Set(said.requests) : null;
    for (const line of this.body.children) {
      const own = line.row;
      const asked = !requests || !own.requests || own.requests.some((request) => requests.has(request));
      line.classList.toggle("pointed", asked && own.layers.some((layer) => layers.has(layer)));
    }
  }

  // As spreadsheets read it; a name that one would take for a formula gets an apostrophe.
  save() {
    const quoted = (cell) => {
      const raw = Array.isArray(cell) ? String(cell[1]) : cell.replace(/^[=+\-@\t\r]/, "'$&");
      return /[",\n\r]/.test(raw) ? `"${raw.replaceAll('"', '""')}"` : raw;
    };
    const lines = [this.data.columns, ...this.ordered().map((row) => row.cells)];
    const text = lines.map((cells) => cells.map(quoted).join(",")).join("\r\n") + "\r\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
    link.download = `${this.data.file}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  end() {
    this.chosen = null;
    this.point(null);
    this.listening.abort();
  }
}

const tables = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const body = parentElement.querySelector("tbody");
  if (!body || !data) return undefined;
  if (!tables.has(body)) tables.set(body, new Table(parentElement));
  const table = tables.get(body);
  table.update(data, setTriggerValue);
  return () => {
    table.end();
    tables.delete(body);
  };
}
