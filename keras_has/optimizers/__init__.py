"""Optimizers: stochastic gradient descent with coupled weight decay."""

from keras_has.optimizers.coupled_sgd import CoupledSGD as CoupledSGD
