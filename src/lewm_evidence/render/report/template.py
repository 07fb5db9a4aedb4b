"""The report's page as a jinja2 template: its frame and the first screen; the sections are in files of their own.

Python text, because run keys cover the modules a stage imports and nothing else: so a changed page is rendered again.
"""

# ruff: noqa: E501 - lines of HTML follow the page, not the column

from lewm_evidence.render import page_style
from lewm_evidence.render.report.sections import EPISODE, MODEL, VERDICT
from lewm_evidence.render.report.sections_around import CHECK, PAPER, PROVENANCE, SPEED, TRAINING, VIEWERS
from lewm_evidence.render.report.sections_scored import SCORED_HERO, SCORES, UNMEASURED

_HEAD = (
    page_style.head("Evidence: {{ title }}")
    + """\
{% macro interval(estimate, digits=1, unit="") %}{{ estimate.low | number(digits) }} to {{ estimate.high | number(digits) }}{{ unit }}{% endmacro %}
{% macro shares(estimate) %}{{ (100 * estimate.low) | number(0) }} to {{ estimate.high | percent }}{% endmacro %}
{% macro source(name) %}{{ "CEM" if name == "cem" else name }}{% endmacro %}
{% macro table(caption, heads, hidden=false) %}
<div class="wide" role="group" aria-label="{{ caption }}"><table><caption{% if hidden %} class="hidden"{% endif %}>{{ caption }}</caption>
<thead><tr>{% for head in heads %}<th scope="col"{% if head.startswith(">") %} class="n"{% endif %}>{{ head.removeprefix(">") }}</th>{% endfor %}</tr></thead>
<tbody>{{ caller() }}</tbody></table></div>
{% endmacro %}
{% macro command(text, says, id="") %}
<div class="command"><pre><code{% if id %} id="{{ id }}"{% endif %}>{{ text }}</code></pre><button type="button" class="copy" aria-label="Copy: {{ says }}">Copy</button></div>
{% endmacro %}
{% macro scene_of(number, label) %}
<svg class="scene drawn" viewBox="0 0 {{ scene.width }} {{ scene.height }}" role="img" aria-label="{{ label }}"><use href="#background"/><use href="#plans-{{ number }}"/><use href="#bodies-{{ number }}"/></svg>
{% endmacro %}
{% set origin = ("own training" if checkpoint.source == "trained" else checkpoint.name | default(checkpoint.repo | default(checkpoint.source))) %}
{% macro checkpoint_card() %}
<div class="card"><dt>Checkpoint</dt><dd>{{ origin }}</dd>
<dd>{{ checkpoint.source }}{% if checkpoint.parameters is defined %}, {{ checkpoint.parameters | number(0) }} parameters{% endif %}{% if checkpoint.revision is defined %}, commit <code>{{ checkpoint.revision[:12] }}</code>{% endif %};
weights sha256 <a href="#provenance"><code>{{ checkpoint.files["model.safetensors"].sha256[:12] }}…</code></a></dd></div>
{% endmacro %}
<a class="skip" href="#main">Skip to the content</a>
<nav aria-label="Contents"><ul>
LINKS
</ul><button type="button" class="theme" data-now="system">Theme: system</button></nav>
<main id="main">
"""
)

_HERO = """\
<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs class="shapes">
<g id="background" class="shapes">{{ scene.background }}</g>
{% for plan in scene.plans %}
{% set d = showcase.decisions[loop.index0] %}
<g id="plans-{{ loop.index0 }}" class="shapes" data-note="Decision {{ loop.index }} of {{ loop.length }}: winner from {{ source(d.winner_source) }}, predicted cost {{ d.winner_cost | number(1) }}.">{{ plan }}</g>
<g id="bodies-{{ loop.index0 }}" class="shapes">{{ scene.bodies[loop.index0] }}</g>
{% endfor %}
</defs></svg>
{% set lewm = evaluate.methods.lewm %}
<header class="hero">
<div>
<p class="kicker">Evidence about a world model · {{ evaluate.protocol.world | default("pusht") }}</p>
<h1>Planning with this world model ends {{ headline.px | number(0) }} pixels
{{ "closer to" if headline.closer else "farther from" }} the goal than random actions</h1>
<p class="verdict"><span class="badge {{ "bad" if headline.failed else "good" }}">{{ "✗ it does not hold" if headline.failed else "✓ it holds" }}</span>
{% if headline.failed %}{{ headline.failed | length }} of {{ gate | length }} checks failed: {{ headline.failed | join("; ") }}.{% else %}{{ gate | length }} of {{ gate | length }} checks passed, on 95&nbsp;% limits over {{ evaluate.starts }} paired starts.{% endif %}</p>
<p>From pictures alone the model plans to a goal picture and the real simulator executes. It ends {{ lewm.final_error_px.mean | px }}
from the goal on average; random actions from the same starts end {{ evaluate.methods.random.final_error_px.mean | px }} away, staying still
{{ evaluate.methods.noop.final_error_px.mean | px }}. The difference to random is {{ interval(evaluate.differences.random, 0) }}&nbsp;px,
to staying still {{ interval(evaluate.differences.noop, 0) }}&nbsp;px (95&nbsp;% intervals).</p>
<figure class="panels">{{ figures.success }}{{ figures.error }}
<figcaption>Dots are means over the same {{ evaluate.starts }} starts, bars their 95&nbsp;% bootstrap intervals.</figcaption></figure>
</div>
<figure class="card player" data-columns="{{ images.film.columns }}" data-starts="{{ showcase.decisions | map(attribute="step") | join(" ") }}" data-agents="{{ scene.agents }}" data-errors="{% for error in showcase.errors_px %}{{ "%.0f" | format(error) }}{{ "" if loop.last else " " }}{% endfor %}">
<svg class="scene" viewBox="0 0 {{ scene.width }} {{ scene.height }}" role="img" aria-label="The recorded episode: the simulator's picture at each step, with the goal, the candidate paths of the decision and the chosen one.">
<svg class="frame" aria-hidden="true" width="{{ scene.width }}" height="{{ scene.height }}" viewBox="0 0 1 1" preserveAspectRatio="none"><image href="{{ images.film.uri }}" width="{{ images.film.columns }}" height="{{ images.film.rows }}" preserveAspectRatio="none"/></svg>
<use href="#background"/><use class="plans" href="#plans-0"/><circle class="here" cx="{{ scene.agents.split(" ")[0].split(",")[0] }}" cy="{{ scene.agents.split(" ")[0].split(",")[1] }}" r="{{ scene.width * 13 / 512 }}"/></svg>
<div class="controls"><button type="button" class="play">Play</button>
<input type="range" min="0" max="{{ showcase.outcome.env_steps }}" value="0" aria-label="Step of the episode">
</div>
<div class="controls"><div class="jump" role="group" aria-label="Go to a decision">decision {% for d in showcase.decisions %}<button type="button" aria-label="Decision {{ loop.index }}">{{ loop.index }}</button>{% endfor %}</div>
<label><input type="checkbox" checked> candidates</label></div>
<p><span class="now">step 0 of {{ showcase.outcome.env_steps }}, {{ showcase.errors_px[0] | number(0) }} px to the goal</span><br>
<span class="why">Decision 1: candidates thin, the chosen path strong.</span></p>
<figcaption>One recorded episode: {{ "goal reached" if showcase.outcome.success else "budget spent" }} after {{ showcase.outcome.env_steps }} steps,
from {{ showcase.outcome.start_error_px | px }} to {{ showcase.outcome.final_error_px | px }}. The goal is dashed{% if scene.has_block %}; the pale
green T belongs to the simulator’s picture and is no goal{% endif %}.</figcaption>
<noscript><p class="note">Without script this is a still of the first decision; the film strip below goes on.</p></noscript>
</figure>
</header>
<dl class="facts">
{{ checkpoint_card() }}
<div class="card"><dt>Goal reached</dt><dd>{{ lewm.success_rate.mean | percent }}</dd>
<dd>{{ shares(lewm.success_rate) }}; random {{ evaluate.methods.random.success_rate.mean | percent }}, staying still {{ evaluate.methods.noop.success_rate.mean | percent }}</dd></div>
<div class="card"><dt>Closer than random</dt><dd>{{ evaluate.starts_closer_than.random }} of {{ evaluate.starts }}</dd>
<dd>starts; closer than staying still in {{ evaluate.starts_closer_than.noop }}</dd></div>
{% for row in measured.latencies if row.short == "plan" %}
<div class="card"><dt>One plan takes</dt><dd>{{ row.p50 | ms }}</dd>
<dd>median; p95 {{ row.p95 | ms }}, first call {{ row.cold | ms }}, on {{ manifests.showcase.environment.get("gpu") or "a CPU" }}</dd></div>
{% endfor %}
</dl>
"""

_FOOT = """\
</main>
<p id="said" class="hidden" role="status"></p>
<footer class="note">Made by lewm-evidence from the records of the runs above, without network. Nothing is loaded from elsewhere.</footer>
<script>{{ script }}</script>
</body>
</html>
"""


def _page(hero: str, *sections: tuple[str, str, str]) -> str:
    """Returns the template of a page from its first screen and its sections: id, name in the contents, HTML."""
    links = "\n".join(f'<li><a href="#{place}">{name}</a></li>' for place, name, _ in sections)
    return "".join((_HEAD.replace("LINKS", links), hero, *(section for _, _, section in sections), _FOOT))


_AROUND = (
    ("training", "Training", TRAINING),
    ("speed", "Speed", SPEED),
    ("viewers", "Viewers", VIEWERS),
    ("check", "Check it", CHECK),
    ("provenance", "Provenance", PROVENANCE),
)

# By the role of the run that the page is about.
PAGES = {
    "showcase": _page(
        _HERO,
        ("verdict", "Verdict", VERDICT),
        ("episode", "Episode", EPISODE),
        ("model", "Model", MODEL),
        ("paper", "Paper", PAPER),
        *_AROUND,
    ),
    "score": _page(
        SCORED_HERO,
        ("scores", "Scores", SCORES),
        ("unmeasured", "Not measured", UNMEASURED),
        *_AROUND,
    ),
}
