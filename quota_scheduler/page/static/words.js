// Spans, clocks and amounts as they are read at a glance; the same words as `quota-scheduler watch` has.

export const UNKNOWN = "unknown";
const clocks = new Map();

function parts(zone, at) {
  if (!clocks.has(zone)) {
    const form = { timeZone: zone, hourCycle: "h23", weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" };
    clocks.set(zone, new Intl.DateTimeFormat("en-GB", form));
  }
  return Object.fromEntries(clocks.get(zone).formatToParts(at).map((part) => [part.type, part.value]));
}

const days = new Map();
function dayNumber(zone, at) {
  if (!days.has(zone)) days.set(zone, new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }));
  return Date.parse(days.get(zone).format(at) + "T00:00:00Z") / 86400000;
}

/** A span in two units at most: 45 s, 13 min, 2 h 05, 3 d 4 h. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 100) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")}`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** An instant in a zone, as far as one needs it: 17:52, Mon 09:00, 1 Dec 00:00. */
export function clock(text, zone, now) {
  const at = new Date(text);
  const p = parts(zone, at);
  const ahead = dayNumber(zone, at) - dayNumber(zone, now);
  if (ahead === 0) return `${p.hour}:${p.minute}`;
  if (ahead > 0 && ahead < 7) return `${p.weekday} ${p.hour}:${p.minute}`;
  const year = Math.abs(ahead) > 300 ? ` ${p.year}` : "";
  return `${p.day} ${p.month}${year} ${p.hour}:${p.minute}`;
}

/** The same where another day is meant as easily: today 17:52. */
export function dated(text, zone, now) {
  return dayNumber(zone, new Date(text)) === dayNumber(zone, now) ? `today ${clock(text, zone, now)}` : clock(text, zone, now);
}

/** A civil day as an axis has it: 27 Nov. */
export function day(text) {
  const [year, month, date] = text.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1, date)).toLocaleDateString("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
}

export function percent(ratio) {
  if (ratio === null || ratio === undefined) return UNKNOWN;
  const value = ratio * 100;
  return `${value > 0 && value < 1 ? "<1" : Math.round(value)} %`;
}

/** A number of up to three digits and a letter: 980, 12.4k, 2.5M. */
export function short(value) {
  const size = Math.abs(value);
  for (const [scale, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= scale * 0.9995) {
      const scaled = value / scale;
      return `${Number(scaled.toPrecision(3))}${letter}`;
    }
  }
  return String(Math.round(value * 10) / 10);
}

export function money(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const size = Math.abs(value), sign = value < 0 ? "-" : "";
  if (size > 0 && size < 0.005) return "< $0.01";
  return `${sign}$${size >= 1000 ? Math.round(size).toLocaleString("en-US") : size.toFixed(2)}`;
}

/** An amount in the unit of its limit. */
export function amount(value, unit) {
  if (value === null || value === undefined) return UNKNOWN;
  if (unit === "usd") return money(value);
  if (unit === "percent") return `${Number(value.toFixed(1))} %`;
  return short(value);
}

const UNITS = { usd: "", tokens: "tokens", requests: "requests", leases: "leases", percent: "points", weighted: "weighted tokens" };

export function unitWord(unit) {
  return unit in UNITS ? UNITS[unit] : unit;
}

export function count(number, one, many) {
  return `${number.toLocaleString("en-US")} ${number === 1 ? one : many || one + "s"}`;
}

/** Who a ticket is of: team, project, workflow and agent as far as it names them, else its provider. */
export function whose(ticket) {
  const labels = ticket.labels || {};
  const named = ["team", "project", "workflow", "agent"].map((name) => labels[name]).filter(Boolean);
  return named.join("/") || labels.provider || ticket.key;
}
