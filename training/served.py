"""Served lists that training believes: each once, none of a robot, the latest of them as objects."""

from pathlib import Path
from typing import Any

import ibis
from pydantic import ValidationError

from recsys.errors import DataError
from recsys.schemas import Exposure
from training.duck import Duck, Expr
from training.importing import first_defect
from training.writing import without_missing

_AT_ONCE = 20_000


class Served:
    """Lists of a log.

    Args:
        duck: where they lie.
        lists: canonical exposures.
        robots: (reader) whose lists go.
        most: lists that ``exposures`` gives; an object takes some kilobytes, a row of the database none.

    Attributes:
        believed: the lists, each (request_id, surface) once, as a table.
        total: rows at first.
        robots, repeats: rows that went.
        once: lists that are left.
        items: articles in them.
        older: lists beyond ``most``.
    """

    def __init__(self, duck: Duck, lists: Expr, robots: Expr, most: int) -> None:
        fields = [name for name in Exposure.model_fields if name in lists.columns]
        rows = duck.keep("lists", lists.select(*fields, "reader", "us", row=ibis.row_number()))
        people = rows.anti_join(robots, "reader")
        first = people.group_by("request_id", "surface").agg(row=people.row.min())
        self._duck, self._fields, self._most = duck, fields, most
        self.believed = duck.keep("believed", people.semi_join(first, "row"))
        self.total, kept = duck.number(rows.count()), duck.number(people.count())
        self.once = duck.number(self.believed.count())
        self.items = duck.number(self.believed["items"].length().sum())
        self.robots, self.repeats = self.total - kept, kept - self.once
        self.older = max(0, self.once - most)

    def exposures(self, data: Path) -> list[Exposure]:
        """The latest lists, in time order.

        Args:
            data: named in the error.

        Raises:
            DataError: a list breaks a rule.
        """
        latest = self.believed.order_by(ibis.desc("us"), ibis.desc("row")).limit(self._most)
        table = self._duck.arrow(latest.order_by("us", "row").select(*self._fields))
        found = []
        for batch in table.to_batches(_AT_ONCE):
            found += [_exposure(values, data) for values in batch.to_pylist()]
        return found


def _exposure(values: dict[str, Any], data: Path) -> Exposure:
    values = without_missing(values)
    values["items"] = [without_missing(item) for item in values["items"]]
    try:
        return Exposure.model_validate(values)
    except ValidationError as error:
        field, rule, _ = first_defect(error)
        raise DataError(
            f"{data / 'exposures'}: the list {values['request_id']!r}, {field}: {rule}; "
            f"'recsys validate {data}' lists every defect"
        ) from error
