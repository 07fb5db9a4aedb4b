"""The report's page as a jinja2 template.

It is Python text, not a file of its own, because run keys cover the modules a stage imports and nothing else:
so a changed page is rendered again.
"""

# ruff: noqa: E501 - lines of HTML follow the page, not the column

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Evidence: {{ evaluate.protocol.world | default("pusht") }}, LeWM against its baselines</title>
<style>
:root {
  --paper: #fcfcfa; --card: #ffffff; --ink: #1b1f24; --muted: #5c6670; --grid: #dcdfe3;
  --lewm: #1f5fc4; --random: #b65a1a; --noop: #7a8490; --win: #c2380f; --goal: #1a8a5a; --good: #14704a; --bad: #b3261e;
  --c0: #10408f; --c1: #4a7fd0; --c2: #8fb2e6; --c3: #c3d5f0; --c4: #e4ebf5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --card: #1b1f25; --ink: #e9ecef; --muted: #a3acb6; --grid: #363d46;
    --lewm: #7fb0ff; --random: #eba06a; --noop: #9aa4af; --win: #ff8a5c; --goal: #5ed3a0; --good: #6fdcab; --bad: #ff8f86;
    --c0: #b8d4ff; --c1: #7fb0ff; --c2: #4c7cc4; --c3: #32507f; --c4: #26364f;
  }
}
* { box-sizing: border-box; }
html { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: var(--ink); background: var(--paper); }
body { max-width: 68rem; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1 { font-size: clamp(1.55rem, 3.3vw, 2.15rem); line-height: 1.2; letter-spacing: -.015em; margin: .5rem 0 .8rem; text-wrap: balance; }
h2 { font-size: 1.25rem; letter-spacing: -.01em; margin: 3.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
p { max-width: 44rem; margin: .5rem 0; }
.lead { font-size: 1.06rem; }
.kicker, figcaption, .note { color: var(--muted); font-size: .88rem; }
.kicker { margin: 0; }
figcaption, .note { max-width: 48rem; margin-top: .35rem; }
figure { margin: 1.1rem 0; }
figure.card, .card { background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: 1rem; }
.hero { display: grid; grid-template-columns: minmax(0, 1fr) 19.5rem; gap: 2.4rem; align-items: start; }
.hero figure { margin: .4rem 0 0; }
.badge { display: inline-block; font-weight: 600; font-size: .9rem; border: 1.5px solid currentColor; border-radius: 99px; padding: .05rem .7rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
img { display: block; width: 100%; height: auto; border-radius: 6px; background: #fff; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit !important; }
.side { display: grid; grid-template-columns: 1fr 1fr; gap: .7rem; margin-top: .7rem; }
.side figcaption { margin: .1rem 0 0; } .side figure { margin: 0; }
.coarse { image-rendering: pixelated; }
.film { display: grid; grid-template-columns: repeat(auto-fit, minmax(6.2rem, 1fr)); gap: .6rem; }
.film figure { margin: 0; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .8rem; }
.tables figure { margin: 0; padding: .7rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: .88rem; padding-bottom: .3rem; }
th, td { text-align: left; padding: .38rem .9rem .38rem 0; border-bottom: 1px solid var(--grid); vertical-align: baseline; }
th { font-weight: 600; } thead th { color: var(--muted); font-weight: 500; font-size: .86rem; }
td.n, th.n { text-align: right; white-space: nowrap; } td:last-child, th:last-child { padding-right: 0; }
.wide { overflow-x: auto; }
code, pre { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
td code { overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--grid); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; }
.key { display: inline-flex; align-items: center; gap: .35rem; margin-right: 1rem; white-space: nowrap; }
.swatch { width: 1.1rem; height: .5rem; border-radius: 2px; display: inline-block; }
details summary { cursor: pointer; color: var(--muted); }
footer { margin-top: 4rem; }
@media (max-width: 52rem) { .hero { grid-template-columns: 1fr; } }
@media print { html { background: #fff; } figure, table { break-inside: avoid; } }
</style>
</head>
<body>
{% macro interval(estimate, digits=1, unit="") %}{{ estimate.low | number(digits) }} to {{ estimate.high | number(digits) }}{{ unit }}{% endmacro %}
{% macro picture(uri, label, text) %}<figure><img src="{{ uri }}" width="224" height="224" alt="{{ text }}"><figcaption>{{ label }}</figcaption></figure>{% endmacro %}
{% macro source(name) %}{{ "CEM" if name == "cem" else name }}{% endmacro %}
{% set lewm = evaluate.methods.lewm %}
{% set apart = evaluate.differences.random %}
<main>
<header class="hero">
<div>
<p class="kicker">lewm-evidence · {{ evaluate.protocol.world | default("pusht") }} · checkpoint
<code>{{ checkpoint.files["model.safetensors"].sha256[:12] }}</code></p>
<h1>Planning with this world model ends {{ headline.px | number(0) }} pixels
{{ "closer to" if headline.closer else "farther from" }} the goal than random actions</h1>
<p><span class="badge {{ "good" if headline.holds else "bad" }}">{{ "✓ it holds" if headline.holds else "✗ it does not hold" }}</span></p>
<p class="lead">Over {{ evaluate.starts }} paired starts the final error is {{ lewm.final_error_px.mean | px }},
against {{ evaluate.methods.random.final_error_px.mean | px }} for random actions and
{{ evaluate.methods.noop.final_error_px.mean | px }} for staying still. The 95&nbsp;% interval of the difference to
random is {{ interval(apart, 0, " px") }}, to staying still {{ interval(evaluate.differences.noop, 0, " px") }}.
The goal was reached in {{ lewm.success_rate.mean | percent }} of the starts
({{ lewm.success_rate.low | percent }} to {{ lewm.success_rate.high | percent }}).</p>
<figure>{{ figures.estimates }}
<figcaption>Dots are means over the same starts, bars 95&nbsp;% percentile bootstrap intervals.</figcaption></figure>
</div>
<figure class="card">
<picture><source media="(prefers-reduced-motion: reduce)" srcset="{{ images.still }}">
<img src="{{ images.animation }}" width="224" height="224"
alt="The recorded episode in real time; the goal is outlined in red."></picture>
<div class="side">
<figure><img src="{{ images.observation }}" class="coarse" width="144" height="144" alt="The start as the model sees it."><figcaption>model’s view</figcaption></figure>
<figure><img src="{{ images.goal }}" width="144" height="144" alt="The goal as the simulator draws it."><figcaption>goal</figcaption></figure>
</div>
<figcaption>One recorded episode, {{ showcase.outcome.env_steps }} steps in real time:
{{ "goal reached" if showcase.outcome.success else "budget spent" }}, from
{{ showcase.outcome.start_error_px | px }} to {{ showcase.outcome.final_error_px | px }}. The goal is outlined in
red{% if block %}; the pale green T belongs to the simulator's picture and is no goal here{% endif %}.</figcaption>
</figure>
</header>

<section>
<h2>Does it hold?</h2>
<div class="wide"><table>
<thead><tr><th>what must hold</th><th class="n">measured</th><th class="n">must be below</th><th></th></tr></thead>
<tbody>{% for check in gate %}
<tr><td>{{ check.name }}</td><td class="n">{{ check.value | number(1) }} px</td><td class="n">{{ check.bound | number(1) }} px</td>
<td class="{{ "good" if check.passed else "bad" }}">{{ "✓ passed" if check.passed else "✗ failed" }}</td></tr>{% endfor %}
</tbody></table></div>
<div class="wide"><h3>Every method on the same starts</h3><table>
<thead><tr><th>method</th><th class="n">final error</th><th class="n">95&nbsp;% interval</th><th class="n">success</th>
<th class="n">95&nbsp;% interval</th><th class="n">LeWM closer in</th></tr></thead>
<tbody>{% for method, values in evaluate.methods.items() %}
<tr><th>{{ names[method] }}</th><td class="n">{{ values.final_error_px.mean | number(1) }} px</td>
<td class="n">{{ interval(values.final_error_px) }}</td>
<td class="n">{{ values.successes | number(0) }} of {{ evaluate.starts }}</td>
<td class="n">{{ values.success_rate.low | percent }} to {{ values.success_rate.high | percent }}</td>
<td class="n">{% if method in evaluate.starts_closer_than %}{{ evaluate.starts_closer_than[method] }} of {{ evaluate.starts }}{% else %}–{% endif %}</td></tr>{% endfor %}
</tbody></table></div>
<p class="note">{{ evaluate.protocol.judged | default("Final error: distance to the goal in pixels.") }} Starts are
seeded; those from which the scripted policy brings about enough motion are preferred. An interval without width means that all
starts agreed, not that nothing else can happen.</p>
<figure class="card">{{ figures.starts }}
<figcaption>Each start once: the final error of every method, and a line from random to LeWM.</figcaption></figure>
<details><summary>Protocol</summary><div class="wide"><table><tbody>{% for name, value in evaluate.protocol.items() %}
<tr><th>{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}</tbody></table></div></details>
</section>

<section>
<h2>One episode in full</h2>
<p>Start and goal come from seed {{ showcase.seed }}. At each decision the world model scores candidate action sequences
from four sources (a scripted policy that does not know the goal, noisy copies of it, uniform random actions, and CEM's
own mean and elites). The cheapest of all is the winner and its first blocks are executed in the simulator.</p>
<div class="film">{% for frame in images.film %}
{{ picture(frame.uri, "step %d" | format(frame.step), "The table after step %d." | format(frame.step)) }}{% endfor %}
{{ picture(images.goal, "goal", "The goal.") }}
</div>
<h3>What the planner considered</h3>
<p class="note"><span class="key"><span class="swatch" style="background:var(--win)"></span>winner; thick where executed</span>
<span class="key"><span class="swatch" style="background:var(--c0)"></span>cheapest fifth</span>
<span class="key"><span class="swatch" style="background:var(--c2)"></span>middle fifth</span>
<span class="key"><span class="swatch" style="background:var(--c4)"></span>dearest fifth</span>
<span class="key"><span class="swatch" style="background:var(--goal)"></span>goal, dashed</span></p>
<div class="tables">{% for decision in showcase.decisions %}
<figure class="card">{{ tables[loop.index0] }}
<figcaption>Decision {{ loop.index }}: winner from {{ source(decision.winner_source) }}, cost {{ decision.winner_cost | number(1) }},
{{ decision.executed_steps }} steps executed</figcaption></figure>{% endfor %}
</div>
<p class="note">Each line is where the agent really goes when the simulator executes a candidate, coloured by the cost the
model gave it.</p>
<figure class="card">{{ figures.progress }}
<figcaption>Left: distance to the goal after every step, dotted where a decision was made. Middle: cost of every candidate
by source, the winner ringed. Right: cost of CEM's elites.</figcaption></figure>
<h3>Predicted and reached</h3>
<figure class="card">{{ figures.latents }}
<figcaption>For every executed block: the latent the model predicted when it decided, and the latent of the picture that
was then seen. Prediction is good where the first line lies far below the second.</figcaption></figure>
<details><summary>Decisions as numbers</summary><div class="wide"><table>
<thead><tr><th>decision</th><th>winner</th><th class="n">best cost</th><th class="n">mean</th><th class="n">highest</th>
<th class="n">latent distance before</th><th class="n">prediction error</th><th class="n">steps</th></tr></thead>
<tbody>{% for d in showcase.decisions %}
<tr><td>{{ loop.index }}</td><td>{{ source(d.winner_source) }}</td><td class="n">{{ d["cost/best"] | number(2) }}</td><td class="n">{{ d["cost/mean"] | number(2) }}</td>
<td class="n">{{ d["cost/max"] | number(2) }}</td><td class="n">{{ d.latent_distance | number(2) }}</td><td class="n">{{ d.prediction_error | number(3) }}</td>
<td class="n">{{ d.executed_steps }}</td></tr>{% endfor %}
</tbody></table></div></details>
</section>

{% if paper %}<section>
<h2>Beside the paper</h2>
<p>The published evaluation's measures, taken of this checkpoint. A number stands beside the paper's to be compared with
what differs in mind:</p>
<ul>{% for text in paper.differs %}<li>{{ text }}</li>{% endfor %}</ul>
{% for title, rows in paper.sections.items() %}<div class="wide"><h3>{{ title }}</h3><table>
<thead><tr><th></th><th class="n">measured</th><th class="n">95&nbsp;% interval</th><th class="n">n</th><th class="n">p</th><th>paper</th></tr></thead>
<tbody>{% for row in rows %}{% set cells = row | paper_cells %}
<tr><th>{{ cells[0] }}</th>{% for cell in cells[1:5] %}<td class="n">{{ cell }}</td>{% endfor %}<td>{{ cells[5] }}{% if cells[6] %} <span class="note">{{ cells[6] }}</span>{% endif %}</td></tr>{% endfor %}
</tbody></table></div>{% endfor %}
<p class="note">p is of a paired test against LeWM, or of surprise against the same episodes undisturbed, and not adjusted for the number of tests.</p>
</section>

{% endif %}<section>
<h2>Speed on the machine that made this</h2>
<div class="wide"><table>
<thead><tr><th>planning</th><th class="n">first call</th><th class="n">p50</th><th class="n">p95</th><th class="n">repeats</th></tr></thead>
<tbody>{% for row in measured.latencies %}
<tr><th>{{ row.label }}</th><td class="n">{{ row.cold | ms }}</td><td class="n">{{ row.p50 | ms }}</td><td class="n">{{ row.p95 | ms }}</td>
<td class="n">{{ row.repeats }}</td></tr>{% endfor %}
</tbody></table></div>
<div class="wide"><h3>Stages</h3><table>
<thead><tr><th>stage</th><th class="n">wall time</th><th class="n">peak memory</th></tr></thead>
<tbody>{% for row in measured.stages %}
<tr><th>{{ row.role }}</th><td class="n">{{ row.wall | ms }}</td><td class="n">{{ row.peak | size }}</td></tr>{% endfor %}
</tbody></table></div>
<p class="note">{% if measured.environment.platform is defined %}{{ measured.environment.platform }}, Python {{ measured.environment.python }}, {{ measured.environment.threads }} thread(s){% if measured.environment.gpu %}, {{ measured.environment.gpu }}{% endif %}.
{% endif %}These figures belong to one machine and are no result: another run may differ here and nowhere else.</p>
</section>

<section>
<h2>What the viewers were asked</h2>
<p>Each viewer's own program read what was rendered, and its answers were compared with what the records name; the run
fails when something is missing.</p>
<div class="wide"><table><tbody>{% for viewer, totals in probes.items() %}
<tr><th>{{ {"tensorboard": "TensorBoard", "rerun": "Rerun"}.get(viewer, viewer) }}</th><td>{% for name, value in totals.items() %}{{ name | replace("_", " ") }} {{ value }}{{ ", " if not loop.last }}{% else %}passed{% endfor %}</td></tr>{% endfor %}
</tbody></table></div>
{% for shot in screenshots %}{% set viewer = {"tensorboard": "TensorBoard", "rerun": "Rerun"}.get(shot.name, shot.name) %}
{% if shot.uri %}<figure class="card"><img src="{{ shot.uri }}" alt="{{ viewer }} showing these records.">
<figcaption>{{ viewer }} as it opened, drawn by {{ shot.viewer }} on the machine that made this.</figcaption></figure>
{% else %}<p class="note">No screenshot of {{ viewer }}, {{ shot.status }}: {{ shot.reason }}.</p>{% endif %}{% endfor %}
</section>

<section>
<h2>Which checkpoint</h2>
<p>{{ checkpoint.source | capitalize }}{% for part in ("name", "repo", "revision") %}{% if part in checkpoint %} · <code>{{ checkpoint[part] }}</code>{% endif %}{% endfor %}{% if checkpoint.parameters is defined %} · {{ checkpoint.parameters | number(0) }} parameters{% endif %}</p>
<div class="wide"><table>
<thead><tr><th>file</th><th class="n">size</th><th>sha256</th></tr></thead>
<tbody>{% for name, file in checkpoint.files.items() %}
<tr><th>{{ name }}</th><td class="n">{{ file.bytes | size }}</td><td><code>{{ file.sha256 }}</code></td></tr>{% endfor %}
</tbody></table></div>
<h3>Runs behind this page</h3>
<div class="wide"><table>
<thead><tr><th>role</th><th>run</th><th>result digest</th></tr></thead>
<tbody>{% for role, row in runs.items() %}
<tr><th>{{ role }}</th><td><code>{{ row.run }}</code></td><td><code>{{ row.result_digest }}</code></td></tr>{% endfor %}
</tbody></table></div>
</section>

<section>
<h2>Check it yourself</h2>
<p>In the folder that holds <code>bag/</code>, the sealed copy of all this:</p>
<pre>lewm-evidence verify .                           # exactly as sealed? exit status 0, else the reason
cd bag &amp;&amp; sha256sum -c tagmanifest-sha256.txt manifest-sha256.txt   # every byte, without this package</pre>
<p>Where it was made, to look closer and to make it again:</p>
<pre>lewm-evidence runs show {{ runs.evaluate.run }}
tensorboard --logdir runs/render_tensorboard/*/views
rerun runs/render_rerun/*/views/results/*.rrd
make evidence                                    # same settings and machine: the same result digests</pre>
</section>
</main>
<footer class="note">Made by lewm-evidence from the records of the runs above. Self-contained: no script, no network.</footer>
</body>
</html>
"""
