"""What must be gone on the next request, whichever worker takes it.

Workers follow the store several times a second, and compare new articles with all others beside the
requests. An article that was hidden, withdrawn or put under embargo does not wait for either: every
request asks a number whether anything changed, and takes out of the lists what may not stand there.
"""

import logging

from recsys.errors import StoreError
from recsys.rules_editor import EditorRules
from recsys.store import Store
from serving.live import Live

log = logging.getLogger("recsys.serving")
_AT_ONCE = 1_000


class Urgent:
    """Takes articles out of the lists, and rules and experiments into force, before a request is answered.

    Args:
        store: tells of changes.
        live: the lists.
    """

    def __init__(self, store: Store, live: Live) -> None:
        self._store, self._live = store, live
        self._number, self._seq = store.changes(), 0

    def look(self) -> None:
        """Follow what is urgent; costs next to nothing while nothing changed."""
        number = self._store.changes()
        if number == self._number:
            return
        try:
            self._take_out()
            version, rules = self._store.get_rules()
            self._live.follow_runs()
        except StoreError as error:
            # the lists go on from what is known, and the next request looks again
            log.warning("changes_unread", extra={"reason": str(error)})
            return
        if version != self._live.rules.version:
            self._live.rules = EditorRules.of(version, rules)
        self._number = number

    def _take_out(self) -> None:
        every = self._live.all
        self._seq = max(self._seq, min(served.article_seq for served in every))
        while changes := self._store.changes_after(self._seq, _AT_ONCE):
            for change in changes:
                for served in every:
                    served.state.catalog.withdraw(change.article_id, change.article)
            self._seq = changes[-1].seq
