"""Where the data that ships with the program lies: alert rules and dashboards.

In a checkout the folders stand beside the package, in a wheel they are installed inside it as ``_data/<name>``.
"""

from pathlib import Path

from quota_scheduler.errors import StartError

PACKAGE = Path(__file__).parent


def data_dir(name: str) -> Path:
    """Return the folder of shipped data ``alerts`` or ``grafana``. Raises StartError when the installation lacks it."""
    for folder in (PACKAGE / "_data" / name, PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise StartError(
        f"the folder {name!r} is missing from the installation in {PACKAGE}: install quota-scheduler again"
    )
