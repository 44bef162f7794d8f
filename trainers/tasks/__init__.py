"""One file per task: data, network, loss and evaluation."""
