"""What every command and every task share: run directory, training loop, flags, experiments."""
