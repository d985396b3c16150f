// What came with the page: its first figures, where nobody has to say who asks.

const came = document.getElementById("first");

/** The state, the rows of the queue and the service's now; null where they have to be asked for. */
export const given = came && JSON.parse(came.textContent);
if (came) came.remove();
