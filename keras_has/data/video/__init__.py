"""Frames and clips of video files."""
