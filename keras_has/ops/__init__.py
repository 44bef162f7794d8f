"""Pure functions on tensors and arrays; everything else of the project stands on them."""
