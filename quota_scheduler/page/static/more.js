// What is looked at less often: costs, efficiency with its trend, loans, sources, what was held and by whom.

import { costs } from "./charts.js";
import { byId, h, put, since } from "./dom.js";
import { byDay, mark } from "./head.js";
import { UNKNOWN, amount, count, dated, day, grouped, money, percent, short, unitWord } from "./words.js";

export function more(view) {
  const { more: document_, state } = view, holder = byId("more-left");
  if (!document_ || !state) return;
  const sign = JSON.stringify([document_, Boolean(state.hold)]);
  if (holder.dataset.sign === sign) return;
  holder.dataset.sign = sign;
  put(holder, efficiency(document_), sources(document_));
  put(byId("more-right"), costSection(document_), loans(document_, state, view), deedsSection(document_, state, view));
}

function section(id, title, note, ...content) {
  return h("section", { id, "aria-labelledby": `${id}-title`, tabindex: "-1" }, h("div", { class: "title" }, h("h2", { id: `${id}-title` }, title), h("p", { class: "note" }, note)), ...content);
}

function table(head, rows, label, numbers) {
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, h("table", null, h("thead", null, h("tr", null, head.map((name, place) => h("th", { class: numbers.includes(place) ? "number" : "", scope: "col" }, name)))), h("tbody", null, rows)));
}

const number = (...children) => h("td", { class: "number" }, ...children);

function costSection(document_) {
  const rows = byDay(document_.costs), total = document_.costs.total;
  if (!document_.costs.usage.length) return section("costs", "Costs", "", h("p", { class: "empty" }, "Nothing was recorded in 14 days."));
  const unpriced = total.unpriced_tokens ? `; ${short(total.unpriced_tokens)} tokens have no price and are charged as the dearest` : "";
  return section("costs", "Costs", `${money(total.cost_usd)} since ${day(rows[0].day)}, ${document_.costs.timezone}${unpriced}`, costs(rows));
}

/** How a figure moved against the seven days before: shape, word and amount. */
function trend(now, before, better) {
  if (now === null || now === undefined || before === null || before === undefined || !before) return h("span", { class: "sub" }, "no week before");
  const change = now / before - 1;
  if (Math.abs(change) < 0.05) return h("span", { class: "sub" }, "= as before");
  const good = better === "less" ? change < 0 : change > 0;
  return h("span", { class: `sub ${good ? "good" : "worse"}` }, `${change > 0 ? "▲" : "▼"} ${percent(Math.abs(change))} ${change > 0 ? "more" : "less"}`);
}

function efficiency(document_) {
  const rows = [...document_.efficiency].sort((a, b) => b.cost_usd - a.cost_usd).slice(0, 12);
  if (!rows.length) return section("efficiency", "Efficiency", "", h("p", { class: "empty" }, "No run of a workflow in 7 days."));
  const body = rows.map((row) => h("tr", null,
    h("th", { scope: "row" }, row.workflow || "no workflow named"), number(grouped(row.runs)),
    number(short(row.tokens_per_run), trend(row.tokens_per_run, row.before && row.before.tokens_per_run, "less")),
    number(percent(row.cache_hit_rate), trend(row.cache_hit_rate, row.before && row.before.cache_hit_rate, "more")),
    number(row.success_rate === null ? UNKNOWN : percent(row.success_rate)), number(money(row.cost_usd))));
  return section("efficiency", "Efficiency by workflow", "7 days against the 7 before", table(["Workflow", "Runs", "Tokens a run", "From cache", "Success", "Cost"], body, "Efficiency by workflow", [1, 2, 3, 4, 5]));
}

function loans(document_, state, view) {
  if (!document_.loans.length) return null;
  const rows = document_.loans.slice(0, 20).map((loan) => h("li", { class: loan.ended_at ? "quiet" : "" },
    h("strong", null, loan.borrower), " owes ", h("strong", null, loan.lender), ` ${amount(loan.ended_at ? loan.most : loan.amount, loan.unit)} ${unitWord(loan.unit)} of ${loan.pool}`.replace("  ", " "),
    h("span", { class: "sub" }, loan.ended_at ? `ended: ${loan.ended || "paid back"}, ${dated(loan.ended_at, state.zone, view.now())}` : `since ${dated(loan.since, state.zone, view.now())}${loan.due ? `, due ${dated(loan.due, state.zone, view.now())}` : ""}`)));
  const open = document_.loans.filter((loan) => !loan.ended_at).length;
  return section("loans", "Loans", open ? count(open, "stands", "stand") : "none stands; what was paid back in 7 days", h("ul", { class: "plain" }, rows));
}

function lag(source) {
  if (source.catching_up) return mark("warn", "…", "still being read");
  if (source.silent) return mark("bad", "✕", "its host is silent");
  if (source.lag_seconds === null) return source.door === "files" ? UNKNOWN : "pushed";
  return source.lag_seconds > 120 ? mark("warn", "!", `${Math.round(source.lag_seconds / 60)} min behind`) : mark("ok", "●", source.lag_seconds < 2 ? "up to date" : `${Math.round(source.lag_seconds)} s behind`);
}

function sources(document_) {
  if (!document_.sources.length) return section("sources", "Sources", "", h("p", { class: "empty" }, "Nothing was read or received yet."));
  const rows = document_.sources.slice(0, 24).map((source) => h("tr", null,
    h("th", { scope: "row" }, source.origin, h("span", { class: "sub" }, source.door)), h("td", null, lag(source)),
    h("td", null, source.last_at ? since(source.last_at, "ago", { class: "old" }) : "never"),
    number(source.errors ? mark("warn", "!", count(source.errors, "error")) : source.errors === null ? UNKNOWN : "none")));
  return section("sources", "Sources", "", table(["Source", "Reading", "Last usage", "Errors"], rows, "Sources of usage", [3]));
}

const DONE = {
  "hold.all": "held everything", "hold.ended": "let everything go on", "ticket.held": "held", "ticket.unheld": "let go on", "ticket.forced": "started", "ticket.reclassed": "changed the class of",
  "lease.revoked": "took the lease away of", "limit.changed": "changed", "alert.acknowledged": "acknowledged", "silence.added": "silenced", "silence.ended": "ended a silence",
};

function deedOf(entry) {
  const detail = entry.detail || {};
  const words = [DONE[entry.what] || entry.what];
  if (detail.ticket) words.push(`t${detail.ticket}`);
  if (detail.into) words.push(`to ${detail.into}`);
  if (detail.limit) words.push(detail.limit, Object.entries(detail.fields || {}).map(([name, value]) => `${name} ${value === null ? "back to the file's" : value}`).join(", "));
  if (detail.matchers) words.push(Object.entries(detail.matchers).map(([name, pattern]) => `${name} ${pattern}`).join(", "), detail.comment && `(${detail.comment})`);
  if (detail.reason) words.push(`(${detail.reason})`);
  if (detail.rule || detail.scope) words.push([detail.rule, detail.scope].filter(Boolean).join(" of "));
  return words.filter(Boolean).join(" ");
}

function deedsSection(document_, state, view) {
  const held = state.hold ? [h("li", null, mark("bad", "❚❚", "everything is held"), h("span", { class: "sub" }, `${state.hold.who || UNKNOWN}: ${state.hold.reason}`))] : [];
  const rows = (document_.audit || []).slice(0, 12).map((entry) => h("li", null, h("strong", null, entry.who), ` ${deedOf(entry)}`, h("span", { class: "sub" }, dated(entry.at, state.zone, view.now()))));
  if (!held.length && !rows.length) return section("deeds", "Done by hand", "", h("p", { class: "empty" }, document_.audit ? "Nothing was changed by hand." : "Operators see what was done by hand."));
  return section("deeds", "Done by hand", "the newest first", h("ul", { class: "plain" }, held, rows));
}
