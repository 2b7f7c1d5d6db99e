"""The field as data: the papers that arXiv 2408.06687 surveys and others beside them, its taxonomy, and the data sets it names.

`papers()` and `paper(key)` give the papers, `facets()` the words by which they can be asked for, `taxonomy()` the survey's tree, and
`datasets()` the data sets. Nothing here needs torch, and only `clustering` and what builds on it needs scikit-learn and scipy.
"""

from minimim.survey.catalogue import Paper, facets, paper, papers
from minimim.survey.datasets import Dataset, datasets
from minimim.survey.taxonomy import Branch, directions, taxonomy

__all__ = ["Branch", "Dataset", "Paper", "datasets", "directions", "facets", "paper", "papers", "taxonomy"]
