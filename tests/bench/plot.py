# SPDX-License-Identifier: BSD-2-Clause
"""Bars of the same work on several systems, as SVG that needs no program to make it."""
from xml.sax.saxutils import escape

COLOURS = {"native": "#8a8a8a", "native loopback": "#8a8a8a", "dom0's own": "#8a8a8a", "Pavise": "#1b6ca8", "KVM": "#c0392b"}
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 900, 270, 140, 15, 12, 60


def bars(path, rows, about):
    """rows: (part, name, title, unit, system, value), as in systems.csv. The bars of one row of work are scaled to the longest
    of them, since work differs in size by a thousand; about: lines for the foot."""
    groups = {}
    for part, name, title, unit, system, value in rows:
        groups.setdefault((part, name, title, unit), []).append((system, value))
    feet = about.splitlines()
    height = TOP + sum(len(group) * BAR + GAP for group in groups.values()) + 18 * (len(feet) + 1)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="12" y="22" font-size="15">The same work on each system: fewer is better, each group to its own scale</text>']
    x = 12
    for system in dict.fromkeys(row[4] for row in rows):
        out += [f'<rect x="{x}" y="34" width="12" height="12" fill="{COLOURS.get(system, "#27825a")}"/>',
                f'<text x="{x + 18}" y="44">{escape(system)}</text>']
        x += 40 + 8 * len(system)
    y = TOP
    for (_, _, title, unit), group in groups.items():
        longest = max(value for _, value in group) or 1
        out.append(f'<text x="{LEFT - 8}" y="{y + len(group) * BAR / 2 + 4:.0f}" text-anchor="end">{escape(title)}</text>')
        for system, value in group:
            length = value / longest * (WIDTH - LEFT - RIGHT)
            label = f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}"
            out += [f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{COLOURS.get(system, "#27825a")}">'
                    f'<title>{escape(system)}: {label} {escape(unit)}</title></rect>',
                    f'<text x="{LEFT + length + 5:.1f}" y="{y + BAR - 4}">{label}</text>']
            y += BAR
        y += GAP
    out += [f'<text x="12" y="{y + 18 * (i + 1)}" fill="#555">{escape(line)}</text>' for i, line in enumerate(feet)]
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out + ["</svg>"]) + "\n")
