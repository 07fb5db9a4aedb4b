"""What the report's style adds to that of every page (`render.page_style`)."""

# ruff: noqa: E501 - a line for each thing

STYLE = """\
.skip:focus { position: absolute; top: .4rem; left: 1rem; background: var(--card); padding: .3rem .7rem; z-index: 3; }
nav { position: sticky; top: 0; z-index: 2; background: var(--paper); border-bottom: 1px solid var(--grid);
  display: flex; gap: 1rem; align-items: baseline; margin: 0 -1.4rem 1.4rem; padding: .5rem 1.4rem; font-size: .9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; list-style: none; margin: 0; padding: 0; max-width: none; flex: 1; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
button { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--muted); border-radius: 6px;
  padding: .18rem .7rem; cursor: pointer; white-space: nowrap; }
button:hover { border-color: var(--lewm); color: var(--lewm); }
.theme { font-size: .82rem; display: none; } .js .theme { display: block; }
.hero .kicker { margin: 0; }
.hero { display: grid; grid-template-columns: minmax(0, 1fr) 21rem; gap: 1.2rem 2.4rem; align-items: start; }
.hero .panels { grid-template-columns: repeat(auto-fit, minmax(min(14rem, 100%), 1fr)); margin-top: .9rem; }
td.good, td.bad { white-space: nowrap; }
.hero .panels figcaption { grid-column: 1 / -1; margin: 0; }
.verdict { font-size: 1.05rem; }
.badge { display: inline-block; font-weight: 600; border: 1.5px solid currentColor; border-radius: 99px;
  padding: .02rem .75rem; margin-right: .4rem; white-space: nowrap; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr)); gap: .7rem; margin: 1.2rem 0 0; }
.facts > div { padding: .55rem .9rem .65rem; }
.facts dt { color: var(--muted); font-size: .86rem; }
.facts dd { margin: 0; font-size: .88rem; line-height: 1.45; overflow-wrap: anywhere; }
.facts dd:first-of-type { font-size: 1.4rem; font-weight: 600; letter-spacing: -.01em; }
.hero > figure { margin: 0; } .player > p { margin: .35rem 0 0; font-variant-numeric: tabular-nums; font-size: .9rem; }
.player .now { font-weight: 600; }
.controls { display: none; } .js .controls { display: flex; flex-wrap: wrap; gap: .4rem .7rem; align-items: center; margin-top: .6rem; }
.controls input[type=range] { flex: 1; min-width: 7rem; accent-color: var(--lewm); }
.play { min-width: 4.6rem; }
.jump { display: flex; flex-wrap: wrap; gap: .3rem; align-items: center; } .jump button { padding: .02rem .6rem; }
.jump [aria-current=step] { background: var(--lewm); color: var(--paper); border-color: var(--lewm); }
.controls, .jump, .controls label { font-size: .88rem; }
.scene { background: #fff; border-radius: 6px; } .scene.drawn { background: none; }
.scene polyline, .scene polygon, .scene circle, .shapes * { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round;
  stroke-linecap: round; }
.wall { stroke: var(--muted); stroke-width: 1.4px; }
.candidate { stroke-width: .9px; opacity: var(--candidates, 1); }
.k0 { stroke: var(--c0); } .k1 { stroke: var(--c1); } .k2 { stroke: var(--c2); } .k3 { stroke: var(--c3); } .k4 { stroke: var(--c4); }
.chosen { stroke: var(--win); stroke-width: 2px; } .executed { stroke: var(--win); stroke-width: 5.5px; opacity: .45; }
.goal { stroke: var(--goal); stroke-width: 2px; stroke-dasharray: 5 4; } .block, .agent { stroke: var(--ink); stroke-width: 1.8px; }
.agent { fill: var(--ink) !important; }
.scene .here { fill: #1b1f24; stroke: #fff; stroke-width: 2px; }
/* The simulator's pictures are white in both themes, and so are the colours on them. */
.player .scene { color-scheme: light; }
.key { display: inline-flex; vertical-align: middle; align-items: center; gap: .35rem; margin-right: 1rem; white-space: nowrap; }
.swatch { print-color-adjust: exact; width: 1.2rem; height: .55rem; border-radius: 2px; display: inline-block; }
.swatch.dashed { height: 0; border-top: 2.5px dashed var(--goal); border-radius: 0; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(5.8rem, 1fr)); gap: .6rem; }
.strip figure { margin: 0; } .strip img { border: 1px solid var(--grid); }
.coarse { image-rendering: pixelated; }
.decisions { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(12rem, 100%), 1fr)); gap: .8rem; margin-top: .8rem; }
.decisions figure { margin: 0; padding: .7rem; } .decisions svg + svg { margin-top: .6rem; }
.drawn { border: 1px solid var(--grid); }
.command { display: flex; gap: .6rem; align-items: start; margin: .45rem 0; max-width: 60rem; }
.command pre { flex: 1; padding: .45rem .8rem; background: var(--card); border: 1px solid var(--grid); border-radius: 8px; }
.command p { margin: 0; }
.copy { display: none; min-width: 4.6rem; font-size: .88rem; padding: .32rem .7rem; } .js .copy { display: block; }
dl.plain { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.2rem; margin: .6rem 0; font-size: .93rem; }
dl.plain dt { color: var(--muted); } dl.plain dd { margin: 0; overflow-wrap: anywhere; }
.screens { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; } .screens figure { margin: .5rem 0; }
@media (min-width: 62rem) { .beside { grid-column: span 2; } }
@media (max-width: 56rem) { .hero { grid-template-columns: minmax(0, 1fr); } .hero > figure { max-width: 30rem; } }
@media (max-width: 40rem) {
  nav { position: static; } html { scroll-padding-top: 0; }
  .decisions figure { display: grid; grid-template-columns: 1fr 1fr; gap: .4rem .7rem; align-items: start; }
  .decisions svg + svg { margin-top: 0; } .decisions figcaption { grid-column: 1 / -1; }
  .strip { grid-template-columns: repeat(3, 1fr); }
  dl.plain { grid-template-columns: minmax(0, 1fr); } dl.plain dd { margin-bottom: .4rem; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); } .facts > div { padding: .5rem .7rem; }
}
@media print {
  nav, .controls, .copy, .skip { display: none !important; }
  .hero { grid-template-columns: minmax(0, 1fr) 15rem; gap: 1.4rem; }
  .facts { grid-template-columns: repeat(4, 1fr); } .strip { grid-template-columns: repeat(10, 1fr); }
  .decisions { grid-template-columns: repeat(5, 1fr); } .panels, .screens { grid-template-columns: repeat(2, 1fr); }
  .beside { grid-column: 1 / -1; }
}
"""
