"""How nbgrader finds the problem sets here; scripts/problem_sets.py drives it."""

from pathlib import Path

top = Path(__file__).resolve().parent
c = get_config()  # noqa: F821 (nbgrader gives it)

c.CourseDirectory.root = str(top)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = "grading/submitted"
c.CourseDirectory.autograded_directory = "grading/autograded"
c.CourseDirectory.feedback_directory = "grading/feedback"
c.CourseDirectory.db_url = f"sqlite:///{top / 'grading' / 'gradebook.db'}"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__", "*.pyc", "*.py"]

c.ClearSolutions.code_stub = {"python": "raise NotImplementedError  # your code here"}
c.ClearSolutions.text_stub = "*Write your answer here.*"
c.Execute.timeout = 120  # seconds a cell; graded cells need a few
