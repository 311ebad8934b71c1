"""The checks of a notebook: they never raise, and say what was expected, what came, and why."""

import io
import sys

import numpy as np
import pytest
import torch

from course_utils import checks
from course_utils.checks import Checks
from course_utils.engine import asking
from course_utils.engine.asking import Question, Wrong, expect, judge, plain, put_here, same


def given(random):
    return {"n": 3, "_right": 9}


def ask(student, given):
    return {"square": student.square(given["n"])}


def ask_again(student, given):
    return {"square": student.square(0)}


def expected_square(given):
    return {"square": given["_right"], "mistakes": {"square": {"doubled": 2 * given["n"]}}}


def right(given, answers, expected):
    """The square of a number."""
    expect(answers[0], "square", expected, "the square", likely="not n * n")


def zero(given, answers, expected):
    """The square of zero."""
    expect(answers[1], "square", {"square": 0})


SQUARE = Question(
    "square", given=given, ask=(ask, ask_again), expected=expected_square, rules={right: 2, zero: 1}
)


@pytest.fixture
def check(monkeypatch, tmp_path):
    """The checks of an exercise with one question."""
    asking.store(tmp_path / "small.json", [SQUARE])
    monkeypatch.setattr(checks, "FOLDER", tmp_path)
    monkeypatch.setattr(checks, "load", lambda path: type("Module", (), {"QUESTIONS": [SQUARE]}))
    return Checks("small")


def test_right_in_part_and_known_mistakes(check, capsys):
    check("square", lambda n: n * n)
    assert capsys.readouterr().out.count("✓") == 2
    check("square", lambda n: 2 * n)
    out = capsys.readouterr().out
    assert "✗  The square of a number (2 points)" in out
    assert "✓  The square of zero (1 point)" in out
    assert "expected      9" in out and "got           6" in out and "likely cause  doubled" in out
    check("square", lambda n: n * n + n)
    assert "likely cause  not n * n" in capsys.readouterr().out


def square(n):
    raise NotImplementedError


def test_what_is_not_written_is_no_fault(check, capsys):
    check("square", square)
    assert capsys.readouterr().out == "·  square: not written yet\n"


def test_what_calls_a_function_that_is_not_written_names_it(check, capsys):
    def root(n):
        raise NotImplementedError

    check("square", lambda n: root(n))
    assert capsys.readouterr().out == "·  square: root is not written yet\n"
    check("square", lambda n: n * n if n else root(n))  # its other steps count
    out = capsys.readouterr().out
    assert "✓  The square of a number (2 points)" in out and "root is not written yet" in out


def test_what_torch_has_not_implemented_is_no_function_left_open(check, capsys):
    def square(n):
        raise NotImplementedError("Could not run 'aten::square'")

    check("square", square)
    out = capsys.readouterr().out
    assert "not written" not in out and "aten::square" in out


@pytest.mark.parametrize(
    "answer",
    [None, "9", [9], (np.array([1, 2]), 3), [torch.tensor(9)], {"a": torch.ones(2)}, float("nan"),
     torch.ones(3, 3), np.float64(8), object(), [[]], lambda: 9, torch.tensor([]), 1 + 2j],
    ids=repr,
)  # fmt: skip
def test_no_answer_makes_it_raise(check, capsys, answer):
    check("square", lambda n: answer)
    out = capsys.readouterr().out
    assert "✗" in out and "expected" in out and "Traceback" not in out


@pytest.mark.parametrize("answer", [9, 9.0, torch.tensor(9), np.int64(9), np.array(9.0)], ids=repr)
def test_a_number_is_a_number(check, capsys, answer):
    check("square", lambda n: answer if n else answer * 0)
    assert capsys.readouterr().out.count("✓") == 2


def test_an_error_is_told_at_the_line_of_the_notebook(check, capsys):
    space: dict = {}
    exec(compile("def square(n):\n    return n.missing\n", "<ipython-input-3>", "exec"), space)
    check("square", space["square"])
    out = capsys.readouterr().out
    assert "your code stopped in square, line 2" in out and "AttributeError" in out
    assert out.count("✗") == 1 and "(3 points)" in out  # one reason for both rules, said once


def test_an_answer_that_leaves_the_program_does_not(check, capsys):
    check("square", lambda n: exit(3))
    out = capsys.readouterr().out
    assert "✗" in out and "SystemExit: 3" in out


def test_wrong_calls_get_a_sentence(check, capsys):
    check("cube", abs)
    assert "no question 'cube'; there are: square" in capsys.readouterr().out
    check("square")
    assert 'called as check("square", square)' in capsys.readouterr().out
    check("square", 9)
    assert 'without calling it: check("square", square)' in capsys.readouterr().out


def test_all_adds_up_and_says_how_to_hand_in(check, capsys):
    check.all({"square": lambda n: n * n})
    out = capsys.readouterr().out
    assert "3 of 3 points" in out and "small.ipynb" in out
    check.all({})
    assert "square is not defined" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "cp862"])
def test_a_console_without_check_marks(check, monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    check("square", lambda n: "ש✓")
    sys.stdout.flush()
    assert b"no  square" in raw.getvalue() or b"no  The square" in raw.getvalue()


def test_a_failed_step_leaves_the_other_rules(capsys):
    def square(n):
        return 9 if n else [][1]

    answers = put_here(SQUARE, given(None), type("S", (), {"square": staticmethod(square)}))
    verdicts = judge(SQUARE, given(None), answers, expected_square(given(None)))
    assert [verdict.points for verdict in verdicts] == [2, 0]


def test_a_check_draws_its_own_random_numbers(check):
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    check("square", lambda n: torch.rand(1))
    assert torch.rand(1) == before


def test_inputs_changed_by_a_student_are_not_judged_by():
    def spoil(student, given):
        given["x"] += 1
        return {"x": given["x"]}

    def kept(given, answers, expected):
        """Kept."""
        if not torch.equal(given["x"], torch.zeros(2)):
            raise Wrong("changed")

    question = Question("q", lambda random: {"x": torch.zeros(2)}, (spoil, spoil), {kept: 1})
    inputs = question.given(None)
    answers = put_here(question, inputs, None)
    assert judge(question, inputs, answers, {})[0].points == 1
    assert torch.equal(answers[1]["x"], torch.ones(2))


def test_plain_and_same():
    deep = plain({"a": (torch.tensor(1), [np.array([2.0])])})
    assert deep == {"a": (1, [[2.0]])}
    assert same([1.0, (2.0,)], [1.00001, [2.0]]) and not same(True, 1) and not same(float("nan"), 1)


def test_stored_answers_come_back(tmp_path):
    question = Question(
        "q", lambda random: {}, (), {}, expected=lambda given: {"x": torch.eye(2), "n": 0.1}
    )
    asking.store(tmp_path / "x.json", [question])
    read = asking.read(tmp_path / "x.json")["q"]
    assert torch.equal(read["x"], torch.eye(2)) and read["n"] == 0.1
