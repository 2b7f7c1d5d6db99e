"""The six directions in which a paper can contribute: the survey's taxonomy (arXiv 2408.06687v3, §3) as six yes/no questions.

Its branches are these directions, alone (§3.1-3.6) or together (§3.7-3.18), so a branch is a set of answers. The definitions are in our
own words. Whoever labels a paper by hand is given these texts and the paper's title, and nothing else.
"""

DEFINITIONS: dict[str, str] = {  # direction → when the answer is yes
    "masking": (
        "Masking strategy. Yes when what is hidden, or how it is chosen, is a main contribution: a new rule or ratio for random patches, "
        "tubes, frames, points, frequencies or whole modalities; masks guided by another network, by attention, by a predicted loss, by a "
        "text, or by classical signals such as gradients, noise, superpixels or optical flow; filling the hidden places with other content "
        "instead of a mask token; and masking brought to a kind of data for which it first had to be defined. No when the paper hides "
        "random patches at a ratio as MAE or BEiT does, and its news lies elsewhere."
    ),
    "target": (
        "Target features. Yes when what the model has to predict is a main contribution: a target other than the input's own pixels, such "
        "as discrete tokens, HOG, spectra, depth, motion or other geometry (low level), or the features of a teacher that is frozen or "
        "trained at the same time (high level); also a second target beside the first. No when the hidden pixels are predicted as in MAE, or "
        "the tokens of a known tokenizer as in BEiT, and the target is not what the paper studies or changes."
    ),
    "objective": (
        "Objective function. Yes when the loss is a main contribution: another way to compare prediction and target, a contrastive, "
        "adversarial, classification, clustering or distillation term in place of the reconstruction loss or beside it, a regulariser, or "
        "several losses whose combination is the point. No when the loss is the usual mean absolute or squared error, or the usual "
        "cross-entropy over tokens, and no claim rests on it."
    ),
    "architecture": (
        "Model architecture. Yes when the network is a main contribution: masked modeling made to work with convolutions, hierarchical or "
        "sparse networks, smaller or cheaper models, a new encoder or decoder, branches or fusion for several modalities or scales, masking "
        "as a building block inside a network. No when a known transformer is used as it is, even if it is applied to new data."
    ),
    "task": (
        "Downstream task. Yes when the paper is about what masked modeling is good for, and carries it to a task or field beyond the usual "
        "classification, detection and segmentation of natural images: for example generation, video understanding, medical images, "
        "anomaly detection, point clouds and 3D detection, restoration, test-time or continual learning, decoding of brain signals. The task "
        "must be a main contribution, not one more evaluation of a general method."
    ),
    "theory": (
        "Theoretical analysis. Yes when a main contribution explains or measures why, when or how masked modeling works: a theorem or a "
        "model of the data, a link to other families of learning, or a systematic study of representations, data, scale, robustness or "
        "transfer. No when the analysis is there only to support a new method, such as an ablation."
    ),
}
