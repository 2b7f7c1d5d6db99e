"""The field as data: the papers that arXiv 2408.06687 surveys and others beside them, its taxonomy, and the data sets it names.

`papers()` and `paper(key)` give the papers, `facets()` the words by which they can be asked for, `taxonomy()` the survey's tree,
`datasets()` the data sets, and `results()` accuracies on ImageNet-1K, with what among them is `comparable`. `gaps` is the grid of what was
tried, and builds a method for an empty cell; only that needs torch, and only `clustering` and what builds on it scikit-learn and scipy.
"""

from minimim.survey.catalogue import Paper, facets, paper, papers
from minimim.survey.datasets import Dataset, datasets
from minimim.survey.results import Result, comparable, results
from minimim.survey.taxonomy import Branch, directions, taxonomy

__all__ = [
    "Branch",
    "Dataset",
    "Paper",
    "Result",
    "comparable",
    "datasets",
    "directions",
    "facets",
    "paper",
    "papers",
    "results",
    "taxonomy",
]
