"""The bytes of a text file become text, whatever its encoding."""

import pytest

from ingest.decoding import decode, looks_like_text

UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Crème brûlée, Straße, naïve, £5 — “quoted”\n", "cp1252"),
        ("café", "cp1252"),
        ("L'été à la mer, où l'on est né", "cp1252"),
        ("Žluťoučký kůň úpěl ďábelské ódy", "cp1250"),
        ("Привет, как дела сегодня? Это короткий текст.", "cp1251"),
        ("こんにちは世界。これは短い文です。", "shift_jis"),
        ("你好世界，这是一个短文本。", "gb18030"),
        *(("Plain words, and Grüße.\n", encoding) for encoding in UNICODE),
    ],
)
def test_decoding(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert looks_like_text(data)
    assert decode(data).text == text


def test_a_few_damaged_bytes_leave_utf8_what_it_is() -> None:
    text, warnings = decode("Grüße, größer, schön. ".encode() * 9 + b"\xc3")
    assert text.startswith("Grüße") and text.endswith("\ufffd")
    assert len(warnings) == 1
