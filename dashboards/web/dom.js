// Making elements. Whatever a model, a judge or a file wrote gets in as text nodes only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Show characters that would be invisible or swallowed (NUL, escape, ...) as their pictures. */
export function visible(text) {
  return String(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421");
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (name === "style") for (const [key, each] of Object.entries(value)) node.style.setProperty(key, each);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "tip") {
      node.dataset.tip = visible(value);
      if (!node.hasAttribute("tabindex") && !/^(a|button|input|select|summary)$/i.test(node.tagName)) node.tabIndex = 0;
    } else node.setAttribute(name, value === true ? "" : visible(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else node.append(child instanceof Node ? child : visible(child));
  }
}

/** An HTML element: h("p", {class: "quiet", on: {click}}, "text", node, [more]). */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** An SVG element. */
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

/** Text of unknown origin in a line: isolated, so that marks for right-to-left cannot reorder its neighbours. */
export const foreign = (text, props) => h("bdi", { class: "foreign", ...props }, text ?? "");

/** Text of unknown origin as a block; beyond `limit` characters it is cut, with a button that shows the rest. */
export function prose(text, limit = 1200, kind = "prose") {
  const whole = String(text ?? "");
  const block = h("div", { class: `foreign ${kind}`, dir: "auto" });
  if (whole.length <= limit * 1.2) {
    block.append(visible(whole));
    return block;
  }
  const shown = document.createTextNode(`${visible(whole.slice(0, limit))} …`);
  const button = h("button", { class: "link", type: "button", on: { click: () => toggle() } });
  let open = false;
  const label = () => { button.textContent = open ? "show less" : `show all ${whole.length.toLocaleString("en")} characters`; };
  const toggle = () => {
    open = !open;
    shown.data = open ? visible(whole) : `${visible(whole.slice(0, limit))} …`;
    label();
  };
  label();
  block.append(shown);
  return h("div", { class: "cut" }, block, button);
}

/** Cut text to one line's worth. */
export const brief = (text, limit = 140) => {
  const line = String(text ?? "").slice(0, limit * 4).replace(/\s+/g, " ").trim();
  return line.length > limit ? `${line.slice(0, limit)}…` : line;
};

/** Say something to screen readers and, for two seconds, to everybody. */
export function say(text) {
  const place = document.getElementById("say");
  place.textContent = text;
  place.classList.add("seen");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { place.classList.remove("seen"); }, 2000);
}

export const option = (value, label, chosen) => h("option", { value, selected: value === chosen }, label ?? value);

/** A labelled <select>; `options` are [value, label], or [heading, [[value, label], ...]] for a group of them. */
export function choose(id, label, options, chosen, act) {
  const select = h("select", { id, on: { change: () => act(select.value) } },
    options.map(([value, text]) => (Array.isArray(text) ? h("optgroup", { label: value }, text.map(([each, name]) => option(each, name, chosen ?? ""))) : option(value, text, chosen ?? ""))));
  return h("label", { class: "field", for: id }, h("span", {}, label), select);
}

/** What stands in place of missing content: what it is, and what to do about it. */
export const state = (title, ...text) => h("section", { class: "state" }, h("h2", {}, title), text.map((each) => (each instanceof Node ? each : h("p", {}, each))));
