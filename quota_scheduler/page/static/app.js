// The page: what it knows, when it asks anew, and what keys do.

import { ask, token } from "./ask.js";
import { given } from "./early.js";
import { askToken, close, deed, help, looking, openLimit, openTicket } from "./deeds.js";
import { byId, h, put } from "./dom.js";
import { answers, banner, status } from "./head.js";
import { limits } from "./limits.js";
import { listen } from "./live.js";
import { more } from "./more.js";
import { whatIf } from "./whatif.js";
import { PAGE, alerts, queue, running } from "./work.js";
import { clock, span } from "./words.js";

const MORE_SECONDS = 60;
const GAP_SECONDS = 1;
const AGAIN_SECONDS = 5;

const view = {
  state: null, queue: null, more: null, problem: "", problemAt: 0, mode: "polling", asksToken: false,
  from: 0, find: "", apart: 0, isFirst: false,
  /** What o'clock it is for the service. */
  now: () => Date.now() + view.apart,
  open: (kind, name) => (kind === "limit" ? openLimit(view, name) : openTicket(view, name)),
  whatIf: (rule) => whatIf(view, rule),
  deed: (name, row, more_) => deed(view, name, row, more_),
  page: (from) => { view.from = from; askQueue().then(draw, () => refresh(true)); },
  refresh: () => refresh(true),
  failed: (failure) => { if (failure.status === 401 || failure.status === 403 && !view.state) needToken(failure); },
};

let asking = null, again = false, fresh = "", lastAsked = 0, lastMore = 0, later = 0;

async function askQueue() {
  const find = view.find ? `&find=${encodeURIComponent(view.find)}` : "";
  const wanted = `from=${view.from}&most=${PAGE}${find}`;
  const answer = await ask("GET", `v1/page/queue?${wanted}`);
  if (wanted === `from=${view.from}&most=${PAGE}${find}`) {
    view.queue = answer;
    view.from = answer.from;
  }
}

function take(state) {
  view.state = state;
  view.apart = Date.parse(state.now) - Date.now();
  view.problem = "";
}

async function round() {
  try {
    const [state] = await Promise.all([ask("GET", `v1/page${fresh}`), askQueue()]);
    take(state);
    fresh = "";
  } catch (failure) {
    if (failure.status === 401 || failure.status === 403) return needToken(failure);
    if (!view.problem) view.problemAt = Date.now();
    view.problem = failure.status ? `The service answers with an error (${failure.message})` : capital(failure.message);
  }
  draw();
  clearTimeout(later);
  // A service that comes back unchanged has no news to send: what failed is asked again by itself.
  if (view.problem) later = setTimeout(refresh, AGAIN_SECONDS * 1000);
  return view.problem ? undefined : askMore();
}

async function askMore() {
  if (Date.now() - lastMore <= MORE_SECONDS * 1000) return;
  lastMore = Date.now();
  try {
    view.more = await ask("GET", "v1/page/more", null, { seconds: 60 });
    draw();
  } catch {
    lastMore = 0;
  }
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** Ask for everything once; who wants it meanwhile gets it right after. `soon` does not wait for the gap between two. */
function refresh(soon = false) {
  if (view.asksToken || document.hidden && view.state) return;
  if (soon && view.state) fresh = "?fresh=yes";
  if (asking) { again = true; return; }
  const wait = soon ? 0 : Math.max(0, lastAsked + GAP_SECONDS * 1000 - Date.now());
  if (soon) lastMore = 0;
  asking = new Promise((done) => setTimeout(done, wait)).then(() => {
    lastAsked = Date.now();
    return round();
  }).finally(() => {
    asking = null;
    if (again) { again = false; refresh(); }
  });
}

function needToken(failure) {
  if (view.asksToken) return;
  view.asksToken = true;
  const why = failure.status === 403 ? `${capital(failure.message)}: use another token.`
    : token.get() && failure.message.includes("has expired") ? `${capital(failure.message)}.`
      : token.get() ? "The token is not known any more: it was withdrawn or has expired. Enter another one."
        : "This service asks for a token. Any role may look; operators may change things.";
  token.forget();
  close();
  askToken(why, (text) => { token.set(text); view.asksToken = false; refresh(true); });
}

/** Draw what came with the page: what a screen has room for before the first frame, the rest of it right after. */
function drawFirst({ now, state, queue: line }) {
  take({ ...state, now });
  view.queue = line;
  view.isFirst = true;
  draw([status, banner, answers, limits, queue, tools]);
  view.isFirst = false;
  requestAnimationFrame(() => setTimeout(() => { draw(); askMore(); }));
}

function draw(parts = [status, banner, answers, limits, queue, alerts, running, more, tools, looking]) {
  for (const part of parts) {
    try {
      part(view);
    } catch (error) {
      console.error(part.name, error);
      put(byId("said"), h("p", { class: "bad" }, `A part of the page (${part.name}) could not be drawn; the rest is as it is.`));
    }
  }
  tick();
}

function tools() {
  const { state } = view, holder = byId("tools");
  if (!state) return;
  const sign = JSON.stringify([state.you, Boolean(state.hold), Boolean(token.get())]);
  if (holder.dataset.sign === sign) return;
  holder.dataset.sign = sign;
  put(holder, h("span", { class: "note" }, state.you.name === "local" ? "this machine" : `${state.you.name} (${state.you.role})`),
    state.you.operator && h("button", { id: "hold-all", class: state.hold ? "danger" : "", onclick: () => deed(view, "hold_all") }, state.hold ? "Let everything go on" : "Hold everything"),
    h("button", { id: "what-if", onclick: () => whatIf(view) }, "What if…"),
    token.get() && h("button", { onclick: () => { token.forget(); location.reload(); } }, "Forget the token"),
    h("button", { onclick: help, "aria-label": "Keys" }, "?"));
  put(byId("footer"), `Quota Scheduler ${state.version} · `, h("a", { href: "docs" }, "API"), " · ", h("a", { href: "metrics" }, "metrics"));
}

// Clocks go on between two answers.

const HOW = {
  in: (ms) => (ms > 0 ? `in ${span(ms / 1000)}` : "now"),
  ago: (ms) => (ms < 0 ? span(-ms / 1000) : "0 s"),
  for: (ms) => (ms < 0 ? span(-ms / 1000) : "0 s"),
  unless: (ms) => (ms > 0 ? `in ${span(ms / 1000)} unless renewed` : "now: it was not renewed"),
  local: (ms) => span(-ms / 1000),
};

function tick() {
  const now = view.now();
  for (const node of document.querySelectorAll("time[data-how]")) {
    const at = Date.parse(node.dateTime), how = node.dataset.how;
    const text = HOW[how](at - (how === "local" ? Date.now() : now));
    if (node.textContent !== text) node.textContent = text;
    if (!node.title && view.state && how !== "local") node.title = `${clock(node.dateTime, view.state.zone, now)} ${view.state.zone}`;
  }
}

document.addEventListener("shown", tick);
setInterval(() => { status(view); tick(); }, 1000);

// Keys

const SECTIONS = { 1: "limits", 2: "queue", 3: "alerts", 4: "running", 5: "costs" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("dialog").open || event.target.closest("input, select, textarea")) return;
  const act = {
    "/": () => byId("limits-find").focus(), w: () => byId("queue-find").focus(), "?": help, i: () => view.state && whatIf(view),
    H: () => view.state && view.state.you.operator && deed(view, "hold_all"),
  }[event.key] || (SECTIONS[event.key] && (() => { const section = byId(SECTIONS[event.key]); if (section) { section.focus(); section.scrollIntoView({ block: "start" }); } }));
  if (act) { event.preventDefault(); act(); }
});

byId("limits-find").addEventListener("input", () => limits(view));
let typing;
byId("queue-find").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => { view.find = event.target.value.trim(); view.from = 0; askQueue().then(draw, () => refresh(true)); }, 250);
});
byId("dialog").addEventListener("cancel", (event) => { if (view.asksToken) event.preventDefault(); else close(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(true); });
addEventListener("online", () => refresh(true));

if (given) drawFirst(given);
else refresh(true);
listen({
  news: (revision) => { if (!revision || !view.state || view.problem || revision !== view.state.revision) refresh(); },
  how: (mode) => { view.mode = mode; status(view); tick(); },
  mayAsk: () => !view.asksToken && Boolean(view.state) && !document.hidden,
});
