// A layered graph in SVG: pans, zooms, selects, opens groups, and keeps its view through every rerun of the page.
// Names come from models, so text enters the page as text content only.

const SVG = "http://www.w3.org/2000/svg";
const MIN_SCALE = 0.01;
const MAX_SCALE = 4;
const TITLE_PX = 6; // smallest readable height of a title on the screen, in pixels
const CAPTION_PX = 7.5;
const DRAG_PX = 4;
const STEP_PX = 60;
const LABEL_PX = 6.2; // width of a letter of a label
const LABELS_PX = 24; // height of the row of labels
const NAME_PX = 14; // height of a name beside or above a mark
const NAME_GAP_PX = 16; // between such a name's end and its mark, its stroke included
const POINT = "decc:point"; // the event by which all pictures of a page mark the same layers

// Views by name: they outlive the component, which is taken down when another view of the page is opened.
const views = new Map();

function stored(name) {
  if (views.has(name)) return views.get(name);
  try {
    const found = JSON.parse(sessionStorage.getItem("graph-view:" + name));
    if (found && [found.k, found.x, found.y].every(Number.isFinite)) return found;
  } catch (_) {
    // Without storage a view lasts as long as the page.
  }
  return null;
}

function store(name, view) {
  views.set(name, view);
  try {
    sessionStorage.setItem("graph-view:" + name, JSON.stringify(view));
  } catch (_) {
    // See above.
  }
}

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

// Level at both ends of every piece, so that lines leave and enter marks straight.
function smooth(points) {
  let d = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1];
    const [x, y] = points[i];
    if (Math.abs(y - y0) < 0.5) d += `L${x} ${y}`;
    else {
      const middle = (x0 + x) / 2;
      d += `C${middle} ${y0} ${middle} ${y} ${x} ${y}`;
    }
  }
  return d;
}

function rounded(points, radius) {
  let d = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [x0, y0] = points[i - 1];
    const [x, y] = points[i];
    const [x2, y2] = points[i + 1];
    const before = Math.hypot(x - x0, y - y0) || 1;
    const after = Math.hypot(x2 - x, y2 - y) || 1;
    const r = Math.min(radius, before / 2, after / 2);
    d += `L${x - ((x - x0) / before) * r} ${y - ((y - y0) / before) * r}`;
    d += `Q${x} ${y} ${x + ((x2 - x) / after) * r} ${y + ((y2 - y) / after) * r}`;
  }
  const [x, y] = points[points.length - 1];
  return d + `L${x} ${y}`;
}

// In the middle of a line: on its middle point, or half way between the two around it.
function middleOf(points) {
  const at = Math.floor(points.length / 2);
  if (points.length % 2) return points[at];
  return [(points[at - 1][0] + points[at][0]) / 2, (points[at - 1][1] + points[at][1]) / 2];
}

const way = (line) => (line.kind === "wrap" ? rounded(line.points, 12) : smooth(line.points));

class Viewer {
  constructor(root) {
    this.root = root;
    this.marks = new Map();
    this.frames = new Map();
    this.strong = [];
    this.pointed = new Set();
    this.view = { k: 1, x: 0, y: 0, fitted: true };
    this.bounds = { x: 0, y: 0, w: 1, h: 1 };
    this.build();
    this.listen();
  }

  build() {
    const stage = this.root.querySelector(".stage");
    this.stage = stage;
    this.svg = make("svg", {
      class: "canvas",
      tabindex: "0",
      role: "application",
      "aria-label":
        "Graph of the network. Arrow keys pan, plus and minus zoom, 0 shows everything, Tab goes to the marks; " +
        "there arrow keys move between neighbours, Enter selects and Space opens a group.",
    });
    stage.prepend(this.svg);
    this.defs = make("defs", {}, this.svg);
    this.world = make("g", { class: "world" }, this.svg);
    this.layers = {};
    for (const name of ["frames", "lines", "marks", "labels"]) this.layers[name] = make("g", { class: name }, this.world);
    this.tip = this.root.querySelector(".tip");
    this.legend = this.root.querySelector(".legend");
    const tools = this.root.querySelector(".tools");
    const button = (text, label, act) => {
      const made = html("button", "", tools, text);
      made.type = "button";
      made.title = label;
      made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
    };
    button("+", "Zoom in", () => this.zoomBy(1.4));
    button("−", "Zoom out", () => this.zoomBy(1 / 1.4));
    button("Fit", "Show everything", () => this.fit());
    button("SVG", "Save the drawing as SVG", () => this.saveSvg());
    button("PNG", "Save the drawing as PNG", () => this.savePng());
  }

  listen() {
    const svg = this.svg;
    svg.addEventListener(
      "wheel",
      (event) => {
        // In the middle of a page the wheel belongs to the page.
        if (this.embedded && !event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const box = svg.getBoundingClientRect();
        const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
        const factor = Math.exp(-Math.max(-240, Math.min(240, event.deltaY * unit)) * 0.0018);
        this.zoomBy(factor, event.clientX - box.left, event.clientY - box.top);
      },
      { passive: false },
    );
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.press = { x: event.clientX, y: event.clientY, from: { ...this.view }, target: event.target, moved: false };
    });
    svg.addEventListener("pointermove", (event) => {
      const press = this.press;
      if (!press) return this.hover(event);
      const dx = event.clientX - press.x;
      const dy = event.clientY - press.y;
      if (!press.moved && Math.hypot(dx, dy) < DRAG_PX) return;
      if (!press.moved) {
        press.moved = true;
        svg.setPointerCapture(event.pointerId);
        svg.classList.add("dragging");
        this.look(null);
      }
      this.show({ k: press.from.k, x: press.from.x + dx, y: press.from.y + dy });
    });
    const release = (event) => {
      const press = this.press;
      this.press = null;
      svg.classList.remove("dragging");
      if (press && !press.moved && event.type === "pointerup") this.click(press.target);
    };
    svg.addEventListener("pointerup", release);
    svg.addEventListener("pointercancel", release);
    svg.addEventListener("pointerleave", () => this.look(null));
    svg.addEventListener("focusin", (event) => {
      const mark = this.marks.get(this.owner(event.target));
      this.point(mark ? mark.data.layers : []);
    });
    svg.addEventListener("focusout", () => this.point([]));
    this.hears = (event) => this.heard(event.detail);
    window.addEventListener(POINT, this.hears);
    svg.addEventListener("dblclick", (event) => {
      const found = this.owner(event.target);
      if (found && !event.target.closest(".handle")) this.toggle(found);
    });
    svg.addEventListener("keydown", (event) => this.key(event));
    this.resized = new ResizeObserver(() => {
      if (this.name === undefined || !this.width()) return;
      if (this.view.fitted) this.fit();
    });
    this.resized.observe(this.stage);
  }

  width() {
    return this.stage.clientWidth;
  }

  height() {
    return this.stage.clientHeight;
  }

  owner(target) {
    const found = target.closest && target.closest("[data-id]");
    return found ? found.dataset.id : null;
  }

  click(target) {
    const found = this.owner(target);
    if (found && target.closest(".handle")) return this.toggle(found);
    this.select(found);
  }

  select(id) {
    if ((id || null) === (this.selected || null)) return;
    this.selected = id;
    this.markSelection();
    this.point([]);
    if (this.picks) this.send("picked", { id: id || null });
  }

  toggle(id) {
    const mark = this.marks.get(id);
    if (this.frames.has(id) || (mark && mark.data.group)) this.send("toggled", { id });
  }

  // -- view --

  show(view, fitted) {
    const k = Math.max(MIN_SCALE, Math.min(MAX_SCALE, view.k));
    this.view = { k, x: view.x, y: view.y, fitted: Boolean(fitted) };
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.apply();
    });
  }

  apply() {
    const { k, x, y } = this.view;
    this.world.setAttribute("transform", `translate(${x} ${y}) scale(${k})`);
    this.svg.classList.toggle("tiny", 14 * k < TITLE_PX);
    this.svg.classList.toggle("small", 11.5 * k < CAPTION_PX);
    this.placeLabels(k);
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.keep(), 150);
  }

  // Labels keep their size; those that would run into one before them are left out.
  placeLabels(k) {
    if (this.labelled === k) return;
    this.labelled = k;
    let free = -Infinity;
    const taken = [];
    for (const element of this.layers.labels.children) {
      const [x, y, text, side] = element.label;
      const wide = text.length * LABEL_PX;
      let fits;
      if (side === "below") {
        const half = wide / 2 + LABEL_PX;
        fits = x * k - half >= free;
        if (fits) free = x * k + half;
      } else {
        const right = side === "beside" ? x * k : x * k + wide / 2;
        const box = { left: right - wide - NAME_GAP_PX, right, top: y * k - (side === "above" ? NAME_PX : 0) };
        const meets = (b) => box.left < b.right && b.left < box.right && Math.abs(box.top - b.top) < NAME_PX;
        fits = !taken.some(meets);
        if (fits) taken.push(box);
      }
      element.setAttribute("display", fits ? "inline" : "none");
      if (fits) element.setAttribute("transform", `translate(${x} ${y}) scale(${1 / k})`);
    }
  }

  keep() {
    if (this.name !== undefined) store(this.name, this.view);
  }

  zoomBy(factor, x, y) {
    const px = x === undefined ? this.width() / 2 : x;
    const py = y === undefined ? this.height() / 2 : y;
    const k = Math.max(MIN_SCALE, Math.min(MAX_SCALE, this.view.k * factor));
    const ratio = k / this.view.k;
    this.show({ k, x: px - (px - this.view.x) * ratio, y: py - (py - this.view.y) * ratio });
  }

  fit() {
    const { x, y, w, h } = this.bounds;
    const labels = this.rowed > 0;
    const side = labels ? 34 : 22;
    const start = Math.max(side, Math.min(this.lead, 0.35 * this.width())); // names left of the first marks
    const top = (this.embedded ? 14 : 44) + this.over; // the buttons, and names above the topmost marks
    const bottom = (this.embedded ? 8 : 22) + (labels ? LABELS_PX : 0);
    const k = Math.min(
      (this.width() - start - side) / Math.max(w, 1),
      (this.height() - bottom - top) / Math.max(h, 1),
      1.25,
    );
    const scale = Math.max(k, MIN_SCALE);
    this.show(
      {
        k: scale,
        x: (this.width() + start - side - w * scale) / 2 - x * scale,
        y: (this.height() + top - bottom - h * scale) / 2 - y * scale,
      },
      true,
    );
  }

  // One part in the middle, large enough to be read; several as large as all of them can be seen.
  centre(ids) {
    const boxes = ids.map((id) => this.area(id)).filter(Boolean);
    if (!boxes.length) return;
    const [left, top] = [0, 1].map((i) => Math.min(...boxes.map((box) => box[i])));
    const [right, bottom] = [2, 3].map((i) => Math.max(...boxes.map((box) => box[i])));
    const room = [(this.width() - 100) / (right - left), (this.height() - 120) / (bottom - top)];
    const k = boxes.length === 1 ? Math.max(this.view.k, 0.9) : Math.min(...room, 1.25);
    this.show({ k, x: this.width() / 2 - ((left + right) / 2) * k, y: this.height() / 2 - ((top + bottom) / 2) * k });
  }

  area(id) {
    const mark = (this.marks.get(id) || {}).data;
    if (mark) return [mark.x - mark.w / 2, mark.y - mark.h / 2, mark.x + mark.w / 2, mark.y + mark.h / 2];
    const frame = (this.frames.get(id) || {}).data;
    return frame && [frame.x, frame.y, frame.x + frame.w, frame.y + frame.h];
  }

  middle(id) {
    const mark = this.marks.get(id);
    if (mark) return [mark.data.x, mark.data.y];
    const frame = this.frames.get(id);
    return frame && [frame.data.x + frame.data.w / 2, frame.data.y + frame.data.h / 2];
  }

  // The place on the picture that stays where it is when a group opens or closes: its top left corner.
  corner(id) {
    const mark = this.marks.get(id);
    if (mark) return [mark.data.x - mark.data.w / 2, mark.data.y - mark.data.h / 2];
    const frame = this.frames.get(id);
    return frame && [frame.data.x, frame.data.y];
  }

  // -- keyboard --

  key(event) {
    const mark = event.target.closest && event.target.closest(".mark");
    const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) {
      const [dx, dy] = steps[event.key];
      if (mark) this.walk(mark.dataset.id, -dx, -dy);
      else this.show({ k: this.view.k, x: this.view.x + dx * STEP_PX, y: this.view.y + dy * STEP_PX });
    } else if (event.key === "+" || event.key === "=") this.zoomBy(1.25);
    else if (event.key === "-") this.zoomBy(1 / 1.25);
    else if (event.key === "0") this.fit();
    else if (event.key === "Enter" && mark) this.select(mark.dataset.id);
    else if (event.key === " " && mark) this.toggle(mark.dataset.id);
    else if (event.key === "Escape") this.select(null);
    else return;
    event.preventDefault();
  }

  // Along the lines to the left and right, to the nearest mark above or below.
  walk(id, dx, dy) {
    const here = this.marks.get(id).data;
    let found;
    if (dx) {
      const next = this.lines.filter((line) => (dx > 0 ? line.source : line.target) === id);
      const ends = next.map((line) => this.marks.get(dx > 0 ? line.target : line.source).data);
      found = ends.sort((a, b) => Math.abs(a.y - here.y) - Math.abs(b.y - here.y))[0];
    } else {
      const distance = (other) => Math.abs(other.x - here.x) * 2 + Math.abs(other.y - here.y);
      const others = [...this.marks.values()].map((mark) => mark.data).filter((one) => (one.y - here.y) * dy > 1);
      found = others.sort((a, b) => distance(a) - distance(b))[0];
    }
    if (found) this.focus(found.id);
  }

  focus(id) {
    this.rove(id);
    this.marks.get(id).element.focus({ preventScroll: true });
    const [x, y] = this.middle(id);
    const px = x * this.view.k + this.view.x;
    const py = y * this.view.k + this.view.y;
    if (px < 60 || py < 60 || px > this.width() - 60 || py > this.height() - 40) {
      this.show({ k: this.view.k, x: this.view.x + this.width() / 2 - px, y: this.view.y + this.height() / 2 - py });
    }
  }

  // One mark only is a stop of the Tab key.
  rove(id) {
    const before = this.marks.get(this.roving);
    if (before) before.element.setAttribute("tabindex", "-1");
    this.roving = id;
    const now = this.marks.get(id);
    if (now) now.element.setAttribute("tabindex", "0");
  }

  // -- tooltip --

  hover(event) {
    const line = event.target.dataset && event.target.dataset.label;
    const mark = this.marks.get(this.owner(event.target));
    if (mark) this.look(mark.data.id, mark.data.lines, mark.data.layers);
    else if (line) this.look(line, ["crosses to the cloud", ...line.split("\n")], event.target.layers);
    else return this.look(null);
    const box = this.stage.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const left = x + 16 + this.tip.offsetWidth > this.width() ? x - 12 - this.tip.offsetWidth : x + 16;
    const top = Math.min(y + 14, this.height() - this.tip.offsetHeight - 4);
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }

  // What is under the pointer: its tooltip, and its layers for the page's other pictures.
  look(shown, texts, layers) {
    if (this.tipped === shown) return;
    this.tipped = shown;
    this.tip.replaceChildren();
    for (const text of texts || []) html("div", "", this.tip, text);
    this.tip.hidden = !this.tip.childElementCount;
    this.point(layers || []);
  }

  // -- pointing: the same layers are marked in graph, chart and tables --

  // Tell the others which layers are looked at; where none are, those of what is selected.
  point(layers) {
    const chosen = this.marks.get(this.selected);
    const told = layers.length || !chosen ? layers : chosen.data.layers;
    if (!told.length && !this.told) return;
    this.told = told.length > 0;
    this.pointed = new Set();
    this.markPointed();
    this.saying = { source: "graph", layers: told, requests: told.length ? this.requests : null };
    window.dispatchEvent(new CustomEvent(POINT, { detail: this.saying }));
  }

  heard(said) {
    if (said === this.saying || !said || !Array.isArray(said.layers)) return;
    this.pointed = new Set(said.layers);
    this.markPointed();
  }

  markPointed() {
    const held = (layers) => layers.some((layer) => this.pointed.has(layer));
    let some = false;
    for (const [, one] of this.marks) {
      const found = this.pointed.size > 0 && held(one.data.layers);
      one.element.classList.toggle("pointed", found);
      some = some || found;
    }
    for (const piece of this.strong) piece.classList.toggle("pointed", this.pointed.size > 0 && held(piece.layers));
    this.svg.classList.toggle("pointing", some);
  }

  // -- drawing --

  update(data, send) {
    this.send = send;
    const another = data.name !== this.name;
    if (another && this.name !== undefined) this.keep();
    this.embedded = data.embedded;
    this.picks = data.picks;
    this.requests = data.requests;
    this.root.classList.toggle("embedded", data.embedded);
    this.root.style.setProperty("--line", data.colours.line);
    this.root.style.setProperty("--select", data.colours.select);
    this.root.style.setProperty("--strong", data.scene.strong || data.colours.line);
    if (another) {
      this.pointed = new Set();
      this.told = false;
    }
    if (another || data.digest !== this.digest) this.draw(data, another);
    this.name = data.name;
    this.digest = data.digest;
    this.file = data.file;
    // Where nobody is told of it, what is selected is the viewer's own affair.
    this.selected = data.picks || another ? data.selected : this.selected;
    this.markSelection();
    this.markMatches(data.matches);
    this.markPointed();
    if (data.focus && data.focus.token > (focused.get(data.name) || 0)) {
      focused.set(data.name, data.focus.token);
      this.centre(data.focus.ids);
    }
  }

  draw(data, another) {
    const scene = data.scene;
    const anchor = !another && data.anchor ? this.corner(data.anchor) : null;
    this.drawAll("frames", this.frames, scene.frames, (one) => this.drawFrame(one));
    this.drawAll("marks", this.marks, scene.marks, (one) => this.drawMark(one));
    this.drawLines(scene.lines);
    this.drawLabels(scene.labels);
    this.drawLegend(scene.legend);
    this.measure(scene);
    this.rove(this.marks.has(this.roving) ? this.roving : (scene.marks[0] || {}).id);
    this.placeLabels(this.view.k);
    if (another) {
      const found = stored(data.name);
      if (found && !found.fitted) this.show(found);
      else this.fit();
      this.apply();
    } else if (this.view.fitted) this.fit();
    else if (anchor) {
      const now = this.corner(data.anchor);
      const { k, x, y } = this.view;
      if (now) this.show({ k, x: x + (anchor[0] - now[0]) * k, y: y + (anchor[1] - now[1]) * k });
    }
  }

  // What has not changed is left alone.
  drawAll(layer, known, wanted, drawOne) {
    const gone = new Set(known.keys());
    for (const one of wanted) {
      gone.delete(one.id);
      const before = known.get(one.id);
      const text = JSON.stringify(one);
      if (before && before.text === text) continue;
      const element = drawOne(one);
      if (before) before.element.replaceWith(element);
      else this.layers[layer].appendChild(element);
      known.set(one.id, { data: one, text, element });
    }
    for (const id of gone) {
      known.get(id).element.remove();
      known.delete(id);
    }
  }

  drawMark(one) {
    const element = make("g", {
      class: "mark",
      transform: `translate(${one.x} ${one.y})`,
      tabindex: "-1",
      role: "button",
      "aria-label": one.lines.length ? one.lines.join("; ") : one.title,
    });
    element.dataset.id = one.id;
    const box = { x: -one.w / 2, y: -one.h / 2, width: one.w, height: one.h };
    const rx = one.shape === "round" ? Math.min(one.h, one.w) / 2 : Math.min(5, one.h / 4);
    if (one.group && one.h >= 24) {
      make("rect", { ...box, x: box.x + 4, y: box.y + 4, rx, class: "behind" }, element);
    }
    if (one.accent) {
      const around = { x: box.x - 3, y: box.y - 3, width: one.w + 6, height: one.h + 6, rx: rx + 3 };
      make("rect", { ...around, class: "accent", stroke: one.accent }, element);
    }
    make("rect", { ...box, rx, class: "body", fill: this.fillOf(one) }, element);
    const inside = one.w >= 44 && one.h >= 18;
    const two = inside && one.caption && one.h >= 32;
    const text = (className, y, content) => {
      if (!content) return;
      const made = make("text", { class: className, x: 0, y, "text-anchor": "middle" }, element);
      if (inside) made.setAttribute("fill", one.ink);
      else made.classList.add("outside");
      made.textContent = content;
    };
    text(two ? "title above" : "title", inside ? (two ? -2 : 5) : one.h / 2 + 16, one.title);
    if (two) text("caption", 14, one.caption);
    if (one.group) this.drawHandle(element, one.w / 2, -one.h / 2, true);
    return element;
  }

  // Several colours lie side by side, with hard borders.
  fillOf(one) {
    const id = "mixed-" + one.id;
    const before = this.defs.querySelector(`[id="${CSS.escape(id)}"]`);
    if (before) before.remove();
    if (!one.mixed.length) return one.fill || "var(--st-secondary-background-color, #888)";
    const gradient = make("linearGradient", { id }, this.defs);
    let at = 0;
    for (const [colour, share] of one.mixed) {
      make("stop", { offset: at, "stop-color": colour }, gradient);
      at += share;
      make("stop", { offset: at, "stop-color": colour }, gradient);
    }
    return `url(#${id})`;
  }

  drawHandle(parent, x, y, opens) {
    const handle = make("g", { class: "handle", transform: `translate(${x} ${y})` }, parent);
    make("circle", { r: 8 }, handle);
    make("path", { d: opens ? "M-4 0H4M0 -4V4" : "M-4 0H4" }, handle);
    make("title", {}, handle).textContent = opens ? "Open this group" : "Close this group";
  }

  drawFrame(one) {
    const element = make("g", { class: "frame", transform: `translate(${one.x} ${one.y})` });
    element.dataset.id = one.id;
    make("rect", { class: "outline", width: one.w, height: one.h, rx: 8 }, element);
    make("rect", { class: "bar", width: one.w, height: 22 }, element);
    make("text", { class: "name", x: 24, y: 16 }, element).textContent = one.title;
    this.drawHandle(element, 12, 12, false);
    return element;
  }

  drawLines(lines) {
    this.lines = lines;
    const layer = this.layers.lines;
    const plain = new Map();
    const strong = [];
    for (const line of lines) {
      const look = `${line.kind} ${line.colour}`;
      if (line.strong) strong.push(line);
      else plain.set(look, (plain.get(look) || "") + way(line));
    }
    layer.replaceChildren();
    for (const [look, d] of plain) {
      const [kind, colour] = look.split(" ");
      const path = make("path", { class: colour ? kind + " own" : kind, d }, layer);
      if (colour) path.style.stroke = colour;
    }
    this.strong = [];
    for (const line of strong) {
      const [x, y] = middleOf(line.points);
      // The shape says the same as the colour.
      for (const piece of [
        make("path", { class: "strong", d: way(line) }, layer),
        make("path", { class: "crossing", d: `M${x} ${y - 6}l6 6l-6 6l-6 -6z` }, layer),
      ]) {
        piece.dataset.label = line.label;
        piece.layers = line.layers;
        this.strong.push(piece);
      }
    }
    this.near = make("g", {}, layer);
  }

  drawLabels(labels) {
    this.layers.labels.replaceChildren();
    this.rowed = 0;
    this.lead = 0;
    this.over = 0;
    for (const label of labels) {
      const [, , content, side, colour] = label;
      const made = make("g", { class: "label " + side }, this.layers.labels);
      made.label = label;
      const wide = content.length * LABEL_PX;
      const text = (x, y, anchor) => {
        make("text", { x, y, "text-anchor": anchor }, made).textContent = content;
      };
      if (side === "beside") {
        text(-12, 4, "end");
        make("rect", { x: -8, y: -7, width: 3, height: 14, fill: colour }, made);
        this.lead = Math.max(this.lead, wide + NAME_GAP_PX + 8);
      } else if (side === "above") {
        text(4, -6, "middle");
        make("rect", { x: -wide / 2 - 4, y: -16, width: 3, height: 13, fill: colour }, made);
        this.over = NAME_PX;
      } else {
        text(0, 16, "middle");
        this.rowed += 1;
      }
    }
    this.labelled = undefined;
  }

  markSelection() {
    for (const [, one] of this.marks) one.element.classList.toggle("selected", one.data.id === this.selected);
    for (const [, one] of this.frames) one.element.classList.toggle("selected", one.data.id === this.selected);
    this.near.replaceChildren();
    if (!this.marks.has(this.selected)) return;
    for (const line of this.lines) {
      if (line.source === this.selected || line.target === this.selected) {
        make("path", { class: line.strong ? "near-selected strong" : "near-selected", d: way(line) }, this.near);
      }
    }
  }

  markMatches(matches) {
    const wanted = new Set(matches || []);
    this.svg.classList.toggle("searching", wanted.size > 0);
    for (const [id, one] of this.marks) one.element.classList.toggle("match", wanted.has(id));
  }

  measure(scene) {
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    const take = (x0, y0, x1, y1) => {
      left = Math.min(left, x0);
      top = Math.min(top, y0);
      right = Math.max(right, x1);
      bottom = Math.max(bottom, y1);
    };
    for (const one of scene.marks) take(one.x - one.w / 2, one.y - one.h / 2, one.x + one.w / 2, one.y + one.h / 2);
    for (const one of scene.frames) take(one.x, one.y, one.x + one.w, one.y + one.h);
    for (const line of scene.lines) for (const [x, y] of line.points) take(x, y, x, y);
    for (const [x, y, , side] of scene.labels) if (side === "below") take(x, y, x, y);
    this.bounds = left > right ? { x: 0, y: 0, w: 1, h: 1 } : { x: left, y: top, w: right - left, h: bottom - top };
  }

  drawLegend(legend) {
    this.legend.replaceChildren();
    this.legend.hidden = !legend;
    if (!legend) return;
    this.ramp = legend.ramp;
    if (legend.title) html("span", "what", this.legend, legend.title);
    if (legend.ramp.length) {
      const ramp = html("span", "ramp", this.legend);
      html("div", "bar", ramp).style.background = `linear-gradient(90deg, ${legend.ramp.join(", ")})`;
      for (const [at, text] of legend.ticks) {
        const edge = at === 0 ? " first" : at === 1 ? " last" : "";
        html("span", "tick" + edge, ramp, text).style.left = `${100 * at}%`;
      }
    }
    for (const [colour, label, shape] of legend.swatches) {
      const entry = html("span", "entry", this.legend);
      html("span", "swatch " + shape, entry).style.background = colour;
      html("span", "", entry, label);
    }
  }

  // -- saving --

  // The drawing as it stands, with every colour and font written into it.
  picture() {
    const copy = this.svg.cloneNode(true);
    const kept = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "opacity",
      "font-family", "font-size", "font-weight", "display", "text-anchor"];
    const originals = this.svg.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((element, i) => {
      if (!["path", "rect", "text", "circle", "g"].includes(element.tagName)) return;
      const style = getComputedStyle(originals[i]);
      const own = originals[i].getAttribute("fill") || "";
      for (const name of kept) {
        if (name === "fill" && own.startsWith("url(")) continue;
        if (element.tagName === "g" && name !== "opacity" && name !== "display") continue;
        element.setAttribute(name, style.getPropertyValue(name));
      }
    });
    copy.querySelectorAll("[display=none], .handle").forEach((element) => element.remove());
    for (const name of ["class", "style", "tabindex", "role", "aria-label"]) copy.removeAttribute(name);
    const width = this.width();
    const height = this.height() + this.drawKey(copy, this.height());
    copy.setAttribute("xmlns", SVG);
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const page = make("rect", { width, height, fill: getComputedStyle(this.root).backgroundColor });
    copy.insertBefore(page, copy.querySelector(".world"));
    return new XMLSerializer().serializeToString(copy);
  }

  // The legend as it stands below the drawing, in a strip below the saved one; returns the strip's height.
  drawKey(picture, top) {
    const legend = this.legend;
    if (legend.hidden) return 0;
    const from = legend.getBoundingClientRect();
    const style = getComputedStyle(legend);
    const key = make("g", { transform: `translate(0 ${top})` }, picture);
    make("rect", { width: this.width(), height: from.height, fill: getComputedStyle(this.root).backgroundColor }, key);
    const place = (element) => {
      const box = element.getBoundingClientRect();
      return [box.left - from.left, box.top - from.top, box.width, box.height];
    };
    for (const element of legend.querySelectorAll(".swatch, .bar")) {
      const [x, y, width, height] = place(element);
      const rx = element.classList.contains("round") ? height / 2 : 2;
      let fill = getComputedStyle(element).backgroundColor;
      if (element.classList.contains("bar")) fill = this.rampOf(key, this.ramp);
      make("rect", { x, y, width, height, rx, fill }, key);
    }
    for (const element of legend.querySelectorAll("span:not(:has(*)):not(.swatch)")) {
      const [x, y, width, height] = place(element);
      const size = getComputedStyle(element).fontSize;
      const text = make("text", { x, y: y + height * 0.78, fill: style.color, "font-size": size }, key);
      text.setAttribute("font-family", style.fontFamily);
      // The page's font may be missing where the picture is looked at; another one takes no more room.
      text.setAttribute("textLength", width);
      text.setAttribute("lengthAdjust", "spacingAndGlyphs");
      text.textContent = element.textContent;
    }
    return from.height;
  }

  rampOf(parent, colours) {
    const gradient = make("linearGradient", { id: "ramp" }, parent);
    colours.forEach((colour, i) => {
      make("stop", { offset: i / (colours.length - 1), "stop-color": colour }, gradient);
    });
    return "url(#ramp)";
  }

  save(blob, ending) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${this.file || "graph"}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  saveSvg() {
    this.save(new Blob([this.picture()], { type: "image/svg+xml" }), "svg");
  }

  savePng() {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = image.width * 2;
      canvas.height = image.height * 2;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => blob && this.save(blob, "png"));
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(this.picture());
  }

  end() {
    clearTimeout(this.saving);
    this.keep();
    if (this.frame) cancelAnimationFrame(this.frame);
    this.selected = null;
    this.point([]);
    window.removeEventListener(POINT, this.hears);
    this.resized.disconnect();
    // The page may give its place to a new one.
    this.svg.remove();
    for (const part of [this.legend, this.root.querySelector(".tools")]) part.replaceChildren();
  }
}

const focused = new Map();
const viewers = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".viewer");
  if (!root || !data) return undefined;
  if (!viewers.has(root)) viewers.set(root, new Viewer(root));
  const viewer = viewers.get(root);
  // The page may say that a low screen has room for less, and a tall one for more.
  const most = `min(${data.height}px, var(--decc-graph-most, ${data.height}px))`;
  root.style.height = `max(${most}, var(--decc-graph-least, 0px))`;
  viewer.update(data, setTriggerValue);
  return () => {
    viewer.end();
    viewers.delete(root);
  };
}
