"""What the paper leaves open about its trained networks, what is done here, and why: all of it in this one place.

Recurrent networks come last, with the modules that say more.

Only the paper's text was at hand, not its plots and not its code; public code of an earlier paper by one of its authors
is named where it tells something.

**The network.** Section 2.1 has a general first and last layer around the equivariant ones. Here

    z^0 = V x,    z^{l+1} = W^l phi(z^l)  (l < L),    logits = R phi(z^L) + b    (Eq. (4), (19), (21)),

with L equivariant layers W^l without biases (a bias would break the symmetry). "One O(k) layer consists of a single
nonlinearity and a single linear layer" (Appendix B), so the last layer too reads phi(z). V has no bias, as in
`simulate`; R has one, which starts at zero. The text mentions neither.

**Initialisation.** V and W^l have the laws of `simulate.sample_networks`: W^l as in `simulate.layers` (so that the
transition is at sigma_w = 1, as Figure 3's caption asks; the variance that Section 2.2 prints for the real and the
imaginary part of a weight is twice that of Eq. (26), and would move it to 1/sqrt(2)), V such that E|z_i^0|^2 = D0. R
has independent Gaussian entries of variance 1/(N D). The text gives none of this except the normalisation of sigma_w.
Models that differ in sigma_w only start from the same random numbers.

**Input scale.** Each image is divided by its norm, so that z^0 has the same law for each image, as in `simulate`, and
then multiplied by sqrt(features), with the variance of V divided by as much. The factor leaves z^0 as it is and sets
how far one step of Adam moves it: with it the entries have size 1, as those of images standardised in the common way.
No mean is subtracted.

**"64 features".** Appendix D.1 says "N = 64 features" for Figures 3, 10, 11 and "Nk = 128" for Figure 4, so N counts
capsules in the first and Nk real components in the second, as in Appendix B (Section 2.1 has N/k blocks instead).
Figure 5 says N = 64 and N = 128: capsules again.

**"A fixed variance for the initial weights of 0.20"** (Figure 4). Read literally, as the variance of each weight, this
is sigma_w^2 = 0.2 N for O(k), hence sigma_w from 5.1 for O(1) down to 1.8 for O(8) at Nk = 128, and sigma_w^2 = 0.2 Nk
for generic networks. The text adds that this "is always deep in the SSB phase for all architectures", which it then is.
It means that sigma_w falls as k grows. For U(1) the complex weight is given the variance 0.20, E|W_ij|^2 = 0.2.

**Optimiser.** Adam at 1e-3 and batches of 256 are the paper's; its betas and eps are PyTorch's. The text names no
epsilon, and 1e-8 is not neutral: below the transition the first gradients of 100 layers are far smaller
(`training.vanishing`; the experiment ``epsilon``). Nor is 1e-3: one step of it can turn the phase of a deep U(1)
network by several radians (`training.rotation`; the experiment ``rotation``), and generic networks collapse at it that
train with less (``learning_rate``, ``own_rate``, ``collapse``). There is no weight decay, and, since Appendix D.1
mentions none, no gradient clipping. The order of images is drawn anew each epoch from the model's seed, and the last,
smaller batch counts. There is no validation set: where a learning rate or sigma_w is chosen, it is by the test accuracy
of the other seeds, on the same images, which favours whatever is chosen, though not one kind of network
(`training.criteria`).

**Order parameter.** Figure 3 takes c* from Eq. (6) and Figure 11 from Eq. (8). Both are given for both: c of 100
networks at initialisation, averaged over the last 30 layers, beside the fixed point. "Averaged over 100 instantiations"
is read as 100 independent networks fed with one image each.

**Jacobian** (Figure 5a): dz^L/dz^0 between the equivariant layers, at images of the test set, in float64. Its norm is
given as |J|_F^2/(N D), the mean squared singular value, and its protected component as (1/N) sum_A |J A z^0|^2 over the
generators A of the rotations of a capsule, which for U(1) is Eq. (7). The text does not say at which inputs, nor which
norm.

**Effective rank**, Eq. (55): of the matrix phi(z^l), (images, N D), of 256 images of the test set, not centred. The
"second-to-last layer" (Figure 5a) is what the last layer R reads, phi(z^L).

**Grids, deep networks.** The text gives no grid of sigma_w, of depths or of recorded steps. Those in `training.presets`
are ours.

**Recurrent models** (`training.recurrent`). No single choice of biases gives all counts of Tables 1 to 3, so each model
has those that give its own: PyTorch's two vectors for ordinary models but GRU 32 of the copy task, which has those of
Eq. (57), and one for the input of O(k) (`tables`). "N(0, 0.001)" of the low-variance encoder is read as a variance, the
notation's; both readings can be chosen (`initial`), and ``low_variance`` compares them. Public code for an earlier
paper's copy task by one of the authors, reference [15], has a deviation (`tables` says more of that code). Read
as a variance, 0.001 exceeds the standard encoder's 1/(3 N) for N >= 334, so "low variance" would be wrong at N = 512,
with which Table 1 lists it twice. That speaks for a standard deviation, or is a slip of the paper's. "Uniform" is
U(-1/sqrt(N), 1/sqrt(N)) with N the hidden size for every matrix, which puts O(k) at sigma_w = 1/sqrt(3) and U(1) at
sqrt(2/3), in the unbroken phase (`initial`); on the grid of Appendix D.3 N of the encoder counts all channels of all
sites, and that of the kernel the 9 channels that one unit sums. The readout has the initial weights of `nn.Linear`, and
biases are uniform, but for b_r = 0 and b_z = 2 of the equivariant GRU and that of O(k)'s input, 0. Pixels are in [0, 1]
and not standardised. An epoch's last, smaller batch counts. The test accuracy of images is that after the last epoch,
also where validation was better before. copy200 has the best settings of the shorter tasks, where the paper sweeps
again. The gates' input weights are always standard (`layer`), and the blank token, whose "read-in weight" is zero with
the low-variance encoder, still reaches the gates: its column is held at zero in E alone (the counts do not tell, as the
frozen column counts too). Clipping "by magnitude with a value of 1.0" is by the norm of one model's gradient, for
psMNIST only, for which alone the text has it (`training.recurrent.training`). The convolution of Appendix D.3 is
periodic, on which vortices come in pairs "as would be expected"; it can be padded with zeros instead (`convolutional`).
The last loss of a copy task is the mean of 100 test batches of 50 (`training.recurrent.training`). Table 2 is probably
that mean divided by 50 once more (`tables`). psMNIST's last batch of an epoch may have been left out, as in that code.
GRU and U(1) models have one activation, so that their sweeps are 36 runs and not 72 (`presets`).
"""

ADAM_BETAS = (0.9, 0.999)
ADAM_EPS = 1e-8
BATCH = 256
LEARNING_RATE = 1e-3
D0 = 1.0  # E|z_i^0|^2
WEIGHT_VARIANCE = 0.20  # Figure 4, for each weight
ORDER_LAYERS = 30
RANK_IMAGES = 256
JACOBIAN_IMAGES = 8
