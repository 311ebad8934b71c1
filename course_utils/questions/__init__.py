"""What students have of the questions: built by `make notebooks` from lessons/*/questions.py."""
