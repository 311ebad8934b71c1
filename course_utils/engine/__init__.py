"""Machinery behind the helpers. No lesson needs to read it.

Around a training: session, preflight, speed, checkpoint, progress. What is kept and found again:
identity, store. Data: download. Widgets: panel. Grading: exam_images.
"""
