"""Figures to a CSV file, and a CSV file to the table."""
import csv
import statistics

from rows import GROUPS, ROWS

FIELDS = ("run", "group", "load", "stand", "iops", "mbps", "p50_us", "p99_us", "load_cores", "client_cores",
          "server_cores", "machine_cores", "note")

OTHERS_MAX = 0.4        # cores


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as f:
        w = csv.DictWriter(f, FIELDS)
        w.writeheader()
        w.writerows(rows)


def read(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def value(row, unit):
    """A measured row's figure in this unit; None when it was not measured."""
    if not row["iops"]:
        return None
    if unit == "MB/s":
        return float(row["mbps"])
    if unit == "IOPS/core":
        # Of the mount the load is not a side; of the protocol alone it is.
        cores = sum(float(row[c]) for c in ("client_cores", "server_cores"))
        if float(row["client_cores"]) == 0:
            cores += float(row["load_cores"])
        return float(row["iops"]) / cores if cores > 0 else None
    return float(row["iops"])


class Figures:
    def __init__(self, rows):
        self.rows = rows
        self.runs = sorted({r["run"] for r in rows})

    def by_run(self, group, stand, unit):
        """{run: figure}"""
        found = {r["run"]: value(r, unit) for r in self.rows if r["group"] == group and r["stand"] == stand}
        return {run: v for run, v in found.items() if v is not None}

    def median(self, group, stand, field):
        v = [float(r[field]) for r in self.rows
             if r["group"] == group and r["stand"] == stand and r["iops"]]
        return statistics.median(v) if v else None

    def notes(self, group, stand):
        return sorted({r["note"] for r in self.rows if r["group"] == group and r["stand"] == stand and r["note"]})

    def best(self, row):
        """Which of the stands beside is the better one, by medians."""
        medians = {s: statistics.median(v.values()) for s in row.beside
                   if (v := self.by_run(row.group, s, row.unit))}
        return max(medians, key=medians.get) if medians else None

    def beside(self, row):
        """{run: figure} of what ours is compared with."""
        best = self.best(row)
        found = self.by_run(row.group, best, row.unit) if best else {}
        if not row.cipher:
            return found
        speed = self.by_run(row.group, row.cipher, row.unit)
        return {run: 1 / (1 / v + 1 / speed[run]) for run, v in found.items() if run in speed}

    def ratios(self, row, ours):
        """One ratio for each run in which both were measured: machines drift, so only what was
        measured within the same minute is compared."""
        a, b = self.by_run(row.group, ours, row.unit), self.beside(row)
        return [a[run] / b[run] for run in self.runs if run in a and run in b]


def number(v, unit="IOPS"):
    if v is None:
        return "-"
    return f"{v / 1000:.1f}k" if v >= 1000 and unit != "MB/s" else f"{v:.0f}"


def verdict(row, ratio):
    if not row.least:
        return ""
    return "aim" if ratio >= row.aim else "pass" if ratio >= row.least else "SHORT"


def ratio_lines(f):
    for row in ROWS:
        for ours in (row.ours, *row.more):
            ratios = f.ratios(row, ours)
            asked = ours == row.ours and row.least
            title = row.title if ours == row.ours else f"    {ours}"
            best = "limit" if row.cipher else f.best(row)
            if not ratios:
                why = f.notes(row.group, ours) or [n for s in (row.cipher, *row.beside) for n in f.notes(row.group, s)]
                if any(r["group"] == row.group and r["stand"] == ours for r in f.rows):
                    yield (title, "", "", "-", "", "", "", why[0][:60] if why else "nothing beside it")
                continue
            ratio = statistics.median(ratios)
            ours_v = statistics.median(f.by_run(row.group, ours, row.unit).values())
            best_v = statistics.median(f.beside(row).values())
            yield (title, f"{number(ours_v, row.unit)} {row.unit}",
                   f"{number(best_v, row.unit)} {best}", f"{ratio:.2f}",
                   f"{min(ratios):.2f}..{max(ratios):.2f}", f"{row.least:g}" if asked else "",
                   f"{row.aim:g}" if asked else "", verdict(row, ratio) if asked else "")


def cpu(m):
    """Microseconds of CPU a request, all sides together."""
    return f"{1e6 * (m['load_cores'] + m['client_cores'] + m['server_cores']) / m['iops']:.1f}" if m["iops"] else "-"


def figure_lines(f):
    for g in GROUPS:
        for s in g.stands:
            if not any(r["group"] == g.name and r["stand"] == s for r in f.rows):
                continue
            if f.median(g.name, s, "iops") is None:
                yield (g.name, g.load.text(), s, *[""] * 9, "; ".join(f.notes(g.name, s))[:70])
                continue
            m = {x: f.median(g.name, s, x) for x in FIELDS[4:12]}
            per = f.by_run(g.name, s, "IOPS/core")
            yield (g.name, g.load.text(), s, number(m["iops"]), f"{m['mbps']:.0f}", f"{m['p50_us']:.0f}",
                   f"{m['p99_us']:.0f}", f"{m['load_cores']:.2f}/{m['client_cores']:.2f}/{m['server_cores']:.2f}",
                   f"{m['machine_cores']:.2f}", cpu(m), number(statistics.median(per.values())) if per else "-",
                   "; ".join(f.notes(g.name, s))[:50])


def ratios(rows):
    """For the plot: name, median, least and most of the runs, what is asked, the aim; a tab between."""
    f = Figures(rows)
    for row in ROWS:
        if row.least and (v := f.ratios(row, row.ours)):
            print(row.short, *(f"{x:.3f}" for x in (statistics.median(v), min(v), max(v), row.least, row.aim)),
                  sep="\t")


def table(head, right, lines):
    """right: the columns with numbers."""
    lines = [head, *lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join(c.rjust(w) if i in right else c.ljust(w)
                        for i, (c, w) in enumerate(zip(line, widths))).rstrip())


def disturbed(rows):
    """How many were measured while other programs had a good part of the machine."""
    def others(r):
        return float(r["machine_cores"]) - sum(float(r[c]) for c in ("load_cores", "client_cores", "server_cores"))

    # A loop device works in kernel threads, which are nobody's.
    return sum(1 for r in rows if r["iops"] and r["stand"] not in ("rsio-loop", "cipher") and others(r) > OTHERS_MAX)


def show(rows):
    f = Figures(rows)
    print("\nFigures: medians. Cores: load / client daemon / server; machine: all busy cores, kernel threads too;\n"
          "CPU us: microseconds of CPU a request, load, client and server together;\n"
          "per core: IOPS per core of client and server (protocol alone: of load and server).\n")
    table(("", "load", "stand", "IOPS", "MB/s", "p50 us", "p99 us", "cores", "machine", "CPU us", "per core", ""),
          range(3, 11), list(figure_lines(f)))
    print(f"\nRatios: medians of the {len(f.runs)} runs' ratios, and their range.\n")
    table(("row", "rsio", "beside", "ratio", "range", "least", "aim", ""), range(1, 7),
          list(ratio_lines(f)))
    short = [r.title for r in ROWS if r.least and (v := f.ratios(r, r.ours)) and statistics.median(v) < r.least]
    asked = [r for r in ROWS if r.least and f.ratios(r, r.ours)]
    print(f"\n{len(asked) - len(short)} of {len(asked)} rows that ask for a ratio reach it.")
    if n := disturbed(rows):
        print(f"Other programs used more than {OTHERS_MAX} cores during {n} of {len(rows)} measurements: "
              "these say little; measure again on a quiet machine.")
    return short
