// The first answers: they came with the page where nobody has to say who asks; else they are asked for at once.

import { ask } from "./ask.js";

const came = document.getElementById("first");

function given() {
  const { now, state, queue } = JSON.parse(came.textContent);
  came.remove();
  return [Promise.resolve({ ...state, now }), Promise.resolve(queue)];
}

const paths = ["v1/page", "v1/page/queue?from=0&most=20"];
const answers = came ? given() : paths.map((path) => ask("GET", path));

/** Answers by path, each to be taken once; failures are for whoever takes them. */
export const first = new Map(paths.map((path, place) => [path, answers[place]]));
for (const answer of answers) answer.catch(() => {});
