"""What people steer a SQLite store's service by: editors' rules and experiments, changed by version."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from recsys.store.protocol import ConflictError


def put_rules(
    connection: sqlite3.Connection, rules: Sequence[Mapping[str, Any]], expected_version: int | None
) -> int:
    """See ``Store.put_rules``; earlier versions stay as the history."""
    version = int(connection.execute("SELECT coalesce(max(version), 0) FROM rules").fetchone()[0])
    if expected_version is not None and expected_version != version:
        raise ConflictError(
            f"the rules are at version {version}, not {expected_version}; read them again and "
            "repeat the change"
        )
    connection.execute("INSERT INTO rules VALUES (?, ?)", (version + 1, json.dumps(list(rules))))
    return version + 1


RUNS_VERSION = "SELECT coalesce(max(version), 0) FROM experiments"


def put_run(connection: sqlite3.Connection, run: Mapping[str, Any], expected_version: int) -> int:
    """See ``Store.put_run``."""
    version = int(connection.execute(RUNS_VERSION).fetchone()[0])
    if expected_version != version:
        raise ConflictError(
            f"the experiments are at version {version}, not {expected_version}: somebody else started or "
            "stopped one meanwhile; look at them again and repeat the change"
        )
    number = int(run["number"])
    if number == 0:
        number = 1 + int(connection.execute("SELECT coalesce(max(number), 0) FROM experiments").fetchone()[0])
    text = json.dumps({**run, "number": number})
    connection.execute("INSERT OR REPLACE INTO experiments VALUES (?, ?, ?)", (number, version + 1, text))
    return number
