// Elements from values: text enters the page as text only, whatever it says.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : shown(String(value)));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(shown(String(child))));
  }
  return element;
}

/** An HTML element; attributes that are null or false are left out, `onclick` and its like are listened to. */
export function h(tag, props, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** The same of a picture. */
export function svg(tag, props, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

/** Text as it may stand here: what a name could do to the direction or the lines of a text is written out. */
export function shown(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (sign) => "\\u" + sign.charCodeAt(0).toString(16).padStart(4, "0"));
}

export function byId(id) {
  return document.getElementById(id);
}

/** Put nodes into a parent in place of what it holds. */
export function put(parent, ...children) {
  return filled(parent, null, (parent.replaceChildren(), children));
}

/**
 * Keep a child for each item: what has not changed stays the node it was, with its focus and selection.
 * `extra` is part of what a child looks like beside its item.
 */
export function keep(parent, items, keyOf, draw, extra = "") {
  const kept = parent.kept || (parent.kept = new Map());
  const next = new Map();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const sign = JSON.stringify(item) + extra;
    let entry = kept.get(key);
    if (!entry || entry.sign !== sign || entry.node.parentNode !== parent) {
      const before = entry && entry.node.parentNode === parent ? entry.node : null;
      const node = draw(item);
      if (before) {
        const focused = before.contains(document.activeElement) ? document.activeElement.dataset.deed || "" : null;
        if (place === before) place = node;
        before.replaceWith(node);
        if (focused !== null) refocus(node, focused);
      }
      entry = { node, sign };
    }
    next.set(key, entry);
    if (entry.node !== place) parent.insertBefore(entry.node, place);
    else place = place.nextElementSibling;
  }
  const staying = new Set([...next.values()].map((entry) => entry.node));
  for (const child of [...parent.children]) if (!staying.has(child)) child.remove();
  parent.kept = next;
}

function refocus(node, deed) {
  const again = deed && node.querySelector(`[data-deed="${CSS.escape(deed)}"]`);
  const first = again || node.querySelector("button, a, input");
  if (first) first.focus();
}

/** A time that goes on by itself: `ticking` writes it anew each second. */
export function since(at, how, more = {}) {
  return h("time", { datetime: at, "data-how": how, ...more });
}
