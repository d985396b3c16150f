// The first questions, on their way while the other modules are still coming.

import { ask } from "./ask.js";

/** Answers by path, each to be taken once; failures are for whoever takes them. */
export const first = new Map(["v1/page", "v1/page/queue?from=0&most=20"].map((path) => [path, ask("GET", path)]));
for (const answer of first.values()) answer.catch(() => {});
