// A Gantt chart in SVG: four rows against time. It zooms, tells what is under the pointer or has the focus, points the
// page's other pictures at the same layers, and marks what they point at.
// Names come from models, so text enters the page as text content only.

const SVG = "http://www.w3.org/2000/svg";
const POINT = "decc:point"; // what the pictures of the page tell each other
const SOURCE = "gantt";
const TOP_PX = 20; // the bound's name
const BOTTOM_PX = 46; // numbers, and below them the unit and what the marks mean
const RIGHT_PX = 14;
const BAR_SHARE = 0.78; // of a row
const TEXT_PX = 12;
const LEAST_PX = 1.5; // work that takes next to no time is seen as well
const DRAG_PX = 5;
const MANY_BARS = 150; // of a row; more have no border, which would hide them
const MANY_OUTLINED = 60;
const MOST_ZOOM = 20000;
const TICK_PX = 78;
const NOTHING = " "; // no layers, no requests

// Views by name, as times in nanoseconds: they outlive the component, which is taken down with its view of the page.
const views = new Map();
const drawn = new Set();

function make(tag, attributes, parent) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  if (parent) parent.appendChild(made);
  return made;
}

function html(tag, className, parent, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

// Round distances between numbers on the axis.
function stepOf(length, most) {
  const size = 10 ** Math.floor(Math.log10(length / most));
  return [1, 2, 2.5, 5, 10].map((times) => times * size).find((step) => length / step <= most * 1.000001) || length;
}

class Gantt {
  constructor(root) {
    this.root = root;
    this.bars = [];
    this.roving = 0;
    this.pointed = NOTHING;
    this.build();
    this.listen();
  }

  build() {
    this.svg = make("svg", { class: "gantt", role: "group" });
    this.root.prepend(this.svg);
    const defs = make("defs", {}, this.svg);
    const hatch = { id: "idle", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
    this.hatch = make("path", { d: "M3.5 0V7", "stroke-width": 2.5 }, make("pattern", hatch, defs));
    const dense = { id: "coding", width: 4, height: 4, patternUnits: "userSpaceOnUse", patternTransform: "rotate(-45)" };
    this.dense = make("path", { d: "M2 0V4", "stroke-width": 1.6 }, make("pattern", dense, defs));
    const clip = make("clipPath", { id: "plot" }, defs);
    this.clip = make("rect", { x: 0, y: 0 }, clip);
    this.axis = make("g", { class: "axis" }, this.svg);
    const plot = make("g", { class: "plot", "clip-path": "url(#plot)" }, this.svg);
    this.layers = {};
    for (const name of ["gaps", "bars", "coding", "jumps", "bound", "texts", "range"]) {
      this.layers[name] = make("g", { class: name }, plot);
    }
    this.names = make("g", { class: "names" }, this.svg);
    this.tip = this.root.querySelector(".tip");
    const tools = this.root.querySelector(".tools");
    const button = (text, label, act) => {
      const made = html("button", "", tools, text);
      made.type = "button";
      made.title = label;
      made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
      return made;
    };
    button("+", "Zoom into the schedule", () => this.zoomBy(1 / 1.6));
    this.out = button("−", "Zoom out of the schedule", () => this.zoomBy(1.6));
    this.fit = button("Fit", "Show the whole schedule", () => this.show(null));
    button("SVG", "Save the schedule as SVG", () => this.save());
    this.ruler = document.createElement("canvas").getContext("2d");
  }

  listen() {
    const svg = this.svg;
    svg.addEventListener(
      "wheel",
      (event) => {
        const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
        if (event.ctrlKey || event.metaKey) {
          event.preventDefault();
          const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
          this.zoomBy(Math.exp(Math.max(-240, Math.min(240, event.deltaY * unit)) * 0.003), this.timeAt(event));
        } else if (this.view && Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
          // Otherwise the wheel belongs to the page.
          event.preventDefault();
          this.moveBy(sideways / this.plotWidth());
        }
      },
      { passive: false },
    );
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const [from, to] = this.range();
      this.press = { x: event.clientX, at: this.timeAt(event), from, to, moves: event.shiftKey, moved: false };
    });
    svg.addEventListener("pointermove", (event) => this.drag(event));
    svg.addEventListener("pointerup", (event) => this.release(event));
    svg.addEventListener("pointercancel", () => this.release(null));
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.leave());
    svg.addEventListener("dblclick", () => this.show(null));
    svg.addEventListener("focusin", (event) => {
      const place = this.placeOf(event.target);
      if (place !== null) this.enter(place, null);
    });
    svg.addEventListener("focusout", () => this.leave());
    svg.addEventListener("keydown", (event) => this.key(event));
    this.heard = (event) => this.hear(event.detail);
    window.addEventListener(POINT, this.heard);
    this.resized = new ResizeObserver(() => this.chart && this.redraw());
    this.resized.observe(this.root);
    drawn.add(this);
  }

  end() {
    this.leave();
    window.removeEventListener(POINT, this.heard);
    this.resized.disconnect();
    drawn.delete(this);
    if (this.frame) cancelAnimationFrame(this.frame);
    // The page may give its place to a new one.
    this.svg.remove();
    this.root.querySelector(".tools").replaceChildren();
  }

  // -- what is seen --

  range() {
    return this.view || [0, this.chart.until];
  }

  left() {
    return this.wide() ? 78 : 64;
  }

  wide() {
    return this.root.clientWidth >= 560;
  }

  plotWidth() {
    return Math.max(10, this.root.clientWidth - this.left() - RIGHT_PX);
  }

  xOf(time) {
    const [from, to] = this.range();
    return this.left() + ((time - from) / (to - from)) * this.plotWidth();
  }

  timeAt(event) {
    const [from, to] = this.range();
    const x = event.clientX - this.svg.getBoundingClientRect().left - this.left();
    return from + (to - from) * Math.max(0, Math.min(1, x / this.plotWidth()));
  }

  rowHeight() {
    return (this.height - TOP_PX - BOTTOM_PX) / this.chart.rows.length;
  }

  middle(row) {
    return TOP_PX + this.rowHeight() * (row + 0.5);
  }

  show(view, alone) {
    this.look(view);
    this.redraw();
    // Two schedules of one name stand one above the other, on one axis.
    if (!alone) for (const other of drawn) if (other !== this && other.name === this.name) other.show(this.view, true);
  }

  look(view) {
    const until = this.chart.until;
    this.view = null;
    if (view) {
      const length = Math.min(until, Math.max(until / MOST_ZOOM, 1, view[1] - view[0]));
      const from = Math.max(0, Math.min(until - length, view[0]));
      if (length < until * 0.999) this.view = [from, from + length];
    }
    views.set(this.name, this.view);
    this.fit.disabled = this.out.disabled = !this.view;
  }

  zoomBy(factor, around) {
    const [from, to] = this.range();
    const at = around === undefined ? (from + to) / 2 : around;
    this.show([at - (at - from) * factor, at + (to - at) * factor]);
  }

  moveBy(share) {
    const [from, to] = this.range();
    this.show([from + share * (to - from), to + share * (to - from)]);
  }

  // -- pointer --

  // Dragging marks the time to zoom into; with Shift it moves what is seen.
  drag(event) {
    const press = this.press;
    if (!press) return this.hover(event);
    if (!press.moved && Math.abs(event.clientX - press.x) < DRAG_PX) return;
    if (!press.moved) {
      press.moved = true;
      this.svg.setPointerCapture(event.pointerId);
      this.leave();
    }
    if (press.moves) {
      const by = ((press.x - event.clientX) / this.plotWidth()) * (press.to - press.from);
      this.show([press.from + by, press.to + by]);
      return;
    }
    const [a, b] = [this.xOf(press.at), this.xOf(this.timeAt(event))];
    const box = { x: Math.min(a, b), width: Math.abs(b - a), y: TOP_PX, height: this.height - TOP_PX - BOTTOM_PX };
    this.layers.range.replaceChildren(
      make("rect", { ...box, fill: this.colours.text, "fill-opacity": 0.12, stroke: this.colours.muted }),
    );
  }

  release(event) {
    const press = this.press;
    this.press = null;
    this.layers.range.replaceChildren();
    if (!press || !event) return;
    if (!press.moved) {
      // A finger that taps a bar has no other way to ask.
      if (event.pointerType !== "mouse") this.hover(event);
      return;
    }
    if (press.moves) return;
    const at = this.timeAt(event);
    if (at !== press.at) this.show([Math.min(at, press.at), Math.max(at, press.at)]);
  }

  placeOf(target) {
    const place = target.dataset && target.dataset.place;
    return place === undefined ? null : Number(place);
  }

  hover(event) {
    const place = this.placeOf(event.target);
    if (place !== null) return this.enter(place, event);
    const gap = event.target.dataset && event.target.dataset.gap;
    if (gap === undefined) return this.leave();
    this.point(null);
    this.tell(this.chart.gaps[Number(gap)].lines, event);
  }

  enter(place, event) {
    const bar = this.chart.bars[place];
    this.point(bar);
    this.tell(bar.lines, event || this.bars[place].getBoundingClientRect());
  }

  leave() {
    this.tip.hidden = true;
    this.toldOf = null;
    this.point(null);
  }

  tell(lines, at) {
    if (this.toldOf !== lines) {
      this.toldOf = lines;
      this.tip.replaceChildren();
      for (const line of lines) html("div", "", this.tip, line);
    }
    this.tip.hidden = false;
    const box = this.root.getBoundingClientRect();
    const x = (at.clientX === undefined ? Math.max(at.left, box.left + this.left()) : at.clientX) - box.left;
    const y = (at.clientY === undefined ? at.bottom : at.clientY) - box.top;
    const left = x + 14 + this.tip.offsetWidth > box.width ? x - 10 - this.tip.offsetWidth : x + 14;
    const top = Math.min(y + 12, this.height - this.tip.offsetHeight - 2);
    this.tip.style.transform = `translate(${Math.max(2, left)}px, ${Math.max(2, top)}px)`;
  }

  // -- what other pictures of the page are told, and tell --

  point(bar) {
    const runs = bar && bar.layers >= 0 ? this.chart.layers[bar.layers] : [];
    const requests = bar ? bar.requests : [];
    const said = `${runs} ${requests}`;
    if (said === this.pointed) return;
    this.pointed = said;
    const layers = [];
    for (let i = 0; i < runs.length; i += 2) for (let layer = runs[i]; layer <= runs[i + 1]; layer++) layers.push(layer);
    window.dispatchEvent(new CustomEvent(POINT, { detail: { source: SOURCE, layers, requests } }));
  }

  hear(detail) {
    if (!detail || detail.source === SOURCE || !this.chart) return;
    const wanted = detail.layers || [];
    const requests = new Set(detail.requests || []);
    // How many of the layers come before each one: a run holds some where its ends differ.
    const before = new Uint32Array(Math.max(-1, ...this.chart.layers.map((runs) => runs[runs.length - 1])) + 2);
    for (const layer of new Set(wanted)) if (layer >= 0 && layer + 1 < before.length) before[layer + 1] = 1;
    for (let i = 1; i < before.length; i++) before[i] += before[i - 1];
    const holds = this.chart.layers.map((runs) => {
      for (let i = 0; i < runs.length; i += 2) if (before[runs[i + 1] + 1] > before[runs[i]]) return true;
      return false;
    });
    this.svg.classList.toggle("pointing", wanted.length > 0);
    this.chart.bars.forEach((bar, place) => {
      const mine = !requests.size || bar.requests.some((request) => requests.has(request));
      this.bars[place].classList.toggle("pointed", mine && bar.layers >= 0 && holds[bar.layers]);
    });
  }

  // -- keyboard --

  key(event) {
    const place = this.placeOf(event.target);
    if (place === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const bar = this.chart.bars[place];
    const middle = (bar.from + bar.to) / 2;
    const row = this.places[bar.row];
    const at = row.indexOf(place);
    if (event.key === "ArrowLeft") this.focus(row[at - 1]);
    else if (event.key === "ArrowRight") this.focus(row[at + 1]);
    else if (event.key === "Home") this.focus(row[0]);
    else if (event.key === "End") this.focus(row[row.length - 1]);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") this.focus(this.beside(bar, event.key === "ArrowUp"));
    else if (event.key === "+" || event.key === "=") this.zoomBy(1 / 1.6, middle);
    else if (event.key === "-") this.zoomBy(1.6, middle);
    else if (event.key === "0") this.show(null);
    else if (event.key === "Escape") this.leave();
    else return;
    event.preventDefault();
  }

  // The bar of the next row that has any which is nearest in time.
  beside(bar, up) {
    const middle = (bar.from + bar.to) / 2;
    const away = (place) => {
      const { from, to } = this.chart.bars[place];
      return Math.max(from - middle, middle - to, 0);
    };
    for (let row = bar.row + (up ? -1 : 1); this.places[row]; row += up ? -1 : 1) {
      if (this.places[row].length) return this.places[row].reduce((a, b) => (away(b) < away(a) ? b : a));
    }
    return undefined;
  }

  focus(place) {
    if (place === undefined) return;
    this.rove(place);
    const { from, to } = this.chart.bars[place];
    const [left, right] = this.range();
    if (to < left || from > right) {
      const middle = (from + to) / 2;
      this.show([middle - (right - left) / 2, middle + (right - left) / 2]);
      this.draw();
    }
    this.bars[place].focus({ preventScroll: true });
  }

  // One bar only is a stop of the Tab key.
  rove(place) {
    if (this.bars[this.roving]) this.bars[this.roving].setAttribute("tabindex", "-1");
    this.roving = place;
    if (this.bars[place]) this.bars[place].setAttribute("tabindex", "0");
  }

  // -- drawing --

  update(data) {
    this.name = data.name;
    this.chart = data.chart;
    this.colours = data.colours;
    this.file = data.file;
    this.height = data.height;
    this.root.style.height = `${data.height}px`;
    this.root.style.setProperty("--select", data.colours.select);
    this.svg.setAttribute("aria-label", data.label);
    this.font = getComputedStyle(this.root).fontFamily;
    this.svg.setAttribute("font-family", this.font);
    this.leave();
    const focused = this.root.getRootNode().activeElement;
    const had = focused ? this.placeOf(focused) : null;
    this.makeBars();
    const before = views.get(data.name) || null;
    // What was looked at closely stays in sight, as long as there is something at that time.
    this.look(before && before[0] < this.chart.until ? before : null);
    this.draw();
    if (had !== null && this.bars[had]) this.focus(had);
  }

  makeBars() {
    const { bars, rows, marking } = this.chart;
    this.places = rows.map((_, row) => bars.map((_, place) => place).filter((place) => bars[place].row === row));
    const anyMarked = marking && bars.some((bar) => bar.marked);
    const made = document.createDocumentFragment();
    this.bars = bars.map((bar, place) => {
      const row = rows[bar.row];
      const many = this.places[bar.row].length;
      const outlined = anyMarked && bar.marked;
      const thin = many <= MANY_BARS ? 1 : 0;
      const border = outlined ? (marking === "critical" && many <= MANY_OUTLINED ? 2 : 1) : thin;
      const rect = make(
        "rect",
        {
          class: "bar",
          fill: row.fills[bar.strength],
          stroke: outlined ? this.colours.text : this.colours.page,
          role: "img",
          tabindex: "-1",
          "aria-label": bar.lines.join("; ") + (outlined && marking === "critical" ? "; on the critical path" : ""),
        },
        made,
      );
      rect.dataset.place = place;
      rect.border = border;
      return rect;
    });
    this.layers.bars.replaceChildren(made);
    this.svg.classList.remove("pointing");
    const first = this.places.find((row) => row.length);
    this.rove(this.bars[this.roving] ? this.roving : first ? first[0] : 0);
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const width = this.root.clientWidth;
    if (!width) return;
    const height = this.height;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.hatch.setAttribute("stroke", this.colours.grid);
    this.dense.setAttribute("stroke", this.colours.page);
    const plot = { x: this.left() - 1, y: 0, width: this.plotWidth() + 2, height: height - BOTTOM_PX + 4 };
    for (const [name, value] of Object.entries(plot)) this.clip.setAttribute(name, value);
    const bound = this.chart.bound === null ? null : this.xOf(this.chart.bound);
    for (const name of ["gaps", "coding", "jumps", "bound", "texts"]) this.layers[name].replaceChildren();
    this.names.replaceChildren();
    this.chart.rows.forEach((row, place) => {
      this.text(this.names, row.name, this.left() - 10, this.middle(place) + 4.5, this.colours.text, "end", 13);
    });
    this.drawAxis();
    this.drawGaps(bound);
    this.drawBars(bound);
    this.drawJumps();
    if (bound !== null) this.drawBound(bound);
  }

  text(parent, content, x, y, fill, anchor, size = TEXT_PX) {
    const made = make("text", { x: x.toFixed(1), y: y.toFixed(1), fill, "text-anchor": anchor, "font-size": size }, parent);
    made.textContent = content;
    return made;
  }

  widthOf(content, size = TEXT_PX) {
    this.ruler.font = `${size}px ${this.font}`;
    return this.ruler.measureText(content).width;
  }

  drawAxis() {
    const [from, to] = this.range();
    const { per_unit: unit, end, unit: name } = this.chart;
    const bottom = this.height - BOTTOM_PX;
    this.axis.replaceChildren();
    const length = (to - from) / unit;
    const step = stepOf(length, Math.max(2, Math.floor(this.plotWidth() / TICK_PX)));
    const digits = [0, 1, 2, 3, 4, 5, 6, 7, 8].find((many) => Math.abs((step * 10 ** many) % 1) < 1e-6) || 0;
    const number = (value, more = 0) => String(Number(value.toFixed(digits + more)));
    // The end of what is seen has its number, too; where it is the end of the schedule, with the unit.
    const last = this.view ? number(to / unit, 1) : end;
    const right = this.left() + this.plotWidth();
    const free = right - this.widthOf(last) - 10;
    const line = (x, y) => make("path", { d: `M${x.toFixed(1)} ${TOP_PX - 2}V${y}`, stroke: this.colours.grid }, this.axis);
    for (let i = Math.ceil(from / unit / step - 1e-9); i * step <= (to / unit) * (1 + 1e-9); i++) {
      const x = this.xOf(i * step * unit);
      const label = number(i * step);
      line(x, bottom + 4);
      if (x + this.widthOf(label) / 2 < free) this.text(this.axis, label, x, bottom + 17, this.colours.muted, "middle");
    }
    line(right, bottom + 6);
    this.text(this.axis, last, right, bottom + 17, this.colours.text, "end");
    this.drawLegend(`time (${name})`);
  }

  drawLegend(title) {
    const y = this.height - 10;
    let x = this.left();
    this.text(this.axis, title, x, y, this.colours.text, "start");
    x += this.widthOf(title) + 22;
    const free = this.root.clientWidth - 170; // the buttons
    const entry = (label, box, under) => {
      if (x + 22 + this.widthOf(label) > free) return;
      if (under) make("rect", { x, y: y - 10, width: 16, height: 11, fill: under }, this.axis);
      make("rect", { x, y: y - 10, width: 16, height: 11, ...box }, this.axis);
      this.text(this.axis, label, x + 22, y, this.colours.muted, "start");
      x += this.widthOf(label) + 42;
    };
    const { marking, gaps, bars } = this.chart;
    const outline = { fill: "none", stroke: this.colours.text, "stroke-width": 2 };
    if (marking && bars.some((bar) => bar.marked)) {
      entry(marking === "critical" ? "critical path" : "only in this plan", outline);
    }
    if (bars.some((bar) => bar.coding.length)) {
      entry("coding for the link", { fill: "url(#coding)" }, this.chart.rows[0].fills[0]);
    }
    if (gaps.length) entry("idle", { fill: "url(#idle)", stroke: this.colours.grid });
  }

  // Where a text of this width stands between two ends without touching the bound's line; null where it has no room.
  room(width, left, right, bound, centred) {
    const [low, high] = [Math.max(left, this.left()), Math.min(right, this.left() + this.plotWidth())];
    const fits = (x) => x >= low + 3 && x + width <= high - 3;
    const clear = (x) => bound === null || bound < x - 3 || bound > x + width + 3;
    const wanted = [centred ? (low + high - width) / 2 : low + 5];
    if (bound !== null) wanted.push(bound - width - 5, bound + 5);
    const found = wanted.find((x) => fits(x) && clear(x));
    return found === undefined ? null : found;
  }

  drawGaps(bound) {
    const high = this.rowHeight() * BAR_SHARE;
    this.chart.gaps.forEach((gap, place) => {
      const [x, end] = [this.xOf(gap.from), this.xOf(gap.to)];
      if (end < this.left() || x > this.left() + this.plotWidth() || end - x < 0.5) return;
      const y = this.middle(gap.row) - high / 2;
      const box = make("rect", { x, y, width: end - x, height: high, fill: "url(#idle)" }, this.layers.gaps);
      box.dataset.gap = place;
      const at = this.room(this.widthOf(gap.text, 11), x, end, bound, false);
      if (at === null || end - x < this.plotWidth() * 0.1) return;
      const made = this.text(this.layers.texts, gap.text, at, y + high / 2 + 4, this.colours.muted, "start", 11);
      this.halo(made, this.colours.page);
    });
  }

  drawBars(bound) {
    const high = this.rowHeight() * BAR_SHARE;
    const [first, last] = [this.left(), this.left() + this.plotWidth()];
    this.chart.bars.forEach((bar, place) => {
      const rect = this.bars[place];
      const x = this.xOf(bar.from);
      const width = Math.max(LEAST_PX, this.xOf(bar.to) - x);
      const seen = x + width >= first && x <= last;
      rect.setAttribute("display", seen ? "inline" : "none");
      if (!seen) return;
      // The border lies within the bar, and leaves something of it.
      const border = Math.min(rect.border, width / 4);
      rect.setAttribute("x", (x + border / 2).toFixed(2));
      rect.setAttribute("y", (this.middle(bar.row) - high / 2 + border / 2).toFixed(2));
      rect.setAttribute("width", (width - border).toFixed(2));
      rect.setAttribute("height", (high - border).toFixed(2));
      rect.setAttribute("stroke-width", border.toFixed(2));
      for (const [from, to] of bar.coding) this.drawCoding(bar, this.xOf(from), this.xOf(to), high);
      if (width > 10) this.drawLabel(bar, x, x + width, bound);
    });
  }

  // Encoding and decoding are hatched, so that they are told from computing; the bar below hears the pointer.
  drawCoding(bar, x, end, high) {
    if (end - x < 0.7) return;
    const y = this.middle(bar.row) - high / 2;
    make("rect", { x: x.toFixed(2), y, width: (end - x).toFixed(2), height: high, fill: "url(#coding)" }, this.layers.coding);
  }

  // Letters over a hatching are read on a border of their own.
  halo(text, colour) {
    for (const [name, value] of [["stroke", colour], ["stroke-width", 3], ["paint-order", "stroke"]]) {
      text.setAttribute(name, value);
    }
  }

  // The label with the request's number where there is room for both, else what there is room for.
  drawLabel(bar, left, right, bound) {
    const both = bar.label && bar.number ? `${bar.label} ${bar.number}` : "";
    for (const content of [both, bar.label, bar.number]) {
      const at = content ? this.room(this.widthOf(content), left, right, bound, true) : null;
      if (at === null) continue;
      const ink = this.chart.rows[bar.row].inks[bar.strength];
      const made = this.text(this.layers.texts, content, at, this.middle(bar.row) + 4.5, ink, "start");
      if (bar.coding.length) this.halo(made, this.chart.rows[bar.row].fills[bar.strength]);
      return;
    }
  }

  // How the critical path goes on between the rows; a slanted line waits for propagation.
  drawJumps() {
    const half = (this.rowHeight() * BAR_SHARE) / 2;
    let d = "";
    for (const [row, from, other, to] of this.chart.jumps) {
      const down = other > row ? half : -half;
      d += `M${this.xOf(from).toFixed(1)} ${(this.middle(row) + down).toFixed(1)}`;
      d += `L${this.xOf(to).toFixed(1)} ${(this.middle(other) - down).toFixed(1)}`;
    }
    if (!d) return;
    const dotted = { d, fill: "none", stroke: this.colours.text, "stroke-width": 1.5, "stroke-dasharray": "1.5 3" };
    make("path", dotted, this.layers.jumps);
  }

  drawBound(x) {
    const dashed = { stroke: this.colours.select, "stroke-width": 2, "stroke-dasharray": "6 4" };
    const [first, last] = [this.left(), this.left() + this.plotWidth()];
    if (x < first - 1 || x > last + 1) return;
    make("path", { d: `M${x.toFixed(1)} ${TOP_PX - 4}V${this.height - BOTTOM_PX}`, ...dashed }, this.layers.bound);
    const name = "proven lower bound";
    const width = this.widthOf(name);
    const before = x - width - 2 >= first || x + width > last;
    const at = before ? Math.max(x, first + width) : x;
    this.text(this.layers.bound, name, at, TOP_PX - 7, this.colours.select, before ? "end" : "start");
  }

  // -- saving --

  save() {
    const copy = this.svg.cloneNode(true);
    const [width, height] = [this.root.clientWidth, this.height];
    copy.querySelectorAll("[display=none]").forEach((element) => element.remove());
    copy.querySelectorAll(".bar").forEach((element) => {
      const title = make("title", {}, element);
      title.textContent = element.getAttribute("aria-label");
      for (const name of ["role", "tabindex", "aria-label", "data-place", "class"]) element.removeAttribute(name);
    });
    for (const name of ["class", "role", "aria-label"]) copy.removeAttribute(name);
    for (const [name, value] of Object.entries({ xmlns: SVG, width, height })) copy.setAttribute(name, value);
    copy.prepend(make("rect", { width, height, fill: this.colours.page }));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
    link.download = `${this.file.replace(/[^\p{L}\p{N}._-]+/gu, "-")}.svg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}

const charts = new WeakMap();

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".chart");
  if (!root || !data) return undefined;
  if (!charts.has(root)) charts.set(root, new Gantt(root));
  const chart = charts.get(root);
  chart.update(data);
  return () => {
    chart.end();
    charts.delete(root);
  };
}
