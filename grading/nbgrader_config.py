"""nbgrader's configuration: solutions/<name>/<name>.ipynb -> exercises/<name>/<name>.ipynb; all of
its own lies in grading/work."""

import os

c = get_config()  # noqa: F821 (nbgrader provides it)
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
work = os.environ.get("COURSE_GRADING_WORK", os.path.join(root, "grading", "work"))
c.CourseDirectory.root = root
c.CourseDirectory.course_id = "autoencoders"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = os.path.join(work, "submitted")
c.CourseDirectory.autograded_directory = os.path.join(work, "autograded")
c.CourseDirectory.feedback_directory = os.path.join(work, "nbgrader_feedback")
c.CourseDirectory.solution_directory = os.path.join(work, "unused")
c.CourseDirectory.db_url = "sqlite:///" + os.path.join(work, "gradebook.db")
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
