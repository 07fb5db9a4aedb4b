"""The report's sections about what was measured of the model: verdict, episode, what the model expected."""

# ruff: noqa: E501 - lines of HTML follow the page, not the column

VERDICT = """
<section aria-labelledby="verdict">
<h2 id="verdict">Does it hold?</h2>
{% call table("What must hold", ["check", ">measured", ">must be below", "outcome"]) %}
{% for check in gate %}
<tr><th scope="row">{{ check.name }}</th><td class="n">{{ check.value | number(1) }} px</td><td class="n">{{ check.bound | number(1) }} px</td>
<td class="{{ "good" if check.passed else "bad" }}">{{ "✓ passed" if check.passed else "✗ failed" }}</td></tr>
{% endfor %}
{% endcall %}
{% call table("Every method on the same starts", ["method", ">final error", ">95 % interval", ">goal reached", ">95 % interval", ">LeWM closer in"]) %}
{% for method, values in evaluate.methods.items() %}
<tr><th scope="row">{{ names[method] }}</th><td class="n">{{ values.final_error_px.mean | number(1) }} px</td>
<td class="n">{{ interval(values.final_error_px) }}</td>
<td class="n">{{ values.successes | number(0) }} of {{ evaluate.starts }}</td>
<td class="n">{{ shares(values.success_rate) }}</td>
<td class="n">{% if method in evaluate.starts_closer_than %}{{ evaluate.starts_closer_than[method] }} of {{ evaluate.starts }}{% else %}–{% endif %}</td></tr>
{% endfor %}
{% endcall %}
<p class="note">{{ evaluate.protocol.judged | default("Final error: distance to the goal in pixels.") }} Starts are
seeded; those from which the scripted policy brings about enough motion are preferred. An interval without width means
that all starts agreed, not that nothing else can happen.</p>
<figure class="card"><div class="panels">{{ figures.differences }}{{ figures.pairs }}{{ figures.shares }}</div>
<figcaption>LeWM minus baseline: mean difference of final errors over the same starts with its 95&nbsp;% bootstrap interval; the bar’s
right end must stay left of the black tick. In the other two every start counts once.</figcaption></figure>
<details><summary>Protocol</summary>{% call table("Protocol of the evaluation", ["setting", "value"], hidden=true) %}
{% for name, value in evaluate.protocol.items() %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
{% endcall %}</details>
</section>
"""

EPISODE = """
<section aria-labelledby="episode">
<h2 id="episode">One episode in full</h2>
<p>Start and goal come from seed {{ showcase.seed }}. The film shows every few steps; the player above has all of them.</p>
<div class="strip">
{% for frame in images.strip %}
<figure><img src="{{ frame.uri }}" width="224" height="224" alt="The table after step {{ frame.step }}."><figcaption>step {{ frame.step }}</figcaption></figure>
{% endfor %}
<figure><img src="{{ images.goal }}" width="224" height="224" alt="The goal as the simulator draws it."><figcaption>goal</figcaption></figure>
<figure><img src="{{ images.observation }}" class="coarse" width="224" height="224" alt="The start as the model sees it."><figcaption>start, as the model sees it</figcaption></figure>
</div>
<h3>What the planner considered</h3>
<p>At each decision the model scores candidate action sequences from four sources: a scripted policy that does not know
the goal, noisy copies of it, uniform random actions, and CEM’s own mean and elites. The cheapest of all is chosen and
its first blocks are executed. A thin line is where the agent really goes when the simulator executes a candidate,
coloured by the cost the model gave it.{% if landscapes %} The map below it is what the model expects of holding one action
for the whole plan.{% endif %}</p>
<p class="note"><span class="key"><span class="swatch" style="background:var(--c0)"></span>cheapest fifth</span>
<span class="key"><span class="swatch" style="background:var(--c2)"></span>middle fifth</span>
<span class="key"><span class="swatch" style="background:var(--c4);outline:1px solid var(--grid)"></span>dearest fifth</span>
<span class="key"><span class="swatch" style="background:var(--win)"></span>chosen; thick where executed</span>
<span class="key"><span class="swatch dashed"></span>goal</span></p>
<div class="decisions">
{% for d in showcase.decisions %}
<figure class="card">{{ scene_of(loop.index0, "The table at decision %d: candidate paths, the chosen one, block, agent and goal." | format(loop.index)) }}
{% if landscapes %}{{ landscapes[loop.index0] }}{% endif %}
<figcaption>Decision {{ loop.index }} at step {{ d.step }}: winner from {{ source(d.winner_source) }}, cost {{ d.winner_cost | number(1) }}, {{ d.executed_steps }} steps executed</figcaption></figure>
{% endfor %}
</div>
{% if landscapes %}<p class="note">Cost landscapes: both numbers of a constant action from −1 to 1, down as in the picture, in fifths of
their own costs. <span style="color:var(--goal)">◆</span> the cheapest constant action; small dots the executed actions, the large one
<span style="color:var(--win)">●</span> their mean. A plan may bend where a constant action cannot, so they need not agree.</p>{% endif %}
<figure class="card"><div class="panels">{{ figures.progress }}{{ figures.costs }}{{ figures.cem }}</div>
<figcaption>Dotted lines stand where a decision was made; of the candidates, the winner is ringed.</figcaption></figure>
</section>
"""

MODEL = """
<section aria-labelledby="model">
<h2 id="model">Predicted and reached</h2>
{% if figures.projection is defined %}<figure class="card"><div class="panels">{{ figures.projection }}{{ figures.distances }}
<figcaption>For every executed block: the latent the model predicted when it decided, and the latent of the picture that was
then seen. Prediction is good where the solid line lies far below the dashed one, that is, where what was predicted is much
nearer to what came than what came is to the goal.</figcaption></div></figure>
{% else %}<p>No block of actions was executed whole, so there is no prediction to compare.</p>{% endif %}
<details><summary>Decisions as numbers</summary>
{% call table("Decisions as numbers", [">decision", "winner", ">best cost", ">mean", ">highest", ">latent distance before", ">prediction error", ">steps"], hidden=true) %}
{% for d in showcase.decisions %}
<tr><th scope="row" class="n">{{ loop.index }}</th><td>{{ source(d.winner_source) }}</td><td class="n">{{ d["cost/best"] | number(2) }}</td><td class="n">{{ d["cost/mean"] | number(2) }}</td>
<td class="n">{{ d["cost/max"] | number(2) }}</td><td class="n">{{ d.latent_distance | number(2) }}</td><td class="n">{{ d.prediction_error | number(3) }}</td>
<td class="n">{{ d.executed_steps }}</td></tr>
{% endfor %}
{% endcall %}</details>
</section>
"""
