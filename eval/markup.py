"""HTML and SVG made of strings: every text and attribute is escaped here, and nowhere else."""

import re
from html import escape

_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """A string that is markup already and is not escaped again."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Returns a value as markup that shows it; characters that no document may hold are replaced."""
    return value if isinstance(value, Markup) else Markup(escape(clean(str(value))))


def clean(value: str) -> str:
    """Replaces control characters and halves of surrogate pairs, which HTML and UTF-8 do not take."""
    return _UNSAFE.sub("\ufffd", value)


def element(name: str, *content: object, **attributes: object) -> Markup:
    """Returns an element; `class_` and `stroke_width` become `class` and `stroke-width`.

    An attribute that is None or False is left out, one that is True has no value.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        parts.append(attribute if value is True else f'{attribute}="{escape(clean(_short(value)))}"')
    return Markup(f"<{' '.join(parts)}>{''.join(map(text, content))}</{name}>")


def join(*parts: object) -> Markup:
    """Returns the parts one after the other."""
    return Markup("".join(map(text, parts)))


def _short(value: object) -> str:
    """Writes numbers without digits that nobody sees."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
