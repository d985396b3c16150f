"""One work item of a plan under a lease, as a process: an order on standard input, an exit status in a file."""

import json
import os
import sys
from pathlib import Path

from quota_scheduler.wrapper.order import Order
from quota_scheduler.wrapper.run import run


def main() -> None:
    """Run it. The exit status is on the disk before this process ends, for a plan that was killed meanwhile."""
    told = json.load(sys.stdin)
    ticket, exit_file = told["ticket"], Path(told["exit_file"])
    order = Order(
        command=tuple(told["command"]),
        key=told["key"],
        labels=ticket["labels"],
        estimate=ticket.get("estimate", {}),
        describe=ticket.get("describe", {}),
        priority=ticket.get("class", ""),
        model=ticket.get("model", ""),
        wait=told["wait"],
        patience=told["patience"],
        url=told["url"],
    )
    status = run(order, dict(os.environ))
    beside = exit_file.with_name(f"{exit_file.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump({"key": order.key, "status": status}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(exit_file)
    sys.exit(status)


if __name__ == "__main__":
    main()
