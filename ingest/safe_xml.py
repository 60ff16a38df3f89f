"""XML of files from anywhere: no entity is expanded, no other file and no network is read."""

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element


def read_xml(data: bytes) -> "_Element":
    """Returns the root element; raises lxml's XMLSyntaxError for what is not well-formed or larger than its limits."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(data, parser)


def read_member_xml(archive: zipfile.ZipFile, name: str) -> "_Element | None":
    """Returns the root element of a member, None where there is no such member."""
    return read_xml(archive.read(name)) if name in archive.namelist() else None
