"""What students have of the questions: built by `make exercises` from lessons/*/questions.py, never edited."""
