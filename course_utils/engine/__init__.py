"""Machinery behind the helpers: speed, checkpoints, checks before a training, downloads. No lesson needs to read it."""
