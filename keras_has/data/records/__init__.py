"""Datasets in TFRecord folders."""
