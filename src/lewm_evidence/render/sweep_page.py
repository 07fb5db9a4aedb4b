"""The sweep's page as a jinja2 template; Python text, so that run keys cover it."""

# ruff: noqa: E501 - lines of HTML follow the page, not the column

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sweep: {{ members }} members</title>
<style>
:root { --paper: #fcfcfa; --card: #fff; --ink: #1b1f24; --muted: #5c6670; --grid: #dcdfe3; --lewm: #1f5fc4; --random: #b65a1a; --noop: #7a8490; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --card: #1b1f25; --ink: #e9ecef; --muted: #a3acb6; --grid: #363d46; --lewm: #7fb0ff; --random: #eba06a; --noop: #9aa4af; }
}
html { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: var(--ink); background: var(--paper); }
body { max-width: 76rem; margin: 0 auto; padding: 2rem 1.4rem 4rem; }
h1 { font-size: 1.8rem; letter-spacing: -.015em; margin: .4rem 0; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem; }
p { max-width: 48rem; margin: .4rem 0; }
.note { color: var(--muted); font-size: .88rem; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: .4rem 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .38rem .9rem .38rem 0; border-bottom: 1px solid var(--grid); vertical-align: middle; }
tr:last-child td { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 500; font-size: .86rem; }
td.n { white-space: nowrap; }
svg { display: block; width: 11rem; height: 2rem; }
a { color: var(--lewm); }
td details { max-width: 22rem; } summary { cursor: pointer; color: var(--muted); }
.key { white-space: nowrap; margin-right: 1rem; } .key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .3rem; }
</style>
</head>
<body>
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
<h1>Sweep of {{ members }} members</h1>
<p>{{ seeds | length }} seed{{ "" if seeds | length == 1 else "s" }} a row: {{ seeds | join(", ") }}. {% if seeds | length > 1 %}In brackets the 95 % interval of the mean over seeds (Student's t); a seed chooses starts, goals and the planner's draws.{% else %}One seed has no interval; give more to see how far the choice of starts moves a mean.{% endif %}</p>
<p class="note"><span class="key"><i style="background: var(--lewm)"></i>LeWM</span><span class="key"><i style="background: var(--noop)"></i>no action</span><span class="key"><i style="background: var(--random)"></i>random actions</span> dot: one seed · bar: interval · stroke: mean</p>
{% for task, cells in tasks.items() %}
<h2>Task {{ task }}</h2>
<div class="wide"><table>
<thead><tr><th>checkpoint</th><th>success, %</th><th>0 to 100 %</th><th>random, %</th><th>final error, px</th><th>0 to {{ "%.0f" | format(scales.final_error_px) }} px</th><th>random, px</th><th>runs</th></tr></thead>
<tbody>
{% for cell in cells %}
{% set lewm, random = cell.over_seeds.lewm, cell.over_seeds.random %}
<tr><th>{{ cell.checkpoint }}</th>
<td class="n">{{ lewm.success_rate | estimate(100) }}</td><td>{{ plot(cell, "success_rate", "success of LeWM " ~ (lewm.success_rate | estimate(100)) ~ " percent") }}</td><td class="n">{{ random.success_rate | estimate(100) }}</td>
<td class="n">{{ lewm.final_error_px | estimate }}</td><td>{{ plot(cell, "final_error_px", "final error of LeWM " ~ (lewm.final_error_px | estimate) ~ " px") }}</td><td class="n">{{ random.final_error_px | estimate }}</td>
<td><details><summary>{{ cell.members | length }}</summary>{% for row in cell.members %}seed {{ row.seed }}: <a href="../../../../{{ row.run }}/">measured</a>, <a href="../../../../../evidence/{{ row.bundle }}/">bundle</a>{{ "" if loop.last else " · " }}{% endfor %}</details></td></tr>
{% endfor %}
</tbody></table></div>
{% endfor %}
<p class="note">Links lead to the folders beside this page, <code>runs/</code> and <code>evidence/</code>; the bundles are there after <code>snakemake sweep</code>. The same numbers: <code>summary.json</code>, <code>table.csv</code>.</p>
</body>
</html>
"""
