"""The frame of all pages: HTML without scripts, its style, and headers that forbid everything else."""

import base64
import functools
import hashlib
import math

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from analytics_export.answers import QUESTION_HEADERS, Answer
from analytics_export.errors import ExportError, TryAgainLater

STYLE = """
:root{color-scheme:light dark;
--text:#1b1f24;--quiet:#57606a;--ground:#fff;--line:#d0d7de;--code:#f3f5f7;--link:#0550ae;
--good:#1a7f37;--on-good:#fff;--bad:#b42318;--on-bad:#fff}
@media (prefers-color-scheme:dark){:root{--text:#e6e9ed;--quiet:#a3acb6;--ground:#14181d;--line:#3a424b;--code:#20262d;
--link:#7cb7ff;--good:#3fb950;--on-good:#04220c;--bad:#ff8278;--on-bad:#2b0503}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem clamp(.75rem,3vw,2.5rem) 3rem;max-width:84rem;background:var(--ground);
color:var(--text);font:1rem/1.5 system-ui,sans-serif}
h1{margin:0;font-size:1.6rem;line-height:1.25}
h2{margin:2.5rem 0 .25rem;font-size:1.25rem}
h3{margin:1.25rem 0 .25rem;font-size:1rem}
p,ul,ol{margin:.25rem 0 .75rem}
a{color:var(--link)}
.quiet,caption{color:var(--quiet)}
.state{margin:1rem 0;padding:.6rem .9rem;border:1px solid var(--line);border-left:.4rem solid var(--good);
border-radius:.25rem;font-weight:600}
.state.m{border-left-color:var(--bad)}
code{font:.85rem/1.45 ui-monospace,monospace}
pre{margin:.4rem 0 .8rem;padding:.6rem .8rem;border-radius:.25rem;background:var(--code);white-space:pre-wrap;
overflow-wrap:anywhere}
table{border-collapse:collapse}
caption,th{text-align:left;font-weight:600}
.list td,.list th{padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
.list td{overflow-wrap:anywhere}
.list .number{text-align:right;font-variant-numeric:tabular-nums}
.sign::before{display:inline-block;width:1.4em;height:1.4em;margin-right:.45em;border-radius:.2rem;text-align:center;
line-height:1.4em}
.years{display:flex;flex-wrap:wrap;align-items:flex-start;gap:1rem 2.5rem}
.grid{table-layout:fixed;width:100%;border-collapse:separate;border-spacing:1px}
.grid caption{padding-bottom:.2rem;font-size:.9rem}
.grid th{width:2.1rem;padding:0;color:var(--quiet);font-size:.75rem;font-weight:400}
.grid thead th{width:auto;text-align:center}
.grid thead td{width:2.1rem}
.grid td{height:1.15rem;padding:0;border-radius:.15rem;text-align:center;font-size:.75rem;line-height:1}
.daily{flex:1 1 33rem;max-width:42rem}
.weekly{flex:1 1 19rem;max-width:24rem}
.monthly{flex:1 1 100%;max-width:34rem}
.weekly td,.monthly td{height:1.4rem}
td b{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
td.c,.sign.c::before{background:var(--good);color:var(--on-good)}
td.m,.sign.m::before{background:var(--bad);color:var(--on-bad);font-weight:700}
td.n,.sign.n::before{box-shadow:inset 0 0 0 1px var(--line);color:var(--quiet)}
td.c::after,.sign.c::before{content:"\\2713";content:"\\2713"/""}
td.m::after,.sign.m::before{content:"\\2715";content:"\\2715"/""}
td.n::after,.sign.n::before{content:"\\b7";content:"\\b7"/""}
td i{margin-right:.25em;font-style:normal}
@media (max-width:40rem){
.daily{flex-basis:100%}
.daily td{height:1.35rem;font-size:.6rem}
.daily th,.daily thead td{width:1.6rem;font-size:.65rem}
.daily thead th{width:auto;font-size:0}
.daily thead th:nth-child(5n+1),.daily thead th:nth-child(2){font-size:.55rem}
.summary thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.summary,.summary tbody,.summary tr,.summary td,.summary th{display:block}
.summary tr{padding:.5rem 0;border-bottom:1px solid var(--line)}
.summary td,.summary th{padding:0;border:0}
.summary td.number{text-align:left}
.summary td::before{content:attr(data-of) ": ";color:var(--quiet)}
}
@media print{
body{max-width:none;padding:0;font-size:.8rem}
h2{break-after:avoid}
table,pre{break-inside:avoid}
td.c,td.m,.sign::before{print-color-adjust:exact}
a{color:inherit}
}
"""

FRAME = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}{% endblock %}</title>
<link rel="icon" href="data:,">
<style>{{ style }}</style>
</head>
<body>
{% block body %}{% endblock %}
</body>
</html>
"""

HEADERS = {
    **QUESTION_HEADERS,
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


def answer(template: str, error: ExportError | None, **values: object) -> Answer:
    """Return a page as an answer, with an error's status; `template` extends "frame". All values are escaped."""
    body = _environment().from_string(template).render(style=Markup(STYLE), **values)  # noqa: S704 - a constant of ours
    retry_after = {"Retry-After": str(math.ceil(error.retry_after_s))} if isinstance(error, TryAgainLater) else {}
    return body, 200 if error is None else error.status, HEADERS | retry_after


def size(size_bytes: int) -> str:
    """Return a size as text, such as 734.0 MB."""
    value, units = float(size_bytes), iter(["kB", "MB", "GB", "TB"])
    if size_bytes < 1000:  # noqa: PLR2004 - SI units
        return f"{size_bytes} B"
    while value >= 1000:  # noqa: PLR2004 - likewise
        value, unit = value / 1000, next(units, "PB")
    return f"{value:,.1f} {unit}"


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=DictLoader({"frame": FRAME}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["size"] = size
    return made
