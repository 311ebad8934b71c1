"""Machinery behind the helpers. No lesson needs to read it.

Around a training: session, preflight, speed, checkpoint, progress. What is kept and found again:
identity, store. Data: download. Figures: drawing, panel. Grading: exam_images, asking.
"""
