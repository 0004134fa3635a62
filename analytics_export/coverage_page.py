"""Coverage as a page: calendars, totals, and the requests that fill the gaps."""

import json
import re
import shlex
from collections.abc import Iterator

from markupsafe import Markup

from analytics_export.answers import Answer
from analytics_export.calendar_grid import Calendar, Mark, gaps
from analytics_export.coverage import Coverage, ExportCoverage, utc
from analytics_export.export_request import MAX_PERIODS
from analytics_export.page import answer
from analytics_export.periods import Frequency, Period

PAGE = """\
{% extends "frame" %}
{% block title %}Coverage of the analytics exports{% endblock %}
{% block body %}
<header>
<h1>Coverage of the analytics exports</h1>
<p class="quiet">Of <b>{{ analytics_id }}</b> in <b>gs://{{ bucket }}</b>, as of {{ moment(coverage.request.as_of) }}.
<a href="check">Check the set-up</a></p>
</header>
<main>
{% if not due %}
<p class="state">{{ "No period is due in what was asked for." if coverage.exports else
"No export has landed yet." }}</p>
<p>The <a href="check">check</a> says whether the set-up is right. What never came is shown when it is asked for by
name: <code>?aggregation=granular&amp;frequency=daily&amp;from=2026-01-01</code></p>
{% elif missing %}
<p class="state m">{{ "{:,}".format(missing) }} of {{ "{:,}".format(due) }} periods that are due
{{ "is" if missing == 1 else "are" }} missing.</p>
{% else %}
<p class="state">Nothing is missing: {{ "{:,}".format(due) }} of {{ "{:,}".format(due) }} periods that are due are
there.</p>
{% endif %}
{% if coverage.exports %}
<table class="list summary">
<thead><tr><th scope="col">Export</th><th scope="col" class="number">Complete</th>
<th scope="col" class="number">Missing</th><th scope="col" class="number">Size</th>
<th scope="col">Newest complete</th><th scope="col">Landed</th></tr></thead>
<tbody>
{% for export in coverage.exports %}
<tr><th scope="row"><a href="#{{ name(export) }}">{{ name(export) }}</a></th>
<td class="number" data-of="Complete">{{ "{:,}".format(export.complete|length) }}</td>
<td class="number" data-of="Missing">{{ "{:,}".format(export.missing|length) }}</td>
<td class="number" data-of="Size">{{ export.size_bytes|size }}</td>
<td data-of="Newest complete">{{ days(export.newest.export.period) if export.newest else "none" }}</td>
<td data-of="Landed">{{ moment(export.newest.completed_at) if export.newest else "never" }}</td></tr>
{% endfor %}
</tbody>
</table>
<p class="quiet"><span class="sign c">complete</span> &ensp; <span class="sign m">missing</span> &ensp;
<span class="sign n">not due yet: from 08:00 UTC on the day after its end</span></p>
{% endif %}
{% for export in coverage.exports %}
<section aria-labelledby="{{ name(export) }}">
<h2 id="{{ name(export) }}">{{ export.aggregation.capitalize() }}, {{ export.frequency }}</h2>
<div class="years">
{% for grid in calendar(export) %}
<table class="grid {{ export.frequency }}">
<caption>{{ grid.title }}: {{ grid.summary }}</caption>
<thead><tr><td></td>{% for column in grid.columns %}<th scope="col">{{ column }}{% endfor %}</tr></thead>
<tbody>
{% for heading, cells in grid.rows %}
<tr><th scope="row">{{ heading }}{% for cell in cells %}{{ opened[cell.mark] }}{% if cell.text %}<i>{{ cell.text
}}</i>{% endif %}{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% endfor %}
</div>
{% if export.missing %}
<h3>Gaps</h3>
<ul>
{% for gap in gaps(export) %}
<li>{{ days(gap.first) }}{% if gap.count > 1 %} up to {{ days(gap.last) }}: {{ gap.count }} periods{% endif %}

{% endfor %}
</ul>
<p>{{ "This request fills them" if commands(export)|length == 1 else "These requests fill them" }}; what is complete is
skipped.</p>
{% for command in commands(export) %}
<pre><code>{{ command }}</code></pre>
{% endfor %}
{% endif %}
</section>
{% endfor %}
</main>
{% endblock %}
"""
OPENED = {
    Mark.COMPLETE: Markup("<td class=c><b>complete</b>"),
    Mark.MISSING: Markup("<td class=m><b>missing</b>"),
    Mark.NOT_DUE: Markup("<td class=n><b>not due</b>"),
    Mark.NOTHING: Markup("<td>"),
}
"""How a cell begins. HTML allows to leave out its end tag, which makes a page of ten years a third shorter."""
LOCAL = {"localhost", "127.0.0.1", "[::1]"}
"""For these hosts no token is needed: `gcloud run services proxy` adds it, and stand-ins do not ask for one."""


def page(found: Coverage, *, analytics_id: str, bucket: str, host: str) -> Answer:
    """Return the page; `host` is the request's Host header, for the commands."""
    is_open_ended = found.request.last is None or found.request.last >= found.request.as_of.date()
    missing = [len(export.missing) for export in found.exports]
    return answer(
        PAGE,
        found.problem,
        coverage=found,
        analytics_id=analytics_id,
        bucket=bucket,
        due=sum(len(export.periods) for export in found.exports),
        missing=sum(missing),
        name=lambda export: f"{export.aggregation}-{export.frequency}",
        calendar=lambda export: Calendar(export, is_open_ended=is_open_ended).grids(),
        opened=OPENED,
        gaps=gaps,
        commands=lambda export: [_curl(body, host) for body in fillings(export)],
        days=_days,
        moment=lambda moment: f"{utc(moment)[:16].replace('T', ' ')} UTC",
    )


def fillings(export: ExportCoverage) -> Iterator[dict[str, str]]:
    """Yield the bodies of the requests that fill the gaps, oldest first, as few as possible."""
    missing = [(number, each.export.period) for number, each in enumerate(export.periods) if each.complete is None]
    while missing:
        first_number, first = missing[0]
        within = [period for number, period in missing if number - first_number < MAX_PERIODS]
        missing = missing[len(within) :]
        yield {
            "aggregation": export.aggregation,
            "frequency": export.frequency,
            "from": first.start.isoformat(),
            "to": within[-1].start.isoformat(),
        }


def _curl(body: dict[str, str], host: str) -> str:
    data = shlex.quote(json.dumps(body))
    name = re.fullmatch(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,39}\])(:[0-9]{1,5})?", host)
    if name and name[1] in LOCAL:
        return f"curl -d {data} http://{host}/"
    url = f"https://{host}/" if name else "FUNCTION_URL"
    header = '-H "Authorization: Bearer $(gcloud auth print-identity-token)"'
    return f"curl --max-time 1800 {header} -d {data} {url}"


def _days(period: Period) -> str:
    """Return a period as text: its day, its month, or its first and last day."""
    match period.frequency:
        case Frequency.DAILY:
            return period.start.isoformat()
        case Frequency.WEEKLY:
            return f"{period.start} to {period.end}"
        case Frequency.MONTHLY:
            return period.start.isoformat()[:7]
