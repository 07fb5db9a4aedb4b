"""The report's first screen and sections for a checkpoint whose world has no simulator: scored, and nothing more."""

# ruff: noqa: E501 - lines of HTML follow the page, not the column

SCORED_HERO = """\
<header class="hero">
<div>
<p class="kicker">Evidence about a world model · {{ score.world }}</p>
<h1>This checkpoint loads and scores actions; how well it plans was not measured</h1>
<p class="verdict"><span class="badge{{ "" if score.repeats.equal else " bad" }}">{{ "scored only" if score.repeats.equal else "✗ scores differ" }}</span>
There is no simulator of {{ score.world }} here, so nothing was acted out: no goal was tried, no baseline met, no verdict reached.</p>
<p>What was shown: the file holds every tensor of the model and no other, {{ score.tensors | number(0) }} in all, and every value is finite. The model encodes two
pictures and scores {{ score.candidates | number(0) }} random action sequences between them, {{ score.costs.lowest | number(2) }} to {{ score.costs.highest | number(2) }};
{% if score.repeats.equal %}{{ score.repeats.repeats }} times in a row latents and costs were the same to the bit.{% else %}of {{ score.repeats.repeats }} times, not all gave the same latents and costs.{% endif %} CEM searches with it, and finds a sequence of cost {{ score.search.lowest | number(2) }}.</p>
<p>The pictures are seeded patterns, not scenes of {{ score.world }}. The numbers show that the whole model computes; they say
nothing of how good its predictions are.</p>
</div>
<figure class="card">{{ figures.scored }}
<figcaption>What the model expects of each candidate: squared distance between predicted and goal latent. Lower is nearer.</figcaption></figure>
</header>
<dl class="facts">
{{ checkpoint_card() }}
<div class="card"><dt>Planning success</dt><dd>not measured</dd><dd>no simulator of {{ score.world }} here; <a href="#unmeasured">what that leaves out</a></dd></div>
<div class="card"><dt>Candidates scored</dt><dd>{{ score.candidates | number(0) }}</dd>
<dd>of {{ score.horizon }} action blocks; {{ "equal" if score.repeats.equal else "not equal" }} in {{ score.repeats.repeats }} repeats</dd></div>
{% for row in measured.latencies if row.short == "plan" %}
<div class="card"><dt>One plan takes</dt><dd>{{ row.cold | ms }}</dd>
<dd>once, {{ score.search.iterations }} iterations, on {{ manifests.score.environment.get("gpu") or "a CPU" }}</dd></div>
{% endfor %}
</dl>
"""

SCORES = """
<section aria-labelledby="scores">
<h2 id="scores">What was scored</h2>
<p>Start and goal are patterns drawn from seed {{ score.seed }}, and so are the candidates: the same seed gives the same questions again.</p>
<figure class="card"><div class="panels">{{ figures.cem }}
<div class="strip">
{% for uri in pictures %}
<figure><img src="{{ uri }}" class="coarse" width="224" height="224" alt="{{ ("Start", "Goal")[loop.index0] }}: a grid of tiles in random colours."><figcaption>{{ ("start", "goal")[loop.index0] }}</figcaption></figure>
{% endfor %}
</div></div>
<figcaption>The cost of CEM’s elites falls where the search finds better sequences. The patterns are what the model was given in place of the world’s pictures.</figcaption></figure>
{% call table("The scoring in numbers", ["measure", ">value"]) %}
{% for words, value in (("lowest cost of a random candidate", score.costs.lowest), ("median", score.costs.median), ("highest", score.costs.highest),
  ("lowest cost that CEM found", score.search.lowest), ("length of the start’s latent", score.latent_norms[0]), ("length of the goal’s latent", score.latent_norms[1])) %}
<tr><th scope="row">{{ words }}</th><td class="n">{{ value | number(3) }}</td></tr>
{% endfor %}
{% endcall %}
<p class="note">Computed by <code>{{ score.path }}</code>.</p>
</section>
"""

UNMEASURED = """
<section aria-labelledby="unmeasured">
<h2 id="unmeasured">What was not measured, and why</h2>
{% call table("Stages that were skipped", ["stage", "why"], hidden=true) %}
{% for row in score.skipped %}
<tr><th scope="row">{{ row.stage }}</th><td>{{ row.reason }}</td></tr>
{% endfor %}
{% endcall %}
<p>The paper’s tables, its probing of latents and its test of surprise need the simulator too.</p>
</section>
"""
