"""The check of the set-up as a page."""

from collections.abc import Sequence

from analytics_export.answers import Answer
from analytics_export.check import Check, problem
from analytics_export.page import answer

PAGE = """\
{% extends "frame" %}
{% block title %}Check of the set-up{% endblock %}
{% block body %}
<header>
<h1>Check of the set-up</h1>
<p class="quiet">Each part was tried just now, and nothing was changed. <a href="./">Coverage</a></p>
</header>
<main>
{% if wrong %}
<p class="state m">Not right: {{ wrong|join(", ") }}.</p>
{% else %}
<p class="state">Everything is right.</p>
{% endif %}
<table class="list">
<thead><tr><th scope="col">Part</th><th scope="col">Found</th><th scope="col">What, and what to do</th></tr></thead>
<tbody>
{% for check in checks %}
<tr><th scope="row">{{ check.name.replace("_", " ") }}</th>
<td><span class="sign {{ "c" if check.ok else "m" }}">{{ "right" if check.ok else "not right" }}</span></td>
<td>{{ check.detail }}</td></tr>
{% endfor %}
</tbody>
</table>
</main>
{% endblock %}
"""


def page(checks: Sequence[Check]) -> Answer:
    """Return the page."""
    wrong = [check.name.replace("_", " ") for check in checks if not check.ok]
    return answer(PAGE, problem(checks), checks=checks, wrong=wrong)
