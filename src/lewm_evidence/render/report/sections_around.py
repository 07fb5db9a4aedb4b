"""The report's sections around the result: the paper, training, speed, viewers, how to check it, provenance."""

# ruff: noqa: E501 - lines of HTML follow the page, not the column

PAPER = """
<section aria-labelledby="paper">
<h2 id="paper">Beside the paper: success, probing, surprise</h2>
{% if paper %}
<p>The published evaluation’s measures, taken of this checkpoint. A number stands beside the paper’s to be compared with
what differs in mind:</p>
<ul>{% for text in paper.differs %}<li>{{ text }}</li>{% endfor %}</ul>
{% if figures.probing is defined or figures.surprise is defined %}
<figure class="card"><div class="panels">{{ figures.probing }}{{ figures.surprise }}
<figcaption>What latents tell: how well position and angle are read from them on held-out episodes, with 95&nbsp;% intervals; an untrained
model of the same shape shows what the picture alone gives. Surprise: prediction error while an episode goes on as recorded, with the
state exchanged, and with another colour; bands are 95&nbsp;% intervals over episodes.</figcaption></div></figure>
{% endif %}
<details><summary>Every row of the tables</summary>
{% for title, rows in paper.sections.items() %}
{% call table(title, ["measure", ">measured", ">95 % interval", ">n", ">p", "paper"]) %}
{% for row in rows %}
{% set cells = row | paper_cells %}
<tr><th scope="row">{{ cells[0] }}</th>{% for cell in cells[1:5] %}<td class="n">{{ cell }}</td>{% endfor %}<td>{{ cells[5] }}{% if cells[6] %} <span class="note">{{ cells[6] }}</span>{% endif %}</td></tr>
{% endfor %}
{% endcall %}
{% endfor %}
</details>
<p class="note">p is of a paired test against LeWM, or of surprise against the same episodes undisturbed, and not adjusted for the number of tests.</p>
{% else %}
<p>The paper’s tables, its probing of latents and its violation-of-expectation test were not made for this page. Where it was made, this makes them
and takes them into page and bundle, as <code>tables.sealed: true</code> in <code>config.yaml</code> does:</p>
{{ command("snakemake --cores 4 evidence --config 'tables={sealed: true}'", "make the evidence with the paper's tables") }}
{% endif %}
</section>
"""

TRAINING = """
<section aria-labelledby="training">
<h2 id="training">Training</h2>
{% if training %}
{% if training.own %}<p>This is the training that made the checkpoint: {{ training.model.train_episodes }} episodes, {{ training.model.held_out_episodes }} held out.</p>
{% else %}<p><strong>Not the training of this checkpoint</strong>, which came from elsewhere, but a short one beside it
({{ training.model.parameters | number(0) }} parameters, {{ training.model.train_episodes }} episodes), which shows that training works on this machine.{% if "training_manifest.json" in checkpoint.files %} The checkpoint’s own is described by <code>training_manifest.json</code> and <code>provenance.json</code> in its folder.{% endif %}</p>{% endif %}
<figure class="card"><div class="panels">{{ figures.losses }}{{ figures.held_out }}{% if figures.probes is defined %}{{ figures.probes }}{% endif %}</div>
<figcaption>{{ "Own training" if training.own else "Training beside the checkpoint" }}. Held out: error of the next latent with its own actions, with those of
other windows, and of predicting no change; the first must become the lowest. R² is that of a linear probe on held-out latents.</figcaption></figure>
<details><summary>Last values</summary>{% call table("Last values of the training", ["measure", ">value"], hidden=true) %}
{% for name, value in training.last.items() %}
<tr><th scope="row">{{ name }}</th><td class="n">{{ value | number(4) }}</td></tr>
{% endfor %}
{% endcall %}</details>
{% else %}<p>No training belongs to these runs: the checkpoint came from elsewhere, and <code>smoke</code> is off in the configuration.</p>{% endif %}
<p class="note">Foreign trainers (Stable-Baselines3, CleanRL, XuanCe, RLlib) have environments and a bundle of their own: <code>snakemake
workers</code> makes them, and their learning curves are on its page <code>runs/compare/KEY/views/results/curves.html</code>.</p>
</section>
"""

SPEED = """
<section aria-labelledby="speed">
<h2 id="speed">Speed on the machine that made this</h2>
<figure class="card"><div class="panels">{{ figures.latencies }}
<div class="beside">{% call table("Planning", ["call", ">first call", ">p50", ">p95", ">slowest", ">repeats"]) %}
{% for row in measured.latencies %}
<tr><th scope="row">{{ row.label }}</th><td class="n">{{ row.cold | ms }}</td><td class="n">{{ row.p50 | ms }}</td><td class="n">{{ row.p95 | ms }}</td>
<td class="n">{{ row.slowest | ms }}</td><td class="n">{{ row.warm | length }}</td></tr>
{% endfor %}
{% endcall %}</div></div>
<figcaption>These figures belong to one machine and are no result: another run may differ here and nowhere else. First call: before
any other of its kind.</figcaption></figure>
{% call table("Stages", ["stage", ">wall time", ">peak memory"]) %}
{% for row in measured.stages %}
<tr><th scope="row">{{ row.role }}</th><td class="n">{{ row.wall | ms }}</td><td class="n">{{ row.peak | size }}</td></tr>
{% endfor %}
{% endcall %}
</section>
"""

VIEWERS = """
<section aria-labelledby="viewers">
<h2 id="viewers">What {% for viewer in probes %}{{ viewers.get(viewer, viewer) }}{{ " and " if not loop.last }}{% endfor %} showed</h2>
<p>Each viewer’s own program read what was rendered, and its answers were compared with what the records name; the run
fails when something is missing.</p>
{% call table("What the viewers answered", ["viewer", "outcome"], hidden=true) %}
{% for viewer, totals in probes.items() %}
<tr><th scope="row">{{ viewers.get(viewer, viewer) }}</th><td>{% for name, value in totals.items() %}{{ name | replace("_", " ") }} {% if value is string and value | length == 64 %}<code>{{ value }}</code>{% else %}{{ value }}{% endif %}{{ ", " if not loop.last }}{% else %}passed{% endfor %}</td></tr>
{% endfor %}
{% endcall %}
<div class="screens">
{% for shot in screenshots if shot.uri %}
<figure class="card"><img src="{{ shot.uri }}" alt="{{ viewers.get(shot.name, shot.name) }} showing these records.">
<figcaption>{{ viewers.get(shot.name, shot.name) }} as it opened, drawn by {{ shot.drawn_by }} on the machine that made this.</figcaption></figure>
{% endfor %}
</div>
{% for shot in screenshots if not shot.uri %}
<p class="note">No screenshot of {{ viewers.get(shot.name, shot.name) }}, {{ shot.status }}: {{ shot.reason }}.</p>
{% endfor %}
</section>
"""

CHECK = """
<section aria-labelledby="check">
<h2 id="check">Check it yourself</h2>
<p>In the folder of the bundle, the one that holds <code>bag/</code>. Go there first, in a terminal with <code>lewm-evidence</code>;
<code>pip install lewm-evidence</code> is enough to verify.</p>
{{ command("cd FOLDER-THAT-HOLDS-bag", "go to the bundle's folder", id="place") }}
<h3>Is it exactly what was sealed?</h3>
{{ command("lewm-evidence verify .", "verify the bundle") }}
<p class="note">Exit status 0 when it is; else the reason. Without this package, every byte by its digest:</p>
{{ command("(cd bag && sha256sum --check --quiet tagmanifest-sha256.txt manifest-sha256.txt)", "check every byte with sha256sum") }}
<h3>Does it come out again?</h3>
{{ command("lewm-evidence reproduce .", "make every run of the bundle again") }}
<p class="note">Makes every run again from the bundle alone and compares. On the same machine and packages, the same digests; elsewhere
within the stated tolerances. One stage alone, from the sealed inputs:</p>
{{ command("lewm-evidence reproduce . --only " ~ again | join(" "), "make " ~ again | join(" and ") ~ " again") }}
{% if looks %}<h3>What does it look like?</h3>
{% endif %}{% for text, says in looks %}{{ command(text, says) }}{% endfor %}
<p class="note">In the folder where it was made, not in a bundle: <code>runs/</code> for <code>bag/data/runs/</code>, and
<code>make evidence</code> makes it again.</p>
</section>
"""

PROVENANCE = """
<section aria-labelledby="provenance">
<h2 id="provenance">Provenance</h2>
{% set environment = manifests[about].environment %}
{% set git = environment.get("git") %}
<dl class="plain">
<dt>Checkpoint</dt><dd>{{ checkpoint.source }}{% for part in ("name", "repo", "revision") %}{% if part in checkpoint %} · <code>{{ checkpoint[part] }}</code>{% endif %}{% endfor %}{% if checkpoint.parameters is defined %} · {{ checkpoint.parameters | number(0) }} parameters{% endif %}</dd>
{% if git %}<dt>Source</dt><dd>git commit <code>{{ git.commit }}</code>{{ ", with uncommitted changes" if git.dirty }}</dd>{% endif %}
<dt>Device</dt><dd>{{ [specs[about].device or "cpu", specs[about].precision or "fp32", environment.get("gpu"), environment.get("cpu_capability")] | select | join(", ") }}{% if environment.get("threads") %}, {{ environment.threads }} thread{{ "" if environment.threads == 1 else "s" }}{% endif %}</dd>
<dt>Platform</dt><dd>{{ [environment.get("platform"), "Python %s" | format(environment.get("python", "of unknown version")), environment.get("nix")] | select | join(", ") }}</dd>
<dt>Packages</dt><dd>{% for name, version in environment.get("packages", {}).items() %}{{ name }} {{ version }}{{ ", " if not loop.last }}{% endfor %}</dd>
{% if environment.get("locks") %}<dt>Locks</dt><dd>{% for name, digest in environment.locks.items() %}{{ name }} <code>{{ digest[:16] }}…</code>{{ ", " if not loop.last }}{% endfor %}</dd>{% endif %}
</dl>
{% call table("Files of the checkpoint", ["file", ">size", "sha256"]) %}
{% for name, file in checkpoint.files.items() %}
<tr><th scope="row">{{ name }}</th><td class="n">{{ file.bytes | size }}</td><td class="digest"><code>{{ file.sha256 }}</code></td></tr>
{% endfor %}
{% endcall %}
{% call table("Runs behind this page", ["role", "run", "result digest"]) %}
{% for role, row in runs.items() %}
<tr><th scope="row">{{ role }}</th><td class="digest"><code>{{ row.run }}</code></td><td class="digest"><code>{{ row.result_digest }}</code></td></tr>
{% endfor %}
{% endcall %}
<details><summary>What each run was asked</summary><div class="panels">
{% for role, spec in specs.items() if spec.config %}<div><h3>{{ role }}</h3><pre class="card">{{ spec.config | json }}</pre></div>{% endfor %}
</div></details>
</section>
"""
