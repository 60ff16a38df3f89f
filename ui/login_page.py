"""The pages of the login, in the application's look: plain forms, which work without a script."""

import html

TITLE = "RAG Embedder Bakeoff"

STYLE = """
:root { color-scheme: light dark; --page: #fafafa; --surface: #fff; --line: #e4e4e7; --text: #18181b;
  --muted: #5f5f68; --accent: #4f46e5; --press: #4338ca; --bad: #b42318; --bad-soft: #fef3f2; }
@media (prefers-color-scheme: dark) { :root { --page: #111113; --surface: #1a1a1e; --line: #3a3a42; --text: #ececef;
  --muted: #a3a3ad; --accent: #4f46e5; --press: #6366f1; --bad: #fda29b; --bad-soft: #3a1a18; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100dvh; display: grid; place-items: center; padding: 24px; background: var(--page);
  color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; }
main { width: 100%; max-width: 360px; background: var(--surface); border: 1px solid var(--line);
  border-radius: 12px; padding: 28px; }
svg { display: block; width: 36px; height: 36px; margin-bottom: 16px; }
h1 { margin: 0; font-size: 19px; font-weight: 650; letter-spacing: -.01em; }
p { margin: 4px 0 20px; color: var(--muted); }
.bad { padding: 10px 12px; border-radius: 8px; background: var(--bad-soft); color: var(--bad); margin: 0 0 16px; }
label { display: block; font-weight: 550; font-size: 14px; margin-bottom: 14px; }
input { display: block; width: 100%; margin-top: 5px; padding: 9px 11px; font: inherit; font-size: 16px;
  font-weight: 400; color: inherit; background: var(--page); border: 1px solid var(--line); border-radius: 8px; }
button, .go { display: block; width: 100%; margin-top: 20px; padding: 10px; font: inherit; font-weight: 600;
  color: #fff; background: var(--accent); border: 0; border-radius: 8px; cursor: pointer; text-align: center;
  text-decoration: none; }
button:hover, .go:hover { background: var(--press); }
.quiet { color: var(--text); background: none; border: 1px solid var(--line); margin-top: 10px; }
.quiet:hover { background: var(--page); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""
MARK = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="#4f46e5"/>'
    '<path d="M8 11h16M8 16h10M8 21h13" stroke="#fff" stroke-width="2.6" stroke-linecap="round"/></svg>'
)


def login_html(to: str, name: str = "", trouble: str = "") -> str:
    """Returns the page that asks for name and password; `to` is where it leads, `trouble` why it is shown again."""
    told = f'<div class="bad" role="alert">{html.escape(trouble)}</div>' if trouble else ""
    focus = ("", " autofocus") if name else (" autofocus", "")
    return _page(
        "Log in",
        f"<h1>{TITLE}</h1><p>Log in to chat with the documents.</p>{told}"
        f'<form method="post" action="login"><input type="hidden" name="to" value="{html.escape(to)}">'
        f'<label>User<input name="user" value="{html.escape(name)}" autocomplete="username" autocapitalize="none" '
        f'spellcheck="false" required maxlength="64"{focus[0]}></label>'
        '<label>Password<input type="password" name="password" autocomplete="current-password" required '
        f'maxlength="1024"{focus[1]}></label><button>Log in</button></form>',
    )


def account_html(user: str) -> str:
    """Returns the page of somebody who is logged in: who it is, back to the application, and out of it."""
    return _page(
        "Account",
        f"<h1>{TITLE}</h1><p>You are logged in as <b>{html.escape(user)}</b>.</p>"
        '<a class="go" href="./">Back to the documents</a>'
        '<form method="post" action="logout"><button class="quiet">Log out</button></form>',
    )


def _page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title} – {TITLE}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>'
        f"<body><main>{MARK}{content}</main></body></html>"
    )
