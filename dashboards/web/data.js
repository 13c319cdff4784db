// Where the numbers come from: the server beside the page, or files written by `raybench dashboard --export`.

import { STATIC } from "./static.js";

const LIVE = { api: liveApi, imageUrl: (params) => `api/image?${query(params)}` };
const adapters = { live: LIVE, static: STATIC };
const adapter = adapters[document.documentElement.dataset.adapter] ?? LIVE;

const kept = new Map();
const KEEP = 60;

/** A failed question: its message is a sentence that says what to do. */
export class Trouble extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** A canonical query string: empty values left out, keys in order. */
export function query(params) {
  const pairs = Object.entries(params ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return new URLSearchParams(pairs.sort(([a], [b]) => (a < b ? -1 : 1))).toString();
}

/**
 * Ask for one JSON document, e.g. api("board", {task: "vqa_rad"}).
 * Answers are kept for going back; `fresh` asks again. Throws Trouble.
 */
export function api(name, params = {}, { fresh = false } = {}) {
  const key = `${name}?${query(params)}`;
  if (fresh) kept.delete(key);
  if (!kept.has(key)) {
    const asked = adapter.api(name, params);
    kept.set(key, asked);
    asked.catch(() => kept.delete(key));
    if (kept.size > KEEP) kept.delete(kept.keys().next().value);
  }
  return kept.get(key);
}

/** The address of a sample's image: {task, dataset, split, sample, n, slice, window, thumb}. */
export const imageUrl = (params) => adapter.imageUrl(params);

export const isStatic = () => adapter !== LIVE;

async function liveApi(name, params) {
  const asked = query(params);
  let reply;
  try {
    reply = await fetch(`api/${name}${asked ? `?${asked}` : ""}`, { headers: { accept: "application/json" } });
  } catch {
    throw new Trouble("The server does not answer. Is `raybench dashboard` still running?", 0);
  }
  return read(reply);
}

async function read(reply) {
  let body = null;
  try {
    body = await reply.json();
  } catch { /* told below */ }
  if (!reply.ok) throw new Trouble(body?.error ?? `The server answered ${reply.status}.`, reply.status);
  if (body === null) throw new Trouble("The server's answer is not JSON.", reply.status);
  return body;
}
