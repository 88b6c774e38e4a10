// Copies the page's address to the clipboard. Where the browser has no clipboard to offer, as on pages without TLS under
// another name than localhost, the link is shown, selected.

const TOLD_MS = 4000;

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (_) {
    return false;
  }
}

function copiedFrom(field) {
  field.hidden = false;
  field.focus();
  field.select();
  try {
    return document.execCommand("copy");
  } catch (_) {
    return false;
  }
}

export default function (component) {
  const { data, parentElement } = component;
  const button = parentElement.querySelector("button");
  const field = parentElement.querySelector("input");
  const told = parentElement.querySelector("span");
  if (!button || !data) return undefined;
  button.title = data.help;
  let timer;
  button.onclick = async () => {
    const link = window.location.href;
    field.value = link;
    field.hidden = true;
    const done = (await copied(link)) || copiedFrom(field);
    told.textContent = done ? "Copied" : "Press Ctrl+C to copy it";
    clearTimeout(timer);
    if (done) timer = setTimeout(() => (told.textContent = ""), TOLD_MS);
  };
  field.onkeydown = (event) => {
    if (event.key === "Escape") field.hidden = true;
  };
  return () => clearTimeout(timer);
}
