"""The style that every page of this project shares: colours in light and dark, type, tables, figures, print.

It is Python text, not a file of its own, because run keys cover the modules a stage imports and nothing else:
so a changed page is rendered again. Figures (`render.figures`) take their colours from the variables here.
"""

# Nothing is ever loaded from anywhere: pictures are inside the page, and so are the style and the script.
CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

STYLE = """\
:root {
  color-scheme: light dark;
  --paper: light-dark(#fbfbf9, #14171b); --card: light-dark(#ffffff, #1b1f25); --ink: light-dark(#1b1f24, #e9ecef);
  --muted: light-dark(#56606b, #a6afb9); --grid: light-dark(#d9dde2, #39414a);
  --lewm: light-dark(#1f5fc4, #7fb0ff); --random: light-dark(#b0550f, #eba06a); --noop: light-dark(#727d89, #9aa4af);
  --win: light-dark(#c2380f, #ff8a5c); --goal: light-dark(#b3137c, #ff85cf);
  --good: light-dark(#14704a, #6fdcab); --bad: light-dark(#b3261e, #ff8f86);
  --c0: light-dark(#10408f, #cfe1ff); --c1: light-dark(#4a7fd0, #8bb6fb); --c2: light-dark(#8fb2e6, #4f7fc8);
  --c3: light-dark(#c3d5f0, #325181); --c4: light-dark(#e4ebf5, #243448);
}
* { box-sizing: border-box; }
html { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: var(--ink); background: var(--paper); scroll-padding-top: 3.2rem; }
body { max-width: 70rem; margin: 0 auto; padding: 0 1.4rem 3rem; }
h1 { font-size: clamp(1.55rem, 3vw, 2.1rem); line-height: 1.18; letter-spacing: -.015em; margin: .3rem 0 .7rem;
  text-wrap: balance; }
h2 { font-size: 1.35rem; letter-spacing: -.01em; margin: 3.4rem 0 .5rem; padding-top: .9rem;
  border-top: 1px solid var(--grid); }
h3 { font-size: 1.03rem; margin: 1.9rem 0 .3rem; }
p, ul { max-width: 46rem; margin: .5rem 0; }
a { color: var(--lewm); }
:focus-visible { outline: 2px solid var(--lewm); outline-offset: 2px; border-radius: 3px; }
.kicker, figcaption, .note { color: var(--muted); font-size: .88rem; }
.kicker { margin: 1.2rem 0 0; }
figcaption, .note { max-width: 48rem; margin-top: .35rem; }
figure { margin: 1rem 0; }
.card { background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: .9rem 1rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); gap: .9rem 1.6rem; }
.panels > svg { max-width: 30rem; } .panels > figure { margin: 0; }
svg { display: block; width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit !important; }
img { display: block; width: 100%; height: auto; border-radius: 6px; background: #fff; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; font-size: 1.03rem; padding: 1.1rem 0 .3rem; }
th, td { text-align: left; padding: .38rem .9rem .38rem 0; border-bottom: 1px solid var(--grid);
  vertical-align: baseline; }
th { font-weight: 600; }
thead th { color: var(--muted); font-weight: 500; font-size: .86rem; }
td.n, th.n { text-align: right; white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; }
.wide { overflow-x: auto; }
/* Reachable by keyboard; a shade at the right edge, gone at the end, says that there is more. */
.wide[tabindex] { background:
  linear-gradient(to right, transparent, var(--paper) 60%) right -1px top / 2.4rem 100% no-repeat local,
  linear-gradient(to left, var(--grid), transparent) right / .8rem 100% no-repeat scroll; }
code, pre { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
code { overflow-wrap: anywhere; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--muted); }
.good { color: var(--good); } .bad { color: var(--bad); }
.hidden, .skip:not(:focus) { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
@media (max-width: 40rem) {
  th[scope=row] { min-width: 8.5rem; } td code { display: inline-block; min-width: 13rem; }
}
footer.note { margin-top: 3rem; padding-top: .9rem; border-top: 1px solid var(--grid); max-width: none; }
@media print {
  :root { color-scheme: light !important; --paper: #fff; }
  html { font-size: 10.5pt; } body { max-width: none; padding: 0; }
  h2 { margin-top: 1.8rem; } h2, h3, caption { break-after: avoid; }
  figure, tr, .card, .panels > svg { break-inside: avoid; }
  .wide[tabindex] { background: none; }
}
"""

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<title>TITLE</title>
<style>
{{ style }}</style>
</head>
<body>
"""


def head(title: str) -> str:
    """Returns how a page begins, up to its body, as a template; `title` may be one too."""
    return _HEAD.replace("TITLE", title)
