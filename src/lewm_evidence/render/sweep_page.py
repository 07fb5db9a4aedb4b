"""The sweep's page as a jinja2 template; Python text, so that run keys cover it."""

# ruff: noqa: E501 - lines of HTML follow the page, not the column

from lewm_evidence.render import page_style

# What it adds to the style of every page (`render.page_style`).
STYLE = """\
td svg { width: 11rem; height: 2rem; }
tbody th, tbody td { vertical-align: middle; }
td details { min-width: 4rem; max-width: 22rem; }
.key { white-space: nowrap; margin-right: 1rem; }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .3rem; print-color-adjust: exact; }
@media print { td svg { width: 6rem; } table { font-size: .8rem; } }
"""

PAGE = (
    page_style.head("Sweep: {{ members }} members")
    + """\
{% macro plot(cell, metric, words) %}
<svg viewBox="-4 0 108 20" preserveAspectRatio="none" role="img" aria-label="{{ words }}">
<line x1="0" y1="19" x2="100" y2="19" stroke="var(--grid)"/>
{% for method, y in (("random", 15), ("noop", 10), ("lewm", 5)) %}
{% set e = cell.over_seeds[method][metric] %}
{% if e.low is not none %}<line x1="{{ e.low | place(scales[metric]) }}" y1="{{ y }}" x2="{{ e.high | place(scales[metric]) }}" y2="{{ y }}" stroke="var(--{{ method }})" stroke-width="2" opacity=".45"/>{% endif %}
{% for row in cell.members %}<ellipse cx="{{ row[method][metric] | place(scales[metric]) }}" cy="{{ y }}" rx=".9" ry="1.5" fill="var(--{{ method }})" opacity=".6"/>{% endfor %}
<line x1="{{ e.mean | place(scales[metric]) }}" y1="{{ y - 2.5 }}" x2="{{ e.mean | place(scales[metric]) }}" y2="{{ y + 2.5 }}" stroke="var(--{{ method }})" stroke-width="1.4"/>
{% endfor %}
</svg>{% endmacro %}
<main>
<header>
<p class="kicker">Evidence about checkpoints, tasks and seeds</p>
<h1>Sweep of {{ members }} members</h1>
<p>{{ seeds | length }} seed{{ "" if seeds | length == 1 else "s" }} a row: {{ seeds | join(", ") }}. {% if seeds | length > 1 %}In brackets the 95&nbsp;% interval of the mean over seeds (Student’s t); a seed chooses starts, goals and the planner’s draws.{% else %}One seed has no interval; give more to see how far the choice of starts moves a mean.{% endif %}</p>
<p class="note"><span class="key"><i style="background: var(--lewm)"></i>LeWM, upper row</span><span class="key"><i style="background: var(--noop)"></i>staying still, middle</span><span class="key"><i style="background: var(--random)"></i>random actions, lower</span> dot: one seed · bar: interval · stroke: mean</p>
</header>
{% for task, cells in tasks.items() %}
<section aria-labelledby="task-{{ loop.index }}">
<h2 id="task-{{ loop.index }}">Task {{ task }}</h2>
<div class="wide" tabindex="0" role="group" aria-label="Task {{ task }}"><table><caption class="hidden">Every checkpoint on task {{ task }}</caption>
<thead><tr><th scope="col">checkpoint</th><th scope="col" class="n">success, %</th><th scope="col">0 to 100 %</th><th scope="col" class="n">random, %</th><th scope="col" class="n">final error, px</th><th scope="col">0 to {{ "%.0f" | format(scales.final_error_px) }} px</th><th scope="col" class="n">random, px</th><th scope="col">runs</th></tr></thead>
<tbody>
{% for cell in cells %}
{% set lewm, random = cell.over_seeds.lewm, cell.over_seeds.random %}
<tr><th scope="row">{{ cell.checkpoint }}</th>
<td class="n">{{ lewm.success_rate | estimate(100) }}</td><td>{{ plot(cell, "success_rate", "success of LeWM " ~ (lewm.success_rate | estimate(100)) ~ " percent") }}</td><td class="n">{{ random.success_rate | estimate(100) }}</td>
<td class="n">{{ lewm.final_error_px | estimate }}</td><td>{{ plot(cell, "final_error_px", "final error of LeWM " ~ (lewm.final_error_px | estimate) ~ " px") }}</td><td class="n">{{ random.final_error_px | estimate }}</td>
<td><details><summary>{{ cell.members | length }}</summary>{% for row in cell.members %}seed {{ row.seed }}: <a href="../../../../{{ row.run }}/">measured</a>, <a href="../../../../../evidence/{{ row.bundle }}/">bundle</a>{{ "" if loop.last else " · " }}{% endfor %}</details></td></tr>
{% endfor %}
</tbody></table></div>
</section>
{% endfor %}
</main>
<footer class="note">Links lead to the folders beside this page, <code>runs/</code> and <code>evidence/</code>; the bundles are there after <code>snakemake sweep</code>. The same numbers: <code>summary.json</code>, <code>table.csv</code>.</footer>
</body>
</html>
"""
)
