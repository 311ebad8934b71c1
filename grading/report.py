"""What a teacher gets: tables of marks, the text answers to be marked by hand, a feedback page for
each student, a summary picture. All of it is made from the gradebook, anew each time.

Everything that a student wrote is shown as text: no markup, script or file name of a submission
reaches a page as such. One student's trouble is that student's line.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import v4

from grading import sheets
from grading.assemble import exercise_cells, info, printable
from grading.marks import Mark, Marks, Times, digest_of

ROOT = Path(__file__).resolve().parents[1]
PNG = b"\x89PNG\r\n\x1a\n"
WRITTEN = ("grades.csv", "marks.xlsx", "texts.xlsx", "feedback", "summary.png")


@dataclass
class Total:
    """A result with its points by question: None where nobody has marked yet."""

    result: object
    title: str
    worth: dict[str, tuple[float, bool]]
    titles: dict[str, str]  # question -> the exercise's own heading
    points: dict[str, float | None]
    marks: dict[str, Mark]
    answers: dict[str, str]  # the texts that a person has to mark
    times: Times

    def sum(self, manual: bool | None = None) -> float | None:
        """Of all points, less what lateness costs, or of those by hand or by the box; None while
        one is missing."""
        found = [self.points[k] for k, (_, m) in self.worth.items() if manual in (None, m)]
        if None in found or not self.worth:
            return None
        return sum(found) - (self.deducted if manual is None else 0)

    @property
    def deducted(self) -> float:
        known = sum(value for value in self.points.values() if value is not None)
        return min(known, round(self.most() * self.times.percent / 100 * self.times.days, 2))

    def most(self, manual: bool | None = None) -> float:
        return sum(most for most, m in self.worth.values() if manual in (None, m))


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
            kept.append({"text": printable(output["text"][:20_100])})
        elif isinstance(output.get("picture"), str) and len(output["picture"]) < 500_000:
            try:
                if base64.b64decode(output["picture"], validate=True).startswith(PNG):
                    kept.append({"picture": output["picture"]})
            except ValueError:
                pass
    return kept


def titles(template: list[dict]) -> tuple[str, dict[str, str]]:
    """The exercise's title, and question or answer cell -> number and words of its heading."""
    title, heading, found = "", "", {}
    own: list[str] = []  # answer cells whose question stands below
    for cell in template:
        if info(cell).get("solution"):
            own.append(info(cell)["grade_id"])
        if cell["cell_type"] == "markdown":
            for line in cell["source"].splitlines():
                if not title and line.startswith("# "):
                    title = line[2:].strip()
                elif line.startswith("## "):
                    heading = re.sub(r"\s*\([^()]*\)\s*$", "", line[3:]).strip()
        if info(cell).get("grade"):
            key = info(cell)["grade_id"]
            twice = heading in found.values()
            name = f"{heading} ({readable(key)})" if twice or not heading else heading
            found |= dict.fromkeys([*own, key], name)
            own = []
    return title, found


def text_answers(result) -> dict[str, str]:
    """Question -> answer, of the text questions that a person has to mark."""
    return {
        cell["key"]: cell["source"]
        for cell in result.cells
        if cell["manual"] and cell["key"] not in result.points and cell["source"].strip()
    }


def totals(results: dict, exercises: dict, marks: Marks) -> list[Total]:
    """For each result its points by question."""
    stored, times, found = marks.read(), marks.times(), []
    for key in sorted(results):
        result = results[key]
        template = exercises.get(result.exercise, [])
        answers, here, points = text_answers(result), stored.get(key, {}), {}
        for name, (_, manual) in worth(template).items():
            mark = here.get(name, Mark())
            if result.status == "not graded":
                points[name] = None
            elif mark.points is not None:
                points[name] = mark.points
            else:
                points[name] = None if manual and name in answers else 0.0
        title, names = titles(template)
        title, when = title or result.exercise, times.get(key, Times(said=marks.platform.get(key)))
        found.append(Total(result, title, worth(template), names, points, here, answers, when))
    return found


def shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


GRADES = """student exercise status automatic automatic_of by_hand by_hand_of points of handed_in
late deducted questions notes""".split()
TEXTS = "student exercise question answer points of comment note key".split()


def grade_rows(all_totals: list[Total]) -> list[list]:
    """One line for each student and exercise; an empty field is a mark that does not exist
    (yet)."""
    return [
        [
            total.result.student,
            total.result.exercise,
            total.result.status,
            shown(total.sum(False)),
            f"{total.most(False):g}",
            shown(total.sum(True)),
            f"{total.most(True):g}",
            shown(total.sum()),
            f"{total.most():g}",
            *(("", "") if total.result.status == "missing" else total.times.words),
            shown(total.deducted or None),
            "; ".join(f"{key}: {shown(value)}" for key, value in total.points.items()),
            " ".join(total.result.notes),
        ]
        for total in all_totals
    ]


def people(results: list) -> dict[str, str]:
    """Student -> name without Moodle's number, which differs from exercise to exercise; with it
    where two in one exercise have the same name."""
    plain = {result.student: re.sub(r" \d+$", "", result.student) for result in results}
    twice = Counter((result.exercise, plain[result.student]) for result in results)
    same = {name for (_, name), count in twice.items() if count > 1}
    return {student: student if name in same else name for student, name in plain.items()}


def question_table(all_totals: list[Total]) -> tuple[list[str], list[list]]:
    """One line for each student, a column for each question of each exercise."""
    called = people([total.result for total in all_totals])
    columns = {
        (total.result.exercise, key): f"{total.result.exercise}: {total.titles[key]} ({most:g})"
        for total in all_totals
        for key, (most, _) in total.worth.items()
    }
    lines: dict[str, dict] = {}
    for total in all_totals:
        line = lines.setdefault(called[total.result.student], {})
        line |= {(total.result.exercise, key): value for key, value in total.points.items()}
    ordered = sorted(columns, key=lambda column: column[0])
    rows = [[student, *(line.get(c) for c in ordered)] for student, line in sorted(lines.items())]
    return ["student", *(columns[column] for column in ordered)], rows


# the text answers


def row_key(student: str, exercise: str, question: str, digest: str) -> str:
    """A name for a row of the texts that no spreadsheet takes for a number or a date."""
    words = "\n".join((student, exercise, question, digest)).encode("utf-8", "replace")
    return "key_" + hashlib.sha256(words).hexdigest()[:16]


def write_texts(folder: Path, all_totals: list[Total], marks: Marks) -> None:
    """The text answers, as texts.csv and texts.xlsx: the teacher fills in points and comment in the
    one or the other and grades again."""
    digests, rows, kept = marks.answers(), [], []
    for total in all_totals:
        student, exercise = total.result.student, total.result.exercise
        for name, answer in total.answers.items():
            mark = total.marks.get(name, Mark())
            digest = digests.get((student, exercise, name), {}).get("digest", digest_of(answer))
            key = row_key(student, exercise, name, digest)
            earlier = f"given for an earlier answer: {mark.earlier}" if mark.earlier else ""
            note = "; ".join(filter(None, [marks.refused.get(key, ""), earlier]))
            points = shown(mark.manual)
            rows.append(
                [student, exercise, total.titles[name], answer[:8000], points,
                 f"{total.worth[name][0]:g}", mark.comment, note, key]
            )  # fmt: skip
            kept.append((student, exercise, name, points, mark.comment))
    sheets.write_csv(folder / "texts.csv", TEXTS, rows)
    numbers = [[*row[:4], float(row[4]) if row[4] else None, *row[5:]] for row in rows]
    sheets.write_xlsx(folder / "texts.xlsx", {"texts": (TEXTS, numbers)})
    marks.shown(kept)


def read_texts(folder: Path, marks: Marks, exercises: dict) -> None:
    """What a teacher has filled into texts.csv or texts.xlsx goes into the gradebook. What cannot
    be a mark is refused by name; a sheet with marks that belong to nothing is kept aside."""
    known = {
        row_key(*key, about["digest"]): (*key, about) for key, about in marks.answers().items()
    }
    people = tuple({key[0] for key in known.values()})
    most = {name: worth(template) for name, template in exercises.items()}
    stored, given = marks.read(), {}
    paths = [path for name in ("texts.csv", "texts.xlsx") if (path := folder / name).exists()]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime):  # the later one counts
        strange = 0
        for line, row in sheets.read_dicts(path, people):
            points, comment = (sheets.as_meant(row.get(n) or "") for n in ("points", "comment"))
            student, exercise, question, about = known.get(
                (row.get("key") or "").strip(), ("", "", "", {})
            )
            if not about or question not in most.get(exercise, {}):
                strange += bool(points.strip() or comment.strip())
                continue
            where = f"{path.name}, line {line} ({student}, {exercise}, {question})"
            mark = stored.get((student, exercise), {}).get(question, Mark())
            value, words = given.get((student, exercise, question), (mark.manual, mark.comment))
            if not _same_words(comment, about["comment"]):
                words = comment.strip()
            if not _same_points(points, about["points"]):
                try:
                    value = sheets.points_of(points, most[exercise][question][0])
                except ValueError as error:
                    if points.strip():
                        marks.said.append(f"{where}: {error}; the mark stays as it was.")
                        marks.refused[row["key"].strip()] = str(error)
                    else:
                        marks.said.append(f"{where}: the mark {about['points']} was taken back.")
                        value = None
            if (value, words) != (mark.manual, mark.comment):
                given[student, exercise, question] = value, words
        if strange:
            aside, data = path.with_name(f"{path.stem} kept{path.suffix}"), path.read_bytes()
            number = 1
            while aside.exists() and aside.read_bytes() != data:
                number += 1
                aside = path.with_name(f"{path.stem} kept {number}{path.suffix}")
            aside.write_bytes(data)
            marks.said.append(
                f"{path.name}: {strange} lines with a mark or comment belong to no answer that is "
                f"there now (changed since, or another table); the sheet is kept as {aside.name}."
            )
    for key, (value, words) in given.items():
        marks.mark_by_hand(*key, value, words)


def _same_points(now: str, then: str) -> bool:
    try:
        return float(now.strip().replace(",", ".")) == float(then)
    except ValueError:
        return now.strip() == then


def _same_words(now: str, then: str) -> bool:
    """Whether a comment is as it was shown, or what an old encoding left of it."""
    now, then = " ".join(now.split()), " ".join(then.split())
    left = [then.encode(code, "replace").decode(code) for code in ("cp1250", "cp1252", "cp1255")]
    return now == then or now in left


def readable(key: str) -> str:
    """A question's name as people read it: check_dead_units -> dead units."""
    return key.removeprefix("check_").replace("_", " ")


STYLE = """
body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}
td,th{border:1px solid #bbb;padding:.3em .6em;text-align:start;vertical-align:top}
pre{background:#f4f4f4;padding:.6em;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
pre.source{border-inline-start:4px solid #0072B2}
.full{background:#e2f3ea}.some{background:#fdf3d8}.none{background:#fbe6dc}
.out{background:#fff;border:1px solid #ddd}
section{border-top:1px solid #bbb;margin-top:2em}
img{max-width:100%} .why{white-space:pre-line;padding:.3em .6em}
"""


def own_cells(result, questions: dict) -> dict[str, list[dict]]:
    """Question -> the cells that the student wrote for it; under "" those after the last one."""
    found, own = dict.fromkeys(questions, []), []
    for cell in result.cells:
        if (cell["answer"] or cell["key"] == "+") and cell["source"].strip():
            own.append(cell)
        if cell["key"] in questions:
            found[cell["key"]], own = own, []
    return {**found, "": own}


def model_answers(exercise: str, template: list[dict]) -> dict[str, tuple[str, str]]:
    """Question -> its model answer, and how a text is marked."""
    path = ROOT / "solutions" / exercise / f"{exercise}.ipynb"
    solved = {info(cell).get("grade_id"): cell["source"] for cell in exercise_cells(path)}
    found, own, given = {}, [], ""
    for cell in template:
        about = info(cell)
        if about.get("solution"):
            own.append(re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", solved[about["grade_id"]],
                              flags=re.M))  # fmt: skip
        elif cell["cell_type"] == "markdown":
            given = cell["source"]
        if about.get("grade"):
            rubric = given.partition("*How it is marked.*")[2] if about.get("solution") else ""
            found[about["grade_id"]], own = ("\n\n".join(own), rubric.strip()), []
    return found


def formgrader_notebook(result, template: list[dict]) -> bytes:
    """What nbgrader's formgrader shows of a submission: the questions, the student's cells and
    what these showed. A text is shown as it was typed; nothing in it is markup."""
    about = {
        info(cell)["grade_id"]: (info(cell), cell["source"]) for cell in template if info(cell)
    }
    named, rubrics = titles(template)[1], model_answers(result.exercise, template)
    cells = []

    def boxed(text: str) -> str:
        return f'<pre dir="auto" style="white-space:pre-wrap">{html.escape(text)}</pre>'

    def add(kind: str, source: str, key: str = "", **outputs) -> None:
        new = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
        named = {"nbgrader": about[key][0]} if key in about else {}
        cells.append(new(source, metadata=named, **outputs))

    for key, own in own_cells(result, worth(template)).items():
        if key or own:
            add("markdown", f"## {named.get(key, 'More cells')}\n\n{rubrics.get(key, ('', ''))[1]}")
        if key in result.messages:
            add("markdown", boxed(result.messages[key]))
        for cell in own:
            if cell["kind"] == "code":
                add("code", cell["source"], cell["key"], outputs=[
                    v4.new_output("stream", text=shown["text"]) if "text" in shown
                    else v4.new_output("display_data", {"image/png": shown["picture"]})
                    for shown in cell["outputs"]
                ])  # fmt: skip
            else:
                add("markdown", boxed(cell["source"]), cell["key"])
        if key in about and not about[key][0].get("solution"):
            add("code", about[key][1], key)
    return printable(nbformat.writes(v4.new_notebook(cells=cells))).encode()


def feedback_page(totals_of_student: list[Total], model: dict) -> str:
    """One page of a student: every exercise with its questions, and under each its points, the
    reason, the student's cells and what they showed; the model answer, where there is one."""
    escape = html.escape
    student = totals_of_student[0].result.student
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(student)}</title><style>{STYLE}</style></head>"
        f'<body><h1 dir="auto">{escape(student)}</h1>'
    ]

    def add(tag: str, text: str, more: str = 'dir="auto"') -> None:
        if text:
            parts.append(f"<{tag} {more}>{escape(text)}</{tag}>")

    for total in totals_of_student:
        result, points = total.result, total.points
        known = {key: value for key, value in points.items() if value is not None}
        of = sum(total.worth[key][0] for key in known)
        waiting, deducted = total.most() - of, total.deducted
        if result.status == "not graded" or not total.worth:
            sum_of = result.status
        else:
            sum_of = f"{sum(known.values()) - deducted:g} of {of:g} points"
            if waiting:
                sum_of += f" so far; a text answer, {waiting:g} points, is still to be marked"
        add("h2", f"{total.title}: {sum_of}")
        when, late = total.times.words
        if late:
            less = f"; {deducted:g} points are deducted" if deducted else ""
            add("p", f"Handed in: {when}; late: {late}{less}.")
        for note in result.notes:
            add("p", "" if note.startswith("For the teacher") else note)
        rows, sections = [], own_cells(result, total.worth)
        for key, (most, _) in total.worth.items():
            value = points[key]
            mood = "" if value is None else "full" if value >= most else "some" if value else "none"
            mark = f"of {most:g}, to be marked" if value is None else f"{value:g} of {most:g}"
            rows.append((key, total.titles[key], mark, mood))
        parts.append("<table><tr><th>question</th><th>points</th></tr>")
        for _, title, mark, mood in rows:
            parts.append(f'<tr class="{mood}"><td>{escape(title)}</td><td>{mark}</td></tr>')
        parts.append("</table>")
        for key, title, mark, mood in [*rows, ("", "More of your cells", "", "")]:
            if not key and not sections[key]:
                continue
            parts.append("<section>")
            add("h3", f"{title}: {mark}".replace("?:", "?") if mark else title)
            reason = result.messages.get(key, "") or ("Right." if mood == "full" else "")
            add("p", reason, f'dir="auto" class="why {mood}"')
            for cell in sections[key]:
                add("pre", cell["source"][:20_000], 'dir="auto" class="source"')
                for output in cell["outputs"]:
                    add("pre", output.get("text", ""), 'class="out"')
                    if "picture" in output:
                        source = f"data:image/png;base64,{output['picture']}"
                        parts.append(f'<img alt="a figure of this notebook" src="{source}">')
            for name in dict.fromkeys([key, *(cell["key"] for cell in sections[key])]):
                comment = total.marks.get(name, Mark()).comment
                add("p", f"Comment: {comment}" if comment else "", 'dir="auto" class="why"')
            for name, text in zip(("Model answer", "How it is marked"),
                                  model.get(result.exercise, {}).get(key, ())):  # fmt: skip
                add("p", text and f"{name}:")
                add("pre", text)
            parts.append("</section>")
    return "\n".join([*parts, "</body></html>"])


def file_name(student: str) -> str:
    """A file name of a student, readable in any alphabet; where a sign had to go, a short digest
    keeps two names apart."""
    plain = re.sub(r"[^\w\- ]", "_", student)
    digest = hashlib.sha256(student.encode()).hexdigest()[:6]
    return f"{plain}.html" if plain == student else f"{plain} {digest}.html"


def write_feedback(folder: Path, all_totals: list[Total], model: dict) -> list[str]:
    """A page for each student. Returns what could not be written."""
    new = folder.with_name(folder.name + ".partial")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    by_student: dict[str, list[Total]] = {}
    for total in all_totals:
        if total.result.status != "missing":
            by_student.setdefault(total.result.student, []).append(total)
    failed = []
    for student, mine in by_student.items():
        try:
            page = printable(feedback_page(mine, model))
            (new / file_name(student)).write_text(page, encoding="utf-8")
        except Exception as error:
            failed.append(f"{student}: no feedback page ({type(error).__name__}: {error})")
    shutil.rmtree(folder, ignore_errors=True)
    new.replace(folder)
    return failed


KINDS = (  # of results for a question, given its points and the most that there are
    ("all points", "#0072B2", "", lambda value, most: value is not None and value >= most),
    ("some", "#56B4E9", "//", lambda value, most: value is not None and 0 < value < most),
    ("none", "#D55E00", "xx", lambda value, most: value == 0),
    ("not marked yet", "#DDDDDD", "..", lambda value, most: value is None),
)


def write_summary(path: Path, all_totals: list[Total]) -> None:
    """For each exercise and question: how many got all points, some, none, or have no mark yet;
    beside it the sums."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows: dict[str, list[Total]] = {}
    for total in sorted(all_totals, key=lambda total: total.result.exercise):
        if total.worth:
            rows.setdefault(total.result.exercise, []).append(total)
    heights = [max(2.2, 0.45 * len(row[0].worth) + 1.2) for row in rows.values()]
    fig = Figure(figsize=(11, sum(heights) + 0.8), layout="constrained")
    FigureCanvasAgg(fig)
    grid = {"width_ratios": [3, 2], "height_ratios": heights}
    axes = fig.subplots(len(rows), 2, squeeze=False, gridspec_kw=grid)
    for (left, right), row, height in zip(axes, rows.values(), heights):
        asked, start = row[0].worth, [0] * len(row[0].worth)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        for label, color, hatch, belongs in KINDS:
            counts = [sum(belongs(total.points[key], most) for total in row)
                      for key, (most, _) in asked.items()]  # fmt: skip
            bars = left.barh(range(len(asked)), counts, left=start, color=color, hatch=hatch,
                             edgecolor="white", label=label)  # fmt: skip
            words = [str(count or "") for count in counts]
            left.bar_label(bars, words, label_type="center", fontsize=9, bbox=box)
            start = [before + count for before, count in zip(start, counts)]
        names = [f"{_short(row[0].titles[key])} ({most:g})" for key, (most, _) in asked.items()]
        left.set_yticks(range(len(asked)), names)
        left.invert_yaxis()
        left.xaxis.get_major_locator().set_params(integer=True)
        left.set(xlabel="students", title=row[0].title)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.28 * 2.2 / height)}
        left.legend(ncols=4, fontsize=8, frameon=False, **below)
        whole = all(total.sum(True) is not None for total in row if total.sum(False) is not None)
        of = None if whole else False
        sums, most = [total.sum(of) for total in row if total.sum(of) is not None], row[0].most(of)
        bins = [i - 0.5 for i in range(int(most) + 2)]
        right.hist(sums, bins=bins, color="#0072B2", edgecolor="white")
        right.set(
            xlabel=f"points, of {most:g}" + ("" if whole else " (automatic ones alone)"),
            ylabel="students",
            title=f"sum; mean {sum(sums) / len(sums):.1f}" if sums else "nothing graded yet",
        )
        right.yaxis.get_major_locator().set_params(integer=True)
    fig.savefig(path.with_name("summary.partial.png"), dpi=110)
    path.with_name("summary.partial.png").replace(path)


def _short(text: str) -> str:
    return text if len(text) < 45 else f"{text[:42]}…"


def write_all(
    out: Path,
    results: dict,
    exercises: dict,
    marks: Marks,
    picture: bool = True,
    models: bool = False,
) -> None:
    """All tables, pages and the picture, of everything in the gradebook."""
    all_totals = totals(results, exercises, marks)
    write_texts(out, all_totals, marks)
    names = {total.result.exercise for total in all_totals if total.worth and models}
    model = {name: model_answers(name, exercises[name]) for name in names}
    failed = write_feedback(out / "feedback", all_totals, model)
    marks.said = list(dict.fromkeys([*marks.said, *failed]))
    (out / "summary.png").unlink(missing_ok=True)
    if picture and any(total.worth for total in all_totals):
        write_summary(out / "summary.png", all_totals)
    rows = grade_rows(all_totals)
    sheets.write_csv(out / "grades.csv", GRADES, rows)
    questions = question_table(all_totals)
    sheets.write_csv(out / "questions.csv", *questions)
    amounts = [GRADES.index(name) for name in (*GRADES[3:9], "deducted")]
    numbers = [[float(v) if i in amounts and v else v for i, v in enumerate(row)] for row in rows]
    sheets.write_xlsx(out / "marks.xlsx", {"grades": (GRADES, numbers), "questions": questions})
