"""Numbers, sizes and durations in the words that a person reads."""


def size_text(size: float) -> str:
    """Returns bytes with the unit that suits them.

    >>> size_text(0), size_text(1536), size_text(5_300_000)
    ('0 B', '1.5 kB', '5.1 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.0f} B" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError  # the last unit takes every size


def count_text(number: int, noun: str) -> str:
    """Returns a number with its noun.

    >>> count_text(1, "chunk"), count_text(1200, "chunk")
    ('1 chunk', '1,200 chunks')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short_number(number: int) -> str:
    """Returns a number in few digits.

    >>> short_number(950), short_number(12_400), short_number(3_250_000)
    ('950', '12k', '3.2M')
    """
    if number < 1000:
        return str(number)
    return f"{number / 1000:.{1 if number < 9950 else 0}f}k" if number < 999_500 else f"{number / 1e6:.1f}M"


def rate_text(rate: float) -> str:
    """Returns a number a second with as many digits as matter.

    >>> rate_text(0.43), rate_text(8.0), rate_text(1240.6)
    ('0.4', '8.0', '1,241')
    """
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}"


def duration(seconds: float) -> str:
    """Returns seconds as hours, minutes and seconds.

    >>> duration(75), duration(3725)
    ('1:15', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def about_time(seconds: float | None) -> str:
    """Returns how long something will take, as roughly as it is known.

    >>> about_time(0.4), about_time(9.2), about_time(400), about_time(9000), about_time(None)
    ('a moment', 'about 9 s', 'about 7 min', 'about 2.5 h', 'time unknown')
    """
    if seconds is None:
        return "time unknown"
    if seconds < 1.5:
        return "a moment"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
