"""Submissions with known marks: right in several styles, wrong in one question each, broken, hostile. ``build.py`` makes the notebooks."""
