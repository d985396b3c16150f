// The answer to a what-if: one sentence, then tables by policy, class and limit, then what was taken for granted.

import { h } from "./dom.js";
import { amount, count, dated, grouped, short, span, unitWord } from "./words.js";

const BEST = "clairvoyant";
const SERVICE = "two-sided";

const points = (value) => `${Number(value.toFixed(1))} %`;
const wait = (hours) => span(hours * 3600);
const number = (text) => h("td", { class: "number" }, text);

/** Everything that is to be read of an answer; instants in a zone, which is named. */
export function outcome(answer, zone) {
  const [now, then] = answer.cases, when = (at) => dated(at, zone, Date.now());
  return h("div", { class: "outcome", id: "outcome" },
    h("h3", { tabindex: "-1" }, then ? "What would have been different" : "How it was, played again"),
    h("p", null, headline(now, then)),
    h("p", { class: "note" }, `${count(answer.runs, "run")}, ${short(answer.tokens)} tokens, ${when(answer.since)} to ${when(answer.until)} ${zone}.`),
    h("h3", null, "By who decides"), policies(answer.cases),
    now.policies.filter((row) => row.policy !== BEST || now.policies.length === 1).map((row) => [
      h("h3", null, `By class, under ${row.policy}`), byClass(answer.cases, row.policy), h("h3", null, `By limit, under ${row.policy}`), byLimit(answer.cases, row.policy)]),
    h("h3", null, "What was taken for granted"),
    answer.assumed.length ? h("ul", { class: "explained" }, answer.assumed.map((sentence) => h("li", null, sentence))) : h("p", { class: "note" }, "Nothing."));
}

const under = (what, policy) => what.policies.find((row) => row.policy === policy);

function headline(now, then) {
  const name = (under(now, SERVICE) || now.policies[0]).policy, before = under(now, name), after = then && under(then, name);
  const said = (text, one) => (after ? `${text} ${points(before[one])} → ${points(after[one])}` : `${text} ${points(before[one])}`);
  return `Under ${name}: ${said("interactive and high work refused or broken off", "harm")}; ${said("expired while somebody waited, or used for nothing", "lost")}; ${said("value, of the best that was possible,", "value")}.`;
}

/** A table that scrolls by itself where it is too wide; columns that are not named as words are numbers. */
function table(label, head, words, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label },
    h("table", null, h("thead", null, h("tr", null, head.map((name, place) => h("th", { class: place < words ? "" : "number", scope: "col" }, name)))), h("tbody", null, rows)));
}

function policies(cases) {
  const rows = cases[0].policies.flatMap(({ policy }) => cases.map((what) => {
    const row = under(what, policy);
    return h("tr", null, h("th", { scope: "row" }, policy), h("td", null, what.case), number(points(row.harm)), number(points(row.avoidable_harm)), number(points(row.lost)), number(points(row.value)), number(String(Math.round(row.cut_off_important * 10) / 10)));
  }));
  return table("By who decides", ["Policy", "Case", "Harm", "Avoidable", "Lost", "Value", "Cut off of 1,000"], 2, rows);
}

function byClass(cases, policy) {
  const classes = Object.keys(cases[0].policies[0].classes);
  const rows = classes.flatMap((name) => cases.map((what) => {
    const row = under(what, policy).classes[name];
    return row.runs ? h("tr", null, h("th", { scope: "row" }, name), h("td", null, what.case), number(grouped(row.runs)), number(short(row.demand)), number(short(row.done)), number(short(row.denied)), number(short(row.unfinished)),
      number(grouped(row.cut_off)), number(wait(row.wait_median_hours)), number(wait(row.wait_p95_hours))) : null;
  }));
  return table(`By class, under ${policy}`, ["Class", "Case", "Runs", "Tokens wanted", "Done", "Refused", "Unfinished", "Cut off", "Waits (median)", "Waits (95 %)"], 2, rows);
}

function byLimit(cases, policy) {
  const rows = cases.flatMap((what) => under(what, policy).limits.map((row) => h("tr", null,
    h("th", { scope: "row" }, row.limit || "no limit"), h("td", null, what.case), h("td", null, [grouped(row.windows), row.window].filter(Boolean).join(" × ")), number(`${amount(row.amount, row.unit)} ${unitWord(row.unit)}`.trim()), number(amount(row.used, row.unit)),
    number(amount(row.unused, row.unit)), number(amount(row.lost, row.unit)), number(amount(row.redone, row.unit)))));
  return table(`By limit, under ${policy}`, ["Limit", "Case", "Windows", "Amount in all", "Used", "Unused", "Unused while somebody waited", "Used for nothing"], 3, rows);
}
