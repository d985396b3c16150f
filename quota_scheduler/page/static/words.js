// Spans, clocks and amounts as they are read at a glance; the same words as `quota-scheduler watch` has.

export const UNKNOWN = "unknown";
const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const QUARTER_MS = 15 * 60e3;
const MOST_AHEAD = 2000;
const clocks = new Map();
const aheads = new Map();

/** How far clocks of a zone are ahead of UTC, in ms: looked up once for each quarter of an hour, and for UTC not at all. */
function ahead(zone, ms) {
  if (zone === "UTC") return 0;
  const key = `${zone} ${Math.floor(ms / QUARTER_MS)}`;
  if (aheads.has(key)) return aheads.get(key);
  if (aheads.size >= MOST_AHEAD) aheads.clear();
  if (!clocks.has(zone)) {
    const form = { timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" };
    clocks.set(zone, new Intl.DateTimeFormat("en-US", form));
  }
  const p = Object.fromEntries(clocks.get(zone).formatToParts(ms).map((part) => [part.type, Number(part.value)]));
  aheads.set(key, Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute) - Math.floor(ms / 60e3) * 60e3);
  return aheads.get(key);
}

/** What clocks of a zone say at an instant, as a date to be read in UTC. Throws RangeError where it is no instant. */
function civil(zone, at) {
  const ms = Number(at), there = new Date(ms + ahead(zone, ms));
  there.toISOString();
  return there;
}

function dayNumber(zone, at) {
  return Math.floor(civil(zone, at) / 86400e3);
}

/** Numbers in groups of three: 12,345. */
export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Which of two texts comes first, as their signs stand: instants of one form in the order of time. */
export function inOrder(one, other) {
  return one < other ? -1 : Number(one > other);
}

/** A span in two units at most: 45 s, 13 min, 2 h 05, 3 d 4 h. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 100) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${two(minutes % 60)}`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** An instant in a zone, as far as one needs it: 17:52, Mon 09:00, 1 Dec 00:00. */
export function clock(text, zone, now) {
  const p = civil(zone, new Date(text)), there = Math.floor(p / 86400e3) - dayNumber(zone, now);
  const time = `${two(p.getUTCHours())}:${two(p.getUTCMinutes())}`;
  if (there === 0) return time;
  if (there > 0 && there < 7) return `${WEEKDAYS[p.getUTCDay()]} ${time}`;
  const year = Math.abs(there) > 300 ? ` ${p.getUTCFullYear()}` : "";
  return `${p.getUTCDate()} ${MONTHS[p.getUTCMonth()]}${year} ${time}`;
}

const two = (number) => String(number).padStart(2, "0");

/** The same where another day is meant as easily: today 17:52. */
export function dated(text, zone, now) {
  return dayNumber(zone, new Date(text)) === dayNumber(zone, now) ? `today ${clock(text, zone, now)}` : clock(text, zone, now);
}

/** A civil day as an axis has it: 27 Nov. */
export function day(text) {
  const [, month, date] = text.split("-").map(Number);
  return `${date} ${MONTHS[month - 1]}`;
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
  return `${sign}$${size >= 1000 ? grouped(Math.round(size)) : size.toFixed(2)}`;
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
  return `${grouped(number)} ${number === 1 ? one : many || one + "s"}`;
}

/** Who a ticket is of: team, project, workflow and agent as far as it names them, else its provider. */
export function whose(ticket) {
  const labels = ticket.labels || {};
  const named = ["team", "project", "workflow", "agent"].map((name) => labels[name]).filter(Boolean);
  return named.join("/") || labels.provider || ticket.key;
}
