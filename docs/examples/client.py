"""What a page does with the lists: ask, then tell what was seen and clicked. Standard library only.

python docs/examples/client.py --url http://127.0.0.1:8000 --article world-arms-deal
"""

import argparse
import json
import secrets
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import Any


def call(url: str, key: str | None, body: Any = None) -> dict[str, Any]:
    """GET, or POST where there is a body; the answer as JSON."""
    headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def event(kind: str, article_id: str, session_id: str, now: str, **more: Any) -> dict[str, Any]:
    """One event with an id of its own, so that sending it twice counts once."""
    base = {"event_id": secrets.token_hex(12), "type": kind, "ts": now}
    return {**base, "article_id": article_id, "session_id": session_id, **more}


def main() -> None:
    """Ask for a page, print it, and send a view, impressions and a click."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--url", default="http://127.0.0.1:8000")
    asked.add_argument("--article", required=True)
    asked.add_argument("--session", default=f"visitor-{secrets.token_hex(4)}")
    asked.add_argument("--key", help="the public key, if the service has one")
    given = asked.parse_args()
    where = urllib.parse.urlencode({"article_id": given.article, "session_id": given.session, "limit": 4})
    page = call(f"{given.url}/v1/page?{where}", given.key)
    for surface, found in page["lists"].items():
        print(f"{found['title']} ({surface})")
        for item in found["items"]:
            print(f"  {item['position']}. {item['article']['title']}")
    # the service's clock, which a demo may have set
    now = call(f"{given.url}/health/ready", None)["time"] or datetime.now(UTC).isoformat()
    events = [event("view", given.article, given.session, now)]
    for surface, found in page["lists"].items():
        for item in found["items"]:
            shown = {"request_id": page["request_id"], "surface": surface, "position": item["position"]}
            seen = event("impression", item["article_id"], given.session, now, **shown)
            events.append(seen | {"context_article_id": given.article})
    first = page["lists"]["related"]["items"][0]
    origin = {"request_id": page["request_id"], "surface": "related", "position": 1}
    clicked = event("click", first["article_id"], given.session, now, **origin)
    events.append(clicked | {"context_article_id": given.article})
    print(call(f"{given.url}/v1/events", given.key, events))


if __name__ == "__main__":
    main()
