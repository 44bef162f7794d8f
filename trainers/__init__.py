"""Commands: `python -m trainers.imagenet`, `.compare`, `.localize`."""
