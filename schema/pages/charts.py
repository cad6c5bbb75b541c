"""Line charts for pages, drawn by matplotlib as SVG whose colours follow the page's scheme."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

# what a page's style calls its colours, in the order in which lines take them, and the stand-ins drawn for them
LINES = ("--accent", "--second", "--third", "--fourth", "--bad", "--ink")
DASHES = ("--", ":", "-.")  # in the order in which levels take them
_STAND_INS = {f"#0000{number:02x}": name for number, name in enumerate((*LINES, "--soft", "--line"), start=1)}
_OF = {name: colour for colour, name in _STAND_INS.items()}


class Line(NamedTuple):
    """Points of one line; a thin one is a running value beside the others, a dashed one is a level to compare with."""

    x: Sequence[float]
    y: Sequence[float]
    thin: bool = False
    dashed: bool = False


def line_chart(lines: Mapping[str, Line], x: str, y: str, *, logarithmic: bool = False) -> Markup:
    """An SVG of some lines by name; names equal up to a ":" share a colour. The same lines give the same bytes."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gitreel", "font.family": "sans-serif"}):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        figure.patch.set_alpha(0.0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0.0)
        groups = list(dict.fromkeys(name.split(":")[0] for name, line in lines.items() if not line.dashed))
        levels = [name for name, line in lines.items() if line.dashed]
        for name, line in lines.items():
            if line.dashed:
                dashes = DASHES[levels.index(name) % len(DASHES)]
                axes.axhline(line.y[-1], color=_OF["--soft"], ls=dashes, lw=1.2, label=name)
            else:
                colour = _OF[LINES[groups.index(name.split(":")[0]) % len(LINES)]]
                label, width, size = ("_", 0.9, 0.0) if line.thin else (name, 1.8, 3.5)
                axes.plot(line.x, line.y, color=colour, lw=width, label=label, marker="o", ms=size)
        axes.set(xlabel=x, ylabel=y)
        if logarithmic:
            axes.set_xscale("log", base=2)
        axes.grid(color=_OF["--line"], lw=0.6)
        for spine in axes.spines.values():
            spine.set_color(_OF["--line"])
        axes.tick_params(colors=_OF["--soft"])
        axes.xaxis.label.set_color(_OF["--soft"])
        axes.yaxis.label.set_color(_OF["--soft"])
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False, labelcolor=_OF["--ink"])
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return Markup(_themed(out.getvalue()))


def _themed(svg: str) -> str:
    """The drawing alone, its stand-ins replaced by the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, name in _STAND_INS.items():
        svg = svg.replace(colour, f"var({name})")
    return re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
