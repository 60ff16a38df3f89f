"""docs/commands.md says what the commands say."""

from ui.reference import PAGE, reference


def test_the_page_is_what_the_commands_say():
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: .venv/bin/python -m ui.reference"
