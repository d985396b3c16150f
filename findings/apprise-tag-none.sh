#!/usr/bin/env bash
# Apprise: notify(tag=None) reaches nobody who has a tag, and an unknown notify_type is a silent no.
#
# Guess:   tag=None is the same as leaving tag out: everybody. A notify_type outside the four raises.
# Package: PyPI apprise 2.3.0, a json:// receiver on loopback.
# Seen:    * left out: both receivers; tag=None: only the receiver without a tag; with all receivers tagged: status
#            NOMATCH and nothing is sent;
#          * tag="ops": the tagged one only (the untagged one is not "for everybody"; a receiver tagged "always" is);
#          * notify_type="critical": falsy result, nothing sent, no exception.
# Why it matters: an optional tag passed through from a configuration (tag=receiver.get("tag")) turns "to everybody" into
#          "to nobody". Severity words of other systems (critical, error) must be mapped to the four types.
# Source:  observed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check apprise==2.3.0

cat >"$work/probe.py" <<'PROBE'
import http.server, threading
from apprise import Apprise

got = []
class Receiver(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        got.append(self.path.strip("/"))
        self.send_response(200)
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()

def send(receivers, **more):
    got.clear()
    service = Apprise()
    for name, tag in receivers.items():
        service.add(f"json://127.0.0.1:{server.server_port}/{name}", tag=tag)
    result = service.notify(body="80 % used", **more)
    return f"{result.status.name} {sorted(got)}"
mixed = {"plain": None, "tagged": "ops"}
print("tag left out      ", send(mixed))
print("tag=None          ", send(mixed, tag=None))
print("tag=None, all have", send({"one": "ops", "two": "team"}, tag=None))
print("tag='ops'         ", send(mixed, tag="ops"))
print("tag='ops', always ", send({"plain": None, "both": "always", "tagged": "ops"}, tag="ops"))
print("type 'critical'   ", send(mixed, notify_type="critical"))
PROBE

cat >"$work/recorded" <<'RECORDED'
tag left out       SUCCESS ['plain', 'tagged']
tag=None           SUCCESS ['plain']
tag=None, all have NOMATCH []
tag='ops'          SUCCESS ['tagged']
tag='ops', always  SUCCESS ['both', 'tagged']
type 'critical'    FAILURE []
RECORDED

"$work/venv/bin/python" -W ignore "$work/probe.py" 2>/dev/null | tee "$work/seen"
diff -u "$work/recorded" "$work/seen" || { echo "CHANGED: no longer as recorded"; exit 1; }
echo "as recorded"
