"""Writes docs/performance.md and its plots from bench/results/*.json.

`python bench/performance.py [FOLDER]`; FOLDER is docs/ unless given. The page says nothing but what results hold.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
NAMES = {
    "Readable": "ours, reference model",
    "FastFp32": "ours, fast, fp32",
    "FastBf16": "ours, fast, bf16",
    "Upstream": "stable-worldmodel",
    "TorchWorld": "torch-world",
}
Results = dict[str, Any]


def page(results: Path = RESULTS) -> str:
    """Returns docs/performance.md for the JSON files in `results`."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}
    parts = ["# Performance", _intro()]
    for name, title in (("planner", "Planning and training on a processor"), ("planner-gpu", "On a GPU")):
        parts += [f"## {title}", *(_planner(found[name], name) if name in found else [_NO_GPU])]
    parts += ["## Sealing and views", *_others(found)]
    return "\n\n".join(parts) + "\n"


_NO_GPU = (
    "Not measured: no GPU was at hand. `make bench-gpu` measures the same on a CUDA device and adds the figures here."
)


def _intro() -> str:
    return (
        "`make bench` measures and writes `bench/results/*.json`; `make bench-gpu` the same on a CUDA device. "
        "This page is made from those files by `python bench/performance.py`; a test compares them."
    )


def _planner(data: Results, name: str) -> list[str]:
    parts = [_conditions(data), _equality(data), _quantities(data), _ratios(data)]
    parts += [_floor(data), _memory(data)]
    parts += [f"![Seconds against candidates, horizon and environments](images/{name}.svg)"]
    return parts


def _conditions(data: Results) -> str:
    about, plan = data["machine"], data["plan"]
    where = f"{about['gpu']} (CUDA {about['cuda']})" if "gpu" in about else f"{about['cpu']}, {about['cores']} cores"
    torch = data["subjects"]["Readable"]["versions"]["torch"]
    clock = {
        "cpu": "**CPU seconds** of the process, because the machine is shared; wall-clock seconds are in the JSON.",
        "device": "**seconds between CUDA events** around the whole call.",
    }[data["clock"]]
    names = "; ".join(_subject(name, row) for name, row in data["subjects"].items())
    skipped = "".join(f" Not measured: {NAMES[name]} – {reason}." for name, reason in data["skipped"].items())
    solve = "{samples} candidates × {iterations} iterations × horizon {horizon}".format(**plan["solve"])
    return (
        f"{data['date']}, {where}, {about['instructions']}, torch {torch}, threads: {data['threads']}. Times are "
        f"{clock} Subjects run in processes of their own and take turns. A solve is {solve}, with the encoding of "
        f"both pictures.\n\nMeasured: {names}.{skipped} torch-world's network has the same sizes but other layers and "
        "its own weights, so it is compared in time only; the others hold the same weights."
    )


def _subject(name: str, row: Results) -> str:
    versions = row["versions"]
    version = next((versions[key] for key in ("stable-worldmodel", "torch-world") if key in versions), None)
    return NAMES[name] + (f" {version}" if version else f" ({row['path']})")


def _equality(data: Results) -> str:
    plan = data["plan"]
    rows = [
        [check, *(_number(row.get(name)) for name in ("FastFp32", "FastBf16", "Upstream"))]
        for check, row in data["equality"].items()
    ]
    text = (
        f"Equality to our reference model, over {plan['seeds']} seeds × 2 sets of weights (plans of stable-worldmodel: "
        f"{min(plan['peer_solves'], 2 * plan['seeds'])} of them). A check that fails stops the bench, and no time is "
        "written:"
    )
    return text + "\n\n" + _table(["check", *map(NAMES.get, ("FastFp32", "FastBf16", "Upstream"))], rows)


def _label(quantity: str, plan: Results) -> str:
    many = "{environments} environments, {samples} candidates × {iterations} iterations × horizon {horizon}".format(
        **plan["many"]
    )
    return {
        "encode 1": "encode 1 picture",
        "encode 2": "encode 2 pictures",
        "encode 8": "encode 8 pictures",
        "cost": f"cost of {plan['solve']['samples']} candidates, encoded already",
        "solve": "one solve",
        "many": many,
        "many, one by one": "the same, one environment after the other",
        "train": f"training step, batch {plan['batch']}",
    }[quantity]


def _quantities(data: Results) -> str:
    names, clock = list(data["subjects"]), data["clock"]

    def cell(row: Results | None) -> str:
        if row is None:
            return ""
        low, high = row[clock]["quartiles"]
        return f"{_seconds(row[clock]['median'])} ({_seconds(low)}–{_seconds(high)})"

    rows = [
        [_label(quantity, data["plan"]), *(cell(row.get(name)) for name in names)]
        for quantity, row in data["quantities"].items()
    ]
    solve = data["quantities"]["solve"]
    spread = "; ".join(
        f"{NAMES[name]} {_seconds(times['median'])} / {_seconds(times['p95'])} ({len(times['values'])} solves)"
        for name, times in ((name, row[clock]) for name, row in solve.items())
    )
    return (
        "Median seconds, quartiles in brackets:\n\n"
        + _table(["", *map(NAMES.get, names)], rows)
        + f"\n\nOne solve, median / 95th percentile: {spread}."
    )


def _ratios(data: Results) -> str:
    peers = [name for name in ("Readable", "Upstream", "TorchWorld") if name in data["subjects"]]
    rows = [
        [_label(quantity, data["plan"]), NAMES[fast], *(f"{row[peer]:.2f}" if peer in row else "" for peer in peers)]
        for quantity, fasts in data["ratios"].items()
        for fast, row in fasts.items()
    ]
    head = ["times faster than", "", *map(NAMES.get, peers)]
    return "Ratios, the median over turns:\n\n" + _table(head, rows)


def _floor(data: Results) -> str:
    rates, clock = data["floor"]["gflop_per_second"], data["clock"]
    rows = []
    for quantity, counts in data["floor"]["gflop"].items():
        for name, gflop in counts.items():
            precision = "bf16" if name == "FastBf16" and quantity != "encode 1" else "fp32"  # it encodes in fp32
            least = gflop / rates[precision]
            measured = data["quantities"][quantity][name][clock]["median"]
            label = _label(quantity, data["plan"])
            rows.append(
                [label, NAMES[name], f"{gflop:.2f}", _seconds(least), _seconds(measured), f"{least / measured:.0%}"]
            )
    head = ["", "", "GFLOP", "floor, s", "measured, s", "share of the possible"]
    return (
        "The floor is what a subject multiplies (counted by torch) at the fastest rate of a matrix product measured "
        f"here: {rates['fp32']:.0f} GFLOP/s in fp32, {rates['bf16']:.0f} in bf16.\n\n" + _table(head, rows)
    )


def _memory(data: Results) -> str:
    kind = "reserved on the device" if data["device"] == "cuda" else "resident"
    names = list(data["subjects"])
    rows = [[what, *(_number(row.get(name)) for name in names)] for what, row in data["memory"].items()]
    return f"Peak memory ({kind}) of a process that only plans or only trains, MB:\n\n" + _table(
        ["", *map(NAMES.get, names)], rows
    )


def _others(found: dict[str, Results]) -> list[str]:
    parts = []
    if "seal" in found:
        data = found["seal"]
        rows = [
            [name, _seconds(row["best"]), f"{data['bytes'] / row['best'] / 1e6:.0f}"]
            for name, row in sorted(data["seconds"].items())
        ]
        size = f"{data['files']} files, {data['bytes'] / 1e9:.1f} GB, page cache, best run; {data['machine']['cpu']}"
        parts.append(f"Hashing and archiving ({size}):\n\n" + _table(["", "s", "MB/s"], rows))
    if "viewers" in found:
        data = found["viewers"]
        rows = [[name, f"{row['median']:,}"] for name, row in sorted(data["scalars_per_second"].items())]
        text = f"Writing {data['scalars']:,} scalars (median of {data['repeats']}; {data['machine']['cpu']}):"
        parts.append(text + "\n\n" + _table(["", "scalars/s"], rows))
    if "startup" in found:
        data = found["startup"]
        times = data["times_bare_python"]
        rows = [[f"`{name}`", _seconds(row["cpu"]), f"{times[name]:.1f}"] for name, row in data["seconds"].items()]
        text = f"Until the command line answers (median of {data['repeats']}; {data['machine']['cpu']}):"
        parts.append(text + "\n\n" + _table(["", "CPU s", "times bare Python"], rows))
    return parts


def _table(head: list[Any], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] + ["---:"] * (len(head) - 1), *rows)]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if value == 0 or value >= 0.01 else f"{value:.1e}"


def _seconds(value: float) -> str:
    return f"{value:.3g}"


def digest(data: Results) -> str:
    """Returns what ties a plot to the figures it shows."""
    return hashlib.sha256(json.dumps(data["scaling"], sort_keys=True).encode()).hexdigest()


def plot(data: Results, path: Path) -> None:
    """Writes the plot of seconds against candidates, horizon and environments."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    with mpl.rc_context({"svg.hashsalt": "performance", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = pyplot.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
        for axis, (along, subjects) in zip(axes, data["scaling"].items(), strict=True):
            for name, points in subjects.items():
                axis.plot([int(x) for x in points], list(points.values()), marker="o", ms=3, label=NAMES[name])
            axis.set(xlabel=along, ylim=0)
        unit = "CPU seconds" if data["clock"] == "cpu" else "seconds"
        axes[0].set_ylabel(unit)
        axes[0].legend(frameon=False)
        figure.savefig(path, metadata={"Date": None, "Description": f"scaling {digest(data)}"})
        pyplot.close(figure)


def main() -> None:
    """Writes the page and its plots."""
    docs = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    (docs / "images").mkdir(parents=True, exist_ok=True)
    (docs / "performance.md").write_text(page())
    for name in ("planner", "planner-gpu"):
        if (RESULTS / f"{name}.json").exists():
            plot(json.loads((RESULTS / f"{name}.json").read_text()), docs / "images" / f"{name}.svg")


if __name__ == "__main__":
    main()
