// The first glance: what runs out when, what waits and why, what runs, what it costs, what alarms, is the service well.

import { byId, h, put, since } from "./dom.js";
import { UNKNOWN, clock, count, dated, grouped, inOrder, money, percent, span } from "./words.js";

export const STOPPED = ["exhausted", "paused"];

/** Whether nobody can start in a limit before its reset; who is beyond its amount by a loan still may. */
export function hasRunOut(row) {
  return row.unit !== "leases" && (row.level === "exhausted" || (row.usage_ratio >= 1 && !row.borrowed.length));
}

/** Figures older than this are marked: one and a half of the slowest tick, or three of the configured one. */
export function staleAfter(state) {
  return Math.max(15, Math.min(90, 3 * (state.tick_seconds || 30)));
}

/** The line beside the title: how old the figures are, and how they come. */
export function status(view) {
  const { state, problem } = view;
  const line = byId("status");
  const age = state ? (view.now() - Date.parse(state.at)) / 1000 : 0;
  if (!isNew(line, [problem, view.mode, state && [state.at, state.zone, age > staleAfter(state)]])) return undefined;
  if (!state) return put(line, problem ? mark("bad", "✕", problem) : "asking…");
  const how = view.mode === "live" ? "live" : "asked every 5 s";
  const words = problem
    ? [mark("bad", "✕", "not answering"), " · figures are ", since(state.at, "ago"), " old"]
    : [mark(age > staleAfter(state) ? "warn" : "ok", age > staleAfter(state) ? "!" : "●", how), " · figures ", since(state.at, "ago"), " old"];
  return put(line, words, h("span", { class: "zone" }, ` · times in ${state.zone}`));
}

/** Whether what an element shows has changed since it was asked last: what is read aloud is not said twice. */
function isNew(element, values) {
  const sign = JSON.stringify(values);
  if (element.sign === sign) return false;
  element.sign = sign;
  return true;
}

export function mark(kind, sign, word) {
  return h("span", { class: `mark ${kind}` }, h("span", { class: "sign", "aria-hidden": "true" }, sign), " ", word);
}

/** What everybody must see first: no answer, everything held, not ready, a provider that refuses. */
export function banner(view) {
  const { state, problem } = view;
  const lines = [];
  if (problem) {
    lines.push(["bad", "✕", h("span", null, `${problem}, since `, since(new Date(view.problemAt).toISOString(), "local"),
      state ? [`. What is shown is of ${dated(state.at, state.zone, view.now())} ${state.zone}; it is asked again every few seconds.`] : "."
    )]);
  }
  if (state && !problem) {
    if (state.hold) lines.push(["bad", "❚❚", held(view)]);
    for (const text of state.problems) lines.push(["bad", "✕", text]);
    for (const breaker of state.breakers) lines.push(["warn", "▼", breaker.message]);
    for (const source of state.sources.filter((one) => one.catching_up)) lines.push(["warn", "…", catchingUp(source)]);
  }
  document.body.classList.toggle("stale", Boolean(problem));
  if (!isNew(byId("banner"), [problem, state && !problem && [state.hold && held(view), state.problems, state.breakers, state.sources.filter((one) => one.catching_up)]])) return;
  put(byId("banner"), lines.map(([kind, sign, text]) => h("p", { class: kind }, h("span", { class: "sign", "aria-hidden": "true" }, sign), " ", text)));
}

function catchingUp(source) {
  const part = source.total_bytes ? ` (${percent(source.done_bytes / source.total_bytes)})` : "";
  return `${source.source} is still being read${part}: figures grow until that is done`;
}

function held(view) {
  const { hold, zone } = view.state;
  const when = hold.since ? ` since ${dated(hold.since, zone, view.now())} ${zone}` : "";
  return `Everything is held${hold.who ? ` by ${hold.who}` : ""}${when}: ${hold.reason}. Nothing new starts; what runs goes on.`;
}

/** Six answers. */
export function answers(view) {
  const { state, more } = view;
  if (!state) return;
  put(byId("answers"), runsOut(view, state), waiting(view, state), running(state), cost(more), alarms(state), well(view, state));
}

function answer(title, kind, main, ...below) {
  return h("div", { class: `answer ${kind}` }, h("h2", null, title), h("p", { class: "main" }, main), ...below.map((line) => line && h("p", { class: "below" }, line)));
}

function enforced(state) {
  return state.limits.filter((row) => row.mode === "enforce");
}

function runsOut(view, state) {
  const stopped = enforced(state).filter((row) => STOPPED.includes(row.level) || hasRunOut(row));
  const names = stopped.length ? `used up or paused: ${few(stopped.map((row) => row.limit))}` : "";
  const next = enforced(state)
    .filter((row) => !stopped.includes(row) && row.usage_ratio < 1 && row.forecast && row.forecast.sufficient && row.forecast.exhaustion_at)
    .sort((a, b) => inOrder(a.forecast.exhaustion_at, b.forecast.exhaustion_at))[0];
  if (!state.limits.length) return answer("Runs out next", "", UNKNOWN, "no limit has figures yet");
  if (next) {
    const at = next.forecast.exhaustion_at;
    const soon = Date.parse(at) - view.now() < 3600e3;
    return answer("Runs out next", soon || stopped.length ? "bad" : "warn", [since(at, "in")],
      h("span", null, h("strong", null, next.limit), ` at ${clock(at, next.timezone, view.now())} ${next.timezone}`), names);
  }
  if (stopped.length) return answer("Runs out next", "bad", stopped.length === 1 ? "1 has run out" : `${stopped.length} have run out`, few(stopped.map((row) => row.limit)));
  const young = enforced(state).filter((row) => row.forecast && !row.forecast.sufficient).length;
  const judged = enforced(state).filter((row) => row.forecast && row.forecast.sufficient).length;
  if (!judged) return answer("Runs out next", "", UNKNOWN, young ? `${count(young, "limit")} too new for a forecast` : "no limit has a forecast");
  const risky = enforced(state).filter((row) => row.forecast && row.forecast.sufficient && ["critical", "high"].includes(row.risk)).sort((a, b) => b.forecast.p_exceed - a.forecast.p_exceed)[0];
  if (risky) return answer("Runs out next", "warn", "nothing expected", h("span", null, "but ", h("strong", null, risky.limit), ` may: ${percent(risky.forecast.p_exceed)} likely`), young ? `${young} too new to say` : "");
  return answer("Runs out next", "ok", "nothing", `${count(judged, "limit lasts", "limits last")} to the reset`, young ? `${young} too new to say` : "");
}

export function few(names, most = 2) {
  return names.length <= most ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}

function waiting(view, state) {
  const total = view.queue ? view.queue.waiting : state.queue ? state.queue.waiting : null;
  if (total === null) return answer("Waiting", "", UNKNOWN, "nobody has looked yet");
  if (!total) return answer("Waiting", "ok", "nobody");
  const oldest = state.queue && state.queue.classes.filter((one) => one.oldest_at).sort((a, b) => inOrder(a.oldest_at, b.oldest_at))[0];
  const why = state.queue && state.queue.reasons[0];
  const people = state.queue && state.queue.classes.find((one) => one.class === "interactive" && one.waiting);
  return answer("Waiting", people ? "warn" : "", grouped(total),
    why ? `most: ${why.words} (${grouped(why.waiting)})` : "",
    oldest ? h("span", null, "longest ", since(oldest.oldest_at, "for"), people ? `; ${grouped(people.waiting)} interactive` : "") : "");
}

function running(state) {
  const over = state.running.filter((row) => (row.spent_ratio || 0) > 1).length;
  return answer("Running", "", state.running.length ? grouped(state.running.length) : "nothing",
    state.offered.length ? `${state.offered.length} may start: their runners have yet to come` : "",
    over ? mark("warn", "»", `${over} over what ${over === 1 ? "it" : "they"} reserved`) : "");
}

function cost(more) {
  if (!more) return answer("Cost today", "", "…");
  const rows = byDay(more.costs);
  const today = rows[rows.length - 1], before = rows.slice(-8, -1);
  const usual = before.length ? before.reduce((sum, row) => sum + row.cost_usd, 0) / before.length : null;
  const unpriced = today && today.unpriced_tokens;
  if (!more.costs.usage.length) return answer("Cost today", "", UNKNOWN, "nothing was recorded in 14 days");
  return answer("Cost today", "", money(today.cost_usd), usual === null ? "" : `${money(usual)} a day in the week before`,
    unpriced ? mark("warn", "?", "some usage has no price yet") : "");
}

/** Every day of the span, those without use too. */
export function byDay(costs) {
  const rows = new Map(costs.usage.map((row) => [row.day, row]));
  return (costs.periods || [...rows.keys()]).map((day) => rows.get(day) || { day, cost_usd: 0, tokens: 0, unpriced_tokens: 0 });
}

function alarms(state) {
  const firing = state.alerts.filter((one) => one.phase === "firing");
  const open = firing.filter((one) => !one.acknowledged_by && !one.silenced_by.length);
  const worst = open.some((one) => one.severity === "critical") ? "bad" : open.length ? "warn" : "ok";
  if (!firing.length) return answer("Alerts", "ok", "none fires");
  return answer("Alerts", worst, String(firing.length), open.length ? few([...new Set(open.map((one) => one.rule.replaceAll("_", " ")))]) : "all taken care of or silenced",
    firing.length > open.length && open.length ? `${firing.length - open.length} taken care of or silenced` : "");
}

/** Who answers, where several serve from one database. */
function several(replica) {
  return replica ? `, ${count(replica.replicas.length, "replica")}, ${replica.leader || "nobody"} leads` : "";
}

function well(view, state) {
  const age = (view.now() - Date.parse(state.at)) / 1000;
  if (view.problem) return answer("Service", "bad", "not answering", "nothing here is of now");
  if (!state.ready) return answer("Service", "bad", "in trouble", state.problems[0]);
  if (age > staleAfter(state)) return answer("Service", "warn", "figures are late", `the last are ${span(age)} old`);
  const busy = state.sources.filter((one) => one.catching_up).length;
  if (busy) return answer("Service", "warn", "catching up", `${count(busy, "source")} still being read`);
  const notes = state.notes.filter((text) => !(state.hold && text.startsWith("everything is held")));  // the banner says that
  return answer("Service", "ok", "well", notes.length ? notes[0] : `version ${state.version}${several(state.replica)}`);
}
