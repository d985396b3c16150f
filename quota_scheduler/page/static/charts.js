// Pictures of a limit as SVG: a bar to compare by, a fan to see where it ends. Kinds differ in shape, not in colour alone.

import { svg } from "./dom.js";
import { UNKNOWN, amount, dated, day, isUnheard, money, percent } from "./words.js";

const HOUR_MS = 3600e3;

const clamp = (value, most) => Math.max(0, Math.min(most, value));

function used(row) {
  return row.unit === "leases" ? row.leases : row.used;
}

/** The part of a window that has passed, 0 to 1; null where it has no begin and end, or now is outside. */
export function elapsed(row, now) {
  if (!row.starts_at || !row.ends_at) return null;
  const from = Date.parse(row.starts_at), to = Date.parse(row.ends_at);
  return now >= from && now < to ? (now - from) / (to - from) : null;
}

/** What a bar shows, in words, for whoever cannot see it. */
export function said(row) {
  const forecast = row.forecast || {};
  const words = [isUnheard(row) ? `used ${UNKNOWN}` : `${percent(row.usage_ratio)} used`];
  if (row.reserved && row.amount) words.push(`${percent(row.reserved / row.amount)} reserved`);
  if (forecast.sufficient) {
    words.push(`expected ${percent(forecast.expected_ratio)} by the reset`);
    if (row.amount) words.push(`at worst ${percent(forecast.high / row.amount)}`);
  } else if (row.forecast) words.push("forecast unknown: too little history");
  return words.join(", ");
}

/** A bar, the whole limit wide: used, reserved, where it is expected to end, at worst; a tick for the even pace. */
export function bar(row, now) {
  const width = 200, whole = row.amount || 0, forecast = row.forecast || {};
  const x = (value) => (whole > 0 ? clamp((value / whole) * width, width) : value > 0 ? width : 0);
  const spent = x(used(row)), taken = row.unit === "leases" ? spent : x(used(row) + row.reserved);
  const parts = [svg("rect", { class: "track", x: 0, y: 3, width, height: 12 })];
  if (forecast.sufficient && whole > 0) {
    const expected = Math.max(taken, x(forecast.expected)), high = Math.max(expected, x(forecast.high));
    parts.push(svg("rect", { class: "high", x: taken, y: 6, width: high - taken, height: 6 }));
    parts.push(svg("rect", { class: "expected", x: taken, y: 5, width: expected - taken, height: 8 }));
  }
  parts.push(svg("rect", { class: "reserved", x: spent, y: 3, width: taken - spent, height: 12 }));
  parts.push(svg("rect", { class: "used", x: 0, y: 3, width: used(row) > 0 ? Math.max(2, spent) : 0, height: 12 }));
  const passed = elapsed(row, now);
  if (passed !== null) parts.push(svg("path", { class: "pace", d: `M${passed * width} 0v18` }));
  const ends = Math.max(row.unit === "leases" ? row.leases : used(row) + (row.reserved || 0), forecast.sufficient ? forecast.high : 0);
  if (whole > 0 && ends > whole * 1.0005) parts.push(svg("path", { class: "beyond", d: `M${width - 6} 3l6 6-6 6z` }));
  return svg("svg", { class: "limit-bar", viewBox: `0 0 ${width} 18`, preserveAspectRatio: "none", role: "img", "aria-label": said(row) }, parts);
}

/** The window as time: what is used, the fan to the reset, the even pace, and the limit as a line. */
export function fan(row, now, points = row.fan) {
  const width = 132, height = 34;
  if (!row.starts_at || !row.ends_at || !row.amount) return null;
  return picture(row, now, points, { width, height, left: 0, top: 2, right: 0, bottom: 1, small: true });
}

/** The same, large, with axes. */
export function largeFan(row, now, points, course = []) {
  const room = { width: 640, height: 240, left: 56, top: 12, right: 12, bottom: 26, small: false };
  return picture(row, now, points, room, course);
}

function picture(row, now, points, room, course = []) {
  const from = Date.parse(row.starts_at), to = Date.parse(row.ends_at);
  const most = Math.max(row.amount, row.used, ...(points || []).map((point) => point[point.length - 1])) * 1.06;
  const right = room.width - room.right, bottom = room.height - room.bottom;
  const x = (at) => room.left + clamp((at - from) / (to - from), 1) * (right - room.left);
  const y = (value) => bottom - (value / most) * (bottom - room.top);
  const at = Math.min(Math.max(now, from), to);
  const parts = [svg("path", { class: "pace-line", d: `M${x(from)} ${y(0)}L${x(to)} ${y(row.amount)}` })];
  if (points && points.length) {
    const low = 1, high = points[0].length - 1, middle = (low + high) / 2;
    parts.push(area(points, x, y, low, high, "fan-wide"));
    if (high - low >= 4) parts.push(area(points, x, y, low + 1, high - 1, "fan-narrow"));
    parts.push(svg("polyline", { class: "fan-middle", points: points.map((p) => `${round(x(Date.parse(p[0])))},${round(y(p[middle]))}`).join(" ") }));
  }
  if (course.length) parts.push(...past(row, course, { x, y, from, at, bottom }));
  else parts.push(svg("rect", { class: "fan-used", x: round(x(at) - 1.5), y: round(y(row.used)), width: 3, height: round(bottom - y(row.used)) }));
  parts.push(svg("circle", { class: "fan-now", cx: round(x(at)), cy: round(y(row.used)), r: room.small ? 2.5 : 4 }));
  parts.push(svg("path", { class: "limit-line", d: `M${room.left} ${round(y(row.amount))}H${right}` }));
  parts.push(svg("path", { class: "axis", d: `M${room.left} ${bottom}H${right}` }));
  if (!room.small) parts.push(...axes(row, now, { x, y, room, right, bottom, from, to, most }));
  const label = points && points.length ? `forecast to the reset: ${said(row)}` : `no forecast yet: ${said(row)}`;
  return svg("svg", { class: room.small ? "fan" : "fan large", viewBox: `0 0 ${room.width} ${room.height}`, role: "img", "aria-label": label }, parts);
}

/** Use so far as a line over its area: hour by hour, and from the last whole hour to what is used now. */
function past(row, course, { x, y, from, at, bottom }) {
  const line = [[from, 0]];
  for (const [text, value] of course) {
    const until = Math.min(Date.parse(text), at), before = line[line.length - 1];
    const begin = Math.max(from, Math.floor((until - 1) / HOUR_MS) * HOUR_MS);
    if (begin > before[0]) line.push([begin, before[1]]);
    line.push([until, Math.min(value, row.used)]);
  }
  line.push([at, line[line.length - 1][1]], [at, row.used]);
  const there = line.map(([when, value]) => `${round(x(when))},${round(y(value))}`);
  return [svg("polygon", { class: "past-area", points: [`${round(x(from))},${bottom}`, ...there, `${round(x(at))},${bottom}`].join(" ") }), svg("polyline", { class: "past-line", points: there.join(" ") })];
}

function area(points, x, y, low, high, name) {
  const there = points.map((p) => `${round(x(Date.parse(p[0])))},${round(y(p[high]))}`);
  const back = points.map((p) => `${round(x(Date.parse(p[0])))},${round(y(p[low]))}`).reverse();
  return svg("polygon", { class: name, points: [...there, ...back].join(" ") });
}

function axes(row, now, { x, y, room, right, bottom, from, to }) {
  const zone = row.timezone, marks = [];
  for (const value of [0, row.amount / 2, row.amount]) {
    marks.push(svg("text", { class: "tick", x: room.left - 6, y: round(y(value) + 4), "text-anchor": "end" }, amount(value, row.unit)));
  }
  for (const [at, anchor] of [[from, "start"], [to, "end"]]) {
    marks.push(svg("text", { class: "tick", x: x(at), y: bottom + 16, "text-anchor": anchor }, dated(at, zone, now)));
  }
  const here = x(now);
  if (here > room.left + 90 && here < right - 90) marks.push(svg("text", { class: "tick", x: here, y: bottom + 16, "text-anchor": "middle" }, "now"));
  marks.push(svg("text", { class: "tick", x: room.left + 4, y: round(y(row.amount) - 5) }, "limit"));
  return marks;
}

const round = (value) => Math.round(value * 10) / 10;

/** What each day cost, today last. */
export function costs(rows) {
  const width = 640, height = 150, bottom = 128, top = 16;
  const most = Math.max(...rows.map((row) => row.cost_usd), 0.01), step = width / rows.length;
  const bars = rows.flatMap((row, place) => {
    const tall = (row.cost_usd / most) * (bottom - top), x = place * step;
    const today = place === rows.length - 1;
    return [
      svg("rect", { class: today ? "cost today" : "cost", x: round(x + 2), y: round(bottom - tall), width: round(step - 4), height: round(tall) },
        svg("title", null, `${day(row.day)}: ${money(row.cost_usd)}`)),
      place % 3 === (rows.length - 1) % 3 && svg("text", { class: "tick", x: round(x + step / 2), y: bottom + 16, "text-anchor": "middle" }, today ? "today" : day(row.day)),
    ];
  });
  const label = `cost by day, ${day(rows[0].day)} to today, at most ${money(most)}`;
  return svg("svg", { class: "costs", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, bars,
    svg("path", { class: "axis", d: `M0 ${bottom}H${width}` }), svg("text", { class: "tick", x: 2, y: 11 }, `most: ${money(most)}`));
}

/** How much of what a lease reserved it has used; beyond it the bar is full and marked. */
export function leaseBar(ratio) {
  const width = 80, spent = clamp(ratio, 1) * width;
  return svg("svg", { class: ratio > 1 ? "lease-bar over" : "lease-bar", viewBox: `0 0 ${width} 10`, preserveAspectRatio: "none", role: "img", "aria-label": `${percent(ratio)} of what it reserved` },
    svg("rect", { class: "track", x: 0, y: 0, width, height: 10 }), svg("rect", { class: "used", x: 0, y: 0, width: spent, height: 10 }),
    ratio > 1 && svg("path", { class: "beyond", d: `M${width - 6} 0l6 5-6 5z` }));
}
