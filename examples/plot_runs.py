"""Plot all runs of an arena: a dot a run, its seconds on a log scale, an arm a line.

    patchrun -C arena export runs.csv
    python examples/plot_runs.py runs.csv runs.svg

The table is plain CSV: pandas, R or a spreadsheet read it as well.
"""

import csv
import statistics
import sys
from xml.sax.saxutils import escape

from patchrun.core.charts import span_axis

COLOURS = {"baseline": "#6a6f78", "human": "#b85a00", "submission": "#0a6ebd"}
LEFT, WIDTH, LINE = 260, 900, 24


def read_arms(path):
    """(record, arm's name, kind) -> seconds of its runs that count, in the order of the file."""
    arms = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["seconds"] and row["counted"] == "True":
                who = row["agent"] and f"{row['agent']} #{row['attempt']}" or row["kind"]
                arms.setdefault((row["record"], who, row["kind"]), []).append(float(row["seconds"]))
    return arms


def draw(arms):
    """The SVG's text: arms from the top, the slowest first inside a record."""
    order = sorted(arms, key=lambda arm: (arm[0], -statistics.mean(arms[arm])))
    axis = span_axis([value for values in arms.values() for value in values], LEFT, WIDTH - 20, log=True)
    height = LINE * (len(order) + 3)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
             'font-size="13"><rect width="100%" height="100%" fill="white"/>']
    for at, label in axis.ticks():
        parts.append(f'<path d="M{at} {LINE}V{height - 2 * LINE}" stroke="#ccc"/>'
                     f'<text x="{at}" y="{height - LINE}" text-anchor="middle">{label} s</text>')
    for number, (record, who, kind) in enumerate(order):
        y = LINE * (number + 1.5)
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(f"record {record}, {who}")}</text>')
        parts += [f'<circle cx="{axis.place(value)}" cy="{y}" r="4" fill="{COLOURS[kind]}" fill-opacity="0.6"/>'
                  for value in arms[record, who, kind]]
    return "\n".join([*parts, "</svg>\n"])


def main():
    source, target = sys.argv[1:]
    arms = read_arms(source)
    if not arms:
        sys.exit(f"{source}: no finished run in it")
    with open(target, "w", encoding="utf-8") as file:
        file.write(draw(arms))
    for (record, who, _), values in sorted(arms.items()):
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"record {record}  {who:24}  {statistics.mean(values):9.3f} s  sd {spread:.3f}  n {len(values)}")


if __name__ == "__main__":
    main()
