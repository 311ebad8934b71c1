"""What a teacher gets: grades.csv, texts.csv (the text answers, to be marked by hand), a feedback
page for each student, a summary picture.

Everything that a student wrote is shown as text: no markup, script or file name of a submission
reaches a page as such.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import re
import shutil
from pathlib import Path

from grading.assemble import info

PNG = b"\x89PNG\r\n\x1a\n"


def worth(template: list[dict]) -> dict[str, tuple[float, bool]]:
    """Question -> (points, marked by hand?), in the exercise's order."""
    return {
        info(cell)["grade_id"]: (float(info(cell)["points"]), bool(info(cell).get("solution")))
        for cell in template
        if info(cell).get("grade")
    }


def only_known(outputs: object) -> list[dict]:
    """A cell's outputs as claimed by the student's process, reduced to text and PNG pictures of
    bounded size."""
    kept: list[dict] = []
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict) or len(kept) >= 40:
            continue
        if isinstance(output.get("text"), str):
            kept.append({"text": output["text"][:20_100]})
        elif isinstance(output.get("picture"), str) and len(output["picture"]) < 500_000:
            try:
                if base64.b64decode(output["picture"], validate=True).startswith(PNG):
                    kept.append({"picture": output["picture"]})
            except ValueError:
                pass
    return kept


def safe_cell(value: object) -> object:
    """A text that no spreadsheet takes for a formula."""
    return (
        f"'{value}"
        if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
        else value
    )


def write_csv(path: Path, header: list[str], rows: list[list]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([header, *[[safe_cell(value) for value in row] for row in rows]])
    partial = path.with_name(path.name + ".partial")
    partial.write_text(
        "\ufeff" + buffer.getvalue(), encoding="utf-8"
    )  # the mark lets spreadsheets read Hebrew and Croatian names
    partial.replace(path)


def text_answers(result, template: list[dict]) -> dict[str, str]:
    """Question -> answer, of the text questions that a person has to mark."""
    return {
        cell["key"]: cell["source"]
        for cell in result.cells
        if cell["manual"] and cell["key"] not in result.points and cell["source"].strip()
    }


def answer_mark(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:12]


def read_marks(path: Path) -> dict[tuple[str, str, str, str], tuple[float, str]]:
    """(student, exercise, question, mark of the answer) -> (points, comment), of the filled lines
    of texts.csv."""
    if not path.exists():
        return {}
    marks = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        sample = file.read()
    delimiter = (
        ";" if sample.split("\n", 1)[0].count(";") > sample.split("\n", 1)[0].count(",") else ","
    )  # some spreadsheets save it so
    for row in csv.DictReader(io.StringIO(sample), delimiter=delimiter):
        points = (row.get("points") or "").strip().replace(",", ".")
        if points:
            try:
                value = float(points)
            except ValueError:
                continue
            value = min(max(value, 0.0), float(row["of"]))
            marks[
                row["student"].lstrip("'"), row["exercise"], row["question"], row["answer_mark"]
            ] = (value, row.get("comment") or "")
    return marks


def totals(results, exercises, work) -> list[dict]:
    """For each result its points by question: automatic, by hand, or None where nobody has marked
    yet."""
    marks = read_marks(work.folder / "texts.csv")
    found = []
    for result in results:
        template = exercises.get(result.exercise, [])
        answers = text_answers(result, template)
        points, comments = {}, {}
        for key, (_, manual) in worth(template).items():
            if result.status in ("not graded", "missing"):
                points[key] = None if result.status == "not graded" else 0.0
            elif not manual or key in result.points:
                points[key] = result.points.get(key, 0.0)
            elif key in answers:
                points[key], comments[key] = marks.get(
                    (result.student, result.exercise, key, answer_mark(answers[key])), (None, "")
                )
            else:
                points[key] = 0.0
        found.append(
            {
                "result": result,
                "points": points,
                "comments": comments,
                "answers": answers,
                "worth": worth(template),
            }
        )
    return found


def write_grades(path: Path, results, exercises, work) -> None:
    """One line for each student and exercise; an empty field is a mark that does not exist
    (yet)."""
    rows = []
    for total in sorted(
        totals(results, exercises, work), key=lambda t: (t["result"].student, t["result"].exercise)
    ):
        result, given = total["result"], total["worth"]
        automatic = [total["points"][key] for key, (_, manual) in given.items() if not manual]
        by_hand = [total["points"][key] for key, (_, manual) in given.items() if manual]
        whole = [*automatic, *by_hand]

        def add(values: list[float | None], given: dict = given) -> str:
            return "" if None in values or not given else f"{sum(values):g}"

        rows.append(
            [
                result.student,
                result.exercise,
                result.status,
                add(automatic),
                f"{sum(p for p, m in given.values() if not m):g}",
                add(by_hand),
                f"{sum(p for p, m in given.values() if m):g}",
                add(whole),
                f"{sum(p for p, _ in given.values()):g}",
                "; ".join(
                    f"{key}: {'' if value is None else f'{value:g}'}"
                    for key, value in total["points"].items()
                ),
                " ".join(result.notes),
            ]
        )
    write_csv(
        path,
        [
            "student",
            "exercise",
            "status",
            "automatic",
            "automatic_of",
            "by_hand",
            "by_hand_of",
            "points",
            "of",
            "questions",
            "notes",
        ],
        rows,
    )


def write_texts(path: Path, results, exercises, work) -> None:
    """The text answers in one table: the teacher fills in points and comment and grades again. What
    is filled in is kept."""
    marks = read_marks(path)
    rows = []
    for total in totals(results, exercises, work):
        result = total["result"]
        for key, answer in total["answers"].items():
            mark = answer_mark(answer)
            points, comment = marks.get((result.student, result.exercise, key, mark), ("", ""))
            rows.append(
                [
                    result.student,
                    result.exercise,
                    key,
                    answer[:8000],
                    f"{points:g}" if points != "" else "",
                    f"{total['worth'][key][0]:g}",
                    comment,
                    mark,
                ]
            )
    write_csv(
        path,
        ["student", "exercise", "question", "answer", "points", "of", "comment", "answer_mark"],
        rows,
    )


def readable(key: str) -> str:
    """A question's name as people read it: check_dead_units -> dead units."""
    return key.removeprefix("check_").replace("_", " ")


STYLE = """
body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%}
td,th{border:1px solid #bbb;padding:.3em .6em;text-align:start;vertical-align:top}
pre{background:#f4f4f4;padding:.6em;overflow-x:auto;white-space:pre-wrap}
.answer pre.source{border-inline-start:4px solid #0072B2}
.full{background:#e2f3ea}.none{background:#fbe6dc}.out{background:#fff;border:1px solid #ddd}
img{max-width:100%}
"""


def feedback_page(totals_of_student: list[dict]) -> str:
    """One page of a student: every exercise with its questions, points, reasons, and what the
    student's answers showed when they ran."""
    escape = html.escape
    student = totals_of_student[0]["result"].student
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(student)}</title><style>{STYLE}</style></head>"
        f'<body><h1 dir="auto">{escape(student)}</h1>'
    ]
    for total in totals_of_student:
        result, points = total["result"], total["points"]
        known = [value for value in points.values() if value is not None]
        most_of_all = sum(worth for worth, _ in total["worth"].values())
        waiting = (
            ""
            if len(known) == len(points)
            else " so far: a text answer is still to be marked"
            if result.status != "not graded"
            else ": not graded"
        )
        parts.append(
            f"<h2>{escape(result.exercise)}: {sum(known):g} of {most_of_all:g} points{waiting}</h2>"
        )
        parts += [
            f"<p>{escape(note)}</p>"
            for note in result.notes
            if not note.startswith("For the teacher")
        ]
        parts.append("<table><tr><th>question</th><th>points</th><th>why</th></tr>")
        for key, (most, _) in total["worth"].items():
            value = points[key]
            why = (
                result.messages.get(key)
                or total["comments"].get(key)
                or ("right" if value == most else "")
            )
            mood = "" if value is None else "full" if value == most else "none"
            mark = f"of {most:g}, to be marked" if value is None else f"{value:g} of {most:g}"
            parts.append(
                f'<tr class="{mood}"><td>{escape(readable(key))}</td><td>{mark}</td>'
                f'<td dir="auto">{escape(why)}</td></tr>'
            )
        parts.append("</table>")
        for cell in result.cells:
            mine = cell["answer"] or cell["key"] == "+"
            if not mine or not cell["source"].strip():
                continue
            parts.append('<div class="answer">')
            parts.append(f'<pre class="source" dir="auto">{escape(cell["source"][:20_000])}</pre>')
            for output in cell["outputs"]:
                if "text" in output:
                    parts.append(f'<pre class="out">{escape(output["text"])}</pre>')
                else:
                    source = f"data:image/png;base64,{output['picture']}"
                    parts.append(f'<img alt="a figure of this notebook" src="{source}">')
            parts.append("</div>")
    return "\n".join([*parts, "</body></html>"])


def file_name(student: str) -> str:
    """A file name of a student, readable in any alphabet; where a sign had to go, a short digest
    keeps two names apart."""
    plain = re.sub(r"[^\w\- ]", "_", student)
    return (
        f"{plain}.html"
        if plain == student
        else f"{plain} {hashlib.sha256(student.encode()).hexdigest()[:6]}.html"
    )


def write_feedback(folder: Path, all_totals: list[dict]) -> None:
    new = folder.with_name(folder.name + ".partial")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    by_student: dict[str, list[dict]] = {}
    for total in all_totals:
        if total["result"].status != "missing":
            by_student.setdefault(total["result"].student, []).append(total)
    for student, mine in by_student.items():
        (new / file_name(student)).write_text(feedback_page(mine), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    new.replace(folder)


def write_summary(path: Path, all_totals: list[dict]) -> None:
    """For each exercise and question: how many got all points, some, none, or have no mark yet;
    beside it the sums."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = sorted({total["result"].exercise for total in all_totals if total["worth"]})
    rows = [[total for total in all_totals if total["result"].exercise == name] for name in names]
    heights = [max(2.2, 0.45 * len(row[0]["worth"]) + 1.2) for row in rows]
    fig = Figure(figsize=(11, sum(heights) + 0.8), layout="constrained")
    FigureCanvasAgg(fig)
    axes = fig.subplots(
        len(rows), 2, squeeze=False, gridspec_kw={"width_ratios": [3, 2], "height_ratios": heights}
    )
    kinds = [
        ("all points", "#0072B2", ""),
        ("some", "#56B4E9", "//"),
        ("none", "#D55E00", "xx"),
        ("not marked yet", "#DDDDDD", ".."),
    ]
    for (left, right), name, row in zip(axes, names, rows):
        questions = list(row[0]["worth"])
        for place, key in enumerate(questions):
            most = row[0]["worth"][key][0]
            values = [total["points"][key] for total in row]
            counts = [
                sum(v == most for v in values),
                sum(v is not None and 0 < v < most for v in values),
                sum(v == 0 for v in values),
                sum(v is None for v in values),
            ]
            start = 0
            for (label, colour, hatch), count in zip(kinds, counts):
                left.barh(
                    place,
                    count,
                    left=start,
                    color=colour,
                    hatch=hatch,
                    edgecolor="white",
                    label=label if place == 0 else None,
                )
                if count:
                    left.text(
                        start + count / 2,
                        place,
                        str(count),
                        ha="center",
                        va="center",
                        fontsize=9,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                    )
                start += count
        left.set_yticks(
            range(len(questions)),
            [f"{readable(key)} ({row[0]['worth'][key][0]:g})" for key in questions],
        )
        left.invert_yaxis()
        left.xaxis.get_major_locator().set_params(integer=True)
        left.set(xlabel="students", title=f"{name}: points for each question")
        left.legend(
            ncols=4,
            fontsize=8,
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.28 * 2.2 / heights[names.index(name)]),
        )
        most = sum(points for points, _ in row[0]["worth"].values())
        sums = [sum(v for v in total["points"].values() if v is not None) for total in row]
        right.hist(
            sums, bins=[i - 0.5 for i in range(int(most) + 2)], color="#0072B2", edgecolor="white"
        )
        right.set(
            xlabel=f"points so far, of {most:g}",
            ylabel="students",
            title=f"sum; mean {sum(sums) / len(sums):.1f}",
        )
        right.yaxis.get_major_locator().set_params(integer=True)
    fig.savefig(path.with_name("summary.partial.png"), dpi=110)
    path.with_name("summary.partial.png").replace(path)


def write_all(out: Path, results, exercises, work) -> None:
    write_texts(out / "texts.csv", results, exercises, work)
    all_totals = totals(results, exercises, work)
    write_feedback(out / "feedback", all_totals)
    if any(total["worth"] for total in all_totals):
        write_summary(out / "summary.png", all_totals)
    write_grades(out / "grades.csv", results, exercises, work)
