"""What a student has of an exercise's questions: lessons/<exercise>/questions.py ->
course_utils/questions/<exercise>.{txt,json}.

The text is the author's without the functions that work out right answers and known
mistakes; the answers to the public seed stand in the JSON file, as plain values.
"""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path
from unittest import mock

from course_utils.engine import asking, speed

ROOT = Path(__file__).resolve().parents[1]


def paths(folder: Path) -> tuple[Path, Path]:
    """The two built files of a lesson's folder."""
    built = folder.parents[1] / "course_utils/questions"
    return built / f"{folder.name}.txt", built / f"{folder.name}.json"


def public(source: str) -> str:
    """The text without ``expected=…``, without the functions that it names and without what only
    these use."""
    tree, lines = ast.parse(source), source.splitlines(keepends=True)
    definitions = {
        node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    definitions |= {
        target.id: node for node in tree.body if isinstance(node, ast.Assign)
        for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    answers = [
        word
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "expected"
    ]

    def used(nodes: list[ast.AST], seen: set[str]) -> set[str]:
        names = {
            n.id
            for node in nodes
            for n in ast.walk(node)
            if isinstance(n, ast.Name) and n not in hidden
        }
        for name in names & set(definitions) - seen:
            seen = used([definitions[name]], seen | {name})
        return seen

    hidden = {n for word in answers for n in ast.walk(word.value)}
    needed = used([definitions["QUESTIONS"]], {"QUESTIONS"})
    drop: list[tuple[int, int]] = []
    for name, node in definitions.items():
        if name not in needed:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            drop.append((first, node.end_lineno or first))
    for word in answers:
        text = "".join(lines[word.lineno - 1 : word.end_lineno])
        if not text.strip().startswith("expected=") or not text.rstrip().endswith(","):
            raise ValueError(
                f"expected={ast.unparse(word.value)} must stand on lines of its own, "
                "with a comma at the end"
            )
        drop.append((word.lineno, word.end_lineno or word.lineno))
    gone = {number for first, last in drop for number in range(first, last + 1)}
    text = "".join(line for number, line in enumerate(lines, 1) if number not in gone)
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    return text


def build(folder: Path) -> bool:
    """Write the two files where they differ; whether they did."""
    source = folder / "questions.py"
    code, answers = paths(folder)
    text = public(source.read_text(encoding="utf-8"))
    before = code.read_text(encoding="utf-8") if code.exists() else ""
    part = answers.with_suffix(".part")
    store_answers(source, part)
    if before == text and answers.exists() and agree(answers, part):
        part.unlink()
        return False
    code.write_text(text, encoding="utf-8")
    part.replace(answers)
    return True


def store_answers(source: Path, path: Path) -> None:
    """Write the author's answers. A model trained for one is trained in float32: in bfloat16 its
    errors differ by 0.2 % from one maker's processor to another's."""
    with mock.patch.object(speed, "has_bf16", return_value=False):
        asking.store(path, asking.load(source).QUESTIONS)


def agree(one: Path, other: Path) -> bool:
    """Whether two files hold the same answers, but for what another processor rounds
    differently."""
    return _same(*(asking.plain(asking.read(path)) for path in (one, other)))


def _same(first: object, second: object) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(
            _same(first[key], second[key]) for key in first
        )
    return asking.same(first, second, 1e-3)


def differs(folder: Path) -> bool:
    """Whether a student's files are not what the author's text makes; nothing is written."""
    code, answers = paths(folder)
    text = public((folder / "questions.py").read_text(encoding="utf-8"))
    if not (code.exists() and answers.exists()) or code.read_text(encoding="utf-8") != text:
        return True
    with tempfile.TemporaryDirectory() as here:
        part = Path(here) / answers.name
        store_answers(folder / "questions.py", part)
        return not agree(answers, part)
