"""Is a run healthy? Each question is measured on the method itself, whatever its config says, and answered by a Verdict.

The survey (arXiv 2408.06687) names three signs of trouble; each has two causes, and a measurement that tells them apart:
    good loss, poor features     collapse | a task that asks for something else    effective rank, relative standard deviation | two probes
    too good a reconstruction    a leak | too little masking                       noise under the mask | the hole-filler
    an unstable run              learning rate | architecture                      a rerun with one of them changed
"""

from minimim.diagnose.checkup import checkup
from minimim.diagnose.features import collapse, head_output, mismatch
from minimim.diagnose.leaks import leak
from minimim.diagnose.neighbours import baseline
from minimim.diagnose.runs import gradient_by_block, stability
from minimim.diagnose.verdict import Verdict
from minimim.evaluate.spectrum import effective_rank, relative_std

__all__ = ["Verdict", "baseline", "checkup", "collapse", "effective_rank", "gradient_by_block", "head_output", "leak", "mismatch"]
__all__ += ["relative_std", "stability"]
