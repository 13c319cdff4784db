// The page's state is its address: every filter, choice and selection stands in the query.

let render = () => {};
export const onRoute = (act) => { render = act; };

export const params = () => new URLSearchParams(location.search);

/** The address with these changes; null removes a key, an array repeats it. `keep: false` starts from nothing. */
export function href(changes, keep = false) {
  const next = keep ? params() : new URLSearchParams();
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") next.append(name, each);
    }
  }
  return `?${next}`;
}

/** Go to an address: a new entry of the history, or with `replace` the same one. `quiet` draws nothing. */
export function go(address, { replace = false, quiet = false } = {}) {
  history.replaceState({ ...history.state, top: scrollY }, "");
  if (replace) history.replaceState(history.state, "", address);
  else history.pushState({ inner: true }, "", address);
  if (!quiet) render({ moved: !replace });
}

/** Change some of the state of this page. */
export const set = (changes, options = { replace: false }) => go(href(changes, true), options);

export function back() {
  if (history.state?.inner) history.back();
  else go(href({}));
}

/** Take over clicks on links to other states of the page; all else is the browser's. */
export function listen() {
  document.addEventListener("click", (event) => {
    const anchor = event.target.closest?.("a[href^='?']");
    if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (anchor.hasAttribute("download")) return;
    event.preventDefault();
    go(anchor.getAttribute("href"));
  });
  addEventListener("popstate", (event) => render({ top: event.state?.top ?? 0 }));
}
