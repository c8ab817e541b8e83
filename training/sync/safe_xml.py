"""XML from strangers: entities of its own, and with them every known bomb, are refused."""

import re
from xml.etree.ElementTree import Element, ParseError

from defusedxml import EntitiesForbidden, ExternalReferenceForbidden
from defusedxml.ElementTree import fromstring

from recsys.errors import DataError

_CDATA = re.compile(rb"<!\[CDATA\[.*?\]\]>", re.DOTALL)


class XmlRefusedError(DataError):
    """XML that declares entities: nothing that feeds or sitemaps need, and the stuff of bombs."""


def read_xml(body: bytes, place: str) -> Element | None:
    """The root element, or None where the document is not well-formed.

    A document type without entities is harmless, and old RSS has one.

    Args:
        body: the document.
        place: for messages.

    Raises:
        XmlRefusedError: it declares or refers to what is outside of plain XML.
    """
    try:
        root: Element = fromstring(body.strip())
    except (EntitiesForbidden, ExternalReferenceForbidden) as error:
        raise _refused(place) from error
    except (ParseError, LookupError, ValueError) as error:
        # what no parser got to see may still be read by a lenient one
        if b"<!ENTITY" in _CDATA.sub(b"", body.replace(b"\0", b"")).upper():
            raise _refused(place) from error
        return None
    return root


def _refused(place: str) -> XmlRefusedError:
    return XmlRefusedError(
        f"{place}: the XML declares entities of its own, as XML bombs do, so it was not read; "
        "feeds and sitemaps need none: leave the declaration out"
    )
