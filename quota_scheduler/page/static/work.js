// What waits, in the order of its start, with why; what runs; what alarms.

import { leaseBar } from "./charts.js";
import { byId, h, keep, put, since } from "./dom.js";
import { mark } from "./head.js";
import { UNKNOWN, clock, count, grouped, inOrder, percent, short, whose } from "./words.js";

const SEVERITIES = { critical: ["bad", "■"], page: ["bad", "■"], warning: ["warn", "▲"], ticket: ["warn", "▲"], info: ["", "●"] };
const RANK = { critical: 0, page: 0, warning: 1, ticket: 1, info: 2 };
export const PAGE = 20;

export function queue(view) {
  const { queue: line, state } = view;
  const holder = byId("queue-rows");
  if (!line) return;
  const now = view.now();
  if (!line.rows.length) {
    holder.kept = null;
    put(holder, h("p", { class: "empty" }, line.waiting ? "Nothing that waits fits what is sought." : "Nobody waits."));
  } else {
    if (holder.querySelector(".empty")) put(holder);
    keep(holder, line.rows, (row) => row.id, (row) => waitingRow(row, view), `@${Math.floor(now / 60000)}`);
  }
  const found = line.matching === line.waiting ? count(line.waiting, "ticket") : `${grouped(line.matching)} of ${count(line.waiting, "ticket")}`;
  put(byId("queue-note"), line.waiting ? `${found}, first to start first` : "");
  pager(view, line);
  const offered = state ? state.offered : [];
  let row = byId("offered");
  if (!row) holder.before(row = h("div", { id: "offered" }));
  keep(row, offered, (one) => one.id, (one) => h("div", { class: "row ticket" },
    h("div", { class: "cell name" }, open(one, view), h("span", { class: "sub" }, whose(one))), h("div", { class: "cell why" }, mark("ok", "●", "may start: its runner has yet to come"))));
}

function open(row, view) {
  return h("button", { class: "open", "data-deed": "open", onclick: () => view.open("ticket", row.id) }, row.id);
}

/** When a ticket is expected to start. */
export function start(row, zone, now) {
  if (row.on_hold || (!row.expected_start && row.why === "held by hand")) return ["when it is let go on"];
  const at = row.expected_start;
  if (!at) return [UNKNOWN];
  const low = clock(at.low, zone, now), high = clock(at.high, zone, now);
  return [`about ${clock(at.expected, zone, now)}`, low === high ? "" : `${low} to ${high}`];
}

function waitingRow(row, view) {
  const now = view.now(), zone = view.state ? view.state.zone : "UTC";
  const [about, between] = start(row, zone, now);
  const limits = row.limits.length ? ` · ${row.limits.slice(0, 2).join(", ")}${row.limits.length > 2 ? ` and ${row.limits.length - 2} more` : ""}` : "";
  return h("div", { class: "row ticket" },
    h("div", { class: "cell place" }, String(row.position)),
    h("div", { class: "cell name" }, open(row, view), h("span", { class: "who" }, whose(row)), h("span", { class: "sub" }, `${row.class} · ${short(row.tokens)} tokens · waits `, since(row.since, "for"))),
    h("div", { class: "cell why" }, row.on_hold ? mark("warn", "❚❚", row.why) : h("span", null, row.why), h("span", { class: "sub" }, limits.slice(3))),
    h("div", { class: "cell start" }, h("span", null, about), between && h("span", { class: "sub" }, between)));
}

function pager(view, line) {
  const holder = byId("queue-pager"), from = line.from, to = from + line.rows.length;
  if (line.matching <= PAGE) return put(holder);
  const go = (begin) => () => view.page(begin);
  const text = `${from + 1}–${Math.max(to, from + 1)} of ${grouped(line.matching)}`;
  if (holder.dataset.shown === text) return undefined;
  holder.dataset.shown = text;
  const last = Math.floor((line.matching - 1) / PAGE) * PAGE;
  const button = (word, begin, off) => h("button", { onclick: go(begin), disabled: off, "data-deed": word }, word);
  const focused = holder.contains(document.activeElement) ? document.activeElement.dataset.deed : "";
  put(holder, button("First", 0, from === 0), button("Back", Math.max(0, from - PAGE), from === 0), h("span", { role: "status" }, text),
    button("Next", from + PAGE, to >= line.matching), button("Last", last, from >= last));
  if (focused) (holder.querySelector(`[data-deed="${focused}"]:not([disabled])`) || holder.querySelector("button:not([disabled])")).focus();
  return undefined;
}

export function running(view) {
  const { state } = view, holder = byId("running-rows");
  if (!state) return;
  put(byId("running-note"), state.running.length ? `${count(state.running.length, "lease")}, used of what is reserved` : "");
  const rows = [...state.running].sort((a, b) => b.spent_ratio - a.spent_ratio).slice(0, 60);
  if (!rows.length) {
    holder.kept = null;
    return put(holder, h("p", { class: "empty" }, "Nothing runs."));
  }
  if (holder.querySelector(".empty")) put(holder);
  keep(holder, rows, (row) => row.id, (row) => {
    const over = row.spent_ratio > 1;
    return h("div", { class: "row lease" },
      h("div", { class: "cell name" }, open(row, view), h("span", { class: "who" }, whose(row)), h("span", { class: "sub" }, row.class, " · runs ", since(row.since, "for"), " · ends ", since(row.expires_at, "unless"))),
      h("div", { class: "cell spent" }, leaseBar(row.spent_ratio), h("span", { class: "sub" }, over ? mark("warn", "»", `${percent(row.spent_ratio)} of ${short(row.tokens)}`) : `${percent(row.spent_ratio)} of ${short(row.tokens)}`)));
  });
  return undefined;
}

export function alerts(view) {
  const { state } = view, holder = byId("alerts-rows");
  if (!state) return;
  const firing = state.alerts.filter((one) => one.phase === "firing");
  const quiet = (one) => Boolean(one.acknowledged_by || one.silenced_by.length);
  firing.sort((a, b) => quiet(a) - quiet(b) || (RANK[a.severity] ?? 9) - (RANK[b.severity] ?? 9) || inOrder(a.since, b.since));
  const pending = state.alerts.filter((one) => one.phase === "pending").length, resolved = state.alerts.filter((one) => one.phase === "resolved").length;
  const note = [firing.length ? `${firing.length} firing` : "", pending ? `${pending} pending` : "", resolved ? `${resolved} resolved lately` : ""].filter(Boolean).join(", ");
  put(byId("alerts-note"), note);
  const silences = state.silences.map((one) => ({ ...one, silence: true }));
  if (!firing.length && !silences.length) {
    holder.kept = null;
    return put(holder, h("p", { class: "empty" }, "Nothing fires."));
  }
  if (holder.querySelector(".empty")) put(holder);
  keep(holder, [...firing.slice(0, 40), ...silences], (one) => (one.silence ? `s${one.id}` : `a${one.id}`), (one) => (one.silence ? silenceRow(one, view) : alertRow(one, view)), String(state.you.operator));
  return undefined;
}

function alertRow(alert, view) {
  const [kind, sign] = SEVERITIES[alert.severity] || ["", "●"];
  const care = alert.acknowledged_by === "first import" ? "true already at the first import: nobody was told" : alert.acknowledged_by ? `${alert.acknowledged_by} takes care` : alert.silenced_by.length ? "silenced" : "";
  return h("div", { class: `row alert ${care ? "quiet" : ""}` },
    h("div", { class: "cell name" }, mark(care ? "" : kind, sign, alert.severity), " ", h("strong", null, alert.rule.replaceAll("_", " ")), " ", h("span", { class: "who" }, alert.scope),
      h("span", { class: "sub" }, "for ", since(alert.fired_at || alert.since, "for"), care ? ` · ${care}` : "")),
    view.state.you.operator && h("div", { class: "cell deeds" },
      !alert.acknowledged_by && h("button", { "data-deed": "ack", onclick: () => view.deed("ack", alert) }, "Acknowledge", h("span", { class: "hidden" }, ` ${alert.rule} of ${alert.scope}`)),
      !alert.silenced_by.length && h("button", { "data-deed": "silence", onclick: () => view.deed("silence", alert) }, "Silence", h("span", { class: "hidden" }, ` ${alert.rule} of ${alert.scope}`))));
}

function silenceRow(silence, view) {
  const what = Object.entries(silence.matchers).map(([name, pattern]) => `${name} ${pattern}`).join(", ");
  return h("div", { class: "row alert quiet" },
    h("div", { class: "cell name" }, mark("", "◌", "silence"), " ", h("strong", null, what), h("span", { class: "sub" }, `${silence.author}: ${silence.comment} · ends `, since(silence.ends_at, "in"))),
    view.state.you.operator && h("div", { class: "cell deeds" }, h("button", { "data-deed": "end", onclick: () => view.deed("end_silence", silence) }, "End", h("span", { class: "hidden" }, ` the silence of ${what}`))));
}
