// Pages are complete without this: it follows the files, fits pictures to their letters, and listens to keys.
"use strict";

const heights = new Map(); // of the pictures, by part, so that nothing jumps while one is drawn anew
let shown = null; // the page as the server last sent it
let following = null;

function fit(frame) {
  const letter = frame.contentDocument?.documentElement;
  if (!letter || !letter.childElementCount) return;
  const height = letter.scrollHeight > letter.clientHeight ? letter.scrollHeight : letter.offsetHeight;
  frame.style.height = `${height}px`;
  heights.set(frame.dataset.part, height);
}

function fitAll() {
  for (const frame of document.querySelectorAll("iframe[data-part]")) {
    if (heights.has(frame.dataset.part)) frame.style.height = `${heights.get(frame.dataset.part)}px`;
    frame.addEventListener("load", () => fit(frame));
    if (frame.contentDocument?.readyState === "complete") fit(frame);
  }
}

function parts(page) {
  return new Map([...page.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
}

// Puts in what has changed and leaves all else as it is: the scroll position, the picture, what somebody types.
function swap(page) {
  const before = parts(shown), after = parts(page), here = parts(document);
  document.documentElement.dataset.version = page.documentElement.dataset.version;
  if ([...before.keys()].join("\n") === [...after.keys()].join("\n")) {
    for (const [name, part] of after) {
      if (part.outerHTML === before.get(name).outerHTML) continue;
      if (part.localName === "iframe") here.get(name).contentWindow.location.replace(part.src);
      else here.get(name).replaceWith(document.importNode(part, true));
    }
  } else {
    const stage = document.querySelector("[data-stage]");
    const tall = stage?.offsetHeight;
    for (const part of [".top", "main"]) {
      document.querySelector(part).replaceWith(document.importNode(page.querySelector(part), true));
    }
    const fresh = document.querySelector("[data-stage]");
    if (tall && fresh) fresh.style.minHeight = `${tall}px`;
    fitAll();
  }
  document.title = page.title;
  shown = page;
  filter();
}

async function follow(version) {
  if (version === document.documentElement.dataset.version) return;
  const response = await fetch(location.href);
  swap(new DOMParser().parseFromString(await response.text(), "text/html"));
}

// One connection per page that is in view: browsers open six to a host, and hidden tabs would use them up.
function connect() {
  if (document.hidden) {
    following?.close();
    following = null;
    return;
  }
  if (following) return;
  following = new EventSource("/changes");
  const live = (words) => { document.querySelector(".live").textContent = words; };
  let turn = Promise.resolve();
  following.onmessage = (event) => {
    live("");
    turn = turn.then(() => follow(event.data)).catch(() => {});
  };
  following.onerror = () => live("The gallery has stopped; this page is as it was last.");
}

// Addresses stay short: what is empty is the default.
document.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
});

function filter() {
  const field = document.querySelector("[data-filter]");
  if (!field) return;
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const group of document.querySelectorAll(".group")) {
    let some = 0;
    for (const card of group.querySelectorAll("[data-words]")) {
      card.hidden = !words.every((word) => card.dataset.words.includes(word));
      some += !card.hidden;
    }
    group.hidden = !some;
    left += some;
  }
  document.querySelector("[data-nothing]").hidden = left > 0 || !words.length;
}

function step(forward) {
  const link = document.querySelector(forward ? "a[rel=next]" : "a[rel=prev]");
  if (link) return link.click();
  const cards = [...document.querySelectorAll(".card:not([hidden]) a.whole")];
  const at = cards.indexOf(document.activeElement);
  cards[at < 0 ? 0 : Math.min(cards.length - 1, Math.max(0, at + (forward ? 1 : -1)))]?.focus();
}

const keys = {
  ArrowRight: () => step(true),
  ArrowLeft: () => step(false),
  "/": () => document.querySelector("input[type=search]")?.select(),
  d: () => document.querySelector("[data-switch=scheme]:not([aria-current])")?.click(),
  Escape: () => document.querySelector("[data-key=Escape]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});

shown = document.cloneNode(true);
document.addEventListener("input", (event) => { if (event.target.matches("[data-filter]")) filter(); });
document.addEventListener("change", (event) => { if (event.target.matches("[data-submits]")) event.target.form.requestSubmit(); });
document.addEventListener("submit", (event) => {
  if (!event.target.querySelector("[data-filter]")) return;
  event.preventDefault(); // the first that is found
  document.querySelector(".card:not([hidden]) a.whole")?.click();
});
document.addEventListener("visibilitychange", connect);
fitAll();
filter();
connect();
