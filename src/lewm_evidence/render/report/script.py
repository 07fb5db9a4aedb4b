"""The report's script: the player, copy buttons, the theme, and what print and narrow windows need.

The page is complete without it. They are constants, for the page's content policy names their digest.
"""

_START = r"""
(() => {
"use strict";
const root = document.documentElement;
const all = (query, from = document) => [...from.querySelectorAll(query)];
const one = (query, from = document) => from.querySelector(query);
root.classList.add("js");
"""

_PLAYER = r"""
const player = one(".player"), slider = one("input[type=range]", player), play = one(".play", player);
const jumps = all(".jump button", player);
const [starts, errors] = ["starts", "errors"].map(name => player.dataset[name].split(" ").map(Number));
const agents = player.dataset.agents.split(" ").map(place => place.split(","));
const columns = Number(player.dataset.columns), last = errors.length - 1;
let timer = 0;
const show = step => {
  const decision = starts.filter(start => start <= step).length - 1;
  const words = `step ${step} of ${last}, ${errors[step]} px to the goal`;
  slider.value = step;
  slider.setAttribute("aria-valuetext", `${words}, decision ${decision + 1}`);
  one(".frame", player).setAttribute("viewBox", `${step % columns} ${Math.floor(step / columns)} 1 1`);
  [["cx", 0], ["cy", 1]].forEach(([name, axis]) => one(".here", player).setAttribute(name, agents[step][axis]));
  one(".plans", player).setAttribute("href", `#plans-${decision}`);
  one(".now", player).textContent = words;
  one(".why", player).textContent = one(`#plans-${decision}`).dataset.note;
  jumps.forEach((button, number) => button.setAttribute("aria-current", number === decision ? "step" : "false"));
};
const stop = () => { clearTimeout(timer); timer = 0; play.textContent = "Play"; };
const tick = () => {
  const step = Number(slider.value) + 1;
  show(step);
  if (step >= last) stop(); else timer = setTimeout(tick, starts.includes(step) ? 900 : 100);
};
const start = () => {
  if (Number(slider.value) >= last) show(0);
  play.textContent = "Pause";
  timer = setTimeout(tick, 900);
};
play.onclick = () => timer ? stop() : start();
slider.oninput = () => { stop(); show(Number(slider.value)); };
jumps.forEach((button, number) => { button.onclick = () => { stop(); show(starts[number]); }; });
one("input[type=checkbox]", player).onchange = event =>
  player.style.setProperty("--candidates", event.target.checked ? 1 : 0);
addEventListener("beforeprint", stop);
show(0);
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) start();
"""

_EVERYWHERE = r"""
// Where this page lies in a bundle, the bundle's folder is known.
const lies = /^(.+)\/bag\/data\/runs\/report\/[^/]+\/views\/report\/[^/]*$/;
const place = location.protocol === "file:" && decodeURIComponent(location.pathname).match(lies);
if (place) one("#place").textContent = `cd '${place[1].replaceAll("'", "'\\''")}'`;

const said = one("#said");
const selected = code => {
  getSelection().selectAllChildren(code);
  return document.execCommand("copy");
};
all(".copy").forEach(button => { button.onclick = async () => {
  const code = one("code", button.parentElement);
  const clipboard = navigator.clipboard;  // only where the browser calls the page's origin secure
  const text = code.textContent;
  const copied = clipboard && await clipboard.writeText(text).then(() => true, () => false) || selected(code);
  said.textContent = copied ? `Copied: ${text}` : "The command is selected; press Ctrl+C to copy it.";
  button.textContent = copied ? "Copied" : "Ctrl+C";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}; });

const theme = one(".theme"), schemes = { system: "", light: "light", dark: "dark" }, names = Object.keys(schemes);
theme.onclick = () => {
  const name = names[(names.indexOf(theme.dataset.now) + 1) % names.length];
  root.style.colorScheme = schemes[name];
  theme.dataset.now = name;
  theme.textContent = `Theme: ${name}`;
};

const reachable = () => all(".wide").forEach(table => {
  if (table.scrollWidth > table.clientWidth) table.tabIndex = 0; else table.removeAttribute("tabindex");
});
addEventListener("resize", reachable);
reachable();

addEventListener("beforeprint", () => {
  all("details:not([open])").forEach(it => { it.open = it.dataset.shut = true; });
});
addEventListener("afterprint", () => {
  all("details[data-shut]").forEach(it => { it.open = false; delete it.dataset.shut; });
});
})();
"""

# By the role of the run that the page is about, as `template.PAGES`.
SCRIPTS = {"showcase": _START + _PLAYER + _EVERYWHERE, "score": _START + _EVERYWHERE}
