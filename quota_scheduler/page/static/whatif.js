// What if: recorded runs played again under other limits; the service plays, nothing is changed.

import { Failure, stream } from "./ask.js";
import { show } from "./deeds.js";
import { byId, h, put } from "./dom.js";
import { outcome } from "./outcome.js";
import { percent } from "./words.js";

const EVERY = "*";
const POLICIES = [
  ["two-sided", "what the service does"], ["none", "first come, first served, until a limit is empty"],
  ["fixed90", "the same, automation stops at 90 % used"], ["safe", "in order of class, automation if its reservation fits"],
  ["fixed-thresholds", "marks of 80 and 90 %"],
];
const WINDOWS = [["", "as it is"], ["day", "a day"], ["week", "a week"], ["month", "a month"], ["5h", "5 hours"], ["24h", "24 hours from the first use"]];
const SPANS = [["7d", "7 days"], ["14d", "14 days"], ["30d", "30 days"], ["90d", "90 days"]];
const CLASSES = ["interactive", "high", "normal", "low"];

const options = (pairs, chosen) => pairs.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
const labelled = (text, control) => h("label", null, text, control);
const input = (props) => h("input", { autocomplete: "off", maxlength: 200, ...props });

/** Ask what would have happened; `rule` is the limit that it begins with, all of them where none is named. */
export function whatIf(view, rule = EVERY) {
  const rules = [...new Set(view.state.limits.filter((row) => row.ends_at).map((row) => row.rule))].sort();
  const changes = h("div", { class: "what-if" });
  const add = (name, text) => changes.append(change(rules, name, text));
  add(rules.includes(rule) ? rule : EVERY, "-20%");
  const last = h("select", { name: "last" }, options(SPANS, "30d"));
  const status = h("div", { class: "outcome" });
  const go = h("button", { class: "primary", "data-deed": "play" }, "Play it");
  const form = h("form", { class: "what-if" },
    h("fieldset", null, h("legend", null, "Limits"), changes,
      h("div", { class: "deeds" }, h("button", { type: "button", "data-deed": "add", onclick: () => { add(EVERY, ""); changes.lastElementChild.querySelector("select").focus(); } }, "Another limit"))),
    moreChanges(),
    h("fieldset", null, h("legend", null, "Who decides"), POLICIES.map(([name, text]) =>
      h("label", { class: "check" }, h("input", { type: "checkbox", name: "policy", value: name, checked: name === "two-sided" }), h("span", null, h("strong", null, name), ` ${text}`)))),
    labelled("The runs of the last ", last), h("div", { class: "deeds" }, go));
  form.addEventListener("submit", (event) => { event.preventDefault(); play(view, form, go, status); });
  show("What if…", h("p", { class: "note" }, "The runs of the ledger are played again, as things are and as they might be. Nothing is changed."), form, status);
  changes.querySelector("input").focus();
}

/** One limit: another amount, another window. */
function change(rules, name, text) {
  const row = h("div", { class: "change" },
    labelled("Limit", h("select", { "data-what": "limit" }, options([[EVERY, "all limits"], ...rules.map((one) => [one, one])], name))),
    labelled("Amount", input({ "data-what": "amount", placeholder: "-20%, 300M, $10" })),
    labelled("Window", h("select", { "data-what": "window" }, options(WINDOWS, ""))),
    h("button", { type: "button", "aria-label": "Leave this limit out", onclick: () => { const next = row.previousElementSibling || row.nextElementSibling; row.remove(); (next || byId("dialog")).querySelector("select, button").focus(); } }, "✕"));
  row.querySelector("input").value = text;
  return row;
}

function moreChanges() {
  const pair = (...controls) => h("div", { class: "change two" }, controls);
  return h("details", null, h("summary", null, "A class, a budget, a model"), h("div", { class: "what-if" },
    pair(labelled("Work with the label", input({ name: "label", placeholder: "workflow=nightly" })), labelled("would be of class", h("select", { name: "class" }, options(CLASSES.map((name) => [name, name]), "low")))),
    pair(labelled("The team (* for each)", input({ name: "team", placeholder: "growth" })), labelled("would have a budget of", input({ name: "budget", placeholder: "$10/day" }))),
    pair(labelled("What used the model", input({ name: "old", placeholder: "claude-opus-4-8" })), labelled("would use", input({ name: "new", placeholder: "claude-haiku-4-5" })))));
}

/** What the form asks; a sentence where half of a question is missing. */
function asked(form) {
  const body = { amounts: {}, windows: {}, budgets: {}, classes: {}, models: {}, last: form.elements.last.value };
  body.policies = [...form.querySelectorAll("[name=policy]:checked")].map((box) => box.value);
  if (!body.policies.length) throw new Failure(0, "", "choose at least one under who decides");
  for (const row of form.querySelectorAll(".change:not(.two)")) {
    const [limit, amount, window_] = [...row.querySelectorAll("[data-what]")].map((field) => field.value.trim());
    for (const [changed, value, word] of [[body.amounts, amount, "amount"], [body.windows, window_, "window"]]) {
      if (value && Object.hasOwn(changed, limit)) throw new Failure(0, "", `${limit === EVERY ? "all limits have" : `${limit} has`} two ${word}s here: leave one out`);
      if (value) Object.defineProperty(changed, limit, { value, enumerable: true });
    }
  }
  const value = (name) => form.elements[name].value.trim();
  const pairs = [[body.classes, value("label"), value("class"), ""], [body.budgets, value("team"), value("budget"), "a budget needs a team (* for each) and an amount such as $10/day"],
    [body.models, value("old"), value("new"), "another model needs the name of the one that was used and of the one that would be"]];
  for (const [changed, name, text, missing] of pairs) {
    if (missing && Boolean(name) !== Boolean(text)) throw new Failure(0, "", missing);
    if (name) Object.defineProperty(changed, name, { value: text, enumerable: true });
  }
  return body;
}

/** Play until there is an answer, a reason why not, or the person cancels or closes. */
async function play(view, form, go, status) {
  const control = new AbortController(), dialog = byId("dialog"), leave = () => control.abort();
  const bar = h("progress", { max: 1, "aria-label": "Played" }), words = h("p", { class: "note", role: "status" }, "asking…");
  const cancel = h("button", { "data-deed": "cancel", onclick: leave }, "Cancel");
  let answer = null, refused = "";
  go.disabled = true;
  dialog.addEventListener("close", leave, { once: true });
  put(status, bar, words, h("div", { class: "deeds" }, cancel));
  try {
    const body = asked(form);
    cancel.focus();
    for await (const line of stream("v1/simulate", body, control.signal)) {
      if ("done" in line) { bar.value = line.done; put(words, `${percent(line.done)} played`); }
      if ("problem" in line) refused = line.problem;
      if ("answer" in line) answer = line.answer;
    }
    if (!answer && !refused) refused = "the service stopped before it was played to the end: play it again";
  } catch (failure) {
    if (!control.signal.aborted && failure.status === 401) return view.failed(failure);
    refused = control.signal.aborted ? "" : failure.message;
  } finally {
    go.disabled = false;
    dialog.removeEventListener("close", leave);
  }
  if (!form.isConnected) return undefined;
  put(status, refused && h("p", { class: "bad", role: "alert" }, `This was not played: ${refused}`), control.signal.aborted && h("p", { role: "status" }, "Cancelled; nothing was changed."), answer && outcome(answer, view.state.zone));
  const first = status.querySelector("h3") || go;
  first.focus({ preventScroll: true });
  first.scrollIntoView({ block: answer ? "start" : "nearest" });
  return undefined;
}
