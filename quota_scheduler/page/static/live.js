// News without reload: a stream of events, read with the token; where it breaks, asking every few seconds until it is back.

import { headers } from "./ask.js";

const POLL_SECONDS = 5;
const SILENT_SECONDS = 15;

const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** Call `news` whenever there is something new, and `how` with "live" or "polling"; goes on for ever. */
export async function listen({ news, how, mayAsk }) {
  for (;;) {
    while (!mayAsk()) await wait(0.2);
    try {
      await stream(news, how);
    } catch {
      // said below: asking goes on without it
    }
    how("polling");
    if (mayAsk()) news();
    await wait(POLL_SECONDS);
  }
}

async function stream(news, how) {
  const control = new AbortController();
  let watchdog = setTimeout(() => control.abort(), SILENT_SECONDS * 1000);
  try {
    const reply = await fetch("v1/page/events", { headers: headers(), signal: control.signal, cache: "no-store", credentials: "omit" });
    if (!reply.ok || !reply.body) throw new Error(`no stream: ${reply.status}`);
    how("live");
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => control.abort(), SILENT_SECONDS * 1000);
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const name = /^event: (\w+)$/m.exec(event)?.[1], data = /^data: (.*)$/m.exec(event)?.[1];
        if (name && name !== "beat") news(data ? JSON.parse(data).revision : "");
      }
    }
  } finally {
    clearTimeout(watchdog);
    control.abort();
  }
}
