// Looking closer, and doing: every deed says what it will do, as the service answers that, before it is done.

import { ask } from "./ask.js";
import { largeFan } from "./charts.js";
import { byId, h, put, since } from "./dom.js";
import { few, mark } from "./head.js";
import { loanWords, resets, runsOut, stateOf, word } from "./limits.js";
import { UNKNOWN, amount, count, dated, grouped, percent, short, unitWord, whose } from "./words.js";
import { start } from "./work.js";

const GONE = "This limit is gone: it was removed from the configuration, or counts nothing any more.";
const CLASSES = ["interactive", "high", "normal", "low"];
let opener = null;

/** Show a dialog; the focus goes back to where it came from. */
export function show(title, ...content) {
  const dialog = byId("dialog");
  if (!dialog.open) opener = document.activeElement;
  put(dialog, h("div", { class: "title" }, h("h2", { id: "dialog-title" }, title), h("button", { class: "close", onclick: close, "aria-label": "Close" }, "✕")), h("div", { class: "content" }, ...content));
  if (!dialog.open) dialog.showModal();
  document.dispatchEvent(new Event("shown"));
  return dialog.querySelector(".content");
}

export function close() {
  const dialog = byId("dialog");
  if (dialog.open) dialog.close();
  if (opener && opener.isConnected) opener.focus();
  opener = null;
}

export function say(text) {
  put(byId("said"), h("p", null, text));
  clearTimeout(say.timer);
  say.timer = setTimeout(() => put(byId("said")), 8000);
}

function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter((pair) => pair && pair[1]).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

// what will happen, then whether it shall

/**
 * Ask before a deed. `foresee` is what the service is asked to try out, null where nothing follows from it;
 * `lines` says the rest from its answer, `body` is what is sent, or what makes it when the person has chosen.
 */
async function confirm(view, { title, foresee, lines, verb, method, path, body, done, danger }) {
  const content = show(title, h("p", { class: "note" }, foresee ? "asking what this would do…" : ""));
  let outcome = null;
  if (foresee) {
    try {
      outcome = await ask("POST", "v1/consequences", foresee);
    } catch (failure) {
      view.failed(failure);
      return put(content, h("p", { class: "bad" }, `What it would do is not known: ${failure.message}`), h("div", { class: "deeds" }, h("button", { onclick: close }, "Back")));
    }
  }
  const button = h("button", { class: danger ? "primary danger" : "primary", "data-deed": "confirm" }, verb);
  button.addEventListener("click", () => carryOut(view, button, { method, path, body, done }));
  put(content, lines(outcome).filter(Boolean).map((line) => h("p", null, line)), named(outcome), h("div", { class: "deeds" }, button, h("button", { onclick: close }, "Leave it")));
  document.dispatchEvent(new Event("shown"));
  button.focus();
  return undefined;
}

function named(outcome) {
  if (!outcome || !outcome.named.length) return null;
  const more = outcome.starts - outcome.named.length;
  return h("ul", { class: "named" }, outcome.named.map((row) => h("li", null, `${row.id} ${whose(row)}, ${row.class}, ${short(row.tokens)} tokens`)), more > 0 && h("li", null, `and ${grouped(more)} more`));
}

async function carryOut(view, button, { method, path, body, done }) {
  button.disabled = true;
  try {
    await ask(method, path, typeof body === "function" ? body() : body);
    close();
    say(done);
  } catch (failure) {
    view.failed(failure);
    button.disabled = false;
    const content = byId("dialog").querySelector(".content");
    content.querySelector(".bad")?.remove();
    content.prepend(h("p", { class: "bad", role: "alert" }, `That was not done: ${failure.message}`));
  }
  view.refresh();
}

const DEEDS = {
  hold_all: (view) => {
    const state = view.state, waiting = view.queue ? view.queue.waiting : UNKNOWN;
    if (state.hold) {
      return {
        title: "Let everything go on?", foresee: { deed: "hold_all", on: false }, verb: "Let everything go on", method: "POST", path: "v1/hold", body: { on: false }, done: "Everything goes on.",
        lines: (what) => [`Held${state.hold.who ? ` by ${state.hold.who}` : ""}: ${state.hold.reason}.`, what.sentence],
      };
    }
    const reason = h("input", { id: "hold-reason", maxlength: 400, value: "held on the page" });
    const deed = {
      title: "Hold everything?", foresee: null, verb: "Hold everything", danger: true, method: "POST", path: "v1/hold", done: "Everything is held.",
      lines: () => [`Nothing new starts, for anybody, until it is let go on: ${grouped(waiting)} waiting stay where they are. ${state.running.length} running go on.`,
        state.offered.length ? `${state.offered.length} that were told they may start still may.` : "", h("label", { class: "field" }, "Why ", reason)],
    };
    return { ...deed, body: () => ({ on: true, reason: reason.value.trim() || "held on the page" }) };
  },
  hold: (view, row) => (row.on_hold
    ? { title: `Let ${row.id} go on?`, foresee: { deed: "hold", ticket: row.id, on: false }, verb: "Let it go on", method: "POST", path: `v1/tickets/${row.id}/hold`, body: { on: false }, done: `${row.id} goes on.`,
        lines: (what) => [what.state === "waiting" ? `It waits on, at place ${what.position}.` : "It would start at once.", what.starts ? what.sentence : ""] }
    : { title: `Hold ${row.id}?`, foresee: { deed: "hold", ticket: row.id, on: true }, verb: "Hold it", method: "POST", path: `v1/tickets/${row.id}/hold`, body: { on: true }, done: `${row.id} is held.`,
        lines: (what) => ["It keeps its place and does not start until it is let go on.", what.sentence] }),
  start: (view, row) => ({
    title: `Start ${row.id} now?`, foresee: { deed: "start", ticket: row.id }, verb: "Start it", danger: true, method: "POST", path: `v1/tickets/${row.id}/start`, done: `${row.id} may start.`,
    lines: (what) => ["It starts whatever its limits say, before others whose turn it is.", ...what.over.map((one) => mark("bad", "»", `${one.limit} would be at ${percent(one.ratio)} with what is reserved.`)), what.starts ? what.sentence : ""],
  }),
  cancel: (view, row) => ({
    title: `Cancel ${row.id}?`, foresee: { deed: "cancel", ticket: row.id }, verb: "Cancel it", danger: true, method: "DELETE", path: `v1/tickets/${row.id}`, done: `${row.id} was cancelled.`,
    lines: (what) => ["It leaves the queue for good; its runner is told so.", what.sentence],
  }),
  release: (view, row) => ({
    title: `Take the lease of ${row.id} away?`, foresee: { deed: "cancel", ticket: row.id }, verb: "Take it away", danger: true, method: "DELETE", path: `v1/leases/l${row.id.slice(1)}`, done: `The lease of ${row.id} was taken away.`,
    lines: (what) => ["What it reserved is released, what it used counts. Its runner is told to stop at its next renewal.", what.sentence],
  }),
  class: (view, row, name) => ({
    title: `Move ${row.id} to ${name}?`, foresee: { deed: "class", ticket: row.id, class: name }, verb: `Move it to ${name}`, method: "PATCH", path: `v1/tickets/${row.id}`, body: { class: name }, done: `${row.id} is ${name} now.`,
    lines: (what) => [what.state === "waiting" ? `From ${row.class} to ${name}: its place would be ${what.position}, it is ${row.position}.` : "It would start at once.", what.sentence],
  }),
  amount: (view, row, text) => ({
    title: `Change ${row.rule} to ${text}?`, foresee: { deed: "limit", limit: row.rule, amount: text }, verb: "Change it", danger: true, method: "PATCH", path: `v1/limits/${encodeURIComponent(row.rule)}`, body: { amount: text }, done: `${row.rule} is ${text} now.`,
    lines: (what) => [`The amount of ${row.rule} goes from ${what.before} to ${what.after}, until somebody changes it again or the file's value is taken back.`, others(view, row), what.sentence],
  }),
  ack: (view, alert) => ({
    title: `Acknowledge ${alert.rule.replaceAll("_", " ")}?`, foresee: null, verb: "Acknowledge", method: "POST", path: `v1/alerts/${alert.id}/ack`, body: {}, done: "Acknowledged: it is not repeated.",
    lines: () => [`${alert.scope}: it is not repeated, and its end is told.`],
  }),
  end_silence: (view, silence) => ({
    title: "End this silence?", foresee: null, verb: "End it", method: "DELETE", path: `v1/silences/${silence.id}`, done: "The silence has ended.",
    lines: () => [silence.alerts.length ? `${count(silence.alerts.length, "alert")} under it would be told again.` : "No alert stands under it now."],
  }),
  silence: (view, alert) => {
    const length = h("select", { id: "silence-for" }, [["1h", "1 hour"], ["4h", "4 hours"], ["24h", "a day"], ["7d", "a week"]].map(([value, text]) => h("option", { value }, text)));
    const why = h("input", { id: "silence-why", maxlength: 400, value: "silenced on the page" });
    const same = view.state.alerts.filter((one) => one.rule === alert.rule && one.scope === alert.scope && one.phase !== "resolved").length;
    const deed = {
      title: `Silence ${alert.rule.replaceAll("_", " ")}?`, foresee: null, verb: "Silence it", method: "POST", path: "v1/silences", done: "Silenced.",
      lines: () => [`Nobody is told about ${alert.rule.replaceAll("_", " ")} of ${alert.scope} meanwhile: ${count(same, "alert")} now.`, h("label", { class: "field" }, "For ", length), h("label", { class: "field" }, "Why ", why)],
    };
    return { ...deed, body: () => ({ matchers: { rule: alert.rule, scope: literal(alert.scope) }, for: length.value, comment: why.value.trim() || "silenced on the page" }) };
  },
};

/** A pattern that fits one name only: signs that would stand for others are put in brackets. */
function literal(text) {
  return text.replace(/[*?[]/g, "[$&]");
}

function others(view, row) {
  const same = view.state.limits.filter((one) => one.rule === row.rule).length;
  return same > 1 ? `It is the amount of all ${same} limits of this rule.` : "";
}

export function deed(view, name, row, more) {
  const prepared = DEEDS[name](view, row, more);
  return confirm(view, prepared);
}

// looking closer

export function openTicket(view, id) {
  const row = [...(view.queue ? view.queue.rows : []), ...view.state.running, ...view.state.offered].find((one) => one.id === id);
  if (!row) return show(id, h("p", null, "This ticket has left: it started, ended or was withdrawn."));
  const now = view.now(), zone = view.state.zone, waits = row.position !== null;
  const labels = Object.entries(row.labels).map(([name, value]) => `${name} ${value}`).join(", ");
  const content = show(`${row.id} ${whose(row)}`,
    row.message && h("p", null, row.message),
    facts([
      ["Key", row.key], ["Class", row.class], ["Estimate", `${short(row.tokens)} tokens`], ["Labels", labels],
      waits ? ["Place", `${row.position} of ${grouped(view.queue.waiting)}`] : null,
      waits && row.expected_start !== undefined ? ["Expected start", `${start(row, zone, now).filter(Boolean).join(", ")} ${zone}`] : null,
      waits ? ["Waits", since(row.since, "for")] : ["Runs", since(row.since, "for")],
      row.expires_at ? ["Ends", since(row.expires_at, "unless")] : null,
      row.spent_ratio !== undefined ? ["Used of its reservation", percent(row.spent_ratio)] : null,
      ["Would start now with", (row.counterfactuals || []).map((one) => (one.change === "model" ? `the model ${one.model}` : `an estimate of ${short(one.tokens)} tokens`)).join(", or ")],
    ]));
  if (view.state.you.operator) content.append(ticketDeeds(view, row, waits));
  return undefined;
}

function ticketDeeds(view, row, waits) {
  const button = (text, name, more) => h("button", { "data-deed": name, onclick: () => deed(view, name, row, more) }, text);
  if (!waits) return h("div", { class: "deeds" }, button(row.expires_at ? "Take its lease away" : "Take the offer back for good", "release"));
  const choice = h("select", { id: "class-choice", "aria-label": "Class" }, CLASSES.filter((name) => name !== row.class).map((name) => h("option", { value: name }, name)));
  return h("div", { class: "deeds" }, button("Start now", "start"), button(row.on_hold ? "Let it go on" : "Hold", "hold"), button("Cancel", "cancel"),
    h("span", { class: "group" }, choice, h("button", { "data-deed": "class", onclick: () => deed(view, "class", row, choice.value) }, "Change class")));
}

/** What is known of a limit, named. */
function figuresOf(row, now) {
  const unit = unitWord(row.unit), forecast = row.forecast || {};
  return facts([
    ["Used", `${amount(row.unit === "leases" ? row.leases : row.used, row.unit)} of ${`${amount(row.amount, row.unit)} ${unit}`.trim()}, ${percent(row.usage_ratio)}`],
    ["Loans", loanWords(row)],
    ["Reserved", row.unit === "leases" ? "" : amount(row.reserved, row.unit)],
    ["Still free", row.headroom < 0 ? `nothing: ${amount(-row.headroom, row.unit)} over what may be used` : amount(row.headroom, row.unit)],
    ["Expected at the reset", forecast.sufficient ? `${amount(forecast.expected, row.unit)} (${amount(forecast.low, row.unit)} to ${amount(forecast.high, row.unit)})` : row.forecast ? `${UNKNOWN}: too little history` : ""],
    ["Runs out", h("span", null, join(runsOut(row, now)))],
    ["Resets", h("span", null, join(resets(row, now)))],
    ["State", h("span", null, stateOf(row), row.level_since && row.level !== "open" ? ` since ${dated(row.level_since, row.timezone, now)}` : "")],
    ["Pace of what is left", row.burn === null || row.headroom <= 0 ? "" : `${row.burn} times the pace that lasts to the reset`],
    ["Used today", row.unit === "leases" ? "" : `${amount(row.used_today, row.unit)}${row.usual_today === null ? "" : `, usually ${amount(row.usual_today, row.unit)} by now`}`],
    ["Runs that still fit", row.runs_remaining === null ? "" : `about ${Math.floor(row.runs_remaining)}`],
    ["Spent most by", row.spent_by],
    ["Waiting", row.waiting.filter((one) => one.waiting).map((one) => `${one.waiting} ${one.class}`).join(", ")],
    ["Counts", [row.scope, row.parent ? `part of the pool ${row.parent}` : "", row.mode === "enforce" ? "" : `mode ${row.mode}: holds nobody`].filter(Boolean).join("; ")],
    ["Provider's word", word(row) && h("span", null, join(word(row)))],
  ]);
}

export async function openLimit(view, name) {
  const row = view.state.limits.find((one) => one.limit === name);
  if (!row) return show(name, h("p", null, GONE));
  const now = view.now();
  const chart = h("div", { class: "chart" }), known = h("div"), explained = h("div");
  put(known, figuresOf(row, now));
  const content = show(row.limit, chart, known, explained);
  content.dataset.limit = name;
  if (row.ends_at) content.append(h("div", { class: "deeds" }, h("button", { "data-deed": "what-if", onclick: () => view.whatIf(row.rule) }, "What if it were different?")));
  if (view.state.you.operator) content.append(amountForm(view, row));
  const drawn = () => row.starts_at && row.ends_at && row.amount;
  if (drawn()) put(chart, largeFan(row, now, row.fan));
  if (!row.forecast) return undefined;
  try {
    const full = await ask("GET", `v1/limits/${row.limit.split("/").map(encodeURIComponent).join("/")}/forecast`);
    if (!content.isConnected) return undefined;
    const points = full.forecast.sufficient ? full.forecast.fan.map((point) => [point.at, ...point.quantiles]) : null;
    // Figures and sentences of one instant: the row may be of an earlier one.
    const fresh = { ...row, ...full };
    put(known, figuresOf(fresh, now));
    document.dispatchEvent(new Event("shown"));
    if (drawn()) put(chart, largeFan(fresh, now, points, full.forecast.course.map((point) => [point.at, point.used])));
    put(explained, h("ul", { class: "explained" }, full.forecast.explained.map((line) => h("li", null, line)), (row.observed ? [row.observed.why, ...row.observed.noticed] : []).filter(Boolean).map((line) => h("li", null, line))));
  } catch (failure) {
    if (failure.status === 401) view.failed(failure);
  }
  return undefined;
}

/** Say of a limit that is being looked at when it is there no more; what was seen last stays. */
export function looking(view) {
  const content = byId("dialog").querySelector("[data-limit]");
  if (!content || !view.state || view.state.limits.some((one) => one.limit === content.dataset.limit)) return;
  delete content.dataset.limit;
  content.querySelectorAll("form, .deeds").forEach((one) => one.remove());
  content.prepend(h("p", { class: "bad", role: "alert" }, GONE));
}

function join(lines) {
  return lines.filter(Boolean).flatMap((line, place) => (place ? [", ", line] : [line]));
}

function amountForm(view, row) {
  const input = h("input", { id: "new-amount", required: true, autocomplete: "off", placeholder: row.unit === "usd" ? "$25" : row.unit === "tokens" ? "2.5M" : String(row.amount) });
  const form = h("form", { class: "deeds" }, h("label", { class: "field" }, `New amount of ${row.rule} `, input), h("button", { "data-deed": "amount" }, "Change the amount"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim()) deed(view, "amount", row, /^[0-9.]+$/.test(input.value.trim()) ? Number(input.value.trim()) : input.value.trim());
  });
  return form;
}

// who is asking

/** Ask for a token; `why` says what became of the last one. */
export function askToken(why, taken) {
  const input = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const form = h("form", null, h("p", null, why), h("label", { class: "field" }, "Token ", input), h("p", { class: "note" }, "It stays in this tab and is forgotten when the tab is closed."), h("div", { class: "deeds" }, h("button", { class: "primary" }, "Use it")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    taken(input.value.trim());
  });
  show("A token is needed", form);
  byId("dialog").querySelector(".close").remove();
  input.focus();
}

export function help() {
  const key = (sign, text) => h("div", null, h("dt", null, h("kbd", null, sign)), h("dd", null, text));
  show("Keys", h("dl", { class: "facts keys" }, key("1 – 5", "limits, waiting, alerts, running, costs"), key("/", "find a limit"), key("w", "find who waits"), key("i", "ask what if"), key("H", "hold everything, or let it go on"), key("Tab", "go on"), key("Enter", "open what is chosen"), key("Esc", "close"), key("?", "these keys")));
}
