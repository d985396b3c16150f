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
