// Runs before Streamlit's scripts.
(() => {
  const VIEWS = ["network", "profile", "sweep", "load", "studies", "live", "learn", "plan"];
  const NARROW_PX = 1000; // below, controls and plan do not fit side by side
  const LOOK_MS = 100;
  const VIEWS_TRIES = 50;
  const ANSWER_MS = 400; // how often is asked for an answer that is looked up in the background

  // Streamlit looks for its server below the address of every view first, and the browser would complain.
  const parts = location.pathname.split("/");
  if (VIEWS.includes(parts[parts.length - 1]) && !window.__streamlit) {
    const base = location.origin + parts.slice(0, -1).join("/");
    window.__streamlit = { BACKEND_BASE_URL: base + "/", HOST_CONFIG_BASE_URL: base + "/" };
  }

  // A link that was clicked a moment after a choice may not know it yet: its view opens at an address without it, which
  // the server puts right. Who goes back goes beyond both.
  const push = history.pushState.bind(history);
  let opened = "";
  history.pushState = (state, title, url) => {
    const path = new URL(url ?? "", location.href).pathname;
    const again = path === location.pathname;
    if (again && path === opened) history.replaceState(state, title, url);
    else push(state, title, url);
    if (!again) opened = path;
  };
  const done = () => {
    opened = "";
  };
  for (const kind of ["pointerdown", "keydown", "popstate"]) addEventListener(kind, done, true);

  // On a narrow screen the controls are closed at first; what the visitor then chose is kept by Streamlit.
  let [open, width] = [innerWidth >= NARROW_PX, 300];
  try {
    const [key, ours] = ["stSidebarCollapsed-", "decc-closed"];
    if (open && localStorage.getItem(ours)) {
      localStorage.removeItem(key);
      localStorage.removeItem(ours);
    } else if (!open && localStorage.getItem(key) === null) {
      localStorage.setItem(key, "true");
      localStorage.setItem(ours, "true");
    }
    const kept = localStorage.getItem(key);
    if (kept !== null) open = kept !== "true";
    width = Number.parseInt(localStorage.getItem("sidebarWidth"), 10) || width;
  } catch (_) {
    // Without storage Streamlit decides.
  }
  // Where they will be open, their place is kept from the beginning.
  if (open && innerWidth >= 768) document.documentElement.style.setProperty("--decc-controls", `${width}px`);

  // The views come first for the keyboard as well, before all controls. Their links may yet be on their way.
  const toViews = (skip, triesLeft) => {
    if (document.activeElement !== skip) return;
    const link = document.querySelector(".st-key-views a");
    if (link) link.focus();
    if (triesLeft) setTimeout(toViews, LOOK_MS, skip, triesLeft - 1);
  };
  addEventListener("click", (event) => {
    const skip = event.target.closest && event.target.closest(".decc-skip");
    if (skip) toViews(skip, VIEWS_TRIES);
  });

  // A table keeps the Tab key for its cells, of which there may be hundreds; arrow keys move between them, too.
  addEventListener(
    "keydown",
    (event) => {
      const table = event.key === "Tab" && event.target.closest && event.target.closest("[data-testid=stDataFrame]");
      if (!table) return;
      event.stopImmediatePropagation();
      const canvas = table.querySelector("canvas[tabindex]");
      if (!canvas || !canvas.contains(event.target)) return;
      // Out of the way while the browser looks for the next stop.
      canvas.setAttribute("tabindex", "-1");
      setTimeout(() => canvas.setAttribute("tabindex", "0"));
    },
    true,
  );

  // A button that names a strategy says what that does.
  const explain = (event) => {
    const button = event.target.closest && event.target.closest(".st-key-shown button");
    if (!button) return;
    const name = button.textContent.replace(/^.*: /, "").trim();
    const terms = [...document.querySelectorAll(".decc-strategies dt")];
    const found = terms.find((term) => term.textContent === name);
    if (found) button.title = found.nextElementSibling.textContent;
  };
  addEventListener("pointerover", explain);
  addEventListener("focusin", explain);

  // What the server looks up in the background is asked for here, as a run of the page would hold up everything else.
  const fill = async (place) => {
    const asked = place.dataset.answer;
    while (place.isConnected && place.dataset.answer === asked) {
      try {
        const answer = await fetch(`./_decc/answer/${asked}`);
        if (!answer.ok) return;
        const found = await answer.json();
        if (place.dataset.answer !== asked) return;
        if (found.over) {
          place.textContent = found.says || "\u00a0";
          return;
        }
      } catch (_) {
        return; // the server has gone; Streamlit says so
      }
      await new Promise((next) => setTimeout(next, ANSWER_MS));
    }
  };

  // Charts say what they are: the page gives each figure a label.
  let waiting = 0;
  const label = () => {
    waiting = 0;
    for (const place of document.querySelectorAll("[data-answer]:not([data-asked])")) {
      place.dataset.asked = "";
      fill(place);
    }
    for (const chart of document.querySelectorAll(".js-plotly-plot:not([aria-label])")) {
      const said = chart.layout && chart.layout.meta && chart.layout.meta.label;
      if (!said) continue;
      chart.setAttribute("role", "group");
      chart.setAttribute("aria-label", said);
    }
  };
  new MutationObserver(() => {
    if (!waiting) waiting = setTimeout(label, 300);
  }).observe(document, { childList: true, subtree: true });
})();
