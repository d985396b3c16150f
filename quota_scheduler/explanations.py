"""What every code of an error means and what to do: the page `/docs` shows it, `docs/reference/errors.md` holds it.

An error's `code` is the name of its entry in both, so a sentence that was seen leads to the line that explains it.
"""

from msgspec import Struct

PAGE = "docs/reference/errors.md"
SERVED = "/docs"
"""Where the running service shows the same, without another host."""


class Explanation(Struct, frozen=True):
    """An error: ``status`` of HTTP (0 when it is no answer), what it means, and the way out."""

    status: int
    meaning: str
    way_out: str


EXPLANATIONS: dict[str, Explanation] = {
    "not_json": Explanation(400, "The body is no JSON.", "The sentence names the place where it ends to be JSON."),
    "not_gzip": Explanation(
        400, "The body says gzip, and is none or ends in the middle.", "Send it again, or without `Content-Encoding`."
    ),
    "not_otlp": Explanation(
        400,
        "The body is no OTLP export of this signal.",
        "Each signal has its path: `/v1/logs`, `/v1/metrics`, `/v1/traces`; protobuf or JSON, as the header says.",
    ),
    "no_token": Explanation(
        401,
        "Tokens are configured, and the request brought none that is known.",
        "Send `Authorization: Bearer …`; the command line reads the token from `QUOTA_TOKEN`.",
    ),
    "role": Explanation(
        403,
        "The token is known, and its role may not do this.",
        "Use a token of the role that the sentence names, or ask an operator.",
    ),
    "bound": Explanation(
        403,
        "The path tells of everybody at once, and the token is bound to labels.",
        "Ask with a token without labels, or for what is told of one team: `/v1/limits`, `/v1/usage/history`.",
    ),
    "not_owner": Explanation(
        403,
        "The ticket belongs to another token.",
        "Only the token that submitted it, or an operator's, may act on it.",
    ),
    "foreign_origin": Explanation(
        403,
        "A page of another site asked in the name of whoever looks at it.",
        "Open the service's own page, or ask from a program, which sends neither `Origin` nor `Sec-Fetch-Site`.",
    ),
    "not_waiting": Explanation(
        409,
        "The ticket runs or is over, and only of one that waits the class can be changed.",
        "Look at it again: the sentence says what it is now.",
    ),
    "not_found": Explanation(
        404,
        "There is no such path, ticket, lease, alert or silence.",
        "Closed tickets are kept for a day; `/docs` lists the paths, `quota-scheduler queue` the tickets.",
    ),
    "no_limit": Explanation(404, "No limit has this name.", "The sentence lists those there are."),
    "no_forecast": Explanation(
        404,
        "The limit has no forecast: its history is too short, or it is a cap on each run and never resets.",
        "Wait for a week of history, or name a limit that has windows.",
    ),
    "method_not_allowed": Explanation(405, "The path is right, the method is not.", "`Allow` names those it has."),
    "http": Explanation(
        400, "The request is no HTTP that the router takes.", "The sentence says what is wrong with it."
    ),
    "too_slow": Explanation(
        408, "The body did not come whole in time.", "Send smaller arrays, or look at what lies between."
    ),
    "key_reused": Explanation(
        409,
        "The key names a ticket that was submitted with another body.",
        "Repeat the same body to get the same answer; use a new key for other work.",
    ),
    "stale_fence": Explanation(
        409,
        "The lease has ended, or passed to another runner.",
        "Stop: somebody else may do this work now. The usage that was sent is recorded.",
    ),
    "not_firing": Explanation(409, "The alert does not fire.", "There is nothing to acknowledge."),
    "no_rule": Explanation(409, "No alert rule fits the matcher.", "The sentence lists the rules."),
    "wrong_time": Explanation(
        409,
        "The silence would be over before it began, or last longer than two years.",
        "Name a later instant; switch a rule off in the configuration to be rid of it for good.",
    ),
    "too_large": Explanation(413, "The body is larger than the service reads.", "Send several smaller arrays."),
    "not_declared_json": Explanation(
        415, "The body does not say that it is JSON.", "Send `Content-Type: application/json`; `curl --json` does."
    ),
    "unknown_kind": Explanation(
        415, "The body is of a kind that this path does not read.", "The sentence names the kinds it reads."
    ),
    "unknown_encoding": Explanation(415, "The body is packed in an unknown way.", "Pack with gzip, or not at all."),
    "foreign_host": Explanation(
        421,
        "Without tokens the service answers to `localhost` and its own address only, and was called by another name.",
        "Call it by one of them, or configure tokens.",
    ),
    "invalid_body": Explanation(
        422,
        "The body is JSON and does not fit.",
        "`errors` holds a JSON pointer and a sentence for each place; `/docs` shows every key.",
    ),
    "invalid_query": Explanation(
        422, "A parameter of the query does not fit.", "The sentence names the parameter and what it takes."
    ),
    "too_many": Explanation(422, "The array has more entries than one request may have.", "Send it in parts."),
    "too_many_requests": Explanation(
        429,
        "The token asks more often than `rate_limit` allows.",
        "Come again when `Retry-After` says; the Python client and `run` do by themselves.",
    ),
    "internal_error": Explanation(
        500,
        "Something broke inside the service, and nothing of the request holds.",
        "The log of the service has the details under `request.failed`; the same request with the same key is safe.",
    ),
    "busy": Explanation(
        503,
        "Another process holds the database, or it is slow to answer.",
        "Ask again with the same key; use the service that runs instead of a second one on its file, or stop that one.",
    ),
    "draining": Explanation(503, "The service is stopping.", "Come again in a moment: `Retry-After` says when."),
    "not_written": Explanation(
        503,
        "The database could not be written, so nothing was recorded.",
        "Look at the space on its disk and at `quota-scheduler doctor`; the same request with the same key is safe.",
    ),
    "store": Explanation(
        503,
        "The database is not usable.",
        "The sentence says why; nothing half-written is left behind. `quota-scheduler doctor` checks what is there.",
    ),
    "not_ours": Explanation(
        503,
        "The file is no database of this program, or one of a newer version.",
        "Name another file with `--database`, or use the version that wrote it.",
    ),
    "config": Explanation(
        422,
        "The configuration is wrong; nothing was started or changed.",
        "Each line names a key and the way out; [Configuration](config.md) holds them all. "
        "`quota-scheduler config check` says whether all is well.",
    ),
    "start": Explanation(
        500, "The service cannot start as asked.", "Mostly the address is taken: choose another with `--listen`."
    ),
    "unreachable": Explanation(
        0,
        "Nothing answers where the service should be, or something else does.",
        "Start it with `quota-scheduler serve`, or name its address with `--listen`.",
    ),
    "nothing_there": Explanation(
        0,
        "Neither a service answers, nor is there a database to look into. The exit status is 3.",
        "Start the service once, or name the file with `--database`.",
    ),
    "refused": Explanation(
        0,
        "The service elsewhere does not take what `ship` sends.",
        "The sentence repeats its reason; nothing is lost, `ship` goes on where it was once the reason is gone.",
    ),
    "no_answer": Explanation(
        0,
        "Another server (a provider, GitHub) did not answer, or answered what nobody can read.",
        "It is asked again by itself; look at the address, the key and what lies between.",
    ),
    "no_identity": Explanation(
        0,
        "The GitHub App cannot say who it is.",
        "Look at its number and its key in the configuration; [Comments](../how-to/comment-on-github.md) shows both.",
    ),
    "no_library": Explanation(
        0, "The verb needs a library that is not installed.", "The sentence names what to install."
    ),
    "error": Explanation(500, "It could not be done.", "The sentence says why, and what to do."),
}
