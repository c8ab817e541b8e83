"""Pages that wait to be read: some each round, so that a large sitemap is no load for its site."""

from collections.abc import Sequence
from datetime import UTC, datetime

from recsys.errors import DataError
from training.sync.catalogue import Catalogue
from training.sync.entries import Entry, Rules
from training.sync.fetch import Fetcher, TemporaryError
from training.sync.page import read_page
from training.sync.source import Reading
from training.sync.state import SyncState, Waiting


class Pages:
    """Gives entries without a title what their pages say.

    Args:
        fetcher: for the pages.
        rules: how entries become articles.
        most: pages a round; 0 reads none.
    """

    def __init__(self, fetcher: Fetcher, rules: Rules, most: int) -> None:
        self._fetcher, self._rules, self._most = fetcher, rules, most

    def set_aside(self, entries: Sequence[Entry], state: SyncState, catalogue: Catalogue) -> list[Entry]:
        """The entries that need no page; the others wait."""
        ready = []
        for entry in entries:
            url, digest = entry.fields.get("url"), entry.digest(str(self._rules))
            known = state.articles.get(entry.key)
            name = known.article_id if known else catalogue.id_of(entry.key, url)
            changed = known is not None and known.digest != digest
            wanted = not entry.fields.get("title") and (changed or not catalogue.knows(name))
            if not self._most or not wanted or not url:
                ready.append(entry)
            elif state.no_article.get(entry.key) != digest:
                touched = entry.touched.timestamp() if entry.touched else None
                state.waiting[entry.key] = Waiting(place=entry.place, url=url, touched=touched, digest=digest)
        return ready

    def read(self, state: SyncState, reading: Reading) -> list[Entry]:
        """Entries of the next pages."""
        state.waiting = {key: waiting for key, waiting in state.waiting.items() if key in reading.keys}
        state.no_article = {key: digest for key, digest in state.no_article.items() if key in reading.keys}
        return [
            entry
            for key in list(state.waiting)[: self._most]
            if (entry := self._read_one(key, state, reading)) is not None
        ]

    def _read_one(self, key: str, state: SyncState, reading: Reading) -> Entry | None:
        waiting = state.waiting.pop(key)
        try:
            page = self._fetcher.get(waiting.url)
            fields, dated, touched = read_page(page.body or b"", waiting.url, page.content_type, self._rules)
        except TemporaryError:
            # behind the others, so that one that hangs holds up none
            state.waiting[key] = waiting
            return None
        except DataError as error:
            reading.refused.append(f"{waiting.place}: {error}")
            state.no_article[key] = waiting.digest
            return None
        if touched is None and waiting.touched is not None:
            touched = datetime.fromtimestamp(waiting.touched, UTC)
        return Entry(waiting.place, key, fields, dated, touched, known_as=waiting.digest)
