// Asking the service: the token of this tab, answers or a reason, never anything of another host.

const KEY = "quota-scheduler token";

export class Failure extends Error {
  constructor(status, title, detail) {
    super(detail);
    this.status = status;
    this.title = title;
  }
}

/** The token stays in this tab: another one asks again, and closing it forgets it. */
export const token = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

export function headers(more = {}) {
  const secret = token.get();
  return secret ? { ...more, Authorization: `Bearer ${secret}` } : more;
}

/** Method, path, body: the answer's JSON. Throws Failure; its status is 0 where nothing answered. */
export async function ask(method, path, body, { seconds = 20 } = {}) {
  const options = { method, headers: headers(), signal: AbortSignal.timeout(seconds * 1000), cache: "no-store", credentials: "omit" };
  if (body !== undefined && body !== null) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let reply;
  try {
    reply = await fetch(path, options);
  } catch (error) {
    throw new Failure(0, "unreachable", error.name === "TimeoutError" ? `the service took longer than ${seconds} s` : "the service does not answer");
  }
  let content = null;
  try {
    content = await reply.json();
  } catch {
    throw new Failure(reply.ok ? 0 : reply.status, "no_json", "what answers is not this service");
  }
  if (!reply.ok) throw new Failure(reply.status, content.title || "", content.detail || `it answered ${reply.status}`);
  return content;
}

/** What a question is answered with line by line, each JSON; whoever aborts the signal ends it. Throws Failure. */
export async function* stream(path, body, signal) {
  const options = { method: "POST", headers: headers({ "Content-Type": "application/json", Accept: "application/x-ndjson" }), body: JSON.stringify(body), signal, cache: "no-store", credentials: "omit" };
  let reply, text = "";
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Failure(0, "unreachable", "the service does not answer");
  }
  if (!reply.ok) {
    const content = await reply.json().catch(() => ({}));
    throw new Failure(reply.status, content.title || "", content.detail || `it answered ${reply.status}`);
  }
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch {
      throw new Failure(0, "unreachable", "the connection to the service was lost");
    }
    if (part.done) return;
    const lines = (text + part.value).split("\n");
    text = lines.pop();
    for (const line of lines.filter(Boolean)) yield JSON.parse(line);
  }
}
