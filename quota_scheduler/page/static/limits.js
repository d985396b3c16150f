// Every limit in a row, the most urgent first.

import { bar, fan } from "./charts.js";
import { byId, h, keep, put, since } from "./dom.js";
import { UNKNOWN, amount, clock, count, grouped, percent, unitWord } from "./words.js";
import { STOPPED, hasRunOut, mark } from "./head.js";

const FIRST = 25;
const ROW_PX = 54;
const STATES = {
  exhausted: ["bad", "■", "used up"],
  paused: ["bad", "❚❚", "paused"],
  throttled: ["warn", "▼", "throttled"],
  critical: ["bad", "▲▲", "critical"],
  high: ["warn", "▲", "high"],
  medium: ["", "◆", "medium"],
  low: ["ok", "●", "low"],
  unknown: ["", "?", UNKNOWN],
};
let all = false;

/** How the queue treats a limit; where it is open, how likely that ends. */
export function stateOf(row) {
  if (row.unit === "leases") {
    const free = row.amount - row.leases;
    return free > 0 ? mark("ok", "●", `${free} free`) : mark("warn", "■", "full");
  }
  if (row.mode !== "enforce") return mark("", "◇", `${row.mode} only`);
  if (onLoan(row)) return mark("warn", "⇄", "on loan");
  const [kind, sign, word] = STATES[row.level] || STATES[row.risk] || STATES.unknown;
  return mark(kind, sign, word);
}

function onLoan(row) {
  return row.borrowed.length > 0 && row.usage_ratio >= 1 && !STOPPED.includes(row.level);
}

/** What a limit has borrowed and lent: "10 lent by marketing; lends 5 to growth". */
export function loanWords(row) {
  const lenders = row.borrowed.map((loan) => `${amount(loan.amount, row.unit)} lent by ${loan.from}`).join(", ");
  const borrowers = row.lent.map((loan) => `${amount(loan.amount, row.unit)} to ${loan.to}`).join(", ");
  return [lenders, borrowers && `lends ${borrowers}`].filter(Boolean).join("; ");
}

/** When a window runs out before its reset. */
export function runsOut(row, now) {
  const forecast = row.forecast;
  if (row.unit === "leases") return ["–"];
  if (hasRunOut(row)) return ["has run out"];
  if (onLoan(row)) return ["its own has", "more is lent while it lasts"];
  if (!forecast) return [UNKNOWN];
  if (!forecast.sufficient) return [UNKNOWN, "too little history"];
  if (!forecast.exhaustion_at) return ["lasts", row.amount ? `${percent(forecast.expected_ratio)} by the reset` : ""];
  return [since(forecast.exhaustion_at, "in"), clock(forecast.exhaustion_at, row.timezone, now)];
}

export function resets(row, now) {
  if (!row.ends_at) return row.unit === "leases" ? ["never"] : ["on first use"];
  if (!row.starts_at) return ["on first use"];
  return [since(row.ends_at, "in"), `${clock(row.ends_at, row.timezone, now)} ${row.timezone}`];
}

/** What the provider says beside the own sum, and how fresh that is. */
export function word(row) {
  const said = row.observed;
  if (!said) return null;
  if (said.reported_ratio === null) return [mark("", "?", "provider: nothing said"), said.why];
  const apart = Math.abs(said.reported_ratio - row.usage_ratio) >= 0.02;
  const fresh = said.freshness === "live" ? "" : ` (${said.freshness})`;
  const beyond = said.elsewhere_points ? `, ${said.elsewhere_points} points used elsewhere` : "";
  return [mark(apart ? "warn" : "", apart ? "≠" : "=", `provider ${percent(said.reported_ratio)}${fresh}`), `here ${percent(row.usage_ratio)}${beyond}`];
}

function figures(row) {
  const used = row.unit === "leases" ? row.leases : row.used;
  const of = `${amount(used, row.unit)} of ${amount(row.amount, row.unit)} ${unitWord(row.unit)}`.trim();
  const more = row.reserved && row.unit !== "leases" ? `+ ${amount(row.reserved, row.unit)} reserved` : "";
  return [row.amount ? percent(used / row.amount) : percent(row.usage_ratio), of, more, loanWords(row), row.estimated ? "partly estimated" : ""];
}

function cell(name, label, lines, more) {
  return h("div", { class: `cell ${name}`, role: "cell" }, h("span", { class: "label" }, label), lines.filter(Boolean).map((line, place) => h("span", { class: place ? "sub" : "" }, line)), more);
}

/** How long a window is, as people say it. */
export function periodWord(period) {
  if (!period || period === "none" || period === "run") return "";
  const [kind, length] = period.split(" ");
  return kind === "session" ? `sessions of ${length}` : `a ${period}`;
}

function rowOf(row, view) {
  const now = view.now(), waiting = row.waiting.reduce((sum, one) => sum + one.waiting, 0);
  const said = word(row);
  return h("div", { class: `limit row ${stateKind(row)}`, role: "row" },
    h("div", { class: "cell name", role: "rowheader" },
      h("button", { class: "open", "data-deed": "open", onclick: () => view.open("limit", row.limit) }, row.limit),
      h("span", { class: "sub" }, [periodWord(row.period), row.scope.replace(/^provider=/, "")].filter(Boolean).join(" · "), waiting ? ` · ${grouped(waiting)} wait` : "")),
    h("div", { class: "cell pictures", role: "cell" }, bar(row, now), fan(row, now) || h("span", { class: "fan none" })),
    cell("figures", "used", figures(row)),
    cell("out", "runs out", runsOut(row, now)),
    cell("reset", "resets", resets(row, now)),
    cell("state", "state", [stateOf(row)], said && said.filter(Boolean).map((line) => h("span", { class: "sub" }, line))));
}

export function stateKind(row) {
  if (row.level === "exhausted" || row.level === "paused") return "is-bad";
  return row.mode === "enforce" && (row.level === "throttled" || row.risk === "critical" || row.risk === "high") ? "is-warn" : "";
}

const HEAD = ["Limit", "Used, reserved, expected · forecast to the reset", "Used", "Runs out", "Resets", "State"];

export function limits(view) {
  const { state } = view;
  if (!state) return;
  const find = byId("limits-find").value.trim().toLowerCase();
  const chosen = state.limits.filter((row) => `${row.limit} ${row.scope} ${row.provider} ${row.unit}`.toLowerCase().includes(find));
  // The height of the window would have to be laid out first.
  const most = view.isFirst ? Math.min(FIRST, Math.ceil(screen.availHeight / ROW_PX)) : FIRST;
  const seen = all || find ? chosen : chosen.slice(0, most);
  const holder = byId("limits-rows");
  if (!state.limits.length) {
    holder.kept = null;
    put(holder, h("p", { class: "empty" }, nothingYet(state)));
    put(byId("limits-note"));
    return;
  }
  let table = holder.querySelector(".table");
  if (!table) {
    put(holder, table = h("div", { class: "table limits", role: "table", "aria-label": "Limits, the most urgent first" }));
    table.append(h("div", { class: "row head", role: "row" }, HEAD.map((name) => h("div", { class: "cell", role: "columnheader" }, name))), h("div", { class: "body", role: "rowgroup" }));
    holder.append(legend(), h("div", { class: "pager" }));
  }
  const minute = Math.floor(view.now() / 60000);
  keep(table.querySelector(".body"), seen, (row) => row.limit, (row) => rowOf(row, view), `@${minute}`);
  put(byId("limits-note"), chosen.length === state.limits.length ? `${count(chosen.length, "limit")}, the most urgent first` : `${chosen.length} of ${count(state.limits.length, "limit")}`);
  const pager = holder.querySelector(".pager");
  if (chosen.length > seen.length || all) {
    const text = all ? `Show only the ${FIRST} most urgent` : `Show all ${chosen.length}`;
    if (pager.textContent !== text) put(pager, h("button", { onclick: () => { all = !all; limits(view); } }, text));
  } else put(pager);
}

function nothingYet(state) {
  if (state.sources.some((one) => one.catching_up)) return "The first pass over the sources is under way: limits come when it is done.";
  return "No limit has figures yet. They come with the first usage: let an agent run here, or send usage to POST /v1/usage.";
}

function legend() {
  const sample = (name, text) => h("span", { class: `key ${name}` }, h("i", { "aria-hidden": "true" }), text);
  return h("p", { class: "legend" }, sample("used", "used"), sample("reserved", "reserved"), sample("expected", "expected by the reset"), sample("high", "at worst (9 times of 10)"), sample("pace", "even pace"), sample("over", "over the limit"));
}
