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


def put_runs(
    connection: sqlite3.Connection, runs: Sequence[Mapping[str, Any]], expected_version: int
) -> list[int]:
    """See ``Store.put_runs``."""
    count = "SELECT coalesce(max(version), 0), coalesce(max(number), 0) FROM experiments"
    version, last = map(int, connection.execute(count).fetchone())
    if expected_version != version:
        raise ConflictError(
            f"the experiments are at version {version}, not {expected_version}: somebody else started or "
            "stopped one meanwhile; look at them again and repeat the change"
        )
    numbers = []
    for run in runs:
        number = int(run["number"]) or last + 1
        last = max(last, number)
        text = json.dumps({**run, "number": number})
        connection.execute("INSERT OR REPLACE INTO experiments VALUES (?, ?, ?)", (number, version + 1, text))
        numbers.append(number)
    return numbers
